#![doc = include_str!("../README.md")]

mod collector;
mod config;
mod connection;
mod connector;
#[cfg(feature = "metrics")]
mod export;
mod health;
mod histogram;
mod kind;
mod names;
mod probe;
mod recorder;
mod registry;
mod retirement;
mod snapshot;
mod tally;
mod window;

pub use collector::Collector;
pub use config::{Builder, HealthConfig, Limits};
pub use health::{ConnectionHealth, ConnectorHealth, HealthReport, Probed, Reason, Status, StatusCounts};
pub use histogram::Histogram;
pub use probe::Probes;
pub use retirement::Retirement;
pub use snapshot::{
    BreakerSnapshot, CacheSnapshot, ConnectionSnapshot, ConnectorSnapshot, Latency, OperationSnapshot,
    Snapshot, Traffic, Waits,
};
