//! The sandbox's own time. It stands still between writes, so that every run gives the same timestamps.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::Offset};

/// 2026-01-02T03:04:05Z in Unix milliseconds: where every sandbox starts unless told otherwise.
pub(crate) const START_MS: i64 = 1_767_323_045_000;

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A clock that moves only when told to.
#[derive(Debug)]
pub(crate) struct ServerClock {
    now_ms: i64,
}

impl ServerClock {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self { now_ms }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now_ms
    }

    /// One millisecond on: the time of one write call.
    pub(crate) fn tick(&mut self) -> i64 {
        self.now_ms = self.now_ms.saturating_add(1);
        self.now_ms
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now_ms = self.now_ms.saturating_add(millis(by));
    }
}

/// Whole milliseconds of a duration, as the clock counts them.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-01-02T03:04:05.678`, without an offset: each vendor writes its own.
pub(crate) fn civil_text(ms: i64) -> String {
    let at = Offset::UTC.to_datetime(Timestamp::from_millisecond(ms).unwrap_or_default());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Unix milliseconds of an ISO 8601 instant with an offset.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Whether the text is a calendar day, `2026-01-02`.
pub(crate) fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

/// Unix milliseconds of midnight UTC of a calendar day.
pub(crate) fn parse_day(text: &str) -> Option<i64> {
    if text.len() != 10 {
        return None;
    }
    let midnight = text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight());
    Offset::UTC.to_timestamp(midnight).ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_writing_and_reading() {
        assert_eq!(civil_text(START_MS), "2026-01-02T03:04:05.000");
        for suffix in ["Z", "+0000", "+00:00"] {
            let text = format!("{}{suffix}", civil_text(START_MS + 678));
            assert_eq!(parse_instant(&text), Some(START_MS + 678), "{text}");
        }
        assert_eq!(parse_instant("2026-01-02T05:04:05.000+02:00"), Some(START_MS));
    }

    #[test]
    fn days_are_ten_characters_and_real() {
        assert!(is_day("2024-02-29"));
        assert!(!is_day("2026-02-29"));
        assert!(!is_day("2026-01-02T00:00:00Z"));
        assert_eq!(parse_day("1970-01-02"), Some(DAY_MS));
    }
}
