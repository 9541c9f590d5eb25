//! The statements, with the schema's name in them.
//!
//! Each is one statement and so one transaction; each may be run twice. Names come in the order of the columns.

/// The texts, made once when a store is opened. They are prepared on each connection at first use.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) load_state: String,
    pub(crate) state_generation: String,
    pub(crate) begin_state: String,
    pub(crate) go_on_with_state: String,
    pub(crate) remove_state: String,
    pub(crate) state_keys: String,
    pub(crate) state_keys_of_sync: String,
    pub(crate) secret_fields: String,
    pub(crate) lease: String,
    pub(crate) release: String,
    pub(crate) quarantine: String,
    pub(crate) quarantined: String,
    pub(crate) quarantined_of_sync: String,
    pub(crate) forget_quarantined: String,
    pub(crate) count_quarantined: String,
    pub(crate) count_quarantined_of_sync: String,
    pub(crate) known_keys: String,
    pub(crate) learn_key: String,
    pub(crate) charge_key: String,
    pub(crate) quarantined_after: String,
    pub(crate) rewrap_quarantined: String,
}

/// A key of states, of connections.
const STATE: &str = "sync = $1::text AND tenant = $2::text AND stream = $3::text AND part = $4::text";
const CONNECTION: &str = "tenant = $1::text AND connector = $2::text AND connection = $3::text";

impl Statements {
    /// `schema` is quoted already.
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            load_state: format!(
                "SELECT generation, state FROM {schema}.states WHERE {STATE} AND state IS NOT NULL"
            ),
            state_generation: format!(
                "SELECT generation, state IS NOT NULL FROM {schema}.states WHERE {STATE}"
            ),
            // $5: the generation at which it was removed, 0 when it never was there. $6: the new one.
            begin_state: format!(
                "INSERT INTO {schema}.states AS s (sync, tenant, stream, part, generation, state)
                 VALUES ($1::text, $2::text, $3::text, $4::text, $6::bigint, $7::bytea)
                 ON CONFLICT (sync, tenant, stream, part)
                 DO UPDATE SET generation = excluded.generation, state = excluded.state, written_at = now()
                 WHERE s.state IS NULL AND s.generation = $5::bigint
                 RETURNING generation"
            ),
            go_on_with_state: format!(
                "UPDATE {schema}.states SET generation = $6::bigint, state = $7::bytea, written_at = now()
                 WHERE {STATE} AND generation = $5::bigint AND state IS NOT NULL RETURNING generation"
            ),
            remove_state: format!(
                "UPDATE {schema}.states SET generation = generation + 1, state = NULL, written_at = now()
                 WHERE {STATE} AND state IS NOT NULL"
            ),
            state_keys: format!(
                "SELECT sync, tenant, stream, part FROM {schema}.states WHERE state IS NOT NULL
                 ORDER BY sync, tenant, stream, part"
            ),
            state_keys_of_sync: format!(
                "SELECT sync, tenant, stream, part FROM {schema}.states
                 WHERE sync = $1::text AND state IS NOT NULL ORDER BY sync, tenant, stream, part"
            ),
            secret_fields: format!("SELECT field FROM {schema}.secrets WHERE {CONNECTION} ORDER BY field"),
            // By the server's clock alone. $5: microseconds.
            lease: format!(
                "WITH asked AS (
                     INSERT INTO {schema}.leases AS l (tenant, connector, connection, holder, ends)
                     VALUES ($1::text, $2::text, $3::text, $4::text,
                             clock_timestamp() + $5::bigint * interval '1 microsecond')
                     ON CONFLICT (tenant, connector, connection)
                     DO UPDATE SET holder = excluded.holder, ends = excluded.ends
                     WHERE l.holder = excluded.holder OR l.ends <= clock_timestamp()
                     RETURNING 1
                 )
                 SELECT EXISTS (SELECT 1 FROM asked),
                        (SELECT (extract(epoch FROM ends - clock_timestamp()) * 1000000)::bigint
                         FROM {schema}.leases WHERE {CONNECTION})"
            ),
            release: format!("DELETE FROM {schema}.leases WHERE {CONNECTION} AND holder = $4::text"),
            quarantine: format!(
                "INSERT INTO {schema}.quarantine (id, sync, tenant, sealed, payload)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bytea[])
                 ON CONFLICT (id) DO UPDATE
                 SET sync = excluded.sync, tenant = excluded.tenant, sealed = excluded.sealed,
                     payload = excluded.payload, written_at = now()"
            ),
            quarantined: format!(
                "SELECT id, sync, tenant, sealed, payload FROM {schema}.quarantine
                 WHERE $1::text IS NULL OR id > $1::text ORDER BY id LIMIT $2::bigint"
            ),
            quarantined_of_sync: format!(
                "SELECT id, sync, tenant, sealed, payload FROM {schema}.quarantine
                 WHERE sync = $3::text AND ($1::text IS NULL OR id > $1::text) ORDER BY id LIMIT $2::bigint"
            ),
            forget_quarantined: format!("DELETE FROM {schema}.quarantine WHERE id = ANY($1::text[])"),
            count_quarantined: format!("SELECT count(*) FROM {schema}.quarantine"),
            count_quarantined_of_sync: format!(
                "SELECT count(*) FROM {schema}.quarantine WHERE sync = $1::text"
            ),
            known_keys: format!("SELECT id, check_row FROM {schema}.master_keys"),
            learn_key: format!(
                "INSERT INTO {schema}.master_keys (id, used, check_row) VALUES ($1::text, 1, $2::bytea)
                 ON CONFLICT (id) DO NOTHING"
            ),
            // $3: how many uses it may have.
            charge_key: format!(
                "UPDATE {schema}.master_keys SET used = used + $2::bigint
                 WHERE id = $1::text AND used + $2::bigint <= $3::bigint RETURNING used"
            ),
            quarantined_after: format!(
                "SELECT id, sync, tenant, sealed, payload FROM {schema}.quarantine
                 WHERE $1::text IS NULL OR id > $1::text ORDER BY id LIMIT $2::bigint"
            ),
            rewrap_quarantined: format!(
                "UPDATE {schema}.quarantine SET sealed = true, payload = $2::bytea
                 WHERE id = $1::text AND payload = $3::bytea RETURNING 1"
            ),
        }
    }
}
