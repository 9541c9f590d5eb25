//! Takes a compact token apart (RFC 7515, 7.1) and reads its header, before anything in it can be believed.

use acople_core::{Result, printable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::refusal::refused;
use crate::json;

/// Headers by which a token says itself where its key is. None of them is ever read.
const KEY_HEADERS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];

/// Longest name of a key or an algorithm that goes into a message, in bytes.
const SHOWN: usize = 80;

/// A token, not verified.
pub(crate) struct Unverified<'a> {
    pub(crate) header: Map<String, Value>,
    /// What the signature is over.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Unverified<'a> {
    /// # Errors
    /// `Reauth`, without a word of the token but the names in its header.
    pub(crate) fn read(token: &'a str, max_bytes: usize) -> Result<Self> {
        if token.len() > max_bytes {
            let text = format!(
                "the token has {} bytes, more than the {max_bytes} that are taken: if the issuer makes such tokens, raise max_bytes",
                token.len()
            );
            return Err(refused("token_too_large", text));
        }
        let malformed = |fault: &str| refused("token_malformed", fault);
        let parts: Vec<&str> = token.splitn(6, '.').collect();
        let (header, payload, signature) = match parts.as_slice() {
            [header, payload, signature] => (*header, *payload, *signature),
            [_, _, _, _, _] => {
                return Err(malformed(
                    "the token is encrypted (JWE), and signed ones (JWS) are taken: configure the issuer to sign only",
                ));
            }
            _ => {
                return Err(malformed(
                    "the token is no JWT: it has not three parts with dots between; is it an opaque token?",
                ));
            }
        };
        let decoded = |part: &str, name: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| malformed(&format!("the token's {name} is not base64url without padding")))
        };
        let header = json::object(&decoded(header, "header")?)
            .map_err(|fault| malformed(&format!("the token's header {fault}")))?;
        let signature = decoded(signature, "signature")?;
        let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self { header, signed, signature, payload })
    }

    /// Refuses headers that ask for what is not done.
    pub(crate) fn check_header(&self, ignore_key_headers: bool) -> Result<()> {
        // RFC 7515, 4.1.11: an extension that must be understood, and none is.
        if self.header.contains_key("crit") {
            return Err(refused(
                "header_refused",
                "the token's header has crit: it needs an extension that is not supported",
            ));
        }
        if ignore_key_headers {
            return Ok(());
        }
        match KEY_HEADERS.into_iter().find(|name| self.header.contains_key(*name)) {
            Some(name) => Err(refused(
                "header_refused",
                format!(
                    "the token brings its own key or the place of it ({name}): if this issuer's tokens always do, set ignore_key_headers, and it is passed over"
                ),
            )),
            None => Ok(()),
        }
    }

    /// The text of a header, where it is there.
    ///
    /// # Errors
    /// `Reauth` when it is something else than a text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(refused("token_malformed", format!("the token's {name} is not a text"))),
        }
    }

    /// The claims. To be read when the signature is good.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>> {
        URL_SAFE_NO_PAD
            .decode(self.payload)
            .map_err(|_| "is not base64url without padding")
            .and_then(|json| json::object(&json))
            .map_err(|fault| refused("token_malformed", format!("the token's payload {fault}")))
    }
}

/// A name out of a header that nobody has vouched for.
pub(crate) fn unvouched(name: &str) -> String {
    printable(name, SHOWN)
}
