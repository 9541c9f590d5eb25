//! Reads what the vendor sends back with the user (RFC 6749, 4.1.2).

#![deny(clippy::arithmetic_side_effects)]

use acople_core::{Error, ErrorKind, Result, Secret};
use url::form_urlencoded::parse;

use crate::redactor::Redactor;

/// Longest text of the vendor's that goes into a message, in characters.
const DESCRIPTION: usize = 300;

/// The parameters of a callback.
#[derive(Debug, Default)]
pub(crate) struct Callback {
    pub(crate) state: Option<String>,
    pub(crate) code: Option<Secret>,
    pub(crate) issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Callback {
    /// Reads a URL, a query or a form.
    ///
    /// # Errors
    /// `Invalid` for a parameter that is there twice (RFC 6749, 3.1).
    pub(crate) fn read(text: &str) -> Result<Self> {
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let mut callback = Self::default();
        for (name, value) in parse(query.as_bytes()) {
            let value = value.into_owned();
            let twice = match name.as_ref() {
                "state" => callback.state.replace(value).is_some(),
                "code" => callback.code.replace(Secret::from(value)).is_some(),
                "iss" => callback.issuer.replace(value).is_some(),
                "error" => callback.error.replace(value).is_some(),
                "error_description" => callback.description.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return Err(Error::new(ErrorKind::Invalid, format!("the callback has {name} twice")));
            }
        }
        callback.code = callback.code.filter(|code| !code.is_empty());
        Ok(callback)
    }

    /// What the vendor says instead of giving a code (RFC 6749, 4.1.2.1; OpenID Connect Core, 3.1.2.6), without the
    /// secrets that it may quote.
    pub(crate) fn refusal(&self, mut redactor: Redactor) -> Option<Error> {
        let code = self.error.as_deref()?;
        if let Some(secret) = &self.code {
            redactor.add(secret);
        }
        // Secrets go first: half a secret, cut off, would not be found.
        let quoted = |text: &str| -> String {
            redactor.text(text).chars().filter(|c| !c.is_control()).take(DESCRIPTION).collect()
        };
        let (kind, what) = match code {
            "access_denied" => (ErrorKind::Permission, "the user or the vendor declined"),
            "invalid_scope" => (ErrorKind::Permission, "the scope is refused"),
            "server_error" | "temporarily_unavailable" => {
                (ErrorKind::Transient, "the vendor cannot do it right now")
            }
            "login_required" | "consent_required" | "interaction_required" | "account_selection_required" => {
                (ErrorKind::Reauth, "the user has to act at the vendor")
            }
            _ => (ErrorKind::Config, "the vendor does not take this request"),
        };
        let mut message = what.to_owned();
        if let Some(description) = &self.description {
            message.push_str(": ");
            message.push_str(&quoted(description));
        }
        Some(Error::new(kind, message).with_code(quoted(code)))
    }
}
