//! For which errors another source is asked.

use acople_core::{Error, ErrorKind};

/// For which errors of the primary the next source is asked.
///
/// ```
/// use acople_core::ErrorKind;
/// use acople_resilience::FallOver;
///
/// let rules = FallOver::default().on(ErrorKind::Protocol).not_on(ErrorKind::RateLimited);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallOver {
    kinds: Vec<ErrorKind>,
    open_breaker: bool,
}

impl Default for FallOver {
    /// `Transient`, `Timeout`, `RateLimited` and `QuotaExhausted`, and an open circuit breaker: what passes by
    /// itself. What somebody has to mend (`Reauth`, `Permission`, `Invalid`, `Config`) is better seen than hidden.
    fn default() -> Self {
        let kinds =
            [ErrorKind::Transient, ErrorKind::Timeout, ErrorKind::RateLimited, ErrorKind::QuotaExhausted];
        Self { kinds: kinds.into(), open_breaker: true }
    }
}

impl FallOver {
    /// For none, to add to.
    pub fn never() -> Self {
        Self { kinds: Vec::new(), open_breaker: false }
    }

    /// Also for errors of this kind. `Cancelled` and `Fenced` end a call all the same: nobody wants its answer.
    pub fn on(mut self, kind: ErrorKind) -> Self {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        self
    }

    /// Not for errors of this kind.
    pub fn not_on(mut self, kind: ErrorKind) -> Self {
        self.kinds.retain(|other| *other != kind);
        self
    }

    /// Whether an open circuit breaker is a reason.
    pub fn on_open_breaker(mut self, open: bool) -> Self {
        self.open_breaker = open;
        self
    }

    /// Whether an error is a reason.
    pub fn covers(&self, error: &Error) -> bool {
        let covered = match error.code() {
            Some("breaker_open") => self.open_breaker,
            _ => self.kinds.contains(&error.kind()),
        };
        covered && !Self::is_final(error)
    }

    pub(crate) fn is_final(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Fenced)
    }
}
