//! When something is due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, Result};
use jiff::Timestamp;

use crate::cron::Cron;

/// When something is due.
///
/// ```
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
/// use acople_schedule::Schedule;
///
/// let nightly = Schedule::cron("30 2 * * MON-FRI", "Europe/Madrid")?;
/// let friday_noon = UNIX_EPOCH + Duration::from_secs(1_788_523_200); // 2026-09-04, 12:00 UTC
/// let monday = nightly.after(friday_noon).unwrap();
/// assert_eq!(monday.duration_since(friday_noon)?, Duration::from_secs(60 * (2 * 1440 + 12 * 60 + 30)));
///
/// let often = Schedule::default(); // every 15 minutes
/// assert_eq!(often.after(friday_noon).unwrap().duration_since(friday_noon)?, Duration::from_secs(900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Every(Duration),
    Cron(Box<Cron>),
    Never,
}

impl Default for Schedule {
    /// Every 15 minutes.
    fn default() -> Self {
        Self(Kind::Every(Duration::from_secs(15 * 60)))
    }
}

impl Schedule {
    /// At each multiple of a period since 1970 in UTC: full minutes, full hours.
    ///
    /// # Errors
    /// `Config` for a period below a millisecond.
    pub fn every(period: Duration) -> Result<Self> {
        if period < Duration::from_millis(1) {
            return Err(Error::config("every", "the shortest period is a millisecond"));
        }
        Ok(Self(Kind::Every(period)))
    }

    /// By a cron expression as in crontab(5): minute, hour, day of month, month, day of week, or a nickname such as
    /// `@daily`; in a zone of the IANA database, which is compiled in. When day of month and day of week are both
    /// given, either suffices.
    ///
    /// Where clocks are changed: a fixed hour that is left out runs as much later, one that comes twice runs the first
    /// time. With `*` as hour, each hour that there is counts.
    ///
    /// # Errors
    /// `Config` when the expression is none or never due, or there is no such zone.
    pub fn cron(expression: &str, zone: &str) -> Result<Self> {
        Ok(Self(Kind::Cron(Box::new(Cron::new(expression, zone)?))))
    }

    /// Never by itself: only when triggered.
    pub fn by_hand() -> Self {
        Self(Kind::Never)
    }

    /// The first time after `now`; `None` when there is none.
    pub fn after(&self, now: SystemTime) -> Option<SystemTime> {
        match &self.0 {
            Kind::Every(period) => {
                let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
                let period = period.as_nanos();
                let next = since.checked_div(period)?.checked_add(1)?.checked_mul(period)?;
                let seconds = u64::try_from(next / 1_000_000_000).ok()?;
                let nanos = u32::try_from(next % 1_000_000_000).ok()?;
                UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
            }
            Kind::Cron(cron) => {
                let next = cron.after(Timestamp::try_from(now).ok()?)?;
                SystemTime::try_from(next).ok()
            }
            Kind::Never => None,
        }
    }
}
