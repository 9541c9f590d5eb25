//! What a rule may do to a value, as a table says it.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Constant;

/// A conversion of one value. A value that does not fit refuses its record.
///
/// Numbers keep their digits in every conversion: none goes through floating point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Convert {
    /// Any scalar to text. Not invertible: what it was before is not known.
    String,
    /// A whole number, from a number or a text; `12.00` is 12, `12.5` is refused. Not invertible.
    Integer,
    /// A number of any length, from a number or a text. Not invertible.
    Decimal,
    /// A truth value, from itself, 1 and 0, or the texts true, false, yes, no, y, n, 1, 0 in any case.
    /// Not invertible.
    Boolean,
    /// A number to a text of the same digits. The inverse is `text_to_number`.
    NumberToText,
    /// A text to a number of the same digits. The inverse is `number_to_text`.
    TextToNumber,
    /// A truth value to `"true"` or `"false"`. The inverse is `text_to_boolean`.
    BooleanToText,
    /// `"true"` or `"false"` to a truth value. The inverse is `boolean_to_text`.
    TextToBoolean,
    /// A text in lower case. Not invertible.
    Lower,
    /// A text in upper case. Not invertible.
    Upper,
    /// A text without white space at its ends. Not invertible.
    Trim,
    /// A date or a moment in another notation.
    Datetime(Datetimes),
    /// A value by a table, such as the options of a picklist.
    Values(Values),
    /// A value by a named look-up.
    Lookup(LookupIn),
}

impl Convert {
    /// A conversion between two notations of a date or a moment, in UTC.
    pub fn datetime(from: TimeFormat, to: TimeFormat) -> Self {
        Self::Datetime(Datetimes { from, to, zone: None })
    }

    /// A conversion by a value table that refuses what it does not hold.
    pub fn values<K: Into<String>, V: Into<Constant>>(map: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Values(Values {
            map: map.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            ..Values::default()
        })
    }

    /// A conversion by a named look-up that refuses what it does not find.
    pub fn lookup(table: impl Into<String>) -> Self {
        Self::Lookup(LookupIn { table: table.into(), reverse: false, otherwise: Otherwise::Refuse })
    }
}

/// Two notations and the zone of local times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Datetimes {
    /// How the source writes it.
    pub from: TimeFormat,
    /// How the target wants it.
    pub to: TimeFormat,
    /// The zone of times without an offset, and in which a moment has its date: `UTC`, an offset
    /// such as `-05:00`, or a name such as `America/Lima`. Without it, a local time is refused and
    /// dates are those of UTC. A local time that the zone skips or repeats is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A notation of dates and moments.
///
/// The three ISO notations differ in what is written. Each of them reads every variant of ISO 8601
/// that vendors send: `Z`, `+00:00`, `+0000`, with or without a fraction, date only (midnight).
/// Fractions finer than a notation writes are cut off, never rounded up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeFormat {
    /// `2026-01-02T03:04:05Z`, with a fraction only when there is one (RFC 3339).
    Rfc3339,
    /// `2026-01-02T03:04:05.000Z`, as HubSpot writes it.
    Rfc3339Millis,
    /// `2026-01-02T03:04:05.000+0000`, as Salesforce writes it.
    IsoBasicOffset,
    /// `2026-01-02`.
    Date,
    /// Whole seconds since 1970 as a number; read from a number or a text.
    EpochSeconds,
    /// Milliseconds since 1970 as a number; read from a number or a text.
    EpochMillis,
    /// Milliseconds since 1970 as a text; read from a number or a text.
    EpochMillisText,
    /// Microseconds since 1970 as a number; read from a number or a text.
    EpochMicros,
    /// `/Date(1767225600000+0000)/`, as OData version 2 writes it; the offset may be absent when read.
    Odata,
    /// A pattern of `strftime` directives, such as `%d/%m/%Y %H:%M`.
    Pattern(String),
}

impl TimeFormat {
    /// How fine the notation is; a change to a coarser one loses something.
    pub(crate) fn fineness(&self) -> Option<u8> {
        match self {
            Self::Date => Some(0),
            Self::EpochSeconds => Some(1),
            Self::Rfc3339
            | Self::Rfc3339Millis
            | Self::IsoBasicOffset
            | Self::EpochMillis
            | Self::EpochMillisText
            | Self::Odata => Some(2),
            Self::EpochMicros => Some(3),
            Self::Pattern(_) => None,
        }
    }
}

/// A table of values. Numbers and truth values of the source are compared as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// Source value to target value.
    pub map: BTreeMap<String, Constant>,
    /// The table of the other direction; without it, `map` turned round, where that is unambiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BTreeMap<String, Constant>>,
    /// What becomes of a value that the table does not hold.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// The same for the other direction; without it, as `otherwise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise_back: Option<Otherwise>,
}

/// A look-up by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupIn {
    /// The name: one of the table's own `lookups`, or one that the host supplies.
    pub table: String,
    /// Whether to find the key of a value instead of the value of a key.
    #[serde(default)]
    pub reverse: bool,
    /// What becomes of a value that is not found.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// What becomes of a value that a table or a look-up does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// The record is refused.
    #[default]
    Refuse,
    /// The value stays as it is.
    Keep,
    /// The value becomes null.
    #[serde(rename = "as_null")]
    Null,
    /// The value becomes this one.
    Value(Constant),
}
