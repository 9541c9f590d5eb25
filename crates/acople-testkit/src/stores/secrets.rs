//! What a secret store promises.

use acople_core::{ConnectionKey, ErrorKind, Generation, Secret, SecretStore, resolve_secrets};
use futures_util::future::join_all;

use super::{WRITERS, assert_fenced};

/// Checks the promises of [`SecretStore`].
///
/// # Panics
/// When the store breaks one.
pub async fn secret_store(store: &dyn SecretStore) {
    secrets_are_kept_by_connection_and_field(store).await;
    stale_secret_writers_are_fenced(store).await;
    removed_secrets_are_gone_and_fence(store).await;
    fields_are_listed_by_connection(store).await;
    of_racing_secret_writers_one_wins(store).await;
    configs_name_secrets(store).await;
}

async fn secrets_are_kept_by_connection_and_field(store: &dyn SecretStore) {
    let main = ConnectionKey::new("hubspot", "kept");
    let places = [
        (main.clone(), "key"),
        (main.clone(), "other"),
        (main.clone(), ""),
        (main.clone().with_tenant("acme"), "key"),
        (ConnectionKey::new("salesforce", "kept"), "key"),
        (ConnectionKey::new("hubspot", "kept too"), "key"),
        // Names that would be one text if they were joined.
        (ConnectionKey::new("hubspot", "kept/k"), "ey"),
        (ConnectionKey::new("", ""), "\u{10ffff}ü\n\0"),
    ];
    for (number, (connection, field)) in places.iter().enumerate() {
        let none = store.load(connection, field).await.expect("load");
        assert!(none.is_none(), "a secret nobody saved is there: {connection:?} {field:?}");
        let secret = Secret::from(format!("secret \u{1f511} {number}"));
        let saved = store.save(connection, field, Generation(0), &secret).await.expect("first save");
        assert!(saved > Generation(0), "generation 0 means \"not there\"");
    }
    for (number, (connection, field)) in places.iter().enumerate() {
        let expected = Some(format!("secret \u{1f511} {number}"));
        assert_eq!(text(store, connection, field).await.map(|(text, _)| text), expected, "another's secret");
    }
    let generation = store.save(&main, "empty", Generation(0), &Secret::from("")).await.expect("save");
    let loaded = text(store, &main, "empty").await;
    assert_eq!(loaded, Some((String::new(), generation)), "an empty secret is not an absent one");
}

async fn stale_secret_writers_are_fenced(store: &dyn SecretStore) {
    let key = ConnectionKey::new("hubspot", "secret fenced");
    let one = store.save(&key, "key", Generation(0), &Secret::from("one")).await.expect("first save");
    let two = store.save(&key, "key", one, &Secret::from("two")).await.expect("second save");
    assert!(two > one, "generations rise");
    for stale in [Generation(0), one, Generation(two.0 + 1), Generation(u64::MAX)] {
        let saved = store.save(&key, "key", stale, &Secret::from("stale")).await;
        assert_fenced(saved, "a writer with another generation");
    }
    assert_eq!(text(store, &key, "key").await, Some(("two".to_owned(), two)), "a fenced writer changed it");
    let saved = store.save(&key, "unknown", Generation(7), &Secret::from("x")).await;
    assert_fenced(saved, "a writer of a secret that is not there");
    assert!(text(store, &key, "unknown").await.is_none(), "a fenced writer made a secret");
}

async fn removed_secrets_are_gone_and_fence(store: &dyn SecretStore) {
    let key = ConnectionKey::new("hubspot", "secret removed");
    store.remove(&key, "key").await.expect("removing what is not there");
    let old = store.save(&key, "key", Generation(0), &Secret::from("old")).await.expect("save");
    store.save(&key, "neighbour", Generation(0), &Secret::from("stays")).await.expect("save");
    store.remove(&key, "key").await.expect("remove");
    assert!(text(store, &key, "key").await.is_none(), "a removed secret is still there");
    assert_eq!(store.fields(&key).await.expect("fields"), ["neighbour"], "a removed secret is listed");
    let late = store.save(&key, "key", old, &Secret::from("late")).await;
    assert_fenced(late, "a writer from before the removal");
    let new = store.save(&key, "key", Generation(0), &Secret::from("new")).await;
    let new = new.expect("a removed secret starts from generation 0");
    let late = store.save(&key, "key", old, &Secret::from("late")).await;
    assert_fenced(late, "a writer from before the removal, after the new start");
    assert_eq!(text(store, &key, "key").await, Some(("new".to_owned(), new)));
}

async fn fields_are_listed_by_connection(store: &dyn SecretStore) {
    let key = ConnectionKey::new("hubspot", "listed");
    assert!(store.fields(&key).await.expect("fields").is_empty());
    for field in ["token", "client_secret", "a"] {
        store.save(&key, field, Generation(0), &Secret::from("x")).await.expect("save");
    }
    for near in [
        ConnectionKey::new("hubspot", "liste"),
        ConnectionKey::new("hubspot", "listed2"),
        ConnectionKey::new("hubspot", "listed").with_tenant("acme"),
    ] {
        store.save(&near, "near", Generation(0), &Secret::from("x")).await.expect("save");
    }
    let fields = store.fields(&key).await.expect("fields");
    assert_eq!(fields, ["a", "client_secret", "token"], "the fields of a connection, in order");
}

async fn of_racing_secret_writers_one_wins(store: &dyn SecretStore) {
    let key = ConnectionKey::new("hubspot", "secret raced");
    let secrets: Vec<Secret> = (0..WRITERS).map(|n| Secret::from(format!("writer {n}"))).collect();
    let saves = secrets.iter().map(|secret| store.save(&key, "key", Generation(0), secret));
    let mut winner = None;
    for (secret, saved) in secrets.iter().zip(join_all(saves).await) {
        match saved {
            Ok(generation) => {
                assert!(winner.is_none(), "two writers of the same generation were accepted");
                winner = Some((secret.expose().to_owned(), generation));
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::Fenced, "a writer that lost the race: {e}"),
        }
    }
    assert!(winner.is_some(), "no writer won the race");
    assert_eq!(text(store, &key, "key").await, winner, "the secret is not the winner's");
}

async fn configs_name_secrets(store: &dyn SecretStore) {
    let key = ConnectionKey::new("hubspot", "named");
    store.save(&key, "to/ken", Generation(0), &Secret::from("t0k")).await.expect("save");
    let mut config = serde_json::json!({
        "a/b": { "~": [7, { "secret": "to/ken" }] },
        "open": { "secret": "to/ken", "id": "x" },
    });
    resolve_secrets(&mut config, &key, store).await.expect("all secrets are there");
    let expected =
        serde_json::json!({ "a/b": { "~": [7, "t0k"] }, "open": { "secret": "to/ken", "id": "x" } });
    assert_eq!(config, expected, "the reference alone is replaced");

    let wanting = serde_json::json!({ "one": { "secret": "to/ken" }, "two": { "secret": "no" }, "l": [{ "secret": "nor" }] });
    let mut config = wanting.clone();
    let error = resolve_secrets(&mut config, &key, store).await.expect_err("two secrets are not there");
    let mut fields = error.fields().to_vec();
    fields.sort();
    assert_eq!((error.kind(), fields), (ErrorKind::Config, vec!["l[0]".to_owned(), "two".to_owned()]));
    assert_eq!(config, wanting, "nothing is resolved by halves");
}

async fn text(
    store: &dyn SecretStore,
    connection: &ConnectionKey,
    field: &str,
) -> Option<(String, Generation)> {
    let (secret, generation) = store.load(connection, field).await.expect("load")?;
    Some((secret.expose().to_owned(), generation))
}
