//! Checks of connections that nobody else would use in time.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{ConnectionKey, Connector, Context, ErrorKind};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::Collector;
use crate::health::{self, ConnectionHealth};

impl Collector {
    /// Checks a connection ([`Connector::check`]) within [`HealthConfig::probe_deadline`](crate::HealthConfig) and
    /// takes what it found into the connection's health. `key` names the connection as its clients do
    /// ([`Resources::connection_key`](acople_core::Resources::connection_key)).
    ///
    /// A check that is refused for whatever reason counts as failed, except where a limit refused it or the caller
    /// gave up: that says nothing. A panic in the connector counts as `internal`. Only the kind of an error is kept.
    ///
    /// Dropping the future ends the check and counts for nothing.
    pub async fn probe(
        &self,
        key: &ConnectionKey,
        connector: &dyn Connector,
        cx: &Context,
    ) -> ConnectionHealth {
        let registry = &self.0;
        let deadline = registry.health.probe_deadline;
        let cx = match Instant::now().checked_add(deadline) {
            Some(at) => cx.clone().with_deadline(at.into_std()),
            None => cx.clone(),
        };
        // The connector keeps the deadline by itself; the timer is for one that does not.
        let check = AssertUnwindSafe(async { connector.check(&cx).await }).catch_unwind();
        let error = match tokio::time::timeout(deadline, check).await {
            Ok(Ok(Ok(_))) => None,
            Ok(Ok(Err(error))) => Some(error.kind()),
            Ok(Err(_panic)) => Some(ErrorKind::Internal),
            Err(_elapsed) => Some(ErrorKind::Timeout),
        };
        let connection = registry.admit(key, &registry.connector(&key.connector));
        let now_ms = registry.now_ms();
        connection.probed(now_ms, error);
        health::of_connection(&connection, &registry.health, now_ms)
    }
}

/// Probes connections again and again: a future that the host spawns, or polls where it likes.
///
/// ```no_run
/// # async fn example(connector: std::sync::Arc<dyn acople_core::Connector>) {
/// use acople_core::{ConnectionKey, Context};
/// use acople_monitor::{Collector, Probes};
/// use std::time::Duration;
///
/// let collector = Collector::new();
/// let probes = Probes::new(&collector)
///     .interval(Duration::from_secs(60))
///     .add(ConnectionKey::new("hubspot", "main"), connector, Context::new());
/// let task = tokio::spawn(probes.run());
/// // ...
/// task.abort();
/// # }
/// ```
pub struct Probes {
    collector: Collector,
    targets: Vec<Target>,
    interval: Duration,
    jitter: f64,
    concurrency: usize,
}

struct Target {
    key: ConnectionKey,
    connector: Arc<dyn Connector>,
    cx: Context,
}

impl Probes {
    /// Nothing to probe yet; every minute, give or take a tenth, four at a time.
    pub fn new(collector: &Collector) -> Self {
        let interval = Duration::from_secs(60);
        Self { collector: collector.clone(), targets: Vec::new(), interval, jitter: 0.1, concurrency: 4 }
    }

    /// Sets the time between the end of a connection's probe and the beginning of its next; a millisecond at least.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the share (0 to 1) by which each interval is shorter or longer at random, so that probes spread out.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        self
    }

    /// Sets how many connections are probed at a time; one at least.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Adds a connection and the context of its probes.
    pub fn add(mut self, key: ConnectionKey, connector: Arc<dyn Connector>, cx: Context) -> Self {
        self.targets.push(Target { key, connector, cx });
        self
    }

    /// Probes until it is dropped, each connection once at the start. Returns only when there is nothing to probe.
    pub async fn run(self) {
        let turns = Semaphore::new(self.concurrency);
        join_all(self.targets.iter().map(|target| self.again_and_again(target, &turns))).await;
    }

    async fn again_and_again(&self, target: &Target, turns: &Semaphore) {
        loop {
            // Never closed, so never an error.
            let turn = turns.acquire().await;
            self.collector.probe(&target.key, &*target.connector, &target.cx).await;
            drop(turn);
            let stretch = 1.0 + self.jitter * (2.0 * fastrand::f64() - 1.0);
            // At least a moment: a loop without a pause would keep the runtime to itself.
            tokio::time::sleep(self.interval.mul_f64(stretch).max(Duration::from_millis(1))).await;
        }
    }
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes")
            .field("connections", &self.targets.len())
            .field("interval", &self.interval)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
