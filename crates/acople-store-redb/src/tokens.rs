//! Tokens: sealed, one row a connection.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Lease, Result, Secret, TokenSet, TokenStore};

use crate::RedbStore;
use crate::record::Kind;
use crate::shelf::{self, Shelf};
use crate::tables::{TOKEN_FLOORS, TOKENS, TokenRow};

#[async_trait]
impl TokenStore for RedbStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let Some((text, generation)) = shelf::load::<Tokens>(self, key).await? else { return Ok(None) };
        let tokens = from_text(&text).map_err(|why| shelf::damaged::<Tokens>(&self.0.name, key, why))?;
        Ok(Some((tokens, generation)))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        shelf::save::<Tokens>(self, key, expected, to_text(tokens)?).await
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        shelf::remove::<Tokens>(self, key).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        Ok(self.0.leases.ask(key, holder, term))
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.0.leases.give_back(key, holder);
        Ok(())
    }
}

/// The tokens of connections.
pub(crate) enum Tokens {}

impl Shelf for Tokens {
    type Row = TokenRow;
    type Name = ConnectionKey;
    const TEXTS: TableDefinition<'static, TokenRow, &'static [u8]> = TOKENS;
    const FLOORS: TableDefinition<'static, TokenRow, &'static [u8]> = TOKEN_FLOORS;
    const TEXT: Kind = Kind::Token;
    const FLOOR: Kind = Kind::TokenFloor;
    const REMOVED: Kind = Kind::TokenRemoved;
    const PLACE: &'static str = "tokens";
    const REMEDY: &'static str = "if they cannot be restored, remove them and connect again";

    fn row(name: &ConnectionKey) -> (&str, &str, &str) {
        (&name.tenant, &name.connector, &name.connection)
    }

    fn name((tenant, connector, connection): (&str, &str, &str)) -> ConnectionKey {
        ConnectionKey::new(connector, connection).with_tenant(tenant)
    }

    fn parts(name: &ConnectionKey) -> Vec<&str> {
        vec![&name.tenant, &name.connector, &name.connection]
    }

    fn from_parts(parts: &[&str]) -> Option<ConnectionKey> {
        let &[tenant, connector, connection] = parts else { return None };
        Some(Self::name((tenant, connector, connection)))
    }

    fn describe(name: &ConnectionKey) -> String {
        format!("the tokens of {}", describe(name))
    }
}

/// The connection in a message.
pub(crate) fn describe(key: &ConnectionKey) -> String {
    let tenant = if key.tenant.is_empty() { String::new() } else { format!(" tenant {:?}", key.tenant) };
    format!("connector {:?} connection {:?}{tenant}", key.connector, key.connection)
}

/// Or what is wrong. serde_json's error quotes no values of strings, but the tokens' text is kept out all the same.
fn from_text(text: &[u8]) -> std::result::Result<TokenSet, &'static str> {
    let stored: Stored = serde_json::from_slice(text).map_err(|_| "their content is not understood")?;
    let endpoint = stored.endpoint.as_deref().map(Url::parse).transpose();
    Ok(TokenSet {
        access: stored.access,
        refresh: stored.refresh,
        expires_at: stored.expires_at,
        endpoint: endpoint.map_err(|_| "their endpoint is not a url")?,
        extra: stored.extra,
    })
}

/// Tokens on their way out of the store.
#[derive(Deserialize)]
struct Stored {
    access: Secret,
    refresh: Option<Secret>,
    expires_at: Option<SystemTime>,
    endpoint: Option<String>,
    extra: BTreeMap<String, String>,
}

/// Tokens on their way in: `Secret` has no serializer, so that this is the only place.
#[derive(Serialize)]
struct ToStore<'a> {
    access: &'a str,
    refresh: Option<&'a str>,
    expires_at: Option<SystemTime>,
    endpoint: Option<&'a str>,
    extra: &'a BTreeMap<String, String>,
}

fn to_text(tokens: &TokenSet) -> Result<Zeroizing<Vec<u8>>> {
    let to_store = ToStore {
        access: tokens.access.expose(),
        refresh: tokens.refresh.as_ref().map(Secret::expose),
        expires_at: tokens.expires_at,
        endpoint: tokens.endpoint.as_ref().map(Url::as_str),
        extra: &tokens.extra,
    };
    // Room for the worst case of escaping, so that the buffer never moves and leaves a copy behind.
    let texts = [Some(to_store.access), to_store.refresh, to_store.endpoint];
    let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
    let extra: usize = tokens.extra.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(6 * (texts + extra) + 512));
    serde_json::to_writer(&mut *text, &to_store)
        .map_err(|_| Error::new(ErrorKind::Invalid, "tokens that end before 1970 cannot be stored"))?;
    Ok(text)
}
