//! When a daily quota starts anew.

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The next midnight of a place so many minutes east of UTC: when the quotas of vendors that count by calendar
/// days start anew.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let noon = UNIX_EPOCH + Duration::from_secs(12 * 3600);
/// let in_new_york = acople_http::next_midnight(noon, -300);
/// assert_eq!(in_new_york.duration_since(noon)?, Duration::from_secs(17 * 3600));
/// # Ok::<(), std::time::SystemTimeError>(())
/// ```
pub fn next_midnight(now: SystemTime, utc_offset_minutes: i16) -> SystemTime {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
    let local = seconds.saturating_add(i64::from(utc_offset_minutes).saturating_mul(60));
    let left = DAY.saturating_sub(local.rem_euclid(DAY));
    let midnight = Duration::from_secs(u64::try_from(seconds.saturating_add(left)).unwrap_or(0));
    UNIX_EPOCH.checked_add(midnight).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_07_midnight_is_the_places_own_and_never_now() {
        let at = |hours: u64| UNIX_EPOCH + Duration::from_secs(hours * 3600);
        for (now, offset, midnight) in [(12, 0, 24), (12, -300, 29), (12, 780, 35), (24, 0, 48), (0, 60, 23)]
        {
            assert_eq!(next_midnight(at(now), offset), at(midnight), "{now} {offset}");
        }
        for far in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            assert!(next_midnight(far, i16::MIN) > far);
        }
    }
}
