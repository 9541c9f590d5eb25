//! Points in time as OData writes them, kept to the digit.

use acople_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A point in UTC: whole seconds since 1970, and the digits behind the point as they were sent.
///
/// The digits are kept because a value that is compared with `eq` must be the very value that the service
/// sent; OData allows up to twelve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    seconds: i64,
    fraction: String,
}

impl Moment {
    /// Reads `/Date(ms)/`, `/Date(ms+0000)/` (OData 2.0 JSON: the milliseconds are UTC, the offset is for
    /// display), or ISO 8601 with a zone, without one (UTC), or without a time.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::from_ticks(text)
            .or_else(|| Self::from_iso(text))
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the service sent a time that is none"))
    }

    fn from_ticks(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
        // The sign of the offset is not that of the milliseconds.
        let digits = inner.get(1..)?.find(['+', '-']).map_or(inner, |at| inner.get(..=at).unwrap_or(inner));
        let ms: i64 = digits.parse().ok()?;
        let rest = ms.rem_euclid(1000);
        let fraction = if rest == 0 { String::new() } else { format!("{rest:03}") };
        Some(Self { seconds: ms.div_euclid(1000), fraction })
    }

    fn from_iso(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
        let (clock, zone) = match time.find(['Z', '+', '-']) {
            Some(at) => time.split_at_checked(at)?,
            None => (time, "Z"),
        };
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let whole = match clock.len() {
            5 => format!("{date}T{clock}:00"),
            8 => format!("{date}T{clock}"),
            _ => return None,
        };
        if fraction.len() > 12 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let civil: DateTime = whole.parse().ok()?;
        let seconds = TimeZone::UTC.to_timestamp(civil).ok()?.as_second();
        Some(Self { seconds: seconds.checked_sub(offset(zone)?)?, fraction: fraction.to_owned() })
    }

    /// `2025-04-10T00:00:00.010`, without a zone.
    pub(crate) fn to_text(&self) -> Result<String> {
        let whole = Timestamp::from_second(self.seconds)
            .map_err(|_| Error::new(ErrorKind::Protocol, "the service sent a time out of range"))?
            .to_string();
        let whole = whole.trim_end_matches('Z');
        Ok(if self.fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{}", self.fraction) })
    }

    /// `2025-04-10`.
    pub(crate) fn to_date(&self) -> Result<String> {
        let text = self.to_text()?;
        Ok(text.split('T').next().unwrap_or_default().to_owned())
    }

    /// Picoseconds, to compare and to count.
    pub(crate) fn ticks(&self) -> i128 {
        let fraction: i128 = format!("{:0<12}", self.fraction).parse().unwrap_or(0);
        i128::from(self.seconds).saturating_mul(1_000_000_000_000).saturating_add(fraction)
    }

    pub(crate) fn minus_seconds(mut self, seconds: i64) -> Self {
        self.seconds = self.seconds.saturating_sub(seconds);
        self
    }

    /// The next millisecond.
    pub(crate) fn next_milli(&self) -> Self {
        let ms = self.ticks().div_euclid(1_000_000_000).saturating_add(1);
        let rest = ms.rem_euclid(1000);
        let seconds = i64::try_from(ms.div_euclid(1000)).unwrap_or(self.seconds);
        let fraction = if rest == 0 { String::new() } else { format!("{rest:03}") };
        Self { seconds, fraction }
    }
}

/// Seconds east of UTC of `Z` or `+02:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = i64::from(hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?);
    match sign {
        "+" => Some(seconds),
        "-" => seconds.checked_neg(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> Option<String> {
        Moment::parse(input).ok().and_then(|m| m.to_text().ok())
    }

    #[test]
    fn both_notations_of_a_time_become_utc_to_the_digit() {
        for (input, expected) in [
            ("/Date(1735693200001+0000)/", "2025-01-01T01:00:00.001"),
            ("/Date(397008000000)/", "1982-08-01T00:00:00"),
            ("/Date(1735693200000+0120)/", "2025-01-01T01:00:00"),
            ("/Date(-1)/", "1969-12-31T23:59:59.999"),
            ("/Date(-86400000-0060)/", "1969-12-31T00:00:00"),
            ("2025-01-01T01:00:00.1234567Z", "2025-01-01T01:00:00.1234567"),
            ("2025-01-01T01:00:00.10Z", "2025-01-01T01:00:00.10"),
            ("2025-01-01T01:00:00+02:00", "2024-12-31T23:00:00"),
            ("2025-01-01T01:00", "2025-01-01T01:00:00"),
            ("2025-01-01", "2025-01-01T00:00:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ] {
            assert_eq!(text(input).as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for input in [
            "",
            "/Date()/",
            "/Date(x)/",
            "yesterday",
            "2025-13-01",
            "2025-01-01T25:00:00Z",
            "2025-01-01T00:00:00Z' or 1 eq 1",
            "2025-01-01T00:00:00.1234567890123Z",
            "2025-01-01T00:00:00+2:00",
        ] {
            assert_eq!(text(input), None, "{input}");
        }
    }

    #[test]
    fn moments_compare_and_step() {
        let a = Moment::parse("2025-01-01T00:00:00.9994Z").unwrap();
        let b = Moment::parse("2025-01-01T00:00:01Z").unwrap();
        assert!(a.ticks() < b.ticks());
        assert_eq!(a.next_milli().to_text().unwrap(), "2025-01-01T00:00:01");
        assert_eq!(b.next_milli().to_text().unwrap(), "2025-01-01T00:00:01.001");
        assert_eq!(a.minus_seconds(60).to_text().unwrap(), "2024-12-31T23:59:00.9994");
    }
}
