//! The life of master keys: counting their use, recognising them, moving records to the newest.

use std::ops::Bound;

use futures_util::stream::{self, StreamExt};
use redb::{Database, ReadableDatabase, ReadableTable, Value, WriteTransaction};
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result};
use acople_seal::{FreshKey, MasterKey, Sealer};

use crate::RedbStore;
use crate::fault::Fault;
use crate::quarantine::{self, PLAIN, SEALED};
use crate::record::{self, Kind};
use crate::secrets::Secrets;
use crate::shelf::{self, Shelf, Table};
use crate::store::Inner;
use crate::tables::{META, QUARANTINE, get_meta, put_meta};
use crate::tokens::Tokens;

/// Rows that one step of a rewrap looks at: other writers get their turn in between.
const ROWS: usize = 64;
/// Rows for which a key service is asked at once.
pub(crate) const AT_ONCE: usize = 16;

/// What a [`RedbStore::rewrap`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rewrap {
    /// Records that were encrypted anew.
    pub done: u64,
    /// Records that were under the newest key already.
    pub current: u64,
    /// Records that could not be opened: they are unchanged and still need their old key.
    pub failed: u64,
    /// Why the first of them could not.
    pub first_error: Option<Error>,
}

impl RedbStore {
    /// Encrypts all tokens, secrets, quarantined records and links under the newest key; plain quarantined
    /// records and links, too.
    ///
    /// The store stays in use meanwhile. Progress is kept in small steps, so that calling it again after
    /// an interruption goes on where it ended. When `failed` is 0, the old keys are no longer needed.
    ///
    /// # Errors
    /// `Config` without a key, or when the key's uses are spent; those of every write.
    pub async fn rewrap(&self) -> Result<Rewrap> {
        self.0.required_sealer()?;
        let mut report = Rewrap::default();
        self.rewrap_shelf::<Tokens>(&mut report).await?;
        self.rewrap_shelf::<Secrets>(&mut report).await?;
        let mut after = None;
        while let Some(last) = self.rewrap_quarantine(&mut report, after).await? {
            after = Some(last);
        }
        let mut after = None;
        while let Some(last) = self.rewrap_links(&mut report, after).await? {
            after = Some(last);
        }
        Ok(report)
    }

    async fn rewrap_shelf<S: Shelf>(&self, report: &mut Rewrap) -> Result<()> {
        let mut after = None;
        while let Some(last) = self.rewrap_some::<S>(report, after).await? {
            after = Some(last);
        }
        Ok(())
    }

    /// One step through a shelf; gives the last name looked at, `None` at the end.
    async fn rewrap_some<S: Shelf>(
        &self,
        report: &mut Rewrap,
        after: Option<S::Name>,
    ) -> Result<Option<S::Name>> {
        let sealer = self.0.required_sealer()?;
        let rows = self.read(move |_, tx| rows_of::<S>(&tx.open_table(S::TEXTS)?, after.as_ref())).await?;
        let last = rows.last().map(|(name, _)| name.clone());
        let mut stale = Vec::new();
        for (name, bytes) in rows {
            match shelf::whole::<S>(&bytes, &name) {
                None => report.fail(damaged(&S::describe(&name))),
                Some(record) if !sealer.needs_rewrap(record.payload) => report.current += 1,
                Some(record) => {
                    let (generation, sealed) = (record.generation, record.payload.to_vec());
                    stale.push((name, bytes, generation, sealed));
                }
            }
        }
        let renewed: Vec<_> = stale
            .iter()
            .map(|(name, _, generation, sealed)| renew::<S>(&sealer, name, *generation, sealed))
            .collect();
        let renewed: Vec<_> = stream::iter(renewed).buffered(AT_ONCE).collect().await;
        let mut ready = Vec::new();
        for ((name, bytes, generation, _), renewed) in stale.into_iter().zip(renewed) {
            match renewed {
                Ok((text, fresh)) => ready.push((name, bytes, generation, text, fresh)),
                Err(e) => {
                    let message = format!("{}: {}", S::describe(&name), e.message());
                    report.fail(e.with_message(message));
                }
            }
        }
        let (done, current) = self.write(move |inner, tx| write_renewed::<S>(inner, tx, ready)).await?;
        report.done += done;
        report.current += current;
        Ok(last)
    }

    /// One step through the quarantine; gives the last id looked at, `None` at the end.
    async fn rewrap_quarantine(&self, report: &mut Rewrap, after: Option<String>) -> Result<Option<String>> {
        let sealer = self.0.required_sealer()?;
        let rows = self
            .read(move |_, tx| {
                let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let mut rows = Vec::new();
                for entry in tx.open_table(QUARANTINE)?.range::<&str>((from, Bound::Unbounded))?.take(ROWS) {
                    let (id, bytes) = entry?;
                    rows.push((id.value().to_owned(), bytes.value().to_vec()));
                }
                Ok(rows)
            })
            .await?;
        let last = rows.last().map(|(id, _)| id.clone());
        let mut stale = Vec::new();
        for (id, bytes) in rows {
            match quarantine::whole(&id, &bytes).map(|record| record.payload.split_first()) {
                Some(Some((&SEALED, sealed))) if !sealer.needs_rewrap(sealed) => report.current += 1,
                Some(Some((&(SEALED | PLAIN), _))) => stale.push((id, bytes)),
                _ => report.fail(damaged("a quarantined record").with_record(id)),
            }
        }
        let renewed: Vec<_> = stale.iter().map(|(id, bytes)| renew_quarantined(&sealer, id, bytes)).collect();
        let renewed: Vec<_> = stream::iter(renewed).buffered(AT_ONCE).collect().await;
        let mut ready = Vec::new();
        for ((id, bytes), renewed) in stale.into_iter().zip(renewed) {
            match renewed {
                Ok((sealed, fresh)) => ready.push((id, bytes, sealed, fresh)),
                Err(e) => report.fail(e.with_record(id)),
            }
        }
        let (done, current) = self
            .write(move |inner, tx| {
                let (mut done, mut current) = (0, 0);
                let mut table = tx.open_table(QUARANTINE)?;
                for (id, bytes, renewed, master) in ready {
                    // Written or removed meanwhile, or by an earlier step.
                    if table.get(id.as_str())?.is_none_or(|now| now.value() != bytes) {
                        current += 1;
                        continue;
                    }
                    if let Some(master) = &master {
                        charge(tx, inner, master, 1)?;
                    }
                    table.insert(id.as_str(), renewed.as_slice())?;
                    done += 1;
                }
                Ok((done, current))
            })
            .await?;
        report.done += done;
        report.current += current;
        Ok(last)
    }
}

/// Counts `wraps` more uses of a key, in the transaction that uses it.
pub(crate) fn charge(tx: &WriteTransaction, inner: &Inner, key: &MasterKey, wraps: u64) -> Result<(), Fault> {
    let name = row_name(key);
    let known = get_meta(&tx.open_table(META)?, &name)?;
    let (used, check_row) = match known {
        Some(row) => row,
        // Making the check row is a use as well.
        None => (1, key.check_row()?),
    };
    let used = used.saturating_add(wraps);
    if used > inner.wrap_limit {
        return Err(Error::config(
            "master_key",
            format!(
                "master key {:?} of store {} has encrypted all the records it may ({}): \
                 open the store with a new key and keep this one as an old key",
                key.id(),
                inner.name,
                inner.wrap_limit
            ),
        )
        .into());
    }
    put_meta(tx, &name, used, &check_row)
}

/// Refuses a key that is not the one which the store knows by its id.
pub(crate) fn check_keys(db: &Database, store: &str, sealer: &Sealer) -> Result<(), Fault> {
    let tx = db.begin_read()?;
    let meta = tx.open_table(META)?;
    for key in sealer.keyring().keys() {
        if let Some((_, check_row)) = get_meta(&meta, &row_name(key))?
            && !key.recognises(&check_row)
        {
            let message =
                format!("master key {:?} is not the one that store {store} was written with", key.id());
            return Err(Error::config("master_key", message).into());
        }
    }
    Ok(())
}

fn row_name(key: &MasterKey) -> String {
    format!("key {}", key.id())
}

/// A row as it is in the file.
type Raw<N> = (N, Vec<u8>);

/// A text that was opened, and what seals it anew.
type Renewed<N> = (N, Vec<u8>, u64, Zeroizing<Vec<u8>>, FreshKey);

fn rows_of<S: Shelf>(table: &impl Table<S>, after: Option<&S::Name>) -> Result<Vec<Raw<S::Name>>, Fault> {
    let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(S::row(name)));
    let mut rows = Vec::new();
    for entry in table.range::<<S::Row as Value>::SelfType<'_>>((from, Bound::Unbounded))?.take(ROWS) {
        let (row, bytes) = entry?;
        rows.push((S::name(row.value()), bytes.value().to_vec()));
    }
    Ok(rows)
}

async fn renew<S: Shelf>(
    sealer: &Sealer,
    name: &S::Name,
    generation: u64,
    sealed: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, FreshKey)> {
    let parts = S::parts(name);
    let place = shelf::place::<S>(&parts, generation);
    Ok((sealer.open(&place, sealed).await?, sealer.fresh_key(&place).await?))
}

/// How many were written, and how many had been written by somebody else meanwhile.
fn write_renewed<S: Shelf>(
    inner: &Inner,
    tx: &WriteTransaction,
    ready: Vec<Renewed<S::Name>>,
) -> Result<(u64, u64), Fault> {
    let (mut done, mut current) = (0, 0);
    for (name, bytes, generation, text, fresh) in ready {
        if tx.open_table(S::TEXTS)?.get(S::row(&name))?.is_none_or(|now| now.value() != bytes) {
            current += 1;
            continue;
        }
        if let Some(master) = fresh.master() {
            charge(tx, inner, master, 1)?;
        }
        let parts = S::parts(&name);
        shelf::put::<S>(tx, &name, generation, &fresh.seal(&shelf::place::<S>(&parts, generation), text)?)?;
        done += 1;
    }
    Ok((done, current))
}

/// The bytes of the record sealed anew, and the master key whose use is to be counted.
async fn renew_quarantined(sealer: &Sealer, id: &str, bytes: &[u8]) -> Result<(Vec<u8>, Option<MasterKey>)> {
    let unknown = || Error::new(ErrorKind::Internal, "its content is not understood");
    let record = quarantine::whole(id, bytes).ok_or_else(unknown)?;
    let place = quarantine::place(&record.key);
    let text = match record.payload.split_first() {
        Some((&SEALED, sealed)) => sealer.open(&place, sealed).await?,
        Some((&PLAIN, json)) => Zeroizing::new(json.to_vec()),
        _ => return Err(unknown()),
    };
    let fresh = sealer.fresh_key(&place).await?;
    let master = fresh.master().cloned();
    let payload = [&[SEALED], fresh.seal(&place, text)?.as_slice()].concat();
    Ok((record::encode(Kind::Quarantine, 0, &record.key, &payload)?, master))
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}: the record is damaged"))
}

impl Rewrap {
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed += 1;
        self.first_error.get_or_insert(error);
    }
}
