//! The store in PostgreSQL: its promises, its schema, its errors.

use acople::store_postgres::{PostgresStore, PostgresStoreBuilder};
use acople_core::{CheckpointStore, ErrorKind, Generation, QuarantineStore, StateKey, TokenStore};
use acople_testkit::stores;

use crate::postgres_server::{PASSWORD, Postgres};
use crate::{connection, key, kind, quarantined, tokens};

pub fn builder(server: &Postgres, schema: &str) -> PostgresStoreBuilder {
    PostgresStore::builder(server.url()).schema(schema).master_key(key("k"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_store_keeps_the_promises_of_every_store() {
    let server = Postgres::shared();
    let store = builder(&server, &server.schema()).open().await.unwrap();
    stores::checkpoint_store(&store).await;
    stores::token_store(&store).await;
    stores::secret_store(&store).await;
    stores::token_leases(&store).await;
    stores::quarantine_store(&store).await;
    let plain = PostgresStore::builder(server.url()).schema(server.schema()).open().await.unwrap();
    stores::quarantine_store(&plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_schema_are_one_store() {
    let server = Postgres::shared();
    let schema = server.schema();
    // Both begin with nothing, and one of them makes the tables.
    let (one, two) = tokio::join!(builder(&server, &schema).open(), builder(&server, &schema).open());
    let (one, two) = (one.unwrap(), two.unwrap());
    let state = StateKey::new("nightly", "contacts");
    let generation = CheckpointStore::save(&one, &state, Generation(0), b"one").await.unwrap();
    assert_eq!(CheckpointStore::load(&two, &state).await.unwrap(), Some((b"one".to_vec(), generation)));
    let next = CheckpointStore::save(&two, &state, generation, b"two").await.unwrap();
    assert_eq!(kind(CheckpointStore::save(&one, &state, generation, b"late").await), ErrorKind::Fenced);
    assert_eq!(CheckpointStore::load(&one, &state).await.unwrap(), Some((b"two".to_vec(), next)));
}

#[tokio::test]
async fn state_06_tables_of_a_newer_version_are_refused_and_untouched() {
    let server = Postgres::shared();
    let schema = server.schema();
    builder(&server, &schema).open().await.unwrap();
    let client = server.client().await;
    client.batch_execute(&format!("UPDATE {schema}.schema_version SET version = 2")).await.unwrap();
    let error = builder(&server, &schema).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("version 2"), "{error}");
    client.batch_execute(&format!("UPDATE {schema}.schema_version SET version = 1")).await.unwrap();
    builder(&server, &schema).open().await.unwrap();
}

#[tokio::test]
async fn a_role_without_the_right_to_make_tables_uses_those_that_are_there() {
    let server = Postgres::shared();
    let schema = server.schema();
    builder(&server, &schema).open().await.unwrap();
    let client = server.client().await;
    client
        .batch_execute(&format!(
            "CREATE ROLE worker_of_{schema} LOGIN PASSWORD 'w';
             GRANT USAGE ON SCHEMA {schema} TO worker_of_{schema};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO worker_of_{schema};"
        ))
        .await
        .unwrap();
    let address = format!("postgresql://worker_of_{schema}@{}/postgres", server.addr());
    let worker = || PostgresStore::builder(address.as_str()).password("w").master_key(key("k"));
    let store = worker().schema(&schema).open().await.unwrap();
    TokenStore::save(&store, &connection(), Generation(0), &tokens("a", "r")).await.unwrap();
    // And where it would have to make them, it says so.
    let error = worker().schema(server.schema()).open().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("42501")));
    client
        .batch_execute(&format!("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM worker_of_{schema}"))
        .await
        .unwrap();
    let refused = CheckpointStore::load(&store, &StateKey::new("a", "b")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Config, Some("42501")));
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_an_error_that_says_why_and_has_no_password() {
    let server = Postgres::shared();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let begun = std::time::Instant::now();
    let cases = [
        (format!("postgresql://acople:CANARY-wrong@{}/postgres", server.addr()), ErrorKind::Config),
        (format!("postgresql://acople@{}/postgres", server.addr()), ErrorKind::Config),
        (format!("postgresql://acople:{PASSWORD}@{}/none", server.addr()), ErrorKind::Config),
        (Postgres::url_at(nobody), ErrorKind::Transient),
        // It has no TLS, and the address demands it.
        (
            format!(
                "host=localhost hostaddr=127.0.0.1 port={} user=acople sslmode=require",
                server.addr().port()
            ),
            ErrorKind::Config,
        ),
    ];
    for (address, expected) in cases {
        let builder =
            PostgresStore::builder(address.as_str()).patience(std::time::Duration::from_millis(300));
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error:?}");
        let printed = format!("{error:?} {error}");
        assert!(!printed.contains("CANARY") && !printed.contains("://"), "{printed}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    let store = builder(&server, &server.schema()).open().await.unwrap();
    assert!(!format!("{store:?}").contains("CANARY"));
    let builder = builder(&server, "x");
    assert!(!format!("{builder:?}").contains("CANARY"));
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledges_is_refused_unless_that_is_accepted() {
    let server = Postgres::start(&["fsync=off"]);
    let schema = server.schema();
    let error = builder(&server, &schema).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("fsync off"), "{error}");
    let store = builder(&server, &schema).accept_loss_on_crash().open().await.unwrap();
    store.ping().await.unwrap();
    // So is a role that does not wait for the disk.
    let server = Postgres::shared();
    let role = format!("hasty_{}", server.schema());
    server
        .client()
        .await
        .batch_execute(&format!(
            "CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'h'; ALTER ROLE {role} SET synchronous_commit = off"
        ))
        .await
        .unwrap();
    let address = format!("postgresql://{role}:h@{}/postgres", server.addr());
    let error = PostgresStore::builder(address).open().await.unwrap_err();
    assert!(error.message().contains("synchronous_commit off"), "{error}");
}

#[tokio::test]
async fn a_statement_that_waits_too_long_ends_with_its_time_out() {
    let server = Postgres::shared();
    let schema = server.schema();
    let timeout = std::time::Duration::from_millis(200);
    let store = builder(&server, &schema)
        .statement_timeout(timeout)
        .patience(std::time::Duration::ZERO)
        .open()
        .await
        .unwrap();
    let state = StateKey::new("nightly", "contacts");
    let generation = CheckpointStore::save(&store, &state, Generation(0), b"one").await.unwrap();
    let mut client = server.client().await;
    let tx = client.transaction().await.unwrap();
    tx.execute(&format!("SELECT 1 FROM {schema}.states FOR UPDATE"), &[]).await.unwrap();
    let error = CheckpointStore::save(&store, &state, generation, b"two").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Transient), "{error:?}");
    tx.rollback().await.unwrap();
    CheckpointStore::save(&store, &state, generation, b"two").await.unwrap();
}

#[tokio::test]
async fn the_pool_is_bounded_and_waiting_for_it_too() {
    let server = Postgres::shared();
    let schema = server.schema();
    let store = builder(&server, &schema).max_connections(3).open().await.unwrap();
    let states: Vec<StateKey> = (0..200).map(|n| StateKey::new("many", format!("{n}"))).collect();
    let saves = states.iter().map(|key| CheckpointStore::save(&store, key, Generation(0), b"x"));
    for saved in futures_util::future::join_all(saves).await {
        saved.unwrap();
    }
    let client = server.client().await;
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%\"{schema}\".%' AND pid <> pg_backend_pid()"
    );
    let open: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
    assert!((1..=3).contains(&open), "{open} connections");
    store.close();
    assert_eq!(kind(store.ping().await), ErrorKind::Config);
}

#[tokio::test]
async fn of_a_batch_the_later_record_of_an_id_counts_and_names_may_be_any_text() {
    let server = Postgres::shared();
    let store = builder(&server, &server.schema()).open().await.unwrap();
    let names = ["\0", "\u{1}", "\u{1}\u{1}", "a\0b", "a", "b", "ü\u{10ffff}"];
    let records: Vec<_> = names
        .iter()
        .flat_map(|id| [quarantined(id, id, "{\"n\":1}"), quarantined(id, id, "{\"n\":2}")])
        .collect();
    store.put(&records).await.unwrap();
    let listed = store.list(None, None, 100).await.unwrap();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(listed.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), sorted);
    for record in &listed {
        assert_eq!((record.key.sync.as_str(), record.record.as_str()), (record.id.as_str(), "{\"n\":2}"));
        assert_eq!(store.count(Some(&record.id)).await.unwrap(), 1);
    }
    assert_eq!(store.list(None, Some("\0"), 1).await.unwrap()[0].id, "\u{1}");
}
