//! What is remembered of a sync between processes.

use acople_core::{Cursor, Error, ErrorKind, ReadMode, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::drift::Shape;
use crate::{Deletions, Totals};

/// The version that this code writes. Older ones are migrated when they are read, newer ones refused.
const VERSION: u16 = 1;

/// The largest state, in bytes of JSON: it is written with every checkpoint.
const LIMIT: usize = 1 << 20;

/// The state of one stream of one sync.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    version: u16,
    pub(crate) mode: ReadMode,
    /// The run that wrote it.
    pub(crate) run: String,
    /// Whether that run has ended; otherwise the next process goes on with it.
    pub(crate) complete: bool,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) totals: Totals,
    /// Of a full run: where the next incremental one begins, which a full run does not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incremental: Option<Cursor>,
    /// The listing is complete, and this is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deletions: Option<Deletions>,
    /// Deletions may have been missed: the run has to look for them at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rescan: bool,
    /// The shape of the source's records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<Shape>,
    /// What a later version wrote and this one does not know: kept.
    #[serde(flatten)]
    unknown: Map<String, Json>,
}

impl State {
    /// The state of a run that has done nothing yet, after what was there before.
    pub(crate) fn begin(run: String, mode: ReadMode, before: Option<Self>) -> Self {
        let (shape, before) = match before {
            Some(mut state) => (state.shape.take(), Some(state)),
            None => (None, None),
        };
        let rescan = before.as_ref().is_some_and(|state| state.rescan);
        let incremental = before.and_then(|state| match state.mode {
            ReadMode::Incremental => state.cursor,
            _ => state.incremental,
        });
        let (cursor, incremental) = match mode {
            ReadMode::Incremental => (incremental, None),
            _ => (None, incremental),
        };
        Self {
            version: VERSION,
            mode,
            run,
            complete: false,
            cursor,
            totals: Totals::default(),
            incremental,
            deletions: None,
            rescan,
            shape,
            unknown: Map::new(),
        }
    }

    /// The state of a key scan: where the job's own runs go on does not change.
    ///
    /// # Errors
    /// `Conflict` when one of them has not come to its end.
    pub(crate) fn scan(run: String, before: Option<Self>) -> Result<Self> {
        let Some(before) = before else { return Ok(Self::begin(run, ReadMode::Full, None)) };
        if !before.complete && before.deletions.is_none() {
            let message =
                "a run of the job was interrupted: it has to come to its end before keys are scanned";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(Self { run, complete: true, totals: Totals::default(), deletions: None, rescan: false, ..before })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::Internal, format!("the saved state {what}"))
                .with_code("state")
                .with_operation("load state")
        };
        let json: Json =
            serde_json::from_slice(bytes).map_err(|e| wrong("is not readable").with_source(e))?;
        match json.get("version").and_then(Json::as_u64) {
            Some(version) if version > u64::from(VERSION) => {
                return Err(wrong(&format!("was written by a newer acople (version {version})")));
            }
            Some(_) => {}
            None => return Err(wrong("has no version")),
        }
        serde_json::from_value(json).map_err(|e| wrong("is not readable").with_source(e))
    }

    /// # Errors
    /// `TooLarge` above 1 MiB.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "the state cannot be written").with_source(e))?;
        if bytes.len() > LIMIT {
            let message = format!("the state is larger than {LIMIT} bytes: {}", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, message).with_code("state"));
        }
        Ok(bytes)
    }
}
