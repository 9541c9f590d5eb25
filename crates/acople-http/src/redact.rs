//! Takes the credentials of a request out of the vendor's own words.

use std::fmt;
use std::sync::Arc;

use acople_core::{Error, Outcome, Request};

/// Knows the credentials that a request carried, for errors that a connector makes of a successful answer: the
/// outcomes of single records, whose texts are the vendor's.
///
/// Errors of [`Client::send`](crate::Client::send) have been through it already.
///
/// ```
/// # use acople_core::{Error, ErrorKind, Outcome, Result};
/// # async fn example(client: acople_http::Client, call: acople_http::Call, cx: acople_core::Context) -> Result<()> {
/// let answer = client.send(&cx, &call).await?;
/// let error = Error::new(ErrorKind::Invalid, answer.header("x-reason").unwrap_or("no reason"));
/// let outcomes = answer.redactor().outcomes(vec![Outcome::refused(error)]);
/// # let _ = outcomes;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Request>>);

impl Redactor {
    pub(crate) fn new(request: Request) -> Self {
        Self(Some(Arc::new(request)))
    }

    /// The error without credentials.
    pub fn error(&self, error: Error) -> Error {
        match &self.0 {
            Some(request) => redacted(error, request),
            None => error,
        }
    }

    /// The outcomes, with no credentials in their errors.
    pub fn outcomes(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let redacted = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Refused { error } => Outcome::Refused { error: self.error(error) },
            Outcome::Unknown { error } => Outcome::Unknown { error: self.error(error) },
            other => other,
        });
        redacted.collect()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// The error without the credentials of the request.
pub(crate) fn redacted(mut error: Error, request: &Request) -> Error {
    for value in request.headers().values().filter(|v| v.is_sensitive()) {
        if let Ok(text) = value.to_str() {
            error.redact(text);
            error.redact(text.rsplit(' ').next().unwrap_or_default());
        }
    }
    for (_, secret) in request.secret_query() {
        error.redact(secret.expose());
    }
    error
}
