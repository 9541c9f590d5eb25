//! One bucket of a limiter: its limits, its pauses, its slots, and what answers taught about them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use acople_core::Strategy;
use tokio::time::Instant;

use crate::limiting::gate::{Gate, Now};
use crate::limiting::limits::Plan;
use crate::limiting::rate::Rate;
use crate::limiting::slots::Slots;

/// The longest pause that one answer can cause: after it the vendor is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// So long the others wait for the answer of the first call after a throttle.
const PROBE: Duration = Duration::from_secs(1);

/// A probe whose permit is gone: its answer is being looked at, or there is none.
const PROBE_DONE: Duration = Duration::from_millis(100);

/// After a throttle, buckets without a rate go at this pace for a while, because nobody knows how many calls they
/// bear. Then the pace grows by a hundredth with each call, and ends when it is fast or nobody waits for it.
const RECOVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));
const RECOVERED: Duration = Duration::from_millis(1);

/// Usage from which calls slow down, in percent, and the time between two calls shortly before 100.
const SLOW_FROM: f64 = 75.0;
const SLOWEST: Duration = Duration::from_secs(30);

/// What a vendor says of its usage holds for so long, and a spent one that names no time for so long.
const USAGE_HOLDS: Duration = Duration::from_secs(3600);
const USAGE_PAUSE: Duration = Duration::from_secs(300);

pub(crate) struct Bucket {
    pub(crate) name: Arc<str>,
    pace: Mutex<Pace>,
}

#[derive(Default)]
pub(crate) struct Pace {
    gates: Vec<Gate>,
    /// What batch work may have of them. Empty when nothing is reserved.
    batch: Vec<Gate>,
    slots: Slots,
    declared: bool,
    pub(crate) strategy: Option<Strategy>,
    paused_until: Option<Instant>,
    /// Throttles until then belong to the one that halved the rate.
    halved_until: Option<Instant>,
    probe: Probe,
    pub(crate) exhausted_until: Option<SystemTime>,
    left: Option<Left>,
    /// Where nothing else spreads calls: after a throttle, and because of what the vendor said of its usage.
    recovery: Option<Brake>,
    usage: Option<Brake>,
}

/// Units that a caller wants, and whether it does batch work.
#[derive(Clone, Copy)]
pub(crate) struct Want {
    pub(crate) cost: u32,
    pub(crate) batch: bool,
}

/// After a throttle one call goes first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    None,
    /// The next one is it.
    Due,
    /// It is on its way; the others wait for its answer, but no longer than that.
    Out(Instant),
}

/// What the vendor said is left until it resets.
#[derive(Clone, Copy)]
struct Left {
    units: u64,
    until: Instant,
}

/// Calls come one by one for a while.
#[derive(Clone, Copy)]
struct Brake {
    interval: Duration,
    next: Instant,
    until: Instant,
}

impl Bucket {
    pub(crate) fn new(name: Arc<str>, plan: Option<&Plan>, now: Instant) -> Self {
        let mut pace = Pace::default();
        if let Some(plan) = plan {
            pace.change(plan, now);
        }
        Self { name, pace: Mutex::new(pace) }
    }

    pub(crate) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Declares the limits anew. What was counted and learned stays.
    pub(crate) fn change(&mut self, plan: &Plan, now: Instant) {
        let old = std::mem::take(&mut self.gates);
        self.gates = renewed(plan.gates.iter().map(Gate::new).collect(), old, now);
        let kept = plan.gates.iter().map(|gate| Gate::new(&gate.without_share(plan.reserved)));
        let kept = if plan.reserved > 0.0 { kept.collect() } else { Vec::new() };
        let old = std::mem::take(&mut self.batch);
        self.batch = renewed(kept, old, now);
        self.slots.change(plan.slots, plan.reserved);
        self.strategy = plan.strategy;
        self.declared = true;
    }

    /// The most units that one call can have.
    pub(crate) fn capacity(&self, batch: bool) -> Option<u32> {
        let batch: &[Gate] = if batch { &self.batch } else { &[] };
        self.gates.iter().chain(batch).map(Gate::capacity).min()
    }

    /// When a caller's units may leave.
    pub(crate) fn ready_at(&self, now: &Now<'_>, want: Want) -> Instant {
        self.ready_after(now, None, want)
    }

    /// When a caller's units may leave if those of another leave now.
    pub(crate) fn ready_after(&self, now: &Now<'_>, spent: Option<Want>, want: Want) -> Instant {
        let at = now.instant;
        let mut ready = self.paused_until.map_or(at, |until| until.max(at));
        if let Probe::Out(until) = self.probe {
            ready = ready.max(until);
        }
        if want.cost == 0 {
            return ready;
        }
        let units = |batch: bool| spent.filter(|spent| spent.batch || !batch).map_or(0, |spent| spent.cost);
        if let Some(left) = self.left.filter(|left| left.until > at)
            && left.units < u64::from(units(false)) + u64::from(want.cost)
        {
            ready = ready.max(left.until);
        }
        let usage = self.usage.filter(|usage| usage.until > at);
        for brake in self.recovery.iter().chain(&usage) {
            ready = ready.max(brake.next + brake.interval * u32::from(spent.is_some()));
        }
        for gate in &self.gates {
            ready = ready.max(gate.ready_at(now, units(false), want.cost));
        }
        for gate in self.batch.iter().filter(|_| want.batch) {
            ready = ready.max(gate.ready_at(now, units(true), want.cost));
        }
        ready
    }

    /// Whether all slots that the caller may have are taken.
    pub(crate) fn is_full(&self, batch: bool) -> bool {
        self.slots.is_full(batch)
    }

    /// Whether the end of the call has to be told.
    pub(crate) fn is_held(&self) -> bool {
        self.slots.are_limited() || self.probe == Probe::Due
    }

    /// Takes units, and a slot when the call's end will be told.
    pub(crate) fn spend(&mut self, now: &Now<'_>, want: Want, held: bool) {
        if held {
            self.slots.take(want.batch);
        }
        match self.probe {
            Probe::None => {}
            Probe::Due => self.probe = Probe::Out(now.instant + PROBE),
            // Nothing was heard of it: the others go.
            Probe::Out(_) => self.probe_is_over(now.instant),
        }
        if want.cost == 0 {
            return;
        }
        for gate in &mut self.gates {
            gate.spend(now, want.cost);
        }
        for gate in self.batch.iter_mut().filter(|_| want.batch) {
            gate.spend(now, want.cost);
        }
        if let Some(left) = &mut self.left {
            left.units = left.units.saturating_sub(u64::from(want.cost));
        }
        self.recovery = self.recovery.and_then(|brake| brake.recovering(now.instant));
        for brake in self.recovery.iter_mut().chain(&mut self.usage) {
            brake.next = brake.next.max(now.instant) + brake.interval;
        }
    }

    /// A call that held something came to its end.
    pub(crate) fn release(&mut self, now: Instant, batch: bool) {
        self.slots.release(batch);
        if let Probe::Out(until) = self.probe {
            self.probe = Probe::Out(until.min(now + PROBE_DONE));
        }
    }

    /// A call succeeded. Says whether that lets others go.
    pub(crate) fn passed(&mut self, now: Instant) -> bool {
        let probed = matches!(self.probe, Probe::Out(_));
        if probed {
            self.probe_is_over(now);
        }
        let mut faster = false;
        // What succeeds during a pause left before it.
        if self.paused_until.is_none_or(|until| until <= now) {
            for rate in self.gates.iter_mut().chain(&mut self.batch).filter_map(Gate::rate) {
                faster |= rate.passed(now);
            }
        }
        self.slots.passed() || probed || faster
    }

    /// Nobody leaves for a while.
    pub(crate) fn pause(&mut self, now: Instant, wait: Duration) -> Instant {
        let until = now + wait.min(LONGEST_PAUSE);
        let until = self.paused_until.map_or(until, |p| p.max(until));
        self.paused_until = Some(until);
        until
    }

    /// The vendor says "not now" and how long. `jitter` (0 to 1) keeps several processes apart.
    pub(crate) fn throttle(&mut self, now: Instant, wait: Duration, jitter: f64) {
        self.slots.rejected();
        self.halve(now, wait, Rate::is_adaptive);
        self.stop(now, wait, jitter);
    }

    /// The vendor says "not now" and not how long.
    pub(crate) fn slow_down(&mut self, now: Instant, pause: Duration, jitter: f64) {
        // Too many at a time: fewer slots say all of it.
        if self.slots.rejected() {
            return;
        }
        self.halve(now, pause, Rate::spreads);
        self.stop(now, pause, jitter);
    }

    /// What is left until the reset. It can take away, never give.
    pub(crate) fn remaining(&mut self, now: Instant, units: u64, wait: Duration) {
        if units == 0 {
            self.pause(now, wait);
        }
        let until = now + wait.min(LONGEST_PAUSE);
        // Seconds are rounded: a reset that is later by no more than one is the same.
        let same = self.left.filter(|left| left.until > now && until <= left.until + Duration::from_secs(1));
        self.left = Some(match same {
            Some(left) => Left { units: left.units.min(units), until: left.until.max(until) },
            None => Left { units, until },
        });
    }

    /// What a call that was claimed as `estimate` cost in truth.
    pub(crate) fn cost(&mut self, now: Instant, estimate: u32, actual: u64) {
        // A cost beyond all bounds empties the bucket, no more.
        let most = self.capacity(false).unwrap_or(u32::MAX).max(estimate);
        let actual = u32::try_from(actual).unwrap_or(u32::MAX).min(most);
        // What batch work may have stays as it was claimed: nobody says whether this call was of it.
        for points in self.gates.iter_mut().filter_map(Gate::rate).filter(|rate| rate.is_points()) {
            points.correct(now, estimate, actual);
        }
    }

    /// A budget of points as the vendor counts it.
    pub(crate) fn points(&mut self, now: Instant, available: u64, capacity: u32, per_second: f64) {
        let mut points = self.gates.iter_mut().filter_map(Gate::rate).filter(|rate| rate.is_points());
        if let Some(points) = points.next() {
            points.synchronise(now, available, capacity, per_second);
        }
    }

    /// How much is used, in percent.
    pub(crate) fn usage(&mut self, now: Instant, percent: f64, regain: Option<Duration>) {
        if percent >= 100.0 || regain.is_some_and(|regain| !regain.is_zero()) {
            self.pause(now, regain.filter(|regain| !regain.is_zero()).unwrap_or(USAGE_PAUSE));
            self.probe = Probe::Due;
        }
        let near = ((percent - SLOW_FROM) / (100.0 - SLOW_FROM)).clamp(0.0, 1.0);
        // Not a number, or far from the end.
        if near.is_nan() || near <= 0.0 {
            self.usage = None;
            return;
        }
        let interval = SLOWEST.mul_f64(near * near);
        let next = self.usage.map_or(now + interval, |usage| usage.next.min(now + interval));
        self.usage = Some(Brake { interval, next, until: now + USAGE_HOLDS });
    }

    /// Whether it holds anything that a new bucket would not.
    pub(crate) fn is_told(&self, now: Instant, wall: SystemTime) -> bool {
        self.declared
            || self.slots.are_taken()
            || self.gates.iter().any(|gate| gate.is_told(now))
            || self.paused_until.is_some_and(|until| until > now)
            || self.exhausted_until.is_some_and(|until| until > wall)
            || self.left.is_some_and(|left| left.until > now)
            || self.recovery.iter().chain(&self.usage).any(|brake| brake.until > now)
    }

    /// A pause after which one goes first and the others follow one by one: the vendor counts otherwise than we
    /// do, so nothing is left of a burst.
    fn stop(&mut self, now: Instant, wait: Duration, jitter: f64) {
        let until = self.pause(now, wait);
        self.probe = Probe::Due;
        let later = jitter.clamp(0.0, 1.0);
        if !self.drain(until + Duration::from_millis(100).min(wait).mul_f64(later)) {
            let (interval, lasts) = RECOVERY;
            let interval = interval.mul_f64(1.0 + later / 4.0);
            self.recovery = Some(Brake { interval, next: until, until: until + lasts });
        }
    }

    /// The others go one by one: nothing was saved up while they waited.
    fn probe_is_over(&mut self, now: Instant) {
        self.probe = Probe::None;
        self.drain(now);
    }

    /// Nothing is left of any burst at that time. Says whether there is a rate that spreads calls.
    fn drain(&mut self, until: Instant) -> bool {
        let mut spread = false;
        for rate in self.gates.iter_mut().chain(&mut self.batch).filter_map(Gate::rate) {
            if rate.spreads() {
                rate.drain(until);
                spread = true;
            }
        }
        spread
    }

    /// Halves rates, once for all the throttles of one pause.
    fn halve(&mut self, now: Instant, pause: Duration, which: fn(&Rate) -> bool) {
        if self.halved_until.is_some_and(|until| until > now) {
            return;
        }
        self.halved_until = Some(now + pause.min(LONGEST_PAUSE));
        for rate in self.gates.iter_mut().chain(&mut self.batch).filter_map(Gate::rate) {
            if which(rate) {
                rate.halve(now);
            }
        }
    }
}

impl Brake {
    /// What is left of it when a call leaves after a throttle.
    fn recovering(mut self, now: Instant) -> Option<Self> {
        if now < self.until {
            return Some(self);
        }
        let is_idle = self.next + self.interval < now;
        self.interval = self.interval.mul_f64(0.99);
        (!is_idle && self.interval > RECOVERED).then_some(self)
    }
}

/// New gates with what the old ones of their kind and period have counted.
fn renewed(mut gates: Vec<Gate>, mut old: Vec<Gate>, now: Instant) -> Vec<Gate> {
    for gate in &mut gates {
        if let Some(place) = old.iter().position(|old| gate.is_of_kind(old)) {
            gate.adopt(old.swap_remove(place), now);
        }
    }
    gates
}
