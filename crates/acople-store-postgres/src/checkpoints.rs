//! States: one row each, changed by compare-and-set on its generation.

use async_trait::async_trait;

use acople_core::{CheckpointStore, Error, ErrorKind, Generation, Result, StateKey};

use crate::PostgresStore;
use crate::names::{columns, describe_state, from_column, state_parts};
use crate::schema::get;
use crate::store::{Inner, step};

#[async_trait]
impl CheckpointStore for PostgresStore {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        let [sync, tenant, stream, part] = columns(state_parts(key))?;
        let rows = self
            .0
            .connections
            .query(&self.0.statements.load_state, &[&sync, &tenant, &stream, &part])
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some((get(row, 1)?, generation(get(row, 0)?)?)))
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        let inner = &*self.0;
        let [sync, tenant, stream, part] = columns(state_parts(key))?;
        if state.len() > inner.max_state {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "state of {} has {} bytes, more than the store's limit of {}",
                    describe_state(key),
                    state.len(),
                    inner.max_state
                ),
            ));
        }
        let (sql, from) = if expected == Generation(0) {
            match inner.state_generation(key).await? {
                (live, true) => return Err(fenced(key, live, expected)),
                (removed, false) => (&inner.statements.begin_state, removed),
            }
        } else {
            let Ok(from) = i64::try_from(expected.0) else {
                return Err(fenced(key, 0, expected));
            };
            (&inner.statements.go_on_with_state, from)
        };
        let next = next_generation(from)?;
        let rows =
            inner.connections.query(sql, &[&sync, &tenant, &stream, &part, &from, &next, &state]).await?;
        if rows.is_empty() {
            // When the connection was lost after the commit, the second attempt finds the first one's work.
            match inner.state_generation(key).await? {
                (current, true) if current == next => {}
                (current, live) => return Err(fenced(key, if live { current } else { 0 }, expected)),
            }
        }
        generation(next)
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        let [sync, tenant, stream, part] = columns(state_parts(key))?;
        self.0
            .connections
            .query(&self.0.statements.remove_state, &[&sync, &tenant, &stream, &part])
            .await
            .map(|_| ())
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        let inner = &*self.0;
        let rows = match sync {
            None => inner.connections.query(&inner.statements.state_keys, &[]).await?,
            Some(sync) => {
                let [sync] = columns([sync])?;
                inner.connections.query(&inner.statements.state_keys_of_sync, &[&sync]).await?
            }
        };
        rows.iter()
            .map(|row| {
                let part = |column| get(row, column).map(from_column);
                Ok(StateKey::new(part(0)?, part(2)?).with_tenant(part(1)?).with_partition(part(3)?))
            })
            .collect()
    }
}

impl Inner {
    /// The generation of a state, or the one at which it was removed, 0 when it never was there; and whether it is
    /// there.
    async fn state_generation(&self, key: &StateKey) -> Result<(i64, bool)> {
        let [sync, tenant, stream, part] = columns(state_parts(key))?;
        let rows = self
            .connections
            .query(&self.statements.state_generation, &[&sync, &tenant, &stream, &part])
            .await?;
        rows.first().map_or(Ok((0, false)), |row| Ok((get(row, 0)?, get(row, 1)?)))
    }
}

/// A generation after this one.
pub(crate) fn next_generation(current: i64) -> Result<i64> {
    current
        .checked_add(step())
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the generations of a row ran out"))
}

/// A generation as it comes from the database.
pub(crate) fn generation(number: i64) -> Result<Generation> {
    match u64::try_from(number) {
        Ok(number @ 1..) => Ok(Generation(number)),
        _ => Err(Error::new(ErrorKind::Internal, "a generation in the store is not above 0")),
    }
}

fn fenced(key: &StateKey, actual: i64, expected: Generation) -> Error {
    Error::new(
        ErrorKind::Fenced,
        format!(
            "state of {} is at generation {actual}, not {}: another worker wrote it",
            describe_state(key),
            expected.0
        ),
    )
}
