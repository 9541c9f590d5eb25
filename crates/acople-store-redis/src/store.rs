//! The store itself: its connection, scripts, keys.

use std::fmt;
use std::sync::Arc;

use acople_core::{Error, ErrorKind, Result, Secret};
use acople_seal::{Place, Sealer};
use redis::cmd;
use zeroize::Zeroizing;

use crate::RedisStoreBuilder;
use crate::connection::Connection;
use crate::keys::Uses;
use crate::scripts::Scripts;

/// Checkpoints, tokens, leases, secrets and quarantine under one prefix of a Redis server.
///
/// Any number of processes may share it. Cheap to clone: clones share one connection, which has a task on the tokio
/// runtime that made it.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Inner>);

impl RedisStore {
    /// Starts from the default options and an address, such as `redis://redis.example.com/0`; with the feature `tls`,
    /// `rediss://` as well.
    ///
    /// It may hold the password, and so it is a secret.
    pub fn builder(address: impl Into<Secret>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address.into())
    }

    /// Asks the server for a sign of life, within the store's patience.
    ///
    /// # Errors
    /// `Transient` or `Timeout` when there is none.
    pub async fn ping(&self) -> Result<()> {
        self.0.connection.command::<String>(&cmd("PING")).await.map(|_| ())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("name", &self.0.connection.name)
            .field("sealer", &self.0.sealer)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) connection: Connection,
    pub(crate) scripts: Scripts,
    pub(crate) prefix: String,
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
                self.connection.name
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

    /// What is larger than the store's limit.
    pub(crate) fn too_large(&self, what: &str, length: usize) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("{what} has {length} bytes, more than the store's limit of {}", self.max_state),
        )
    }
}

/// A generation after this one.
///
/// By chance, so that a generation names one write and no other: a write whose answer was lost is recognised by
/// it, and a generation that a failover has lost does not come back for another write.
pub(crate) fn next_generation(current: u64) -> Result<u64> {
    current
        .checked_add(u64::from(fastrand::u32(..)) + 1)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the generations of a record ran out"))
}

/// What a record holds as its generation: `-` and a number when it was removed at it, `-0` when it never was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Live(u64),
    Removed(u64),
}

impl At {
    pub(crate) fn of(text: &str) -> Option<Self> {
        match text.strip_prefix('-') {
            Some(removed) => removed.parse().ok().map(Self::Removed),
            None => text.parse().ok().map(Self::Live),
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Live(generation) => generation.to_string(),
            Self::Removed(generation) => format!("-{generation}"),
        }
    }

    /// The number, whatever it stands for.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Live(generation) | Self::Removed(generation) => generation,
        }
    }
}
