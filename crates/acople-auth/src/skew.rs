//! By how much the vendor's clock differs from ours.

use std::time::{Duration, SystemTime};

use acople_http::Answer;

/// Seconds by which the vendor's clock is ahead of ours, by the answer's `Date`.
pub(crate) fn ahead(answer: &Answer) -> Option<i64> {
    let theirs = httpdate::parse_http_date(answer.header("date")?).ok()?;
    let ours = answer.received_at();
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    Some(match theirs.duration_since(ours) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    })
}

/// A time of ours by the vendor's clock; as it is where that leaves what a clock can tell.
pub(crate) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    shifted.unwrap_or(time)
}
