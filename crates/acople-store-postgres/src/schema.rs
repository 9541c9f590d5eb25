//! The tables, their version, and what the server has to promise.

use acople_core::{Error, ErrorKind, Result};

use crate::connection::Connections;

/// The version of the tables. Raised with a migration in [`MIGRATIONS`].
const VERSION: i32 = 1;

/// From each version to the next; the first makes everything. `{schema}` stands for the schema's name.
///
/// Leases are in a table that is not logged: they are cheap to take, and after a crash of the server they are gone,
/// as they would be a moment later.
const MIGRATIONS: [&str; VERSION as usize] = [r#"
CREATE TABLE {schema}.states (
    sync text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    state bytea,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sync, tenant, stream, part)
);
COMMENT ON COLUMN {schema}.states.state IS 'null: removed; the generation stays and fences late writers';
CREATE TABLE {schema}.token_generations (
    tenant text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    live boolean NOT NULL,
    PRIMARY KEY (tenant, connector, connection)
);
CREATE TABLE {schema}.tokens (
    tenant text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant, connector, connection)
);
CREATE TABLE {schema}.secret_generations (
    tenant text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    live boolean NOT NULL,
    PRIMARY KEY (tenant, connector, connection, field)
);
CREATE TABLE {schema}.secrets (
    tenant text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant, connector, connection, field)
);
CREATE UNLOGGED TABLE {schema}.leases (
    tenant text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    holder text NOT NULL,
    ends timestamptz NOT NULL,
    PRIMARY KEY (tenant, connector, connection)
);
CREATE TABLE {schema}.quarantine (
    id text COLLATE "C" PRIMARY KEY,
    sync text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    sealed boolean NOT NULL,
    payload bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_by_sync ON {schema}.quarantine (sync, id);
CREATE TABLE {schema}.master_keys (
    id text PRIMARY KEY,
    used bigint NOT NULL,
    check_row bytea NOT NULL
);
"#];

/// How long a migration may take, all together.
const MIGRATION_TIMEOUT: &str = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '60s';";

/// The schema's name as it stands in statements.
pub(crate) fn quote(schema: &str) -> Result<String> {
    let mut bytes = schema.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !first || !rest || schema.len() > 63 || schema.starts_with("pg_") {
        return Err(Error::config(
            "schema",
            "the name of a schema is 1 to 63 of a-z, 0-9 and _, does not begin with a digit nor with pg_",
        ));
    }
    Ok(format!("\"{schema}\""))
}

/// Refuses a server that does not keep what it acknowledges, or cannot keep every text.
pub(crate) async fn check_server(connections: &Connections, accept_loss: bool) -> Result<()> {
    let rows = connections
        .query(
            "SELECT name::text, setting::text FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'server_encoding')",
            &[],
        )
        .await?;
    for row in rows {
        let (name, value): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        match (name.as_str(), value.as_str()) {
            ("server_encoding", "UTF8") => {}
            ("server_encoding", other) => {
                return Err(Error::config(
                    "address",
                    format!("the database has the encoding {other}: the store needs UTF8"),
                ));
            }
            (_, "off") if !accept_loss => {
                return Err(Error::config(
                    "address",
                    format!(
                        "{}: the server has {name} off and may lose what it acknowledges: switch it on, or accept \
                         that with `accept_loss_on_crash`",
                        connections.name
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes or migrates the tables, one process at a time. Needs no right to make anything when there is nothing to
/// make.
pub(crate) async fn prepare(connections: &Connections, schema: &str) -> Result<()> {
    let explain = |e: tokio_postgres::Error| connections.explain(&e);
    let mut connection = connections.get().await?;
    if version(&connection, schema).await.map_err(explain)? == Some(VERSION) {
        return Ok(());
    }
    let tx = connection.transaction().await.map_err(explain)?;
    tx.batch_execute(MIGRATION_TIMEOUT).await.map_err(explain)?;
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", &[&format!("acople {schema}")])
        .await
        .map_err(explain)?;
    // Whoever had the lock before may have done it.
    let found = version(&tx, schema).await.map_err(explain)?.unwrap_or(0);
    let steps = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!(
                "{}: its tables have version {found}, and this program knows up to {VERSION}: use a newer program",
                connections.name
            ),
        )
    })?;
    let table = format!("{schema}.schema_version");
    if found == 0 {
        let first = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS {table} (version int NOT NULL);
             INSERT INTO {table} SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM {table})"
        );
        tx.batch_execute(&first).await.map_err(explain)?;
    }
    for step in steps {
        tx.batch_execute(&step.replace("{schema}", schema)).await.map_err(explain)?;
    }
    tx.execute(&format!("UPDATE {table} SET version = $1"), &[&VERSION]).await.map_err(explain)?;
    tx.commit().await.map_err(explain)
}

/// The value of a column: another type means that the tables are not the store's.
pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    column: usize,
) -> Result<T> {
    row.try_get(column).map_err(|e| {
        Error::new(
            ErrorKind::Internal,
            format!("column {column} of the store's answer is not what it has to be: {e}"),
        )
    })
}

async fn version(
    client: &impl deadpool_postgres::GenericClient,
    schema: &str,
) -> Result<Option<i32>, tokio_postgres::Error> {
    // By a scan of the catalogue: functions such as `to_regclass` may answer from a cache that another session's
    // migration has outdated.
    let found = client
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname = $1::text AND c.relname = 'schema_version')",
            &[&schema.trim_matches('"')],
        )
        .await?;
    if !found.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let row = client.query_opt(&format!("SELECT version FROM {schema}.schema_version"), &[]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn names_of_schemas_are_plain_words() {
        for name in ["acople", "_x1", &"a".repeat(63)] {
            assert!(quote(name).is_ok_and(|quoted| quoted == format!("\"{name}\"")), "{name}");
        }
        for name in ["", "1a", "a-b", "A", "a\"b", "a b", "pg_x", "ü", &"a".repeat(64)] {
            assert!(quote(name).is_err(), "{name}");
        }
    }
}
