//! What is remembered between the two halves of a login.

use std::fmt;
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest as hash_of};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A login whose user is at the identity provider: the host keeps it on the server's side, filed by
/// [`relay_state`](Self::relay_state), and takes it out for
/// [`complete`](crate::saml::ServiceProvider::complete), which uses it up.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingLogin {
    pub(super) request_id: String,
    pub(super) relay_state: String,
    /// The hash of the session's name.
    pub(super) session: String,
    pub(super) begun_at: SystemTime,
}

impl PendingLogin {
    /// A login that begins now.
    pub(super) fn new(session: &str, now: SystemTime) -> Result<Self> {
        if session.is_empty() {
            return Err(Error::config("session", "is empty"));
        }
        Ok(Self {
            // An id must not begin with a digit or a dash.
            request_id: format!("_{}", random_text()?),
            relay_state: random_text()?,
            session: digest(session),
            begun_at: now,
        })
    }

    /// The random text that comes back with the answer.
    pub fn relay_state(&self) -> &str {
        &self.relay_state
    }

    /// Whether an answer belongs to this login and to the session that it began in.
    pub(super) fn is_of(&self, session: &str, relay_state: &str) -> bool {
        self.relay_state.len() == 43
            && self.request_id.len() == 44
            && (equal(relay_state, &self.relay_state) & equal(&digest(session), &self.session))
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("begun_at", &self.begun_at).finish_non_exhaustive()
    }
}

/// What an identity provider has posted.
pub(super) struct Posted {
    pub(super) answer: String,
    pub(super) relay_state: String,
}

impl Posted {
    /// Reads the form.
    ///
    /// # Errors
    /// `Invalid` for a form that lacks a field or has one twice, `TooLarge` beyond the bound.
    pub(super) fn read(form: &str, max_bytes: usize) -> Result<Self> {
        // Base64 with line breaks, percent-encoded: twice the document and a little.
        if form.len() > max_bytes.saturating_mul(2).saturating_add(4096) {
            return Err(Error::new(ErrorKind::TooLarge, "the posted form is too large"));
        }
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        let (mut answer, mut relay_state) = (None, None);
        for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
            let field = match &*name {
                "SAMLResponse" => &mut answer,
                "RelayState" => &mut relay_state,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return Err(invalid(format!("the posted form has {name} twice")));
            }
        }
        Ok(Self {
            answer: answer.ok_or_else(|| invalid("the posted form has no SAMLResponse".to_owned()))?,
            relay_state: relay_state.ok_or_else(|| {
                invalid(
                    "the posted form has no RelayState: a login begins at this host, not at the provider"
                        .to_owned(),
                )
            })?,
        })
    }
}

/// 256 random bits as text.
pub(super) fn random_text() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 as text.
pub(super) fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash_of(&SHA256, text.as_bytes()))
}

fn equal(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
