//! Counts what calls cost, for reports.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of the work done on behalf of one [`Context`](crate::Context) and its clones.
///
/// The request path counts; a sync's report reads. Counters only grow.
#[derive(Debug, Default)]
pub struct Meter {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    waited_ms: AtomicU64,
}

/// What a [`Meter`] had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Attempts that went to the wire.
    pub requests: u64,
    /// Attempts after the first of their call.
    pub retries: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answer bodies, decompressed.
    pub bytes_received: u64,
    /// Time spent waiting for limits and between retries, all calls added up.
    pub waited: Duration,
}

impl Meter {
    /// One attempt went to the wire, with a body of this many bytes; `retry` if it was not the first.
    pub fn sent(&self, bytes: usize, retry: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(retry), Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// This many bytes of answer came in.
    pub fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A call waited.
    pub fn waited(&self, wait: Duration) {
        self.waited_ms.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The counters now.
    pub fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            waited: Duration::from_millis(self.waited_ms.load(Ordering::Relaxed)),
        }
    }
}
