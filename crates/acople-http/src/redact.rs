//! Takes the credentials of a request out of the vendor's own words.

use std::fmt;
use std::fmt::Write as _;

use acople_core::{Error, Outcome, Request, Secret};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use url::form_urlencoded::byte_serialize;

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
pub struct Redactor {
    /// One header is the rule: no room is made for others.
    first: Option<HeaderValue>,
    others: Vec<HeaderValue>,
    texts: Vec<Secret>,
}

impl Redactor {
    /// Keeps the secrets of a request that goes on its way.
    pub(crate) fn of(request: &Request) -> Self {
        let mut headers = request.headers().values().filter(|value| value.is_sensitive()).cloned();
        Self {
            first: headers.next(),
            others: headers.collect(),
            texts: (request.secret_query().iter().map(|(_, secret)| secret))
                .chain(request.noted_secrets())
                .cloned()
                .collect(),
        }
    }

    /// The error without credentials.
    #[inline(never)]
    pub fn error(&self, mut error: Error) -> Error {
        for value in self.first.iter().chain(&self.others) {
            if let Ok(text) = value.to_str() {
                error.redact(text);
                redact(&mut error, text.rsplit(' ').next().unwrap_or_default());
            }
        }
        for secret in &self.texts {
            redact(&mut error, secret.expose());
        }
        error
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

/// Takes a secret out as it is, and in the forms in which a vendor may echo it: as a URL or a form has it, as base64,
/// as hex.
fn redact(error: &mut Error, secret: &str) {
    error.redact(secret);
    let (bytes, mut hex) = (secret.as_bytes(), String::with_capacity(secret.len() * 2));
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    let form: String = byte_serialize(bytes).collect();
    let percent = form.replace('+', "%20");
    for encoded in [form, percent, STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes), hex] {
        // A secret like the other, wiped like it.
        error.redact(Secret::from(encoded).expose());
    }
}
