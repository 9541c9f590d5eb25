//! Where the records of keys are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What is kept of a key. Nobody can make the key of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApiKeyRecord {
    /// Stands in the key in clear: for lists, logs and revocation.
    pub id: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Whose key it is.
    pub owner: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: BTreeSet<String>,
    /// When it was made.
    pub created_at: SystemTime,
    /// How long it was to be good, whatever came between; a key in its place is good as long.
    pub lifetime: Option<Duration>,
    /// From when on it no longer counts: it ran out, was replaced or revoked.
    pub ends_at: Option<SystemTime>,
}

impl ApiKeyRecord {
    /// A record without a name, a scope and an end: for stores, which set the other fields as they have kept them.
    pub fn new(
        id: impl Into<String>,
        hash: [u8; 32],
        owner: impl Into<String>,
        created_at: SystemTime,
    ) -> Self {
        Self {
            id: id.into(),
            hash,
            owner: owner.into(),
            name: None,
            scopes: BTreeSet::new(),
            created_at,
            lifetime: None,
            ends_at: None,
        }
    }
}

impl fmt::Debug for ApiKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRecord")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("scopes", &self.scopes)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// Keeps the records of keys. The only change of a record is that its key ends earlier, so that no order of two
/// changes brings a revoked key back.
#[async_trait]
pub trait ApiKeyStore: Send + Sync + fmt::Debug + 'static {
    /// Adds a record, durably when it returns.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the id is taken; nothing is replaced.
    async fn insert(&self, record: ApiKeyRecord) -> Result<()>;

    /// The record of a key.
    async fn load(&self, id: &str) -> Result<Option<ApiKeyRecord>>;

    /// The records of an owner's keys, those that have ended included.
    async fn list(&self, owner: &str) -> Result<Vec<ApiKeyRecord>>;

    /// Lets a key end at that time, or leaves it as it is if it ends before: one step, which no other change comes
    /// between. Durable when it returns.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an id that is not there.
    async fn end(&self, id: &str, at: SystemTime) -> Result<()>;
}

/// Records in memory, lost with the process: for tests and first steps.
#[derive(Default)]
pub struct MemoryApiKeys(Mutex<BTreeMap<String, ApiKeyRecord>>);

impl MemoryApiKeys {
    /// Without a record.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, ApiKeyRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ApiKeyStore for MemoryApiKeys {
    async fn insert(&self, record: ApiKeyRecord) -> Result<()> {
        let mut records = self.records();
        if records.contains_key(&record.id) {
            return Err(Error::new(ErrorKind::Conflict, "a key of this id is there").with_record(&record.id));
        }
        records.insert(record.id.clone(), record);
        Ok(())
    }

    async fn load(&self, id: &str) -> Result<Option<ApiKeyRecord>> {
        Ok(self.records().get(id).cloned())
    }

    async fn list(&self, owner: &str) -> Result<Vec<ApiKeyRecord>> {
        Ok(self.records().values().filter(|record| record.owner == owner).cloned().collect())
    }

    async fn end(&self, id: &str, at: SystemTime) -> Result<()> {
        match self.records().get_mut(id) {
            Some(record) => {
                record.ends_at = Some(record.ends_at.map_or(at, |ends| ends.min(at)));
                Ok(())
            }
            None => Err(Error::new(ErrorKind::NotFound, "there is no key of this id").with_record(id)),
        }
    }
}

impl fmt::Debug for MemoryApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryApiKeys").field("keys", &self.records().len()).finish()
    }
}
