//! Tokens: always sealed, and tied to the generation that a second table remembers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Lease, Result, Secret, TokenSet, TokenStore};
use acople_seal::{Keyring, Place};

use crate::RedbStore;
use crate::fault::Fault;
use crate::fence::beyond_all_writers;
use crate::record::{self, Kind, Record, check_key};
use crate::rewrap::charge;
use crate::store::Inner;
use crate::tables::{TOKEN_FLOORS, TOKENS, TokenRow};

#[async_trait]
impl TokenStore for RedbStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        self.0.master_key()?;
        let key = key.clone();
        self.read(move |inner, tx| {
            let Floor::Live(floor) = floor(&tx.open_table(TOKEN_FLOORS)?, inner, &key)? else {
                return Ok(None);
            };
            let tokens = tx.open_table(TOKENS)?;
            let bytes = tokens.get(row(&key))?;
            let record = bytes.as_ref().and_then(|bytes| whole(bytes.value(), &key));
            let record = record.ok_or_else(|| damaged(inner, &key, "they are damaged"))?;
            if record.generation != floor {
                let why = format!("they are of generation {} instead of {floor}", record.generation);
                return Err(damaged(inner, &key, &why).into());
            }
            Ok(Some((open(&inner.keys, inner, &key, &record)?, Generation(floor))))
        })
        .await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        check_key(&parts(key))?;
        self.0.master_key()?;
        let text = to_text(tokens)?;
        if text.len() > self.0.max_state {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "tokens of {} have {} bytes, more than the store's limit of {}",
                    describe(key),
                    text.len(),
                    self.0.max_state
                ),
            ));
        }
        let key = key.clone();
        self.write(move |inner, tx| {
            let floor = floor(&tx.open_table(TOKEN_FLOORS)?, inner, &key)?;
            let (live, current) = match floor {
                Floor::Live(generation) => (generation, generation),
                Floor::Removed(generation) => (0, generation),
            };
            if live != expected.0 {
                return Err(Error::new(
                    ErrorKind::Fenced,
                    format!(
                        "tokens of {} are at generation {live}, not {}: somebody else renewed them",
                        describe(&key),
                        expected.0
                    ),
                )
                .into());
            }
            let next = next_generation(current)?;
            let master = inner.master_key()?;
            charge(tx, inner, master, 1)?;
            let sealed = master.seal(&place(&parts(&key), next), text)?;
            put(tx, &key, next, &sealed)?;
            put_floor(tx, &key, Kind::TokenFloor, next)?;
            Ok(Generation(next))
        })
        .await
    }

    /// Works without a master key, too: tokens whose key is lost must still be removable.
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        check_key(&parts(key))?;
        let key = key.clone();
        self.write(move |inner, tx| {
            let next = match floor(&tx.open_table(TOKEN_FLOORS)?, inner, &key) {
                Ok(Floor::Live(generation)) => next_generation(generation)?,
                Ok(Floor::Removed(_)) => return Ok(()),
                // The floor itself is damaged.
                Err(Fault::Own(_)) => beyond_all_writers()?,
                Err(fault) => return Err(fault),
            };
            tx.open_table(TOKENS)?.remove(row(&key))?;
            put_floor(tx, &key, Kind::TokenRemoved, next)
        })
        .await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        Ok(self.0.leases.ask(key, holder, term))
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.0.leases.give_back(key, holder);
        Ok(())
    }
}

/// The place of a connection's tokens, for the associated data.
pub(crate) fn place<'a>(key: &'a [&'a str], generation: u64) -> Place<'a> {
    Place { kind: "tokens", key, generation }
}

/// The generation that the tokens must have.
enum Floor {
    Live(u64),
    /// Removed, or never there: 0.
    Removed(u64),
}

fn floor(
    table: &impl ReadableTable<TokenRow, &'static [u8]>,
    inner: &Inner,
    key: &ConnectionKey,
) -> Result<Floor, Fault> {
    let Some(bytes) = table.get(row(key))? else {
        return Ok(Floor::Removed(0));
    };
    match record::decode(bytes.value()).filter(|record| record.key == parts(key)) {
        Some(record) if record.kind == Kind::TokenFloor => Ok(Floor::Live(record.generation)),
        Some(record) if record.kind == Kind::TokenRemoved => Ok(Floor::Removed(record.generation)),
        _ => Err(damaged(inner, key, "their generation is damaged").into()),
    }
}

fn whole<'a>(bytes: &'a [u8], key: &ConnectionKey) -> Option<Record<'a>> {
    record::decode(bytes).filter(|record| record.kind == Kind::Token && record.key == parts(key))
}

fn open(keys: &Keyring, inner: &Inner, key: &ConnectionKey, record: &Record<'_>) -> Result<TokenSet> {
    let text = keys
        .open(&place(&parts(key), record.generation), record.payload)
        .map_err(|e| damaged(inner, key, e.message()).with_kind(e.kind()))?;
    // serde_json's error quotes no values of strings, but the tokens' text is kept out all the same.
    let stored: Stored =
        serde_json::from_slice(&text).map_err(|_| damaged(inner, key, "their content is not understood"))?;
    let endpoint = match stored.endpoint.as_deref().map(Url::parse) {
        None => None,
        Some(Ok(url)) => Some(url),
        Some(Err(_)) => return Err(damaged(inner, key, "their endpoint is not a url")),
    };
    Ok(TokenSet {
        access: stored.access,
        refresh: stored.refresh,
        expires_at: stored.expires_at,
        endpoint,
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

pub(crate) fn put(
    tx: &WriteTransaction,
    key: &ConnectionKey,
    generation: u64,
    sealed: &[u8],
) -> Result<(), Fault> {
    let bytes = record::encode(Kind::Token, generation, &parts(key), sealed)?;
    tx.open_table(TOKENS)?.insert(row(key), bytes.as_slice())?;
    Ok(())
}

fn put_floor(tx: &WriteTransaction, key: &ConnectionKey, kind: Kind, generation: u64) -> Result<(), Fault> {
    let bytes = record::encode(kind, generation, &parts(key), &[])?;
    tx.open_table(TOKEN_FLOORS)?.insert(row(key), bytes.as_slice())?;
    Ok(())
}

fn next_generation(current: u64) -> Result<u64> {
    current.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Internal, "a token's generation ran out"))
}

fn row(key: &ConnectionKey) -> (&str, &str, &str) {
    (&key.tenant, &key.connector, &key.connection)
}

pub(crate) fn parts(key: &ConnectionKey) -> [&str; 3] {
    [&key.tenant, &key.connector, &key.connection]
}

fn describe(key: &ConnectionKey) -> String {
    let tenant = if key.tenant.is_empty() { String::new() } else { format!(" tenant {:?}", key.tenant) };
    format!("connector {:?} connection {:?}{tenant}", key.connector, key.connection)
}

fn damaged(inner: &Inner, key: &ConnectionKey, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "tokens of {} in store {} cannot be used: {why}; if they cannot be restored, remove them and connect again",
            describe(key),
            inner.name
        ),
    )
}
