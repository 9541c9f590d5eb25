//! Conversions at work.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use acople_core::ErrorKind;
use acople_core::json::{Value, Writer};

use crate::datetime::Notation;
use crate::lookup::Lookup;
use crate::{Constant, Otherwise, number};

/// Why a value does not fit. The message continues "the field ..." and never holds the value.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }

    fn schema(message: &'static str) -> Self {
        Self::new(ErrorKind::Schema, message)
    }
}

/// A scalar under conversion.
#[derive(Clone, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// The digits, as JSON writes a number.
    Number(Cow<'a, str>),
    /// Decoded.
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(digits: impl Into<Cow<'a, str>>) -> Self {
        Self::Number(digits.into())
    }

    pub(crate) fn constant(constant: &'a Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Bool(truth) => Self::Bool(*truth),
            Constant::Integer(number) => Self::Number(Cow::Owned(number.to_string())),
            Constant::Text(text) => Self::Text(Cow::Borrowed(text)),
        }
    }

    /// The scalar of a field; objects and lists do not convert.
    pub(crate) fn of(value: Value<'a>) -> Result<Self, Fault> {
        Ok(match value {
            Value::Missing | Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(Cow::Borrowed(number.as_str())),
            Value::Text(text) => {
                Self::Text(text.decode().map_err(|_| Fault::schema("holds text that is not valid Unicode"))?)
            }
            Value::Array(_) => return Err(Fault::schema("is a list where a single value is expected")),
            Value::Object(_) => return Err(Fault::schema("is an object where a single value is expected")),
        })
    }

    /// The text that value tables, look-ups, joins and conditions see; `None` for null.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(text) | Self::Text(text) => Some(text),
        }
    }

    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some(Cow::Borrowed("true")),
            Self::Bool(false) => Some(Cow::Borrowed("false")),
            Self::Number(text) | Self::Text(text) => Some(text),
        }
    }

    pub(crate) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(truth) => Scalar::Bool(truth),
            Self::Number(digits) => Scalar::Number(Cow::Owned(digits.into_owned())),
            Self::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// The same scalar, borrowed.
    pub(crate) fn borrowed(&self) -> Scalar<'_> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(truth) => Scalar::Bool(*truth),
            Self::Number(digits) => Scalar::Number(Cow::Borrowed(digits)),
            Self::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.null(),
            Self::Bool(truth) => writer.bool(*truth),
            // The digits were a number in the source or come from `number`, so they are valid JSON.
            Self::Number(digits) => writer.raw(digits),
            Self::Text(text) => writer.text(text),
        }
    }
}

/// A compiled conversion.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    String,
    Integer,
    Decimal,
    Boolean,
    NumberToText,
    TextToNumber,
    BooleanToText,
    TextToBoolean,
    Lower,
    Upper,
    Trim,
    Datetime(Box<Notation>),
    Values { map: HashMap<String, Constant>, otherwise: Otherwise },
    Lookup { lookup: Arc<dyn Lookup>, reverse: bool, otherwise: Otherwise },
}

impl Step {
    /// Converts a value; null stays null.
    pub(crate) fn apply<'a>(&'a self, value: Scalar<'a>) -> Result<Scalar<'a>, Fault> {
        if matches!(value, Scalar::Null) {
            return Ok(value);
        }
        match self {
            Self::String => Ok(value.into_text().map_or(Scalar::Null, Scalar::Text)),
            Self::Integer => match value {
                Scalar::Number(digits) | Scalar::Text(digits) => rewrite(digits, number::integer)
                    .map(Scalar::Number)
                    .ok_or(Fault::schema("is no whole number")),
                Scalar::Null | Scalar::Bool(_) => Err(Fault::schema("is no whole number")),
            },
            Self::Decimal | Self::TextToNumber => match value {
                Scalar::Number(_) => Ok(value),
                Scalar::Text(text) => {
                    rewrite(text, number::decimal).map(Scalar::Number).ok_or(Fault::schema("is no number"))
                }
                Scalar::Null | Scalar::Bool(_) => Err(Fault::schema("is no number")),
            },
            Self::NumberToText => match value {
                Scalar::Number(text) | Scalar::Text(text) => Ok(Scalar::Text(text)),
                Scalar::Null | Scalar::Bool(_) => Err(Fault::schema("is no number")),
            },
            Self::Boolean => value.as_text().and_then(truth).map(Scalar::Bool).ok_or(NO_TRUTH),
            Self::TextToBoolean => match value.as_text() {
                Some("true") => Ok(Scalar::Bool(true)),
                Some("false") => Ok(Scalar::Bool(false)),
                _ => Err(NO_TRUTH),
            },
            Self::BooleanToText => match value.as_text() {
                Some("true") => Ok(Scalar::text("true")),
                Some("false") => Ok(Scalar::text("false")),
                _ => Err(NO_TRUTH),
            },
            Self::Lower => Ok(on_text(value, str::to_lowercase)),
            Self::Upper => Ok(on_text(value, str::to_uppercase)),
            Self::Trim => Ok(on_text(value, |text| text.trim().to_owned())),
            Self::Datetime(notation) => match &value {
                Scalar::Number(text) | Scalar::Text(text) => notation.apply(text),
                Scalar::Null | Scalar::Bool(_) => Err(Fault::schema("is no date or time")),
            },
            Self::Values { map, otherwise } => {
                let found = value.as_text().and_then(|text| map.get(text)).map(Scalar::constant);
                found.map_or_else(
                    || resort(otherwise, value, "holds a value that its table does not list"),
                    Ok,
                )
            }
            Self::Lookup { lookup, reverse, otherwise } => {
                let found = value
                    .as_text()
                    .and_then(|text| if *reverse { lookup.reverse(text) } else { lookup.get(text) });
                found.map_or_else(
                    || resort(otherwise, value, "holds a value that its look-up does not find"),
                    |text| Ok(Scalar::Text(text)),
                )
            }
        }
    }
}

const NO_TRUTH: Fault =
    Fault { kind: ErrorKind::Schema, message: Cow::Borrowed("is neither true nor false") };

fn truth(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "yes", "y", "1"]) {
        Some(true)
    } else if is(["false", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn on_text(value: Scalar<'_>, change: impl FnOnce(&str) -> String) -> Scalar<'_> {
    match value {
        Scalar::Text(text) => Scalar::Text(Cow::Owned(change(&text))),
        other => other,
    }
}

/// Applies a rewriting of borrowed text to text that may be owned.
fn rewrite(text: Cow<'_, str>, change: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => change(text),
        Cow::Owned(text) => change(&text).map(|changed| Cow::Owned(changed.into_owned())),
    }
}

fn resort<'a>(
    otherwise: &'a Otherwise,
    value: Scalar<'a>,
    message: &'static str,
) -> Result<Scalar<'a>, Fault> {
    match otherwise {
        Otherwise::Refuse => Err(Fault::new(ErrorKind::Invalid, message)),
        Otherwise::Keep => Ok(value),
        Otherwise::Null => Ok(Scalar::Null),
        Otherwise::Value(constant) => Ok(Scalar::constant(constant)),
    }
}
