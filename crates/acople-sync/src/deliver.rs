//! One batch on its way: mapped, written, its refused records set aside.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;
use std::time::Duration;

use acople_core::json::{Cells, FieldPath, Projection};
use acople_core::{
    Batch, Change, Context, Error, ErrorKind, Mapped, Outcome, Quarantined, Refusal, Result, Stage, StateKey,
    Unreadable, WriteMode, WriteRequest,
};
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::time::Instant;

use crate::commit::{Receipt, Settlement};
use crate::job::Plan;
use crate::pause::is_open_breaker;
use crate::{Observer, Progress};

/// The longest wait between two tries of the same records.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// A longer wait is not slept: the run pauses, and its report says when to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Delivers the batches of one run.
pub(crate) struct Delivery<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cx: &'a Context,
    pub(crate) key: &'a StateKey,
    pub(crate) observer: &'a dyn Observer,
    /// Whether the destination can delete.
    pub(crate) deletes: bool,
    /// The source's key fields: what makes two versions of a record one record.
    pub(crate) identity: Projection,
}

/// Where a record stands: its run, and its number in it.
pub(crate) type Position<'a> = (&'a str, u64);

/// What became of a record that was written.
enum Fate {
    Written(Outcome),
    Refused(Error),
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
    /// `position` says where a record of the batch stands; `quarantined` whether the sync has quarantined
    /// records, and is set when this adds some.
    ///
    /// # Errors
    /// What stops the run: nothing of the batch may be passed by a checkpoint then.
    pub(crate) async fn deliver<'p>(
        &self,
        batch: &Batch,
        position: impl Fn(usize) -> Position<'p>,
        quarantined: &mut bool,
    ) -> Result<Receipt> {
        let unreadable = batch.unreadable();
        let mut mapped = self.map(unreadable.as_ref().map_or(batch, |unreadable| &unreadable.rest))?;
        let mut refused = Vec::new();
        if let Some(Unreadable { places, refused: broken, .. }) = unreadable {
            let indices = mapped.origins.iter_mut().chain(mapped.refused.iter_mut().map(|r| &mut r.index));
            for index in indices {
                *index = places.get(*index).copied().unwrap_or(*index);
            }
            let read = |r: Refusal| Refused { index: r.index, stage: Stage::Read, error: r.error };
            refused.extend(broken.into_iter().map(read));
        }
        let mut settlement = Settlement::of(batch.len());
        settlement.skipped(mapped.skipped);
        let unmapped = |r: Refusal| Refused { index: r.index, stage: Stage::Map, error: r.error };
        refused.extend(mapped.refused.into_iter().map(unmapped));
        let records = mapped.batch.with_stream(self.plan.destination_stream.as_str());
        self.write(batch, &records, &mapped.origins, &mut settlement, &mut refused).await?;

        // Of two versions of a record the later one counts, wherever they were refused.
        refused.sort_by_key(|refused| refused.index);
        if !refused.is_empty() {
            let aside = self.aside(batch, position, &refused);
            self.plan.quarantine.put(&aside).await?;
            settlement.quarantined(refused.len());
            *quarantined = true;
        }
        if *quarantined {
            // Of the others a newer version has arrived: replaying the one set aside would undo it.
            let refused: HashSet<usize> = refused.iter().map(|r| r.index).collect();
            let last: HashMap<String, usize> = self.ids(batch).into_iter().zip(0..).collect();
            let settled = last.into_iter().filter(|(_, index)| !refused.contains(index));
            let settled: Vec<String> = settled.map(|(id, _)| id).collect();
            self.plan.quarantine.remove(&settled).await?;
        }
        settlement.receipt()
    }

    fn map(&self, batch: &Batch) -> Result<Mapped> {
        let mapped = match &self.plan.mapper {
            Some(mapper) => mapper.map(batch)?,
            None => Mapped::unchanged(batch),
        };
        check(batch, &mapped)?;
        Ok(mapped)
    }

    /// Writes upserts and deletions, in order, each kind by its own mode.
    async fn write(
        &self,
        batch: &Batch,
        records: &Batch,
        origins: &[usize],
        settlement: &mut Settlement,
        refused: &mut Vec<Refused>,
    ) -> Result<()> {
        for (mode, run) in runs_of_one_mode(records, self.plan.write) {
            let run: Vec<(usize, usize)> =
                run.into_iter().map(|index| (index, origins.get(index).copied().unwrap_or(index))).collect();
            for (fate, (_, index)) in self.write_run(batch, records, mode, &run).await?.into_iter().zip(run) {
                match fate {
                    Fate::Written(outcome) => {
                        settlement.written(&outcome);
                    }
                    Fate::Refused(error) => refused.push(Refused { index, stage: Stage::Write, error }),
                }
            }
        }
        Ok(())
    }

    /// Writes records of one mode until each is written or refused. A record is given by its index in
    /// `records` and in the source's `batch`.
    async fn write_run(
        &self,
        batch: &Batch,
        records: &Batch,
        mode: WriteMode,
        run: &[(usize, usize)],
    ) -> Result<Vec<Fate>> {
        if mode == WriteMode::Delete && !self.deletes {
            let refusal = || Error::new(ErrorKind::Invalid, "the destination cannot delete records");
            return Ok(run.iter().map(|_| Fate::Refused(refusal())).collect());
        }
        let mut fates: Vec<Option<Fate>> = run.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..run.len()).collect();
        let mut attempt = 0;
        while !open.is_empty() {
            attempt += 1;
            let part = records.select(open.iter().filter_map(|at| Some(run.get(*at)?.0)));
            let request = WriteRequest::new(mode, part).with_key(self.plan.key.clone());
            let (answered, outcomes) = match self.plan.destination.write(self.cx, request).await {
                Ok(report) => (true, report.into_outcomes()),
                // A whole call that is not allowed, or finds nothing there, is not about its records.
                Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::NotFound) => {
                    return Err(error);
                }
                Err(error) => (false, open.iter().map(|_| Outcome::from_call_error(&error)).collect()),
            };
            if outcomes.len() != open.len() {
                return Err(Error::new(ErrorKind::Internal, "the destination lost count of its records"));
            }
            // A record that fails for the moment while those behind it, or before, are dealt with: it is about
            // this one. Otherwise it may be that the destination is down.
            let last = outcomes.iter().rposition(|outcome| !is_of_the_moment(outcome));
            let others_done = open.len() < run.len();
            let half_done =
                !mode.is_repeatable() && (others_done || outcomes.iter().any(Outcome::is_accepted));
            let mut again = Vec::new();
            let mut reason: Option<Error> = None;
            for (nth, (at, outcome)) in open.into_iter().zip(outcomes).enumerate() {
                let about_it = answered && last.map_or(others_done, |last| nth < last);
                let fate = if outcome.is_accepted() {
                    Fate::Written(outcome)
                } else {
                    match verdict(outcome, mode, attempt < self.plan.attempts, about_it, half_done) {
                        Verdict::Again(error) => {
                            again.push(at);
                            let longer = |r: &Error| error.retry_after() > r.retry_after();
                            if reason.as_ref().is_none_or(longer) {
                                reason = Some(error);
                            }
                            continue;
                        }
                        Verdict::Aside(error) => Fate::Refused(error),
                        Verdict::Stop(error) => return Err(error),
                    }
                };
                if let Some(place) = fates.get_mut(at) {
                    *place = Some(fate);
                }
            }
            if let Some(error) = reason {
                let wait = backoff(&error, attempt);
                let until = Instant::now().checked_add(wait);
                let deadline = self.cx.deadline().map(Instant::from_std);
                let too_late = deadline.is_some_and(|deadline| until.is_none_or(|until| until > deadline));
                if wait > LONGEST_WAIT || too_late {
                    return Err(error);
                }
                self.observer.on(&Progress::Retrying { reason: error.to_string(), records: again.len() });
                tokio::time::sleep(wait).await;
            }
            open = if mode.is_repeatable() { self.with_successors(batch, run, again) } else { again };
        }
        let whole: Option<Vec<Fate>> = fates.into_iter().collect();
        whole.ok_or_else(|| Error::new(ErrorKind::Internal, "a record was written and nobody knows its fate"))
    }

    /// The records that are written again, and with them the later versions of each: otherwise an old one that
    /// is late would undo a newer one.
    fn with_successors(&self, batch: &Batch, run: &[(usize, usize)], again: Vec<usize>) -> Vec<usize> {
        if again.is_empty() {
            return again;
        }
        let ids = self.ids(batch);
        let id = |at: usize| run.get(at).and_then(|(_, index)| ids.get(*index));
        let again: HashSet<usize> = again.into_iter().collect();
        let mut late = HashSet::new();
        (0..run.len())
            .filter(|at| {
                let Some(id) = id(*at) else { return again.contains(at) };
                let wanted = again.contains(at) || late.contains(id);
                if wanted {
                    late.insert(id);
                }
                wanted
            })
            .collect()
    }

    /// The refused records, of each the latest version.
    fn aside<'p>(
        &self,
        batch: &Batch,
        position: impl Fn(usize) -> Position<'p>,
        refused: &[Refused],
    ) -> Vec<Quarantined> {
        let ids = self.ids(batch);
        let at = self.plan.clock.now();
        let mut seen = HashSet::new();
        refused
            .iter()
            .rev()
            .filter_map(|refused| {
                let (id, record) = (ids.get(refused.index)?, batch.get(refused.index)?);
                let (run, position) = position(refused.index);
                seen.insert(id).then(|| Quarantined {
                    id: id.clone(),
                    key: self.key.clone(),
                    run: run.to_owned(),
                    position,
                    stage: refused.stage,
                    error: refused.error.copy(),
                    record: record.raw().to_owned(),
                    deleted: record.change() == Change::Delete,
                    at,
                })
            })
            .collect()
    }

    /// The quarantine id of each record of a batch.
    pub(crate) fn ids(&self, batch: &Batch) -> Vec<String> {
        let cells = batch.project(&self.identity);
        let identities = identities(&cells, self.identity.len());
        batch.iter().zip(identities).map(|(r, key)| self.id(key.as_deref().unwrap_or(r.raw()))).collect()
    }

    fn id(&self, identity: &str) -> String {
        // Stable over releases and machines: an id is stored.
        let mut hasher = SipHasher13::new();
        for part in [&self.key.tenant, &self.key.sync, &self.key.stream, &self.key.partition] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.write(identity.as_bytes());
        format!("{:032x}", hasher.finish128().as_u128())
    }
}

/// A mapper must account for every record, and for each once.
fn check(batch: &Batch, mapped: &Mapped) -> Result<()> {
    let mut seen = vec![false; batch.len()];
    let once = mapped
        .origins
        .iter()
        .chain(mapped.refused.iter().map(|refusal| &refusal.index))
        .all(|index| seen.get_mut(*index).is_some_and(|seen| !std::mem::replace(seen, true)));
    let whole = mapped.origins.len() == mapped.batch.len()
        && mapped.batch.len() + mapped.refused.len() + mapped.skipped == batch.len();
    if once && whole {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "the mapper was given {} records and accounts for {} passed, {} refused, {} skipped{}",
            batch.len(),
            mapped.batch.len(),
            mapped.refused.len(),
            mapped.skipped,
            if once { "" } else { ", some of them twice" }
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
        let mode = if record.change() == Change::Delete { WriteMode::Delete } else { mode };
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

/// What to do about a record that was not accepted. `about_it`: other records fared better; `half_done`: some
/// are written in a mode that must not write them twice.
fn verdict(
    outcome: Outcome,
    mode: WriteMode,
    more_attempts: bool,
    about_it: bool,
    half_done: bool,
) -> Verdict {
    let momentary = is_of_the_moment(&outcome);
    let error = match outcome {
        // Repeating an insert could double the record; set aside, somebody can look it up.
        Outcome::Unknown { error } if !mode.is_repeatable() => return Verdict::Aside(error),
        Outcome::Refused { error } | Outcome::Unknown { error } => error,
        Outcome::Pending { job } => {
            let message = "the destination finishes in a job of its own, which this engine does not follow";
            return Verdict::Stop(Error::new(ErrorKind::Internal, message).with_record(job));
        }
        _ => return Verdict::Stop(Error::new(ErrorKind::Internal, "an outcome that is not known")),
    };
    match error.kind() {
        // Waiting is for whoever runs the job, unless that would write what is written already once more.
        _ if is_open_breaker(&error) && !half_done => Verdict::Stop(error),
        _ if momentary && more_attempts => Verdict::Again(error),
        _ if momentary && about_it => Verdict::Aside(error),
        ErrorKind::Invalid
        | ErrorKind::Schema
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::TooLarge
        | ErrorKind::Permission => Verdict::Aside(error),
        _ => Verdict::Stop(error),
    }
}

/// Whether another try may do: the destination says "not now", or nobody knows what became of the record.
fn is_of_the_moment(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused { error } => matches!(
            error.kind(),
            ErrorKind::Transient | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Protocol
        ),
        Outcome::Unknown { .. } => true,
        _ => false,
    }
}

/// The wait before the next try: what the error asks for, or longer each time.
fn backoff(error: &Error, attempt: u32) -> Duration {
    let own =
        Duration::from_millis(500).saturating_mul(2u32.saturating_pow(attempt.min(10))).min(LONGEST_BACKOFF);
    let jittered = own.mul_f64(0.5 + fastrand::f64() / 2.0);
    error.retry_after().map_or(jittered, |theirs| theirs.max(jittered))
}
