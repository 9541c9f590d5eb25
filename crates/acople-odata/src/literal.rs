//! Values as literals of a filter or a key, for each type and both dialects. Nothing else puts a value
//! into a query: what does not fit its type's grammar is refused.

use acople_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Protocol;
use crate::moment::Moment;

/// Decimal places up to which decimals are compared by value.
const DECIMALS: usize = 18;

/// The primitive types that can stand in a query, whatever the dialect calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Primitive {
    Text,
    Guid,
    Boolean,
    /// Up to 32 bits.
    Integer,
    /// 64 bits.
    Long,
    Decimal,
    /// `Edm.DateTime` of OData 2.0: no zone.
    DateTime,
    DateTimeOffset,
    /// A day; in OData 2.0 an `Edm.DateTime` that is shown as a date.
    Date,
    /// `Edm.Time` of OData 2.0, `Edm.TimeOfDay` of 4.0.
    Time,
    /// Floating point, binaries, geography, enumerations, anything unknown: never in a query of ours.
    Other,
}

impl Primitive {
    /// The type of a name such as `Edm.String`.
    pub(crate) fn named(name: &str) -> Self {
        match name.strip_prefix("Edm.").unwrap_or_default() {
            "String" => Self::Text,
            "Guid" => Self::Guid,
            "Boolean" => Self::Boolean,
            "Byte" | "SByte" | "Int16" | "Int32" => Self::Integer,
            "Int64" => Self::Long,
            "Decimal" => Self::Decimal,
            "DateTime" => Self::DateTime,
            "DateTimeOffset" => Self::DateTimeOffset,
            "Date" => Self::Date,
            "Time" | "TimeOfDay" => Self::Time,
            _ => Self::Other,
        }
    }

    /// Whether values can grow with every change of their record.
    pub(crate) fn is_change_field(self) -> bool {
        matches!(
            self,
            Self::DateTime
                | Self::DateTimeOffset
                | Self::Date
                | Self::Integer
                | Self::Long
                | Self::Decimal
                | Self::Text
        )
    }

    /// Whether `gt` orders the values. GUIDs have no order in OData 2.0.
    pub(crate) fn is_ordered(self, protocol: Protocol) -> bool {
        match self {
            Self::Boolean | Self::Other => false,
            Self::Guid => protocol == Protocol::V4,
            _ => true,
        }
    }

    /// Whether this is a point in time.
    pub(crate) fn is_temporal(self) -> bool {
        matches!(self, Self::DateTime | Self::DateTimeOffset | Self::Date)
    }

    /// The one spelling of a value in which positions are kept: times in UTC, the rest as it is.
    ///
    /// # Errors
    /// `Protocol` when the text is no value of this type.
    pub(crate) fn normal(self, text: &str) -> Result<String> {
        let fits = match self {
            Self::DateTimeOffset => return Ok(Moment::parse(text)?.to_text()? + "Z"),
            Self::DateTime => return Moment::parse(text)?.to_text(),
            Self::Date => return Moment::parse(text)?.to_date(),
            Self::Text => true,
            Self::Guid => is_guid(text),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Integer | Self::Long => is_integer(text),
            Self::Decimal => is_decimal(text),
            Self::Time => {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b".:PTHMS".contains(&b))
            }
            Self::Other => false,
        };
        if fits { Ok(text.to_owned()) } else { Err(unfit()) }
    }

    /// The literal of a value.
    ///
    /// # Errors
    /// `Protocol` when the text is no value of this type.
    pub(crate) fn literal(self, protocol: Protocol, text: &str) -> Result<String> {
        let value = self.normal(text)?;
        Ok(match (protocol, self) {
            (_, Self::Text) => format!("'{}'", value.replace('\'', "''")),
            (Protocol::V2, Self::Guid) => format!("guid'{value}'"),
            (Protocol::V2, Self::Long) => format!("{value}L"),
            (Protocol::V2, Self::Decimal) => format!("{value}M"),
            (Protocol::V2, Self::DateTimeOffset) => format!("datetimeoffset'{value}'"),
            (Protocol::V2, Self::DateTime) => format!("datetime'{value}'"),
            (Protocol::V2, Self::Date) => format!("datetime'{value}T00:00:00'"),
            (Protocol::V2, Self::Time) => format!("time'{value}'"),
            (Protocol::V4, Self::DateTime) => format!("{value}Z"),
            _ => value,
        })
    }

    /// The smallest point in time that every service of the dialect takes.
    pub(crate) fn earliest(protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::V2 => "1753-01-01T00:00:00Z",
            Protocol::V4 => "0001-01-01T00:00:00Z",
        }
    }

    /// A number that orders values of this type, where there is one.
    pub(crate) fn ticks(self, value: &str) -> Option<i128> {
        match self {
            Self::Integer | Self::Long => value.parse().ok(),
            Self::Decimal => {
                let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
                let fraction = fraction.trim_end_matches('0');
                let fits = fraction.len() <= DECIMALS;
                fits.then(|| format!("{whole}{fraction:0<DECIMALS$}")).and_then(|digits| digits.parse().ok())
            }
            _ if self.is_temporal() => Moment::parse(value).ok().map(|m| m.ticks()),
            _ => None,
        }
    }
}

fn unfit() -> Error {
    Error::new(ErrorKind::Protocol, "a value does not have the type that the metadata names")
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits =
        |part: &str| !part.is_empty() && part.len() <= 64 && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_literal_in_each_dialect() {
        let guid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        for (primitive, value, v2, v4) in [
            (Primitive::Text, "O'Neil", "'O''Neil'", "'O''Neil'"),
            (Primitive::Guid, guid, "guid'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'", guid),
            (Primitive::Boolean, "true", "true", "true"),
            (Primitive::Integer, "-7", "-7", "-7"),
            (Primitive::Long, "9007199254740993", "9007199254740993L", "9007199254740993"),
            (Primitive::Decimal, "100.50", "100.50M", "100.50"),
            (
                Primitive::DateTimeOffset,
                "/Date(1744243200010+0000)/",
                "datetimeoffset'2025-04-10T00:00:00.010Z'",
                "2025-04-10T00:00:00.010Z",
            ),
            (
                Primitive::DateTime,
                "/Date(1744243200000)/",
                "datetime'2025-04-10T00:00:00'",
                "2025-04-10T00:00:00Z",
            ),
            (Primitive::Date, "/Date(1744243200000)/", "datetime'2025-04-10T00:00:00'", "2025-04-10"),
            (Primitive::Time, "PT04H09M12S", "time'PT04H09M12S'", "PT04H09M12S"),
        ] {
            assert_eq!(primitive.literal(Protocol::V2, value).unwrap(), v2);
            assert_eq!(primitive.literal(Protocol::V4, value).unwrap(), v4);
        }
    }

    #[test]
    fn url_07_no_value_leaves_its_literal() {
        let tricks = [
            "' or 1 eq 1 or 'a' eq '",
            "1 or true",
            "1.5M) or (true",
            "0' or '1",
            "\u{2019} or 1",
            "",
            "--1",
            "1e5",
        ];
        for trick in tricks {
            let text = Primitive::Text.literal(Protocol::V2, trick).unwrap();
            let inner = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap();
            assert!(!inner.replace("''", "").contains('\''), "{trick}");
            assert_eq!(inner.replace("''", "'"), trick);
            for primitive in [
                Primitive::Guid,
                Primitive::Boolean,
                Primitive::Integer,
                Primitive::Long,
                Primitive::Decimal,
                Primitive::DateTime,
                Primitive::DateTimeOffset,
                Primitive::Date,
                Primitive::Time,
                Primitive::Other,
            ] {
                for protocol in [Protocol::V2, Protocol::V4] {
                    assert!(primitive.literal(protocol, trick).is_err(), "{primitive:?} {trick}");
                }
            }
        }
    }

    /// The value of a text's literal as a server reads it (OData 4.01 ABNF, `string`).
    fn read(literal: &str) -> Option<String> {
        let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut quoted = false;
        let mut value = String::new();
        for c in inner.chars() {
            let doubled = c == '\'' && quoted;
            quoted = c == '\'' && !doubled;
            if !doubled {
                value.push(c);
            }
        }
        // A quote that stands alone ends the literal.
        (inner.split(|c| c != '\'').all(|run| run.len() % 2 == 0)).then_some(value)
    }

    proptest::proptest! {
        #[test]
        fn url_07_a_text_read_again_is_the_text(value in "['%&=()a\\\\\"\u{2019}/-]{0,12}|.{0,12}") {
            for protocol in [Protocol::V2, Protocol::V4] {
                let literal = Primitive::Text.literal(protocol, &value).unwrap();
                proptest::prop_assert_eq!(read(&literal), Some(value.clone()));
            }
        }

        #[test]
        fn url_07_other_types_take_nothing_that_ends_their_literal(value in "[0-9a-fTZPDHMS:.+' ()=-]{0,40}|.{0,12}") {
            for primitive in [
                Primitive::Guid, Primitive::Boolean, Primitive::Integer, Primitive::Long, Primitive::Decimal,
                Primitive::DateTime, Primitive::DateTimeOffset, Primitive::Date, Primitive::Time,
            ] {
                for protocol in [Protocol::V2, Protocol::V4] {
                    let Ok(literal) = primitive.literal(protocol, &value) else { continue };
                    let bare = literal.strip_suffix('\'').and_then(|l| l.split_once('\'')).map_or(&*literal, |(_, l)| l);
                    proptest::prop_assert!(!bare.contains(['\'', ' ', '(', ')', '=', '&', '/']), "{}", literal);
                }
            }
        }
    }
}
