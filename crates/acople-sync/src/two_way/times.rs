//! When a record was changed, in the spellings that vendors use.

use acople_core::json::Value;

/// Milliseconds since 1970: of a number, or of a text in ISO 8601 with `Z` or an offset. `None` for what is no
/// such time, or has no offset: whose local time it is nobody knows.
pub(super) fn millis(value: &Value<'_>) -> Option<i64> {
    let text = value.scalar_text().ok()??;
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (time, offset) = split_offset(rest)?;
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let (second, fraction) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
        None => ("0", "0"),
    };
    let second = second.parse::<i64>().ok()?;
    let fraction: String = fraction.chars().chain("00".chars()).take(3).collect();
    let milli = fraction.parse::<i64>().ok()?;
    let sound = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !sound {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000 + milli)
}

/// A time of day and the seconds that its offset is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (time, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let number: i64 = digits.parse().ok()?;
    let seconds = match digits.len() {
        2 => number * 3_600,
        4 => number / 100 * 3_600 + number % 100 * 60,
        _ => return None,
    };
    Some((time, sign * seconds))
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_vendors_are_read() {
        let table = [
            ("\"1970-01-01T00:00:00Z\"", Some(0)),
            ("\"2026-11-24T11:54:07.250Z\"", Some(1_795_521_247_250)),
            ("\"2026-11-24T11:54:07.250+0000\"", Some(1_795_521_247_250)),
            ("\"2026-11-24T13:54:07.25+02:00\"", Some(1_795_521_247_250)),
            ("\"2026-11-24 09:54:07-02\"", Some(1_795_521_247_000)),
            ("\"2024-02-29T00:00Z\"", Some(1_709_164_800_000)),
            ("1795521247250", Some(1_795_521_247_250)),
            ("\"1795521247250\"", Some(1_795_521_247_250)),
            ("\"2026-11-24T11:54:07\"", None),
            ("\"2026-13-24T11:54:07Z\"", None),
            ("\"yesterday\"", None),
            ("null", None),
            ("[1]", None),
        ];
        for (text, wanted) in table {
            let value = acople_core::json::value(text).unwrap();
            assert_eq!(millis(&value), wanted, "{text}");
        }
    }
}
