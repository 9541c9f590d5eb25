//! What a connector offers: streams, their fields and what can be done with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::json::FieldPath;

/// The streams that a connection offers, as the vendor describes them now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// The streams, in the vendor's order.
    pub streams: Vec<Stream>,
}

impl Catalog {
    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|s| s.name == name)
    }
}

/// One stream of records and its capabilities, as data.
///
/// ```
/// use acople_core::{ReadMode, Stream, WriteMode};
///
/// let stream = Stream::new("contacts")
///     .key(["id"])
///     .cursor("updatedAt")
///     .reads([ReadMode::Full, ReadMode::Incremental])
///     .writes([WriteMode::Upsert]);
/// assert!(stream.can_read(ReadMode::Incremental));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stream {
    /// The name used in requests: plural, or the vendor's own object name.
    pub name: String,
    /// The name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// JSON Schema (2020-12) of one record; `true` when the vendor says nothing.
    #[serde(default = "anything")]
    pub schema: Json,
    /// The fields that identify a record. Empty: records have no key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<FieldPath>,
    /// The field that grows with every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<FieldPath>,
    /// How the stream can be read.
    #[serde(default)]
    pub reads: Vec<ReadMode>,
    /// How the stream can be written.
    #[serde(default)]
    pub writes: Vec<WriteMode>,
    /// Fields by which a record can be found for an upsert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upsert_keys: Vec<FieldPath>,
    /// The largest write call.
    #[serde(default)]
    pub batch: BatchLimits,
    /// Whether the vendor recognises a repeated write by a key.
    #[serde(default)]
    pub idempotent_writes: bool,
    /// How deletions become visible.
    #[serde(default)]
    pub deletes: Deletes,
    /// The field of a deleted record that names the record it was merged into; it is empty when the record was
    /// deleted without a successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<FieldPath>,
    /// How long a change may stay invisible to a reader.
    #[serde(default)]
    pub read_lag: Duration,
    /// How far an incremental read goes back behind its cursor, to catch late changes.
    #[serde(default)]
    pub look_back: Duration,
    /// Whether a full listing may skip or repeat records while data changes under it.
    #[serde(default)]
    pub listing: Listing,
}

fn anything() -> Json {
    Json::Bool(true)
}

impl Stream {
    /// A stream without capabilities.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: None,
            schema: anything(),
            key: Vec::new(),
            cursor: None,
            reads: Vec::new(),
            writes: Vec::new(),
            upsert_keys: Vec::new(),
            batch: BatchLimits::default(),
            idempotent_writes: false,
            deletes: Deletes::Invisible,
            merged_into: None,
            read_lag: Duration::ZERO,
            look_back: Duration::ZERO,
            listing: Listing::Stable,
        }
    }

    /// Sets the name for people.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the JSON Schema of a record.
    pub fn schema(mut self, schema: Json) -> Self {
        self.schema = schema;
        self
    }

    /// Sets the key fields. Paths that do not parse are left out.
    pub fn key<'a>(mut self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        self.key = paths(fields);
        self
    }

    /// Sets the cursor field.
    pub fn cursor(mut self, field: &str) -> Self {
        self.cursor = FieldPath::parse(field).ok();
        self
    }

    /// Sets how the stream can be read.
    pub fn reads(mut self, modes: impl IntoIterator<Item = ReadMode>) -> Self {
        self.reads = modes.into_iter().collect();
        self
    }

    /// Sets how the stream can be written.
    pub fn writes(mut self, modes: impl IntoIterator<Item = WriteMode>) -> Self {
        self.writes = modes.into_iter().collect();
        self
    }

    /// Sets the fields by which an upsert can find a record. Paths that do not parse are left out.
    pub fn upsert_keys<'a>(mut self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        self.upsert_keys = paths(fields);
        self
    }

    /// Sets the largest write call.
    pub fn batch(mut self, records: usize, bytes: usize) -> Self {
        self.batch = BatchLimits { records, bytes };
        self
    }

    /// Says that repeated writes are recognised by their idempotency key.
    pub fn idempotent_writes(mut self) -> Self {
        self.idempotent_writes = true;
        self
    }

    /// Says how deletions become visible.
    pub fn deletes(mut self, deletes: Deletes) -> Self {
        self.deletes = deletes;
        self
    }

    /// Names the field of a deleted record that says into which other it was merged.
    pub fn merged_into(mut self, field: &str) -> Self {
        self.merged_into = FieldPath::parse(field).ok();
        self
    }

    /// Sets how long changes may stay invisible, and how far back an incremental read goes.
    pub fn lag(mut self, read_lag: Duration, look_back: Duration) -> Self {
        self.read_lag = read_lag;
        self.look_back = look_back;
        self
    }

    /// Says what a full listing guarantees.
    pub fn listing(mut self, listing: Listing) -> Self {
        self.listing = listing;
        self
    }

    /// Whether the stream can be read in that mode.
    pub fn can_read(&self, mode: ReadMode) -> bool {
        self.reads.contains(&mode)
    }

    /// Whether the stream can be written in that mode.
    pub fn can_write(&self, mode: WriteMode) -> bool {
        self.writes.contains(&mode)
    }
}

fn paths<'a>(fields: impl IntoIterator<Item = &'a str>) -> Vec<FieldPath> {
    fields.into_iter().filter_map(|f| FieldPath::parse(f).ok()).collect()
}

/// How a stream is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadMode {
    /// Everything, as a snapshot.
    #[default]
    Full,
    /// What changed since the cursor; everything, in the cursor's order, when there is none.
    Incremental,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteMode {
    /// Create; an existing record is a conflict.
    Insert,
    /// Change existing records by their key.
    Update,
    /// Create or change, by a key field.
    #[default]
    Upsert,
    /// Remove by key.
    Delete,
}

impl WriteMode {
    /// Whether writing the same records again leaves the same result.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::Insert)
    }
}

/// The largest write call that a vendor takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLimits {
    /// Records in one call.
    pub records: usize,
    /// Bytes of the call's body.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { records: 1, bytes: 1 << 20 }
    }
}

/// How deletions at the vendor become visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Deletes {
    /// They do not: only the difference of two full listings shows them.
    #[default]
    Invisible,
    /// Incremental reads bring tombstones.
    Tombstones,
}

/// What a full listing guarantees while data changes under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Listing {
    /// Every record that exists throughout is listed (keyset or snapshot paging).
    #[default]
    Stable,
    /// Records may be skipped or repeated (offset paging over changing data).
    Shifting,
}
