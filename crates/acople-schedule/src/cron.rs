//! When a cron expression is due, in a zone whose clocks may be changed.

use acople_core::{Error, Result};
use cronp::{Calendar, CivilDateTime, Vixie};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

/// Days looked at for the next time: the 29th of February can be a given weekday once in 40 years.
const DAYS: u32 = 366 * 41;

/// More than any zone has ever changed its clocks by.
const CHANGE: SignedDuration = SignedDuration::from_hours(3);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    calendar: Calendar<Vixie>,
    zone: TimeZone,
    /// It runs by the hour: an hour that comes twice counts twice, and one that is left out is left out.
    every_hour: bool,
    /// The first time of a day on which it runs.
    first: (i8, i8),
}

impl Cron {
    /// # Errors
    /// `Config` when the expression is none, or is never due, or there is no such zone.
    pub(crate) fn new(expression: &str, zone: &str) -> Result<Self> {
        let wrong = |why: String| Error::config("cron", format!("{expression:?} {why}"));
        let zone = TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| Error::config("time_zone", format!("there is no time zone {zone:?}")))?;
        let parsed = cronp::Schedule::<Vixie>::parse(expression)
            .map_err(|e| wrong(format!("is no cron expression: {e}")).with_source(e))?;
        let calendar = *parsed.calendar().ok_or_else(|| wrong("names no times".to_owned()))?;
        let first = |fits: &dyn Fn(u8) -> bool, end: i8| {
            (0..end).find(|&n| u8::try_from(n).is_ok_and(fits)).unwrap_or_default()
        };
        let cron = Self {
            calendar,
            zone,
            every_hour: (0..24).all(|hour| calendar.admits_hour(hour)),
            first: (
                first(&|hour| calendar.admits_hour(hour), 24),
                first(&|minute| calendar.admits_minute(minute), 60),
            ),
        };
        match cron.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(wrong("is never due".to_owned())),
        }
    }

    /// The next time after `now`.
    pub(crate) fn after(&self, now: Timestamp) -> Option<Timestamp> {
        // Where clocks are changed, times of day and moments run apart: begin early enough, end late enough.
        let begin = self.zone.to_datetime(now).checked_sub(CHANGE).ok()?;
        let mut best: Option<Timestamp> = None;
        let mut date = begin.date();
        for _ in 0..DAYS {
            if self.fits(date.to_datetime(time(self.first)?)) {
                for (hour, minute) in self.times() {
                    let local = date.to_datetime(time((hour, minute))?);
                    if let Some(best) = best
                        && local > self.zone.to_datetime(best).checked_add(CHANGE).ok()?
                    {
                        return Some(best);
                    }
                    if local >= begin
                        && let Some(moment) = self.moments(local).find(|&moment| moment > now)
                    {
                        best = Some(best.map_or(moment, |best| best.min(moment)));
                    }
                }
            } else if best.is_some() {
                return best;
            }
            date = date.tomorrow().ok()?;
        }
        best
    }

    /// The times of a day on which it runs.
    fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        let hours = (0..24).filter(|&h| u8::try_from(h).is_ok_and(|h| self.calendar.admits_hour(h)));
        hours.flat_map(|hour| {
            let minutes = (0..60).filter(|&m| u8::try_from(m).is_ok_and(|m| self.calendar.admits_minute(m)));
            minutes.map(move |minute| (hour, minute))
        })
    }

    fn fits(&self, local: DateTime) -> bool {
        let parts = || {
            let year = u16::try_from(local.year()).ok()?;
            let [month, day, hour, minute] = [local.month(), local.day(), local.hour(), local.minute()]
                .map(|part| u8::try_from(part).unwrap_or_default());
            CivilDateTime::new(year, month, day, hour, minute, 0).ok()
        };
        parts().is_some_and(|when| self.calendar.matches(when))
    }

    /// The moments at which clocks show this time: usually one; two when the hour comes twice, none when it is left
    /// out. What runs at a fixed hour runs once all the same.
    fn moments(&self, local: DateTime) -> impl Iterator<Item = Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let moments = match (ambiguous.is_ambiguous(), self.every_hour) {
            (false, _) | (true, false) => [ambiguous.compatible().ok(), None],
            (true, true) => {
                let both = [ambiguous.earlier().ok(), ambiguous.later().ok()];
                both.map(|moment| moment.filter(|&moment| self.zone.to_datetime(moment) == local))
            }
        };
        moments.into_iter().flatten()
    }
}

fn time((hour, minute): (i8, i8)) -> Option<jiff::civil::Time> {
    jiff::civil::Time::new(hour, minute, 0, 0).ok()
}
