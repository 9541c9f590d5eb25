//! Secrets: one text a field of a connection.

use async_trait::async_trait;
use redis::cmd;
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Generation, Result, Secret, SecretStore};

use crate::RedisStore;
use crate::names::{connection_parts, describe_connection};
use crate::shelf::{Named, Shelf, fields_of};

#[async_trait]
impl SecretStore for RedisStore {
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>> {
        let (parts, what) = (parts(connection, field), describe(connection, field));
        let named = Named { shelf: Shelf::Secrets, parts: &parts, what: &what };
        let Some((text, generation)) = self.0.load_sealed(&named).await? else { return Ok(None) };
        let text = std::str::from_utf8(&text).map_err(|_| self.0.damaged(&named, "it is not text"))?;
        Ok(Some((Secret::from(text), generation)))
    }

    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation> {
        let (parts, what) = (parts(connection, field), describe(connection, field));
        let text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        self.0.save_sealed(&Named { shelf: Shelf::Secrets, parts: &parts, what: &what }, expected, text).await
    }

    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()> {
        let (parts, what) = (parts(connection, field), describe(connection, field));
        self.0.remove_sealed(&Named { shelf: Shelf::Secrets, parts: &parts, what: &what }).await
    }

    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>> {
        let name = fields_of(&self.0.prefix, &connection_parts(connection))?;
        let mut fields: Vec<String> = self.0.connection.command(cmd("SMEMBERS").arg(name)).await?;
        fields.sort_unstable();
        Ok(fields)
    }
}

fn parts<'a>(connection: &'a ConnectionKey, field: &'a str) -> [&'a str; 4] {
    let [tenant, connector, connection] = connection_parts(connection);
    [tenant, connector, connection, field]
}

fn describe(connection: &ConnectionKey, field: &str) -> String {
    format!("the secret {field:?} of {}", describe_connection(connection))
}
