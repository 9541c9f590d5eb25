//! Secrets: one row a field of a connection.

use async_trait::async_trait;
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Generation, Result, Secret, SecretStore};

use crate::PostgresStore;
use crate::names::{columns, connection_parts, describe_connection, from_column};
use crate::schema::get;
use crate::shelf::Named;

#[async_trait]
impl SecretStore for PostgresStore {
    async fn load(&self, connection: &ConnectionKey, field: &str) -> Result<Option<(Secret, Generation)>> {
        let inner = &*self.0;
        let (parts, what) = (parts(connection, field), describe(connection, field));
        let named = Named { parts: &parts, what: &what };
        let Some((text, generation)) = inner.load_sealed(&inner.secrets, &named).await? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&text)
            .map_err(|_| inner.damaged(&inner.secrets, &named, "it is not text"))?;
        Ok(Some((Secret::from(text), generation)))
    }

    async fn save(
        &self,
        connection: &ConnectionKey,
        field: &str,
        expected: Generation,
        secret: &Secret,
    ) -> Result<Generation> {
        let inner = &*self.0;
        let (parts, what) = (parts(connection, field), describe(connection, field));
        let text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        inner.save_sealed(&inner.secrets, &Named { parts: &parts, what: &what }, expected, text).await
    }

    async fn remove(&self, connection: &ConnectionKey, field: &str) -> Result<()> {
        self.0.remove_sealed(&self.0.secrets, &parts(connection, field)).await
    }

    async fn fields(&self, connection: &ConnectionKey) -> Result<Vec<String>> {
        let [tenant, connector, connection] = columns(connection_parts(connection))?;
        let sql = &self.0.statements.secret_fields;
        let rows = self.0.connections.query(sql, &[&tenant, &connector, &connection]).await?;
        rows.iter().map(|row| get(row, 0).map(from_column)).collect()
    }
}

fn parts<'a>(connection: &'a ConnectionKey, field: &'a str) -> [&'a str; 4] {
    let [tenant, connector, connection] = connection_parts(connection);
    [tenant, connector, connection, field]
}

fn describe(connection: &ConnectionKey, field: &str) -> String {
    format!("the secret {field:?} of {}", describe_connection(connection))
}
