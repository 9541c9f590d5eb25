//! Refused records: the suite, encryption, damage.

use std::fs;

use acople_core::{ErrorKind, QuarantineStore};
use acople_store_redb::RedbStore;
use acople_testkit::stores;

use crate::disk::Disk;
use crate::{contains, key, quarantined, raw};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_key_keeps_the_promises_of_a_quarantine_store() {
    let folder = tempfile::tempdir().unwrap();
    stores::quarantine_store(&RedbStore::in_memory().unwrap()).await;
    stores::quarantine_store(&RedbStore::open(folder.path().join("store")).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_keeps_the_promises_of_a_quarantine_store() {
    stores::quarantine_store(&RedbStore::builder().master_key(key("k")).in_memory().unwrap()).await;
}

#[tokio::test]
async fn page_14_with_a_key_records_are_encrypted_and_without_one_they_are_plain() {
    let folder = tempfile::tempdir().unwrap();
    let records = [quarantined("nightly", "id-1", "{\"email\":\"CANARY@example.com\"}")];
    for (name, builder, plain) in
        [("sealed", RedbStore::builder().master_key(key("k")), false), ("plain", RedbStore::builder(), true)]
    {
        let path = folder.path().join(name);
        let store = builder.clone().open(&path).await.unwrap();
        store.put(&records).await.unwrap();
        drop(store);
        assert_eq!(contains(&fs::read(&path).unwrap(), "CANARY"), plain, "{name}");
        let listed = builder.open(&path).await.unwrap().list(None, None, 10).await.unwrap();
        assert_eq!(listed[0].record, records[0].record);
        assert_eq!(listed[0].error.kind(), ErrorKind::Schema);
    }
}

#[tokio::test]
async fn sealed_records_without_their_key_are_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{}")]).await.unwrap();
    drop(store);
    let store = RedbStore::open(&path).await.unwrap();
    let error = store.list(None, None, 10).await.unwrap_err();
    assert_eq!((error.kind(), error.record()), (ErrorKind::Config, Some("id-1")));
    assert!(error.message().contains("master key \"k\""), "{error}");
    assert_eq!(store.count(None).await.unwrap(), 1);
    store.remove(&["id-1".to_owned()]).await.unwrap();
    assert_eq!(store.count(Some("nightly")).await.unwrap(), 0);
}

#[tokio::test]
async fn records_sealed_for_another_id_do_not_open() {
    let disk = Disk::default();
    let open = || disk.open(RedbStore::builder().master_key(key("k")));
    let store = open().await.unwrap();
    store.put(&[quarantined("nightly", "a", "{}"), quarantined("nightly", "b", "{}")]).await.unwrap();
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let (_, payload) = raw::split(&raw::get(&db, raw::QUARANTINE, "a"));
        let (head, _) = raw::split(&raw::get(&db, raw::QUARANTINE, "b"));
        raw::set(&db, raw::QUARANTINE, "b", &raw::join(&head, &payload));
    }
    let store = open().await.unwrap();
    let error = store.list(None, Some("a"), 10).await.unwrap_err();
    assert_eq!((error.kind(), error.record()), (ErrorKind::Internal, Some("b")));
    assert_eq!(store.list(None, None, 1).await.unwrap()[0].id, "a");
}

#[tokio::test]
async fn a_damaged_record_is_named_passed_over_by_paging_and_removable() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder()).await.unwrap();
    let records = ["a", "b", "c"].map(|id| quarantined("nightly", id, "{}"));
    store.put(&records).await.unwrap();
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let mut bytes = raw::get(&db, raw::QUARANTINE, "b");
        bytes[20] ^= 1;
        raw::set(&db, raw::QUARANTINE, "b", &bytes);
    }
    let store = disk.open(RedbStore::builder()).await.unwrap();
    for sync in [None, Some("nightly")] {
        let error = store.list(sync, None, 10).await.unwrap_err();
        assert_eq!((error.kind(), error.record()), (ErrorKind::Internal, Some("b")));
        assert_eq!(store.list(sync, Some("b"), 10).await.unwrap()[0].id, "c");
    }
    store.remove(&["b".to_owned()]).await.unwrap();
    assert_eq!(store.list(Some("nightly"), None, 10).await.unwrap().len(), 2);
    assert_eq!(store.count(Some("nightly")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_record_that_comes_back_under_another_sync_moves_there() {
    let store = RedbStore::in_memory().unwrap();
    store.put(&[quarantined("first", "id", "{}")]).await.unwrap();
    store.put(&[quarantined("second", "id", "{}")]).await.unwrap();
    assert_eq!(store.count(Some("first")).await.unwrap(), 0);
    assert_eq!(store.count(Some("second")).await.unwrap(), 1);
    assert_eq!(store.count(None).await.unwrap(), 1);
    assert!(store.list(Some("first"), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_is_put_whole_or_not_at_all() {
    let store = RedbStore::in_memory().unwrap();
    let long = quarantined("nightly", &"x".repeat(1 << 20), "{}");
    let refused = store.put(&[quarantined("nightly", "fits", "{}"), long]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(store.count(None).await.unwrap(), 0);
}
