//! The store itself: connections, statements, keys.

use std::fmt;
use std::sync::Arc;

use acople_core::{Error, Result, Secret};
use acople_seal::{Place, Sealer};
use zeroize::Zeroizing;

use crate::PostgresStoreBuilder;
use crate::connection::Connections;
use crate::keys::Uses;
use crate::shelf::Shelf;
use crate::statements::Statements;

/// Checkpoints, tokens, leases, secrets and quarantine in one schema of a PostgreSQL database.
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
    pub(crate) tokens: Shelf,
    pub(crate) secrets: Shelf,
    pub(crate) sealer: Sealer,
    pub(crate) uses: Uses,
    pub(crate) max_state: usize,
    pub(crate) wrap_limit: u64,
}

impl Inner {
    /// The error that says that keys are needed, when there are none.
    pub(crate) fn must_seal(&self) -> Result<()> {
        if self.sealer.seals() {
            return Ok(());
        }
        Err(Error::config(
            "master_key",
            format!(
                "{} keeps tokens and secrets only encrypted: open it with a master key",
                self.connections.name
            ),
        ))
    }

    /// Seals, and counts the use of the key.
    pub(crate) async fn seal(&self, place: &Place<'_>, text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>> {
        let key = self.sealer.fresh_key(place).await?;
        if let Some(master) = key.master() {
            self.charge(master, 1).await?;
        }
        key.seal(place, text)
    }
}

/// What is added to a generation, at least 1.
///
/// By chance, so that a generation names one write and no other: a write whose answer was lost is recognised by
/// it, and a generation that a failover has lost does not come back for another write.
pub(crate) fn step() -> i64 {
    i64::from(fastrand::u32(..)) + 1
}
