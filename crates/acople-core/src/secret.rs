//! Text that is never printed.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::{Error, Result};

/// What stands where a secret would.
pub(crate) const MARK: &str = "[redacted]";

/// A secret text: zeroed on drop, never printed, without a serializer.
///
/// In a config it is an ordinary string; in the config's JSON Schema it is marked with
/// `"format": "password"` and `"writeOnly": true`, so that a host can find and hide it.
///
/// ```
/// let key = acople_core::Secret::from("sk_live_123456");
/// assert_eq!(format!("{key:?}"), "[redacted]");
/// assert_eq!(key.expose(), "sk_live_123456");
/// ```
///
/// Copies that the TLS and HTTP layers make of a sent header are outside its reach.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself. Keep it out of anything that is printed or stored unencrypted.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// The secret as a header's value, marked sensitive. Its copies share one text, which is zeroed with the
    /// last of them.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when the text cannot stand in a header (line breaks, controls).
    pub fn header_value(&self) -> Result<HeaderValue> {
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Owned(self.clone())))
            .map_err(|_| Error::config("credential", "has characters that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The bytes of a secret, zeroed when the last header that carries them is dropped.
struct Owned(Secret);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true })
    }
}
