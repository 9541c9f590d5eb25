//! What is sealed: nobody reads it in the database, and it opens nowhere but in its place.

use acople::store_postgres::{MasterKey, PostgresStore};
use acople_core::{ConnectionKey, ErrorKind, Generation, QuarantineStore, TokenStore};

use crate::postgres::builder;
use crate::postgres_server::Postgres;
use crate::{connection, key, kind, quarantined, tokens};

async fn access(store: &dyn TokenStore, key: &ConnectionKey) -> acople_core::Result<Option<String>> {
    Ok(store.load(key).await?.map(|(tokens, _)| tokens.access.expose().to_owned()))
}

#[tokio::test]
async fn sec_05_no_secret_is_in_the_database_files_and_its_log_of_changes() {
    let server = Postgres::start(&["log_statement=none"]);
    let store = builder(&server, "acople").open().await.unwrap();
    let mut generation = Generation(0);
    for _ in 0..20 {
        let set = tokens("CANARY-access-CANARY", "CANARY-refresh-CANARY");
        generation = TokenStore::save(&store, &connection(), generation, &set).await.unwrap();
    }
    store.put(&[quarantined("nightly", "id-1", "{\"email\":\"CANARY@example.com\"}")]).await.unwrap();
    server.client().await.batch_execute("CHECKPOINT").await.unwrap();
    let files = server.files();
    let has =
        |text: &str| files.iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(has("hubspot"), "the search does find what is there");
    assert!(!has("CANARY-access") && !has("CANARY-refresh") && !has("CANARY@"));
}

#[tokio::test]
async fn sec_05_without_a_key_tokens_are_refused_and_can_only_be_removed() {
    let server = Postgres::shared();
    let schema = server.schema();
    let store = builder(&server, &schema).open().await.unwrap();
    let generation = TokenStore::save(&store, &connection(), Generation(0), &tokens("a", "r")).await.unwrap();
    let plain = PostgresStore::builder(server.url()).schema(&schema).open().await.unwrap();
    assert_eq!(kind(access(&plain, &connection()).await), ErrorKind::Config);
    assert_eq!(
        kind(TokenStore::save(&plain, &connection(), generation, &tokens("a", "r")).await),
        ErrorKind::Config
    );
    assert_eq!(kind(plain.rewrap().await), ErrorKind::Config);
    TokenStore::remove(&plain, &connection()).await.unwrap();
    assert_eq!(access(&store, &connection()).await.unwrap(), None);
}

#[tokio::test]
async fn sec_06_a_ciphertext_copied_to_another_connection_does_not_open() {
    let server = Postgres::shared();
    let schema = server.schema();
    let store = builder(&server, &schema).open().await.unwrap();
    let places = [
        connection(),
        ConnectionKey::new("hubspot", "main").with_tenant("other"),
        ConnectionKey::new("salesforce", "main").with_tenant("acme"),
        ConnectionKey::new("hubspot", "second").with_tenant("acme"),
    ];
    for place in &places {
        TokenStore::save(&store, place, Generation(0), &tokens("access", "refresh")).await.unwrap();
    }
    // With the generation of where it came from as well: only the encryption is in the way.
    server
        .client()
        .await
        .batch_execute(&format!(
            "UPDATE {schema}.tokens t SET sealed = s.sealed, generation = s.generation
               FROM {schema}.tokens s WHERE s.tenant = 'acme' AND s.connector = 'hubspot' AND s.connection = 'main';
             UPDATE {schema}.token_generations g SET generation = t.generation FROM {schema}.tokens t"
        ))
        .await
        .unwrap();
    assert_eq!(access(&store, &places[0]).await.unwrap().as_deref(), Some("access"));
    for place in &places[1..] {
        let error = access(&store, place).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("comes from another place"), "{error}");
    }
}

#[tokio::test]
async fn sec_06_old_tokens_put_back_are_noticed() {
    let server = Postgres::shared();
    let schema = server.schema();
    let store = builder(&server, &schema).open().await.unwrap();
    let one = TokenStore::save(&store, &connection(), Generation(0), &tokens("old", "old")).await.unwrap();
    let client = server.client().await;
    client.batch_execute(&format!("CREATE TABLE {schema}.backup AS TABLE {schema}.tokens")).await.unwrap();
    let two = TokenStore::save(&store, &connection(), one, &tokens("new", "new")).await.unwrap();
    client
        .batch_execute(&format!(
            "UPDATE {schema}.tokens t SET sealed = b.sealed, generation = b.generation FROM {schema}.backup b"
        ))
        .await
        .unwrap();
    let error = access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains(&format!("generation {} instead of {}", one.0, two.0)), "{error}");
    // With the generation forged as well, they do not open.
    client.batch_execute(&format!("UPDATE {schema}.tokens SET generation = {}", two.0)).await.unwrap();
    let error = access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains("does not open it"), "{error}");
    TokenStore::remove(&store, &connection()).await.unwrap();
    TokenStore::save(&store, &connection(), Generation(0), &tokens("connected again", "r")).await.unwrap();
    assert_eq!(access(&store, &connection()).await.unwrap().as_deref(), Some("connected again"));
}

#[tokio::test]
async fn sec_07_rewrap_moves_everything_to_the_newest_key_while_it_is_used() {
    let server = Postgres::shared();
    let schema = server.schema();
    let plain = PostgresStore::builder(server.url()).schema(&schema).open().await.unwrap();
    plain.put(&[quarantined("nightly", "plain", "{\"was\":\"plain\"}")]).await.unwrap();
    let old = || PostgresStore::builder(server.url()).schema(&schema).master_key(key("old"));
    let store = old().open().await.unwrap();
    let connections: Vec<ConnectionKey> = (0..100)
        .map(|n| ConnectionKey::new("hubspot", format!("{n:03}")))
        .chain([ConnectionKey::new("", "")])
        .collect();
    let mut generations = Vec::new();
    for connection in &connections {
        let set = tokens(&connection.connection, "r");
        generations.push(TokenStore::save(&store, connection, Generation(0), &set).await.unwrap());
    }
    let records: Vec<_> =
        (0..150).map(|n| quarantined("nightly", &format!("id-{n}"), &format!("[{n}]"))).collect();
    store.put(&records).await.unwrap();

    let both = PostgresStore::builder(server.url())
        .schema(&schema)
        .master_key(key("new"))
        .old_key(key("old"))
        .open()
        .await
        .unwrap();
    // Other workers renew meanwhile, and nothing of theirs is lost.
    let renew = async {
        for (connection, generation) in connections.iter().zip(&generations).take(40) {
            TokenStore::save(&both, connection, *generation, &tokens("renewed", "r")).await.unwrap();
        }
    };
    let (report, ()) = tokio::join!(both.rewrap(), renew);
    assert_eq!(report.unwrap().failed, 0);
    let again = both.rewrap().await.unwrap();
    assert_eq!((again.current, again.failed), (101 + 151 - again.done, 0));
    let new =
        PostgresStore::builder(server.url()).schema(&schema).master_key(key("new")).open().await.unwrap();
    for (number, connection) in connections.iter().enumerate() {
        let expected = if number < 40 { "renewed" } else { &connection.connection };
        assert_eq!(access(&new, connection).await.unwrap().as_deref(), Some(expected));
    }
    assert_eq!(new.list(None, None, 1_000).await.unwrap().len(), 151);
    // A key of that name which is another one is refused at once.
    let wrong = MasterKey::new("old", &[9; 32]).unwrap();
    let error =
        PostgresStore::builder(server.url()).schema(&schema).master_key(wrong).open().await.unwrap_err();
    assert!(error.message().contains("master key \"old\" is not the one"), "{error}");
    // And one that is missing is named.
    let gone = old().open().await.unwrap();
    let error = access(&gone, &connections[50]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("\"new\""), "{error}");
}

#[tokio::test]
async fn sec_08_the_uses_of_a_key_are_counted_for_all_processes_together() {
    let server = Postgres::shared();
    let schema = server.schema();
    let open = || builder(&server, &schema).wrap_limit(40).open();
    let stores = [open().await.unwrap(), open().await.unwrap()];
    let mut saved = 0;
    let mut spent = 0;
    for number in 0..50 {
        let key = ConnectionKey::new("hubspot", format!("{number}"));
        match TokenStore::save(&stores[number % 2], &key, Generation(0), &tokens("a", "r")).await {
            Ok(_) => saved += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.message().contains("open the store with a new key"), "{error}");
                spent += 1;
            }
        }
    }
    // One use is the key's own check row.
    assert_eq!((saved, spent), (39, 11));
}

#[tokio::test]
async fn tenants_of_one_store_never_see_each_other() {
    let server = Postgres::shared();
    let store = builder(&server, &server.schema()).open().await.unwrap();
    let tenants: Vec<String> =
        (0..50).map(|n| format!("tenant {n}")).chain([String::new(), "tenant 1\0".into()]).collect();
    let at = |tenant: &str| ConnectionKey::new("hubspot", "main").with_tenant(tenant);
    let saves = tenants.iter().map(async |tenant| {
        TokenStore::save(&store, &at(tenant), Generation(0), &tokens(tenant, "r")).await.unwrap();
    });
    futures_util::future::join_all(saves).await;
    TokenStore::remove(&store, &at("tenant 1")).await.unwrap();
    for tenant in &tenants {
        let expected = (tenant != "tenant 1").then_some(tenant);
        assert_eq!(access(&store, &at(tenant)).await.unwrap().as_ref(), expected);
    }
}
