//! States: one hash each, changed by compare-and-set on its generation.

use async_trait::async_trait;
use redis::cmd;

use acople_core::{CheckpointStore, Error, ErrorKind, Generation, Result, StateKey};

use crate::RedisStore;
use crate::names::{describe_state, key, member, parts, single, state_parts};
use crate::store::{At, Inner, next_generation};

#[async_trait]
impl CheckpointStore for RedisStore {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        let command = cmd("HMGET").arg(&names.state).arg("g").arg("s").to_owned();
        let (generation, state): (Option<u64>, Option<Vec<u8>>) = inner.connection.command(&command).await?;
        match (generation, state) {
            (Some(generation), Some(state)) => Ok(Some((state, Generation(generation)))),
            (None, Some(_)) => Err(inner.connection.not_understood()),
            (_, None) => Ok(None),
        }
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        if state.len() > inner.max_state {
            return Err(inner.too_large(&format!("state of {}", describe_state(key)), state.len()));
        }
        let from = if expected == Generation(0) {
            match inner.state_generation(&names).await? {
                At::Live(generation) => return Err(fenced(key, &generation.to_string(), expected)),
                removed @ At::Removed(_) => removed,
            }
        } else {
            At::Live(expected.0)
        };
        let Ok(next) = next_generation(from.number()) else {
            return Err(fenced(key, "another one", expected));
        };
        let (from, next_text) = (from.text(), next.to_string());
        let in_the_way: String = inner
            .connection
            .run(
                &inner.scripts.save_state,
                &[&names.state, &names.of_sync, &names.syncs],
                &[from.as_bytes(), next_text.as_bytes(), state, &names.member, key.sync.as_bytes()],
            )
            .await?;
        if in_the_way.is_empty() { Ok(Generation(next)) } else { Err(fenced(key, &in_the_way, expected)) }
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        let inner = &*self.0;
        let names = Names::new(inner, key)?;
        inner
            .connection
            .run::<i64>(
                &inner.scripts.remove_state,
                &[&names.state, &names.of_sync, &names.syncs],
                &[&names.member, key.sync.as_bytes()],
            )
            .await
            .map(|_| ())
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        let inner = &*self.0;
        let syncs = match sync {
            Some(sync) => vec![sync.as_bytes().to_vec()],
            None => inner.connection.command(cmd("SMEMBERS").arg(single(&inner.prefix, "syncs"))).await?,
        };
        let mut keys = Vec::new();
        for sync in syncs {
            let members: Vec<Vec<u8>> =
                inner.connection.command(cmd("SMEMBERS").arg(key(&inner.prefix, "states", &sync))).await?;
            for member in members {
                let [sync, tenant, stream, partition] =
                    parts(&member).ok_or_else(|| inner.connection.not_understood())?;
                keys.push(StateKey { tenant, sync, stream, partition });
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

impl Inner {
    async fn state_generation(&self, names: &Names) -> Result<At> {
        let command = cmd("HMGET").arg(&names.state).arg("g").arg("s").to_owned();
        let (generation, state): (Option<u64>, Option<Vec<u8>>) = self.connection.command(&command).await?;
        let generation = generation.unwrap_or(0);
        Ok(if state.is_some() { At::Live(generation) } else { At::Removed(generation) })
    }
}

/// The keys that hold a state and list it.
struct Names {
    member: Vec<u8>,
    state: Vec<u8>,
    of_sync: Vec<u8>,
    syncs: Vec<u8>,
}

impl Names {
    fn new(inner: &Inner, of: &StateKey) -> Result<Self> {
        let member = member(&state_parts(of))?;
        let state = key(&inner.prefix, "state", &member);
        let of_sync = key(&inner.prefix, "states", of.sync.as_bytes());
        Ok(Self { member, state, of_sync, syncs: single(&inner.prefix, "syncs") })
    }
}

fn fenced(key: &StateKey, actual: &str, expected: Generation) -> Error {
    Error::new(
        ErrorKind::Fenced,
        format!(
            "state of {} is at generation {actual}, not {}: another worker wrote it",
            describe_state(key),
            expected.0
        ),
    )
}
