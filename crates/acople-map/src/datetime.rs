//! Dates and moments between the notations of vendors.

#![deny(clippy::arithmetic_side_effects)]

use acople_core::ErrorKind;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};

use crate::steps::{Fault, Scalar};
use crate::{Datetimes, TimeFormat};

/// A compiled change of notation.
#[derive(Clone, Debug)]
pub(crate) struct Notation {
    from: TimeFormat,
    to: TimeFormat,
    zone: Option<TimeZone>,
}

enum Moment {
    Instant(Timestamp),
    Day(Date),
}

impl Notation {
    /// # Errors
    /// The attribute that is wrong, and how.
    pub(crate) fn new(spec: &Datetimes) -> Result<Self, (&'static str, String)> {
        let zone = spec.zone.as_deref().map(zone).transpose().map_err(|message| ("zone", message))?;
        check_pattern(&spec.from, true).map_err(|message| ("from", message))?;
        check_pattern(&spec.to, false).map_err(|message| ("to", message))?;
        Ok(Self { from: spec.from.clone(), to: spec.to.clone(), zone })
    }

    /// The value in the target's notation. `text` is the digits of a number or a decoded text.
    pub(crate) fn apply(&self, text: &str) -> Result<Scalar<'static>, Fault> {
        let moment = self.read(text)?;
        self.write(&moment)
    }

    fn read(&self, text: &str) -> Result<Moment, Fault> {
        match &self.from {
            TimeFormat::Rfc3339 | TimeFormat::Rfc3339Millis | TimeFormat::IsoBasicOffset => {
                self.read_iso(text)
            }
            TimeFormat::Date => read_date(text).map(Moment::Day).ok_or_else(|| misfit("date")),
            TimeFormat::EpochSeconds => {
                let moment = whole(text).and_then(|seconds| Timestamp::from_second(seconds).ok());
                moment.map(Moment::Instant).ok_or_else(|| misfit("epoch_seconds"))
            }
            TimeFormat::EpochMillis | TimeFormat::EpochMillisText => {
                let moment = whole(text).and_then(|millis| Timestamp::from_millisecond(millis).ok());
                moment.map(Moment::Instant).ok_or_else(|| misfit("epoch_millis"))
            }
            TimeFormat::EpochMicros => {
                let moment = whole(text).and_then(|micros| Timestamp::from_microsecond(micros).ok());
                moment.map(Moment::Instant).ok_or_else(|| misfit("epoch_micros"))
            }
            TimeFormat::Odata => read_odata(text).map(Moment::Instant).ok_or_else(|| misfit("odata")),
            TimeFormat::Pattern(pattern) => self.read_pattern(pattern, text),
        }
    }

    fn read_iso(&self, text: &str) -> Result<Moment, Fault> {
        let pieces = Pieces::parse(text).map_err(|_| misfit("ISO 8601"))?;
        if pieces.time_zone_annotation().is_some() {
            return Err(misfit("ISO 8601"));
        }
        let Some(time) = pieces.time() else {
            return Ok(Moment::Day(pieces.date()));
        };
        let local = pieces.date().to_datetime(time);
        match pieces.to_numeric_offset() {
            Some(offset) => offset.to_timestamp(local).map(Moment::Instant).map_err(|_| out_of_range()),
            None => self.resolve(local),
        }
    }

    fn read_pattern(&self, pattern: &str, text: &str) -> Result<Moment, Fault> {
        let parsed = strtime::parse(pattern, text).map_err(|_| misfit("pattern"))?;
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            return parsed.to_timestamp().map(Moment::Instant).map_err(|_| misfit("pattern"));
        }
        if parsed.hour().is_some() {
            return self.resolve(parsed.to_datetime().map_err(|_| misfit("pattern"))?);
        }
        parsed.to_date().map(Moment::Day).map_err(|_| misfit("pattern"))
    }

    /// A local time in the stated zone; one that the zone skips or repeats names no moment.
    fn resolve(&self, local: DateTime) -> Result<Moment, Fault> {
        let Some(zone) = &self.zone else {
            return Err(Fault::new(ErrorKind::Schema, "is a local time, and the table names no zone"));
        };
        zone.to_ambiguous_timestamp(local).unambiguous().map(Moment::Instant).map_err(|_| {
            Fault::new(
                ErrorKind::Schema,
                "is a local time that its zone skips or repeats, or is out of range",
            )
        })
    }

    fn write(&self, moment: &Moment) -> Result<Scalar<'static>, Fault> {
        let zone = || self.zone.clone().unwrap_or(TimeZone::UTC);
        if self.to == TimeFormat::Date {
            let date = match moment {
                Moment::Day(date) => *date,
                Moment::Instant(instant) => zone().to_datetime(*instant).date(),
            };
            return in_range(date.year()).map(|()| Scalar::text(date.to_string()));
        }
        let instant = match moment {
            Moment::Instant(instant) => *instant,
            Moment::Day(date) => date.to_zoned_datetime(zone()).map_err(|_| out_of_range())?.timestamp(),
        };
        let utc = Offset::UTC.to_datetime(instant);
        in_range(utc.year())?;
        let millis = || instant.as_nanosecond().div_euclid(1_000_000).to_string();
        Ok(match &self.to {
            TimeFormat::Rfc3339 | TimeFormat::Date => Scalar::text(instant.to_string()),
            TimeFormat::Rfc3339Millis => Scalar::text(iso_millis(utc, "Z")),
            TimeFormat::IsoBasicOffset => Scalar::text(iso_millis(utc, "+0000")),
            TimeFormat::EpochSeconds => {
                Scalar::number(instant.as_nanosecond().div_euclid(1_000_000_000).to_string())
            }
            TimeFormat::EpochMillis => Scalar::number(millis()),
            TimeFormat::EpochMillisText => Scalar::text(millis()),
            TimeFormat::EpochMicros => Scalar::number(instant.as_nanosecond().div_euclid(1_000).to_string()),
            TimeFormat::Odata => Scalar::text(format!("/Date({}+0000)/", millis())),
            TimeFormat::Pattern(pattern) => {
                let zoned = instant.to_zoned_datetime(zone());
                Scalar::text(strtime::format(pattern, &zoned).map_err(|_| out_of_range())?)
            }
        })
    }
}

fn iso_millis(utc: DateTime, offset: &str) -> String {
    let millis = utc.subsec_nanosecond() / 1_000_000;
    let (date, time) = (utc.date(), utc.time());
    format!("{date}T{:02}:{:02}:{:02}.{millis:03}{offset}", time.hour(), time.minute(), time.second())
}

fn whole(text: &str) -> Option<i64> {
    crate::number::integer(text)?.parse().ok()
}

/// Strictly `YYYY-MM-DD`: more than a date in a field of dates is a surprise worth refusing.
fn read_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if shape { text.parse().ok() } else { None }
}

/// `/Date(ms)/` or `/Date(ms+offset)/`. The milliseconds count from 1970 in UTC; the offset, in minutes
/// or as `HHMM`, only says which zone the writer was in (OData 2.0, section 6).
fn read_odata(text: &str) -> Option<Timestamp> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let sign = inner.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(index, _)| index);
    let (millis, offset) = match sign {
        Some(index) => inner.split_at_checked(index)?,
        None => (inner, "+0"),
    };
    let digits = offset.trim_start_matches(['+', '-']);
    let plain = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain {
        return None;
    }
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}

fn zone(name: &str) -> Result<TimeZone, String> {
    if name.eq_ignore_ascii_case("utc") || name == "Z" {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = fixed_offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        "is no time zone: `UTC`, an offset such as `-05:00` or a name such as `America/Lima` is expected"
            .to_owned()
    })
}

fn fixed_offset(name: &str) -> Option<Offset> {
    let (west, rest) = match name.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if minutes > 59 {
        return None;
    }
    let east = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    Offset::from_seconds(if west { east.checked_neg()? } else { east }).ok()
}

/// A pattern must be able to write a moment and, where it is read, to read what it wrote.
fn check_pattern(format: &TimeFormat, read: bool) -> Result<(), String> {
    let TimeFormat::Pattern(pattern) = format else {
        return Ok(());
    };
    let sample = Date::constant(2026, 1, 2).to_datetime(Time::constant(3, 4, 5, 0));
    let written = TimeZone::UTC
        .to_timestamp(sample)
        .and_then(|instant| strtime::format(pattern, &instant.to_zoned_datetime(TimeZone::UTC)))
        .map_err(|error| format!("is no valid pattern: {error}"))?;
    if read {
        let parsed = strtime::parse(pattern, &written).map_err(|error| format!("cannot be read: {error}"))?;
        if parsed.timestamp().is_none() && parsed.to_date().is_err() {
            return Err("names no full date".to_owned());
        }
    }
    Ok(())
}

/// The years that every vendor can hold.
fn in_range(year: i16) -> Result<(), Fault> {
    if (1..=9999).contains(&year) { Ok(()) } else { Err(out_of_range()) }
}

fn misfit(notation: &str) -> Fault {
    Fault::new(ErrorKind::Schema, format!("is no date or time in the notation {notation}"))
}

fn out_of_range() -> Fault {
    Fault::new(ErrorKind::Schema, "is a date or time out of range")
}
