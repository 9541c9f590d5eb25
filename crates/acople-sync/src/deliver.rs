//! One batch on its way: mapped, written, its refused records set aside.

use std::collections::HashSet;
use std::hash::Hasher;
use std::time::Duration;

use acople_core::json::{Cells, FieldPath, Projection};
use acople_core::{
    Batch, Change, Context, Error, ErrorKind, Mapped, Outcome, Quarantined, Result, Stage, StateKey,
    WriteMode, WriteRequest,
};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::commit::{Receipt, Settlement};
use crate::job::Plan;
use crate::{Observer, Progress};

/// The longest wait between two tries of the same records.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Delivers the batches of one run.
pub(crate) struct Delivery<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cx: &'a Context,
    pub(crate) key: &'a StateKey,
    pub(crate) run: &'a str,
    pub(crate) observer: &'a dyn Observer,
    /// The source's key fields: what makes two versions of a record one record.
    pub(crate) identity: Projection,
}

/// A record that was refused, by its index in the source batch.
struct Refused {
    index: usize,
    stage: Stage,
    error: Error,
}

impl Delivery<'_> {
    /// Maps and writes a batch. When this returns a receipt, each of its records is at the destination,
    /// durably in quarantine, or left out on purpose.
    ///
    /// `position` gives the number of a record of the batch within its run; `quarantined` says whether
    /// the sync has quarantined records, and is set when this adds some.
    ///
    /// # Errors
    /// What stops the run: nothing of the batch may be passed by a checkpoint then.
    pub(crate) async fn deliver(
        &self,
        batch: &Batch,
        position: impl Fn(usize) -> u64,
        quarantined: &mut bool,
    ) -> Result<Receipt> {
        let mapped = match &self.plan.mapper {
            Some(mapper) => mapper.map(batch)?,
            None => Mapped::unchanged(batch),
        };
        check(batch, &mapped)?;
        let mut settlement = Settlement::of(batch.len());
        settlement.skipped(mapped.skipped);
        let mut refused: Vec<Refused> = mapped
            .refused
            .into_iter()
            .map(|r| Refused {
                index: r.index,
                stage: Stage::Map,
                error: r.error,
            })
            .collect();
        let records = mapped.batch.with_stream(self.plan.destination_stream.as_str());
        self.write(&records, &mapped.origins, &mut settlement, &mut refused)
            .await?;

        if !refused.is_empty() {
            let aside = self.aside(batch, position, &refused);
            self.plan.quarantine.put(&aside).await?;
            settlement.quarantined(refused.len());
            *quarantined = true;
        }
        if *quarantined {
            // Of the others a newer version has arrived: replaying the one set aside would undo it.
            let put: HashSet<usize> = refused.iter().map(|r| r.index).collect();
            let settled: Vec<usize> = (0..batch.len()).filter(|index| !put.contains(index)).collect();
            let still: HashSet<String> = self
                .ids(batch, &put.into_iter().collect::<Vec<_>>())
                .into_iter()
                .collect();
            let mut ids = self.ids(batch, &settled);
            ids.retain(|id| !still.contains(id));
            self.plan.quarantine.remove(&ids).await?;
        }
        settlement.receipt()
    }

    /// Writes upserts and deletions, in order, each kind by its own mode.
    async fn write(
        &self,
        records: &Batch,
        origins: &[usize],
        settlement: &mut Settlement,
        refused: &mut Vec<Refused>,
    ) -> Result<()> {
        for (mode, indices) in runs_of_one_mode(records, self.plan.write) {
            let mut open = indices;
            let mut attempt = 0;
            while !open.is_empty() {
                attempt += 1;
                let part = records.select(open.iter().copied());
                let request = WriteRequest::new(mode, part).with_key(self.plan.key.clone());
                let outcomes = match self.plan.destination.write(self.cx, request).await {
                    Ok(report) => report.into_outcomes(),
                    Err(error) => open.iter().map(|_| Outcome::from_call_error(&error)).collect(),
                };
                if outcomes.len() != open.len() {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        "the destination lost count of its records",
                    ));
                }
                let mut again = Vec::new();
                let mut reason: Option<Error> = None;
                for (index, outcome) in open.iter().copied().zip(outcomes) {
                    let origin = origins.get(index).copied().unwrap_or(index);
                    if settlement.written(&outcome) {
                        continue;
                    }
                    match verdict(outcome, mode, attempt < self.plan.attempts) {
                        Verdict::Again(error) => {
                            again.push(index);
                            let longer = |r: &Error| error.retry_after() > r.retry_after();
                            if reason.as_ref().is_none_or(longer) {
                                reason = Some(error);
                            }
                        }
                        Verdict::Aside(error) => refused.push(Refused {
                            index: origin,
                            stage: Stage::Write,
                            error,
                        }),
                        Verdict::Stop(error) => return Err(error),
                    }
                }
                if let Some(error) = reason {
                    self.observer.on(&Progress::Retrying {
                        reason: error.to_string(),
                        records: again.len(),
                    });
                    tokio::time::sleep(backoff(&error, attempt)).await;
                }
                open = again;
            }
        }
        Ok(())
    }

    fn aside(&self, batch: &Batch, position: impl Fn(usize) -> u64, refused: &[Refused]) -> Vec<Quarantined> {
        let ids = self.ids(batch, &refused.iter().map(|r| r.index).collect::<Vec<_>>());
        let at = self.plan.clock.now();
        refused
            .iter()
            .zip(ids)
            .filter_map(|(refused, id)| {
                let record = batch.get(refused.index)?;
                Some(Quarantined {
                    id,
                    key: self.key.clone(),
                    run: self.run.to_owned(),
                    position: position(refused.index),
                    stage: refused.stage,
                    error: refused.error.copy(),
                    record: record.raw().to_owned(),
                    deleted: record.change() == Change::Delete,
                    at,
                })
            })
            .collect()
    }

    /// The quarantine ids of some records of a batch.
    fn ids(&self, batch: &Batch, indices: &[usize]) -> Vec<String> {
        let part = batch.select(indices.iter().copied());
        let cells = part.project(&self.identity);
        part.iter()
            .zip(identities(&cells, self.identity.len()))
            .map(|(r, key)| self.id(key.as_deref().unwrap_or(r.raw())))
            .collect()
    }

    fn id(&self, identity: &str) -> String {
        // Stable over releases and machines: an id is stored.
        let mut hasher = SipHasher13::new();
        for part in [
            &self.key.tenant,
            &self.key.sync,
            &self.key.stream,
            &self.key.partition,
        ] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.write(identity.as_bytes());
        format!("{:032x}", hasher.finish128().as_u128())
    }
}

/// A mapper must account for every record.
fn check(batch: &Batch, mapped: &Mapped) -> Result<()> {
    let whole = mapped.origins.len() == mapped.batch.len()
        && mapped.batch.len() + mapped.refused.len() + mapped.skipped == batch.len();
    if whole {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "the mapper was given {} records and accounts for {} passed, {} refused, {} skipped",
            batch.len(),
            mapped.batch.len(),
            mapped.refused.len(),
            mapped.skipped
        ),
    )
    .with_operation("map"))
}

/// The key of each row as one text; `None` where a part of it is missing.
fn identities(cells: &Cells, columns: usize) -> impl Iterator<Item = Option<String>> {
    cells.rows().map(move |row| {
        if columns == 0 {
            return None;
        }
        let mut identity = String::new();
        for column in 0..columns {
            let value = row.get(column);
            if value.is_missing() || value.is_null() {
                return None;
            }
            identity.push_str(value.raw());
            identity.push('\u{1f}');
        }
        Some(identity)
    })
}

/// The source's key as a projection.
pub(crate) fn identity(key: &[FieldPath]) -> Projection {
    Projection::new(key.iter().cloned())
}

/// Neighbouring records that are written the same way.
fn runs_of_one_mode(records: &Batch, mode: WriteMode) -> Vec<(WriteMode, Vec<usize>)> {
    let mut runs: Vec<(WriteMode, Vec<usize>)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let mode = if record.change() == Change::Delete {
            WriteMode::Delete
        } else {
            mode
        };
        match runs.last_mut() {
            Some((last, indices)) if *last == mode => indices.push(index),
            _ => runs.push((mode, vec![index])),
        }
    }
    runs
}

enum Verdict {
    /// Try the record again.
    Again(Error),
    /// Set the record aside.
    Aside(Error),
    /// It is not about this record: stop the run.
    Stop(Error),
}

/// What to do about a record that was not accepted.
fn verdict(outcome: Outcome, mode: WriteMode, more_attempts: bool) -> Verdict {
    let (error, known) = match outcome {
        Outcome::Refused { error } => (error, true),
        Outcome::Unknown { error } => (error, false),
        Outcome::Pending { job } => {
            let message = "the destination finishes in a job of its own, which this engine does not follow";
            return Verdict::Stop(Error::new(ErrorKind::Internal, message).with_record(job));
        }
        _ => return Verdict::Stop(Error::new(ErrorKind::Internal, "an outcome that is not known")),
    };
    if !known {
        // Repeating an insert could double the record; set aside, somebody can look it up.
        return match (mode.is_repeatable(), more_attempts) {
            (true, true) => Verdict::Again(error),
            (true, false) => Verdict::Stop(error),
            (false, _) => Verdict::Aside(error),
        };
    }
    match error.kind() {
        ErrorKind::Transient | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Protocol => {
            if more_attempts {
                Verdict::Again(error)
            } else {
                Verdict::Stop(error)
            }
        }
        ErrorKind::Invalid
        | ErrorKind::Schema
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::TooLarge
        | ErrorKind::Permission => Verdict::Aside(error),
        _ => Verdict::Stop(error),
    }
}

/// The wait before the next try: what the error asks for, or longer each time.
fn backoff(error: &Error, attempt: u32) -> Duration {
    let own = Duration::from_millis(500)
        .saturating_mul(2u32.saturating_pow(attempt.min(10)))
        .min(LONGEST_BACKOFF);
    let jittered = own.mul_f64(0.5 + fastrand::f64() / 2.0);
    error
        .retry_after()
        .map_or(jittered, |theirs| theirs.max(jittered))
}
