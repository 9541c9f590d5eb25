//! What a host is told of the work that goes on: for metrics, health and dashboards.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{ConnectionKey, ErrorKind};

/// Watches connections at work.
///
/// A host lends one to its connectors ([`Resources::with_monitor`](crate::Resources::with_monitor)).
/// Implementations are called on the hot path: they neither block nor panic.
pub trait Monitor: Send + Sync + fmt::Debug + 'static {
    /// Told that a connection begins to work, once for each client that a connector makes: handles of metrics
    /// are looked up here, and not again for each call.
    fn watch(&self, watched: &Watched) -> Arc<dyn Recorder>;
}

/// Who is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched {
    /// The connector's id (`hubspot`): one of a fixed list, fit for a metric's label.
    pub connector: Cow<'static, str>,
    /// The host of the connection's base URL. Tenants have their own at some vendors: no label.
    pub host: String,
    /// The connection's name among those of its connector and tenant. No label.
    pub connection: String,
    /// The host's customer. No label.
    pub tenant: String,
}

impl Watched {
    /// A connector's connection to a host.
    pub fn new(connector: impl Into<Cow<'static, str>>, host: impl Into<String>) -> Self {
        Self { connector: connector.into(), host: host.into(), ..Self::default() }
    }

    /// Names the connection and the host's customer.
    pub fn of(mut self, connection: impl Into<String>, tenant: impl Into<String>) -> Self {
        (self.connection, self.tenant) = (connection.into(), tenant.into());
        self
    }

    /// Whose work this is: several clients of one connection have one key. A client without a connection's name
    /// goes by its host.
    pub fn key(&self) -> ConnectionKey {
        let name = if self.connection.is_empty() { &self.host } else { &self.connection };
        ConnectionKey::new(self.connector.as_ref(), name).with_tenant(&self.tenant)
    }
}

/// Is told what one connection does.
pub trait Recorder: Send + Sync + fmt::Debug + 'static {
    /// Something happened.
    fn record(&self, signal: &Signal<'_>);
}

/// Something that happened on a connection. Operations and classes are texts of the connector's code, so that
/// there are only so many; buckets may be named after users and are not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// An attempt went to the wire and came to its end.
    Attempt {
        /// What the call does (`list contacts`).
        operation: &'static str,
        /// The answer's status; `None` when no answer came.
        status: Option<u16>,
        /// What it failed with.
        error: Option<ErrorKind>,
        /// 1 for the first attempt of its call.
        number: u32,
        /// From sending the request to the end of the answer.
        took: Duration,
        /// Bytes of the request's body.
        sent: usize,
        /// Bytes of the answer's body, decompressed; 0 for one that is handed out as it comes.
        received: usize,
    },
    /// A call came to its end.
    Call {
        /// What it does.
        operation: &'static str,
        /// What it failed with.
        error: Option<ErrorKind>,
        /// Attempts that went to the wire.
        attempts: u32,
        /// Waits and retries included.
        took: Duration,
    },
    /// A call waited before an attempt.
    Waited {
        /// For what.
        cause: WaitCause,
        /// How long.
        wait: Duration,
    },
    /// A circuit breaker changed.
    Breaker {
        /// The class of endpoints that it guards.
        class: &'static str,
        /// What it lets through now.
        state: BreakerState,
    },
    /// The vendor said what is left of a quota.
    Quota {
        /// The bucket of the limiter.
        bucket: &'a str,
        /// Units left.
        remaining: u64,
    },
    /// A cache was asked.
    Cache {
        /// The operation that asked.
        operation: &'static str,
        /// What it had.
        found: CacheUse,
    },
    /// The vendor said that it is going to retire what a class of endpoints calls: a version of its API. Told by the
    /// first answer that says so, and again when a date comes that was not known or is earlier.
    Retiring {
        /// The class of endpoints.
        class: &'static str,
        /// What the call did whose answer says so.
        operation: &'static str,
        /// When it ends, by the `Sunset` header ([RFC 8594](https://www.rfc-editor.org/rfc/rfc8594)); `None`: the
        /// vendor has not said, or not in a way that can be read.
        ends: Option<SystemTime>,
    },
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitCause {
    /// Its turn at the rate limiter.
    Limit,
    /// The time between two attempts.
    Backoff,
}

/// What a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// A few probes.
    HalfOpen,
}

/// What a cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheUse {
    /// A fresh answer.
    Hit,
    /// An old answer that the vendor confirmed.
    Revalidated,
    /// Nothing.
    Miss,
}
