//! Sealed texts that have a generation, which is kept apart from them: an old one put back is refused.

use std::fmt::Debug;

use redb::{Key, ReadableTable, TableDefinition, Value, WriteTransaction};
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Generation, Result};
use acople_seal::Place;

use crate::RedbStore;
use crate::fault::Fault;
use crate::fence::beyond_all_writers;
use crate::record::{self, Kind, Record, check_key};
use crate::rewrap::charge;

/// One kind of sealed texts with its tables.
pub(crate) trait Shelf: 'static {
    type Row: Key + 'static;
    /// Whose text it is.
    type Name: Clone + Debug + Send + Sync + 'static;
    const TEXTS: TableDefinition<'static, Self::Row, &'static [u8]>;
    /// The generation that each row of `TEXTS` must have.
    const FLOORS: TableDefinition<'static, Self::Row, &'static [u8]>;
    const TEXT: Kind;
    const FLOOR: Kind;
    const REMOVED: Kind;
    /// What the encryption is bound to, beside the name.
    const PLACE: &'static str;
    /// What a person can do about a text that is lost.
    const REMEDY: &'static str;

    fn row(name: &Self::Name) -> <Self::Row as Value>::SelfType<'_>;
    fn name(row: <Self::Row as Value>::SelfType<'_>) -> Self::Name;
    fn parts(name: &Self::Name) -> Vec<&str>;
    fn from_parts(parts: &[&str]) -> Option<Self::Name>;
    /// For messages: `tokens of connector "hubspot"`.
    fn describe(name: &Self::Name) -> String;
}

/// A shelf's table in either kind of transaction.
pub(crate) trait Table<S: Shelf>: ReadableTable<S::Row, &'static [u8]> {}
impl<S: Shelf, T: ReadableTable<S::Row, &'static [u8]>> Table<S> for T {}

pub(crate) async fn load<S: Shelf>(
    store: &RedbStore,
    name: &S::Name,
) -> Result<Option<(Zeroizing<Vec<u8>>, Generation)>> {
    let sealer = store.0.required_sealer()?;
    let wanted = name.clone();
    let found = store
        .read(move |inner, tx| {
            let Floor::Live(floor) = floor::<S>(&tx.open_table(S::FLOORS)?, &inner.name, &wanted)? else {
                return Ok(None);
            };
            let texts = tx.open_table(S::TEXTS)?;
            let bytes = texts.get(S::row(&wanted))?;
            let record = bytes.as_ref().and_then(|bytes| whole::<S>(bytes.value(), &wanted));
            let record = record.ok_or_else(|| damaged::<S>(&inner.name, &wanted, "it is damaged"))?;
            if record.generation != floor {
                let why = format!("it is of generation {} instead of {floor}", record.generation);
                return Err(damaged::<S>(&inner.name, &wanted, &why).into());
            }
            Ok(Some((record.payload.to_vec(), floor)))
        })
        .await?;
    let Some((sealed, generation)) = found else { return Ok(None) };
    let text = sealer.open(&place::<S>(&S::parts(name), generation), &sealed).await;
    let text = text.map_err(|e| {
        let message = unusable::<S>(&store.0.name, name, e.message());
        e.with_message(message)
    })?;
    Ok(Some((text, Generation(generation))))
}

pub(crate) async fn save<S: Shelf>(
    store: &RedbStore,
    name: &S::Name,
    expected: Generation,
    text: Zeroizing<Vec<u8>>,
) -> Result<Generation> {
    check_key(&S::parts(name))?;
    let sealer = store.0.required_sealer()?;
    if text.len() > store.0.max_state {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "{} has {} bytes, more than the store's limit of {}",
                S::describe(name),
                text.len(),
                store.0.max_state
            ),
        ));
    }
    let fresh = sealer.fresh_key(&place::<S>(&S::parts(name), 0)).await?;
    let name = name.clone();
    store
        .write(move |inner, tx| {
            let floor = floor::<S>(&tx.open_table(S::FLOORS)?, &inner.name, &name)?;
            let (live, current) = match floor {
                Floor::Live(generation) => (generation, generation),
                Floor::Removed(generation) => (0, generation),
            };
            if live != expected.0 {
                return Err(Error::new(
                    ErrorKind::Fenced,
                    format!(
                        "{} is at generation {live}, not {}: somebody else wrote",
                        S::describe(&name),
                        expected.0
                    ),
                )
                .into());
            }
            let next = next_generation(current)?;
            if let Some(master) = fresh.master() {
                charge(tx, inner, master, 1)?;
            }
            let sealed = fresh.seal(&place::<S>(&S::parts(&name), next), text)?;
            put::<S>(tx, &name, next, &sealed)?;
            put_floor::<S>(tx, &name, S::FLOOR, next)?;
            Ok(Generation(next))
        })
        .await
}

/// Works without a master key, too: a text whose key is lost must still be removable.
pub(crate) async fn remove<S: Shelf>(store: &RedbStore, name: &S::Name) -> Result<()> {
    check_key(&S::parts(name))?;
    let name = name.clone();
    store
        .write(move |inner, tx| {
            let next = match floor::<S>(&tx.open_table(S::FLOORS)?, &inner.name, &name) {
                Ok(Floor::Live(generation)) => next_generation(generation)?,
                Ok(Floor::Removed(_)) => return Ok(()),
                // The floor itself is damaged.
                Err(Fault::Own(_)) => beyond_all_writers()?,
                Err(fault) => return Err(fault),
            };
            tx.open_table(S::TEXTS)?.remove(S::row(&name))?;
            put_floor::<S>(tx, &name, S::REMOVED, next)
        })
        .await
}

/// The record in these bytes, if they are whole and of this name.
pub(crate) fn whole<'a, S: Shelf>(bytes: &'a [u8], name: &S::Name) -> Option<Record<'a>> {
    record::decode(bytes).filter(|record| record.kind == S::TEXT && record.key == S::parts(name))
}

/// The place of a text, for the associated data.
pub(crate) fn place<'a, S: Shelf>(parts: &'a [&'a str], generation: u64) -> Place<'a> {
    Place { kind: S::PLACE, key: parts, generation }
}

pub(crate) fn put<S: Shelf>(
    tx: &WriteTransaction,
    name: &S::Name,
    generation: u64,
    sealed: &[u8],
) -> Result<(), Fault> {
    let bytes = record::encode(S::TEXT, generation, &S::parts(name), sealed)?;
    tx.open_table(S::TEXTS)?.insert(S::row(name), bytes.as_slice())?;
    Ok(())
}

pub(crate) fn damaged<S: Shelf>(store: &str, name: &S::Name, why: &str) -> Error {
    Error::new(ErrorKind::Internal, unusable::<S>(store, name, why))
}

/// The generation that a text must have.
enum Floor {
    Live(u64),
    /// Removed, or never there: 0.
    Removed(u64),
}

fn floor<S: Shelf>(table: &impl Table<S>, store: &str, name: &S::Name) -> Result<Floor, Fault> {
    let Some(bytes) = table.get(S::row(name))? else {
        return Ok(Floor::Removed(0));
    };
    match record::decode(bytes.value()).filter(|record| record.key == S::parts(name)) {
        Some(record) if record.kind == S::FLOOR => Ok(Floor::Live(record.generation)),
        Some(record) if record.kind == S::REMOVED => Ok(Floor::Removed(record.generation)),
        _ => Err(damaged::<S>(store, name, "its generation is damaged").into()),
    }
}

fn put_floor<S: Shelf>(
    tx: &WriteTransaction,
    name: &S::Name,
    kind: Kind,
    generation: u64,
) -> Result<(), Fault> {
    let bytes = record::encode(kind, generation, &S::parts(name), &[])?;
    tx.open_table(S::FLOORS)?.insert(S::row(name), bytes.as_slice())?;
    Ok(())
}

fn next_generation(current: u64) -> Result<u64> {
    current.checked_add(1).ok_or_else(|| Error::new(ErrorKind::Internal, "a generation ran out"))
}

fn unusable<S: Shelf>(store: &str, name: &S::Name, why: &str) -> String {
    format!("{} in store {store} cannot be used: {why}; {}", S::describe(name), S::REMEDY)
}
