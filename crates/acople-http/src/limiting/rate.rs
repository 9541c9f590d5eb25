//! A rate and a budget of points: the generic cell rate algorithm (GCRA), with a speed that adapts.

use std::time::Duration;

use tokio::time::Instant;

/// Full speed; other speeds are shares of it.
const FULL: u32 = 1024;

/// The slowest that throttles can make a declared rate.
const SLOWEST: u32 = FULL / 64;

/// How much faster a rate gets after a window of successes.
const STEP: u32 = FULL / 16;

/// The most successes that a step takes.
const WINDOW: u32 = 64;

pub(crate) struct Rate {
    /// The most units of one call. Of points: of a full bucket.
    pub(crate) units: u32,
    per: Duration,
    burst: u32,
    /// Time between two units, at full speed and now.
    base: Duration,
    interval: Duration,
    /// How far ahead of time a burst may run.
    ahead: Duration,
    /// The theoretical arrival time of the next unit.
    next: Option<Instant>,
    speed: u32,
    slowest: u32,
    step: u32,
    /// Successes since the speed changed.
    passed: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The vendor says what it allows.
    Declared,
    /// Throttles say it.
    Adaptive,
    /// A bucket that fills again.
    Points,
}

impl Rate {
    pub(crate) fn new(units: u32, per: Duration, burst: u32, start: u32) -> Self {
        let kind = if start < units { Kind::Adaptive } else { Kind::Declared };
        let speed = u64::from(FULL) * u64::from(start) / u64::from(units.max(1));
        let speed = u32::try_from(speed).unwrap_or(FULL).clamp(1, FULL);
        // A burst of all units at once followed by one an interval would put nearly twice the limit into one
        // window. A part of the units as burst, and the others spread over the window, keep every window of
        // `per` within the limit.
        let spread = units.saturating_sub(burst).max(1);
        // Rounded up: a nanosecond too little, and one unit too many fits into a window.
        let base = per / spread + Duration::from_nanos(1);
        Self::with(kind, units, per, burst, base, speed)
    }

    pub(crate) fn points(capacity: u32, per_second: f64) -> Self {
        Self::with(Kind::Points, capacity, Duration::ZERO, capacity, refill(per_second), FULL)
    }

    fn with(kind: Kind, units: u32, per: Duration, burst: u32, base: Duration, speed: u32) -> Self {
        let mut rate = Self {
            units,
            per,
            burst,
            base,
            interval: base,
            ahead: Duration::ZERO,
            next: None,
            speed,
            slowest: SLOWEST.min(speed),
            step: STEP.min(speed),
            passed: 0,
            kind,
        };
        rate.refit(None);
        rate
    }

    pub(crate) fn ready_at(&self, now: Instant, spent: u32, cost: u32) -> Instant {
        let next = match (self.next, spent) {
            (None, 0) => return now,
            (Some(next), 0) => next,
            (next, spent) => next.map_or(now, |next| next.max(now)) + self.interval * spent,
        };
        // The last of the units must be no further ahead than the burst allows.
        let last = next + self.interval * cost.saturating_sub(1);
        last.checked_sub(self.ahead).unwrap_or(now).max(now)
    }

    pub(crate) fn spend(&mut self, now: Instant, cost: u32) {
        self.next = Some(self.next.map_or(now, |next| next.max(now)) + self.interval * cost);
    }

    /// Whether units are spread over time, so that those who wait come one by one.
    pub(crate) fn spreads(&self) -> bool {
        self.kind != Kind::Points
    }

    pub(crate) fn is_of_kind(&self, other: &Self) -> bool {
        self.per == other.per && self.is_points() == other.is_points()
    }

    pub(crate) fn is_points(&self) -> bool {
        self.kind == Kind::Points
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.kind == Kind::Adaptive
    }

    /// Nothing is left of the burst at that time.
    pub(crate) fn drain(&mut self, until: Instant) {
        let spent = until + self.ahead;
        self.next = Some(self.next.map_or(spent, |next| next.max(spent)));
    }

    /// A throttle: half the speed.
    pub(crate) fn halve(&mut self, now: Instant) {
        self.speed = (self.speed / 2).max(self.slowest);
        self.passed = 0;
        self.refit(Some(now));
    }

    /// A success. Says whether the rate got faster.
    pub(crate) fn passed(&mut self, now: Instant) -> bool {
        if self.speed >= FULL {
            return false;
        }
        self.passed += 1;
        let allowed = u64::from(self.units) * u64::from(self.speed) / u64::from(FULL);
        if u64::from(self.passed) < allowed.clamp(1, u64::from(WINDOW)) {
            return false;
        }
        self.passed = 0;
        self.speed = (self.speed + self.step).min(FULL);
        self.refit(Some(now));
        true
    }

    /// What was claimed as `estimate` cost `actual`.
    pub(crate) fn correct(&mut self, now: Instant, estimate: u32, actual: u32) {
        let Some(next) = self.next else { return };
        self.next = Some(if actual > estimate {
            next.max(now) + self.interval * (actual - estimate)
        } else {
            next.checked_sub(self.interval * (estimate - actual)).unwrap_or(now)
        });
    }

    /// The vendor's own count of a budget. That it has more than we think is no promise.
    pub(crate) fn synchronise(&mut self, now: Instant, available: u64, capacity: u32, per_second: f64) {
        self.base = refill(per_second);
        self.refit(Some(now));
        (self.units, self.burst) = (capacity.max(1), capacity.max(1));
        self.ahead = self.interval * (self.burst - 1);
        let available = u32::try_from(available).unwrap_or(u32::MAX);
        let used = now + self.interval * self.units.saturating_sub(available);
        self.next = Some(self.next.map_or(used, |next| next.max(used)));
    }

    pub(crate) fn adopt(&mut self, old: &Self, now: Instant) {
        if self.kind == old.kind {
            self.speed = old.speed.max(self.slowest);
            self.passed = old.passed;
        }
        self.refit(None);
        // As many units as were ahead of time are so now.
        self.next = old.next.map(|next| ahead(next, now, old.interval, self.interval, old.burst));
        if self.units < old.units && self.spreads() {
            // What left before counts against windows of the new limit, too, but only for as long as one lasts.
            let latest = now + self.ahead + self.per;
            self.next = self.next.map(|next| next.min(latest));
            self.drain(now);
        }
    }

    pub(crate) fn is_told(&self, now: Instant) -> bool {
        self.speed < FULL || self.next.is_some_and(|next| next > now)
    }

    /// Brings the times in line with speed and base. What is ahead of time stays so by as many units.
    fn refit(&mut self, now: Option<Instant>) {
        let before = self.interval;
        self.interval = self.base * FULL / self.speed.max(1);
        self.ahead = self.interval * self.burst.saturating_sub(1);
        if let (Some(next), Some(now)) = (self.next, now) {
            self.next = Some(ahead(next, now, before, self.interval, self.burst));
        }
    }
}

/// A time that was up to a burst of intervals ahead, by as many intervals of another length. What is ahead by more
/// is a pause and stays.
fn ahead(next: Instant, now: Instant, before: Duration, after: Duration, burst: u32) -> Instant {
    let Some(lead) = next.checked_duration_since(now).filter(|lead| !lead.is_zero()) else { return next };
    let counted = lead.min(before * burst);
    let ratio = after.as_secs_f64() / before.as_secs_f64().max(f64::MIN_POSITIVE);
    let fitted = Duration::try_from_secs_f64(counted.as_secs_f64() * ratio).unwrap_or(counted);
    now + lead.saturating_sub(counted) + fitted + Duration::from_nanos(1)
}

/// Time in which a point comes back. A pace that is none counts as one a second.
fn refill(per_second: f64) -> Duration {
    let pace = if per_second.is_finite() && per_second > 0.0 { per_second } else { 1.0 };
    Duration::from_secs_f64(1.0 / pace.clamp(1e-6, 1e9)) + Duration::from_nanos(1)
}
