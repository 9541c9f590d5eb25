//! What whoever renews has to know and to write down.

use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind, Generation, Secret, TokenSet};
use tokio::time::Instant;

/// How often the store is looked at for new credentials while the grant is finished.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The pause after a failure that somebody has to mend.
const MENDING: Duration = Duration::from_secs(60);

/// The pause after a refusal that may be lifted at the vendor's side.
const REFUSED: Duration = Duration::from_secs(300);

/// The first pause after a failure that passes by itself; it doubles up to [`MENDING`].
const PASSING: Duration = Duration::from_secs(1);

/// How long a refresh token is kept that was replaced. Vendors that take it once more do so for a minute
/// (Okta), half an hour (Xero) or a day (QuickBooks).
const GRACE: Duration = Duration::from_secs(30 * 60);

/// The state of renewals. It is behind the gate: one renewal at a time.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Whether the store was read at all.
    pub(crate) loaded: bool,
    /// What the store's tokens are at.
    pub(crate) generation: Generation,
    /// The newest refresh token; `None`: the config's.
    pub(crate) refresh: Option<Secret>,
    /// Which configured credentials the tokens descend from.
    pub(crate) mark: String,
    /// Whether an answer to this very refresh token was lost: it may be used up.
    pub(crate) doubt: bool,
    /// How many saves of the tokens in hand have failed; 0 when they are stored.
    pub(crate) unsaved: u32,
    /// Whether the host was told that a person has to act.
    pub(crate) parked: bool,
    /// When the refresh token ends for good, and from when on the host is told so.
    pub(crate) refresh_ends: Option<(SystemTime, SystemTime)>,
    /// A refresh token that may be good when the newest is not.
    spare: Option<(Secret, Instant)>,
    failure: Option<Failure>,
    failures: u32,
}

#[derive(Debug)]
struct Failure {
    error: Error,
    until: Instant,
    finished: bool,
}

/// A failed renewal: its error and what has to happen before the next.
#[derive(Debug)]
pub(crate) struct Setback {
    pub(crate) error: Error,
    /// Nothing but new credentials helps.
    pub(crate) finished: bool,
}

impl Setback {
    /// A failure after which a pause is enough.
    pub(crate) fn passing(error: Error) -> Self {
        Self { error, finished: false }
    }
}

impl Book {
    /// The error that stands instead of another attempt, while the pause lasts.
    pub(crate) fn held_back(&self, now: Instant) -> Option<Error> {
        let failure = self.failure.as_ref().filter(|f| now < f.until)?;
        let error = failure.error.copy();
        Some(if error.is_retryable() { error.with_retry_after(failure.until - now) } else { error })
    }

    /// The error of a grant that is finished, whatever the time.
    pub(crate) fn finished(&self) -> Option<Error> {
        self.failure.as_ref().filter(|f| f.finished).map(|f| f.error.copy())
    }

    /// Notes a failure and how long nothing is asked.
    pub(crate) fn fail(&mut self, setback: &Setback, now: Instant) {
        let error = &setback.error;
        let passing = PASSING.saturating_mul(2u32.saturating_pow(self.failures.min(6))).min(MENDING);
        let pause = match error.kind() {
            _ if setback.finished => LOOK_AGAIN,
            ErrorKind::Reauth => REFUSED,
            _ if error.is_retryable() => error.retry_after().unwrap_or(passing),
            ErrorKind::Config | ErrorKind::Permission | ErrorKind::Protocol | ErrorKind::TooLarge => MENDING,
            _ => passing,
        };
        self.failures = self.failures.saturating_add(1);
        let until = now.checked_add(pause).unwrap_or(now + MENDING);
        self.failure = Some(Failure { error: error.copy(), until, finished: setback.finished });
    }

    /// Begins with tokens that are stored at `generation`.
    pub(crate) fn begin_with(&mut self, tokens: &TokenSet, generation: Generation) {
        self.loaded = true;
        self.generation = generation;
        self.refresh.clone_from(&tokens.refresh);
    }

    /// Forgets failures: there are new tokens.
    pub(crate) fn succeed(&mut self) {
        self.failure = None;
        self.failures = 0;
        self.doubt = false;
    }

    /// Keeps a refresh token for a while that is not in use: the one before, or one that came in when
    /// another worker had stored its own already.
    pub(crate) fn keep_spare(&mut self, token: Option<Secret>, now: Instant) {
        self.spare = token.zip(now.checked_add(GRACE));
    }

    /// The refresh token to try when the newest is refused. It is given out once.
    pub(crate) fn take_spare(&mut self, now: Instant) -> Option<Secret> {
        let (token, until) = self.spare.take()?;
        let is_other = self.refresh.as_ref().is_none_or(|newest| newest.expose() != token.expose());
        (now < until && is_other).then_some(token)
    }

    /// How long to wait before the tokens in hand are saved again.
    pub(crate) fn save_pause(&self) -> Duration {
        PASSING.saturating_mul(2u32.saturating_pow(self.unsaved.saturating_sub(1).min(6))).min(MENDING)
    }
}
