//! Links between records: the suite, encryption, damage, other keys.

use std::fs;

use acople_core::{IdentityMap, Link, Pairing, Side};
use acople_store_redb::RedbStore;
use acople_testkit::stores;

use crate::{contains, key};

fn pairing() -> Pairing {
    Pairing::new("leads", Side::new("salesforce", "Lead"), Side::new("hubspot", "contacts"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_keeps_the_promises_of_an_identity_map() {
    let folder = tempfile::tempdir().unwrap();
    stores::identity_map(&RedbStore::in_memory().unwrap()).await;
    stores::identity_map(&RedbStore::open(folder.path().join("store")).await.unwrap()).await;
    stores::identity_map(&RedbStore::builder().master_key(key("k")).in_memory().unwrap()).await;
    stores::identity_map(&acople_testkit::memory::MemoryStore::new()).await;
}

#[tokio::test]
async fn links_outlive_the_process_and_their_notes_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let link = Link::new("lead-1", "contact-1").with_seen("run 1").with_note("the customer's canary");
    let open = |id: &'static str| RedbStore::builder().master_key(key(id)).open(path.clone());
    let store = open("k").await.unwrap();
    store.put(&pairing(), std::slice::from_ref(&link)).await.unwrap();
    store.close().await.unwrap();
    assert!(!contains(&fs::read(&path).unwrap(), "canary"));
    let store = open("k").await.unwrap();
    assert_eq!(store.scan(&pairing(), None, 10).await.unwrap(), [link]);
}

#[tokio::test]
async fn links_move_to_a_new_master_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let links: Vec<Link> =
        (0..200).map(|n| Link::new(format!("s{n:03}"), format!("t{n}")).with_note("note")).collect();
    let plain = RedbStore::open(&path).await.unwrap();
    plain.put(&pairing(), &links[..50]).await.unwrap();
    plain.close().await.unwrap();
    let store = RedbStore::builder().master_key(key("one")).open(&path).await.unwrap();
    store.put(&pairing(), &links[50..]).await.unwrap();
    store.close().await.unwrap();
    let both = RedbStore::builder().master_key(key("two")).old_key(key("one"));
    let store = both.open(&path).await.unwrap();
    let moved = store.rewrap().await.unwrap();
    assert_eq!((moved.done, moved.failed), (200, 0));
    store.close().await.unwrap();
    let store = RedbStore::builder().master_key(key("two")).open(&path).await.unwrap();
    assert_eq!(store.scan(&pairing(), None, 1_000).await.unwrap(), links);
}

#[tokio::test]
async fn state_05_links_of_a_damaged_file_are_found_again_from_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::open(&path).await.unwrap();
    store.put(&pairing(), &[Link::new("a", "1"), Link::new("b", "2")]).await.unwrap();
    store.put(&pairing(), &[Link::new("a", "3").with_seen("run 2")]).await.unwrap();
    store.close().await.unwrap();
    // The header of the file: its tables cannot be found any more.
    let mut bytes = fs::read(&path).unwrap();
    bytes[..128].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let store = RedbStore::open(&path).await.unwrap();
    assert!(store.damage().recovered_from.is_some());
    let newest = Link::new("a", "3").with_seen("run 2");
    let found = store.by_source(&pairing(), &["a".to_owned(), "b".to_owned()]).await.unwrap();
    assert_eq!(found, [Some(newest.clone()), Some(Link::new("b", "2"))]);
    let found = store.by_target(&pairing(), &["3".to_owned(), "1".to_owned()]).await.unwrap();
    assert_eq!(found, [Some(newest), None]);
}
