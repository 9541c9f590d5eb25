//! The one error type of acople: it tells the host what to do.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// `Result` with acople's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest message kept, in bytes: vendors sometimes answer with whole pages of text.
const MESSAGE_LIMIT: usize = 1024;

/// What the host has to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The vendor or our own limiter says "not now": wait [`Error::retry_after`], then go on.
    RateLimited,
    /// A daily (or longer) quota is spent: park the work until [`Error::retry_at`].
    QuotaExhausted,
    /// Failed before any effect was possible: try again.
    Transient,
    /// One of our deadlines passed and the request cannot have taken effect, or may be repeated.
    Timeout,
    /// The request may have taken effect and no answer came: look it up before repeating it.
    Ambiguous,
    /// The credentials are finished: connect the account again.
    Reauth,
    /// The credentials lack a right: ask for the scope or permission.
    Permission,
    /// The vendor does not know this thing.
    NotFound,
    /// The record changed meanwhile, or exists already.
    Conflict,
    /// The vendor refused the data for good: fix it.
    Invalid,
    /// The answer is not what the protocol allows (truncated, HTML instead of JSON, bad framing).
    Protocol,
    /// One of our limits of size, depth, ratio or count was passed.
    TooLarge,
    /// The data does not fit its schema: the record goes to quarantine.
    Schema,
    /// The cursor is too old or of another version: start the stream over.
    CursorExpired,
    /// Another worker owns this work now: drop it.
    Fenced,
    /// The caller gave up.
    Cancelled,
    /// The configuration is wrong: fix it.
    Config,
    /// A bug in acople or in a connector: report it.
    Internal,
}

impl ErrorKind {
    /// All kinds of this version.
    pub const ALL: [Self; 18] = [
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Transient,
        Self::Timeout,
        Self::Ambiguous,
        Self::Reauth,
        Self::Permission,
        Self::NotFound,
        Self::Conflict,
        Self::Invalid,
        Self::Protocol,
        Self::TooLarge,
        Self::Schema,
        Self::CursorExpired,
        Self::Fenced,
        Self::Cancelled,
        Self::Config,
        Self::Internal,
    ];

    /// The kind as a stable lowercase word, for metrics and exit messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::Ambiguous => "ambiguous",
            Self::Reauth => "reauth",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Schema => "schema",
            Self::CursorExpired => "cursor_expired",
            Self::Fenced => "fenced",
            Self::Cancelled => "cancelled",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }

    /// What to do, in a few words for a person.
    pub fn advice(self) -> &'static str {
        match self {
            Self::RateLimited => "wait and try again",
            Self::QuotaExhausted => "wait until the quota resets",
            Self::Transient | Self::Timeout => "try again",
            Self::Ambiguous => "look up whether it took effect before repeating it",
            Self::Reauth => "connect the account again",
            Self::Permission => "grant the missing permission or scope",
            Self::NotFound => "check the name or id",
            Self::Conflict => "read the record again and decide",
            Self::Invalid | Self::Schema => "fix the data",
            Self::Protocol => "check the address; if it is right, the vendor's answer is broken",
            Self::TooLarge => "ask for less at once or raise the limit",
            Self::CursorExpired => "start the stream over",
            Self::Fenced => "nothing: another worker goes on",
            Self::Cancelled => "nothing: it was asked for",
            Self::Config => "fix the configuration",
            Self::Internal => "report this as a bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that says what happened and what the host should do about it.
///
/// One pointer wide. `Display` is one line; `Debug` shows every fact. Neither ever carries a
/// secret, a URL with its query, or a body. An error survives a round trip through serde (its
/// source does not), so that a quarantine can keep it.
///
/// ```
/// use acople_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Invalid, "property does not exist")
///     .with_code("PROPERTY_DOESNT_EXIST")
///     .with_status(400)
///     .with_field("properties.emial");
/// assert_eq!(error.to_string(), "invalid: property does not exist (PROPERTY_DOESNT_EXIST, http 400)");
/// assert!(!error.is_retryable());
/// ```
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<Facts>);

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Serialize, Deserialize)]
struct Facts {
    kind: ErrorKind,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_at: Option<SystemTime>,
    #[serde(default = "known")]
    outcome_known: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    #[serde(default)]
    attempts: u32,
    #[serde(skip)]
    source: Option<Source>,
}

fn known() -> bool {
    true
}

impl Error {
    /// An error of a kind. Control characters of `message` are escaped and its length is bounded,
    /// because vendors' texts end up in logs and terminals.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self(Box::new(Facts {
            kind,
            message: printable(message.as_ref()),
            operation: None,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            retry_at: None,
            outcome_known: kind != ErrorKind::Ambiguous,
            record: None,
            fields: Vec::new(),
            attempts: 0,
            source: None,
        }))
    }

    /// A configuration error that names the offending field.
    pub fn config(field: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Config, message).with_field(field)
    }

    /// What the host has to do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message: lowercase, without secrets.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, as the connector calls it (`"read contacts"`).
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The HTTP status of the answer, if one came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The vendor's own code, such as `REQUIRED_FIELD_MISSING`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The vendor's id of the request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long to wait before trying again, counted from when the error was made.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// When to try again, on the wall clock: set for waits that are parked rather than slept.
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at
    }

    /// Whether it is known that the request took effect or not.
    pub fn outcome_known(&self) -> bool {
        self.0.outcome_known
    }

    /// The record concerned: its key or its position.
    pub fn record(&self) -> Option<&str> {
        self.0.record.as_deref()
    }

    /// The fields concerned, as paths.
    pub fn fields(&self) -> &[String] {
        &self.0.fields
    }

    /// How many attempts were made before giving up; 0 when nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::RateLimited | ErrorKind::QuotaExhausted | ErrorKind::Transient | ErrorKind::Timeout
        )
    }

    /// Names the operation, unless one is named already: the innermost knows best.
    pub fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.0.operation.get_or_insert_with(|| operation.into());
        self
    }

    /// Sets the kind, for a caller that knows better than the layer below.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self.0.outcome_known = kind != ErrorKind::Ambiguous;
        self
    }

    /// Says that the request may have taken effect, for a kind that allows repeating it all the same.
    pub fn with_unknown_outcome(mut self) -> Self {
        self.0.outcome_known = false;
        self
    }

    /// Replaces the message: the vendor's words instead of what the status says.
    pub fn with_message(mut self, message: impl AsRef<str>) -> Self {
        self.0.message = printable(message.as_ref());
        self
    }

    /// Sets the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the vendor's code.
    pub fn with_code(mut self, code: impl AsRef<str>) -> Self {
        self.0.code = Some(printable(code.as_ref()));
        self
    }

    /// Sets the vendor's request id.
    pub fn with_request_id(mut self, id: impl AsRef<str>) -> Self {
        self.0.request_id = Some(printable(id.as_ref()));
        self
    }

    /// Sets how long to wait.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Sets when to come back.
    pub fn with_retry_at(mut self, at: SystemTime) -> Self {
        self.0.retry_at = Some(at);
        self
    }

    /// Names the record.
    pub fn with_record(mut self, record: impl AsRef<str>) -> Self {
        self.0.record = Some(printable(record.as_ref()));
        self
    }

    /// Adds a field, unless it is named already.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        let field = printable(&field.into());
        if !self.0.fields.contains(&field) {
            self.0.fields.push(field);
        }
        self
    }

    /// Sets the number of attempts.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Sets the cause. It must not print secrets.
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Replaces every occurrence of `secret` in the texts by a fixed mark.
    ///
    /// For the layer that holds the credentials: vendors echo tokens in their messages.
    pub fn redact(&mut self, secret: &str) {
        if secret.len() < SECRET_MIN {
            return;
        }
        let facts = &mut *self.0;
        let texts =
            [Some(&mut facts.message), facts.code.as_mut(), facts.request_id.as_mut(), facts.record.as_mut()];
        for text in texts.into_iter().flatten().chain(facts.fields.iter_mut()) {
            if text.contains(secret) {
                *text = text.replace(secret, crate::secret::MARK);
            }
            redact_cut(text, secret);
        }
    }

    /// The same facts without the source, which cannot be copied.
    pub fn copy(&self) -> Self {
        let f = &self.0;
        Self(Box::new(Facts {
            kind: f.kind,
            message: f.message.clone(),
            operation: f.operation.clone(),
            status: f.status,
            code: f.code.clone(),
            request_id: f.request_id.clone(),
            retry_after: f.retry_after,
            retry_at: f.retry_at,
            outcome_known: f.outcome_known,
            record: f.record.clone(),
            fields: f.fields.clone(),
            attempts: f.attempts,
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        write!(f, "{}: ", facts.kind)?;
        if let Some(operation) = &facts.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&facts.message)?;
        let mut details = Vec::new();
        details.extend(facts.code.clone());
        details.extend(facts.status.map(|s| format!("http {s}")));
        details.extend(facts.record.as_ref().map(|r| format!("record {r}")));
        if facts.attempts > 1 {
            details.push(format!("{} attempts", facts.attempts));
        }
        if let Some(wait) = facts.retry_after {
            details.push(format!("retry after {:.1} s", wait.as_secs_f64()));
        }
        if details.is_empty() { Ok(()) } else { write!(f, " ({})", details.join(", ")) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        let mut s = f.debug_struct("Error");
        s.field("kind", &facts.kind).field("message", &facts.message);
        if let Some(v) = &facts.operation {
            s.field("operation", v);
        }
        if let Some(v) = facts.status {
            s.field("status", &v);
        }
        if let Some(v) = &facts.code {
            s.field("code", v);
        }
        if let Some(v) = &facts.request_id {
            s.field("request_id", v);
        }
        if let Some(v) = facts.retry_after {
            s.field("retry_after", &v);
        }
        if let Some(v) = facts.retry_at {
            s.field("retry_at", &v);
        }
        if !facts.outcome_known {
            s.field("outcome_known", &false);
        }
        if let Some(v) = &facts.record {
            s.field("record", v);
        }
        if !facts.fields.is_empty() {
            s.field("fields", &facts.fields);
        }
        if facts.attempts > 0 {
            s.field("attempts", &facts.attempts);
        }
        if let Some(v) = &facts.source {
            s.field("source", v);
        }
        s.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

impl From<crate::json::Error> for Error {
    /// An answer that is not the JSON it should be. Where the text is the caller's own, use
    /// [`Error::with_kind`].
    fn from(error: crate::json::Error) -> Self {
        use crate::json::Error as Json;
        let kind = match error {
            Json::TooDeep { .. } | Json::TooLarge { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::Protocol,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

/// The least of a secret that is taken out: shorter texts would blank out ordinary words.
const SECRET_MIN: usize = 6;

/// Takes out the beginning of a secret at which a long text was cut off.
fn redact_cut(text: &mut String, secret: &str) {
    let Some(kept) = text.strip_suffix('…') else { return };
    let cut = (SECRET_MIN..secret.len())
        .rev()
        .filter_map(|len| secret.get(..len))
        .find_map(|begun| kept.strip_suffix(begun).map(str::len));
    if let Some(at) = cut {
        text.truncate(at);
        text.push_str(crate::secret::MARK);
    }
}

fn printable(text: &str) -> String {
    crate::printable(text, MESSAGE_LIMIT)
}
