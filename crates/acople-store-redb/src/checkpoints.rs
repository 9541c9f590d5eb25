//! States: two copies of each, written in turn, so that a damaged newest one leaves the one before.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use acople_core::{CheckpointStore, Error, ErrorKind, Generation, Result, StateKey};

use crate::RedbStore;
use crate::fault::Fault;
use crate::fence::beyond_all_writers;
use crate::record::{self, Kind, check_key};
use crate::store::Inner;
use crate::tables::{STATES, StateRow, StateTable, state_table};

/// Added to the generation when a copy was damaged: the damaged one may have been later than the good
/// one, and its writer must find itself fenced. Odd, so that the damaged copy is overwritten.
const GAP: u64 = (1 << 32) + 1;

#[async_trait]
impl CheckpointStore for RedbStore {
    async fn load(&self, key: &StateKey) -> Result<Option<(Vec<u8>, Generation)>> {
        let key = key.clone();
        self.read(move |inner, tx| {
            let copies = Copies::read(&SnapshotOf(tx), &key)?;
            let Some(copy) = copies.newest(inner, &key)? else {
                return if inner.has_losses() { Err(lost(inner, &key).into()) } else { Ok(None) };
            };
            Ok(copy.live.then_some((copy.state, Generation(copy.generation))))
        })
        .await
    }

    async fn save(&self, key: &StateKey, expected: Generation, state: &[u8]) -> Result<Generation> {
        check_key(&parts(key))?;
        if state.len() > self.0.max_state {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "state of {} has {} bytes, more than the store's limit of {}",
                    describe(key),
                    state.len(),
                    self.0.max_state
                ),
            ));
        }
        let (key, state) = (key.clone(), state.to_vec());
        self.write(move |inner, tx| {
            let copies = Copies::read(&WriterOf(tx), &key)?;
            let damaged = copies.damaged;
            let newest = copies.newest(inner, &key)?;
            let live = newest.as_ref().filter(|copy| copy.live).map_or(0, |copy| copy.generation);
            if live != expected.0 {
                return Err(fenced(&key, live, expected).into());
            }
            let current = newest.map_or(0, |copy| copy.generation);
            let next = next_generation(current, damaged)?;
            put(tx, &key, Kind::State, next, &state)?;
            Ok(Generation(next))
        })
        .await
    }

    async fn remove(&self, key: &StateKey) -> Result<()> {
        check_key(&parts(key))?;
        let key = key.clone();
        self.write(move |inner, tx| {
            let copies = Copies::read(&WriterOf(tx), &key)?;
            let next = match copies.newest {
                Some(copy) if copy.live => next_generation(copy.generation, copies.damaged)?,
                None if copies.damaged => beyond_all_writers()?,
                None if inner.has_losses() => 1,
                Some(_) | None => return Ok(()),
            };
            // The other copy would come back if this one were damaged, so both go.
            for table in STATES {
                tx.open_table(table)?.remove(row(&key))?;
            }
            put(tx, &key, Kind::StateRemoved, next, &[])
        })
        .await
    }

    async fn keys(&self, sync: Option<&str>) -> Result<Vec<StateKey>> {
        let sync = sync.map(str::to_owned);
        self.read(move |_, tx| {
            let mut newest: BTreeMap<StateKey, (u64, bool)> = BTreeMap::new();
            for table in STATES {
                let table = tx.open_table(table)?;
                let start = sync.as_deref().unwrap_or_default();
                for entry in table.range((start, "", "", "")..)? {
                    let (row, bytes) = entry?;
                    let (of, tenant, stream, partition) = row.value();
                    if sync.as_ref().is_some_and(|sync| sync != of) {
                        break;
                    }
                    let key = StateKey::new(of, stream).with_tenant(tenant).with_partition(partition);
                    // A damaged copy is listed: loading it says what is wrong.
                    let seen = record::peek(bytes.value())
                        .map_or((0, true), |(kind, generation, _)| (generation, kind == Kind::State));
                    let known = newest.entry(key).or_insert(seen);
                    *known = (*known).max(seen);
                }
            }
            Ok(newest.into_iter().filter(|(_, (_, live))| *live).map(|(key, _)| key).collect())
        })
        .await
    }
}

/// A good copy of a state, or of its removal.
struct Copy {
    generation: u64,
    live: bool,
    state: Vec<u8>,
}

/// What the two tables hold of a state.
#[derive(Default)]
struct Copies {
    newest: Option<Copy>,
    damaged: bool,
}

impl Copies {
    fn read(tables: &impl Tables, key: &StateKey) -> Result<Self, Fault> {
        let mut copies = Self::default();
        for table in STATES {
            let Some(bytes) = tables.get(table, key)? else {
                continue;
            };
            let record = record::decode(&bytes).filter(|record| record.key == parts(key));
            let live = match record.as_ref().map(|record| record.kind) {
                Some(Kind::State) => true,
                Some(Kind::StateRemoved) => false,
                _ => {
                    copies.damaged = true;
                    continue;
                }
            };
            if let Some(record) = record
                && copies.newest.as_ref().is_none_or(|newest| newest.generation < record.generation)
            {
                copies.newest =
                    Some(Copy { generation: record.generation, live, state: record.payload.to_vec() });
            }
        }
        Ok(copies)
    }

    /// The newest good copy. Reports a damaged one; without any good one that is an error.
    fn newest(self, inner: &Inner, key: &StateKey) -> Result<Option<Copy>> {
        if !self.damaged {
            return Ok(self.newest);
        }
        let Some(copy) = self.newest else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "state of {} is damaged in store {}: restore the store from a backup, \
                     or remove this state to read the stream from its beginning",
                    describe(key),
                    inner.name
                ),
            ));
        };
        inner.fallbacks.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            store = %inner.name,
            state = %describe(key),
            generation = copy.generation,
            "one copy of a state is damaged, the other one is used"
        );
        Ok(Some(copy))
    }
}

/// The tables of either kind of transaction.
trait Tables {
    fn get(&self, table: StateTable, key: &StateKey) -> Result<Option<Vec<u8>>, Fault>;
}

struct SnapshotOf<'a>(&'a ReadTransaction);
struct WriterOf<'a>(&'a WriteTransaction);

impl Tables for SnapshotOf<'_> {
    fn get(&self, table: StateTable, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        bytes_of(&self.0.open_table(table)?, key)
    }
}

impl Tables for WriterOf<'_> {
    fn get(&self, table: StateTable, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        bytes_of(&self.0.open_table(table)?, key)
    }
}

fn bytes_of(
    table: &impl ReadableTable<StateRow, &'static [u8]>,
    key: &StateKey,
) -> Result<Option<Vec<u8>>, Fault> {
    Ok(table.get(row(key))?.map(|bytes| bytes.value().to_vec()))
}

fn put(
    tx: &WriteTransaction,
    key: &StateKey,
    kind: Kind,
    generation: u64,
    state: &[u8],
) -> Result<(), Fault> {
    let bytes = record::encode(kind, generation, &parts(key), state)?;
    tx.open_table(state_table(generation))?.insert(row(key), bytes.as_slice())?;
    Ok(())
}

fn next_generation(current: u64, damaged: bool) -> Result<u64> {
    current
        .checked_add(if damaged { GAP } else { 1 })
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a state's generation ran out"))
}

fn row(key: &StateKey) -> (&str, &str, &str, &str) {
    (&key.sync, &key.tenant, &key.stream, &key.partition)
}

fn parts(key: &StateKey) -> [&str; 4] {
    [&key.tenant, &key.sync, &key.stream, &key.partition]
}

/// The key in a message: empty parts are left out.
fn describe(key: &StateKey) -> String {
    let mut parts = vec![format!("sync {:?} stream {:?}", key.sync, key.stream)];
    for (name, part) in [("partition", &key.partition), ("tenant", &key.tenant)] {
        if !part.is_empty() {
            parts.push(format!("{name} {part:?}"));
        }
    }
    parts.join(" ")
}

fn fenced(key: &StateKey, actual: u64, expected: Generation) -> Error {
    Error::new(
        ErrorKind::Fenced,
        format!(
            "state of {} is at generation {actual}, not {}: another worker wrote it",
            describe(key),
            expected.0
        ),
    )
}

fn lost(inner: &Inner, key: &StateKey) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "state of {} may have been lost when store {} was damaged and rebuilt: remove this state to read \
             the stream from its beginning, or accept the losses of the whole store",
            describe(key),
            inner.name
        ),
    )
}
