//! Moving everything that is sealed to the newest master key.

use std::borrow::Cow;

use acople_core::{Error, Result};
use acople_seal::Place;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use zeroize::Zeroizing;

use crate::PostgresStore;
use crate::names::{columns_of, from_column, to_column};
use crate::quarantine;
use crate::schema::get;
use crate::shelf::{Shelf, params};
use crate::store::Inner;

/// Rows that are read at once.
const ROWS: i64 = 64;

/// What a [`PostgresStore::rewrap`] did.
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

impl PostgresStore {
    /// Encrypts all tokens, secrets and quarantined records under the newest master key; plain quarantined records, too.
    ///
    /// The store stays in use meanwhile, by all processes: a row that changes under way is left to whoever changed
    /// it, and so all of them need the newest key first. Each row is a step of its own, so that calling it again
    /// after an interruption goes on where it ended. When `failed` is 0, the old keys are no longer needed.
    ///
    /// # Errors
    /// `Config` without a master key, or when the key's uses are spent; those of every write.
    pub async fn rewrap(&self) -> Result<Rewrap> {
        let inner = &*self.0;
        inner.must_seal()?;
        let mut report = Rewrap::default();
        inner.rewrap_shelf(&inner.tokens, 3, &mut report).await?;
        inner.rewrap_shelf(&inner.secrets, 4, &mut report).await?;
        inner.rewrap_quarantine(&mut report).await?;
        Ok(report)
    }
}

impl Inner {
    /// `names`: how many a key of this shelf has.
    async fn rewrap_shelf(&self, shelf: &Shelf, names: usize, report: &mut Rewrap) -> Result<()> {
        let mut after: Option<Vec<String>> = None;
        loop {
            let first = after.is_none();
            let from: Vec<Cow<'_, str>> = after
                .take()
                .unwrap_or_else(|| vec![String::new(); names])
                .into_iter()
                .map(Cow::Owned)
                .collect();
            let mut values = params(&from);
            values.extend([&first as &(dyn ToSql + Sync), &ROWS]);
            let rows = self.connections.query(&shelf.after, &values).await?;
            for row in &rows {
                let columns = (0..names).map(|n| get(row, n + 2)).collect::<Result<Vec<String>>>()?;
                self.rewrap_sealed(shelf, row, &columns, report).await?;
                after = Some(columns);
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn rewrap_sealed(
        &self,
        shelf: &Shelf,
        row: &Row,
        columns: &[String],
        report: &mut Rewrap,
    ) -> Result<()> {
        let (number, sealed): (i64, &[u8]) = (get(row, 0)?, get(row, 1)?);
        if !self.sealer.needs_rewrap(sealed) {
            report.current += 1;
            return Ok(());
        }
        let parts: Vec<String> = columns.iter().cloned().map(from_column).collect();
        let key: Vec<&str> = parts.iter().map(String::as_str).collect();
        let generation = u64::try_from(number).unwrap_or_default();
        let place = Place { kind: shelf.kind, key: &key, generation };
        match self.sealer.open(&place, sealed).await {
            Ok(text) => {
                let anew = self.seal(&place, text).await?;
                let names = columns_of(&key)?;
                let mut values = params(&names);
                values.extend([&number as &(dyn ToSql + Sync), &anew, &sealed]);
                self.connections.query(&shelf.rewrap, &values).await?;
                report.done += 1;
            }
            Err(e) => {
                report.fail(Error::new(e.kind(), format!("{} of {key:?}: {}", shelf.kind, e.message())));
            }
        }
        Ok(())
    }

    async fn rewrap_quarantine(&self, report: &mut Rewrap) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let rows = self.connections.query(&self.statements.quarantined_after, &[&after, &ROWS]).await?;
            for row in &rows {
                self.rewrap_quarantined_row(row, report).await?;
            }
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(get(last, 0)?);
        }
    }

    async fn rewrap_quarantined_row(&self, row: &Row, report: &mut Rewrap) -> Result<()> {
        let part = |column| get(row, column).map(from_column);
        let (id, sync, tenant) = (part(0)?, part(1)?, part(2)?);
        let (is_sealed, payload): (bool, &[u8]) = (get(row, 3)?, get(row, 4)?);
        if is_sealed && !self.sealer.needs_rewrap(payload) {
            report.current += 1;
            return Ok(());
        }
        let key = [id.as_str(), &sync, &tenant];
        let place = quarantine::place(&key);
        let text = if is_sealed {
            match self.sealer.open(&place, payload).await {
                Ok(text) => text,
                Err(e) => {
                    report.fail(e.with_record(&id));
                    return Ok(());
                }
            }
        } else {
            Zeroizing::new(payload.to_vec())
        };
        let anew = self.seal(&place, text).await?;
        let sql = &self.statements.rewrap_quarantined;
        self.connections.query(sql, &[&to_column(&id), &anew, &payload]).await?;
        report.done += 1;
        Ok(())
    }
}

impl Rewrap {
    fn fail(&mut self, error: Error) {
        self.failed += 1;
        self.first_error.get_or_insert(error);
    }
}
