//! The store in Redis: its promises, its errors, and what is sealed.

use std::time::Duration;

use acople::store_redis::{RedisStore, RedisStoreBuilder};
use acople_core::{
    CheckpointStore, ConnectionKey, ErrorKind, Generation, QuarantineStore, StateKey, TokenStore,
};
use acople_testkit::faults::{Direction, Toxic, Toxics};
use acople_testkit::stores;

use crate::redis_server::{PASSWORD, Redis};
use crate::{connection, key, kind, quarantined, tokens};

pub fn builder(server: &Redis, prefix: &str) -> RedisStoreBuilder {
    RedisStore::builder(server.url()).prefix(prefix).master_key(key("k"))
}

async fn access(store: &RedisStore, key: &ConnectionKey) -> acople_core::Result<Option<String>> {
    Ok(TokenStore::load(store, key).await?.map(|(tokens, _)| tokens.access.expose().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_store_keeps_the_promises_of_every_store() {
    let server = Redis::shared();
    let store = builder(&server, &server.prefix()).open().await.unwrap();
    stores::checkpoint_store(&store).await;
    stores::token_store(&store).await;
    stores::secret_store(&store).await;
    stores::token_leases(&store).await;
    stores::quarantine_store(&store).await;
    let plain = RedisStore::builder(server.url()).prefix(server.prefix()).open().await.unwrap();
    stores::quarantine_store(&plain).await;
}

#[tokio::test]
async fn a_redis_server_that_may_lose_what_it_acknowledges_is_refused_unless_that_is_accepted() {
    for (setting, word) in [
        (["--appendonly", "no"], "appendonly"),
        (["--appendfsync", "everysec"], "appendfsync"),
        (["--rename-command", "CONFIG"], "does not tell"),
    ] {
        let mut settings = setting.to_vec();
        if word == "does not tell" {
            settings.push("");
        }
        let server = Redis::start(&settings);
        let error = builder(&server, "a").open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(word), "{error}");
        builder(&server, "a").accept_loss_on_crash().open().await.unwrap().ping().await.unwrap();
    }
    let server = Redis::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let error = builder(&server, "a").open().await.unwrap_err();
    assert!(error.message().contains("evict"), "{error}");
    let server = Redis::start(&["--maxmemory", "100mb"]);
    builder(&server, "a").open().await.unwrap();
}

#[tokio::test]
async fn state_04_a_redis_server_without_room_acknowledges_nothing_and_goes_on_when_there_is_some() {
    let server = Redis::start(&["--maxmemory", "8mb"]);
    let store = builder(&server, "a").open().await.unwrap();
    let state = vec![7; 500_000];
    let mut saved = Vec::new();
    let error = loop {
        let key = StateKey::new("full", saved.len().to_string());
        match CheckpointStore::save(&store, &key, Generation(0), &state).await {
            Ok(_) => saved.push(key),
            Err(error) => break error,
        }
        assert!(saved.len() < 100);
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, Some("OOM")));
    assert!(error.message().contains("\"a\""), "{error}");
    for key in &saved {
        assert_eq!(CheckpointStore::load(&store, key).await.unwrap().unwrap().0, state);
    }
    let mut client = server.client().await;
    let _: String =
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("100mb").query_async(&mut client).await.unwrap();
    CheckpointStore::save(&store, &StateKey::new("full", "more"), Generation(0), &state).await.unwrap();
}

#[tokio::test]
async fn state_06_what_a_newer_version_has_written_to_redis_is_refused() {
    let server = Redis::shared();
    let prefix = server.prefix();
    builder(&server, &prefix).open().await.unwrap();
    let mut client = server.client().await;
    let set = redis::cmd("SET").arg(format!("{{{prefix}}}:version")).arg(2).to_owned();
    let _: String = set.query_async(&mut client).await.unwrap();
    let error = builder(&server, &prefix).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("version 2"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_an_error_without_password_with_redis() {
    let server = Redis::shared();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let cases = [
        (format!("redis://:CANARY-wrong@{}/0", server.addr()), ErrorKind::Config),
        (format!("redis://{}/0", server.addr()), ErrorKind::Config),
        (Redis::url_at(nobody), ErrorKind::Transient),
        (format!("rediss://:CANARY@{}/0", server.addr()), ErrorKind::Config),
        ("CANARY".to_owned(), ErrorKind::Config),
    ];
    for (address, expected) in cases {
        let error = RedisStore::builder(address.as_str()).patience(Duration::from_millis(300)).open().await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), expected, "{error:?}");
        assert!(!format!("{error:?} {error}").contains("CANARY"), "{error:?}");
    }
    let open = RedisStore::builder(format!("redis://{}", server.addr())).password(PASSWORD);
    assert!(!format!("{open:?}").contains("CANARY"));
    let store = open.prefix(server.prefix()).open().await.unwrap();
    assert!(!format!("{store:?}").contains("CANARY"));
}

#[tokio::test]
async fn sec_05_no_secret_is_in_the_files_of_redis() {
    let server = Redis::start(&[]);
    let store = builder(&server, "a").open().await.unwrap();
    let mut generation = Generation(0);
    for _ in 0..20 {
        let set = tokens("CANARY-access-CANARY", "CANARY-refresh-CANARY");
        generation = TokenStore::save(&store, &connection(), generation, &set).await.unwrap();
    }
    store.put(&[quarantined("nightly", "id-1", "{\"email\":\"CANARY@example.com\"}")]).await.unwrap();
    let files = server.files();
    let has =
        |text: &str| files.iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(has("hubspot"), "the search does find what is there");
    assert!(!has("CANARY"));
}

#[tokio::test]
async fn sec_06_a_ciphertext_copied_or_put_back_in_redis_does_not_open() {
    let server = Redis::shared();
    let prefix = server.prefix();
    let store = builder(&server, &prefix).open().await.unwrap();
    let other = ConnectionKey::new("hubspot", "main").with_tenant("other");
    let first = TokenStore::save(&store, &connection(), Generation(0), &tokens("old", "r")).await.unwrap();
    TokenStore::save(&store, &other, Generation(0), &tokens("other", "r")).await.unwrap();
    let mut client = server.client().await;
    let at =
        |kind: &str, tenant: &str| format!("{{{prefix}}}:{kind}:{}:{tenant}7:hubspot4:main", tenant.len());
    let copy = async |client: &mut _, from: String, to: String| {
        let command = redis::cmd("COPY").arg(from).arg(to).arg("REPLACE").to_owned();
        let done: i64 = command.query_async::<i64>(client).await.unwrap();
        assert_eq!(done, 1);
    };
    // With the generation of where it came from as well: only the encryption is in the way.
    copy(&mut client, at("tokens", "acme"), at("tokens", "other")).await;
    copy(&mut client, at("generation", "acme"), at("generation", "other")).await;
    let error = access(&store, &other).await.unwrap_err();
    assert!(error.message().contains("comes from another place"), "{error}");

    copy(&mut client, at("tokens", "acme"), "backup".to_owned()).await;
    let second = TokenStore::save(&store, &connection(), first, &tokens("new", "r")).await.unwrap();
    copy(&mut client, "backup".to_owned(), at("tokens", "acme")).await;
    let error = access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains(&format!("instead of {}", second.0)), "{error}");
    let forge = redis::cmd("HSET").arg(at("tokens", "acme")).arg("g").arg(second.0).to_owned();
    let _: i64 = forge.query_async(&mut client).await.unwrap();
    let error = access(&store, &connection()).await.unwrap_err();
    assert!(error.message().contains("does not open it"), "{error}");
    TokenStore::remove(&store, &connection()).await.unwrap();
    TokenStore::save(&store, &connection(), Generation(0), &tokens("again", "r")).await.unwrap();
    assert_eq!(access(&store, &connection()).await.unwrap().as_deref(), Some("again"));
}

#[tokio::test]
async fn sec_07_rewrap_moves_everything_in_redis_to_the_newest_key() {
    let server = Redis::shared();
    let prefix = server.prefix();
    let open = || RedisStore::builder(server.url()).prefix(&prefix);
    let plain = open().open().await.unwrap();
    plain.put(&[quarantined("nightly", "plain", "{\"was\":\"plain\"}")]).await.unwrap();
    assert_eq!(kind(access(&plain, &connection()).await), ErrorKind::Config);
    let store = open().master_key(key("old")).open().await.unwrap();
    let connections: Vec<ConnectionKey> =
        (0..100).map(|n| ConnectionKey::new("hubspot", format!("{n:03}"))).collect();
    for connection in &connections {
        TokenStore::save(&store, connection, Generation(0), &tokens(&connection.connection, "r"))
            .await
            .unwrap();
    }
    let records: Vec<_> =
        (0..150).map(|n| quarantined("nightly", &format!("id-{n}"), &format!("[{n}]"))).collect();
    store.put(&records).await.unwrap();
    let both = open().master_key(key("new")).old_key(key("old")).open().await.unwrap();
    let report = both.rewrap().await.unwrap();
    assert_eq!((report.done, report.current, report.failed), (251, 0, 0));
    let new = open().master_key(key("new")).open().await.unwrap();
    for connection in &connections {
        assert_eq!(access(&new, connection).await.unwrap().as_ref(), Some(&connection.connection));
    }
    assert_eq!(new.list(None, None, 1_000).await.unwrap().len(), 151);
    let wrong = acople::store_redis::MasterKey::new("old", &[9; 32]).unwrap();
    let error = open().master_key(wrong).open().await.unwrap_err();
    assert!(error.message().contains("master key \"old\" is not the one"), "{error}");
    let error = access(&store, &connections[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn sec_08_the_uses_of_a_key_are_counted_in_redis_for_all_processes_together() {
    let server = Redis::shared();
    let prefix = server.prefix();
    let open = || builder(&server, &prefix).wrap_limit(20).open();
    let stores = [open().await.unwrap(), open().await.unwrap()];
    let mut saved = 0;
    for number in 0..30 {
        let key = ConnectionKey::new("hubspot", format!("{number}"));
        match TokenStore::save(&stores[number % 2], &key, Generation(0), &tokens("a", "r")).await {
            Ok(_) => saved += 1,
            Err(error) => assert!(error.message().contains("open the store with a new key"), "{error}"),
        }
    }
    // One use is the key's own check row.
    assert_eq!(saved, 19);
}

#[tokio::test]
async fn tenants_of_one_redis_never_see_each_other() {
    let server = Redis::shared();
    let store = builder(&server, &server.prefix()).open().await.unwrap();
    // Names that would be one text if they were joined.
    let names = [("", "a"), ("a", ""), ("1:a", ""), ("", "1:a"), ("a1:", "b"), ("a", "1:b"), ("x\0", "{y}")];
    let at = |(tenant, name): (&str, &str)| ConnectionKey::new("hubspot", name).with_tenant(tenant);
    for (number, name) in names.into_iter().enumerate() {
        let set = tokens(&number.to_string(), "r");
        TokenStore::save(&store, &at(name), Generation(0), &set).await.unwrap();
    }
    TokenStore::remove(&store, &at(names[2])).await.unwrap();
    for (number, name) in names.into_iter().enumerate() {
        let expected = (number != 2).then(|| number.to_string());
        assert_eq!(access(&store, &at(name)).await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_recognised_and_happens_once_with_redis() {
    let server = Redis::shared();
    let prefix = server.prefix();
    let proxy = Toxics::start(server.addr()).await.unwrap();
    let store = RedisStore::builder(Redis::url_at(proxy.addr()))
        .prefix(&prefix)
        .master_key(key("k"))
        .command_timeout(Duration::from_millis(500))
        .open()
        .await
        .unwrap();
    let state = StateKey::new("nightly", "contacts");
    let name = format!("{{{prefix}}}:state:7:nightly0:8:contacts0:");
    let mut client = server.client().await;
    let mut generation = CheckpointStore::save(&store, &state, Generation(0), b"begin").await.unwrap();
    for cut in 0..12_u8 {
        // So that the connection is there, and the next thing to be lost is an answer.
        generation = CheckpointStore::save(&store, &state, generation, b"prepare").await.unwrap();
        proxy.add(Direction::ToClient, Toxic::Timeout { after: Duration::from_millis(200) });
        let text = [cut];
        let save = CheckpointStore::save(&store, &state, generation, &text);
        let watch = async {
            let mut committed = generation.0;
            for _ in 0..1_000 {
                let get = redis::cmd("HGET").arg(&name).arg("g").to_owned();
                committed = get.query_async(&mut client).await.unwrap();
                if committed != generation.0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            proxy.clear();
            committed
        };
        let (saved, committed) = tokio::join!(save, watch);
        assert_ne!(committed, generation.0, "cut {cut}: nothing was written before the cut");
        generation = saved.unwrap();
        assert_eq!(generation.0, committed, "cut {cut}: it was written twice");
        assert_eq!(CheckpointStore::load(&store, &state).await.unwrap(), Some((vec![cut], generation)));
    }
    assert!(proxy.connections() > 12, "the connections were cut");
}
