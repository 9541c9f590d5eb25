//! Errors that say why a token is not accepted.

use acople_core::{Error, ErrorKind, printable};
use serde_json::Value;

/// Longest value of a token that goes into a message, in bytes.
const SHOWN: usize = 200;

/// A token is not accepted. `code` is a stable word for the reason.
pub(crate) fn refused(code: &'static str, message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Reauth, message).with_code(code).with_operation("verify the token")
}

/// What stands in a token, as a message may show it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text, SHOWN),
        other => printable(&other.to_string(), SHOWN),
    }
}
