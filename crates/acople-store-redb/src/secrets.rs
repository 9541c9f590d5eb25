//! Secrets: sealed, one row a field of a connection.

use async_trait::async_trait;
use redb::TableDefinition;
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Generation, Result, Secret, SecretStore};

use crate::RedbStore;
use crate::record::Kind;
use crate::shelf::{self, Shelf};
use crate::tables::{SECRET_FLOORS, SECRETS, SecretRow};
use crate::tokens::describe;

#[async_trait]
impl SecretStore for RedbStore {
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>> {
        let name = (connection.clone(), field.to_owned());
        let Some((text, generation)) = shelf::load::<Secrets>(self, &name).await? else { return Ok(None) };
        let text = std::str::from_utf8(&text);
        let text = text.map_err(|_| shelf::damaged::<Secrets>(&self.0.name, &name, "it is not text"))?;
        Ok(Some((Secret::from(text), generation)))
    }

    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation> {
        let text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        shelf::save::<Secrets>(self, &(connection.clone(), field.to_owned()), expected, text).await
    }

    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()> {
        shelf::remove::<Secrets>(self, &(connection.clone(), field.to_owned())).await
    }

    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>> {
        let first = (connection.clone(), String::new());
        self.read(move |_, tx| {
            let mut fields = Vec::new();
            for entry in tx.open_table(SECRETS)?.range::<(&str, &str, &str, &str)>(Secrets::row(&first)..)? {
                let (connection, field) = Secrets::name(entry?.0.value());
                if connection != first.0 {
                    break;
                }
                fields.push(field);
            }
            Ok(fields)
        })
        .await
    }
}

/// The secrets of connections, by field.
pub(crate) enum Secrets {}

impl Shelf for Secrets {
    type Row = SecretRow;
    type Name = (ConnectionKey, String);
    const TEXTS: TableDefinition<'static, SecretRow, &'static [u8]> = SECRETS;
    const FLOORS: TableDefinition<'static, SecretRow, &'static [u8]> = SECRET_FLOORS;
    const TEXT: Kind = Kind::Secret;
    const FLOOR: Kind = Kind::SecretFloor;
    const REMOVED: Kind = Kind::SecretRemoved;
    const PLACE: &'static str = "secret";
    const REMEDY: &'static str = "if it cannot be restored, remove it and set it again";

    fn row((key, field): &(ConnectionKey, String)) -> (&str, &str, &str, &str) {
        (&key.tenant, &key.connector, &key.connection, field)
    }

    fn name((tenant, connector, connection, field): (&str, &str, &str, &str)) -> (ConnectionKey, String) {
        (ConnectionKey::new(connector, connection).with_tenant(tenant), field.to_owned())
    }

    fn parts((key, field): &(ConnectionKey, String)) -> Vec<&str> {
        vec![&key.tenant, &key.connector, &key.connection, field]
    }

    fn from_parts(parts: &[&str]) -> Option<(ConnectionKey, String)> {
        let &[tenant, connector, connection, field] = parts else { return None };
        Some(Self::name((tenant, connector, connection, field)))
    }

    fn describe((key, field): &(ConnectionKey, String)) -> String {
        format!("the secret {field:?} of {}", describe(key))
    }
}
