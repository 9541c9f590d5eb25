//! The life of master keys: recognising them and counting their uses, for all processes together.

use std::sync::{Mutex, PoisonError};

use acople_core::{Error, Result};
use acople_seal::MasterKey;

use crate::schema::get;
use crate::store::Inner;

/// Uses that a process takes from the database at once: what it does not need of them is never used.
const RESERVE: u64 = 1024;

/// The uses of the newest key that this process has reserved.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<Reserve>);

#[derive(Debug, Default)]
struct Reserve {
    left: u64,
    /// Whether the database knows the key.
    known: bool,
}

impl Inner {
    /// Refuses a key that is not the one which the store knows by its id.
    pub(crate) async fn check_keys(&self) -> Result<()> {
        let rows = self.connections.query(&self.statements.known_keys, &[]).await?;
        for row in &rows {
            let (id, check_row): (&str, &[u8]) = (get(row, 0)?, get(row, 1)?);
            let ours = self.sealer.keyring().keys().find(|key| key.id() == id);
            if ours.is_some_and(|key| !key.recognises(check_row)) {
                return Err(Error::config(
                    "master_key",
                    format!(
                        "master key {id:?} is not the one that {} was written with",
                        self.connections.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Counts `wraps` more uses of a key, before they happen.
    pub(crate) async fn charge(&self, key: &MasterKey, wraps: u64) -> Result<()> {
        let known = {
            let mut reserve = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(left) = reserve.left.checked_sub(wraps) {
                reserve.left = left;
                return Ok(());
            }
            reserve.known
        };
        if !known {
            let check_row = key.check_row()?;
            self.connections.query(&self.statements.learn_key, &[&key.id(), &check_row]).await?;
            // Another process may have been first, with another key of this id.
            self.check_keys().await?;
        }
        let took = match self.take(key, wraps.saturating_add(RESERVE)).await? {
            true => RESERVE,
            // Near the end every use counts.
            false if self.take(key, wraps).await? => 0,
            false => return Err(self.spent(key)),
        };
        let mut reserve = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        reserve.known = true;
        reserve.left = reserve.left.saturating_add(took);
        Ok(())
    }

    async fn take(&self, key: &MasterKey, uses: u64) -> Result<bool> {
        let (uses, limit) = (integer(uses), integer(self.wrap_limit));
        let rows = self.connections.query(&self.statements.charge_key, &[&key.id(), &uses, &limit]).await?;
        Ok(!rows.is_empty())
    }

    fn spent(&self, key: &MasterKey) -> Error {
        Error::config(
            "master_key",
            format!(
                "master key {:?} of {} has encrypted all the records it may ({}): open the store with a new key \
                 and keep this one as an old key",
                key.id(),
                self.connections.name,
                self.wrap_limit
            ),
        )
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
