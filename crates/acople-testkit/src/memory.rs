//! The stores in memory, for tests of what uses a store, with failures on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::{
    CheckpointStore, ConnectionKey, Error, ErrorKind, Generation, IdentityMap, LINK_NOTE_LIMIT, Lease, Link,
    Pairing, QuarantineStore, Quarantined, Result, Secret, SecretStore, StateKey, TokenSet, TokenStore,
};
use async_trait::async_trait;
use tokio::time::Instant;

/// Checkpoints, tokens, secrets, quarantine and links that live as long as the last clone.
///
/// Keeps every promise of the store traits but durability, and can be told to fail. It passes the
/// suite in [`stores`](crate::stores).
///
/// ```
/// use acople_core::{CheckpointStore, Generation, StateKey};
/// use acople_testkit::memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = MemoryStore::new();
/// let key = StateKey::new("nightly", "contacts");
/// store.fail_next_saves(1);
/// assert!(store.save(&key, Generation(0), b"page 1").await.is_err());
/// assert_eq!(store.save(&key, Generation(0), b"page 1").await.unwrap(), Generation(1));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next `count` writes (`save` and `put` of all traits together) fail with
    /// `Transient` and without effect.
    pub fn fail_next_saves(&self, count: usize) {
        self.lock().to_fail = count;
    }

    /// Makes the next `count` writes take effect and fail all the same: what a caller sees when the
    /// store's answer is lost.
    pub fn lose_next_answers(&self, count: usize) {
        self.lock().to_lose = count;
    }

    /// Grants every lease from now on, to whoever asks: what workers see whose terms are over before
    /// their work is.
    pub fn overrun_leases(&self) {
        self.lock().overrun = true;
    }

    /// How many writes took effect since the start.
    pub fn saves(&self) -> u64 {
        self.lock().saves
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        Ok(self.lock().states.load(key))
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        self.lock().write(|shared| shared.states.save(key, expected, state.to_vec()))
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        self.lock().states.remove(key);
        Ok(())
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        let shared = self.lock();
        Ok(shared.states.keys().filter(|key| sync.is_none_or(|sync| sync == key.sync)).cloned().collect())
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        Ok(self.lock().tokens.load(key))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        self.lock().write(|shared| shared.tokens.save(key, expected, tokens.clone()))
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        self.lock().tokens.remove(key);
        Ok(())
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        let (mut shared, now) = (self.lock(), Instant::now());
        if let Some((theirs, ends)) = shared.leases.get(key)
            && theirs != holder
            && now < *ends
            && !shared.overrun
        {
            return Ok(Lease::Busy(*ends - now));
        }
        shared.leases.insert(key.clone(), (holder.to_owned(), now + term));
        Ok(Lease::Granted)
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        let mut shared = self.lock();
        if shared.leases.get(key).is_some_and(|(theirs, _)| theirs == holder) {
            shared.leases.remove(key);
        }
        Ok(())
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>> {
        Ok(self.lock().secrets.load(&(connection.clone(), field.to_owned())))
    }

    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation> {
        let key = (connection.clone(), field.to_owned());
        self.lock().write(|shared| shared.secrets.save(&key, expected, secret.clone()))
    }

    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()> {
        self.lock().secrets.remove(&(connection.clone(), field.to_owned()));
        Ok(())
    }

    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>> {
        let shared = self.lock();
        let fields = shared.secrets.keys().filter(|(of, _)| of == connection);
        Ok(fields.map(|(_, field)| field.clone()).collect())
    }
}

#[async_trait]
impl QuarantineStore for MemoryStore {
    async fn put(&self, records: &[Quarantined]) -> Result<()> {
        self.lock().write(|shared| {
            shared.quarantine.extend(records.iter().map(|record| (record.id.clone(), copy(record))));
            Ok(())
        })
    }

    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>> {
        let shared = self.lock();
        let records =
            shared.quarantine.values().filter(|record| after.is_none_or(|after| *record.id > *after));
        Ok(records.filter(|record| is_of(sync, record)).take(limit).map(copy).collect())
    }

    async fn remove(&self, ids: &[String]) -> Result<()> {
        let mut shared = self.lock();
        for id in ids {
            shared.quarantine.remove(id);
        }
        Ok(())
    }

    async fn count(&self, sync: Option<&str>) -> Result<u64> {
        Ok(self.lock().quarantine.values().filter(|record| is_of(sync, record)).count() as u64)
    }
}

#[async_trait]
impl IdentityMap for MemoryStore {
    async fn put(&self, pairing: &Pairing, links: &[Link]) -> Result<()> {
        if links.iter().any(|link| link.note.len() > LINK_NOTE_LIMIT) {
            return Err(Error::new(ErrorKind::TooLarge, "a link's note is too long"));
        }
        self.lock().write(|shared| {
            let kept = shared.links.entry(pairing.clone()).or_default();
            for link in links {
                kept.retain(|_, other| link.target.is_empty() || other.target != link.target);
                kept.insert(link.source.clone(), link.clone());
            }
            Ok(())
        })
    }

    async fn by_source(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>> {
        let shared = self.lock();
        let kept = shared.links.get(pairing);
        Ok(ids.iter().map(|id| kept?.get(id).cloned()).collect())
    }

    async fn by_target(&self, pairing: &Pairing, ids: &[String]) -> Result<Vec<Option<Link>>> {
        let shared = self.lock();
        let kept = shared.links.get(pairing);
        let find = |id: &String| kept?.values().find(|link| !id.is_empty() && link.target == *id).cloned();
        Ok(ids.iter().map(find).collect())
    }

    async fn scan(&self, pairing: &Pairing, after: Option<&str>, limit: usize) -> Result<Vec<Link>> {
        let shared = self.lock();
        let kept = shared.links.get(pairing).into_iter().flat_map(BTreeMap::values);
        let rest = kept.filter(|link| after.is_none_or(|after| link.source.as_str() > after));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn remove(&self, pairing: &Pairing, sources: &[String]) -> Result<()> {
        self.lock().write(|shared| {
            if let Some(kept) = shared.links.get_mut(pairing) {
                kept.retain(|source, _| !sources.contains(source));
            }
            Ok(())
        })
    }
}

#[derive(Debug, Default)]
struct Shared {
    states: Versions<StateKey, Vec<u8>>,
    tokens: Versions<ConnectionKey, TokenSet>,
    secrets: Versions<(ConnectionKey, String), Secret>,
    quarantine: BTreeMap<String, Quarantined>,
    links: BTreeMap<Pairing, BTreeMap<String, Link>>,
    /// Who renews which tokens, and until when.
    leases: BTreeMap<ConnectionKey, (String, Instant)>,
    overrun: bool,
    to_fail: usize,
    to_lose: usize,
    saves: u64,
}

impl Shared {
    fn write<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.to_fail > 0 {
            self.to_fail -= 1;
            return Err(Error::new(ErrorKind::Transient, "the test made this write fail"));
        }
        let value = work(self)?;
        self.saves += 1;
        if self.to_lose > 0 {
            self.to_lose -= 1;
            return Err(Error::new(ErrorKind::Transient, "the test lost the answer of this write"));
        }
        Ok(value)
    }
}

/// Values with generations. A removed one keeps its generation, without a value.
#[derive(Debug)]
struct Versions<K, V> {
    entries: BTreeMap<K, (u64, Option<V>)>,
}

impl<K, V> Default for Versions<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Versions<K, V> {
    fn load(&self, key: &K) -> Option<(V, Generation)> {
        let (generation, value) = self.entries.get(key)?;
        Some((value.clone()?, Generation(*generation)))
    }

    fn save(&mut self, key: &K, expected: Generation, value: V) -> Result<Generation> {
        let current = self.entries.get(key).map_or(0, |(generation, _)| *generation);
        let live = self.load(key).map_or(0, |(_, generation)| generation.0);
        if live != expected.0 {
            return Err(Error::new(
                ErrorKind::Fenced,
                format!("generation is {live}, not {}: somebody else wrote", expected.0),
            ));
        }
        self.entries.insert(key.clone(), (current + 1, Some(value)));
        Ok(Generation(current + 1))
    }

    fn remove(&mut self, key: &K) {
        if let Some((generation, value)) = self.entries.get_mut(key)
            && value.take().is_some()
        {
            *generation += 1;
        }
    }

    fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().filter(|(_, (_, value))| value.is_some()).map(|(key, _)| key)
    }
}

fn is_of(sync: Option<&str>, record: &Quarantined) -> bool {
    sync.is_none_or(|sync| sync == record.key.sync)
}

fn copy(record: &Quarantined) -> Quarantined {
    Quarantined {
        id: record.id.clone(),
        key: record.key.clone(),
        run: record.run.clone(),
        position: record.position,
        stage: record.stage,
        error: record.error.copy(),
        record: record.record.clone(),
        deleted: record.deleted,
        attempts: record.attempts,
        at: record.at,
    }
}
