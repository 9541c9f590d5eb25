//! Which keys are needed, and by what: for rotation, and for when one is lost.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use redb::{ReadTransaction, ReadableTable};

use acople_core::{ConnectionKey, Result};
use acople_seal::key_id;

use crate::RedbStore;
use crate::fault::Fault;
use crate::identity_map;
use crate::quarantine::{self, SEALED};
use crate::secrets::Secrets;
use crate::shelf::{self, Shelf, Table};
use crate::tables::{QUARANTINE, SECRETS, TOKENS};
use crate::tokens::Tokens;

/// How many records one key is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyUse {
    /// The key's id.
    pub id: String,
    /// Whether the store was opened with it. If not, its records cannot be read; all others can.
    pub here: bool,
    /// Tokens of connections.
    pub tokens: u64,
    /// Secrets of connections.
    pub secrets: u64,
    /// Quarantined records.
    pub quarantined: u64,
    /// Links between records of two systems.
    pub links: u64,
}

/// A record that is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealedRecord {
    /// The tokens of a connection.
    Tokens(ConnectionKey),
    /// A secret of a connection, by its field.
    Secret(ConnectionKey, String),
    /// A quarantined record, by its id.
    Quarantined(String),
    /// A link, by its sync and its source record.
    Link(String, String),
}

impl RedbStore {
    /// The keys that records of the store need, by id. Reads all of them and opens none.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn keys_in_use(&self) -> Result<Vec<KeyUse>> {
        let sealer = self.0.sealer();
        self.read(move |_, tx| {
            let mut uses: BTreeMap<String, KeyUse> = BTreeMap::new();
            for_each_sealed(tx, &mut |id, record| {
                let used = uses.entry(id.to_owned()).or_insert_with(|| KeyUse {
                    id: id.to_owned(),
                    here: sealer.has_key(id),
                    tokens: 0,
                    secrets: 0,
                    quarantined: 0,
                    links: 0,
                });
                match record {
                    SealedRecord::Tokens(_) => used.tokens += 1,
                    SealedRecord::Secret(..) => used.secrets += 1,
                    SealedRecord::Quarantined(_) => used.quarantined += 1,
                    SealedRecord::Link(..) => used.links += 1,
                }
                ControlFlow::Continue(())
            })?;
            Ok(uses.into_values().collect())
        })
        .await
    }

    /// Up to `limit` records that need the key of that id: what has to be connected or set again when the key is
    /// lost.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn sealed_with(&self, key_id: &str, limit: usize) -> Result<Vec<SealedRecord>> {
        let wanted = key_id.to_owned();
        self.read(move |_, tx| {
            let mut records = Vec::new();
            for_each_sealed(tx, &mut |id, record| {
                if records.len() >= limit {
                    return ControlFlow::Break(());
                }
                if id == wanted {
                    records.push(record);
                }
                ControlFlow::Continue(())
            })?;
            Ok(records)
        })
        .await
    }
}

type Visit<'a> = dyn FnMut(&str, SealedRecord) -> ControlFlow<()> + 'a;

/// Damaged records are passed over: reading them says what is wrong.
fn for_each_sealed(tx: &ReadTransaction, visit: &mut Visit<'_>) -> Result<(), Fault> {
    for_each_text::<Tokens>(&tx.open_table(TOKENS)?, visit, SealedRecord::Tokens)?;
    let secret = |(connection, field)| SealedRecord::Secret(connection, field);
    for_each_text::<Secrets>(&tx.open_table(SECRETS)?, visit, secret)?;
    for entry in tx.open_table(QUARANTINE)?.iter()? {
        let (id, bytes) = entry?;
        let Some(record) = quarantine::whole(id.value(), bytes.value()) else { continue };
        if let Some((&SEALED, sealed)) = record.payload.split_first()
            && let Some(key) = key_id(sealed)
            && visit(key, SealedRecord::Quarantined(id.value().to_owned())).is_break()
        {
            return Ok(());
        }
    }
    identity_map::for_each_sealed(tx, &mut |key, sync, source| {
        visit(key, SealedRecord::Link(sync.to_owned(), source.to_owned()))
    })
}

fn for_each_text<S: Shelf>(
    table: &impl Table<S>,
    visit: &mut Visit<'_>,
    record_of: impl Fn(S::Name) -> SealedRecord,
) -> Result<(), Fault> {
    for entry in table.iter()? {
        let (row, bytes) = entry?;
        let name = S::name(row.value());
        if let Some(record) = shelf::whole::<S>(bytes.value(), &name)
            && let Some(key) = key_id(record.payload)
            && visit(key, record_of(name)).is_break()
        {
            break;
        }
    }
    Ok(())
}
