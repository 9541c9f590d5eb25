//! Tokens: sealed, one row a connection.

use std::time::Duration;

use async_trait::async_trait;
use redb::TableDefinition;

use acople_core::{ConnectionKey, Generation, Lease, Result, TokenSet, TokenStore};
use acople_seal::{token_text, tokens_of_text};

use crate::RedbStore;
use crate::record::Kind;
use crate::shelf::{self, Shelf};
use crate::tables::{TOKEN_FLOORS, TOKENS, TokenRow};

#[async_trait]
impl TokenStore for RedbStore {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let Some((text, generation)) = shelf::load::<Tokens>(self, key).await? else { return Ok(None) };
        let tokens =
            tokens_of_text(&text).map_err(|e| shelf::damaged::<Tokens>(&self.0.name, key, e.message()))?;
        Ok(Some((tokens, generation)))
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        shelf::save::<Tokens>(self, key, expected, token_text(tokens)?).await
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
