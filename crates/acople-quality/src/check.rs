//! Compiled checks and how a value fares under them.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use acople_core::json::{Row, Value};
use regex::Regex;

use crate::decimal;
use crate::moment::Moment;
use crate::{Beyond, Fresh, Kind, Length, Part, Relation, Scalar, Scope};

/// Longest text, in bytes, that a pattern is tried on: a longer one fails it.
pub(crate) const PATTERN_TEXT: usize = 16 << 10;

/// A compiled [`Check`](crate::Check). What needs memory of other records holds the place of that memory.
#[derive(Debug)]
pub(crate) enum Test {
    Required,
    NotNull,
    Type(Vec<Kind>),
    Unique { slot: usize, columns: Vec<usize>, scope: Scope, keys: usize, beyond: Beyond },
    Range(Vec<(Relation, Bound, String)>),
    Length(Length),
    Pattern(Regex),
    OneOf(Vec<Scalar>),
    ExistsIn { source: usize, name: String },
    Compare { is: Relation, column: usize, name: String },
    Fresh(Fresh),
}

/// A limit of a range.
#[derive(Debug, PartialEq)]
pub(crate) enum Bound {
    Number(String),
    Moment(i128),
}

impl Bound {
    pub(crate) fn read(scalar: &Scalar) -> Option<Self> {
        let text = scalar.text()?;
        if decimal::is_number(&text) && !matches!(scalar, Scalar::Bool(_)) {
            return Some(Self::Number(text.into_owned()));
        }
        Moment::read(&text).map(|moment| Self::Moment(moment.nanoseconds()))
    }

    /// How a value stands to the bound; `None` when it has no order with it.
    fn compare(&self, value: &Value<'_>) -> Option<Ordering> {
        match self {
            Self::Number(bound) => decimal::digits(value).map(|digits| decimal::compare(digits, bound)),
            Self::Moment(bound) => Moment::of(value).map(|moment| moment.nanoseconds().cmp(bound)),
        }
    }
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::AtLeast => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Less => "less than",
            Self::AtMost => "at most",
            Self::Equal => "equal to",
            Self::NotEqual => "other than",
            Self::AtLeast => "at least",
            Self::Greater => "more than",
        }
    }
}

impl Test {
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Required | Self::NotNull => Part::Completeness,
            Self::Unique { .. } => Part::Uniqueness,
            Self::ExistsIn { .. } | Self::Compare { .. } => Part::Consistency,
            _ => Part::Validity,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::NotNull => "not_null",
            Self::Type(_) => "type",
            Self::Unique { .. } => "unique",
            Self::Range(_) => "range",
            Self::Length(_) => "length",
            Self::Pattern(_) => "pattern",
            Self::OneOf(_) => "one_of",
            Self::ExistsIn { .. } => "exists_in",
            Self::Compare { .. } => "compare",
            Self::Fresh(_) => "fresh",
        }
    }

    /// What should have been, in words. Rules are the host's own: they may be quoted.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Required => "a value".to_owned(),
            Self::NotNull => "anything but null".to_owned(),
            Self::Type(kinds) => kinds.iter().map(|kind| kind_name(*kind)).collect::<Vec<_>>().join(" or "),
            Self::Unique { scope: Scope::Batch, .. } => "a value that occurs once in the batch".to_owned(),
            Self::Unique { .. } => "a value that occurs once in the run".to_owned(),
            Self::Range(bounds) => {
                let words = bounds.iter().map(|(is, _, text)| format!("{} {text}", is.words()));
                words.collect::<Vec<_>>().join(" and ")
            }
            Self::Length(length) => match (length.min, length.max) {
                (Some(min), Some(max)) => format!("a length of {min} to {max}"),
                (Some(min), None) => format!("a length of at least {min}"),
                (None, Some(max)) => format!("a length of at most {max}"),
                (None, None) => "any length".to_owned(),
            },
            Self::Pattern(regex) => {
                format!("a text of at most {PATTERN_TEXT} bytes that matches `{}`", regex.as_str())
            }
            Self::OneOf(values) => {
                let values: Vec<_> = values.iter().map(|v| v.text().unwrap_or("null".into())).collect();
                format!("one of {}", values.join(", "))
            }
            Self::ExistsIn { name, .. } => format!("a key of {name}"),
            Self::Compare { is, name, .. } => format!("a value {} {name}", is.words()),
            Self::Fresh(fresh) => format!("a time within the last {} s", fresh.seconds),
        }
    }

    /// Whether the value passes; `None` when the check does not apply to it. Not for `unique` and `exists_in`.
    pub(crate) fn passes(&self, value: &Value<'_>, row: Row<'_>, now: SystemTime) -> Option<bool> {
        match self {
            Self::Required => return Some(!value.is_missing() && !value.is_null()),
            Self::NotNull => return Some(!value.is_null()),
            _ if value.is_missing() || value.is_null() => return None,
            _ => {}
        }
        Some(match self {
            Self::Type(kinds) => kinds.iter().any(|kind| is_kind(value, *kind)),
            Self::Range(bounds) => {
                bounds.iter().all(|(is, bound, _)| bound.compare(value).is_some_and(|o| is.holds(o)))
            }
            Self::Length(length) => {
                let counted = count(value)?;
                length.min.is_none_or(|min| counted >= min) && length.max.is_none_or(|max| counted <= max)
            }
            Self::Pattern(regex) => match value.scalar_text() {
                Ok(Some(text)) => text.len() <= PATTERN_TEXT && regex.is_match(&text),
                _ => false,
            },
            Self::OneOf(values) => values.iter().any(|allowed| same(value, allowed)),
            Self::Compare { is, column, .. } => {
                let other = row.get(*column);
                if other.is_missing() || other.is_null() {
                    return None;
                }
                relation(value, &other, *is)
            }
            Self::Fresh(fresh) => Moment::of(value).is_some_and(|moment| is_fresh(moment, *fresh, now)),
            _ => return None,
        })
    }
}

/// Whether a value is the fixed one.
pub(crate) fn same(value: &Value<'_>, fixed: &Scalar) -> bool {
    let Some(text) = fixed.text() else { return value.is_missing() || value.is_null() };
    match value {
        Value::Text(sent) => sent.eq_str(&text),
        Value::Number(number) => {
            number.as_str() == text
                || (decimal::is_number(&text) && decimal::compare(number.as_str(), &text).is_eq())
        }
        Value::Bool(_) => value.raw() == text,
        _ => false,
    }
}

fn relation(left: &Value<'_>, right: &Value<'_>, is: Relation) -> bool {
    let ordered = match (decimal::digits(left), decimal::digits(right)) {
        (Some(left), Some(right)) => Some(decimal::compare(left, right)),
        _ => match (Moment::of(left), Moment::of(right)) {
            (Some(left), Some(right)) => Some(left.nanoseconds().cmp(&right.nanoseconds())),
            _ => None,
        },
    };
    match (ordered, is) {
        (Some(ordering), _) => is.holds(ordering),
        (None, Relation::Equal | Relation::NotEqual) => {
            let text = |value: &Value<'_>| match value.scalar_text() {
                Ok(Some(text)) => text.into_owned(),
                _ => value.raw().to_owned(),
            };
            (text(left) == text(right)) == (is == Relation::Equal)
        }
        _ => false,
    }
}

fn is_fresh(moment: Moment, fresh: Fresh, now: SystemTime) -> bool {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
    let nanoseconds = |seconds: u64| i128::from(seconds) * 1_000_000_000;
    // A day is as fresh as its end.
    let (begin, end) = match moment {
        Moment::Instant(at) => (at, at),
        Moment::Day(_) => (moment.nanoseconds(), moment.nanoseconds() + nanoseconds(86_399)),
    };
    end >= now - nanoseconds(fresh.seconds) && begin <= now + nanoseconds(fresh.ahead)
}

fn count(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::Text(text) if text.has_escapes() => {
            // Half of a surrogate pair is one character of three bytes.
            Some(text.decode().map_or_else(|_| text.decoded_len(), |text| text.chars().count()))
        }
        Value::Text(text) => Some(text.raw().chars().count()),
        Value::Array(list) => Some(acople_core::json::elements(list).count()),
        _ => None,
    }
}

fn is_kind(value: &Value<'_>, kind: Kind) -> bool {
    match kind {
        Kind::Boolean => value.as_bool().is_some(),
        Kind::Integer => value.as_number().is_some_and(|number| decimal::is_whole(number.as_str())),
        Kind::Number => value.as_number().is_some(),
        Kind::Text => value.as_text().is_some(),
        Kind::Decimal => decimal::digits(value).is_some(),
        Kind::Date => matches!(Moment::of(value), Some(Moment::Day(_))),
        Kind::DateTime => matches!(Moment::of(value), Some(Moment::Instant(_))),
        Kind::Array => matches!(value, Value::Array(_)),
        Kind::Object => matches!(value, Value::Object(_)),
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "a truth value",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Text => "a text",
        Kind::Decimal => "a number or a text of digits",
        Kind::Date => "a date",
        Kind::DateTime => "a date with a time",
        Kind::Array => "a list",
        Kind::Object => "an object",
    }
}
