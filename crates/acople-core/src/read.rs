//! Reading: what is asked for, and the events that come back.

use std::fmt;
use std::pin::Pin;

use futures_core::Stream as FuturesStream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::{Batch, Error, ErrorKind, ReadMode, Result};

/// Bytes of pages that a read may hold ready for its consumer, unless told otherwise.
const PREFETCH_BYTES: usize = 8 << 20;

/// Largest cursor, in bytes of JSON: it is stored with every checkpoint.
const CURSOR_LIMIT: usize = 64 << 10;

/// What to read.
///
/// ```
/// use acople_core::ReadRequest;
/// let request = ReadRequest::incremental("Lead").with_fields(["Id", "Email"]).with_limit(1_000);
/// assert_eq!(request.stream(), "Lead");
/// ```
#[derive(Clone, Debug)]
pub struct ReadRequest {
    stream: String,
    mode: ReadMode,
    cursor: Option<Cursor>,
    fields: Option<Vec<String>>,
    limit: Option<u64>,
    page_size: Option<u32>,
    prefetch: usize,
}

impl ReadRequest {
    /// A read of a stream in a mode, from the start.
    pub fn new(stream: impl Into<String>, mode: ReadMode) -> Self {
        Self {
            stream: stream.into(),
            mode,
            cursor: None,
            fields: None,
            limit: None,
            page_size: None,
            prefetch: PREFETCH_BYTES,
        }
    }

    /// Everything, as a snapshot.
    pub fn full(stream: impl Into<String>) -> Self {
        Self::new(stream, ReadMode::Full)
    }

    /// What changed since the cursor that [`with_cursor`](Self::with_cursor) gives.
    pub fn incremental(stream: impl Into<String>) -> Self {
        Self::new(stream, ReadMode::Incremental)
    }

    /// Goes on from a cursor that an earlier read of the same connector, stream and mode gave.
    pub fn with_cursor(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor;
        self
    }

    /// Asks for these fields only, in the vendor's names. Key and cursor fields come along anyway.
    pub fn with_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.fields = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// Ends the read after this many records.
    pub fn with_limit(mut self, records: u64) -> Self {
        self.limit = Some(records);
        self
    }

    /// Asks for pages of this many records; the vendor may give others.
    pub fn with_page_size(mut self, records: u32) -> Self {
        self.page_size = Some(records);
        self
    }

    /// Bytes of pages that may be held ready while the consumer works; 0 fetches on demand only.
    /// At most one page is ahead.
    pub fn with_prefetch(mut self, bytes: usize) -> Self {
        self.prefetch = bytes;
        self
    }

    /// The stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The mode.
    pub fn mode(&self) -> ReadMode {
        self.mode
    }

    /// Where to go on.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The fields asked for; `None` means all.
    pub fn fields(&self) -> Option<&[String]> {
        self.fields.as_deref()
    }

    /// The most records.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Records a page.
    pub fn page_size(&self) -> Option<u32> {
        self.page_size
    }

    /// Bytes of pages held ready.
    pub fn prefetch(&self) -> usize {
        self.prefetch
    }
}

/// The events of one read, pulled by the consumer. Dropping the stream ends the read.
///
/// After an error the stream ends; a new read from the last checkpoint goes on.
pub type EventStream = Pin<Box<dyn FuturesStream<Item = Result<Event>> + Send>>;

/// What a read says.
///
/// A full read is framed by [`SnapshotBegin`](Event::SnapshotBegin) and
/// [`SnapshotEnd`](Event::SnapshotEnd), so that "what was not listed is gone" can be said of a
/// complete listing and of no other. A read that was limited or resumed never claims completeness.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A complete listing starts.
    SnapshotBegin,
    /// Records.
    Batch(Batch),
    /// All records before this event are covered: a read from this cursor brings the rest.
    Checkpoint(Cursor),
    /// The listing that began is complete.
    SnapshotEnd,
    /// How many records the vendor says the listing has. A hint: it may be wrong, and never ends a read.
    Total(u64),
    /// Something the host should know: a field that vanished, a version that will be retired.
    Warning(String),
}

/// Where a read stands. Opaque to everybody but the connector that made it.
///
/// A cursor names its connector, stream and version, so that one from elsewhere, or from a newer
/// version, is refused instead of misread.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    connector: String,
    stream: String,
    version: u16,
    state: Json,
}

impl Cursor {
    /// Made by a connector at a point from which it can go on.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above 64 KiB of state, [`ErrorKind::Internal`] when `state` cannot be
    /// written as JSON.
    pub fn new(
        connector: impl Into<String>,
        stream: impl Into<String>,
        version: u16,
        state: &impl Serialize,
    ) -> Result<Self> {
        let state = serde_json::to_value(state)
            .map_err(|e| Error::new(ErrorKind::Internal, "cursor state is not JSON").with_source(e))?;
        let cursor = Self { connector: connector.into(), stream: stream.into(), version, state };
        if cursor.to_json()?.len() > CURSOR_LIMIT {
            return Err(Error::new(ErrorKind::TooLarge, "cursor is larger than 64 KiB"));
        }
        Ok(cursor)
    }

    /// The state, if the cursor is of this connector and stream and not of a newer version.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a cursor from elsewhere, [`ErrorKind::CursorExpired`] for a newer
    /// version or a state that does not decode.
    pub fn state<T: DeserializeOwned>(&self, connector: &str, stream: &str, version: u16) -> Result<T> {
        if self.connector != connector || self.stream != stream {
            return Err(Error::config(
                "cursor",
                format!("cursor belongs to {}/{}, not to {connector}/{stream}", self.connector, self.stream),
            ));
        }
        if self.version > version {
            return Err(Error::new(
                ErrorKind::CursorExpired,
                format!("cursor has version {}, this connector knows up to {version}", self.version),
            ));
        }
        T::deserialize(&self.state)
            .map_err(|e| Error::new(ErrorKind::CursorExpired, "cursor state does not decode").with_source(e))
    }

    /// The version that wrote the state.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The stream that the cursor belongs to.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The cursor as JSON text, for a state file or a store.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "cursor cannot be written").with_source(e))
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::CursorExpired`] for text that is no cursor.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::CursorExpired, "not a cursor").with_source(e))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({}/{} v{})", self.connector, self.stream, self.version)
    }
}
