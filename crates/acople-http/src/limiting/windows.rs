//! Limits that count units in windows: fixed ones, sliding ones, and those of the calendar.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::Reset;
use crate::limiting::gate::{Now, until};

/// Slices of a sliding window. A window touches one more than it has.
const SLICES: usize = 32;

/// A window that begins with its first call.
pub(crate) struct Fixed {
    pub(crate) units: u32,
    pub(crate) per: Duration,
    used: u32,
    ends: Option<Instant>,
}

impl Fixed {
    pub(crate) fn new(units: u32, per: Duration) -> Self {
        Self { units, per, used: 0, ends: None }
    }

    pub(crate) fn ready_at(&self, now: Instant, spent: u32, cost: u32) -> Instant {
        let open = self.ends.filter(|ends| *ends > now);
        let used = if open.is_some() { self.used } else { 0 };
        if fits(used, spent, cost, self.units) { now } else { open.unwrap_or(now + self.per) }
    }

    pub(crate) fn spend(&mut self, now: Instant, cost: u32) {
        if self.ends.is_none_or(|ends| ends <= now) {
            (self.used, self.ends) = (0, Some(now + self.per));
        }
        self.used = self.used.saturating_add(cost);
    }

    pub(crate) fn adopt(&mut self, old: &Self) {
        (self.used, self.ends) = (old.used, old.ends);
    }
}

/// Any window. Units are counted by slices, and each slice until a window later than its end: a little too long,
/// never too short.
pub(crate) struct Sliding {
    pub(crate) units: u32,
    pub(crate) slice: Duration,
    begins: Option<Instant>,
    /// The slice that is being filled, counted from the beginning.
    head: u128,
    used: Box<[u32; SLICES + 1]>,
}

impl Sliding {
    pub(crate) fn new(units: u32, per: Duration) -> Self {
        let slice = per / u32::try_from(SLICES).unwrap_or(1) + Duration::from_nanos(1);
        Self { units, slice, begins: None, head: 0, used: Box::new([0; SLICES + 1]) }
    }

    pub(crate) fn ready_at(&self, now: Instant, spent: u32, cost: u32) -> Instant {
        let Some(begins) = self.begins else { return now };
        let head = self.slice_at(begins, now);
        let count = self.used.len() as u128;
        // The slices that still count, oldest first.
        let first = (self.head + 1).saturating_sub(count).max((head + 1).saturating_sub(count));
        let counted = (first..=self.head).filter(|slice| slice + count > head);
        let mut used = counted.clone().fold(0u32, |sum, slice| sum.saturating_add(self.at(slice)));
        if fits(used, spent, cost, self.units) {
            return now;
        }
        for slice in counted {
            used = used.saturating_sub(self.at(slice));
            if fits(used, spent, cost, self.units) {
                return self.begin_of(begins, slice + count).max(now);
            }
        }
        self.begin_of(begins, head + count).max(now)
    }

    pub(crate) fn spend(&mut self, now: Instant, cost: u32) {
        let begins = *self.begins.get_or_insert(now);
        let head = self.slice_at(begins, now);
        let gone = head.saturating_sub(self.head).min(self.used.len() as u128);
        for back in 0..gone {
            if let Some(used) = self.used.get_mut(place(head - back)) {
                *used = 0;
            }
        }
        self.head = self.head.max(head);
        if let Some(used) = self.used.get_mut(place(self.head)) {
            *used = used.saturating_add(cost);
        }
    }

    pub(crate) fn adopt(&mut self, old: Self) {
        (self.begins, self.head, self.used) = (old.begins, old.head, old.used);
    }

    fn slice_at(&self, begins: Instant, now: Instant) -> u128 {
        now.saturating_duration_since(begins).as_nanos() / self.slice.as_nanos().max(1)
    }

    fn begin_of(&self, begins: Instant, slice: u128) -> Instant {
        let nanos = self.slice.as_nanos().saturating_mul(slice);
        until(begins, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn at(&self, slice: u128) -> u32 {
        self.used.get(place(slice)).copied().unwrap_or(0)
    }
}

fn place(slice: u128) -> usize {
    usize::try_from(slice % (SLICES as u128 + 1)).unwrap_or(0)
}

/// A period of the calendar.
pub(crate) struct Quota {
    pub(crate) units: u32,
    pub(crate) reset: Reset,
    used: u32,
    period: Option<Period>,
}

#[derive(Clone, Copy)]
struct Period {
    resets_at: SystemTime,
    /// A whole period later, on the clock that is never set. A wall clock that was put back by days must not keep
    /// a quota closed for days; one that was put back by less makes it wait for the time that it names.
    at_the_latest: Instant,
}

impl Quota {
    pub(crate) fn new(units: u32, reset: Reset) -> Self {
        Self { units, reset, used: 0, period: None }
    }

    pub(crate) fn ready_at(&self, now: &Now<'_>, spent: u32, cost: u32) -> Instant {
        let Some(period) = self.period.filter(|period| !period.is_over(now)) else {
            return if fits(0, spent, cost, self.units) { now.instant } else { self.after_next(now) };
        };
        if fits(self.used, spent, cost, self.units) {
            return now.instant;
        }
        let wait = period.resets_at.duration_since(now.wall()).unwrap_or_default();
        until(now.instant, wait).min(period.at_the_latest)
    }

    pub(crate) fn spend(&mut self, now: &Now<'_>, cost: u32) {
        if self.period.is_none_or(|period| period.is_over(now)) {
            (self.used, self.period) = (0, Some(self.period_at(now)));
        }
        self.used = self.used.saturating_add(cost);
    }

    pub(crate) fn adopt(&mut self, old: &Self) {
        (self.used, self.period) = (old.used, old.period);
    }

    fn period_at(&self, now: &Now<'_>) -> Period {
        let resets_at = self.reset.next(now.wall());
        let left = resets_at.duration_since(now.wall()).unwrap_or_default();
        let whole = self.reset.next(resets_at).duration_since(resets_at).unwrap_or_default();
        Period { resets_at, at_the_latest: until(now.instant, left.saturating_add(whole)) }
    }

    fn after_next(&self, now: &Now<'_>) -> Instant {
        let next = self.reset.next(now.wall());
        until(now.instant, next.duration_since(now.wall()).unwrap_or_default())
    }
}

impl Period {
    fn is_over(&self, now: &Now<'_>) -> bool {
        now.wall() >= self.resets_at || now.instant >= self.at_the_latest
    }
}

fn fits(used: u32, spent: u32, cost: u32, units: u32) -> bool {
    used.saturating_add(spent).saturating_add(cost) <= units
}
