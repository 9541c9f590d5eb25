//! The file's format: whose it is, which version, and that this version still reads what it wrote.

use std::fs;

use redb::{Database, TableDefinition};

use acople_core::{CheckpointStore, ErrorKind, Generation, QuarantineStore, TokenStore};
use acople_store_redb::RedbStore;

use crate::disk::Disk;
use crate::{connection, key, load, quarantined, raw, save, save_tokens, state_key, tokens};

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    const THEIRS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("theirs");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs");
    raw::set(&Database::create(&path).unwrap(), THEIRS, "a", b"b");
    let error = RedbStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("not an acople store"), "{error}");
    let db = Database::open(&path).unwrap();
    assert_eq!(raw::get(&db, THEIRS, "a"), b"b");
    assert_eq!(db_tables(&db), ["theirs"]);
}

#[tokio::test]
async fn state_06_a_store_of_a_newer_version_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    RedbStore::open(&path).await.unwrap().close().await.unwrap();
    {
        let db = Database::open(&path).unwrap();
        let newer = raw::at_generation(&raw::get(&db, raw::META, "format"), 2);
        raw::set(&db, raw::META, "format", &newer);
    }
    let before = fs::read(&path).unwrap();
    for damage in [false, true] {
        if damage {
            let mut bytes = before.clone();
            bytes[0] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        let error = RedbStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("format 2") && error.message().contains("up to 1"), "{error}");
    }
}

#[tokio::test]
async fn paths_that_cannot_be_a_store_are_config_errors() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing").join("store")] {
        let error = RedbStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains(&*path.to_string_lossy()), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let _store = RedbStore::open(&path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Rows as format 1 writes them, by table and key.
const GOLDEN: &str = include_str!("golden-1.txt");

#[tokio::test]
async fn state_06_rows_of_format_1_are_read() {
    let disk = Disk::default();
    let builder = || RedbStore::builder().master_key(key("golden"));
    disk.open(builder()).await.unwrap().close().await.unwrap();
    {
        let db = disk.raw();
        for line in GOLDEN.lines() {
            let (table, bytes) = line.split_once(' ').unwrap();
            let bytes = unhex(bytes);
            put_golden(&db, table, &bytes);
        }
    }
    let store = disk.open(builder()).await.unwrap();
    assert_eq!(load(&store, &state_key()).await.unwrap(), Some((b"two".to_vec(), Generation(2))));
    assert_eq!(store.keys(None).await.unwrap(), [state_key()]);
    let (set, generation) = TokenStore::load(&store, &connection()).await.unwrap().unwrap();
    assert_eq!(generation, Generation(1));
    assert_eq!((set.access.expose(), set.refresh.as_ref().unwrap().expose()), ("access", "refresh"));
    assert_eq!(set.expires_at, tokens("", "").expires_at);
    let [record] = store.list(Some("nightly"), None, 10).await.unwrap().try_into().unwrap();
    assert_eq!((record.id.as_str(), record.record.as_str(), record.position), ("id-1", "{\"a\":1}", 3));
    assert_eq!((record.error.kind(), record.error.message()), (ErrorKind::Schema, "not a date"));
    assert_eq!(store.damage(), acople_store_redb::Damage::default());
}

/// The tables that the golden rows are of, and their keys.
const GOLDEN_FLOORS: TableDefinition<'static, (&str, &str, &str), &[u8]> =
    TableDefinition::new("acople.token_floors");
const GOLDEN_INDEX: TableDefinition<'static, (&str, &str), ()> =
    TableDefinition::new("acople.quarantine_by_sync");
const STATE_ROW: (&str, &str, &str, &str) = ("nightly", "", "contacts", "");
const TOKEN_ROW: (&str, &str, &str) = ("acme", "hubspot", "main");

fn put_golden(db: &Database, table: &str, bytes: &[u8]) {
    match table {
        "even" => raw::set(db, raw::EVEN, STATE_ROW, bytes),
        "odd" => raw::set(db, raw::ODD, STATE_ROW, bytes),
        "token" => raw::set(db, raw::TOKENS, TOKEN_ROW, bytes),
        "floor" => raw::set(db, GOLDEN_FLOORS, TOKEN_ROW, bytes),
        "key" => raw::set(db, raw::META, "key golden", bytes),
        "quarantine" => {
            raw::set(db, raw::QUARANTINE, "id-1", bytes);
            let tx = db.begin_write().unwrap();
            tx.open_table(GOLDEN_INDEX).unwrap().insert(("nightly", "id-1"), ()).unwrap();
            tx.commit().unwrap();
        }
        other => panic!("no such table: {other}"),
    }
}

#[tokio::test]
async fn state_06_what_is_written_now_has_the_layout_of_format_1() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder().master_key(key("golden"))).await.unwrap();
    save(&store, &state_key(), 0, b"one").await.unwrap();
    save(&store, &state_key(), 1, b"two").await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("access", "refresh")).await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{\"a\":1}")]).await.unwrap();
    store.close().await.unwrap();
    let db = disk.raw();
    let rows = [
        ("even", raw::get(&db, raw::EVEN, STATE_ROW)),
        ("odd", raw::get(&db, raw::ODD, STATE_ROW)),
        ("floor", raw::get(&db, GOLDEN_FLOORS, TOKEN_ROW)),
        ("token", raw::get(&db, raw::TOKENS, TOKEN_ROW)),
        ("quarantine", raw::get(&db, raw::QUARANTINE, "id-1")),
        ("key", raw::get(&db, raw::META, "key golden")),
    ];
    let written: Vec<String> = rows.iter().map(|(table, bytes)| format!("{table} {}", hex(bytes))).collect();
    // Sealed rows hold random bytes: of them, the heads are compared.
    let comparable = |line: &str| {
        let open = ["even", "odd", "floor"].iter().any(|table| line.starts_with(table));
        line.chars().take(if open { line.len() } else { 60 }).collect::<String>()
    };
    let golden: Vec<_> = GOLDEN.lines().map(comparable).collect();
    assert_eq!(
        written.iter().map(|line| comparable(line)).collect::<Vec<_>>(),
        golden,
        "{}",
        written.join("\n")
    );
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()
}

fn db_tables(db: &Database) -> Vec<String> {
    use redb::{ReadableDatabase, TableHandle};
    db.begin_read().unwrap().list_tables().unwrap().map(|table| table.name().to_owned()).collect()
}
