use std::fmt;

/// A JSON number: its digits as they were sent.
///
/// Two of them are equal when they were sent with the same digits: `1.0` is not `1.00`. `Debug` prints the
/// length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number<'a> {
    digits: &'a str,
}

impl<'a> Number<'a> {
    pub(super) fn new(digits: &'a str) -> Self {
        Self { digits }
    }

    /// The digits, with sign, point and exponent as sent.
    pub fn as_str(&self) -> &'a str {
        self.digits
    }

    /// The number, if it is whole (`12`, `12.0`, `1.2e1`) and fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.digits.parse().ok().or_else(|| i64::try_from(self.to_scaled(0)?).ok())
    }

    /// The number, if it is whole, not negative and fits.
    pub fn to_u64(&self) -> Option<u64> {
        self.digits.parse().ok().or_else(|| u64::try_from(self.to_scaled(0)?).ok())
    }

    /// The nearest floating-point number, which may have lost digits. `None` beyond the range of `f64`.
    pub fn to_f64(&self) -> Option<f64> {
        self.digits.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The number times ten to the power of `decimals`: `12.30` with 2 decimals is 1230.
    ///
    /// `None` when that is not whole or does not fit; nothing is rounded.
    pub fn to_scaled(&self, decimals: u8) -> Option<i128> {
        let (negative, unsigned) = match self.digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.digits),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

        let digits = whole.bytes().chain(fraction.bytes());
        let zeros = digits.clone().rev().take_while(|digit| *digit == b'0').count();
        let left = whole.len().checked_add(fraction.len())?.checked_sub(zeros)?;
        if left == 0 {
            return Some(0);
        }
        let mut magnitude: u128 = 0;
        for digit in digits.take(left) {
            magnitude = magnitude.checked_mul(10)?.checked_add(u128::from(digit.checked_sub(b'0')?))?;
        }
        let shift = exponent
            .checked_add(i64::try_from(zeros).ok()?)?
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(i64::from(decimals))?;
        magnitude = magnitude.checked_mul(10_u128.checked_pow(u32::try_from(shift).ok()?)?)?;
        if negative { 0_i128.checked_sub_unsigned(magnitude) } else { 0_i128.checked_add_unsigned(magnitude) }
    }
}

/// An exponent too long for `i64` is out of range in either direction; half the range leaves room to add.
fn exponent_of(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 })
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits)
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({} bytes)", self.digits.len())
    }
}
