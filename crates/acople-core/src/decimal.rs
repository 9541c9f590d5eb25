//! Numbers of typed records, with the digits as they were sent.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{Error, ErrorKind, Result, json};

/// A number with the digits as they were sent: amounts never pass through floating point.
///
/// Reads and writes through `serde_json` only, as a JSON number.
///
/// ```
/// use acople_core::Decimal;
///
/// let price: Decimal = serde_json::from_str("1250.50").unwrap();
/// assert_eq!((price.as_str(), serde_json::to_string(&price).unwrap().as_str()), ("1250.50", "1250.50"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Decimal(Box<str>);

impl Decimal {
    /// Checks a number in JSON's notation.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else.
    pub fn new(digits: &str) -> Result<Self> {
        match json::value(digits) {
            Ok(value) if value.as_number().is_some() => Ok(Self(value.raw().into())),
            _ => Err(Error::new(ErrorKind::Invalid, "not a number")),
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({})", self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::new(raw.get()).map_err(|_| serde::de::Error::custom("not a number"))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}
