//! A delay that looks random and is the same each time it is asked for.

use std::hash::Hasher;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siphasher::sip::SipHasher13;

/// A delay below `bound` for the run of `name` that is due at `due`: the same in each process and after each start, so
/// that nothing runs twice or too soon because a process began anew.
pub(crate) fn delay(name: &str, due: SystemTime, bound: Duration) -> Duration {
    let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    let mut hasher = SipHasher13::new();
    hasher.write(name.as_bytes());
    let since = due.duration_since(UNIX_EPOCH).unwrap_or_default();
    hasher.write_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Duration::from_millis(hasher.finish().checked_rem(bound).unwrap_or_default())
}
