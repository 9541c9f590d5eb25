//! The store through its public API, and through the file's bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod checkpoints;
mod damage;
mod disk;
mod faults;
mod format;
mod keys;
mod links;
mod processes;
mod quarantine;
mod raw;
mod secrets;
mod texts;
mod tokens;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use acople_core::{
    CheckpointStore, ConnectionKey, Error, ErrorKind, Generation, Quarantined, Result, Secret, Stage,
    StateKey, TokenSet, TokenStore,
};
use acople_store_redb::{MasterKey, RedbStore};

fn key(id: &str) -> MasterKey {
    let mut bytes = [7; 32];
    bytes[..id.len()].copy_from_slice(id.as_bytes());
    MasterKey::new(id, &bytes).unwrap()
}

fn state_key() -> StateKey {
    StateKey::new("nightly", "contacts")
}

fn connection() -> ConnectionKey {
    ConnectionKey::new("hubspot", "main").with_tenant("acme")
}

fn tokens(access: &str, refresh: &str) -> TokenSet {
    TokenSet {
        access: Secret::from(access),
        refresh: Some(Secret::from(refresh)),
        expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)),
        endpoint: None,
        extra: BTreeMap::new(),
    }
}

fn quarantined(sync: &str, id: &str, record: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        key: StateKey::new(sync, "contacts"),
        run: "run-1".to_owned(),
        position: 3,
        stage: Stage::Map,
        error: Error::new(ErrorKind::Schema, "not a date"),
        record: record.to_owned(),
        deleted: false,
        attempts: 2,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

async fn load(store: &RedbStore, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
    CheckpointStore::load(store, key).await
}

async fn save(store: &RedbStore, key: &StateKey, expected: u64, state: &[u8]) -> Result<Generation> {
    CheckpointStore::save(store, key, Generation(expected), state).await
}

async fn remove(store: &RedbStore, key: &StateKey) -> Result<()> {
    CheckpointStore::remove(store, key).await
}

async fn save_tokens(
    store: &RedbStore,
    key: &ConnectionKey,
    expected: u64,
    set: &TokenSet,
) -> Result<Generation> {
    TokenStore::save(store, key, Generation(expected), set).await
}

/// The access token and the generation.
async fn load_access(store: &RedbStore, key: &ConnectionKey) -> Result<Option<(String, u64)>> {
    let loaded = TokenStore::load(store, key).await?;
    Ok(loaded.map(|(set, generation)| (set.access.expose().to_owned(), generation.0)))
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
