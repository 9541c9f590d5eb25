//! Bounds and thresholds.

use std::time::Duration;

use acople_core::{Error, Result};

use crate::Collector;
use crate::registry::Registry;

/// How much is kept. What goes beyond is counted under `other`; connections are forgotten instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connectors: 128.
    pub connectors: usize,
    /// Connections, about 12 KB each: 1,000. When there are more, those that have been idle for longest are
    /// forgotten (a thirty-second at once); their counts stay in their connector's.
    pub connections: usize,
    /// Operations of a connector: 64.
    pub operations: usize,
    /// Limiter buckets of a connection: 16.
    pub buckets: usize,
    /// Breaker classes of a connection: 8.
    pub breaker_classes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connectors: 128, connections: 1000, operations: 64, buckets: 16, breaker_classes: 8 }
    }
}

/// When a connection is called what.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthConfig {
    /// How far back calls, probes and breakers count, to a thirtieth: 5 minutes. Longer than the time between two
    /// probes.
    pub window: Duration,
    /// Fewer calls in the window say nothing: 10.
    pub minimum: u64,
    /// The success rate (0 to 1) below which a connection is degraded: 0.95.
    pub degraded_below: f64,
    /// The success rate (0 to 1) below which it is unhealthy: 0.5.
    pub unhealthy_below: f64,
    /// How long a probe may take: 10 s.
    pub probe_deadline: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            minimum: 10,
            degraded_below: 0.95,
            unhealthy_below: 0.5,
            probe_deadline: Duration::from_secs(10),
        }
    }
}

/// Makes a [`Collector`].
#[derive(Debug, Default)]
pub struct Builder {
    limits: Limits,
    health: HealthConfig,
    #[cfg(feature = "metrics")]
    exporter: Option<crate::export::Exporter>,
}

impl Builder {
    /// Replaces the bounds.
    ///
    /// ```
    /// use acople_monitor::{Collector, Limits};
    ///
    /// let mut limits = Limits::default();
    /// limits.connections = 200;
    /// let collector = Collector::builder().limits(limits).build()?;
    /// # Ok::<(), acople_core::Error>(())
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Replaces the thresholds.
    pub fn health(mut self, health: HealthConfig) -> Self {
        self.health = health;
        self
    }

    /// Exports through the recorder that the host has installed with the `metrics` crate. Install it before the first
    /// connection is made: a metric's handle is asked for once and kept.
    #[cfg(feature = "metrics")]
    pub fn export(mut self) -> Self {
        self.exporter = Some(crate::export::Exporter::installed());
        self
    }

    /// Exports through a recorder of the host's own, installed or not.
    #[cfg(feature = "metrics")]
    pub fn export_to(mut self, recorder: std::sync::Arc<dyn metrics::Recorder + Send + Sync>) -> Self {
        self.exporter = Some(crate::export::Exporter::to(recorder));
        self
    }

    /// Makes the collector.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config) with the setting that cannot be.
    pub fn build(self) -> Result<Collector> {
        let Limits { connectors, connections, operations, buckets, breaker_classes } = self.limits;
        let sizes = [
            ("limits.connectors", connectors),
            ("limits.connections", connections),
            ("limits.operations", operations),
            ("limits.buckets", buckets),
            ("limits.breaker_classes", breaker_classes),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| !(1..=1_000_000).contains(size)) {
            return Err(Error::config(field, "must be between 1 and 1,000,000"));
        }
        let HealthConfig { window, degraded_below, unhealthy_below, probe_deadline, .. } = self.health;
        if window < Duration::from_secs(1) || window > Duration::from_secs(7 * 86_400) {
            return Err(Error::config("health.window", "must be between a second and a week"));
        }
        if !(0.0..=1.0).contains(&degraded_below) {
            return Err(Error::config("health.degraded_below", "must be between 0 and 1"));
        }
        if !(0.0..=degraded_below).contains(&unhealthy_below) {
            return Err(Error::config("health.unhealthy_below", "must be between 0 and degraded_below"));
        }
        if probe_deadline.is_zero() {
            return Err(Error::config("health.probe_deadline", "must be longer than 0"));
        }
        Ok(Collector(Registry::new(
            self.limits,
            self.health,
            #[cfg(feature = "metrics")]
            self.exporter,
        )))
    }
}
