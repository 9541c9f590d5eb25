//! One bucket of a limiter: its rate, its pauses and its slots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::limits::Plan;

/// The longest pause that one answer can cause: after it the vendor is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Bucket {
    pub(crate) name: Arc<str>,
    /// Calls that may be in flight.
    pub(crate) slots: Option<usize>,
    /// The most units that one call can have.
    pub(crate) capacity: Option<u32>,
    pace: Mutex<Pace>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Time between two units, and how far ahead of time a burst may run.
    interval: Duration,
    burst: Duration,
    /// GCRA's theoretical arrival time of the next unit.
    next: Option<Instant>,
    paused_until: Option<Instant>,
    pub(crate) exhausted_until: Option<SystemTime>,
    /// Slots that are taken.
    pub(crate) taken: usize,
}

impl Bucket {
    pub(crate) fn new(name: Arc<str>, plan: Plan) -> Self {
        let mut pace = Pace::default();
        if let Some((units, per)) = plan.rate {
            // A burst of all units at once followed by one an interval would put nearly twice the limit
            // into one window. A tenth of the units as burst, and the others spread over the window, keep
            // every window of `per` within the limit and nine tenths of it in use.
            let burst = (units / 10).max(1);
            let spread = (units - burst).max(1);
            // Rounded up: a nanosecond too little, and one unit too many fits into a window.
            pace.interval = per / spread + Duration::from_nanos(1);
            pace.burst = pace.interval * (burst - 1);
        }
        Self { name, slots: plan.slots, capacity: plan.rate.map(|(units, _)| units), pace: Mutex::new(pace) }
    }

    pub(crate) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// When `cost` units may leave.
    pub(crate) fn ready_at(&self, now: Instant, cost: u32) -> Instant {
        let pause = self.paused_until.filter(|p| *p > now).unwrap_or(now);
        let Some(next) = self.next.filter(|_| cost > 0) else { return pause };
        // The last of the units must be no further ahead than the burst allows.
        let paced = (next + self.interval * (cost - 1)).checked_sub(self.burst).unwrap_or(now);
        paced.max(pause)
    }

    /// Takes units, and a slot when there are slots.
    pub(crate) fn spend(&mut self, now: Instant, cost: u32, slot: bool) {
        self.taken += usize::from(slot);
        if self.interval > Duration::ZERO {
            self.next = Some(self.next.map_or(now, |n| n.max(now)) + self.interval * cost);
        }
    }

    /// Nobody leaves for a while.
    pub(crate) fn pause(&mut self, now: Instant, wait: Duration) -> Instant {
        let until = now + wait.min(LONGEST_PAUSE);
        let until = self.paused_until.map_or(until, |p| p.max(until));
        self.paused_until = Some(until);
        until
    }

    /// The vendor counts otherwise than we do: after the pause nothing is left of the burst, so that those
    /// who wait come one by one.
    pub(crate) fn throttle(&mut self, now: Instant, wait: Duration) {
        let spent = self.pause(now, wait) + self.burst;
        if self.interval > Duration::ZERO {
            self.next = Some(self.next.map_or(spent, |next| next.max(spent)));
        }
    }

    /// Whether it holds anything that a new bucket would not.
    pub(crate) fn is_told(&self, now: Instant, wall: SystemTime) -> bool {
        self.taken > 0
            || self.next.is_some_and(|next| next > now)
            || self.paused_until.is_some_and(|until| until > now)
            || self.exhausted_until.is_some_and(|until| until > wall)
    }
}
