//! Where a read stands: what a cursor keeps.

use acople_core::{Cursors, Error, ErrorKind, ReadMode, ReadRequest, Result};
use acople_http::Changes;
use serde::{Deserialize, Serialize};

use crate::mark::Mark;

/// A place in a listing. Values are in the spelling of `Primitive::normal`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(crate) enum Place {
    /// Full: nothing is read yet, or the position is in a link.
    Start,
    /// Full: behind the record with this key.
    Keys { after: Vec<String> },
    /// Incremental: among the records that have no change value, which no comparison finds.
    Nulls { after: Option<Vec<String>> },
    /// Incremental: at this change value and later; `None` at the first one.
    From { value: Option<String> },
    /// Incremental: later than this change value.
    Above { value: String },
    /// Incremental: behind this record, in the order of change value and key.
    After { value: String, keys: Vec<String> },
    /// Incremental: among the records that share this change value, by key.
    Within { value: String, after: Option<Vec<String>> },
    /// The listing, or the run, is over.
    End,
}

impl Place {
    /// Whether records come in the order of their changes here.
    pub(crate) fn is_by_change(&self) -> bool {
        matches!(self, Self::From { .. } | Self::Above { .. } | Self::After { .. })
    }

    fn is_of_full_read(&self) -> bool {
        matches!(self, Self::Start | Self::Keys { .. } | Self::End)
    }
}

/// A place, and how a link of the service's leads on from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
    /// Records of the page here that were delivered already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) skip: u64,
}

impl Spot {
    pub(crate) fn at(place: Place) -> Self {
        Self { place, link: None, skip: 0 }
    }

    /// The same place, further on by a link of the service's.
    pub(crate) fn followed(&self, link: String) -> Self {
        Self { place: self.place.clone(), link: Some(link), skip: 0 }
    }
}

/// The books of an incremental read.
pub(crate) type Run = Changes<Spot, Mark>;

/// Where a read stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub(crate) enum State {
    Full(Spot),
    Changes(Run),
}

impl State {
    /// Where the walk goes on; `None` behind the end of a run.
    pub(crate) fn spot(&self) -> Option<&Spot> {
        match self {
            Self::Full(spot) => Some(spot),
            Self::Changes(run) => run.place(),
        }
    }

    pub(crate) fn pass(&mut self, spot: Spot) {
        match self {
            Self::Full(at) => *at = spot,
            Self::Changes(run) => run.pass(spot),
        }
    }
}

/// What a request's cursor keeps; `None`: it has none.
#[derive(Debug)]
pub(crate) enum Kept {
    Full(Option<Spot>),
    Changes(Option<Run>),
}

impl Kept {
    /// # Errors
    /// `Config` for a cursor of the other mode or from elsewhere, `CursorExpired` for one that does not decode.
    pub(crate) fn of(request: &ReadRequest, cursors: Cursors) -> Result<Self> {
        let (kept, fits) = match request.mode() {
            ReadMode::Full => {
                let spot: Option<Spot> = cursors.state(request)?;
                let fits = spot.as_ref().is_none_or(|spot| spot.place.is_of_full_read());
                (Self::Full(spot), fits)
            }
            ReadMode::Incremental => {
                let run: Option<Run> = cursors.state(request)?;
                let spot = run.as_ref().and_then(Changes::place);
                let fits = spot.is_none_or(|spot| !spot.place.is_of_full_read());
                (Self::Changes(run), fits)
            }
            _ => return Err(Error::config("mode", "this way of reading is not known here")),
        };
        if !fits {
            return Err(Error::new(ErrorKind::CursorExpired, "cursor state does not fit its mode"));
        }
        Ok(kept)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it so
fn is_zero(n: &u64) -> bool {
    *n == 0
}
