//! How connections are.

use std::sync::Arc;

use acople_core::{BreakerState, ErrorKind};
use serde::Serialize;

use crate::config::HealthConfig;
use crate::connection::{Connection, millis};
use crate::connector::Connector;
use crate::kind;
use crate::names::printable;
use crate::registry::{Kept, Registry};
use crate::retirement::Retirement;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Works.
    Healthy,
    /// Works in part: have a look.
    Degraded,
    /// Does not work.
    Unhealthy,
    /// Too little happened of late to say.
    Unknown,
}

/// Why something is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The credentials are finished: connect the account again. Stands until a call or a probe succeeds.
    Reauth,
    /// A circuit breaker is open.
    BreakerOpen,
    /// A circuit breaker lets only probes through.
    BreakerHalfOpen,
    /// Too many calls failed.
    SuccessRate,
    /// The last probe failed.
    Probe,
    /// Too many of the connector's connections are unhealthy.
    Connections,
}

/// How a connection is.
///
/// The success rate looks at the calls of the window that reached the vendor. A call that the vendor refused
/// (`invalid`, `not_found`, `permission`, `conflict`, `cursor_expired`) counts as one that works; `transient`,
/// `timeout`, `ambiguous`, `protocol` and `internal` count as failed; the rest (limits, cancelled calls, our own
/// refusals) counts as neither.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConnectionHealth {
    /// The connector's id.
    pub connector: String,
    /// The host's customer.
    pub tenant: String,
    /// The connection's name.
    pub connection: String,
    /// How it is.
    pub status: Status,
    /// Why it is not healthy.
    pub reason: Option<Reason>,
    /// The share (0 to 1) of calls of the window that succeeded; `None` when there were none.
    pub success_rate: Option<f64>,
    /// Calls of the window that were looked at.
    pub calls: u64,
    /// Seconds since a call that reached the vendor last ended; `None`: none did.
    pub last_request_seconds_ago: Option<f64>,
    /// What a call or probe last failed with, however long ago.
    pub last_error: Option<ErrorKind>,
    /// Seconds since then.
    pub last_error_seconds_ago: Option<f64>,
    /// The worst state of its breakers, if one said something within the window.
    pub breaker: Option<BreakerState>,
    /// What the last probe found.
    pub probe: Option<Probed>,
    /// The vendor is going to retire what the connection calls; with the earliest end. No reason to call it anything
    /// but healthy until then: see to it in time.
    pub retirement: Option<Retirement>,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Probed {
    /// How long ago, in seconds.
    pub seconds_ago: f64,
    /// Whether the connection passed.
    pub ok: bool,
    /// What it failed with.
    pub error: Option<ErrorKind>,
}

/// How a connector is: the calls of all its connections together, and how many of these are unhealthy. The worse
/// of the two counts; one customer's finished credentials do not make a connector of a thousand degraded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConnectorHealth {
    /// The connector's id.
    pub connector: String,
    /// How it is.
    pub status: Status,
    /// Why it is not healthy.
    pub reason: Option<Reason>,
    /// The share (0 to 1) of calls of the window that succeeded; `None` when there were none.
    pub success_rate: Option<f64>,
    /// Calls of the window that were looked at.
    pub calls: u64,
    /// Its connections.
    pub connections: StatusCounts,
    /// The vendor is going to retire what some of its connections call, also of those forgotten; with the earliest end.
    pub retirement: Option<Retirement>,
}

/// How many connections are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StatusCounts {
    /// Connections that work.
    pub healthy: u64,
    /// Connections that work in part.
    pub degraded: u64,
    /// Connections that do not work.
    pub unhealthy: u64,
    /// Connections of which too little is known.
    pub unknown: u64,
}

/// How everything is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthReport {
    /// Each connector, by id.
    pub connectors: Vec<ConnectorHealth>,
    /// Each connection that is kept, by connector, tenant and name.
    pub connections: Vec<ConnectionHealth>,
}

pub(crate) fn report(registry: &Registry) -> HealthReport {
    let now_ms = registry.now_ms();
    let kept = registry.lock();
    let (connectors, connections) = (kept.connectors_sorted(), kept.connections_sorted());
    drop(kept);
    let health = &registry.health;
    HealthReport {
        connectors: connectors.iter().map(|c| of_connector(c, &connections, health, now_ms)).collect(),
        connections: connections.iter().map(|c| of_connection(c, health, now_ms)).collect(),
    }
}

pub(crate) fn of_connection(connection: &Connection, config: &HealthConfig, now_ms: u64) -> ConnectionHealth {
    let ago = |at: u64| now_ms.saturating_sub(at);
    let window = millis(config.window);
    let (good, bad) = connection.window.totals(now_ms);
    let breakers = connection.breakers.iter().map(|(_, breaker)| breaker);
    // A breaker closes without saying so when another connection shares it: old news does not count.
    let recent = breakers.filter(|b| b.changed().is_some_and(|at| ago(at) <= window));
    let breaker = recent.map(crate::connection::Breaker::state).max_by_key(|state| match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    });
    let probe = connection.last_probe().map(|(at, error)| Probed {
        seconds_ago: seconds(ago(at)),
        ok: error.is_none(),
        error: error.and_then(kind::at),
    });
    let probe_passed =
        connection.last_probe().filter(|(at, _)| ago(*at) <= window).map(|(_, error)| error.is_none());
    let (status, reason) = if connection.needs_reauth() {
        (Status::Unhealthy, Some(Reason::Reauth))
    } else if breaker == Some(BreakerState::Open) {
        (Status::Unhealthy, Some(Reason::BreakerOpen))
    } else {
        by_calls(good, bad, probe_passed, breaker == Some(BreakerState::HalfOpen), config)
    };
    ConnectionHealth {
        connector: printable(&connection.key.connector),
        tenant: printable(&connection.key.tenant),
        connection: printable(&connection.key.connection),
        status,
        reason,
        success_rate: share(good, good + bad),
        calls: good + bad,
        last_request_seconds_ago: connection.last_request().map(|at| seconds(ago(at))),
        last_error: connection.last_error().and_then(|(_, error)| kind::at(error)),
        last_error_seconds_ago: connection.last_error().map(|(at, _)| seconds(ago(at))),
        breaker,
        probe,
        retirement: connection.retirements().map(|(_, retirement)| retirement).reduce(Retirement::earlier),
    }
}

pub(crate) fn of_connector(
    connector: &Arc<Connector>,
    connections: &[Arc<Connection>],
    config: &HealthConfig,
    now_ms: u64,
) -> ConnectorHealth {
    let (mut good, mut bad, mut counts) = (0, 0, StatusCounts::default());
    for connection in connections.iter().filter(|c| Arc::ptr_eq(&c.connector, connector)) {
        let (ok, failed) = connection.window.totals(now_ms);
        (good, bad) = (good + ok, bad + failed);
        *counts.of(of_connection(connection, config, now_ms).status) += 1;
    }
    let known = counts.healthy + counts.degraded + counts.unhealthy;
    let by_connections = match share(known - counts.unhealthy, known) {
        None => (Status::Unknown, None),
        Some(share) => judge(share, Reason::Connections, config),
    };
    let by_rate = match share(good, good + bad) {
        Some(share) if good + bad >= config.minimum => judge(share, Reason::SuccessRate, config),
        _ => (Status::Unknown, None),
    };
    let worse = if badness(by_rate.0) >= badness(by_connections.0) { by_rate } else { by_connections };
    ConnectorHealth {
        connector: printable(&connector.id),
        status: worse.0,
        reason: worse.1,
        success_rate: share(good, good + bad),
        calls: good + bad,
        connections: counts,
        retirement: connector.retiring.get(),
    }
}

/// Seconds of milliseconds.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// A share; `None` of nothing.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Kept {
    pub(crate) fn connectors_sorted(&self) -> Vec<Arc<Connector>> {
        let mut connectors: Vec<_> = self.connectors.values().cloned().collect();
        connectors.sort_by(|a, b| a.id.cmp(&b.id));
        connectors
    }

    pub(crate) fn connections_sorted(&self) -> Vec<Arc<Connection>> {
        let mut connections: Vec<_> = self.connections.values().cloned().collect();
        connections.sort_by(|a, b| (&a.connector.id, &a.key).cmp(&(&b.connector.id, &b.key)));
        connections
    }
}

impl StatusCounts {
    fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Healthy => &mut self.healthy,
            Status::Degraded => &mut self.degraded,
            Status::Unhealthy => &mut self.unhealthy,
            Status::Unknown => &mut self.unknown,
        }
    }
}

fn by_calls(
    good: u64,
    bad: u64,
    probe_passed: Option<bool>,
    half_open: bool,
    config: &HealthConfig,
) -> (Status, Option<Reason>) {
    let judged = match (share(good, good + bad), probe_passed) {
        // Calls know more than a probe does, but a check that fails is a fact.
        (Some(share), passed) if good + bad >= config.minimum => {
            match judge(share, Reason::SuccessRate, config) {
                (Status::Healthy, _) if passed == Some(false) => (Status::Degraded, Some(Reason::Probe)),
                judged => judged,
            }
        }
        (_, Some(true)) => (Status::Healthy, None),
        (_, Some(false)) => (Status::Unhealthy, Some(Reason::Probe)),
        (_, None) => (Status::Unknown, None),
    };
    match judged.0 {
        Status::Healthy | Status::Unknown if half_open => (Status::Degraded, Some(Reason::BreakerHalfOpen)),
        _ => judged,
    }
}

fn judge(share: f64, reason: Reason, config: &HealthConfig) -> (Status, Option<Reason>) {
    if share < config.unhealthy_below {
        (Status::Unhealthy, Some(reason))
    } else if share < config.degraded_below {
        (Status::Degraded, Some(reason))
    } else {
        (Status::Healthy, None)
    }
}

fn badness(status: Status) -> u8 {
    match status {
        Status::Unknown => 0,
        Status::Healthy => 1,
        Status::Degraded => 2,
        Status::Unhealthy => 3,
    }
}
