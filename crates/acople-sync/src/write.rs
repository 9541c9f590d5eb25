//! Writing the mapped records of a batch, until each is written or refused.

use std::collections::HashSet;
use std::time::Duration;

use acople_core::json::FieldPath;
use acople_core::{Batch, Change, Error, ErrorKind, Outcome, Result, WriteMode, WriteRequest};
use tokio::time::Instant;

use crate::Progress;
use crate::counterparts::Counterparts;
use crate::deliver::Delivery;
use crate::isolate::{isolate, lost_count, may_be_one_record};
use crate::verdict::{Circumstances, Verdict, backoff, is_of_the_moment, verdict};

/// A longer wait is not slept: the run pauses, and its report says when to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What became of a record that was written.
pub(crate) enum Fate {
    Written(Outcome),
    /// Left out on purpose: a deletion of what never came here.
    Skipped,
    Refused {
        error: Error,
        /// How often it was tried.
        attempts: u32,
    },
}

/// Neighbouring records that are written the same way.
pub(crate) struct Portion {
    /// As they are written.
    pub(crate) records: Batch,
    /// For each, the index of the source's record.
    pub(crate) origins: Vec<usize>,
    pub(crate) mode: WriteMode,
    pub(crate) key: Option<FieldPath>,
}

/// What is the same for two versions of one record, by the index of the source's record.
pub(crate) type Same<'a> = dyn Fn(usize) -> Option<&'a str> + Sync + 'a;

/// Makes one call of the destination.
pub(crate) trait Call {
    /// Writes the records of a portion that `open` names.
    fn call(&self, portion: &Portion, open: &[usize]) -> impl Future<Output = Result<Vec<Outcome>>> + Send;
}

impl Call for Delivery<'_> {
    async fn call(&self, portion: &Portion, open: &[usize]) -> Result<Vec<Outcome>> {
        let part = portion.records.select(open.iter().copied());
        let request = WriteRequest::new(portion.mode, part).with_key(portion.key.clone());
        Ok(self.plan.destination.write(self.cx, request).await?.into_outcomes())
    }
}

impl Delivery<'_> {
    /// Writes mapped records in order, upserts and deletions each by their own mode, and gives the fate of
    /// each with the index of the source's record. `same` tells which of the source's records are one.
    pub(crate) async fn write(
        &self,
        records: &Batch,
        origins: &[usize],
        same: &Same<'_>,
        counterparts: &mut Counterparts<'_>,
    ) -> Result<Vec<(usize, WriteMode, Fate)>> {
        let mut fates = Vec::with_capacity(records.len());
        let mut at = 0;
        while at < records.len() {
            let (mode, indices) = self.neighbours(records, origins, at, counterparts);
            at += indices.len();
            let of = |index: &usize| origins.get(*index).copied().unwrap_or(*index);
            let portion = Portion {
                records: records.select(indices.iter().copied()),
                origins: indices.iter().map(of).collect(),
                mode,
                key: self.plan.key.clone(),
            };
            for (origin, fate) in self.write_one_way(portion, same, counterparts).await? {
                match &fate {
                    Fate::Written(outcome) => counterparts.landed(origin, mode, outcome)?,
                    Fate::Skipped => counterparts.forget(origin),
                    Fate::Refused { .. } => {}
                }
                fates.push((origin, mode, fate));
            }
        }
        Ok(fates)
    }

    /// The records from `at` on that are written in one mode, in one call if the vendor takes it.
    fn neighbours(
        &self,
        records: &Batch,
        origins: &[usize],
        at: usize,
        counterparts: &Counterparts<'_>,
    ) -> (WriteMode, Vec<usize>) {
        let mut mode = None;
        let mut inserted = HashSet::new();
        let mut indices = Vec::new();
        for (index, record) in records.iter().enumerate().skip(at) {
            let origin = origins.get(index).copied().unwrap_or(index);
            let own = match record.change() {
                Change::Delete => WriteMode::Delete,
                _ => counterparts.mode(origin, self.plan.write),
            };
            if mode.is_some_and(|mode| mode != own) {
                break;
            }
            // A second version of a record that is new has to wait for the id of the first.
            if counterparts.by_link()
                && own == WriteMode::Insert
                && counterparts.key(origin).is_some_and(|key| !inserted.insert(key))
            {
                break;
            }
            mode = Some(own);
            indices.push(index);
        }
        (mode.unwrap_or(self.plan.write), indices)
    }

    async fn write_one_way(
        &self,
        mut portion: Portion,
        same: &Same<'_>,
        counterparts: &Counterparts<'_>,
    ) -> Result<Vec<(usize, Fate)>> {
        let mut fates = Vec::new();
        if portion.mode == WriteMode::Delete && !self.deletes {
            let refusal = || Error::new(ErrorKind::Invalid, "the destination cannot delete records");
            let refused = |origin| (origin, Fate::Refused { error: refusal(), attempts: 1 });
            return Ok(portion.origins.into_iter().map(refused).collect());
        }
        if counterparts.by_link() {
            portion.key = None;
            if portion.mode != WriteMode::Insert {
                let (addressed, unknown) = counterparts.address(portion)?;
                fates.extend(unknown.into_iter().map(|origin| (origin, Fate::Skipped)));
                portion = addressed;
            }
        }
        let written = self.write_portion(&portion, same).await?;
        fates.extend(portion.origins.iter().copied().zip(written));
        Ok(fates)
    }

    /// Writes a portion until each of its records is written or refused.
    async fn write_portion(&self, portion: &Portion, same: &Same<'_>) -> Result<Vec<Fate>> {
        let (mode, count) = (portion.mode, portion.records.len());
        let mut fates: Vec<Option<Fate>> = (0..count).map(|_| None).collect();
        let mut open: Vec<usize> = (0..count).collect();
        let mut attempt = 0;
        while !open.is_empty() {
            attempt += 1;
            let last_try = attempt >= self.plan.attempts;
            let mut isolated = false;
            let (answered, outcomes) = match self.call(portion, &open).await {
                Ok(outcomes) => (true, outcomes),
                // A whole call that is not allowed, or finds nothing there, is not about its records.
                Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::NotFound) => {
                    return Err(error);
                }
                Err(error) => {
                    let found = if open.len() > 1 && may_be_one_record(&error, mode, last_try) {
                        isolate(self, portion, &open, &error, last_try).await?
                    } else {
                        None
                    };
                    isolated = found.is_some();
                    let all = || open.iter().map(|_| Outcome::from_call_error(&error)).collect();
                    (isolated, found.unwrap_or_else(all))
                }
            };
            if outcomes.len() != open.len() {
                return Err(lost_count());
            }
            // A record that fails for the moment while those behind it, or before, are dealt with: it is about
            // this one. Otherwise it may be that the destination is down.
            let last = outcomes.iter().rposition(|outcome| !is_of_the_moment(outcome));
            let others_done = open.len() < count;
            let half_done =
                !mode.is_repeatable() && (others_done || outcomes.iter().any(Outcome::is_accepted));
            let mut again = Vec::new();
            let mut reason: Option<Error> = None;
            for (nth, (at, outcome)) in open.into_iter().zip(outcomes).enumerate() {
                let about_it = isolated || (answered && last.map_or(others_done, |last| nth < last));
                let fate = if outcome.is_accepted() || is_gone_already(mode, &outcome) {
                    Fate::Written(accepted(outcome))
                } else {
                    let around = Circumstances { mode, more_attempts: !last_try, about_it, half_done };
                    match verdict(outcome, around) {
                        Verdict::Again(error) => {
                            again.push(at);
                            let longer = |r: &Error| error.retry_after() > r.retry_after();
                            if reason.as_ref().is_none_or(longer) {
                                reason = Some(error);
                            }
                            continue;
                        }
                        Verdict::Aside(error) => Fate::Refused { error, attempts: attempt },
                        Verdict::Stop(error) => return Err(error),
                    }
                };
                if let Some(place) = fates.get_mut(at) {
                    *place = Some(fate);
                }
            }
            if let Some(error) = reason {
                self.wait(error, attempt, again.len()).await?;
            }
            open = if mode.is_repeatable() { with_successors(portion, same, again) } else { again };
        }
        let whole: Option<Vec<Fate>> = fates.into_iter().collect();
        whole.ok_or_else(|| Error::new(ErrorKind::Internal, "a record was written and nobody knows its fate"))
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The reason, when the wait is too long to be slept.
    async fn wait(&self, reason: Error, attempt: u32, records: usize) -> Result<()> {
        let wait = backoff(&reason, attempt);
        let until = Instant::now().checked_add(wait);
        let deadline = self.cx.deadline().map(Instant::from_std);
        let too_late = deadline.is_some_and(|deadline| until.is_none_or(|until| until > deadline));
        if wait > LONGEST_WAIT || too_late {
            return Err(reason);
        }
        self.observer.on(&Progress::Retrying { reason: reason.to_string(), records });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Deleting what is not there has done what it should.
fn is_gone_already(mode: WriteMode, outcome: &Outcome) -> bool {
    let not_found = |error: &Error| error.kind() == ErrorKind::NotFound;
    mode == WriteMode::Delete && matches!(outcome, Outcome::Refused { error } if not_found(error))
}

fn accepted(outcome: Outcome) -> Outcome {
    if outcome.is_accepted() { outcome } else { Outcome::Accepted { id: None, created: None } }
}

/// The records that are written again, and with them the later versions of each: otherwise an old one that
/// is late would undo a newer one.
fn with_successors(portion: &Portion, same: &Same<'_>, again: Vec<usize>) -> Vec<usize> {
    if again.is_empty() {
        return again;
    }
    let id = |at: usize| portion.origins.get(at).and_then(|index| same(*index));
    let again: HashSet<usize> = again.into_iter().collect();
    let mut late = HashSet::new();
    (0..portion.origins.len())
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
