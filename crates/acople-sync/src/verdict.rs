//! What to do about a record that was not accepted.

use std::time::Duration;

use acople_core::{Error, ErrorKind, Outcome, WriteMode};

use crate::pause::is_open_breaker;

/// The longest wait between two tries of the same records.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

pub(crate) enum Verdict {
    /// Try the record again.
    Again(Error),
    /// Set the record aside.
    Aside(Error),
    /// It is not about this record: stop the run.
    Stop(Error),
}

/// What is known around a record that was not accepted.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) mode: WriteMode,
    /// Whether another try is allowed.
    pub(crate) more_attempts: bool,
    /// Other records fared better: it is about this one.
    pub(crate) about_it: bool,
    /// Some are written, in a mode that must not write them twice.
    pub(crate) half_done: bool,
}

/// What to do about a record that was not accepted.
pub(crate) fn verdict(outcome: Outcome, around: Circumstances) -> Verdict {
    let momentary = is_of_the_moment(&outcome);
    let error = match outcome {
        // Repeating an insert could double the record; set aside, somebody can look it up.
        Outcome::Unknown { error } if !around.mode.is_repeatable() => return Verdict::Aside(error),
        Outcome::Refused { error } | Outcome::Unknown { error } => error,
        Outcome::Pending { job } => {
            let message = "the destination finishes in a job of its own, which this engine does not follow";
            return Verdict::Stop(Error::new(ErrorKind::Internal, message).with_record(job));
        }
        _ => return Verdict::Stop(Error::new(ErrorKind::Internal, "an outcome that is not known")),
    };
    match error.kind() {
        // Waiting is for whoever runs the job, unless that would write what is written already once more.
        _ if is_open_breaker(&error) && !around.half_done => Verdict::Stop(error),
        _ if momentary && around.more_attempts => Verdict::Again(error),
        _ if momentary && around.about_it => Verdict::Aside(error),
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
pub(crate) fn is_of_the_moment(outcome: &Outcome) -> bool {
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
pub(crate) fn backoff(error: &Error, attempt: u32) -> Duration {
    let own =
        Duration::from_millis(500).saturating_mul(2u32.saturating_pow(attempt.min(10))).min(LONGEST_BACKOFF);
    let jittered = own.mul_f64(0.5 + fastrand::f64() / 2.0);
    error.retry_after().map_or(jittered, |theirs| theirs.max(jittered))
}
