//! Takes the secrets of one token call out of the vendor's words.

use acople_core::{Error, Secret};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use url::form_urlencoded::byte_serialize;

use crate::digest::hex;

/// Shorter texts would blank out ordinary words and protect nothing.
const SHORTEST: usize = 6;

/// Knows the secrets that a request carried, in the forms in which a vendor may echo them.
#[derive(Debug, Default)]
pub(crate) struct Redactor(Vec<Secret>);

impl Redactor {
    /// Adds a secret: as it is, as a form has it, as base64, as hex.
    pub(crate) fn add(&mut self, secret: &Secret) {
        let text = secret.expose();
        if text.len() < SHORTEST {
            return;
        }
        self.0.push(secret.clone());
        let form: String = byte_serialize(text.as_bytes()).collect();
        if form != text {
            self.0.push(Secret::from(form.replace('+', "%20")));
            self.0.push(Secret::from(form));
        }
        self.0.push(Secret::from(hex(text.as_bytes())));
        self.0.push(Secret::from(STANDARD.encode(text)));
        self.0.push(Secret::from(URL_SAFE_NO_PAD.encode(text)));
    }

    /// The text without secrets. To be done before anything is cut off: half a secret is not found.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "[redacted]");
            }
        }
        text
    }

    /// The error without secrets.
    pub(crate) fn error(&self, mut error: Error) -> Error {
        for secret in &self.0 {
            error.redact(secret.expose());
        }
        error
    }
}
