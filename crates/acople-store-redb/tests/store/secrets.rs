//! Secrets of connections, and which keys they need.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use redb::TableDefinition;

use acople_core::{
    ConnectionKey, Error, ErrorKind, Generation, QuarantineStore, Result, Secret, SecretStore,
};
use acople_seal::{DataKey, KeyService};
use acople_store_redb::{MasterKey, RedbStore, SealedRecord, Sealer};
use acople_testkit::stores;

use crate::disk::Disk;
use crate::{connection, contains, key, kind, load_access, quarantined, raw, save_tokens, tokens};

type Row = (&'static str, &'static str, &'static str, &'static str);
const SECRETS: TableDefinition<'static, Row, &[u8]> = TableDefinition::new("acople.secrets");
const FLOORS: TableDefinition<'static, Row, &[u8]> = TableDefinition::new("acople.secret_floors");
const ROW: Row = ("acme", "hubspot", "main", "token");

async fn set(store: &RedbStore, connection: &ConnectionKey, field: &str, at: u64, text: &str) -> Result<u64> {
    Ok(SecretStore::save(store, connection, field, Generation(at), &Secret::from(text)).await?.0)
}

async fn get(store: &RedbStore, connection: &ConnectionKey, field: &str) -> Result<Option<(String, u64)>> {
    let loaded = SecretStore::load(store, connection, field).await?;
    Ok(loaded.map(|(secret, generation)| (secret.expose().to_owned(), generation.0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_keeps_the_promises_of_a_secret_store() {
    let folder = tempfile::tempdir().unwrap();
    let builder = RedbStore::builder().master_key(key("k"));
    stores::secret_store(&builder.clone().in_memory().unwrap()).await;
    stores::secret_store(&builder.open(folder.path().join("store")).await.unwrap()).await;
}

#[tokio::test]
async fn sec_05_no_secret_is_in_the_files_and_without_a_key_none_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = RedbStore::builder().master_key(key("k")).open(&path).await.unwrap();
    for n in 0..20 {
        set(&store, &connection(), "token", n, "CANARY-secret-CANARY").await.unwrap();
    }
    SecretStore::remove(&store, &connection(), "token").await.unwrap();
    set(&store, &connection(), "other", 0, "CANARY").await.unwrap();
    drop(store);
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert!(!contains(&fs::read(entry.unwrap().path()).unwrap(), "CANARY"), "a secret is in a file");
    }
    let store = RedbStore::open(&path).await.unwrap();
    for error in [
        get(&store, &connection(), "other").await.unwrap_err(),
        set(&store, &connection(), "new", 0, "x").await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, ["master_key".to_owned()].as_slice()));
    }
    assert_eq!(store.fields(&connection()).await.unwrap(), ["other"], "names are in the clear");
}

#[tokio::test]
async fn sec_06_a_secret_pasted_to_another_field_or_connection_does_not_open() {
    let disk = Disk::default();
    let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
    let places: [(ConnectionKey, &str, Row); 4] = [
        (connection(), "token", ROW),
        (connection(), "password", ("acme", "hubspot", "main", "password")),
        (connection().with_tenant("other"), "token", ("other", "hubspot", "main", "token")),
        (
            ConnectionKey::new("hubspot", "two").with_tenant("acme"),
            "token",
            ("acme", "hubspot", "two", "token"),
        ),
    ];
    for (connection, field, _) in &places {
        set(&store, connection, field, 0, "secret").await.unwrap();
    }
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let (_, sealed) = raw::split(&raw::get(&db, SECRETS, ROW));
        for (_, _, row) in &places[1..] {
            let (head, _) = raw::split(&raw::get(&db, SECRETS, *row));
            raw::set(&db, SECRETS, *row, &raw::join(&head, &sealed));
        }
    }
    let store = disk.open(RedbStore::builder().master_key(key("k"))).await.unwrap();
    assert!(get(&store, &connection(), "token").await.unwrap().is_some());
    for (connection, field, _) in &places[1..] {
        let error = get(&store, connection, field).await.unwrap_err();
        assert!(error.message().contains("comes from another place"), "{error}");
    }
}

#[tokio::test]
async fn sec_06_an_old_secret_put_back_is_noticed() {
    let disk = Disk::default();
    let open = || disk.open(RedbStore::builder().master_key(key("k")));
    let store = open().await.unwrap();
    set(&store, &connection(), "token", 0, "old").await.unwrap();
    store.close().await.unwrap();
    let (old, old_floor) = (raw::get(&disk.raw(), SECRETS, ROW), raw::get(&disk.raw(), FLOORS, ROW));
    let store = open().await.unwrap();
    set(&store, &connection(), "token", 1, "new").await.unwrap();
    store.close().await.unwrap();

    let new_floor = raw::get(&disk.raw(), FLOORS, ROW);
    raw::set(&disk.raw(), SECRETS, ROW, &old);
    let store = open().await.unwrap();
    let error = get(&store, &connection(), "token").await.unwrap_err();
    assert!(error.message().contains("generation 1 instead of 2"), "{error}");
    assert!(error.message().contains("set it again"), "{error}");
    store.close().await.unwrap();
    // With the generation forged as well, it does not open.
    raw::set(&disk.raw(), SECRETS, ROW, &raw::at_generation(&old, 2));
    let store = open().await.unwrap();
    let error = get(&store, &connection(), "token").await.unwrap_err();
    assert!(error.message().contains("does not open it"), "{error}");
    store.close().await.unwrap();
    assert_ne!(old_floor, new_floor);
}

#[tokio::test]
async fn sec_07_keys_are_rotated_while_the_store_is_in_use() {
    let store = RedbStore::builder().master_key(key("old")).in_memory().unwrap();
    for n in 0..70 {
        set(&store, &connection(), &format!("field {n:02}"), 0, &format!("secret {n}")).await.unwrap();
    }
    save_tokens(&store, &connection(), 0, &tokens("access", "refresh")).await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{}")]).await.unwrap();

    let rotated = Sealer::new(key("new")).with_old_keys(&acople_seal::Keyring::new(key("old"))).unwrap();
    store.use_keys(rotated).await.unwrap();
    set(&store, &connection(), "field 00", 1, "renewed").await.unwrap();
    let uses = store.keys_in_use().await.unwrap();
    let counts: Vec<_> =
        uses.iter().map(|u| (u.id.as_str(), u.here, u.tokens, u.secrets, u.quarantined)).collect();
    assert_eq!(counts, [("new", true, 0, 1, 0), ("old", true, 1, 69, 1)]);
    let report = store.rewrap().await.unwrap();
    assert_eq!((report.done, report.current, report.failed), (71, 1, 0));

    store.use_keys(key("new")).await.unwrap();
    assert_eq!(store.keys_in_use().await.unwrap().len(), 1);
    assert_eq!(get(&store, &connection(), "field 69").await.unwrap(), Some(("secret 69".to_owned(), 1)));
    assert_eq!(get(&store, &connection(), "field 00").await.unwrap(), Some(("renewed".to_owned(), 2)));

    let error = store.use_keys(MasterKey::new("new", &[9; 32]).unwrap()).await.unwrap_err();
    assert!(error.message().contains("is not the one"), "{error}");
    assert!(get(&store, &connection(), "field 00").await.is_ok(), "the keys stayed as they were");
}

#[tokio::test]
async fn sec_07_without_one_key_its_records_are_named_and_all_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for id in ["lost", "kept"] {
        let store = RedbStore::builder().master_key(key(id)).open(&path).await.unwrap();
        let connection = ConnectionKey::new("hubspot", id);
        set(&store, &connection, "token", 0, id).await.unwrap();
        save_tokens(&store, &connection, 0, &tokens(id, "r")).await.unwrap();
        store.put(&[quarantined("nightly", id, "{}")]).await.unwrap();
    }
    let (lost, kept) = (ConnectionKey::new("hubspot", "lost"), ConnectionKey::new("hubspot", "kept"));
    let store = RedbStore::builder().master_key(key("kept")).open(&path).await.unwrap();
    assert_eq!(get(&store, &kept, "token").await.unwrap(), Some(("kept".to_owned(), 1)));
    assert_eq!(load_access(&store, &kept).await.unwrap(), Some(("kept".to_owned(), 1)));
    for error in
        [get(&store, &lost, "token").await.unwrap_err(), load_access(&store, &lost).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("\"lost\", which is not here"), "{error}");
    }
    let uses = store.keys_in_use().await.unwrap();
    assert_eq!(
        uses.iter().map(|u| (u.id.as_str(), u.here)).collect::<Vec<_>>(),
        [("kept", true), ("lost", false)]
    );
    let records = store.sealed_with("lost", 10).await.unwrap();
    let expected = [
        SealedRecord::Tokens(lost.clone()),
        SealedRecord::Secret(lost.clone(), "token".to_owned()),
        SealedRecord::Quarantined("lost".to_owned()),
    ];
    assert_eq!(records, expected);
    assert_eq!(store.sealed_with("lost", 2).await.unwrap().len(), 2);

    // What is lost is set anew.
    SecretStore::remove(&store, &lost, "token").await.unwrap();
    set(&store, &lost, "token", 0, "set again").await.unwrap();
    assert_eq!(get(&store, &lost, "token").await.unwrap().unwrap().0, "set again");
}

/// A service that only turns the bits, and can be away.
#[derive(Debug, Default)]
struct Service(AtomicBool);

impl Service {
    fn answer(&self) -> Result<()> {
        let away = self.0.load(Ordering::Relaxed);
        if away { Err(Error::new(ErrorKind::Transient, "no answer")) } else { Ok(()) }
    }
}

#[async_trait]
impl KeyService for Service {
    fn key_id(&self) -> &'static str {
        "kms/7"
    }

    async fn wrap(&self, data_key: &DataKey, _: &[u8]) -> Result<Vec<u8>> {
        self.answer()?;
        Ok(data_key.expose().iter().map(|byte| !byte).collect())
    }

    async fn unwrap(&self, wrapped: &[u8], _: &[u8]) -> Result<DataKey> {
        self.answer()?;
        DataKey::from_bytes(&wrapped.iter().map(|byte| !byte).collect::<Vec<u8>>())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_service_keeps_the_same_promises() {
    let open = || {
        let service = Arc::new(Service::default());
        RedbStore::builder().keys(Sealer::with_service(service).unwrap()).in_memory().unwrap()
    };
    stores::secret_store(&open()).await;
    stores::token_store(&open()).await;
    stores::quarantine_store(&open()).await;
}

#[tokio::test]
async fn sec_07_a_store_moves_to_a_key_service_and_waits_when_that_is_away() {
    let service = Arc::new(Service::default());
    let store = RedbStore::builder().master_key(key("k")).in_memory().unwrap();
    set(&store, &connection(), "token", 0, "secret").await.unwrap();
    store.put(&[quarantined("nightly", "id-1", "{}")]).await.unwrap();
    let keys = acople_seal::Keyring::new(key("k"));
    store
        .use_keys(Sealer::with_service(service.clone()).unwrap().with_old_keys(&keys).unwrap())
        .await
        .unwrap();
    assert_eq!(store.rewrap().await.unwrap().done, 2);
    store.use_keys(Sealer::with_service(service.clone()).unwrap()).await.unwrap();
    assert_eq!(store.keys_in_use().await.unwrap()[0].id, "kms/7");

    service.0.store(true, Ordering::Relaxed);
    for error in [
        get(&store, &connection(), "token").await.unwrap_err(),
        set(&store, &connection(), "token", 1, "x").await.unwrap_err(),
        store.list(None, None, 10).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.message().contains("kms/7"), "{error}");
    }
    service.0.store(false, Ordering::Relaxed);
    assert_eq!(get(&store, &connection(), "token").await.unwrap(), Some(("secret".to_owned(), 1)));
    assert_eq!(store.list(None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_come_in_one_piece_or_one_by_one() {
    let both = RedbStore::builder().master_key(key("a")).keys(key("b"));
    assert_eq!(kind(both.in_memory()), ErrorKind::Config);
}

#[tokio::test]
async fn state_06_a_store_from_before_there_were_secrets_is_opened() {
    let disk = Disk::default();
    let open = || disk.open(RedbStore::builder().master_key(key("k")));
    let store = open().await.unwrap();
    save_tokens(&store, &connection(), 0, &tokens("a", "r")).await.unwrap();
    store.close().await.unwrap();
    {
        let db = disk.raw();
        let tx = db.begin_write().unwrap();
        assert!(tx.delete_table(SECRETS).unwrap() && tx.delete_table(FLOORS).unwrap());
        tx.commit().unwrap();
    }
    let store = open().await.unwrap();
    assert_eq!(get(&store, &connection(), "token").await.unwrap(), None);
    set(&store, &connection(), "token", 0, "secret").await.unwrap();
    assert_eq!(load_access(&store, &connection()).await.unwrap(), Some(("a".to_owned(), 1)));
    store.close().await.unwrap();
    assert!(!raw::get(&disk.raw(), SECRETS, ROW).is_empty());
}

#[tokio::test]
async fn state_05_secrets_outlive_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let open = || RedbStore::builder().master_key(key("k")).open(&path);
    let store = open().await.unwrap();
    set(&store, &connection(), "token", 0, "secret").await.unwrap();
    set(&store, &connection(), "gone", 0, "secret").await.unwrap();
    SecretStore::remove(&store, &connection(), "gone").await.unwrap();
    store.close().await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = open().await.unwrap();
    assert!(store.damage().recovered_from.is_some());
    assert_eq!(get(&store, &connection(), "token").await.unwrap(), Some(("secret".to_owned(), 1)));
    assert_eq!(get(&store, &connection(), "gone").await.unwrap(), None);
    assert_eq!(store.fields(&connection()).await.unwrap(), ["token"]);
}
