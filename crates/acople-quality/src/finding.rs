//! What is wrong with a record, told without telling the record.

use acople_core::json::{FieldPath, Value};
use acople_core::{Error, ErrorKind, printable};

/// Findings of one record that a refusal names.
const NAMED: usize = 10;

/// One failed check of one record.
#[derive(Debug)]
pub(crate) struct Finding {
    /// JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    pub(crate) rule: String,
    pub(crate) expected: String,
    /// What stood there, as far as it may be told.
    pub(crate) found: String,
}

/// All findings of a record as one error.
pub(crate) fn refusal(index: usize, findings: &[Finding]) -> Error {
    let Some(first) = findings.first() else {
        return Error::new(ErrorKind::Schema, "the record was refused").with_record(format!("#{index}"));
    };
    let place = if first.pointer.is_empty() { "the record" } else { &first.pointer };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message =
        format!("{place} fails {}: expected {}, found {}{more}", first.rule, first.expected, first.found);
    let mut error = Error::new(ErrorKind::Schema, message)
        .with_code(format!("quality.{}", first.rule))
        .with_record(format!("#{index}"));
    for finding in findings.iter().take(NAMED) {
        error = error.with_field(finding.pointer.as_str());
    }
    error
}

/// What a value is, with at most `limit` characters of a scalar; containers are only named.
pub(crate) fn excerpt(value: &Value<'_>, limit: u16, secret: bool) -> String {
    let (kind, text) = match value {
        Value::Missing => return "nothing".to_owned(),
        Value::Null => return "null".to_owned(),
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        Value::Bool(_) => ("a truth value", value.raw()),
        Value::Number(number) => ("a number", number.as_str()),
        Value::Text(text) => ("a text", text.raw()),
    };
    quote(kind, text, limit, secret)
}

pub(crate) fn quote(kind: &str, text: &str, limit: u16, secret: bool) -> String {
    if secret || limit == 0 {
        return kind.to_owned();
    }
    let limit = usize::from(limit);
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{kind} `{}…`", printable(text.get(..at).unwrap_or_default(), 4 * limit)),
        None => format!("{kind} `{}`", printable(text, 4 * limit)),
    }
}

/// A path as a JSON pointer, whichever way it was written.
pub(crate) fn pointer(path: &FieldPath) -> String {
    let mut out = String::new();
    for segment in path.segments() {
        out.push('/');
        out.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    }
    out
}
