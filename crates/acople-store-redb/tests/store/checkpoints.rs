//! States: the suite, reopening, limits, resets.

use acople_core::{CheckpointStore, ErrorKind, Generation, StateKey};
use acople_store_redb::RedbStore;
use acople_testkit::stores;

use crate::{kind, load, remove, save, state_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_memory_keeps_the_promises_of_a_checkpoint_store() {
    stores::checkpoint_store(&RedbStore::in_memory().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_a_file_keeps_the_promises_of_a_checkpoint_store() {
    let folder = tempfile::tempdir().unwrap();
    stores::checkpoint_store(&RedbStore::open(folder.path().join("store")).await.unwrap()).await;
}

#[tokio::test]
async fn a_state_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut generation = 0;
    for round in 0..4 {
        let store = RedbStore::open(&path).await.unwrap();
        let loaded = load(&store, &state_key()).await.unwrap();
        let expected =
            (round > 0).then(|| (format!("round {}", round - 1).into_bytes(), Generation(generation)));
        assert_eq!(loaded, expected);
        generation =
            save(&store, &state_key(), generation, format!("round {round}").as_bytes()).await.unwrap().0;
    }
    assert_eq!(generation, 4);
}

#[tokio::test]
async fn clones_are_the_same_store() {
    let store = RedbStore::in_memory().unwrap();
    let clone = store.clone();
    save(&store, &state_key(), 0, b"one").await.unwrap();
    drop(store);
    assert_eq!(load(&clone, &state_key()).await.unwrap(), Some((b"one".to_vec(), Generation(1))));
}

#[tokio::test]
async fn a_state_above_the_limit_is_refused_and_the_one_before_stays() {
    let store = RedbStore::builder().max_state_size(10).in_memory().unwrap();
    save(&store, &state_key(), 0, b"0123456789").await.unwrap();
    let refused = save(&store, &state_key(), 1, b"0123456789x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(refused.message().contains("11 bytes"), "{refused}");
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"0123456789".to_vec(), Generation(1))));
}

#[tokio::test]
async fn a_state_as_large_as_the_default_limit_comes_back() {
    let store = RedbStore::in_memory().unwrap();
    let large: Vec<u8> = (0..1_u32 << 20).map(|n| u8::try_from(n % 251).unwrap()).collect();
    save(&store, &state_key(), 0, &large).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap().unwrap().0, large);
    assert_eq!(kind(save(&store, &state_key(), 1, &vec![0; (1 << 20) + 1]).await), ErrorKind::TooLarge);
}

#[tokio::test]
async fn names_that_are_too_long_are_refused() {
    let store = RedbStore::in_memory().unwrap();
    let long = StateKey::new("s", "x".repeat(1 << 20));
    assert_eq!(kind(save(&store, &long, 0, b"x").await), ErrorKind::TooLarge);
    assert_eq!(load(&store, &long).await.unwrap(), None);
    assert_eq!(kind(remove(&store, &long).await), ErrorKind::TooLarge);
}

#[tokio::test]
async fn state_09_a_late_commit_after_a_reset_is_fenced_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let other = StateKey::new("nightly", "companies");
    let store = RedbStore::open(&path).await.unwrap();
    let generation = save(&store, &state_key(), 0, b"before the reset").await.unwrap().0;
    save(&store, &other, 0, b"runs on").await.unwrap();
    remove(&store, &state_key()).await.unwrap();
    drop(store);

    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), None);
    assert_eq!(kind(save(&store, &state_key(), generation, b"late").await), ErrorKind::Fenced);
    let fresh = save(&store, &state_key(), 0, b"after the reset").await.unwrap();
    assert!(fresh.0 > generation + 1, "the removal has a generation of its own");
    assert_eq!(kind(save(&store, &state_key(), generation, b"late").await), ErrorKind::Fenced);
    assert_eq!(load(&store, &other).await.unwrap(), Some((b"runs on".to_vec(), Generation(1))));
}

#[tokio::test]
async fn a_fenced_writer_is_told_the_state_and_both_generations() {
    let store = RedbStore::in_memory().unwrap();
    let key = state_key().with_tenant("acme").with_partition("de");
    save(&store, &key, 0, b"x").await.unwrap();
    let text = save(&store, &key, 7, b"y").await.unwrap_err().to_string();
    for part in ["nightly", "contacts", "acme", "de", "generation 1", "not 7"] {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[tokio::test]
async fn a_closed_store_says_so_and_its_file_can_be_opened_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::open(&path).await.unwrap();
    save(&store, &state_key(), 0, b"x").await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let again = RedbStore::open(&path).await.unwrap();
    assert_eq!(load(&again, &state_key()).await.unwrap(), Some((b"x".to_vec(), Generation(1))));
    for refused in [
        load(&store, &state_key()).await.unwrap_err(),
        save(&store, &state_key(), 1, b"y").await.unwrap_err(),
        store.compact().await.unwrap_err(),
        store.reopen().await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.message().contains("is closed"), "{refused}");
    }
}

#[tokio::test]
async fn compacting_shrinks_the_file_and_keeps_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::open(&path).await.unwrap();
    for n in 0..20 {
        save(&store, &StateKey::new("large", n.to_string()), 0, &vec![7; 100_000]).await.unwrap();
    }
    save(&store, &state_key(), 0, b"small").await.unwrap();
    for n in 0..20 {
        remove(&store, &StateKey::new("large", n.to_string())).await.unwrap();
    }
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(store.compact().await.unwrap());
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after * 4 < before, "{before} bytes became {after}");
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"small".to_vec(), Generation(1))));
    assert_eq!(store.keys(None).await.unwrap(), [state_key()]);
}

#[tokio::test]
async fn a_save_whose_caller_goes_away_is_whole_or_not_there() {
    let store = RedbStore::in_memory().unwrap();
    let key = state_key();
    {
        let given_up = save(&store, &key, 0, b"given up");
        tokio::pin!(given_up);
        tokio::select! {
            biased;
            result = &mut given_up => { result.unwrap(); }
            () = tokio::task::yield_now() => {}
        }
    }
    match save(&store, &key, 0, b"next").await {
        Ok(generation) => assert_eq!(generation, Generation(1), "the first one was not there"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Fenced);
            let whole = Some((b"given up".to_vec(), Generation(1)));
            assert_eq!(load(&store, &key).await.unwrap(), whole);
        }
    }
}
