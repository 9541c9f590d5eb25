//! What a client is handed to tell its work to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use acople_core::{ConnectionKey, Recorder, Signal, Watched};
use arc_swap::ArcSwapWeak;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::registry::Registry;
use crate::tally::Attempt;

/// One client's way to its connection. A connection that was forgotten is back, counting from zero, when it works again.
pub(crate) struct ConnectionRecorder {
    key: ConnectionKey,
    host: String,
    connector: Arc<Connector>,
    registry: Arc<Registry>,
    connection: ArcSwapWeak<Connection>,
}

impl ConnectionRecorder {
    pub(crate) fn new(registry: Arc<Registry>, watched: &Watched) -> Self {
        let (key, host) = (watched.key(), watched.host.clone());
        let connector = registry.connector(&key.connector);
        let connection = registry.admit(&key, &connector);
        name_host(&connection.host, &host);
        let connection = ArcSwapWeak::new(Arc::downgrade(&connection));
        Self { key, host, connector, registry, connection }
    }

    /// The connection; `None` when it was forgotten and cannot be had again at this moment.
    fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.load().upgrade().or_else(|| self.again())
    }

    #[cold]
    fn again(&self) -> Option<Arc<Connection>> {
        let connection = self.registry.try_admit(&self.key, &self.connector)?;
        name_host(&connection.host, &self.host);
        self.connection.store(Arc::downgrade(&connection));
        Some(connection)
    }
}

impl Recorder for ConnectionRecorder {
    fn record(&self, signal: &Signal<'_>) {
        let connection = self.connection();
        let tally = || connection.as_ref().map_or(&self.connector.gone, |connection| &connection.tally);
        match *signal {
            Signal::Attempt { operation, status, error, number, took, sent, received } => {
                let operation = self.connector.operation(operation);
                let attempt = Attempt { status, error, number, took, sent, received };
                #[cfg(feature = "metrics")]
                if let (Some(export), Some(operation)) = (self.connector.export(), &operation.export) {
                    export.attempt(operation, &attempt);
                }
                tally().attempt(operation.number, &attempt);
            }
            Signal::Call { operation, error, attempts, took } => {
                let operation = self.connector.operation(operation);
                #[cfg(feature = "metrics")]
                if let (Some(export), Some(operation)) = (self.connector.export(), &operation.export) {
                    export.call(operation, error, took);
                }
                match &connection {
                    Some(connection) => {
                        let now_ms = self.registry.now_ms();
                        connection.call(now_ms, operation.number, error, attempts, took);
                    }
                    None => tally().call(operation.number, error, took),
                }
            }
            Signal::Waited { cause, wait } => {
                #[cfg(feature = "metrics")]
                if let Some(export) = self.connector.export() {
                    export.waited(cause, wait);
                }
                tally().waited(cause, wait);
            }
            Signal::Cache { operation, found } => {
                let operation = self.connector.operation(operation);
                #[cfg(feature = "metrics")]
                if let (Some(export), Some(operation)) = (self.connector.export(), &operation.export) {
                    export.cache(operation, found);
                }
                tally().cache(operation.number, found);
            }
            Signal::Breaker { class, state } => {
                if let Some(connection) = &connection {
                    connection.breaker(self.registry.now_ms(), class, state);
                }
            }
            Signal::Quota { bucket, remaining } => {
                if let Some(connection) = &connection {
                    connection.quota(bucket, remaining);
                }
            }
            Signal::Retiring { class, ends, .. } => {
                self.connector.retiring.announce(ends);
                if let Some(connection) = &connection {
                    connection.retiring(class, ends);
                }
            }
            // Signals that are newer than this crate.
            _ => {}
        }
    }
}

impl fmt::Debug for ConnectionRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionRecorder").field("connection", &self.key).finish_non_exhaustive()
    }
}

/// A connection's first host is the one shown.
fn name_host(shown: &OnceLock<String>, host: &str) {
    if !host.is_empty() {
        shown.get_or_init(|| host.to_owned());
    }
}
