//! Tokens: always sealed, and tied to the generation that a second key remembers; and leases of their renewal.

use std::time::Duration;

use async_trait::async_trait;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Lease, Result, TokenSet, TokenStore};
use acople_seal::{Place, token_text, tokens_of_text};

use crate::RedisStore;
use crate::names::{connection_parts, describe_connection, key, member, single};
use crate::store::{At, Inner, next_generation};

/// Longest term of a lease: what is longer is cut.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let inner = &*self.0;
        inner.master_key()?;
        let names = Names::new(inner, key)?;
        let (at, found, sealed) = inner.stored_tokens(&names).await?;
        let At::Live(current) = at else { return Ok(None) };
        if found.is_empty() {
            return Err(damaged(inner, key, "they are missing"));
        }
        if found != current.to_string() {
            return Err(damaged(
                inner,
                key,
                &format!("they are of generation {found:?} instead of {current}"),
            ));
        }
        let opened = inner.sealer.open(&place(&connection_parts(key), current), &sealed).await;
        let tokens = opened.and_then(|text| tokens_of_text(&text));
        let tokens = tokens.map_err(|e| damaged(inner, key, e.message()).with_kind(e.kind()))?;
        Ok(Some((tokens, Generation(current))))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        let master = inner.master_key()?;
        let text = token_text(tokens)?;
        if text.len() > inner.max_state {
            return Err(
                inner.too_large(&format!("set of tokens of {}", describe_connection(key)), text.len())
            );
        }
        let from = if expected == Generation(0) {
            match inner.stored_tokens(&names).await?.0 {
                At::Live(generation) => return Err(fenced(key, &generation.to_string(), expected)),
                removed @ At::Removed(_) => removed,
            }
        } else {
            At::Live(expected.0)
        };
        let Ok(next) = next_generation(from.number()) else {
            return Err(fenced(key, "another one", expected));
        };
        inner.charge(master, 1).await?;
        let sealed = inner.sealer.seal(&place(&connection_parts(key), next), text).await?;
        let (from, next_text) = (from.text(), next.to_string());
        let in_the_way: String = inner
            .connection
            .run(
                &inner.scripts.save_tokens,
                &[&names.generation, &names.tokens, &names.members],
                &[from.as_bytes(), next_text.as_bytes(), &sealed, &names.member],
            )
            .await?;
        if in_the_way.is_empty() { Ok(Generation(next)) } else { Err(fenced(key, &in_the_way, expected)) }
    }

    /// Works without a master key, too: tokens whose key is lost must still be removable.
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        inner
            .connection
            .run::<i64>(
                &inner.scripts.remove_tokens,
                &[&names.generation, &names.tokens, &names.members],
                &[&names.member],
            )
            .await
            .map(|_| ())
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        let term = term.min(LONGEST).as_millis().max(1).to_string();
        let left: i64 = inner
            .connection
            .run(&inner.scripts.lease, &[&names.lease], &[holder.as_bytes(), term.as_bytes()])
            .await?;
        Ok(u64::try_from(left).map_or(Lease::Granted, |left| Lease::Busy(Duration::from_millis(left))))
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        let script = &inner.scripts.release;
        inner.connection.run::<i64>(script, &[&names.lease], &[holder.as_bytes()]).await.map(|_| ())
    }
}

impl Inner {
    /// The generation that the tokens of a connection must have, the one that they have, and they.
    async fn stored_tokens(&self, names: &Names) -> Result<(At, String, Vec<u8>)> {
        let (at, found, sealed): (String, String, Vec<u8>) =
            self.connection.run(&self.scripts.load_tokens, &[&names.generation, &names.tokens], &[]).await?;
        let at = At::of(&at).ok_or_else(|| self.connection.not_understood())?;
        Ok((at, found, sealed))
    }
}

/// The place of a connection's tokens, for the associated data.
pub(crate) fn place<'a>(key: &'a [&'a str], generation: u64) -> Place<'a> {
    Place { kind: "tokens", key, generation }
}

/// The keys that hold the tokens of a connection and list them.
struct Names {
    member: Vec<u8>,
    generation: Vec<u8>,
    tokens: Vec<u8>,
    members: Vec<u8>,
    lease: Vec<u8>,
}

impl Names {
    fn new(inner: &Inner, of: &ConnectionKey) -> Result<Self> {
        let member = member(&connection_parts(of))?;
        let of_kind = |kind| key(&inner.prefix, kind, &member);
        let (generation, tokens, lease) = (of_kind("generation"), of_kind("tokens"), of_kind("lease"));
        Ok(Self { generation, tokens, lease, members: single(&inner.prefix, "connections"), member })
    }
}

fn fenced(key: &ConnectionKey, actual: &str, expected: Generation) -> Error {
    Error::new(
        ErrorKind::Fenced,
        format!(
            "tokens of {} are at generation {actual}, not {}: somebody else renewed them",
            describe_connection(key),
            expected.0
        ),
    )
}

fn damaged(inner: &Inner, key: &ConnectionKey, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "tokens of {} in {} cannot be used: {why}; if they cannot be restored, remove them and connect again",
            describe_connection(key),
            inner.connection.name
        ),
    )
}
