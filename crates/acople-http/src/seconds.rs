//! Times in config files: seconds, with a fraction where needed.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads a time; one that is negative or no number is an error.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(from)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| de::Error::custom("must be seconds, zero or more"))
}
