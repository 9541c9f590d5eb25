//! Tokens: encryption and what it binds.

use std::collections::HashSet;
use std::fs;

use acople_core::{ConnectionKey, ErrorKind, QuarantineStore, TokenStore};
use acople_store_redb::{MasterKey, RedbStore};
use acople_testkit::stores;

use crate::disk::Disk;
use crate::{connection, contains, key, kind, load_access, quarantined, raw, save_tokens, tokens};

const ROW: (&str, &str, &str) = ("acme", "hubspot", "main");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_keeps_the_promises_of_a_token_store() {
    let folder = tempfile::tempdir().unwrap();
    let builder = RedbStore::builder().master_key(key("k"));
    stores::token_store(&builder.clone().in_memory().unwrap()).await;
    stores::token_store(&builder.open(folder.path().join("store")).await.unwrap()).await;
}

#[tokio::test]
async fn of_many_workers_one_renews_until_its_term_is_over() {
    stores::token_leases(&RedbStore::builder().master_key(key("k")).in_memory().unwrap()).await;
}

#[tokio::test]
async fn tokens_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let open = || RedbStore::builder().master_key(key("k")).open(&path);
    let store = open().await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("access 1", "refresh 1")).await.unwrap();
    save_tokens(&store, &connection(), 1, &tokens("access 2", "refresh 2")).await.unwrap();
    drop(store);
    let (set, generation) = TokenStore::load(&open().await.unwrap(), &connection()).await.unwrap().unwrap();
    assert_eq!(
        (set.access.expose(), set.refresh.unwrap().expose(), generation.0),
        ("access 2", "refresh 2", 2)
    );
}

#[tokio::test]
async fn sec_05_no_secret_is_in_the_files_or_in_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bytes = [*b"CANARY-MASTER-KEY-CANARY-MASTER-", [0; 32]].concat();
    let master = MasterKey::new("k", &bytes[..32]).unwrap();
    let store = RedbStore::builder().master_key(master.clone()).open(&path).await.unwrap();
    for n in 0..40 {
        let set = tokens("CANARY-access-CANARY", "CANARY-refresh-CANARY");
        save_tokens(&store, &connection(), n, &set).await.unwrap();
    }
    store.put(&[quarantined("nightly", "id-1", "{\"email\":\"CANARY@example.com\"}")]).await.unwrap();
    assert!(!format!("{store:?} {master:?}").contains("CANARY"));
    drop(store);
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!contains(&bytes, "CANARY"), "a secret is in a file");
        files += 1;
    }
    assert_eq!(files, 2, "the store and its lock");
}

#[tokio::test]
async fn sec_05_without_a_key_tokens_are_refused_and_can_only_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("a", "r")).await.unwrap();
    drop(store);

    let store = RedbStore::open(&path).await.unwrap();
    let other = ConnectionKey::new("hubspot", "other");
    for error in [
        load_access(&store, &connection()).await.unwrap_err(),
        load_access(&store, &other).await.unwrap_err(),
        save_tokens(&store, &connection(), 1, &tokens("a", "r")).await.unwrap_err(),
        save_tokens(&store, &other, 0, &tokens("a", "r")).await.unwrap_err(),
        store.rewrap().await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, ["master_key".to_owned()].as_slice()));
    }
    TokenStore::remove(&store, &connection()).await.unwrap();
    drop(store);
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    assert_eq!(load_access(&store, &connection()).await.unwrap(), None);
}

#[tokio::test]
async fn sec_06_tokens_pasted_to_another_connection_do_not_open() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
    let places = [
        connection(),
        ConnectionKey::new("hubspot", "main").with_tenant("other"),
        ConnectionKey::new("salesforce", "main").with_tenant("acme"),
        ConnectionKey::new("hubspot", "second").with_tenant("acme"),
    ];
    for place in &places {
        save_tokens(&store, place, 0, &tokens("access", "refresh")).await.unwrap();
    }
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let (_, sealed) = raw::split(&raw::get(&db, raw::TOKENS, ROW));
        for place in &places[1..] {
            let row = (place.tenant.as_str(), place.connector.as_str(), place.connection.as_str());
            // Under the right name and with a checksum that is right: only the encryption is in the way.
            let (head, _) = raw::split(&raw::get(&db, raw::TOKENS, row));
            raw::set(&db, raw::TOKENS, row, &raw::join(&head, &sealed));
        }
    }
    let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
    assert!(load_access(&store, &connection()).await.unwrap().is_some());
    for place in &places[1..] {
        let error = load_access(&store, place).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("comes from another place"), "{error}");
    }
}

#[tokio::test]
async fn sec_06_old_tokens_put_back_are_noticed() {
    let disk = Disk::default();
    let open = || disk.open(RedbStore::builder().master_key(key("k")));
    let store = open().await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("old", "old")).await.unwrap();
    store.close().await.unwrap();
    let old = raw::get(&disk.raw(), raw::TOKENS, ROW);
    let store = open().await.unwrap();
    save_tokens(&store, &connection(), 1, &tokens("new", "new")).await.unwrap();
    store.close().await.unwrap();

    raw::set(&disk.raw(), raw::TOKENS, ROW, &old);
    let store = open().await.unwrap();
    let error = load_access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains("generation 1 instead of 2"), "{error}");
    store.close().await.unwrap();

    // With the generation forged as well, they do not open.
    raw::set(&disk.raw(), raw::TOKENS, ROW, &raw::at_generation(&old, 2));
    let store = open().await.unwrap();
    let error = load_access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains("does not open it"), "{error}");
    TokenStore::remove(&store, &connection()).await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("connected again", "r")).await.unwrap();
}

#[tokio::test]
async fn sec_07_every_changed_or_missing_byte_of_sealed_tokens_is_an_error() {
    let disk = Disk::default();
    let builder = || RedbStore::builder().master_key(key("k")).old_key(key("j"));
    let store = disk.open(builder()).await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("a", "r")).await.unwrap();
    store.close().await.unwrap();
    let (head, sealed) = raw::split(&raw::get(&disk.raw(), raw::TOKENS, ROW));
    let flips = (0..sealed.len()).map(|at| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    });
    let cuts = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    for bytes in flips.chain(cuts).chain([[sealed.as_slice(), b"x"].concat()]) {
        raw::set(&disk.raw(), raw::TOKENS, ROW, &raw::join(&head, &bytes));
        let store = disk.open(builder()).await.unwrap();
        let error = load_access(&store, &connection()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Internal | ErrorKind::Config), "{error}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn sec_08_no_nonce_and_no_data_key_is_used_twice() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
    let connections: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    for connection in &connections {
        save_tokens(&store, &ConnectionKey::new("hubspot", connection), 0, &tokens("same", "same"))
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    let db = disk.raw();
    let (mut nonces, mut texts) = (HashSet::new(), HashSet::new());
    for connection in &connections {
        let (_, sealed) = raw::split(&raw::get(&db, raw::TOKENS, ("", "hubspot", connection)));
        // version, length and name of the key; nonce; wrapped data key and tag; nonce; text and tag
        nonces.insert(sealed[3..15].to_vec());
        texts.insert(sealed[15..63].to_vec());
        nonces.insert(sealed[63..75].to_vec());
        texts.insert(sealed[75..].to_vec());
    }
    assert_eq!((nonces.len(), texts.len()), (200, 200));
}

#[tokio::test]
async fn tokens_above_the_limit_are_refused() {
    let store = RedbStore::builder().master_key(key("k")).max_state_size(1_000).in_memory().unwrap();
    let large = tokens(&"x".repeat(2_000), "r");
    assert_eq!(kind(save_tokens(&store, &connection(), 0, &large).await), ErrorKind::TooLarge);
}

#[tokio::test]
async fn tokens_that_end_before_1970_are_refused() {
    let store = RedbStore::builder().master_key(key("k")).in_memory().unwrap();
    let mut set = tokens("a", "r");
    set.expires_at = std::time::SystemTime::UNIX_EPOCH.checked_sub(std::time::Duration::from_secs(5));
    assert_eq!(kind(save_tokens(&store, &connection(), 0, &set).await), ErrorKind::Invalid);
}
