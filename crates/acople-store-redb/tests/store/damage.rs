//! Files whose bytes are not as they were written.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use redb::Database;

use acople_core::{CheckpointStore, ErrorKind, Generation, QuarantineStore, StateKey};
use acople_store_redb::RedbStore;

use crate::disk::{Disk, Random};
use crate::{
    connection, contains, key, kind, load, load_access, quarantined, raw, remove, save, save_tokens,
};
use crate::{state_key, tokens};

/// A store with two generations of a state, another state, tokens and a refused record.
async fn write_store(path: &Path) -> Vec<u8> {
    let store = RedbStore::builder().master_key(key("k")).open(path).await.unwrap();
    save(&store, &StateKey::new("nightly", "companies"), 0, b"the other state").await.unwrap();
    save(&store, &state_key(), 0, b"state of generation 1").await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("access", "refresh")).await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{}")]).await.unwrap();
    save(&store, &state_key(), 1, b"state of generation 2").await.unwrap();
    store.close().await.unwrap();
    fs::read(path).unwrap()
}

/// A store made of these bytes; every call on it must end in an answer. True when it was rebuilt.
async fn check_bytes(path: &Path, bytes: &[u8], what: &str) -> bool {
    fs::write(path, bytes).unwrap();
    let Ok(store) = RedbStore::builder().master_key(key("k")).open(path).await else {
        return false;
    };
    match load(&store, &state_key()).await {
        Ok(Some((state, Generation(1)))) => {
            assert_eq!(state, b"state of generation 1", "{what}");
            assert!(store.damage().recovered_from.is_some(), "{what}: went back in silence");
        }
        Ok(Some((state, Generation(2)))) => assert_eq!(state, b"state of generation 2", "{what}"),
        Ok(other) => panic!("{what}: a damaged store answered {other:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{what}: {error}"),
    }
    match load_access(&store, &connection()).await {
        Ok(Some(loaded)) => assert_eq!(loaded, ("access".to_owned(), 1), "{what}"),
        Ok(None) => assert!(store.damage().recovered_from.is_some(), "{what}: tokens vanished in silence"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{what}: {error}"),
    }
    for record in store.list(None, None, 10).await.unwrap_or_default() {
        assert_eq!(record.record, "{}", "{what}");
    }
    store.keys(None).await.unwrap();
    let rebuilt = store.damage().recovered_from.is_some();
    drop(store);
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    rebuilt
}

fn store_path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("store")
}

#[tokio::test]
async fn state_05_a_flipped_bit_anywhere_never_makes_a_state_vanish_or_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let good = write_store(&path).await;
    let mut random = Random(5);
    // Every byte of the header, then a sample of all the rest.
    let offsets = (0..320).chain((320..good.len()).step_by(389));
    let (mut tried, mut rebuilt) = (0, 0);
    for offset in offsets {
        let mut bytes = good.clone();
        let bit = random.below(8);
        bytes[offset] ^= 1 << bit;
        tried += 1;
        rebuilt += u32::from(check_bytes(&path, &bytes, &format!("bit {bit} of byte {offset}")).await);
    }
    // Bits of unused pages and of the spare header do no harm.
    assert!(rebuilt > 0 && rebuilt < tried, "{rebuilt} of {tried} rebuilt");
}

#[tokio::test]
async fn state_05_a_flipped_byte_of_a_record_never_makes_a_state_vanish_or_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let good = write_store(&path).await;
    let text = b"state of generation 2";
    let copies: Vec<usize> = (0..good.len()).filter(|at| good[*at..].starts_with(text)).collect();
    // From within the record's key to within its checksum, in the live page and in old ones.
    for distance in 0..50 {
        let mut bytes = good.clone();
        for at in &copies {
            bytes[at + distance - 20] ^= 0xff;
        }
        assert!(check_bytes(&path, &bytes, &format!("{distance}")).await, "{distance} was not missed");
    }
}

#[tokio::test]
async fn state_05_a_cut_or_overwritten_file_never_makes_a_state_vanish_or_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let good = write_store(&path).await;
    let mut random = Random(7);
    for length in (1..64).chain((64..good.len()).step_by(1_999)) {
        check_bytes(&path, &good[..length], &format!("cut to {length}")).await;
    }
    for round in 0..60 {
        let mut bytes = good.clone();
        let size = usize::try_from(1 + random.below(8_192)).unwrap();
        let offset = usize::try_from(random.below((good.len() - size) as u64)).unwrap();
        let filler = if round % 2 == 0 { 0 } else { 0xa5 };
        bytes[offset..offset + size].fill(filler);
        check_bytes(&path, &bytes, &format!("{size} bytes of {filler} at {offset}")).await;
    }
    let mut longer = good.clone();
    longer.extend([0x5a; 5_000]);
    check_bytes(&path, &longer, "bytes behind the end").await;
}

#[tokio::test]
async fn state_05_a_file_without_content_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("empty", Vec::new()), ("zeros", vec![0; 80_000]), ("text", b"{\"not\": \"a store\"}".to_vec())]
    {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = RedbStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains(name), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name} was changed");
    }
}

#[tokio::test]
async fn state_05_a_destroyed_newest_state_leaves_the_one_before_and_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let mut bytes = write_store(&path).await;
    wipe(&mut bytes, b"state of generation 2");
    fs::write(&path, &bytes).unwrap();

    let open = || RedbStore::builder().master_key(key("k")).open(&path);
    let store = open().await.unwrap();
    let kept = store.damage().recovered_from.expect("the damage is reported");
    assert_eq!(fs::read(&kept).unwrap().len(), bytes.len(), "the damaged original is kept");
    assert_eq!(
        load(&store, &state_key()).await.unwrap(),
        Some((b"state of generation 1".to_vec(), Generation(1)))
    );
    assert_eq!(load_access(&store, &connection()).await.unwrap(), Some(("access".to_owned(), 1)));
    assert_eq!(store.list(Some("nightly"), None, 10).await.unwrap().len(), 1);
    save(&store, &state_key(), 1, b"goes on").await.unwrap();
    drop(store);

    let store = open().await.unwrap();
    assert_eq!(store.damage().recovered_from, Some(kept), "the report stays until it is answered");
    store.accept_losses().await.unwrap();
    assert_eq!(store.damage().recovered_from, None);
    drop(store);
    assert_eq!(open().await.unwrap().damage().recovered_from, None);
}

#[tokio::test]
async fn state_05_a_lost_state_is_an_error_until_it_is_reset_or_the_losses_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let mut bytes = write_store(&path).await;
    wipe(&mut bytes, b"state of generation 1");
    wipe(&mut bytes, b"state of generation 2");
    wipe(&mut bytes, b"the other state");
    fs::write(&path, &bytes).unwrap();

    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    let other = StateKey::new("nightly", "companies");
    let error = load(&store, &state_key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("may have been lost"), "{error}");
    remove(&store, &state_key()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), None, "the explicit reset");
    assert_eq!(kind(load(&store, &other).await), ErrorKind::Internal, "of this one state");
    store.accept_losses().await.unwrap();
    assert_eq!(load(&store, &other).await.unwrap(), None);
    save(&store, &state_key(), 0, b"starts over").await.unwrap();
}

#[tokio::test]
async fn state_05_lost_tokens_are_an_error_until_they_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let mut bytes = write_store(&path).await;
    // The sealed tokens begin with the version and the length and name of the master key.
    wipe(&mut bytes, b"\x01\x01k");
    fs::write(&path, &bytes).unwrap();
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    assert_eq!(kind(load_access(&store, &connection()).await), ErrorKind::Internal);
    acople_core::TokenStore::remove(&store, &connection()).await.unwrap();
    assert_eq!(load_access(&store, &connection()).await.unwrap(), None);
    save_tokens(&store, &connection(), 0, &tokens("connected again", "r")).await.unwrap();
}

#[tokio::test]
async fn state_05_each_damaged_original_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let _ = fs::remove_file(&path);
        let mut bytes = write_store(&path).await;
        wipe(&mut bytes, b"state of generation 2");
        fs::write(&path, &bytes).unwrap();
        let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
        kept.push(store.damage().recovered_from.unwrap());
    }
    kept.dedup();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|path| path.exists()));
}

#[tokio::test]
async fn state_05_a_removed_state_stays_removed_when_the_file_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    let store = RedbStore::open(&path).await.unwrap();
    save(&store, &StateKey::new("nightly", "companies"), 0, b"to be destroyed").await.unwrap();
    // Long enough for pages of its own, which are freed and not overwritten.
    save(&store, &state_key(), 0, &b"to be removed ".repeat(5_000)).await.unwrap();
    remove(&store, &state_key()).await.unwrap();
    // As a crash would leave it: closing may cut off free pages.
    let mut bytes = fs::read(&path).unwrap();
    store.close().await.unwrap();
    assert!(contains(&bytes, "to be removed"), "old pages still hold it: the point of this test");
    wipe(&mut bytes, b"to be destroyed");
    fs::write(&path, &bytes).unwrap();

    let store = RedbStore::open(&path).await.unwrap();
    assert!(store.damage().recovered_from.is_some());
    assert_eq!(load(&store, &state_key()).await.unwrap(), None);
    assert_eq!(kind(save(&store, &state_key(), 1, b"late").await), ErrorKind::Fenced);
}

#[tokio::test]
async fn a_store_that_was_cut_off_while_it_was_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_path(&folder);
    fs::write(folder.path().join("store.new"), b"half a store").unwrap();
    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), None);
    assert!(!folder.path().join("store.new").exists());
}

#[tokio::test]
async fn a_damaged_copy_of_a_state_is_replaced_by_the_other_one_and_counted() {
    let disk = Disk::default();
    let store = two_generations(&disk).await;
    assert_eq!(store.damage().fallbacks, 0);
    damage_row(&disk, store, raw::EVEN).await;

    let store = disk.open(RedbStore::builder()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"one".to_vec(), Generation(1))));
    assert_eq!(store.damage().fallbacks, 1);
    assert_eq!(store.keys(None).await.unwrap(), [state_key()]);

    let next = save(&store, &state_key(), 1, b"goes on").await.unwrap();
    assert_eq!(
        kind(save(&store, &state_key(), 2, b"stale").await),
        ErrorKind::Fenced,
        "a writer of the lost one"
    );
    let reported = store.damage().fallbacks;
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"goes on".to_vec(), next)));
    assert_eq!(store.damage().fallbacks, reported, "the damaged copy was overwritten");
    assert_eq!(kind(save(&store, &state_key(), 1, b"stale").await), ErrorKind::Fenced);
}

#[tokio::test]
async fn a_damaged_older_copy_does_not_hide_the_newest_state() {
    let disk = Disk::default();
    let store = two_generations(&disk).await;
    damage_row(&disk, store, raw::ODD).await;
    let store = disk.open(RedbStore::builder()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"two".to_vec(), Generation(2))));
    assert_eq!(store.damage().fallbacks, 1);
    save(&store, &state_key(), 2, b"three").await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap().unwrap().0, b"three");
}

#[tokio::test]
async fn a_state_with_both_copies_damaged_is_an_error_that_a_reset_ends() {
    let disk = Disk::default();
    let store = two_generations(&disk).await;
    damage_row(&disk, store, raw::EVEN).await;
    let store = disk.open(RedbStore::builder()).await.unwrap();
    damage_row(&disk, store, raw::ODD).await;

    let store = disk.open(RedbStore::builder()).await.unwrap();
    for error in [
        load(&store, &state_key()).await.unwrap_err(),
        save(&store, &state_key(), 2, b"x").await.unwrap_err(),
        save(&store, &state_key(), 0, b"x").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Internal);
        for part in ["nightly", "contacts", "test disk", "restore", "remove"] {
            assert!(error.message().contains(part), "{error} lacks {part:?}");
        }
    }
    assert_eq!(store.keys(None).await.unwrap(), [state_key()], "it is listed, so that it can be found");
    remove(&store, &state_key()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), None);
    assert_eq!(kind(save(&store, &state_key(), 2, b"late").await), ErrorKind::Fenced);
    save(&store, &state_key(), 0, b"fresh").await.unwrap();
}

#[tokio::test]
async fn a_state_under_the_key_of_another_is_damage() {
    let disk = Disk::default();
    let store = two_generations(&disk).await;
    save(&store, &StateKey::new("nightly", "companies"), 0, b"other").await.unwrap();
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let other = raw::get(&db, raw::ODD, ("nightly", "", "companies", ""));
        raw::set(&db, raw::EVEN, ("nightly", "", "contacts", ""), &raw::at_generation(&other, 9));
    }
    let store = disk.open(RedbStore::builder()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"one".to_vec(), Generation(1))));
    assert_eq!(store.damage().fallbacks, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn state_05_any_bytes_in_the_place_of_a_file_are_an_answer_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 1..5_000),
        mark in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = store_path(&folder);
        // Half of them look like a redb file, or like one of our records.
        let head: &[u8] = if mark { b"redb\x1a\x0a\xa9\x0d\x0a" } else { b"acople\x1e\x01\x01" };
        fs::write(&path, [head, &bytes].concat()).unwrap();
        let error = block_on(RedbStore::open(&path)).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn state_05_any_bytes_in_the_place_of_a_row_are_an_answer_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        whole in any::<bool>(),
    ) {
        block_on(async {
            let disk = Disk::default();
            let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
            save(&store, &state_key(), 0, b"one").await.unwrap();
            save_tokens(&store, &connection(), 0, &tokens("access", "refresh")).await.unwrap();
            store.put(&[quarantined("nightly", "id", "{}")]).await.unwrap();
            store.close().await.unwrap();
            {
                let db = disk.raw();
                let row = |old: Vec<u8>| if whole { raw::join(&raw::split(&old).0, &bytes) } else { bytes.clone() };
                let state = ("nightly", "", "contacts", "");
                if !whole {
                    raw::set(&db, raw::ODD, state, &bytes);
                }
                let token = ("acme", "hubspot", "main");
                raw::set(&db, raw::TOKENS, token, &row(raw::get(&db, raw::TOKENS, token)));
                raw::set(&db, raw::QUARANTINE, "id", &row(raw::get(&db, raw::QUARANTINE, "id")));
            }
            let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
            if !whole {
                assert_eq!(kind(load(&store, &state_key()).await), ErrorKind::Internal);
            }
            let error = load_access(&store, &connection()).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Internal | ErrorKind::Config), "{error}");
            assert!(store.list(None, None, 10).await.is_err());
            // A plain record is sealed as it is, whatever it says.
            assert!(store.rewrap().await.unwrap().failed >= 1);
            remove_all(&store).await;
        });
    }
}

/// Whatever is in the rows, it can be removed.
async fn remove_all(store: &RedbStore) {
    remove(store, &state_key()).await.unwrap();
    acople_core::TokenStore::remove(store, &connection()).await.unwrap();
    QuarantineStore::remove(store, &["id".to_owned()]).await.unwrap();
    assert_eq!(load(store, &state_key()).await.unwrap(), None);
    assert_eq!(load_access(store, &connection()).await.unwrap(), None);
    assert_eq!((store.count(None).await.unwrap(), store.count(Some("nightly")).await.unwrap()), (0, 0));
}

async fn two_generations(disk: &Disk) -> RedbStore {
    let store = disk.open(RedbStore::builder()).await.unwrap();
    save(&store, &state_key(), 0, b"one").await.unwrap();
    save(&store, &state_key(), 1, b"two").await.unwrap();
    store
}

/// Flips a bit of the state's copy in one of the two tables.
async fn damage_row(
    disk: &Disk,
    store: RedbStore,
    table: redb::TableDefinition<
        'static,
        (&'static str, &'static str, &'static str, &'static str),
        &'static [u8],
    >,
) {
    store.close().await.unwrap();
    let db: Database = disk.raw();
    let row = ("nightly", "", "contacts", "");
    let mut bytes = raw::get(&db, table, row);
    let last = bytes.len() - 33;
    bytes[last] ^= 4;
    raw::set(&db, table, row, &bytes);
}

/// Overwrites every copy of a text, also those in old pages.
fn wipe(bytes: &mut [u8], text: &[u8]) {
    let mut wiped = 0;
    for at in 0..bytes.len() - text.len() {
        if bytes[at..].starts_with(text) {
            bytes[at..at + text.len()].fill(b'#');
            wiped += 1;
        }
    }
    assert!(wiped > 0, "the text is in the file");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}
