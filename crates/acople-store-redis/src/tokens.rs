//! Tokens, and leases of their renewal.

use std::time::Duration;

use async_trait::async_trait;

use acople_core::{ConnectionKey, Generation, Lease, Result, TokenSet, TokenStore};
use acople_seal::{token_text, tokens_of_text};

use crate::RedisStore;
use crate::names::{connection_parts, describe_connection, key as key_of, member};
use crate::shelf::{Named, Shelf};
use crate::store::Inner;

/// Longest term of a lease: what is longer is cut.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let (parts, what) = (connection_parts(key), describe(key));
        let named = Named { shelf: Shelf::Tokens, parts: &parts, what: &what };
        let Some((text, generation)) = self.0.load_sealed(&named).await? else { return Ok(None) };
        let tokens = tokens_of_text(&text).map_err(|e| self.0.damaged(&named, e.message()))?;
        Ok(Some((tokens, generation)))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let (parts, what) = (connection_parts(key), describe(key));
        let named = Named { shelf: Shelf::Tokens, parts: &parts, what: &what };
        self.0.save_sealed(&named, expected, token_text(tokens)?).await
    }

    /// Works without a master key, too: tokens whose key is lost must still be removable.
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        let (parts, what) = (connection_parts(key), describe(key));
        self.0.remove_sealed(&Named { shelf: Shelf::Tokens, parts: &parts, what: &what }).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        let term = term.min(LONGEST).as_millis().max(1).to_string();
        let name = lease_of(&self.0, key)?;
        let script = &self.0.scripts.lease;
        let left: i64 =
            self.0.connection.run(script, &[&name], &[holder.as_bytes(), term.as_bytes()]).await?;
        Ok(u64::try_from(left).map_or(Lease::Granted, |left| Lease::Busy(Duration::from_millis(left))))
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        let name = lease_of(&self.0, key)?;
        let script = &self.0.scripts.release;
        self.0.connection.run::<i64>(script, &[&name], &[holder.as_bytes()]).await.map(|_| ())
    }
}

fn lease_of(inner: &Inner, key: &ConnectionKey) -> Result<Vec<u8>> {
    Ok(key_of(&inner.prefix, "lease", &member(&connection_parts(key))?))
}

fn describe(key: &ConnectionKey) -> String {
    format!("tokens of {}", describe_connection(key))
}
