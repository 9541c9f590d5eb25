//! Which record of one system is which record of another.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A stream of a system, as one end of a [`Pairing`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Side {
    /// The connector's id (`hubspot`).
    pub vendor: String,
    /// The stream.
    pub stream: String,
}

impl Side {
    /// A stream of a vendor.
    pub fn new(vendor: impl Into<String>, stream: impl Into<String>) -> Self {
        Self { vendor: vendor.into(), stream: stream.into() }
    }
}

/// Whose records are linked: two streams, within one sync of one tenant.
///
/// The sync is a part of it because two accounts of one vendor have the same id and stream.
///
/// ```
/// use acople_core::{Pairing, Side};
/// let leads = Side::new("salesforce", "Lead");
/// let pairing = Pairing::new("leads", leads, Side::new("hubspot", "contacts")).with_tenant("acme");
/// assert_eq!(pairing.source.stream, "Lead");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pairing {
    /// The host's customer; empty when the host has none.
    pub tenant: String,
    /// The sync's name.
    pub sync: String,
    /// Where records come from; of a two-way sync, the first side.
    pub source: Side,
    /// Where they go.
    pub target: Side,
}

impl Pairing {
    /// The records of two streams within a sync.
    pub fn new(sync: impl Into<String>, source: Side, target: Side) -> Self {
        Self { tenant: String::new(), sync: sync.into(), source, target }
    }

    /// Names the host's customer.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }
}

/// Two records that are one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The id at the source; of a pairing, no two links have the same.
    pub source: String,
    /// The id at the target; empty when the target never said it. Otherwise no two links have the same.
    pub target: String,
    /// The run that saw the source's record last.
    pub seen: String,
    /// What the sync remembers of the two records, at most [`LINK_NOTE_LIMIT`] bytes. May be a customer's data.
    pub note: String,
}

/// The longest note of a link, in bytes.
pub const LINK_NOTE_LIMIT: usize = 1 << 20;

impl Link {
    /// Two records that are one, without a note.
    pub fn new(source: impl Into<String>, target: impl Into<String>) -> Self {
        Self { source: source.into(), target: target.into(), seen: String::new(), note: String::new() }
    }

    /// Names the run that saw the source's record.
    pub fn with_seen(mut self, run: impl Into<String>) -> Self {
        self.seen = run.into();
        self
    }

    /// Sets what is remembered.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl fmt::Debug for Link {
    /// Without the note, which may be a customer's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("source", &self.source)
            .field("target", &self.target)
            .field("seen", &self.seen)
            .field("note_bytes", &self.note.len())
            .finish()
    }
}

/// Keeps the links between records of two systems, found from either side.
///
/// `put` and `remove` return only when the change would survive a crash of the machine, and take effect
/// whole or not at all.
#[async_trait]
pub trait IdentityMap: Send + Sync + fmt::Debug + 'static {
    /// Writes links. A link with the same source is replaced; one with the same target as well, because a
    /// record has one counterpart. Of several in one call the later ones count.
    ///
    /// # Errors
    /// `TooLarge` for a note above [`LINK_NOTE_LIMIT`]: nothing is written then.
    async fn put(&self, pairing: &Pairing, links: &[Link]) -> Result<()>;

    /// The links of these source ids, in their order.
    async fn by_source(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>>;

    /// The links of these target ids, in their order. The empty id has none.
    async fn by_target(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>>;

    /// Up to `limit` links with source ids after `after`, in the order of the ids. Fewer may come so that their
    /// notes are not held in memory all at once; none means the end.
    async fn scan(&self, pairing: &Pairing, after: Option<&str>, limit: usize) -> Result<Vec<Link>>;

    /// Forgets the links of these source ids. Unknown ones are ignored.
    async fn remove(&self, pairing: &Pairing, sources: &[String]) -> Result<()>;
}
