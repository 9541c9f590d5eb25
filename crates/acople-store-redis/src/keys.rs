//! The life of master keys: recognising them and counting their uses, for all processes together.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use acople_core::{Error, Result};
use acople_seal::MasterKey;
use redis::cmd;

use crate::names::single;
use crate::store::Inner;

/// Uses that a process takes from the server at once: what it does not need of them is never used.
const RESERVE: u64 = 1024;

/// The uses of the newest key that this process has reserved and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<u64>);

impl Inner {
    /// Refuses a key that is not the one which the store knows by its id.
    pub(crate) async fn check_keys(&self) -> Result<()> {
        let rows: HashMap<String, Vec<u8>> =
            self.connection.command(cmd("HGETALL").arg(single(&self.prefix, "key-checks"))).await?;
        for key in self.sealer.keyring().keys() {
            if rows.get(key.id()).is_some_and(|check_row| !key.recognises(check_row)) {
                return Err(self.not_the_one(key));
            }
        }
        Ok(())
    }

    /// Counts `wraps` more uses of a key, before they happen.
    pub(crate) async fn charge(&self, key: &MasterKey, wraps: u64) -> Result<()> {
        {
            let mut reserve = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(left) = reserve.checked_sub(wraps) {
                *reserve = left;
                return Ok(());
            }
        }
        let took = if self.take(key, wraps.saturating_add(RESERVE)).await? {
            RESERVE
        } else if self.take(key, wraps).await? {
            // Near the end every use counts.
            0
        } else {
            return Err(self.spent(key));
        };
        let mut reserve = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        *reserve = reserve.saturating_add(took);
        Ok(())
    }

    async fn take(&self, key: &MasterKey, uses: u64) -> Result<bool> {
        let (counts, checks) = (single(&self.prefix, "key-uses"), single(&self.prefix, "key-checks"));
        let (uses, limit) = (uses.to_string(), self.wrap_limit.to_string());
        // In case that the server does not know the key: making the row is a use as well.
        let check_row = key.check_row()?;
        let (left, known): (bool, Vec<u8>) = self
            .connection
            .run(
                &self.scripts.charge_key,
                &[&counts, &checks],
                &[key.id().as_bytes(), uses.as_bytes(), limit.as_bytes(), &check_row],
            )
            .await?;
        // Another process may have been first, with another key of this id.
        if key.recognises(&known) { Ok(left) } else { Err(self.not_the_one(key)) }
    }

    fn not_the_one(&self, key: &MasterKey) -> Error {
        Error::config(
            "master_key",
            format!(
                "master key {:?} is not the one that {} was written with",
                key.id(),
                self.connection.name
            ),
        )
    }

    fn spent(&self, key: &MasterKey) -> Error {
        Error::config(
            "master_key",
            format!(
                "master key {:?} of {} has encrypted all the records it may ({}): open the store with a new key \
                 and keep this one as an old key",
                key.id(),
                self.connection.name,
                self.wrap_limit
            ),
        )
    }
}
