//! A call that fails as a whole, perhaps because of one record: finding that record in few calls.

use acople_core::{Error, ErrorKind, Outcome, Result, WriteMode};

use crate::write::{Call, Portion};

/// Calls that the search of one portion may take. A lone bad record among a thousand needs twenty.
const CALLS: u32 = 64;

/// Whether a call that failed like this may have failed because of one of its records.
///
/// A vendor that is down answers alike, so what may be an outage is searched only on the last try.
pub(crate) fn may_be_one_record(error: &Error, mode: WriteMode, last_try: bool) -> bool {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Schema | ErrorKind::Conflict | ErrorKind::TooLarge => {
            error.outcome_known()
        }
        ErrorKind::Transient | ErrorKind::Protocol | ErrorKind::Ambiguous => {
            last_try && mode.is_repeatable() && error.status() == Some(500)
        }
        _ => false,
    }
}

/// Writes the records `open` of a portion in ever smaller calls, in order. Gives an outcome for each, or `None`
/// when not one was accepted: then it is not about single records.
///
/// # Errors
/// A failure of another kind, which is not about records.
pub(crate) async fn isolate(
    call: &impl Call,
    portion: &Portion,
    open: &[usize],
    why: &Error,
    last_try: bool,
) -> Result<Option<Vec<Outcome>>> {
    // Deep enough to have met one record alone, and its neighbour.
    let silent = open.len().max(1).ilog2() + 3;
    let (mut calls, mut accepted) = (0, false);
    let mut outcomes = Vec::with_capacity(open.len());
    // From the left: an older version of a record must not be written after a newer one.
    let mut parts: Vec<&[usize]> = halves(open).into_iter().rev().collect();
    while let Some(part) = parts.pop() {
        if calls == CALLS || (!accepted && calls == silent) {
            outcomes.extend(part.iter().map(|_| Outcome::from_call_error(why)));
            continue;
        }
        calls += 1;
        match call.call(portion, part).await {
            Ok(answered) if answered.len() == part.len() => {
                accepted |= answered.iter().any(Outcome::is_accepted);
                outcomes.extend(answered);
            }
            Ok(_) => return Err(lost_count()),
            Err(error) if !may_be_one_record(&error, portion.mode, last_try) => return Err(error),
            Err(error) if part.len() == 1 => outcomes.push(Outcome::from_call_error(&error)),
            Err(_) => parts.extend(halves(part).into_iter().rev()),
        }
    }
    Ok(accepted.then_some(outcomes))
}

pub(crate) fn lost_count() -> Error {
    Error::new(ErrorKind::Internal, "the destination lost count of its records")
}

fn halves(part: &[usize]) -> Vec<&[usize]> {
    let (left, right) = part.split_at(part.len().div_ceil(2));
    [left, right].into_iter().filter(|half| !half.is_empty()).collect()
}
