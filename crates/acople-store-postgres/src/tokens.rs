//! Tokens: one row a connection, and leases of their renewal.

use std::time::Duration;

use async_trait::async_trait;

use acople_core::{ConnectionKey, Generation, Lease, Result, TokenSet, TokenStore};
use acople_seal::{token_text, tokens_of_text};

use crate::PostgresStore;
use crate::names::{connection_parts, describe_connection};
use crate::shelf::Named;

#[async_trait]
impl TokenStore for PostgresStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let inner = &*self.0;
        let (parts, what) = (connection_parts(key), describe(key));
        let named = Named { parts: &parts, what: &what };
        let Some((text, generation)) = inner.load_sealed(&inner.tokens, &named).await? else {
            return Ok(None);
        };
        let tokens = tokens_of_text(&text).map_err(|e| inner.damaged(&inner.tokens, &named, e.message()))?;
        Ok(Some((tokens, generation)))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let inner = &*self.0;
        let (parts, what) = (connection_parts(key), describe(key));
        let named = Named { parts: &parts, what: &what };
        inner.save_sealed(&inner.tokens, &named, expected, token_text(tokens)?).await
    }

    /// Works without a master key, too: tokens whose key is lost must still be removable.
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        self.0.remove_sealed(&self.0.tokens, &connection_parts(key)).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.0.ask_for_lease(key, holder, term).await
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.0.give_lease_back(key, holder).await
    }
}

fn describe(key: &ConnectionKey) -> String {
    format!("tokens of {}", describe_connection(key))
}
