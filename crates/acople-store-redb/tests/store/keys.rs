//! Master keys: rotation, recognition, counting.

use std::fs;

use acople_core::{ConnectionKey, ErrorKind, QuarantineStore, Secret, TokenStore};
use acople_store_redb::{MasterKey, RedbStore};

use crate::{connection, contains, key, kind, load_access, quarantined, save_tokens, tokens};

#[tokio::test]
async fn sec_07_old_keys_decrypt_and_the_new_key_encrypts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let other = ConnectionKey::new("hubspot", "other");
    let store = RedbStore::builder().master_key(key("old")).open(&path).await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("one", "r")).await.unwrap();
    save_tokens(&store, &other, 0, &tokens("two", "r")).await.unwrap();
    drop(store);

    let store = RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
    assert_eq!(load_access(&store, &connection()).await.unwrap(), Some(("one".to_owned(), 1)));
    save_tokens(&store, &other, 1, &tokens("three", "r")).await.unwrap();
    drop(store);

    let store = RedbStore::builder().master_key(key("new")).open(&path).await.unwrap();
    assert_eq!(load_access(&store, &other).await.unwrap(), Some(("three".to_owned(), 2)));
    let error = load_access(&store, &connection()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("\"old\", which is not here"), "{error}");
}

#[tokio::test]
async fn sec_07_an_old_key_alone_opens_and_does_not_seal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{}")]).await.unwrap();
    drop(store);
    let store = RedbStore::builder().old_key(key("k")).open(&path).await.unwrap();
    assert_eq!(store.list(None, None, 10).await.unwrap()[0].record, "{}");
    assert_eq!(kind(save_tokens(&store, &connection(), 0, &tokens("a", "r")).await), ErrorKind::Config);
}

#[tokio::test]
async fn sec_07_rewrap_moves_everything_to_the_newest_key_and_changes_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let plain = RedbStore::open(&path).await.unwrap();
    plain.put(&[quarantined("nightly", "plain", "{\"was\":\"plain\"}")]).await.unwrap();
    drop(plain);
    let store = RedbStore::builder().master_key(key("old")).open(&path).await.unwrap();
    let connections: Vec<ConnectionKey> =
        (0..150).map(|n| ConnectionKey::new("hubspot", format!("{n:03}"))).collect();
    for connection in &connections {
        save_tokens(&store, connection, 0, &tokens(&connection.connection, "r")).await.unwrap();
    }
    let records: Vec<_> =
        (0..150).map(|n| quarantined("nightly", &format!("id-{n}"), &format!("[{n}]"))).collect();
    store.put(&records).await.unwrap();
    TokenStore::remove(&store, &connections[5]).await.unwrap();
    drop(store);

    let store = RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
    save_tokens(&store, &connections[0], 1, &tokens("renewed", "r")).await.unwrap();
    let report = store.rewrap().await.unwrap();
    assert_eq!((report.done, report.current, report.failed), (148 + 151, 1, 0));
    assert!(report.first_error.is_none());
    let again = store.rewrap().await.unwrap();
    assert_eq!((again.done, again.current, again.failed), (0, 149 + 151, 0));
    drop(store);

    let store = RedbStore::builder().master_key(key("new")).open(&path).await.unwrap();
    for connection in &connections[1..] {
        let expected = (connection != &connections[5]).then(|| (connection.connection.clone(), 1));
        assert_eq!(load_access(&store, connection).await.unwrap(), expected);
    }
    assert_eq!(load_access(&store, &connections[0]).await.unwrap(), Some(("renewed".to_owned(), 2)));
    let listed = store.list(Some("nightly"), None, 1_000).await.unwrap();
    assert_eq!(listed.len(), 151);
    assert_eq!(listed.last().unwrap().record, "{\"was\":\"plain\"}");
    store.compact().await.unwrap();
    drop(store);
    assert!(!contains(&fs::read(&path).unwrap(), "was"), "the plain text is gone after compacting");
}

#[tokio::test]
async fn sec_07_rewrap_leaves_what_it_cannot_open_and_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for id in ["one", "two"] {
        let store = RedbStore::builder().master_key(key(id)).open(&path).await.unwrap();
        save_tokens(&store, &ConnectionKey::new("hubspot", id), 0, &tokens(id, "r")).await.unwrap();
    }
    let store = RedbStore::builder().master_key(key("three")).old_key(key("two")).open(&path).await.unwrap();
    let report = store.rewrap().await.unwrap();
    assert_eq!((report.done, report.current, report.failed), (1, 0, 1));
    let first = report.first_error.unwrap();
    assert_eq!(first.kind(), ErrorKind::Config);
    assert!(first.message().contains("\"one\""), "{first}");
    drop(store);
    let store = RedbStore::builder().master_key(key("three")).old_key(key("one")).open(&path).await.unwrap();
    assert_eq!(store.rewrap().await.unwrap().failed, 0);
}

#[tokio::test]
async fn sec_07_tokens_stay_usable_while_they_are_rewrapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("old")).open(&path).await.unwrap();
    for n in 0..130 {
        save_tokens(&store, &ConnectionKey::new("hubspot", format!("{n:03}")), 0, &tokens("a", "r"))
            .await
            .unwrap();
    }
    drop(store);
    let store = RedbStore::builder().master_key(key("new")).old_key(key("old")).open(&path).await.unwrap();
    let writer = async {
        let connection = ConnectionKey::new("hubspot", "129");
        for n in 1..10 {
            let generation =
                save_tokens(&store, &connection, n, &tokens(&format!("a{n}"), "r")).await.unwrap();
            assert_eq!(
                load_access(&store, &connection).await.unwrap(),
                Some((format!("a{n}"), generation.0))
            );
        }
    };
    let (report, ()) = tokio::join!(store.rewrap(), writer);
    assert_eq!(report.unwrap().failed, 0);
    drop(store);
    let store = RedbStore::builder().master_key(key("new")).open(&path).await.unwrap();
    assert_eq!(
        load_access(&store, &ConnectionKey::new("hubspot", "129")).await.unwrap(),
        Some(("a9".to_owned(), 10))
    );
}

#[tokio::test]
async fn sec_07_a_wrong_key_of_a_known_name_is_refused_when_the_store_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("a", "r")).await.unwrap();
    drop(store);
    let wrong = || MasterKey::new("k", &[9; 32]).unwrap();
    for builder in [
        RedbStore::builder().master_key(wrong()),
        RedbStore::builder().master_key(key("other")).old_key(wrong()),
    ] {
        let error = builder.open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("master key \"k\" is not the one"), "{error}");
    }
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    assert!(load_access(&store, &connection()).await.unwrap().is_some());
}

#[test]
fn sec_07_master_keys_are_checked() {
    for length in [0, 1, 16, 31, 33, 64] {
        let error = MasterKey::new("k", &vec![1; length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(&format!("{length} bytes")), "{error}");
    }
    for id in ["", "with space", "ümlaut", "line\n", &"x".repeat(65)] {
        assert_eq!(kind(MasterKey::new(id, &[1; 32])), ErrorKind::Config, "{id:?}");
    }
    let text = Secret::from("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n");
    assert_eq!(MasterKey::from_base64("k", &text).unwrap().id(), "k");
    for text in ["", "AQEB", "CANARY not base64 CANARY"] {
        let error = MasterKey::from_base64("k", &Secret::from(text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("CANARY"));
    }
    let twice = RedbStore::builder().master_key(key("k")).old_key(key("j")).old_key(key("k"));
    assert_eq!(kind(twice.in_memory()), ErrorKind::Config);
}

#[tokio::test]
async fn sec_08_a_key_is_refused_when_its_uses_are_spent_and_a_new_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    // One use is the key's own check row.
    let builder = || RedbStore::builder().wrap_limit(6);
    let store = builder().master_key(key("k")).open(&path).await.unwrap();
    for n in 0..2 {
        save_tokens(&store, &connection(), n, &tokens("a", "r")).await.unwrap();
    }
    drop(store);
    let store = builder().master_key(key("k")).open(&path).await.unwrap();
    let batch: Vec<_> = (0..4).map(|n| quarantined("nightly", &format!("id-{n}"), "{}")).collect();
    assert_eq!(kind(store.put(&batch).await), ErrorKind::Config, "the whole batch is refused");
    assert_eq!(store.count(None).await.unwrap(), 0);
    store.put(&batch[..3]).await.unwrap();
    let error = save_tokens(&store, &connection(), 2, &tokens("b", "r")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("open the store with a new key"), "{error}");
    assert_eq!(
        load_access(&store, &connection()).await.unwrap(),
        Some(("a".to_owned(), 2)),
        "reading goes on"
    );
    drop(store);
    let store = builder().master_key(key("new")).old_key(key("k")).open(&path).await.unwrap();
    save_tokens(&store, &connection(), 2, &tokens("b", "r")).await.unwrap();
    assert_eq!(store.rewrap().await.unwrap().failed, 0);
}

#[tokio::test]
async fn everything_about_a_store_can_be_done_in_a_spawned_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let task = tokio::spawn(async move {
        let store = RedbStore::builder().master_key(key("k")).open(&path).await?;
        save_tokens(&store, &connection(), 0, &tokens("a", "r")).await?;
        store.accept_losses().await?;
        store.compact().await?;
        store.reopen().await?;
        let report = store.rewrap().await?;
        store.close().await?;
        Ok::<_, acople_core::Error>(report.current)
    });
    assert_eq!(task.await.unwrap().unwrap(), 1);
}
