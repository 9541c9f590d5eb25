//! Numbers as digits: nothing here goes through floating point.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// Longest number that is rewritten, in digits. Longer ones are no number anybody meant.
const LONGEST: usize = 4096;

/// The parts of a decimal number.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: &'a str,
}

/// A text as a JSON number of the same digits. White space around it, a leading `+`, leading zeros
/// and a bare point are forgiven; `None` when it is no number.
pub(crate) fn decimal(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let parts = split(text)?;
    let leading_zeros = parts.whole.len() > 1 && parts.whole.starts_with('0');
    let bare_point = parts.whole.is_empty() || (text.contains('.') && parts.fraction.is_empty());
    if !text.starts_with('+') && !leading_zeros && !bare_point {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len().saturating_add(1));
    if parts.negative {
        out.push('-');
    }
    let whole = parts.whole.trim_start_matches('0');
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if !parts.fraction.is_empty() {
        out.push('.');
        out.push_str(parts.fraction);
    }
    if !parts.exponent.is_empty() {
        out.push('e');
        out.push_str(parts.exponent);
    }
    Some(Cow::Owned(out))
}

/// A number, given as text, without its fraction, provided that the fraction is zero.
pub(crate) fn integer(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let parts = split(text)?;
    let plain = parts.exponent.is_empty() && parts.fraction.is_empty() && !text.contains('.');
    let canonical = parts.whole == "0" || !parts.whole.starts_with('0');
    if plain && canonical && !text.starts_with('+') {
        return Some(Cow::Borrowed(text));
    }
    let exponent: i32 = if parts.exponent.is_empty() { 0 } else { parts.exponent.parse().ok()? };
    let mut digits: Vec<u8> = parts.whole.bytes().chain(parts.fraction.bytes()).collect();
    let scale = i64::try_from(parts.whole.len()).ok()?.checked_add(i64::from(exponent))?;
    if digits.iter().all(|digit| *digit == b'0') {
        return Some(Cow::Borrowed("0"));
    }
    let length = usize::try_from(scale).ok().filter(|length| *length <= LONGEST)?;
    if digits.iter().skip(length).any(|digit| *digit != b'0') {
        return None;
    }
    digits.resize(length, b'0');
    let digits = String::from_utf8(digits).ok()?;
    let digits = digits.trim_start_matches('0');
    Some(Cow::Owned(if parts.negative { format!("-{digits}") } else { digits.to_owned() }))
}

fn split(text: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || !all_digits(digits) {
                return None;
            }
            (mantissa, exponent)
        }
        None => (rest, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let any = !whole.is_empty() || !fraction.is_empty();
    let bounded = text.len() <= LONGEST;
    (any && bounded && all_digits(whole) && all_digits(fraction)).then_some(Parts {
        negative,
        whole,
        fraction,
        exponent,
    })
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{decimal, integer};

    #[test]
    fn a_decimal_keeps_its_digits() {
        for (text, expected) in [
            ("12.30", "12.30"),
            ("-0", "-0"),
            ("1e400", "1e400"),
            ("+7", "7"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("007.10", "7.10"),
            ("+00", "0"),
            (" 3 ", "3"),
            ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
        ] {
            assert_eq!(decimal(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "1,5", "1.2.3", "0x10", "NaN", "1e", "1e+", "--1", "1 2", "٣"] {
            assert_eq!(decimal(text), None, "{text}");
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn an_integer_may_be_written_with_a_zero_fraction_or_an_exponent() {
        for (text, expected) in [
            ("12", "12"),
            ("12.00", "12"),
            ("-12.0", "-12"),
            ("1.5e1", "15"),
            ("1e3", "1000"),
            ("1200e-2", "12"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("0e9999999", "0"),
            ("0012", "12"),
            ("18446744073709551616", "18446744073709551616"),
        ] {
            assert_eq!(integer(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["12.5", "1e-1", "1e400000", "1e99999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
