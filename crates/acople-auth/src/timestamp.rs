//! Times as signatures write them.

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeFormat {
    /// Seconds since 1970: `1767225600`.
    #[default]
    UnixSeconds,
    /// Milliseconds since 1970: `1767225600000`.
    UnixMillis,
    /// `2026-01-01T00:00:00Z` (RFC 3339).
    Rfc3339,
    /// `20260101T000000Z` (ISO 8601, basic).
    Iso8601Basic,
    /// `Thu, 01 Jan 2026 00:00:00 GMT` (RFC 9110).
    HttpDate,
}

impl TimeFormat {
    pub(crate) fn write(self, time: SystemTime) -> String {
        let since = since_1970(time);
        let civil = |format: &str| {
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime(format).to_string()
        };
        match self {
            Self::UnixSeconds => since.as_secs().to_string(),
            Self::UnixMillis => since.as_millis().to_string(),
            Self::Rfc3339 => civil("%Y-%m-%dT%H:%M:%SZ"),
            Self::Iso8601Basic => civil("%Y%m%dT%H%M%SZ"),
            Self::HttpDate => httpdate::fmt_http_date(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)),
        }
    }
}

/// No vendor takes a time before 1970, or after 9999: a clock that shows one is as good as one that shows that
/// year.
pub(crate) fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().min(Duration::from_secs(253_402_300_799))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_in_every_format() {
        let time = UNIX_EPOCH + Duration::from_millis(1_767_225_600_250);
        let written = [
            (TimeFormat::UnixSeconds, "1767225600"),
            (TimeFormat::UnixMillis, "1767225600250"),
            (TimeFormat::Rfc3339, "2026-01-01T00:00:00Z"),
            (TimeFormat::Iso8601Basic, "20260101T000000Z"),
            (TimeFormat::HttpDate, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ];
        for (format, text) in written {
            assert_eq!(format.write(time), text);
        }
    }

    #[test]
    fn clocks_beyond_the_calendar_do_no_harm() {
        for time in [UNIX_EPOCH - Duration::from_secs(9), UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            for format in [TimeFormat::HttpDate, TimeFormat::Rfc3339, TimeFormat::UnixMillis] {
                assert!(!format.write(time).is_empty());
            }
        }
    }
}
