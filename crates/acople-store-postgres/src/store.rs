//! The store itself: connections, statements, keys.

use std::fmt;
use std::sync::Arc;

use acople_core::{Error, Result, Secret};
use acople_seal::{MasterKey, Sealer};

use crate::PostgresStoreBuilder;
use crate::connection::Connections;
use crate::keys::Uses;
use crate::statements::Statements;

/// Checkpoints, tokens, leases and quarantine in one schema of a PostgreSQL database.
///
/// Any number of processes may share it. Cheap to clone: clones share the connections, which are made when they
/// are needed and closed with the last clone. Each connection has a task on the tokio runtime that made it.
#[derive(Clone)]
pub struct PostgresStore(pub(crate) Arc<Inner>);

impl PostgresStore {
    /// Starts from the default options and an address: a URL such as `postgresql://acople@db.example.com/acople`,
    /// or a text of `key=value` pairs, as in
    /// [PostgreSQL's own](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING).
    ///
    /// It may hold the password, and so it is a secret.
    pub fn builder(address: impl Into<Secret>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(address.into())
    }

    /// Asks the server for a sign of life, within the store's patience.
    ///
    /// # Errors
    /// `Transient` or `Timeout` when there is none.
    pub async fn ping(&self) -> Result<()> {
        self.0.connections.query("SELECT 1", &[]).await.map(|_| ())
    }

    /// Closes the connections of all clones. Later calls fail with `Config`; dropping the last clone does the same.
    pub fn close(&self) {
        self.0.connections.pool.close();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("name", &self.0.connections.name)
            .field("sealer", &self.0.sealer)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) connections: Connections,
    pub(crate) statements: Statements,
    pub(crate) sealer: Sealer,
    pub(crate) uses: Uses,
    pub(crate) max_state: usize,
    pub(crate) wrap_limit: u64,
}

impl Inner {
    /// The key that seals, or the error that says that one is needed.
    pub(crate) fn master_key(&self) -> Result<&MasterKey> {
        self.sealer.keyring().newest().ok_or_else(|| {
            Error::config(
                "master_key",
                format!("{} keeps tokens only encrypted: open it with a master key", self.connections.name),
            )
        })
    }
}

/// What is added to a generation, at least 1.
///
/// By chance, so that a generation names one write and no other: a write whose answer was lost is recognised by
/// it, and a generation that a failover has lost does not come back for another write.
pub(crate) fn step() -> i64 {
    i64::from(fastrand::u32(..)) + 1
}
