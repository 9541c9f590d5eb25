//! What went wrong, told so that one knows what to do.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use acople::{Clock, Error, SystemClock};
use jiff::{SignedDuration, Timestamp};

use crate::exit::Exit;
use crate::output::note;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    /// Where the configuration that an error speaks of lies: `source.config`.
    place: String,
    hint: Option<String>,
}

#[derive(Debug)]
enum Cause {
    Error(Error),
    /// This machine's files and pipes.
    Machine(String),
    /// Nobody reads our output any more.
    BrokenPipe,
}

impl Failure {
    /// Something about this machine's files or pipes.
    pub(crate) fn machine(what: impl Into<String>, error: &io::Error) -> Self {
        Self { cause: Cause::Machine(format!("{}: {error}", what.into())), place: String::new(), hint: None }
    }

    /// A failed write to standard output.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        let mut failure = Self::machine("standard output cannot be written", error);
        if error.kind() == io::ErrorKind::BrokenPipe {
            failure.cause = Cause::BrokenPipe;
        }
        failure
    }

    /// Replaces the general advice of the error's kind.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which part of a file the error's fields are in, from the inside out.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.place = match (place, self.place.as_str()) {
            ("", inner) => inner.to_owned(),
            (outer, "") => outer.to_owned(),
            (outer, inner) => format!("{outer}.{inner}"),
        };
        self
    }

    /// How the process ends with it.
    pub(crate) fn exit(&self) -> Exit {
        match &self.cause {
            Cause::Error(error) => error.kind().into(),
            Cause::Machine(_) => Exit::Internal,
            // Whoever closed the pipe has seen enough: `acople read ... | head`.
            Cause::BrokenPipe => Exit::Success,
        }
    }

    /// Tells it on standard error.
    pub(crate) fn report(&self) -> Exit {
        if let Some(text) = self.text(SystemClock.now()) {
            note(&text);
        }
        self.exit()
    }

    fn text(&self, now: SystemTime) -> Option<String> {
        let error = match &self.cause {
            Cause::BrokenPipe => return None,
            Cause::Machine(message) => {
                let hint =
                    self.hint.as_deref().unwrap_or("check the path, its permissions and the space left");
                return Some(format!("error: {message}\n  hint: {hint}"));
            }
            Cause::Error(error) => error,
        };
        let mut text = format!("error: {error}");
        let fields = self.fields(error);
        if !fields.is_empty() {
            let _ = write!(text, "\n  field: {}", fields.join(", "));
        }
        if let Some(id) = error.request_id() {
            let _ = write!(text, "\n  request: {id}");
        }
        if let Some(at) =
            error.retry_at().or_else(|| error.retry_after().and_then(|wait| now.checked_add(wait)))
        {
            let _ = write!(text, "\n  when: {}", moment(at, now));
        }
        let hint = self.hint.as_deref().unwrap_or(error.kind().advice());
        let _ = write!(text, "\n  hint: {hint}");
        Some(text)
    }

    fn fields(&self, error: &Error) -> Vec<String> {
        if self.place.is_empty() {
            return error.fields().to_vec();
        }
        if error.fields().is_empty() {
            return vec![self.place.clone()];
        }
        error.fields().iter().map(|field| format!("{}.{field}", self.place)).collect()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { cause: Cause::Error(error), place: String::new(), hint: None }
    }
}

/// `2026-01-03T00:00:00Z (in 5h 3m)`.
fn moment(at: SystemTime, now: SystemTime) -> String {
    let wait = at.duration_since(now).unwrap_or_default();
    let wait = SignedDuration::from_secs(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).max(1));
    rfc3339(at).map_or_else(|| format!("in {wait:#}"), |at| format!("{at} (in {wait:#})"))
}

/// A moment in whole seconds, as people and programs read it.
pub(crate) fn rfc3339(at: SystemTime) -> Option<String> {
    let at = Timestamp::try_from(at).ok()?;
    Some(Timestamp::from_second(at.as_second()).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use acople::ErrorKind;

    use super::*;

    fn text(failure: impl Into<Failure>) -> String {
        failure.into().text(UNIX_EPOCH).unwrap()
    }

    #[test]
    fn an_error_comes_with_its_field_and_what_to_do() {
        let failure =
            Failure::from(Error::config("auth.token", "is empty")).within("config").within("source");
        assert_eq!(
            text(failure),
            "error: config: is empty\n  field: source.config.auth.token\n  hint: fix the configuration"
        );
    }

    #[test]
    fn an_error_that_passes_says_when() {
        let error = Error::new(ErrorKind::QuotaExhausted, "spent")
            .with_retry_at(UNIX_EPOCH + Duration::from_secs(3_723));
        let text = text(error);
        assert!(text.contains("\n  when: 1970-01-01T01:02:03Z (in 1h 2m 3s)"), "{text}");
    }

    #[test]
    fn a_wait_is_told_as_a_moment_too() {
        let error = Error::new(ErrorKind::RateLimited, "slow down").with_retry_after(Duration::from_secs(32));
        assert!(text(error).contains("\n  when: 1970-01-01T00:00:32Z (in 32s)"));
    }

    #[test]
    fn a_closed_pipe_is_silent_and_no_failure() {
        let failure = Failure::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.text(UNIX_EPOCH).is_none());
        assert_eq!(failure.exit(), Exit::Success);
    }
}
