//! Numbers compared by their digits: nothing here goes through floating point.

use std::cmp::Ordering;

use acople_core::json::Value;

/// A JSON number taken apart: its sign, the power of ten of its first digit, and its digits from there.
struct Parts<'a> {
    negative: bool,
    magnitude: i64,
    whole: &'a str,
    fraction: &'a str,
}

/// The digits of a number, also of one that was sent as text (`"12.30"`), as many vendors send amounts.
pub(crate) fn digits<'a>(value: &Value<'a>) -> Option<&'a str> {
    match value {
        Value::Number(number) => Some(number.as_str()),
        Value::Text(text) if !text.has_escapes() && is_number(text.raw()) => Some(text.raw()),
        _ => None,
    }
}

/// Whether the text is a number in JSON's notation.
pub(crate) fn is_number(text: &str) -> bool {
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    !text.is_empty()
        && text.bytes().all(numeric)
        && acople_core::json::value(text).is_ok_and(|value| value.as_number().is_some())
}

/// Whether a number in JSON's notation is whole: `12`, `12.0`, `1.2e1`.
pub(crate) fn is_whole(text: &str) -> bool {
    let parts = split(text);
    let significant = significant(&parts).count();
    significant == 0
        || i64::try_from(significant).is_ok_and(|digits| digits <= parts.magnitude.saturating_add(1))
}

/// Compares two numbers in JSON's notation, of any length and exponent.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (split(left), split(right));
    let sign = |parts: &Parts<'_>| match significant(parts).next() {
        None => 0,
        Some(_) if parts.negative => -1,
        Some(_) => 1,
    };
    let (left_sign, right_sign) = (sign(&left), sign(&right));
    if left_sign != right_sign || left_sign == 0 {
        return left_sign.cmp(&right_sign);
    }
    let size = left.magnitude.cmp(&right.magnitude).then_with(|| significant(&left).cmp(significant(&right)));
    if left_sign < 0 { size.reverse() } else { size }
}

/// One spelling for all spellings of a number: `1.0`, `1` and `10e-1` are the same key.
pub(crate) fn canonical(text: &str, out: &mut Vec<u8>) {
    let parts = split(text);
    let start = out.len();
    out.push(if parts.negative { b'-' } else { b'+' });
    out.extend(significant(&parts));
    if out.len() == start + 1 {
        out.truncate(start);
        out.push(b'0');
        return;
    }
    out.push(b'e');
    out.extend(parts.magnitude.to_be_bytes());
}

/// The digits without zeros at either end.
fn significant<'a>(parts: &Parts<'a>) -> impl Iterator<Item = u8> + use<'a> {
    let digits = parts.whole.bytes().chain(parts.fraction.bytes());
    let trailing = digits.clone().rev().take_while(|digit| *digit == b'0').count();
    let all = parts.whole.len() + parts.fraction.len();
    digits.take(all - trailing).skip_while(|digit| *digit == b'0')
}

fn split(text: &str) -> Parts<'_> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let exponent: i64 =
        exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX / 4);
    let magnitude = exponent.saturating_add(length(whole.len()) - 1).saturating_sub(length(zeros));
    Parts { negative, magnitude, whole, fraction }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::{canonical, compare, is_number, is_whole};

    #[test]
    fn numbers_are_compared_by_their_digits() {
        for (left, right, expected) in [
            ("1", "1.00", Equal),
            ("10e-1", "1", Equal),
            ("-0", "0.000e99", Equal),
            ("0.1", "0.09", Greater),
            ("-2", "1", Less),
            ("-2", "-3", Greater),
            ("9007199254740993", "9007199254740992", Greater),
            ("18446744073709551616", "18446744073709551615", Greater),
            ("1e400", "9e399", Greater),
            ("-1e400", "1e-400", Less),
            ("0.30000000000000000000000000001", "0.3", Greater),
            ("1e99999999999999999999", "2e5", Greater),
            ("123", "99", Greater),
            ("0.00123", "0.0012", Greater),
        ] {
            assert_eq!(compare(left, right), expected, "{left} {right}");
            assert_eq!(compare(right, left), expected.reverse(), "{right} {left}");
            let key = |text: &str| {
                let mut out = Vec::new();
                canonical(text, &mut out);
                out
            };
            assert_eq!(key(left) == key(right), expected == Equal, "{left} {right}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_fraction_or_exponent() {
        for text in ["0", "12", "12.0", "1.2e1", "1e400", "-0.0", "1200e-2"] {
            assert!(is_whole(text), "{text}");
        }
        for text in ["12.5", "1e-1", "0.001"] {
            assert!(!is_whole(text), "{text}");
        }
        assert!(
            is_number("1e5") && !is_number("+1") && !is_number("1.") && !is_number("") && !is_number(" 1")
        );
    }
}
