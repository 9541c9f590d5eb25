//! Dates and times of records, made comparable.

use acople_core::json::Value;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// What an ISO 8601 text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A day.
    Day(Date),
    /// A moment, in nanoseconds since 1970. A time without an offset counts as UTC.
    Instant(i128),
}

impl Moment {
    /// Reads `2026-01-02` or `2026-01-02T03:04:05Z` and their variants; an offset may be `+00:00` or `+0000`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        // The cheap look first: most texts are no dates.
        let plausible = (8..=40).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_digit());
        if !plausible {
            return None;
        }
        let pieces = Pieces::parse(text).ok().filter(|pieces| pieces.time_zone_annotation().is_none())?;
        let Some(time) = pieces.time() else { return Some(Self::Day(pieces.date())) };
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        let instant = offset.to_timestamp(pieces.date().to_datetime(time)).ok()?;
        Some(Self::Instant(instant.as_nanosecond()))
    }

    /// The moment of a value that is such a text.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        let text = value.as_text()?;
        if text.has_escapes() { Self::read(&text.decode().ok()?) } else { Self::read(text.raw()) }
    }

    /// Nanoseconds since 1970; a day begins at midnight UTC.
    pub(crate) fn nanoseconds(self) -> i128 {
        match self {
            Self::Instant(at) => at,
            Self::Day(date) => Offset::UTC
                .to_timestamp(date.to_datetime(Time::midnight()))
                .map_or(i128::MIN, Timestamp::as_nanosecond),
        }
    }
}
