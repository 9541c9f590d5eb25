//! All numbers at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople_core::BreakerState;
use serde::Serialize;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::health::{self, ConnectionHealth, ConnectorHealth, seconds, share};
use crate::histogram::Histogram;
use crate::kind;
use crate::names::printable;
use crate::registry::Registry;
use crate::retirement::Retirement;
use crate::tally::{STATUS_CLASSES, Tally, WaitTally};

/// All numbers at one moment. Times are seconds, counts are since the collector was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// How long the collector has been there.
    pub uptime_seconds: f64,
    /// Each connector in total, by id.
    pub connectors: Vec<ConnectorSnapshot>,
    /// Each connection that is kept, by connector, tenant and name.
    pub connections: Vec<ConnectionSnapshot>,
    /// How often a connection was forgotten to make room.
    pub forgotten: u64,
}

/// A connector in total.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConnectorSnapshot {
    /// How it is.
    pub health: ConnectorHealth,
    /// What it did, its forgotten connections included.
    pub traffic: Traffic,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// The host of its base URL, where a client named one.
    pub host: Option<String>,
    /// How it is, and whose.
    pub health: ConnectionHealth,
    /// Its breakers, by class.
    pub breakers: BTreeMap<String, BreakerSnapshot>,
    /// Units left of its quotas, by bucket. Beyond the limit of buckets, the last one told stands under `other`.
    pub quotas: BTreeMap<String, u64>,
    /// What the vendor is going to retire, by the class of endpoints. As many classes as breakers have.
    pub retirements: BTreeMap<String, Retirement>,
    /// What it did.
    pub traffic: Traffic,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Traffic {
    /// Attempts that went to the wire.
    pub requests: u64,
    /// Attempts after the first of their call.
    pub retries: u64,
    /// Attempts by the class of their answer's status: `2xx`, or `none` when no answer came.
    pub responses: BTreeMap<&'static str, u64>,
    /// Attempts that failed, by error kind.
    pub request_errors: BTreeMap<&'static str, u64>,
    /// How long attempts took.
    pub request_latency: Latency,
    /// Calls that came to their end.
    pub calls: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that failed, by error kind.
    pub call_errors: BTreeMap<&'static str, u64>,
    /// How long calls took, waits and retries included.
    pub call_latency: Latency,
    /// Waits for the rate limiter.
    pub limit_waits: Waits,
    /// Waits between attempts.
    pub backoff_waits: Waits,
    /// What caches had.
    pub cache: CacheSnapshot,
    /// Bytes of requests' bodies.
    pub bytes_sent: u64,
    /// Bytes of answers' bodies, decompressed.
    pub bytes_received: u64,
    /// Operations, by name; those beyond the limit under `other`.
    pub operations: BTreeMap<String, OperationSnapshot>,
}

/// A latency in seconds. Quantiles are off by 3.2 % at most, as [`Histogram`] says; all are 0 when nothing was
/// measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Their mean, exact.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// What 95 % stay below.
    pub p95: f64,
    /// What 99 % stay below.
    pub p99: f64,
}

/// Waits of one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// How long, all added up.
    pub seconds: f64,
}

/// What caches had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheSnapshot {
    /// Fresh answers.
    pub hits: u64,
    /// Old answers that the vendor confirmed.
    pub revalidated: u64,
    /// Nothing.
    pub misses: u64,
    /// The share (0 to 1) of hits; `None` when no cache was asked. A confirmed answer is no hit: it took a request.
    pub hit_rate: Option<f64>,
}

/// One operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OperationSnapshot {
    /// Attempts that went to the wire.
    pub requests: u64,
    /// Attempts after the first of their call.
    pub retries: u64,
    /// Calls that came to their end.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// The mean of its calls, in seconds; 0 when there were none.
    pub mean: f64,
    /// What caches had.
    pub cache: CacheSnapshot,
}

/// A circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// What it last said that it lets through.
    pub state: BreakerState,
    /// How often it opened.
    pub opened: u64,
    /// How long ago it said so, in seconds.
    pub seconds_ago: f64,
}

pub(crate) fn take(registry: &Registry) -> Snapshot {
    let now_ms = registry.now_ms();
    // Held to the end: a connection that is forgotten meanwhile would be counted twice or not at all.
    let kept = registry.lock();
    let (connectors, connections) = (kept.connectors_sorted(), kept.connections_sorted());
    let connector = |connector: &Arc<Connector>| {
        let sum = Tally::new(registry.limits().operations);
        connector.gone.add_to(&sum);
        let own = connections.iter().filter(|c| Arc::ptr_eq(&c.connector, connector));
        own.for_each(|connection| connection.tally.add_to(&sum));
        ConnectorSnapshot {
            health: health::of_connector(connector, &connections, &registry.health, now_ms),
            traffic: traffic(connector, &sum),
        }
    };
    let connection = |connection: &Arc<Connection>| ConnectionSnapshot {
        host: connection.host.get().map(|host| printable(host)),
        health: health::of_connection(connection, &registry.health, now_ms),
        breakers: breakers(connection, now_ms),
        quotas: quotas(connection),
        retirements: connection.retirements().map(|(class, ends)| (printable(class), ends)).collect(),
        traffic: traffic(&connection.connector, &connection.tally),
    };
    Snapshot {
        uptime_seconds: seconds(now_ms),
        connectors: connectors.iter().map(connector).collect(),
        connections: connections.iter().map(connection).collect(),
        forgotten: kept.forgotten,
    }
}

fn breakers(connection: &Connection, now_ms: u64) -> BTreeMap<String, BreakerSnapshot> {
    let told = connection.breakers.iter().filter_map(|(class, breaker)| {
        let seconds_ago = seconds(now_ms.saturating_sub(breaker.changed()?));
        let opened = breaker.opened.load(Ordering::Relaxed);
        Some((printable(class), BreakerSnapshot { state: breaker.state(), opened, seconds_ago }))
    });
    told.collect()
}

fn quotas(connection: &Connection) -> BTreeMap<String, u64> {
    let told =
        connection.quotas.iter().filter_map(|(bucket, quota)| Some((printable(bucket), quota.remaining()?)));
    told.collect()
}

fn traffic(connector: &Connector, tally: &Tally) -> Traffic {
    let operations: BTreeMap<_, _> = connector
        .operations()
        .filter_map(|(name, number)| {
            let used = tally.used(number)?;
            let calls = load(&used.calls);
            let mean = load(&used.call_us)
                .checked_div(calls)
                .map_or(0.0, |us| Duration::from_micros(us).as_secs_f64());
            let operation = OperationSnapshot {
                requests: load(&used.attempts),
                retries: load(&used.retries),
                calls,
                failed: load(&used.failed),
                mean,
                cache: cache(load(&used.hits), load(&used.revalidated), load(&used.misses)),
            };
            Some((printable(name), operation))
        })
        .collect();
    let sum = |of: fn(&OperationSnapshot) -> u64| operations.values().map(of).sum::<u64>();
    let [limit_waits, backoff_waits, ..] = &tally.waits;
    Traffic {
        requests: sum(|o| o.requests),
        retries: sum(|o| o.retries),
        responses: counted(&tally.statuses, |place| STATUS_CLASSES.get(place).copied()),
        request_errors: counted(&tally.attempt_errors, |place| Some(kind::word(place))),
        request_latency: latency(&tally.attempts),
        calls: sum(|o| o.calls),
        succeeded: sum(|o| o.calls.saturating_sub(o.failed)),
        failed: sum(|o| o.failed),
        call_errors: counted(&tally.call_errors, |place| Some(kind::word(place))),
        call_latency: latency(&tally.calls),
        limit_waits: waits(limit_waits),
        backoff_waits: waits(backoff_waits),
        cache: cache(sum(|o| o.cache.hits), sum(|o| o.cache.revalidated), sum(|o| o.cache.misses)),
        bytes_sent: load(&tally.sent),
        bytes_received: load(&tally.received),
        operations,
    }
}

/// The counters that counted something, by their place's word.
fn counted(
    counters: &[AtomicU64],
    word: impl Fn(usize) -> Option<&'static str>,
) -> BTreeMap<&'static str, u64> {
    let counts =
        counters.iter().enumerate().filter_map(|(place, counter)| Some((word(place)?, load(counter))));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn latency(histogram: &Histogram) -> Latency {
    let seconds = |duration: Option<Duration>| duration.unwrap_or_default().as_secs_f64();
    let [p50, p95, p99] = histogram.quantiles([0.5, 0.95, 0.99]).map(seconds);
    Latency { count: histogram.count(), mean: seconds(histogram.mean()), p50, p95, p99 }
}

fn waits(tally: &WaitTally) -> Waits {
    Waits { count: load(&tally.count), seconds: Duration::from_micros(load(&tally.us)).as_secs_f64() }
}

fn cache(hits: u64, revalidated: u64, misses: u64) -> CacheSnapshot {
    CacheSnapshot { hits, revalidated, misses, hit_rate: share(hits, hits + revalidated + misses) }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
