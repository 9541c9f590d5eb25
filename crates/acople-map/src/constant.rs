//! Fixed values in a table.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A fixed scalar: a text, a whole number, a truth value or null.
///
/// There is no variant for fractions, because YAML and JSON readers round them: write `"12.30"` and
/// convert it to `decimal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// JSON `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl Constant {
    /// The value as text, the way conditions and value tables compare it; `None` for null.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some(Cow::Borrowed("true")),
            Self::Bool(false) => Some(Cow::Borrowed("false")),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => Some(Cow::Borrowed(text)),
        }
    }
}

impl From<&str> for Constant {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Constant {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Constant {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Constant {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl Serialize for Constant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Constant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true, false or null")
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Constant, E> {
        Ok(Constant::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Constant, E> {
        Ok(Constant::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Constant, E> {
        i64::try_from(number)
            .map(Constant::Integer)
            .map_err(|_| E::custom("the number is too large: write it as text and convert it to `integer`"))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Constant, E> {
        Err(E::custom("the number is too large: write it as text and convert it to `integer`"))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Constant, E> {
        Err(E::custom("the number is too large: write it as text and convert it to `integer`"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Constant, E> {
        Err(E::custom(
            "fractions are rounded when read: write the number as text and convert it to `decimal`",
        ))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Constant, E> {
        Ok(Constant::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Constant, E> {
        Ok(Constant::Text(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Constant, E> {
        Ok(Constant::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Constant, E> {
        Ok(Constant::Null)
    }
}

impl JsonSchema for Constant {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Constant")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A fixed scalar. Fractions are written as text and converted to `decimal`.",
            "type": ["string", "integer", "boolean", "null"]
        })
    }
}
