//! How well the cache does.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Cache`](crate::Cache) has counted since it was made, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Calls that were answered without a request of their own.
    pub hits: u64,
    /// Those of the hits that waited for a request that somebody else had sent.
    pub shared: u64,
    /// Calls whose kept answer the vendor confirmed.
    pub revalidated: u64,
    /// Calls that brought a new answer.
    pub misses: u64,
    /// Answers that were not kept: the vendor did not want it, or they were too large.
    pub unkept: u64,
    /// Answers that had to make room.
    pub evictions: u64,
    /// Answers that are kept.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

impl CacheStats {
    /// The share of answered calls (0 to 1) whose body did not have to come from the vendor; 0 before the first.
    #[allow(clippy::cast_precision_loss)] // a ratio
    pub fn hit_rate(&self) -> f64 {
        let spared = self.hits.saturating_add(self.revalidated);
        spared as f64 / spared.saturating_add(self.misses).max(1) as f64
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) shared: AtomicU64,
    pub(crate) revalidated: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) unkept: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, entries: u64, bytes: u64) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: read(&self.hits),
            shared: read(&self.shared),
            revalidated: read(&self.revalidated),
            misses: read(&self.misses),
            unkept: read(&self.unkept),
            evictions: read(&self.evictions),
            entries,
            bytes,
        }
    }
}
