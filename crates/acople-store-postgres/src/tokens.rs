//! Tokens: always sealed, and tied to the generation that a second table remembers.

use std::time::Duration;

use async_trait::async_trait;

use acople_core::{ConnectionKey, Error, ErrorKind, Generation, Lease, Result, TokenSet, TokenStore};
use acople_seal::{Place, token_text, tokens_of_text};

use crate::PostgresStore;
use crate::checkpoints::{generation, next_generation};
use crate::names::{columns, connection_parts, describe_connection};
use crate::schema::get;
use crate::store::Inner;

#[async_trait]
impl TokenStore for PostgresStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let inner = &*self.0;
        inner.master_key()?;
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        let rows = inner
            .connections
            .query(&inner.statements.load_tokens, &[&tenant, &connector, &connection])
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let current = generation(get(row, 0)?)?;
        let (Some(found), Some(sealed)) = (get::<Option<i64>>(row, 1)?, get::<Option<&[u8]>>(row, 2)?) else {
            return Err(damaged(inner, key, "they are missing"));
        };
        let found = generation(found)?;
        if found != current {
            let why = format!("they are of generation {} instead of {}", found.0, current.0);
            return Err(damaged(inner, key, &why));
        }
        let opened = inner.sealer.open(&place(&connection_parts(key), current.0), sealed).await;
        let tokens = opened.and_then(|text| tokens_of_text(&text));
        Ok(Some((tokens.map_err(|e| damaged(inner, key, e.message()).with_kind(e.kind()))?, current)))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let inner = &*self.0;
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        let master = inner.master_key()?;
        let text = token_text(tokens)?;
        if text.len() > inner.max_state {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "tokens of {} have {} bytes, more than the store's limit of {}",
                    describe_connection(key),
                    text.len(),
                    inner.max_state
                ),
            ));
        }
        let (sql, from) = if expected == Generation(0) {
            match inner.token_generation(key).await? {
                (live, true) => return Err(fenced(key, live, expected)),
                (removed, false) => (&inner.statements.begin_tokens, removed),
            }
        } else {
            let Ok(from) = i64::try_from(expected.0) else {
                return Err(fenced(key, 0, expected));
            };
            (&inner.statements.renew_tokens, from)
        };
        let next = next_generation(from)?;
        let saved = generation(next)?;
        inner.charge(master, 1).await?;
        let sealed = inner.sealer.seal(&place(&connection_parts(key), saved.0), text).await?;
        let rows =
            inner.connections.query(sql, &[&tenant, &connector, &connection, &from, &next, &sealed]).await?;
        if rows.is_empty() {
            // When the connection was lost after the commit, the second attempt finds the first one's work.
            match inner.token_generation(key).await? {
                (current, true) if current == next => {}
                (current, live) => return Err(fenced(key, if live { current } else { 0 }, expected)),
            }
        }
        Ok(saved)
    }

    /// Works without a master key, too: tokens whose key is lost must still be removable.
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        let inner = &*self.0;
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        for sql in [&inner.statements.mark_tokens_removed, &inner.statements.delete_tokens] {
            inner.connections.query(sql, &[&tenant, &connector, &connection]).await?;
        }
        Ok(())
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.0.ask_for_lease(key, holder, term).await
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.0.give_lease_back(key, holder).await
    }
}

impl Inner {
    /// The generation of a connection's tokens, or the one at which they were removed, 0 when they never were
    /// there; and whether they are there.
    async fn token_generation(&self, key: &ConnectionKey) -> Result<(i64, bool)> {
        let [tenant, connector, connection] = columns(connection_parts(key))?;
        let rows = self
            .connections
            .query(&self.statements.token_generation, &[&tenant, &connector, &connection])
            .await?;
        rows.first().map_or(Ok((0, false)), |row| Ok((get(row, 0)?, get(row, 1)?)))
    }
}

/// The place of a connection's tokens, for the associated data.
pub(crate) fn place<'a>(key: &'a [&'a str], generation: u64) -> Place<'a> {
    Place { kind: "tokens", key, generation }
}

fn fenced(key: &ConnectionKey, actual: i64, expected: Generation) -> Error {
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
            inner.connections.name
        ),
    )
}
