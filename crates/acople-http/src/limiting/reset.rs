//! When a quota that is counted by the calendar starts anew.

#![deny(clippy::arithmetic_side_effects)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::next_midnight;

/// Nobody's quota has a longer period: what a rule cannot tell is looked at again after it.
const DAY: Duration = Duration::from_secs(86_400);

/// When a quota starts anew: at midnight of a place, at each full minute or hour, or by a rule of your own.
///
/// ```
/// use acople_http::Reset;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let noon = UNIX_EPOCH + Duration::from_secs(12 * 3600);
/// assert_eq!(Reset::midnight(0).next(noon), noon + Duration::from_secs(12 * 3600));
/// assert_eq!(Reset::every(Duration::from_secs(3600)).next(noon), noon + Duration::from_secs(3600));
/// ```
#[derive(Clone)]
pub struct Reset {
    name: Arc<str>,
    rule: Arc<dyn Fn(SystemTime) -> Option<SystemTime> + Send + Sync>,
}

impl Reset {
    /// Each midnight of a place so many minutes east of UTC.
    pub fn midnight(utc_offset_minutes: i16) -> Self {
        Self::rule(format!("midnight, {utc_offset_minutes} minutes east of UTC"), move |now| {
            Some(next_midnight(now, utc_offset_minutes))
        })
    }

    /// Each midnight in a zone of the IANA database (`America/Los_Angeles`), on days of 23 and 25 hours too.
    ///
    /// The database is compiled in: neither the machine's nor the environment is asked.
    ///
    /// # Errors
    /// `Config` when there is no such zone.
    #[cfg(feature = "zones")]
    pub fn midnight_in(zone: &str) -> acople_core::Result<Self> {
        let zone = jiff::tz::TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| acople_core::Error::config("time_zone", format!("there is no time zone {zone}")))?;
        let name = format!("midnight in {}", zone.iana_name().unwrap_or_default());
        Ok(Self::rule(name, move |now| {
            let now = jiff::Timestamp::try_from(now).ok()?.to_zoned_datetime(zone.clone());
            // The start of a day need not be 0:00: some zones change their clocks at that hour.
            let start = now.tomorrow().ok()?.start_of_day().ok()?;
            SystemTime::try_from(start.timestamp()).ok()
        }))
    }

    /// Each multiple of a period since 1970 in UTC: full minutes, full hours.
    pub fn every(per: Duration) -> Self {
        let nanos = per.as_nanos().max(1);
        Self::rule(format!("every {per:?}"), move |now| {
            let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
            let left = u64::try_from(nanos.checked_sub(since.checked_rem(nanos)?)?).ok()?;
            now.checked_add(Duration::from_nanos(left))
        })
    }

    /// By a rule of your own, named for people: a billing month, for example.
    ///
    /// The rule is given the time and answers with the next reset after it; an answer that is not after it, or
    /// none, counts as a day later.
    pub fn rule(
        name: impl Into<Arc<str>>,
        rule: impl Fn(SystemTime) -> Option<SystemTime> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), rule: Arc::new(rule) }
    }

    /// The next reset: always after `now`.
    pub fn next(&self, now: SystemTime) -> SystemTime {
        let told = (self.rule)(now).filter(|next| *next > now);
        told.or_else(|| now.checked_add(DAY)).unwrap_or(now)
    }

    /// What the rule is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reset").field(&self.name).finish()
    }
}
