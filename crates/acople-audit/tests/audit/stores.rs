//! Stores and observers that record what is done with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use acople_audit::{Action, AuditSink, Audited, Entry, TokenTrail, Trail};
use acople_auth::{TokenEvent, TokenObserver};
use acople_core::{
    ConnectionKey, Error, ErrorKind, Generation, Result, Secret, SecretStore, TokenSet, TokenStore,
};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{FakeClock, stores};
use async_trait::async_trait;

use crate::connection;

/// Keeps entries, and can be out of order.
#[derive(Debug, Default)]
struct Notes {
    entries: Mutex<Vec<Entry>>,
    fails: AtomicBool,
}

impl Notes {
    /// Actor, action, field and outcome of each.
    fn taken(&self) -> Vec<String> {
        let entries = std::mem::take(&mut *self.entries.lock().unwrap());
        entries
            .iter()
            .map(|e| [&*e.actor, e.action.as_str(), &*e.field, e.outcome.as_str(), &*e.detail].join(" "))
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }
}

#[async_trait]
impl AuditSink for Notes {
    async fn append(&self, entry: &Entry) -> Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Transient, "no room"));
        }
        self.entries.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

fn trail(notes: &Arc<Notes>) -> Trail {
    Trail::new(notes.clone(), "service:sync").with_clock(Arc::new(FakeClock::default()))
}

fn tokens() -> TokenSet {
    TokenSet {
        access: Secret::from("CANARY-access"),
        refresh: Some(Secret::from("CANARY-refresh")),
        expires_at: None,
        endpoint: None,
        extra: std::collections::BTreeMap::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audited_stores_keep_the_promises_of_their_kind() {
    let notes = Arc::new(Notes::default());
    let store = Audited::new(Arc::new(MemoryStore::new()), trail(&notes));
    stores::token_store(&store).await;
    stores::token_leases(&store).await;
    stores::secret_store(&store).await;
}

#[tokio::test]
async fn connecting_refreshing_reading_and_revoking_are_recorded_with_their_actor() {
    let notes = Arc::new(Notes::default());
    let store = Audited::new(Arc::new(MemoryStore::new()), trail(&notes));
    let key = connection();
    TokenStore::load(&store, &key).await.unwrap();
    let first = TokenStore::save(&store.by("user:alice"), &key, Generation(0), &tokens()).await.unwrap();
    TokenStore::load(&store, &key).await.unwrap();
    TokenStore::save(&store, &key, first, &tokens()).await.unwrap();
    TokenStore::save(&store, &key, first, &tokens()).await.unwrap_err();
    TokenStore::remove(&store.by("user:bob"), &key).await.unwrap();
    let entries = notes.entries.lock().unwrap().clone();
    assert!(entries.iter().all(|entry| entry.connection == key));
    assert!(!format!("{entries:?}").contains("CANARY"));
    let expected = [
        "service:sync read_tokens absent",
        "user:alice connect done",
        "service:sync read_tokens done",
        "service:sync refresh done",
        "service:sync refresh fenced",
        "user:bob revoke done",
    ];
    assert_eq!(notes.taken(), expected);
}

#[tokio::test]
async fn what_is_done_with_secrets_is_recorded_by_field() {
    let notes = Arc::new(Notes::default());
    // Any store behind a pointer to its trait.
    let inner: Arc<dyn SecretStore> = Arc::new(MemoryStore::new());
    let store = Audited::new(inner, trail(&notes));
    let key = connection();
    let secret = Secret::from("CANARY");
    SecretStore::save(&store, &key, "token", Generation(0), &secret).await.unwrap();
    SecretStore::load(&store, &key, "token").await.unwrap();
    SecretStore::load(&store, &key, "other").await.unwrap();
    store.fields(&key).await.unwrap();
    SecretStore::remove(&store, &key, "token").await.unwrap();
    assert!(!format!("{:?}", notes.entries).contains("CANARY"));
    let expected = [
        "service:sync change_secret token done",
        "service:sync read_secret token done",
        "service:sync read_secret other absent",
        "service:sync list_secrets done",
        "service:sync remove_secret token done",
    ];
    assert_eq!(notes.taken(), expected);
}

#[tokio::test]
async fn a_read_that_cannot_be_recorded_fails_and_a_change_is_counted() {
    let notes = Arc::new(Notes::default());
    let trail = trail(&notes);
    let store = Audited::new(Arc::new(MemoryStore::new()), trail.clone());
    let key = connection();
    let first = TokenStore::save(&store, &key, Generation(0), &tokens()).await.unwrap();
    notes.taken();
    notes.fails.store(true, Ordering::Relaxed);
    let error = TokenStore::load(&store, &key).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Transient, Some("write the audit log")));
    TokenStore::save(&store, &key, first, &tokens()).await.expect("tokens are not lost for want of a record");
    SecretStore::save(&store, &key, "token", Generation(0), &Secret::from("x")).await.unwrap();
    assert_eq!(trail.lost(), 2);
    notes.fails.store(false, Ordering::Relaxed);
    TokenStore::load(&store, &key).await.unwrap();
    let expected =
        ["service:sync lose_records done 2 records could not be written", "service:sync read_tokens done"];
    assert_eq!(notes.taken(), expected);
    assert_eq!(trail.lost(), 0);
}

#[tokio::test]
async fn the_life_of_tokens_is_recorded_without_waiting_for_the_log() {
    let notes = Arc::new(Notes::default());
    let trail = trail(&notes);
    let (observer, writer) = TokenTrail::new(trail.clone(), 3);
    let (key, error) = (connection(), Error::new(ErrorKind::Reauth, "CANARY"));
    let events = [
        TokenEvent::Renewed { rotated: true, expires_at: None },
        TokenEvent::Saved,
        TokenEvent::Parked { error: &error },
        TokenEvent::Resumed,
        // Finds the queue full: nobody has written yet.
        TokenEvent::SaveFailed { error: &error, failures: 1 },
    ];
    for event in &events {
        observer.event(&key, event);
    }
    assert_eq!(trail.lost(), 1);
    drop(observer);
    writer.await;
    assert!(!format!("{:?}", notes.entries).contains("CANARY"));
    let expected = [
        "service:sync lose_records done 1 records could not be written",
        "service:sync renew done the refresh token is a new one",
        "service:sync park reauth",
        "service:sync resume done",
    ];
    assert_eq!(notes.taken(), expected);
}

#[test]
fn names_in_records_are_printable_and_bounded() {
    let key = ConnectionKey::new("a\nb", "x".repeat(10_000)).with_tenant("\u{1b}[31m");
    let entry = Entry::new(crate::at(0), "line\nbreak", Action::of_host(&"y".repeat(1_000)), &key)
        .with_field("\0")
        .with_detail(&"z".repeat(10_000));
    let line = acople_audit::Chain::begin().unwrap().push(&entry).unwrap();
    assert!(line.len() < 4_000, "{}", line.len());
    for forbidden in ["\\n", "\\u00", "\u{1b}"] {
        assert!(!line.contains(forbidden), "{line}");
    }
}
