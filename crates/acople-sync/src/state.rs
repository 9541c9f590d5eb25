//! What is remembered of a sync between processes.

use acople_core::{Cursor, Error, ErrorKind, ReadMode, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Totals;

/// The version that this code writes. Older ones are migrated when they are read, newer ones refused.
const VERSION: u16 = 1;

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
    /// What a later version wrote and this one does not know: kept.
    #[serde(flatten)]
    unknown: Map<String, Json>,
}

impl State {
    /// The state of a run that has done nothing yet, after what was there before.
    pub(crate) fn begin(run: String, mode: ReadMode, before: Option<Self>) -> Self {
        let incremental = before.and_then(|state| match state.mode {
            ReadMode::Incremental => state.cursor,
            _ => state.incremental,
        });
        let (cursor, incremental) = match mode {
            ReadMode::Incremental => (incremental, None),
            _ => (None, incremental),
        };
        let (totals, unknown) = (Totals::default(), Map::new());
        Self { version: VERSION, mode, run, complete: false, cursor, totals, incremental, unknown }
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

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "the state cannot be written").with_source(e))
    }
}
