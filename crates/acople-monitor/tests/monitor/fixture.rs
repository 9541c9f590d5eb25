//! Signals as a client sends them.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{ConnectionKey, ErrorKind, Monitor, Recorder, Signal, Watched};
use acople_monitor::{Collector, ConnectionHealth, ConnectionSnapshot, ConnectorSnapshot};

pub(crate) const CONNECTOR: &str = "hubspot";

pub(crate) fn watch(collector: &Collector, tenant: &str) -> Arc<dyn Recorder> {
    collector.watch(&Watched::new(CONNECTOR, "api.hubapi.com").of("main", tenant))
}

pub(crate) fn key(tenant: &str) -> ConnectionKey {
    ConnectionKey::new(CONNECTOR, "main").with_tenant(tenant)
}

/// A call of one attempt that took 10 ms.
pub(crate) fn call(recorder: &dyn Recorder, operation: &'static str, error: Option<ErrorKind>) {
    let took = Duration::from_millis(10);
    let status = status(error);
    recorder.record(&Signal::Attempt { operation, status, error, number: 1, took, sent: 10, received: 100 });
    recorder.record(&Signal::Call { operation, error, attempts: 1, took });
}

pub(crate) fn calls(recorder: &dyn Recorder, number: usize, error: Option<ErrorKind>) {
    (0..number).for_each(|_| call(recorder, "list contacts", error));
}

pub(crate) fn status(error: Option<ErrorKind>) -> Option<u16> {
    match error {
        None => Some(200),
        Some(ErrorKind::NotFound) => Some(404),
        Some(ErrorKind::RateLimited) => Some(429),
        Some(ErrorKind::Transient) => Some(503),
        Some(ErrorKind::Timeout | ErrorKind::Ambiguous | ErrorKind::Cancelled) => None,
        Some(_) => Some(400),
    }
}

pub(crate) fn health(collector: &Collector, tenant: &str) -> ConnectionHealth {
    collector.connection_health(&key(tenant)).unwrap()
}

pub(crate) fn connection(collector: &Collector, tenant: &str) -> Option<ConnectionSnapshot> {
    collector.snapshot().connections.into_iter().find(|connection| connection.health.tenant == tenant)
}

pub(crate) fn connector(collector: &Collector) -> ConnectorSnapshot {
    collector.snapshot().connectors.into_iter().find(|c| c.health.connector == CONNECTOR).unwrap()
}
