//! The store in memory, and that the suite notices stores that break their promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use acople_core::{CheckpointStore, ErrorKind, Generation, QuarantineStore, Result, StateKey};
use acople_testkit::memory::MemoryStore;
use acople_testkit::stores;
use async_trait::async_trait;

fn key() -> StateKey {
    StateKey::new("nightly", "contacts")
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_promises_of_all_stores() {
    let store = MemoryStore::new();
    stores::checkpoint_store(&store).await;
    stores::token_store(&store).await;
    stores::token_leases(&store).await;
    stores::secret_store(&store).await;
    stores::quarantine_store(&store).await;
}

#[tokio::test]
async fn a_failed_write_has_no_effect_and_the_next_one_works() {
    let store = MemoryStore::new();
    store.fail_next_saves(2);
    assert_eq!(store.save(&key(), Generation(0), b"a").await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(store.put(&[]).await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(CheckpointStore::load(&store, &key()).await.unwrap(), None);
    assert_eq!(store.saves(), 0);
    assert_eq!(store.save(&key(), Generation(0), b"b").await.unwrap(), Generation(1));
    assert_eq!(store.saves(), 1);
}

#[tokio::test]
async fn a_write_with_a_lost_answer_took_effect() {
    let store = MemoryStore::new();
    store.lose_next_answers(1);
    store.save(&key(), Generation(0), b"a").await.unwrap_err();
    let loaded = CheckpointStore::load(&store.clone(), &key()).await.unwrap();
    assert_eq!(loaded, Some((b"a".to_vec(), Generation(1))));
    assert_eq!(store.save(&key(), Generation(0), b"b").await.unwrap_err().kind(), ErrorKind::Fenced);
}

/// A store with one broken promise.
#[derive(Debug)]
struct Broken(MemoryStore, Promise);

#[derive(Debug, PartialEq)]
enum Promise {
    FencesStaleWriters,
    FencesAfterRemoval,
    TellsPartitionsApart,
    ListsOnlyTheSync,
}

impl Broken {
    fn key(&self, key: &StateKey) -> StateKey {
        let key = key.clone();
        if self.1 == Promise::TellsPartitionsApart { key.with_partition("") } else { key }
    }
}

#[async_trait]
impl CheckpointStore for Broken {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        CheckpointStore::load(&self.0, &self.key(key)).await
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        let key = self.key(key);
        let current = CheckpointStore::load(&self.0, &key).await?.map(|(_, generation)| generation);
        let expected = match self.1 {
            Promise::FencesStaleWriters => current.unwrap_or_default(),
            Promise::FencesAfterRemoval if current.is_none() => Generation(0),
            _ => expected,
        };
        self.0.save(&key, expected, state).await
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        CheckpointStore::remove(&self.0, &self.key(key)).await
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        self.0.keys(sync.filter(|_| self.1 != Promise::ListsOnlyTheSync)).await
    }
}

#[tokio::test]
async fn the_suite_notices_a_broken_promise() {
    for promise in [
        Promise::FencesStaleWriters,
        Promise::FencesAfterRemoval,
        Promise::TellsPartitionsApart,
        Promise::ListsOnlyTheSync,
    ] {
        let name = format!("{promise:?}");
        let store = Broken(MemoryStore::new(), promise);
        let run = tokio::spawn(async move { stores::checkpoint_store(&store).await }).await;
        assert!(run.is_err_and(|e| e.is_panic()), "{name} was broken and the suite passed");
    }
}
