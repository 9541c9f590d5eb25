//! What a refusal by the token endpoint means for the host.

use acople_core::{Error, ErrorKind};
use acople_http::{Answer, status_error};

use crate::answer::TokenAnswer;
use crate::redactor::Redactor;

/// Longest text of the vendor's that goes into a message, in characters.
const DESCRIPTION: usize = 300;

/// A refusal, and whether the grant is finished: then nothing is asked again until it changes.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    pub(crate) finished: bool,
}

/// Whether a code of this name settles the matter, whatever the status says.
pub(crate) fn is_final(code: &str) -> bool {
    !matches!(meaning(code), None | Some(Meaning::Busy | Meaning::TooFast))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The grant is dead.
    Finished,
    /// The client's own credentials are wrong.
    Client,
    /// The request is not what this endpoint takes.
    Request,
    /// A scope is missing.
    Scope,
    /// Not now.
    Busy,
    /// Asked too often.
    TooFast,
}

/// RFC 6749 5.2 and 4.1.2.1, OpenID Connect Core 3.1.2.6, RFC 8628 3.5, and what vendors say instead.
fn meaning(code: &str) -> Option<Meaning> {
    Some(match code.to_ascii_lowercase().as_str() {
        "invalid_grant"
        | "access_denied"
        | "consent_required"
        | "interaction_required"
        | "login_required"
        | "invalid_refresh_token"
        | "bad_refresh_token"
        | "invalid_token"
        | "token_expired"
        | "token_revoked" => Meaning::Finished,
        "invalid_client" | "invalid_client_id" | "unauthorized_client" => Meaning::Client,
        "invalid_request" | "unsupported_grant_type" | "invalid_target" => Meaning::Request,
        "invalid_scope" | "insufficient_scope" => Meaning::Scope,
        "temporarily_unavailable" | "server_error" | "internal_failure" => Meaning::Busy,
        "slow_down" => Meaning::TooFast,
        _ => return None,
    })
}

/// The error of an answer that gives no token. `refreshes`: whether a refresh token was redeemed.
pub(crate) fn refusal(answer: &Answer, said: &TokenAnswer, refreshes: bool, redactor: &Redactor) -> Refusal {
    let status = answer.status().as_u16();
    let meaning = said.code.as_deref().and_then(meaning);
    let (kind, what, field) = match (meaning, status) {
        (Some(Meaning::Finished), _) => (ErrorKind::Reauth, "the grant is no longer valid", None),
        (Some(Meaning::Client), _) => (
            ErrorKind::Config,
            "the client is refused: check its id and secret, and that it may use this grant",
            Some("client_id"),
        ),
        (Some(Meaning::Request), _) => {
            (ErrorKind::Config, "the token endpoint does not take this request", None)
        }
        (Some(Meaning::Scope), _) => (ErrorKind::Permission, "the scope is refused", None),
        (Some(Meaning::Busy), _) => {
            (ErrorKind::Transient, "the token endpoint is not available right now", None)
        }
        (Some(Meaning::TooFast), _) | (None, 429) => (ErrorKind::RateLimited, "too many token calls", None),
        (None, 300..=399) => {
            (ErrorKind::Protocol, "the token endpoint redirects, which is not followed", None)
        }
        (None, 401) => {
            (ErrorKind::Config, "the client is refused: check its id and secret", Some("client_id"))
        }
        (None, 403) => (ErrorKind::Permission, "the token endpoint does not allow this", None),
        (None, 404 | 405 | 410) => {
            (ErrorKind::Config, "there is no token endpoint at this URL", Some("token_url"))
        }
        (None, 500..) => (ErrorKind::Transient, "the token endpoint failed", None),
        // A refusal in the vendor's own words.
        (None, _) if refreshes => (ErrorKind::Reauth, "the refresh token is refused", None),
        (None, _) => (ErrorKind::Config, "the token endpoint refuses the credentials", None),
    };
    let mut message = what.to_owned();
    if let Some(description) = &said.description {
        // Secrets go first: half a secret, cut off, would not be found.
        message.push_str(": ");
        message.extend(redactor.text(description).chars().take(DESCRIPTION));
    }
    let mut error = Error::new(kind, message).with_status(status);
    if let Some(code) = &said.code {
        error = error.with_code(redactor.text(code).chars().take(DESCRIPTION).collect::<String>());
    }
    if let Some(field) = field {
        error = error.with_field(field);
    }
    // Request id and wait are read from the headers in one place for all answers.
    let facts = status_error(answer);
    if let Some(id) = facts.request_id() {
        error = error.with_request_id(id);
    }
    if let Some(wait) = answer.retry_after().filter(|_| error.is_retryable()) {
        error = error.with_retry_after(wait);
    }
    Refusal { error: redactor.error(error), finished: meaning == Some(Meaning::Finished) }
}
