//! The life of master keys: counting their use, recognising them, moving records to the newest.

use std::ops::Bound;

use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use zeroize::Zeroizing;

use acople_core::{ConnectionKey, Error, ErrorKind, Result};

use crate::RedbStore;
use crate::fault::{Failure, Fault};
use crate::identity_map;
use crate::quarantine::{self, PLAIN, SEALED};
use crate::record::{self, Kind};
use crate::seal::{MasterKey, key_id, seal};
use crate::store::{Inner, Settings};
use crate::tables::{META, QUARANTINE, TOKENS, get_meta, put_meta};
use crate::tokens;

/// Rows that one transaction of a rewrap looks at: other writers get their turn in between.
const ROWS: usize = 64;

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
    /// Encrypts all tokens, quarantined records and links under the newest master key; plain quarantined
    /// records and links, too.
    ///
    /// The store stays in use meanwhile. Progress is kept in small steps, so that calling it again after
    /// an interruption goes on where it ended. When `failed` is 0, the old keys are no longer needed.
    ///
    /// # Errors
    /// `Config` without a master key, or when the key's uses are spent; those of every write.
    pub async fn rewrap(&self) -> Result<Rewrap> {
        self.0.keys.required(&self.0.name)?;
        let mut report = Rewrap::default();
        let mut after = None;
        while let Some(last) =
            self.step(&mut report, move |inner, tx, report| rewrap_tokens(inner, tx, report, after)).await?
        {
            after = Some(last);
        }
        let mut after = None;
        while let Some(last) = self
            .step(&mut report, move |inner, tx, report| rewrap_quarantine(inner, tx, report, after))
            .await?
        {
            after = Some(last);
        }
        let mut after = None;
        while let Some(last) = self
            .step(&mut report, move |inner, tx, report| identity_map::rewrap(inner, tx, report, after))
            .await?
        {
            after = Some(last);
        }
        Ok(report)
    }

    async fn step<T: Send + 'static>(
        &self,
        report: &mut Rewrap,
        work: impl FnOnce(&Inner, &WriteTransaction, &mut Rewrap) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (value, step) = self
            .write(move |inner, tx| {
                let mut step = Rewrap::default();
                Ok((work(inner, tx, &mut step)?, step))
            })
            .await?;
        report.done += step.done;
        report.current += step.current;
        report.failed += step.failed;
        report.first_error = report.first_error.take().or(step.first_error);
        Ok(value)
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
pub(crate) fn check_keys(db: &Database, settings: &Settings) -> Result<()> {
    let check = || -> Result<(), Fault> {
        let tx = db.begin_read()?;
        let meta = tx.open_table(META)?;
        for key in settings.keys.all() {
            if let Some((_, check_row)) = get_meta(&meta, &row_name(key))?
                && !key.made(&check_row)
            {
                return Err(Error::config(
                    "master_key",
                    format!(
                        "master key {:?} is not the one that store {} was written with",
                        key.id(),
                        settings.name
                    ),
                )
                .into());
            }
        }
        Ok(())
    };
    check().map_err(|fault| match fault {
        Fault::Own(error) => error,
        Fault::Redb(e) | Fault::Commit(e) => Failure::new(e.to_string()).error(&settings.name),
    })
}

fn row_name(key: &MasterKey) -> String {
    format!("key {}", key.id())
}

/// One step through the tokens; gives the last key looked at, `None` at the end.
fn rewrap_tokens(
    inner: &Inner,
    tx: &WriteTransaction,
    report: &mut Rewrap,
    after: Option<ConnectionKey>,
) -> Result<Option<ConnectionKey>, Fault> {
    let master = inner.keys.required(&inner.name)?;
    let mut keys = Vec::new();
    {
        let table = tx.open_table(TOKENS)?;
        let from = after.as_ref().map_or(Bound::Unbounded, |k| {
            Bound::Excluded((k.tenant.as_str(), k.connector.as_str(), k.connection.as_str()))
        });
        for entry in table.range::<(&str, &str, &str)>((from, Bound::Unbounded))?.take(ROWS) {
            let entry = entry?;
            let (tenant, connector, connection) = entry.0.value();
            keys.push(ConnectionKey::new(connector, connection).with_tenant(tenant));
        }
    }
    for key in &keys {
        let parts = tokens::parts(key);
        let bytes = {
            let table = tx.open_table(TOKENS)?;
            let [tenant, connector, connection] = parts;
            table.get((tenant, connector, connection))?.map(|bytes| bytes.value().to_vec())
        };
        let Some(record) =
            bytes.as_deref().and_then(record::decode).filter(|r| r.kind == Kind::Token && r.key == parts)
        else {
            report.fail(Error::new(ErrorKind::Internal, format!("tokens of {parts:?} are damaged")));
            continue;
        };
        if key_id(record.payload) == Some(master.id()) {
            report.current += 1;
            continue;
        }
        let place = tokens::place(&parts, record.generation);
        match inner.keys.open(&place, record.payload) {
            Ok(text) => {
                charge(tx, inner, master, 1)?;
                tokens::put(tx, key, record.generation, &seal(master, &place, text)?)?;
                report.done += 1;
            }
            Err(e) => report.fail(Error::new(e.kind(), format!("tokens of {parts:?}: {}", e.message()))),
        }
    }
    Ok(keys.pop())
}

/// One step through the quarantine; gives the last id looked at, `None` at the end.
fn rewrap_quarantine(
    inner: &Inner,
    tx: &WriteTransaction,
    report: &mut Rewrap,
    after: Option<String>,
) -> Result<Option<String>, Fault> {
    let master = inner.keys.required(&inner.name)?;
    let mut table = tx.open_table(QUARANTINE)?;
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut ids = Vec::new();
    for entry in table.range::<&str>((from, Bound::Unbounded))?.take(ROWS) {
        ids.push(entry?.0.value().to_owned());
    }
    for id in &ids {
        let Some(bytes) = table.get(id.as_str())?.map(|bytes| bytes.value().to_vec()) else {
            continue;
        };
        let Some(record) = quarantine::whole(id, &bytes) else {
            report.fail(Error::new(ErrorKind::Internal, "quarantined record is damaged").with_record(id));
            continue;
        };
        let place = quarantine::place(&record.key);
        let text = match record.payload.split_first() {
            Some((&SEALED, sealed)) if key_id(sealed) == Some(master.id()) => {
                report.current += 1;
                continue;
            }
            Some((&SEALED, sealed)) => inner.keys.open(&place, sealed),
            Some((&PLAIN, json)) => Ok(Zeroizing::new(json.to_vec())),
            _ => Err(Error::new(ErrorKind::Internal, "its content is not understood")),
        };
        match text {
            Ok(text) => {
                charge(tx, inner, master, 1)?;
                let payload = [&[SEALED], seal(master, &place, text)?.as_slice()].concat();
                let bytes = record::encode(Kind::Quarantine, 0, &record.key, &payload)?;
                table.insert(id.as_str(), bytes.as_slice())?;
                report.done += 1;
            }
            Err(e) => report.fail(e.with_record(id)),
        }
    }
    Ok(ids.pop())
}

impl Rewrap {
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed += 1;
        self.first_error.get_or_insert(error);
    }
}
