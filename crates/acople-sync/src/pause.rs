//! Which errors pause a run, and until when.

use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind};
use serde::Serialize;

use crate::End;

/// The pause when a side is down or busy and nobody says for how long.
const PAUSE: Duration = Duration::from_secs(30);

/// The pause when a quota is spent and nobody says when it is full again.
const QUOTA_PAUSE: Duration = Duration::from_secs(3600);

/// The shortest pause: a host that comes back at once would spin.
const SHORTEST: Duration = Duration::from_secs(1);

/// What a paused run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PauseCause {
    /// A side that is down or does not answer; its circuit breaker may be open.
    Outage,
    /// A rate limit whose wait is too long to be slept.
    Limit,
    /// A quota of a day or longer that is spent. The error names it.
    Quota,
    /// Somebody who connects the account again.
    Credentials,
    /// Somebody who allows what the job may not do by itself, such as deleting much. The error says what.
    Approval,
}

/// Whether a circuit breaker refused the call: nothing was sent, and nothing will be before its time.
pub(crate) fn is_open_breaker(error: &Error) -> bool {
    error.kind() == ErrorKind::Transient && error.code() == Some("breaker_open")
}

/// How a run ends that an error ends: paused when time or a new connection of the account is all it takes.
pub(crate) fn end_of(error: Error, now: SystemTime) -> End {
    let (cause, usual) = match error.kind() {
        ErrorKind::Transient | ErrorKind::Timeout => (PauseCause::Outage, PAUSE),
        ErrorKind::RateLimited => (PauseCause::Limit, PAUSE),
        ErrorKind::QuotaExhausted => (PauseCause::Quota, QUOTA_PAUSE),
        ErrorKind::Reauth => return End::Paused { cause: PauseCause::Credentials, until: None, error },
        _ => return End::Stopped { error },
    };
    let at = error.retry_at().or_else(|| now.checked_add(error.retry_after().unwrap_or(usual)));
    let until = at.map(|at| at.max(now + SHORTEST));
    let error = match until {
        Some(until) => error.with_retry_at(until),
        None => error,
    };
    End::Paused { cause, until, error }
}
