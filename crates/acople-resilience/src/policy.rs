//! What a host wants cached, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is cached of a connection, and how long it is good.
///
/// ```
/// use std::time::Duration;
/// use acople_resilience::Policy;
///
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let policy = Policy::new(minutes(10))
///     .ttl("leads", minutes(5))
///     .ttl("accounts", minutes(30))
///     .ttl("invoices", Duration::ZERO) // never
///     .query("run_report", minutes(60))
///     .affects("convert_lead", ["leads", "accounts"]);
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) ttl: Duration,
    pub(crate) ttls: BTreeMap<String, Duration>,
    pub(crate) reads: bool,
    pub(crate) catalog: Option<Duration>,
    pub(crate) queries: BTreeMap<String, Duration>,
    pub(crate) affects: BTreeMap<String, Vec<String>>,
    pub(crate) despite_no_store: BTreeSet<String>,
}

impl Policy {
    /// Full reads and the catalog, all good for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            ttls: BTreeMap::new(),
            reads: true,
            catalog: Some(ttl),
            queries: BTreeMap::new(),
            affects: BTreeMap::new(),
            despite_no_store: BTreeSet::new(),
        }
    }

    /// How long the answers about a stream are good; zero: they are not cached.
    pub fn ttl(mut self, stream: impl Into<String>, ttl: Duration) -> Self {
        self.ttls.insert(stream.into(), ttl);
        self
    }

    /// How long what [`discover`](acople_core::Connector::discover) and
    /// [`describe`](acople_core::Connector::describe) ask for is good; `None`: it is not cached.
    pub fn catalog(mut self, ttl: Option<Duration>) -> Self {
        self.catalog = ttl;
        self
    }

    /// Caches no reads.
    pub fn without_reads(mut self) -> Self {
        self.reads = false;
        self
    }

    /// Names an action that changes nothing, and how long what it tells is good. Every other action counts as
    /// one that changes something.
    pub fn query(mut self, action: impl Into<String>, ttl: Duration) -> Self {
        self.queries.insert(action.into(), ttl);
        self
    }

    /// Names the streams that a write to a stream changes besides it, or those that an action changes. An
    /// action of which nothing is said outdates all that is kept of its connection.
    pub fn affects<S: Into<String>>(
        mut self,
        changing: impl Into<String>,
        streams: impl IntoIterator<Item = S>,
    ) -> Self {
        self.affects.entry(changing.into()).or_default().extend(streams.into_iter().map(Into::into));
        self
    }

    /// Keeps the answers about a stream, or of a query, also where the vendor says `no-store` or `no-cache`.
    /// Some vendors send that with every answer and allow caching all the same in their documentation.
    pub fn despite_no_store(mut self, stream: impl Into<String>) -> Self {
        self.despite_no_store.insert(stream.into());
        self
    }
}
