//! Which connections are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use acople_core::ConnectionKey;
use tokio::time::Instant;

use crate::config::{HealthConfig, Limits};
use crate::connection::{Connection, millis};
use crate::connector::Connector;
use crate::names::OTHER;

/// Owns connections and connectors. Recorders hold them weakly, so that forgetting one frees it.
pub(crate) struct Registry {
    limits: Limits,
    pub(crate) health: HealthConfig,
    started: Instant,
    kept: Mutex<Kept>,
    #[cfg(feature = "metrics")]
    exporter: Option<crate::export::Exporter>,
}

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) connectors: HashMap<String, Arc<Connector>>,
    pub(crate) connections: HashMap<ConnectionKey, Arc<Connection>>,
    pub(crate) forgotten: u64,
    admissions: u64,
}

impl Registry {
    pub(crate) fn new(
        limits: Limits,
        health: HealthConfig,
        #[cfg(feature = "metrics")] exporter: Option<crate::export::Exporter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            health,
            started: Instant::now(),
            kept: Mutex::default(),
            #[cfg(feature = "metrics")]
            exporter,
        })
    }

    /// Milliseconds since the start, on tokio's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        // Maps are whole between statements: a panic elsewhere cannot leave them half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connector of an id; one for all that are too many.
    pub(crate) fn connector(&self, id: &str) -> Arc<Connector> {
        let mut kept = self.lock();
        let full = kept.connectors.len() >= self.limits.connectors;
        let id = if full && !kept.connectors.contains_key(id) { OTHER } else { id };
        let connectors = &mut kept.connectors;
        let connector = connectors.entry(id.to_owned()).or_insert_with(|| {
            Arc::new(Connector::new(
                id,
                &self.limits,
                #[cfg(feature = "metrics")]
                self.exporter.as_ref(),
            ))
        });
        connector.clone()
    }

    /// A connection, kept from now on; the idlest are forgotten where there is no room.
    pub(crate) fn admit(&self, key: &ConnectionKey, connector: &Arc<Connector>) -> Arc<Connection> {
        self.admit_to(&mut self.lock(), key, connector)
    }

    /// The same where nobody may wait: `None` while somebody looks at all connections.
    pub(crate) fn try_admit(
        &self,
        key: &ConnectionKey,
        connector: &Arc<Connector>,
    ) -> Option<Arc<Connection>> {
        let mut kept = match self.kept.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(kept)) => kept.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.admit_to(&mut kept, key, connector))
    }

    fn admit_to(&self, kept: &mut Kept, key: &ConnectionKey, connector: &Arc<Connector>) -> Arc<Connection> {
        if let Some(connection) = kept.connections.get(key) {
            return connection.clone();
        }
        if kept.connections.len() >= self.limits.connections {
            kept.forget((self.limits.connections / 32).max(1));
        }
        let (key, connector) = (key.clone(), connector.clone());
        let admitted = (self.now_ms(), kept.admissions);
        let connection = Connection::new(key.clone(), connector, admitted, &self.limits, &self.health);
        let connection = Arc::new(connection);
        kept.admissions += 1;
        kept.connections.insert(key, connection.clone());
        connection
    }
}

impl Kept {
    /// Forgets the connections that have been idle for longest. Several at once: looking for them takes a look at all.
    fn forget(&mut self, number: usize) {
        let mut idle: Vec<_> = self.connections.values().map(|c| (c.active(), c.key.clone())).collect();
        let last = number.min(idle.len()).saturating_sub(1);
        if idle.is_empty() {
            return;
        }
        idle.select_nth_unstable(last);
        for (_, key) in idle.into_iter().take(last + 1) {
            if let Some(connection) = self.connections.remove(&key) {
                // A recorder may hold it a moment longer; the connector's sum must not go back meanwhile.
                connection.tally.move_to(&connection.connector.gone);
                self.forgotten += 1;
            }
        }
    }
}
