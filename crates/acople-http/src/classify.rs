//! What an answer means: one classifier per vendor, which sees 2xx answers too.

use std::fmt;

use acople_core::{Error, ErrorKind, Lesson, Result};
use http::StatusCode;

use crate::Answer;
use crate::challenge::missing_scope;

/// Says what an answer means. Sees every answer, 2xx included: many vendors report failures inside 200.
///
/// The error's kind decides what the request path does: `Transient` and `RateLimited` are tried again
/// within the budget, `Reauth` renews the credentials once, `QuotaExhausted` is handed to the host at
/// once even when it came as 429, everything else ends the call. The path itself turns `Transient` into
/// `Ambiguous` where repeating could do harm.
pub trait Classifier: Send + Sync + fmt::Debug + 'static {
    /// `Ok` when the answer is what was asked for, otherwise the vendor's reason.
    fn classify(&self, answer: &Answer) -> Result<()>;

    /// What the answer taught about limits, beyond what its error says already.
    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        let _ = (answer, lessons);
    }
}

/// Goes by the status alone: for vendors without an error body, and as the base of other classifiers.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusClassifier;

impl Classifier for StatusClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if answer.status().is_success() { Ok(()) } else { Err(status_error(answer)) }
    }
}

/// The error that a status means by itself (RFC 9110), with `Retry-After` and a request id taken from
/// the usual headers, and the scope that is missing where a 403 names it (RFC 6750, 3.1). Vendors' classifiers start from it and add code, message and fields.
pub fn status_error(answer: &Answer) -> Error {
    let status = answer.status();
    let (kind, message) = match status {
        StatusCode::UNAUTHORIZED => {
            (ErrorKind::Reauth, "the credentials were refused: check them, or connect the account again")
        }
        StatusCode::FORBIDDEN => (ErrorKind::Permission, "not allowed"),
        StatusCode::NOT_FOUND => (ErrorKind::NotFound, "not found"),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
            (ErrorKind::Conflict, "conflicts with what is there")
        }
        StatusCode::GONE => (ErrorKind::Config, "gone for good: the API version may be retired"),
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (ErrorKind::TooLarge, "the request is too large"),
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::RateLimited, "too many requests"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::LOCKED => {
            (ErrorKind::Transient, "not possible right now")
        }
        s if s.is_server_error() => (ErrorKind::Transient, "the vendor failed"),
        s if s.is_redirection() => (ErrorKind::Protocol, "redirects are not followed"),
        s if s.is_client_error() => (ErrorKind::Invalid, "the vendor refused the request"),
        _ => (ErrorKind::Protocol, "an answer that was not expected"),
    };
    let mut error = Error::new(kind, message).with_status(status.as_u16());
    if matches!(kind, ErrorKind::RateLimited | ErrorKind::Transient)
        && let Some(wait) = answer.retry_after()
    {
        error = error.with_retry_after(wait);
    }
    if kind == ErrorKind::Permission
        && let Some(scope) = missing_scope(answer.headers())
    {
        let message = format!("not allowed: the credentials lack the scope {scope}");
        error = error.with_message(message).with_code("insufficient_scope");
    }
    for name in ["x-request-id", "request-id", "x-correlation-id"] {
        if let Some(id) = answer.header(name) {
            return error.with_request_id(id);
        }
    }
    error
}
