//! Moving everything that is sealed to the newest master key.

use acople_core::{Error, Quarantined, Result};
use acople_seal::Place;
use redis::cmd;

use crate::RedisStore;
use crate::names::{all_parts, single};
use crate::quarantine::sealed_part;
use crate::shelf::Shelf;
use crate::store::Inner;

/// Records that are read at once.
const RECORDS: usize = 64;

/// What a [`RedisStore::rewrap`] did.
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

impl RedisStore {
    /// Encrypts all tokens, secrets and quarantined records under the newest master key; plain quarantined records, too.
    ///
    /// The store stays in use meanwhile, by all processes: a record that changes under way is left to whoever changed
    /// it, and so all of them need the newest key first. Each record is a step of its own, so that calling it again
    /// after an interruption goes on where it ended. When `failed` is 0, the old keys are no longer needed.
    ///
    /// # Errors
    /// `Config` without a master key, or when the key's uses are spent; those of every write.
    pub async fn rewrap(&self) -> Result<Rewrap> {
        let inner = &*self.0;
        inner.must_seal()?;
        let mut report = Rewrap::default();
        for shelf in [Shelf::Tokens, Shelf::Secrets] {
            let members: Vec<Vec<u8>> =
                inner.connection.command(cmd("SMEMBERS").arg(shelf.members(&inner.prefix))).await?;
            for member in &members {
                inner.rewrap_sealed(shelf, member, &mut report).await?;
            }
        }
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = inner.page(None, after.as_deref(), RECORDS).await?;
            for (id, payload) in &page {
                inner.rewrap_quarantined(id, payload, &mut report).await?;
            }
            let Some((last, _)) = page.into_iter().next_back() else { return Ok(report) };
            after = Some(last);
        }
    }
}

impl Inner {
    async fn rewrap_sealed(&self, shelf: Shelf, member: &[u8], report: &mut Rewrap) -> Result<()> {
        let parts = all_parts(member).ok_or_else(|| self.connection.not_understood())?;
        let key: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = shelf.text(&self.prefix, member);
        let command = cmd("HMGET").arg(&name).arg("g").arg("t").to_owned();
        let (generation, sealed): (Option<u64>, Option<Vec<u8>>) = self.connection.command(&command).await?;
        let (Some(generation), Some(sealed)) = (generation, sealed) else { return Ok(()) };
        if !self.sealer.needs_rewrap(&sealed) {
            report.current += 1;
            return Ok(());
        }
        let place = Place { kind: shelf.kind(), key: &key, generation };
        match self.sealer.open(&place, &sealed).await {
            Ok(text) => {
                let anew = self.seal(&place, text).await?;
                let script = &self.scripts.replace_field;
                self.connection.run::<i64>(script, &[&name], &[b"t", &sealed, &anew]).await?;
                report.done += 1;
            }
            Err(e) => {
                report.fail(Error::new(e.kind(), format!("{} of {key:?}: {}", shelf.kind(), e.message())));
            }
        }
        Ok(())
    }

    async fn rewrap_quarantined(&self, id: &[u8], payload: &[u8], report: &mut Rewrap) -> Result<()> {
        if sealed_part(payload).is_some_and(|(_, sealed)| !self.sealer.needs_rewrap(sealed)) {
            report.current += 1;
            return Ok(());
        }
        let name = std::str::from_utf8(id).map_err(|_| self.connection.not_understood())?;
        let json = match self.open_payload(name, payload).await {
            Ok(json) => json,
            Err(e) => {
                report.fail(e);
                return Ok(());
            }
        };
        let record: Quarantined =
            serde_json::from_slice(&json).map_err(|_| self.connection.not_understood())?;
        let parts = [record.id.as_str(), record.key.sync.as_str(), record.key.tenant.as_str()];
        let anew = self.seal_payload(&parts, json).await?;
        let records = single(&self.prefix, "quarantine");
        self.connection.run::<i64>(&self.scripts.replace_field, &[&records], &[id, payload, &anew]).await?;
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
