//! Cuts a batch into the vendor's calls and gathers one outcome a record.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;

use acople_core::{Batch, BatchLimits, Error, ErrorKind, Outcome, Record, Result, WriteReport};

/// Writes a batch in calls of at most `limits` and says what became of each record.
///
/// `send` writes one part and gives one outcome for each of its records. A part that the vendor refuses
/// whole (too large, or one bad or conflicting record spoils it) is halved until the record that is to
/// blame stands alone; parts that may have taken effect are never sent again.
///
/// # Errors
/// `Err` only when nothing was written: the first call failed with a known outcome. When a later one
/// fails, the records before it keep their outcomes and the rest carry the error.
pub async fn write_chunks<F, Fut>(batch: &Batch, limits: BatchLimits, send: F) -> Result<WriteReport>
where
    F: Fn(Batch) -> Fut,
    Fut: Future<Output = Result<Vec<Outcome>>>,
{
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(batch.len());
    // Parts still to send, the first one last.
    let mut parts = parts(batch, limits);
    parts.reverse();
    while let Some(part) = parts.pop() {
        let wanted = part.len();
        match send(batch.select(part.clone())).await {
            Ok(part_outcomes) if part_outcomes.len() == wanted => outcomes.extend(part_outcomes),
            Ok(other) => {
                let message = format!("{} results for {wanted} records", other.len());
                let error = Error::new(ErrorKind::Ambiguous, message);
                outcomes.extend((0..wanted).map(|_| Outcome::from_call_error(&error)));
            }
            Err(error) if may_be_one_record(&error) && error.outcome_known() && wanted > 1 => {
                let middle = part.start + wanted / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
            Err(error) if is_about_the_records(&error) => {
                outcomes.extend((0..wanted).map(|_| Outcome::from_call_error(&error)));
            }
            Err(error) if outcomes.is_empty() && error.outcome_known() => return Err(error),
            Err(error) => {
                outcomes.extend((0..wanted).map(|_| Outcome::from_call_error(&error)));
                // What stopped this call would stop the next: those are known not to have been sent.
                let unsent = || Outcome::refused(error.copy().with_kind(error.kind()));
                outcomes.extend((outcomes.len()..batch.len()).map(|_| unsent()));
                break;
            }
        }
    }
    WriteReport::new(batch.len(), outcomes)
}

/// As [`write_chunks`], without the records that `check` refuses: those are known beforehand to be unfit, are
/// refused with its errors, and never sent.
///
/// # Errors
/// As [`write_chunks`].
pub async fn write_checked<C, F, Fut>(
    batch: &Batch,
    limits: BatchLimits,
    check: C,
    send: F,
) -> Result<WriteReport>
where
    C: Fn(Record<'_>) -> Result<()>,
    F: Fn(Batch) -> Fut,
    Fut: Future<Output = Result<Vec<Outcome>>>,
{
    let refusals: Vec<Option<Error>> = batch.iter().map(|record| check(record).err()).collect();
    if refusals.iter().all(Option::is_none) {
        return write_chunks(batch, limits, send).await;
    }
    let fit = refusals.iter().enumerate().filter(|(_, refusal)| refusal.is_none());
    let fit = batch.select(fit.map(|(index, _)| index));
    let mut written = write_chunks(&fit, limits, send).await?.into_outcomes().into_iter();
    let outcome = |refusal: Option<Error>| refusal.map(Outcome::refused).or_else(|| written.next());
    WriteReport::new(batch.len(), refusals.into_iter().filter_map(outcome).collect())
}

/// Whether a single record may have spoiled its part.
fn may_be_one_record(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Invalid | ErrorKind::Conflict)
}

/// Whether the next part may fare better: the error is about these records, or only its outcome is open.
fn is_about_the_records(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TooLarge
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::NotFound
            | ErrorKind::Schema
            | ErrorKind::Ambiguous
    )
}

/// The ranges of records that fit into one call each. A record larger than the limit stands alone.
fn parts(batch: &Batch, limits: BatchLimits) -> Vec<std::ops::Range<usize>> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0usize);
    for (index, record) in batch.iter().enumerate() {
        let size = record.raw().len();
        let full = index - start >= limits.records.max(1) || bytes.saturating_add(size) > limits.bytes;
        if full && index > start {
            parts.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if start < batch.len() {
        parts.push(start..batch.len());
    }
    parts
}

/// Outcomes of an answer that lists results in the order of the request.
///
/// # Errors
/// `Ambiguous` when their number differs: nobody can say which record is which.
pub fn match_aligned<T>(
    records: usize,
    results: Vec<T>,
    outcome: impl Fn(usize, T) -> Outcome,
) -> Result<Vec<Outcome>> {
    if results.len() != records {
        let message = format!("the vendor gave {} results for {records} records", results.len());
        return Err(Error::new(ErrorKind::Ambiguous, message));
    }
    Ok(results.into_iter().enumerate().map(|(index, result)| outcome(index, result)).collect())
}

/// Outcomes of an answer that names records by a key, in any order. A record that the answer does not
/// name is unknown; of a key that comes several times, each record takes the next result.
pub fn match_by_id<K: Hash + Eq>(
    keys: &[K],
    results: impl IntoIterator<Item = (K, Outcome)>,
) -> Vec<Outcome> {
    let mut by_key: HashMap<K, VecDeque<Outcome>> = HashMap::new();
    for (key, outcome) in results {
        by_key.entry(key).or_default().push_back(outcome);
    }
    let unnamed = || Outcome::Unknown {
        error: Error::new(ErrorKind::Ambiguous, "the vendor's answer does not mention this record"),
    };
    keys.iter().map(|key| by_key.get_mut(key).and_then(VecDeque::pop_front).unwrap_or_else(unnamed)).collect()
}
