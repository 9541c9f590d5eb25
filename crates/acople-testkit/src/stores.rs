//! What every store promises, as a suite that any store can run.
//!
//! Each function takes an empty store and panics, with the broken promise as the message, when the
//! store does not keep it. Durability is not in it: that needs the store's own means of crashing.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = acople_testkit::memory::MemoryStore::new();
//! acople_testkit::stores::checkpoint_store(&store).await;
//! acople_testkit::stores::token_store(&store).await;
//! acople_testkit::stores::token_leases(&store).await;
//! acople_testkit::stores::secret_store(&store).await;
//! acople_testkit::stores::quarantine_store(&store).await;
//! acople_testkit::stores::identity_map(&store).await;
//! # }
//! ```
#![allow(clippy::expect_used)] // a broken promise is reported by panicking: this is a test suite

mod identity_map;
mod leases;
mod quarantine;
mod secrets;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use acople_core::{
    CheckpointStore, ConnectionKey, ErrorKind, Generation, Result, Secret, StateKey, TokenSet, TokenStore,
};
use futures_util::future::join_all;

pub use identity_map::identity_map;
pub use leases::token_leases;
pub use quarantine::quarantine_store;
pub use secrets::secret_store;

/// Writers that race in the concurrency checks.
const WRITERS: u64 = 64;

/// Checks the promises of [`CheckpointStore`].
///
/// # Panics
/// When the store breaks one.
pub async fn checkpoint_store(store: &dyn CheckpointStore) {
    states_are_kept_by_key(store).await;
    stale_state_writers_are_fenced(store).await;
    a_removed_state_is_gone_and_fences(store).await;
    state_keys_are_listed(store).await;
    of_racing_state_writers_one_wins(store).await;
    racing_states_do_not_mix(store).await;
}

/// Checks the promises of [`TokenStore`].
///
/// # Panics
/// When the store breaks one.
pub async fn token_store(store: &dyn TokenStore) {
    tokens_come_back_whole(store).await;
    stale_token_writers_are_fenced(store).await;
    removed_tokens_are_gone_and_fence(store).await;
    of_racing_renewals_one_wins(store).await;
}

async fn states_are_kept_by_key(store: &dyn CheckpointStore) {
    let keys = [
        StateKey::new("kept", "contacts"),
        StateKey::new("kept", "companies"),
        StateKey::new("kept", "contacts").with_partition("de"),
        StateKey::new("kept", "contacts").with_tenant("acme"),
        // Names that would be one text if they were joined.
        StateKey::new("kept", "a").with_partition("b/c"),
        StateKey::new("kept", "a/b").with_partition("c"),
        StateKey::new("", ""),
        StateKey::new("kept\0", "\u{10ffff}ü\n"),
    ];
    for (number, key) in keys.iter().enumerate() {
        assert!(store.load(key).await.expect("load").is_none(), "a state nobody saved is there: {key:?}");
        let generation = store.save(key, Generation(0), &[0, 255, tag(number)]).await.expect("first save");
        assert!(generation > Generation(0), "generation 0 means \"not there\"");
    }
    for (number, key) in keys.iter().enumerate() {
        let (state, _) = store.load(key).await.expect("load").expect("a saved state is there");
        assert_eq!(state, [0, 255, tag(number)], "the state of {key:?} is another one");
    }
    let key = StateKey::new("kept", "empty");
    let generation = store.save(&key, Generation(0), b"").await.expect("an empty state can be saved");
    let loaded = store.load(&key).await.expect("load");
    assert_eq!(loaded, Some((Vec::new(), generation)), "an empty state is not an absent one");
}

async fn stale_state_writers_are_fenced(store: &dyn CheckpointStore) {
    let key = StateKey::new("fenced", "contacts");
    let one = store.save(&key, Generation(0), b"one").await.expect("first save");
    let two = store.save(&key, one, b"two").await.expect("second save");
    assert!(two > one, "generations rise");
    for stale in [Generation(0), one, Generation(two.0 + 1), Generation(u64::MAX)] {
        let saved = store.save(&key, stale, b"stale").await;
        assert_fenced(saved, "a writer with another generation");
    }
    assert_eq!(
        store.load(&key).await.expect("load"),
        Some((b"two".to_vec(), two)),
        "a fenced writer changed the state"
    );
    let unknown = StateKey::new("fenced", "unknown");
    assert_fenced(store.save(&unknown, Generation(7), b"x").await, "a writer of a state that is not there");
    assert!(store.load(&unknown).await.expect("load").is_none(), "a fenced writer made a state");
}

async fn a_removed_state_is_gone_and_fences(store: &dyn CheckpointStore) {
    let key = StateKey::new("removed", "contacts");
    let neighbour = StateKey::new("removed", "companies");
    store.remove(&key).await.expect("removing what is not there");
    let old = store.save(&key, Generation(0), b"old").await.expect("save");
    let other = store.save(&neighbour, Generation(0), b"other").await.expect("save");
    store.remove(&key).await.expect("remove");
    assert!(store.load(&key).await.expect("load").is_none(), "a removed state is still there");
    assert!(!store.keys(None).await.expect("keys").contains(&key), "a removed state is listed");
    assert_eq!(
        store.load(&neighbour).await.expect("load"),
        Some((b"other".to_vec(), other)),
        "a neighbour went, too"
    );
    assert_fenced(store.save(&key, old, b"late").await, "a writer from before the removal");
    let new =
        store.save(&key, Generation(0), b"new").await.expect("a removed state starts from generation 0");
    assert_fenced(
        store.save(&key, old, b"late").await,
        "a writer from before the removal, after the new start",
    );
    assert_eq!(store.load(&key).await.expect("load"), Some((b"new".to_vec(), new)));
}

async fn state_keys_are_listed(store: &dyn CheckpointStore) {
    let mut wanted = BTreeSet::new();
    for number in 0..20 {
        let key =
            StateKey::new("listed", format!("stream {number}")).with_tenant(format!("tenant {}", number % 3));
        store.save(&key, Generation(0), b"x").await.expect("save");
        wanted.insert(key);
    }
    let near = [StateKey::new("liste", "x"), StateKey::new("listed2", "x"), StateKey::new("listed\0", "x")];
    for key in &near {
        store.save(key, Generation(0), b"x").await.expect("save");
    }
    let listed = store.keys(Some("listed")).await.expect("keys");
    assert_eq!(listed.len(), wanted.len(), "a key is listed twice, or one of another sync is listed");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), wanted, "the keys of a sync");
    let all: BTreeSet<_> = store.keys(None).await.expect("keys").into_iter().collect();
    assert!(wanted.iter().chain(&near).all(|key| all.contains(key)), "the keys of all syncs");
    assert!(store.keys(Some("no such sync")).await.expect("keys").is_empty());
}

async fn of_racing_state_writers_one_wins(store: &dyn CheckpointStore) {
    let key = StateKey::new("raced", "contacts");
    let mut current = Generation(0);
    for round in 0..3 {
        let texts: Vec<String> =
            (0..WRITERS).map(|writer| format!("round {round} writer {writer}")).collect();
        let saves = join_all(texts.iter().map(|text| store.save(&key, current, text.as_bytes()))).await;
        let mut winner = None;
        for (text, saved) in texts.iter().zip(saves) {
            match saved {
                Ok(generation) => {
                    assert!(winner.is_none(), "two writers of the same generation were accepted");
                    winner = Some((text.clone().into_bytes(), generation));
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::Fenced, "a writer that lost the race: {e}"),
            }
        }
        assert!(winner.is_some(), "no writer won the race");
        assert_eq!(store.load(&key).await.expect("load"), winner, "the state is not the winner's");
        current = winner.map_or(current, |(_, generation)| generation);
    }
}

async fn racing_states_do_not_mix(store: &dyn CheckpointStore) {
    let keys: Vec<StateKey> = (0..WRITERS).map(|n| StateKey::new("many", format!("stream {n}"))).collect();
    join_all(keys.iter().map(|key| async move {
        let mut generation = Generation(0);
        for step in 0..3 {
            let state = format!("{} {step}", key.stream);
            generation = store.save(key, generation, state.as_bytes()).await.expect("save in a crowd");
            let loaded = store.load(key).await.expect("load in a crowd");
            assert_eq!(
                loaded,
                Some((state.into_bytes(), generation)),
                "a writer does not read its own state"
            );
        }
    }))
    .await;
}

async fn tokens_come_back_whole(store: &dyn TokenStore) {
    let full = TokenSet {
        access: Secret::from("access \"quoted\" \\ \u{1f511}\n"),
        refresh: Some(Secret::from("refresh")),
        expires_at: Some(SystemTime::UNIX_EPOCH + Duration::new(1_900_000_000, 123_456_789)),
        endpoint: "https://eu1.example.com/base/?tenant=7".parse().ok(),
        extra: [("scope", "read write"), ("organisation", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
    };
    let bare = tokens("bare");
    let keys = [
        ConnectionKey::new("hubspot", "main"),
        ConnectionKey::new("hubspot", "main").with_tenant("acme"),
        ConnectionKey::new("hubspot", "other"),
        ConnectionKey::new("", ""),
    ];
    for (key, set) in keys.iter().zip([&full, &bare, &bare, &full]) {
        assert!(store.load(key).await.expect("load").is_none(), "tokens nobody saved are there");
        let generation = store.save(key, Generation(0), set).await.expect("save");
        let (loaded, at) = store.load(key).await.expect("load").expect("saved tokens are there");
        assert_eq!(at, generation);
        assert_eq!(loaded.access.expose(), set.access.expose(), "access token");
        assert_eq!(loaded.refresh.as_ref().map(Secret::expose), set.refresh.as_ref().map(Secret::expose));
        assert_eq!(loaded.expires_at, set.expires_at, "expiry");
        assert_eq!(loaded.endpoint, set.endpoint, "endpoint");
        assert_eq!(loaded.extra, set.extra, "extra");
    }
}

async fn stale_token_writers_are_fenced(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "fenced");
    let one = store.save(&key, Generation(0), &tokens("one")).await.expect("first save");
    let two = store.save(&key, one, &tokens("two")).await.expect("second save");
    assert!(two > one && one > Generation(0), "generations rise from above 0");
    for stale in [Generation(0), one, Generation(two.0 + 1)] {
        assert_fenced(store.save(&key, stale, &tokens("stale")).await, "a writer with another generation");
    }
    assert_eq!(
        access(store, &key).await,
        Some(("two".to_owned(), two)),
        "a fenced writer changed the tokens"
    );
}

async fn removed_tokens_are_gone_and_fence(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "removed");
    store.remove(&key).await.expect("removing what is not there");
    let old = store.save(&key, Generation(0), &tokens("old")).await.expect("save");
    store.remove(&key).await.expect("remove");
    assert_eq!(access(store, &key).await, None, "removed tokens are still there");
    assert_fenced(store.save(&key, old, &tokens("late")).await, "a writer from before the removal");
    let new = store
        .save(&key, Generation(0), &tokens("new"))
        .await
        .expect("removed tokens start from generation 0");
    assert_fenced(store.save(&key, old, &tokens("late")).await, "a writer from before the removal, later");
    assert_eq!(access(store, &key).await, Some(("new".to_owned(), new)));
}

async fn of_racing_renewals_one_wins(store: &dyn TokenStore) {
    let key = ConnectionKey::new("hubspot", "raced");
    let sets: Vec<TokenSet> = (0..WRITERS).map(|writer| tokens(&format!("writer {writer}"))).collect();
    let saves = join_all(sets.iter().map(|set| store.save(&key, Generation(0), set))).await;
    let mut winner = None;
    for (set, saved) in sets.iter().zip(saves) {
        match saved {
            Ok(generation) => {
                assert!(winner.is_none(), "two renewals of the same generation were accepted");
                winner = Some((set.access.expose().to_owned(), generation));
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::Fenced, "a renewal that lost the race: {e}"),
        }
    }
    assert!(winner.is_some(), "no renewal won the race");
    assert_eq!(access(store, &key).await, winner, "the tokens are not the winner's");
}

fn assert_fenced(saved: Result<Generation>, who: &str) {
    match saved {
        Ok(_) => panic_with(&format!("{who} was not fenced")),
        Err(e) => assert_eq!(e.kind(), ErrorKind::Fenced, "{who}: {e}"),
    }
}

#[allow(clippy::panic)] // see the module
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

async fn access(store: &dyn TokenStore, key: &ConnectionKey) -> Option<(String, Generation)> {
    let (set, generation) = store.load(key).await.expect("load")?;
    Some((set.access.expose().to_owned(), generation))
}

fn tokens(access: &str) -> TokenSet {
    TokenSet {
        access: Secret::from(access),
        refresh: None,
        expires_at: None,
        endpoint: None,
        extra: std::collections::BTreeMap::new(),
    }
}

fn tag(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
