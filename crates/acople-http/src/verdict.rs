//! What an answer or a failure means for its call.

use std::time::Duration;

use acople_core::{Claim, Error, ErrorKind, Lesson, Result, WireFault};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::Answer;
use crate::call::{Call, Expects};
use crate::client::Inner;

/// What to do after a failed attempt.
pub(crate) enum Next {
    Fail(Error),
    Again { wait: Duration, throttled: bool, error: Error },
    Renew(Error),
}

impl Inner {
    /// Asks the vendor's classifier, passes on its lessons, and settles what a failure means for a
    /// request that must not be repeated. `whole`: the body is there.
    pub(crate) fn judge(
        &self,
        call: &Call,
        claims: &[Claim],
        answer: &Answer,
        whole: bool,
        repeatable: bool,
    ) -> Result<()> {
        // Asked for by a cache, not by the connector: its classifier knows nothing of it.
        let unchanged = call.conditional && answer.status == StatusCode::NOT_MODIFIED;
        let verdict = match if unchanged { Ok(()) } else { self.classifier.classify(answer) } {
            Ok(()) if call.expects == Expects::Json && whole && is_html(answer) => Err(Error::new(
                ErrorKind::Protocol,
                "HTML received where JSON was expected: a login or maintenance page?",
            )
            .with_status(answer.status.as_u16())),
            verdict => verdict,
        };
        let mut lessons = Vec::new();
        self.classifier.lessons(answer, &mut lessons);
        // Where the classifier names the bucket it is that one; otherwise every bucket of the request is.
        let taught = |kind: fn(&Lesson) -> bool| lessons.iter().any(kind);
        let general = match &verdict {
            Err(error)
                if error.kind() == ErrorKind::QuotaExhausted
                    && !taught(|lesson| matches!(lesson, Lesson::Exhausted { .. })) =>
            {
                Some(Lesson::Exhausted { bucket: None, until: error.retry_at() })
            }
            Err(error)
                if error.kind() == ErrorKind::RateLimited
                    && error.retry_after().is_some()
                    && !taught(|lesson| matches!(lesson, Lesson::Throttled { .. })) =>
            {
                Some(Lesson::Throttled { bucket: None, wait: error.retry_after() })
            }
            Err(_) => None,
            Ok(()) => Some(Lesson::Passed),
        };
        for lesson in lessons.iter().chain(&general) {
            self.limiter.observe(claims, lesson);
        }
        let Err(error) = verdict else { return Ok(()) };
        Err(match error.kind() {
            ErrorKind::Transient if refused_unprocessed(&error) => error,
            ErrorKind::Transient if repeatable => error.with_unknown_outcome(),
            ErrorKind::Transient => error.with_kind(ErrorKind::Ambiguous),
            ErrorKind::Protocol if answer.status.is_success() => error.with_unknown_outcome(),
            _ => error,
        })
    }

    /// What to do after the failure of the `attempt`th attempt.
    pub(crate) fn next(
        &self,
        error: Error,
        attempt: u32,
        repeatable: bool,
        renewed: bool,
        claims: &[Claim],
    ) -> Next {
        let throttled = error.kind() == ErrorKind::RateLimited;
        match error.kind() {
            ErrorKind::Reauth if !renewed => return Next::Renew(error),
            // Anything transient left here is safe to repeat: `judge` and `into_error` saw to it.
            ErrorKind::RateLimited | ErrorKind::Transient => {}
            ErrorKind::Timeout | ErrorKind::Protocol if repeatable && !is_whole(&error) => {}
            _ => return Next::Fail(error),
        }
        let backoff = self.retry.wait(attempt, throttled, fastrand::f64());
        if throttled && error.retry_after().is_none() {
            // Everybody who shares the limit waits, not this call alone.
            self.limiter.observe(claims, &Lesson::SlowDown { bucket: None, pause: backoff });
        }
        if attempt >= self.retry.attempts {
            return Next::Fail(error);
        }
        let wait = error.retry_after().map_or(backoff, |theirs| theirs.max(backoff));
        Next::Again { wait, throttled, error }
    }
}

/// Whether a failure says that the vendor is down, rather than that it refused or that our own side is short of
/// connections.
pub(crate) fn is_outage(error: &Error) -> bool {
    if error.status().is_none() && error.code() == Some(WireFault::Exhausted.as_str()) {
        return false;
    }
    matches!(error.kind(), ErrorKind::Transient | ErrorKind::Timeout)
        || (error.kind() == ErrorKind::Ambiguous && error.status().is_none_or(|s| s >= 500))
}

/// Statuses by which a vendor says that it did not process the request. Any refusal with 4xx is one, also
/// where the vendor's code makes it transient (a row that is locked right now).
fn refused_unprocessed(error: &Error) -> bool {
    // 499 is a proxy's word for a client that left: the vendor may have gone on.
    matches!(error.status(), Some(400..=498 | 503))
}

fn is_html(answer: &Answer) -> bool {
    let html = answer
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().get(..9).is_some_and(|t| t.eq_ignore_ascii_case(b"text/html")));
    html && answer.body.trim_ascii_start().starts_with(b"<")
}

/// An answer that arrived whole but is not what it should be (HTML, a redirect): another attempt would
/// bring the same.
fn is_whole(error: &Error) -> bool {
    error.status().is_some()
}
