//! Cursors that know the source that made them.

use acople_core::{Cursor, Error, ErrorKind, Event, ReadRequest, Result};
use serde::{Deserialize, Serialize};

use super::{Inner, Standby};

/// The connector that these cursors name.
const ID: &str = "fallback";
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Tagged {
    source: String,
    cursor: Cursor,
}

impl Inner {
    /// Where a request has to be read on, if anywhere, and the request with the cursor of that source.
    ///
    /// # Errors
    /// `Config` that names `cursor` when its source is not among these.
    pub(super) fn placed(&self, request: ReadRequest) -> Result<(Option<usize>, ReadRequest)> {
        let Some(cursor) = request.cursor() else { return Ok((None, request)) };
        let tagged = match cursor.state::<Tagged>(ID, request.stream(), VERSION) {
            Ok(tagged) => tagged,
            // Not one of these: perhaps of the primary, from before it had standbys. It looks for itself.
            Err(error) if error.kind() == ErrorKind::Config => return Ok((Some(0), request)),
            Err(error) => return Err(error),
        };
        let place = self.sources.iter().position(|source| source.name == tagged.source);
        let place = place.ok_or_else(|| {
            Error::config("cursor", format!("belongs to the source {:?}, which is not here", tagged.source))
        })?;
        Ok((Some(place), request.with_cursor(Some(tagged.cursor))))
    }
}

impl Standby {
    /// An event as it is handed on; `None` for one that claims what only the primary may claim.
    pub(super) fn passed_on(&self, event: Event, primary: bool) -> Result<Option<Event>> {
        Ok(match event {
            Event::Checkpoint(cursor) => {
                let stream = cursor.stream().to_owned();
                let tagged = Tagged { source: self.name.clone(), cursor };
                Some(Event::Checkpoint(Cursor::new(ID, stream, VERSION, &tagged)?))
            }
            Event::SnapshotBegin | Event::SnapshotEnd if !primary && !self.same_system => None,
            event => Some(event),
        })
    }
}
