//! Disks that fill up, fail to sync and lose power.

use acople_core::{ConnectionKey, ErrorKind, Generation, QuarantineStore};
use acople_store_redb::RedbStore;

use crate::disk::Disk;
use crate::{key, kind, load, load_access, quarantined, save, save_tokens, state_key, tokens};

#[tokio::test]
async fn state_07_after_a_failed_sync_the_store_refuses_work_until_it_is_reopened() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder()).await.unwrap();
    save(&store, &state_key(), 0, b"acknowledged").await.unwrap();

    disk.set_sync_fails(true);
    let error = save(&store, &state_key(), 1, b"not acknowledged").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("test disk") && error.message().contains("sync failed"), "{error}");

    // A disk that syncs again proves nothing about what it dropped.
    disk.set_sync_fails(false);
    for refused in [
        save(&store, &state_key(), 1, b"again").await.unwrap_err(),
        save(&store.clone(), &state_key(), 1, b"again").await.unwrap_err(),
        load(&store, &state_key()).await.unwrap_err(),
        store.count(None).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Internal);
        assert!(refused.message().contains("until it is reopened"), "{refused}");
    }

    store.reopen().await.unwrap();
    let (state, generation) = load(&store, &state_key()).await.unwrap().unwrap();
    assert!(state == b"acknowledged" || state == b"not acknowledged");
    save(&store, &state_key(), generation.0, b"works again").await.unwrap();
}

#[tokio::test]
async fn state_07_reopening_a_store_whose_disk_still_fails_says_so_and_may_be_tried_again() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder()).await.unwrap();
    save(&store, &state_key(), 0, b"acknowledged").await.unwrap();
    disk.set_sync_fails(true);
    save(&store, &state_key(), 1, b"lost").await.unwrap_err();
    store.reopen().await.unwrap_err();
    assert_eq!(kind(load(&store, &state_key()).await), ErrorKind::Internal);
    disk.set_sync_fails(false);
    store.reopen().await.unwrap();
    assert!(load(&store, &state_key()).await.unwrap().is_some());
}

#[tokio::test]
async fn state_04_a_full_disk_is_an_error_that_room_alone_heals() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder()).await.unwrap();
    save(&store, &state_key(), 0, b"before").await.unwrap();

    disk.set_full(true);
    for _ in 0..3 {
        let error = save(&store, &state_key(), 1, b"no room").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.message().contains("no room on the disk of store test disk"), "{error}");
    }

    disk.set_full(false);
    let (state, generation) = load(&store, &state_key()).await.unwrap().unwrap();
    assert_eq!(
        (state.as_slice(), generation),
        (b"before".as_slice(), Generation(1)),
        "nothing was acknowledged"
    );
    save(&store, &state_key(), generation.0, b"room again").await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap().unwrap().0, b"room again");
}

#[tokio::test]
async fn a_failed_store_that_was_closed_stays_closed() {
    for full in [true, false] {
        let disk = Disk::default();
        let store = disk.open(RedbStore::builder()).await.unwrap();
        disk.set_full(full);
        disk.set_sync_fails(!full);
        save(&store, &state_key(), 0, b"x").await.unwrap_err();
        let _ = store.close().await;
        disk.set_full(false);
        disk.set_sync_fails(false);
        assert_eq!(kind(store.reopen().await), ErrorKind::Config);
        assert!(load(&store, &state_key()).await.is_err());
        disk.open(RedbStore::builder()).await.expect("another one can be opened");
    }
}

#[tokio::test]
async fn state_05_after_a_power_cut_everything_acknowledged_is_there() {
    let connection = ConnectionKey::new("hubspot", "main");
    for seed in 0..120 {
        let disk = Disk::default();
        let builder = || RedbStore::builder().master_key(key("k"));
        let store = disk.open(builder()).await.unwrap();
        save(&store, &state_key(), 0, b"state 1").await.unwrap();
        save_tokens(&store, &connection, 0, &tokens("access 1", "r")).await.unwrap();
        disk.cut_power_after(seed % 60);
        let (mut states, mut renewals, mut refused) = (1, 1, 0);
        for round in 0..20 {
            match save(&store, &state_key(), states, format!("state {}", states + 1).as_bytes()).await {
                Ok(generation) => states = generation.0,
                Err(_) => break,
            }
            let access = format!("access {}", renewals + 1);
            match save_tokens(&store, &connection, renewals, &tokens(&access, "r")).await {
                Ok(generation) => renewals = generation.0,
                Err(_) => break,
            }
            match store.put(&[quarantined("nightly", &format!("{round:02}"), "{}")]).await {
                Ok(()) => refused = round + 1,
                Err(_) => break,
            }
        }
        drop(store);

        let store = disk.after_power_cut(seed).open(builder()).await.unwrap();
        let (state, Generation(generation)) = load(&store, &state_key()).await.unwrap().unwrap();
        assert!(
            (states..=states + 1).contains(&generation),
            "seed {seed}: {generation}, acknowledged {states}"
        );
        assert_eq!(state, format!("state {generation}").into_bytes(), "seed {seed}");
        let (access, generation) = load_access(&store, &connection).await.unwrap().unwrap();
        assert!(
            (renewals..=renewals + 1).contains(&generation),
            "seed {seed}: {generation}, acknowledged {renewals}"
        );
        assert_eq!(access, format!("access {generation}"), "seed {seed}");
        let kept = store.count(Some("nightly")).await.unwrap();
        assert!(
            (refused..=refused + 1).contains(&kept),
            "seed {seed}: {kept} records, acknowledged {refused}"
        );
        save(&store, &state_key(), 0, b"x").await.unwrap_err();
    }
}
