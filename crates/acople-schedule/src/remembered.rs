//! When entries ran last, across restarts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{CheckpointStore, Error, ErrorKind, Generation, Result, StateKey};
use serde::{Deserialize, Serialize};

use crate::Entry;

/// The name under which the scheduler's state lies among that of syncs.
const SYNC: &str = "acople.schedule";

/// When entries ran last.
#[derive(Debug)]
pub(crate) struct Remembered {
    store: Arc<dyn CheckpointStore>,
    generations: Mutex<BTreeMap<StateKey, Generation>>,
}

/// What is stored of an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    v: u8,
    /// The time that the last run was scheduled for, in milliseconds since 1970.
    last: u64,
}

impl Remembered {
    pub(crate) fn new(store: Arc<dyn CheckpointStore>) -> Self {
        Self { store, generations: Mutex::default() }
    }

    pub(crate) async fn load(&self, entry: &Entry) -> Result<Option<SystemTime>> {
        let key = key(entry);
        let Some((state, generation)) = self.store.load(&key).await? else { return Ok(None) };
        self.generations().insert(key, generation);
        let damaged = || {
            let name = &entry.name;
            Error::new(
                ErrorKind::Internal,
                format!("what is stored of the schedule's entry {name:?} is damaged"),
            )
        };
        let stored: Stored = serde_json::from_slice(&state).map_err(|e| damaged().with_source(e))?;
        let last = UNIX_EPOCH.checked_add(Duration::from_millis(stored.last));
        last.filter(|_| stored.v == 1).map(Some).ok_or_else(damaged)
    }

    pub(crate) async fn save(&self, entry: &Entry, last: SystemTime) -> Result<()> {
        let key = key(entry);
        let since = last.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let stored = Stored { v: 1, last: u64::try_from(since).unwrap_or(u64::MAX) };
        let state = serde_json::to_vec(&stored)
            .map_err(|e| Error::new(ErrorKind::Internal, "cannot write the state").with_source(e))?;
        let expected = self.generations().get(&key).copied().unwrap_or_default();
        let saved = match self.store.save(&key, expected, &state).await {
            // Another scheduler over the same store, or a save whose answer was lost: the newest run counts.
            Err(error) if error.kind() == ErrorKind::Fenced => {
                let current = self.store.load(&key).await?.map(|(_, generation)| generation);
                self.store.save(&key, current.unwrap_or_default(), &state).await?
            }
            saved => saved?,
        };
        self.generations().insert(key, saved);
        Ok(())
    }

    pub(crate) async fn forget(&self, tenant: &str, name: &str) -> Result<()> {
        let key = StateKey::new(SYNC, name).with_tenant(tenant);
        self.store.remove(&key).await?;
        self.generations().remove(&key);
        Ok(())
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, BTreeMap<StateKey, Generation>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(entry: &Entry) -> StateKey {
    StateKey::new(SYNC, &*entry.name).with_tenant(&*entry.tenant)
}
