//! Configs that name a stored secret instead of holding it.

use serde_json::Value as Json;

use crate::{ConnectionKey, Error, ErrorKind, Result, SecretStore};

/// The most levels of a config that are looked at.
const DEPTH: usize = 64;

/// Replaces every `{"secret": "<field>"}` in a config by the secret that the store has for that field of the
/// connection. For hosts, before they connect: the config then has secrets in it, and is neither kept nor printed.
///
/// ```
/// # use acople_core::{ConnectionKey, Generation, Result, Secret, SecretStore, resolve_secrets};
/// # async fn connect(store: &dyn SecretStore) -> Result<()> {
/// let connection = ConnectionKey::new("hubspot", "main").with_tenant("acme");
/// store.save(&connection, "token", Generation(0), &Secret::from("pat-eu1-1234")).await?;
///
/// let mut config = serde_json::json!({ "auth": { "token": { "secret": "token" } } });
/// resolve_secrets(&mut config, &connection, store).await?;
/// assert_eq!(config["auth"]["token"], "pat-eu1-1234");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Config`, naming all places whose secret is not in the store; what the store says when it cannot be read. The
/// config is unchanged then.
pub async fn resolve_secrets(
    config: &mut Json,
    connection: &ConnectionKey,
    store: &dyn SecretStore,
) -> Result<()> {
    let mut places = Vec::new();
    find(config, "", String::new(), DEPTH, &mut places);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for place in places {
        match store.load(connection, &place.field).await {
            Ok(Some((secret, _))) => found.push((place, secret)),
            Ok(None) => missing.push(place),
            Err(error) => return Err(error.with_field(place.path)),
        }
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|place| format!("{:?}", place.field)).collect();
        let message = format!("the store has no secret {} for this connection", names.join(", "));
        let error = Error::new(ErrorKind::Config, message);
        return Err(missing.into_iter().fold(error, |error, place| error.with_field(place.path)));
    }
    for (place, secret) in found {
        if let Some(value) = config.pointer_mut(&place.pointer) {
            *value = Json::String(secret.expose().to_owned());
        }
    }
    Ok(())
}

/// Where a reference is, and to what.
struct Place {
    /// For people: `auth.token`.
    path: String,
    /// The same for `Value::pointer`.
    pointer: String,
    field: String,
}

fn find(value: &Json, path: &str, pointer: String, depth: usize, places: &mut Vec<Place>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Json::Object(members) => {
            if let (1, Some(Json::String(field))) = (members.len(), members.get("secret")) {
                places.push(Place { path: path.to_owned(), pointer, field: field.clone() });
                return;
            }
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let escaped = name.replace('~', "~0").replace('/', "~1");
                find(member, &path, format!("{pointer}/{escaped}"), depth, places);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(item, &format!("{path}[{index}]"), format!("{pointer}/{index}"), depth, places);
            }
        }
        _ => {}
    }
}
