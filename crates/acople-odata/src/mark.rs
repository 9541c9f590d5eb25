//! Change values in the order of their type: what the books of incremental reads count by.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::literal::Primitive;
use crate::moment::Moment;

const DAY: u64 = 24 * 60 * 60;

/// A change value in the spelling of [`Primitive::normal`].
///
/// Texts are compared byte by byte, whatever the service sorts by: a mark is always a value that was read, so that
/// one which is too low costs a longer look back and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Mark {
    #[serde(rename = "type")]
    primitive: Primitive,
    value: String,
}

impl Mark {
    pub(crate) fn new(primitive: Primitive, value: String) -> Self {
        Self { primitive, value }
    }

    pub(crate) fn primitive(&self) -> Primitive {
        self.primitive
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    fn earlier(&self, seconds: u64) -> Option<String> {
        let moment = Moment::parse(&self.value).ok()?.minus_seconds(i64::try_from(seconds).ok()?);
        self.primitive.normal(&moment.to_text().ok()?).ok()
    }
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |mark: &Self| mark.primitive.ticks(&mark.value);
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.value.cmp(&other.value))
            .then_with(|| self.primitive.cmp(&other.primitive))
    }
}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl acople_http::Moment for Mark {
    /// Days go back by whole ones: a day that has begun counts whole.
    fn back(&self, by: Duration) -> Self {
        let seconds = by.as_secs().saturating_add(u64::from(by.subsec_nanos() > 0));
        let seconds = match self.primitive {
            Primitive::Date => seconds.div_ceil(DAY).saturating_mul(DAY),
            primitive if primitive.is_temporal() => seconds,
            _ => return self.clone(),
        };
        let value = self.earlier(seconds).unwrap_or_else(|| self.value.clone());
        Self { primitive: self.primitive, value }
    }
}

#[cfg(test)]
mod tests {
    use acople_http::Moment as _;

    use super::*;

    fn mark(primitive: Primitive, value: &str) -> Mark {
        Mark::new(primitive, value.into())
    }

    #[test]
    fn marks_are_ordered_as_their_type_is() {
        for (primitive, low, high) in [
            (Primitive::DateTimeOffset, "2025-01-01T00:00:01Z", "2025-01-01T00:00:01.5Z"),
            (Primitive::DateTime, "2024-12-31T23:59:59.9999", "2025-01-01T00:00:00"),
            (Primitive::Date, "2024-12-31", "2025-01-01"),
            (Primitive::Integer, "-10", "9"),
            (Primitive::Long, "9", "9007199254740993"),
            (Primitive::Decimal, "99.9", "100"),
            (Primitive::Decimal, "20250101120000.1234567", "20250101120000.1234568"),
            (Primitive::Decimal, "-0.5", "-0.25"),
            (Primitive::Text, "20250101", "20250102"),
        ] {
            assert!(mark(primitive, low) < mark(primitive, high), "{primitive:?} {low} {high}");
        }
    }

    #[test]
    fn times_go_back_and_other_marks_stay() {
        let minute = Duration::from_secs(60);
        for (primitive, value, expected) in [
            (Primitive::DateTimeOffset, "2025-01-01T00:00:00.1234567Z", "2024-12-31T23:59:00.1234567Z"),
            (Primitive::DateTime, "2025-01-01T00:00:00", "2024-12-31T23:59:00"),
            (Primitive::Date, "2025-03-01", "2025-02-28"),
            (Primitive::Long, "17", "17"),
            (Primitive::Text, "2025-01-01", "2025-01-01"),
        ] {
            assert_eq!(mark(primitive, value).back(minute).value(), expected);
        }
        let date = mark(Primitive::Date, "2025-03-01");
        assert_eq!(date.back(Duration::from_secs(DAY)).value(), "2025-02-28");
        assert_eq!(date.back(Duration::from_millis(1)).value(), "2025-02-28");
        assert_eq!(date.back(Duration::ZERO), date);
        assert_eq!(date.back(Duration::MAX), date, "what lies before all days has no notation");
    }
}
