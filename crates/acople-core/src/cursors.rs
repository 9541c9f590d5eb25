//! What one connector keeps in its cursors, and which of them a request may go on from.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Cursor, Error, ErrorKind, ReadMode, ReadRequest, Result};

/// The cursors of one connector: a constant of its crate.
///
/// Beside the connector's own state a cursor keeps the mode of the read that made it, so that one of a full
/// read never begins an incremental one. Each mode may have a state of its own type.
///
/// ```
/// use acople_core::{Cursors, ReadRequest};
///
/// const CURSORS: Cursors = Cursors::new("example", 1);
///
/// # fn main() -> acople_core::Result<()> {
/// let request = ReadRequest::full("contacts");
/// let cursor = CURSORS.cursor(&request, &"last-id")?;
/// let again = request.with_cursor(Some(cursor.clone()));
/// assert_eq!(CURSORS.state::<String>(&again)?.as_deref(), Some("last-id"));
/// let other = ReadRequest::incremental("contacts").with_cursor(Some(cursor));
/// assert!(CURSORS.state::<String>(&other).is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cursors {
    connector: &'static str,
    version: u16,
}

#[derive(Serialize, Deserialize)]
struct Kept<S> {
    mode: ReadMode,
    at: S,
}

impl Cursors {
    /// The cursors of the connector with that id; `version` counts the changes of what it keeps.
    pub const fn new(connector: &'static str, version: u16) -> Self {
        Self { connector, version }
    }

    /// The state from which a request goes on; `None` when it has no cursor.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names `cursor` for one of another connector, stream or mode,
    /// [`ErrorKind::CursorExpired`] for one of a newer version or a state that does not decode.
    pub fn state<S: DeserializeOwned>(&self, request: &ReadRequest) -> Result<Option<S>> {
        let Some(cursor) = request.cursor() else { return Ok(None) };
        let kept: Kept<Json> = cursor.state(self.connector, request.stream(), self.version)?;
        if kept.mode != request.mode() {
            let name = |mode| if mode == ReadMode::Full { "full" } else { "incremental" };
            let message = format!(
                "the cursor is of the mode {} and cannot go on in the mode {}",
                name(kept.mode),
                name(request.mode())
            );
            return Err(Error::config("cursor", message));
        }
        S::deserialize(kept.at)
            .map(Some)
            .map_err(|e| Error::new(ErrorKind::CursorExpired, "cursor state does not decode").with_source(e))
    }

    /// A cursor of a request's stream and mode.
    ///
    /// # Errors
    /// Those of [`Cursor::new`].
    pub fn cursor(&self, request: &ReadRequest, state: &impl Serialize) -> Result<Cursor> {
        let kept = Kept { mode: request.mode(), at: state };
        Cursor::new(self.connector, request.stream(), self.version, &kept)
    }
}
