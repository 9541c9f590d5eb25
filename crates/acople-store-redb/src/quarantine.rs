//! Refused records: by id, with an index by sync, sealed when the store has a master key.

use std::ops::Bound;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use redb::{ReadableTableMetadata, WriteTransaction};
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, QuarantineStore, Quarantined, Result};
use acople_seal::{FreshKey, Place, Sealer};

use crate::RedbStore;
use crate::fault::Fault;
use crate::record::{self, Kind, Record, check_key};
use crate::rewrap::{AT_ONCE, charge};
use crate::store::Inner;
use crate::tables::{QUARANTINE, QUARANTINE_BY_SYNC};

/// First byte of a payload whose rest is JSON.
pub(crate) const PLAIN: u8 = 0;
/// First byte of a payload whose rest is sealed JSON.
pub(crate) const SEALED: u8 = 1;

#[async_trait]
impl QuarantineStore for RedbStore {
    async fn put(&self, records: &[Quarantined]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let rows = records.iter().map(Row::of).collect::<Result<Vec<_>>>()?;
        let keys = fresh_keys(&self.0.sealer(), &rows).await?;
        self.write(move |inner, tx| {
            if let Some(master) = keys.first().and_then(|key| key.as_ref()?.master()) {
                charge(tx, inner, master, rows.len() as u64)?;
            }
            for (Row { id, sync, tenant, json }, fresh) in rows.into_iter().zip(keys) {
                forget(tx, &id)?;
                let key = [id.as_str(), sync.as_str(), tenant.as_str()];
                let payload = match fresh {
                    Some(fresh) => [&[SEALED], fresh.seal(&place(&key), json)?.as_slice()].concat(),
                    None => [&[PLAIN], json.as_slice()].concat(),
                };
                let bytes = record::encode(Kind::Quarantine, 0, &key, &payload)?;
                tx.open_table(QUARANTINE)?.insert(id.as_str(), bytes.as_slice())?;
                tx.open_table(QUARANTINE_BY_SYNC)?.insert((sync.as_str(), id.as_str()), ())?;
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, sync: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Quarantined>> {
        let (sync, after) = (sync.map(str::to_owned), after.map(str::to_owned));
        let read = self.read(move |inner, tx| {
            let table = tx.open_table(QUARANTINE)?;
            let mut records = Vec::new();
            if let Some(sync) = sync {
                let index = tx.open_table(QUARANTINE_BY_SYNC)?;
                let from = match after.as_deref() {
                    Some(after) => Bound::Excluded((sync.as_str(), after)),
                    None => Bound::Included((sync.as_str(), "")),
                };
                for entry in index.range::<(&str, &str)>((from, Bound::Unbounded))?.take(limit) {
                    let (row, ()) = (entry?.0, ());
                    let (of, id) = row.value();
                    if of != sync {
                        break;
                    }
                    let bytes = table.get(id)?.ok_or_else(|| damaged(inner, id, "it is missing"))?;
                    records.push((id.to_owned(), bytes.value().to_vec()));
                }
            } else {
                let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                for entry in table.range::<&str>((from, Bound::Unbounded))?.take(limit) {
                    let (id, bytes) = entry?;
                    records.push((id.value().to_owned(), bytes.value().to_vec()));
                }
            }
            Ok(records)
        });
        let (records, sealer) = (read.await?, self.0.sealer());
        let opened: Vec<_> = records.iter().map(|(id, bytes)| open(&self.0, &sealer, id, bytes)).collect();
        stream::iter(opened).buffered(AT_ONCE).try_collect().await
    }

    async fn remove(&self, ids: &[String]) -> Result<()> {
        let ids = ids.to_vec();
        self.write(move |_, tx| ids.iter().try_for_each(|id| forget(tx, id))).await
    }

    async fn count(&self, sync: Option<&str>) -> Result<u64> {
        let sync = sync.map(str::to_owned);
        self.read(move |_, tx| {
            let Some(sync) = sync else {
                return Ok(tx.open_table(QUARANTINE)?.len()?);
            };
            let mut count = 0;
            for entry in tx.open_table(QUARANTINE_BY_SYNC)?.range((sync.as_str(), "")..)? {
                if entry?.0.value().0 != sync {
                    break;
                }
                count += 1;
            }
            Ok(count)
        })
        .await
    }
}

/// The place of a quarantined record, for the associated data.
pub(crate) fn place<'a>(key: &'a [&'a str]) -> Place<'a> {
    Place { kind: "quarantine", key, generation: 0 }
}

/// The record in these bytes, if they are whole and of this id.
pub(crate) fn whole<'a>(id: &str, bytes: &'a [u8]) -> Option<Record<'a>> {
    record::decode(bytes).filter(|record| record.kind == Kind::Quarantine && record.key.first() == Some(&id))
}

/// A record on its way in.
struct Row {
    id: String,
    sync: String,
    tenant: String,
    json: Zeroizing<Vec<u8>>,
}

impl Row {
    fn of(record: &Quarantined) -> Result<Self> {
        let json = serde_json::to_vec(record).map_err(|e| {
            Error::new(ErrorKind::Invalid, format!("record cannot be quarantined: {e}"))
                .with_record(&record.id)
        })?;
        check_key(&[&record.id, &record.key.sync, &record.key.tenant])?;
        Ok(Self {
            id: record.id.clone(),
            sync: record.key.sync.clone(),
            tenant: record.key.tenant.clone(),
            json: Zeroizing::new(json),
        })
    }
}

/// A key for each row; none when nothing seals.
async fn fresh_keys(sealer: &Sealer, rows: &[Row]) -> Result<Vec<Option<FreshKey>>> {
    if !sealer.seals() {
        return Ok(rows.iter().map(|_| None).collect());
    }
    let keys: Vec<_> = rows.iter().map(|row| fresh_key(sealer, row)).collect();
    stream::iter(keys).buffered(AT_ONCE).try_collect().await
}

async fn fresh_key(sealer: &Sealer, row: &Row) -> Result<Option<FreshKey>> {
    sealer.fresh_key(&place(&[&row.id, &row.sync, &row.tenant])).await.map(Some)
}

async fn open(inner: &Inner, sealer: &Sealer, id: &str, bytes: &[u8]) -> Result<Quarantined> {
    let record = whole(id, bytes).ok_or_else(|| damaged(inner, id, "it is damaged"))?;
    let unknown = || damaged(inner, id, "its content is not understood");
    match record.payload.split_first() {
        Some((&PLAIN, json)) => serde_json::from_slice(json).map_err(|_| unknown()),
        Some((&SEALED, sealed)) => {
            let json = sealer.open(&place(&record.key), sealed).await;
            let json = json.map_err(|e| damaged(inner, id, e.message()).with_kind(e.kind()))?;
            serde_json::from_slice(&json).map_err(|_| unknown())
        }
        _ => Err(unknown()),
    }
}

fn forget(tx: &WriteTransaction, id: &str) -> Result<(), Fault> {
    let mut table = tx.open_table(QUARANTINE)?;
    let Some(bytes) = table.remove(id)? else {
        return Ok(());
    };
    let mut index = tx.open_table(QUARANTINE_BY_SYNC)?;
    if let Some(record) = whole(id, bytes.value())
        && let Some(sync) = record.key.get(1)
    {
        index.remove((*sync, id))?;
    } else {
        // Damaged: its sync is not known.
        index.retain(|(_, other), ()| other != id)?;
    }
    Ok(())
}

fn damaged(inner: &Inner, id: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "quarantined record in store {} cannot be read: {why}; remove it if it cannot be restored",
            inner.name
        ),
    )
    .with_record(id)
}
