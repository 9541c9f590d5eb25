//! The monitor that keeps numbers.

use std::fmt;
use std::sync::Arc;

use acople_core::{ConnectionKey, Monitor, Recorder, Watched};

use crate::config::{Builder, HealthConfig, Limits};
use crate::health::{self, ConnectionHealth, HealthReport};
use crate::recorder::ConnectionRecorder;
use crate::registry::Registry;
use crate::snapshot::{self, Snapshot};

/// A [`Monitor`] that keeps counts, latencies and health of each connection, and in total of each connector.
///
/// Lend one to all connectors ([`Resources::with_monitor`](acople_core::Resources::with_monitor)) and keep a clone:
/// clones are one collector. Recording takes no lock and, after the first use of an operation, allocates nothing.
/// Memory is bounded by [`Limits`].
#[derive(Clone)]
pub struct Collector(pub(crate) Arc<Registry>);

impl Collector {
    /// A collector with the default bounds and thresholds.
    pub fn new() -> Self {
        Self(Registry::new(
            Limits::default(),
            HealthConfig::default(),
            #[cfg(feature = "metrics")]
            None,
        ))
    }

    /// A collector with bounds, thresholds and an export of one's own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// All numbers now, ready for serde. Sums of a connector include the connections that were forgotten.
    ///
    /// Takes some ten microseconds for each connection; meanwhile making a client waits, calls do not.
    pub fn snapshot(&self) -> Snapshot {
        snapshot::take(&self.0)
    }

    /// How every connector and connection is now: the cheap part of [`snapshot`](Self::snapshot).
    pub fn health(&self) -> HealthReport {
        health::report(&self.0)
    }

    /// How one connection is now; `None` when it is not known, or was forgotten.
    pub fn connection_health(&self, key: &ConnectionKey) -> Option<ConnectionHealth> {
        let connection = self.0.lock().connections.get(key).cloned()?;
        Some(health::of_connection(&connection, &self.0.health, self.0.now_ms()))
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

impl Monitor for Collector {
    fn watch(&self, watched: &Watched) -> Arc<dyn Recorder> {
        Arc::new(ConnectionRecorder::new(self.0.clone(), watched))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.lock();
        f.debug_struct("Collector")
            .field("connectors", &kept.connectors.len())
            .field("connections", &kept.connections.len())
            .finish_non_exhaustive()
    }
}
