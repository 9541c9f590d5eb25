//! Moving everything that is sealed to the newest master key.

use acople_core::{Error, Result};
use acople_seal::MasterKey;
use tokio_postgres::Row;
use zeroize::Zeroizing;

use crate::PostgresStore;
use crate::names::{from_column, to_column};
use crate::schema::get;
use crate::store::Inner;
use crate::{quarantine, tokens};

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
    /// Encrypts all tokens and quarantined records under the newest master key; plain quarantined records, too.
    ///
    /// The store stays in use meanwhile, by all processes: a row that changes under way is left to whoever changed
    /// it, and so all of them need the newest key first. Each row is a step of its own, so that calling it again
    /// after an interruption goes on where it ended. When `failed` is 0, the old keys are no longer needed.
    ///
    /// # Errors
    /// `Config` without a master key, or when the key's uses are spent; those of every write.
    pub async fn rewrap(&self) -> Result<Rewrap> {
        let inner = &*self.0;
        let master = inner.master_key()?;
        let mut report = Rewrap::default();
        inner.rewrap_tokens(master, &mut report).await?;
        inner.rewrap_quarantine(master, &mut report).await?;
        Ok(report)
    }
}

impl Inner {
    async fn rewrap_tokens(&self, master: &MasterKey, report: &mut Rewrap) -> Result<()> {
        let mut after: Option<[String; 3]> = None;
        loop {
            let first = after.is_none();
            let [tenant, connector, connection] = after.take().unwrap_or_default();
            let sql = &self.statements.tokens_after;
            let rows =
                self.connections.query(sql, &[&tenant, &connector, &connection, &first, &ROWS]).await?;
            for row in &rows {
                self.rewrap_token_row(master, row, report).await?;
            }
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some([get(last, 0)?, get(last, 1)?, get(last, 2)?]);
        }
    }

    async fn rewrap_token_row(&self, master: &MasterKey, row: &Row, report: &mut Rewrap) -> Result<()> {
        let columns: [String; 3] = [get(row, 0)?, get(row, 1)?, get(row, 2)?];
        let (number, sealed): (i64, &[u8]) = (get(row, 3)?, get(row, 4)?);
        if !self.sealer.needs_rewrap(sealed) {
            report.current += 1;
            return Ok(());
        }
        let parts = columns.clone().map(from_column);
        let key = parts.each_ref().map(String::as_str);
        let place = tokens::place(&key, u64::try_from(number).unwrap_or_default());
        let text = match self.sealer.open(&place, sealed).await {
            Ok(text) => text,
            Err(e) => {
                report.fail(Error::new(e.kind(), format!("tokens of {key:?}: {}", e.message())));
                return Ok(());
            }
        };
        self.charge(master, 1).await?;
        let anew = self.sealer.seal(&place, text).await?;
        let [tenant, connector, connection] = &columns;
        let sql = &self.statements.rewrap_tokens;
        self.connections.query(sql, &[tenant, connector, connection, &number, &anew, &sealed]).await?;
        report.done += 1;
        Ok(())
    }

    async fn rewrap_quarantine(&self, master: &MasterKey, report: &mut Rewrap) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let rows = self.connections.query(&self.statements.quarantined_after, &[&after, &ROWS]).await?;
            for row in &rows {
                self.rewrap_quarantined_row(master, row, report).await?;
            }
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(get(last, 0)?);
        }
    }

    async fn rewrap_quarantined_row(&self, master: &MasterKey, row: &Row, report: &mut Rewrap) -> Result<()> {
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
        self.charge(master, 1).await?;
        let anew = self.sealer.seal(&place, text).await?;
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
