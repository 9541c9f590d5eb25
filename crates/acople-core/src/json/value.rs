use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use super::scan::Kind;
use super::{Error, Number, Text};

/// One JSON value, borrowed from its page.
///
/// Two values are equal when they were sent in the same spelling. `Debug` prints kind and length only: what
/// a vendor sends is not logged.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Value<'a> {
    /// There is no such member or element.
    #[default]
    Missing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its digits as sent.
    Number(Number<'a>),
    /// A text.
    Text(Text<'a>),
    /// An array: its JSON text.
    Array(&'a str),
    /// An object: its JSON text.
    Object(&'a str),
}

impl<'a> Value<'a> {
    pub(super) fn new(kind: Kind, raw: &'a str) -> Self {
        match kind {
            Kind::Missing => Self::Missing,
            Kind::Null => Self::Null,
            Kind::False => Self::Bool(false),
            Kind::True => Self::Bool(true),
            Kind::Number => Self::Number(Number::new(raw)),
            Kind::Text => Self::Text(Text::new(raw, false)),
            Kind::EscapedText => Self::Text(Text::new(raw, true)),
            Kind::Array => Self::Array(raw),
            Kind::Object => Self::Object(raw),
        }
    }

    /// The JSON text as it was sent, a text with its quotes; empty for a missing value.
    pub fn raw(&self) -> &'a str {
        match self {
            Self::Missing => "",
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(number) => number.as_str(),
            Self::Text(text) => text.quoted(),
            Self::Array(raw) | Self::Object(raw) => raw,
        }
    }

    /// Whether there is no such value.
    pub fn is_missing(&self) -> bool {
        *self == Self::Missing
    }

    /// Whether this is `null`; a missing value is not.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<Text<'a>> {
        if let Self::Text(text) = self { Some(*text) } else { None }
    }

    /// The number, if it was sent as one; digits in quotes are a text.
    pub fn as_number(&self) -> Option<Number<'a>> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// A scalar in words: the decoded text, the digits as sent, `true` or `false`. `None` for `null`,
    /// missing values and containers.
    pub fn scalar_text(&self) -> Result<Option<Cow<'a, str>>, Error> {
        match self {
            Self::Text(text) => text.decode().map(Some),
            Self::Number(_) | Self::Bool(_) => Ok(Some(Cow::Borrowed(self.raw()))),
            Self::Missing | Self::Null | Self::Array(_) | Self::Object(_) => Ok(None),
        }
    }

    /// Reads the value into a type of its own; a missing value is read like `null`.
    pub fn parse<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let raw = if self.is_missing() { "null" } else { self.raw() };
        // The parser's own message may quote the value.
        serde_json::from_str(raw)
            .map_err(|error| Error::Mismatch { line: error.line(), column: error.column() })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::Null => "Null",
            Self::Bool(_) => "Bool",
            Self::Number(_) => "Number",
            Self::Text(_) => "Text",
            Self::Array(_) => "Array",
            Self::Object(_) => "Object",
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.name(), self.raw().len())
    }
}
