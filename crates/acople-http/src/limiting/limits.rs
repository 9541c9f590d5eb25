//! What a vendor's limits are, as data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Claim, Strategy};

use crate::Reset;

/// Waits longer than this are not slept but handed back as `QuotaExhausted`.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// No vendor counts over a longer time; keeps sums of times within what clocks can tell.
const LONGEST_PERIOD: Duration = Duration::from_secs(400 * 86_400);

/// The buckets of a vendor's unit, and which classes of call spend from which.
///
/// A bucket may have several limits at once; a call leaves when all of them allow it.
///
/// ```
/// use acople_core::Strategy;
/// use acople_http::{Limits, Reset};
/// use std::time::Duration;
///
/// let limits = Limits::new()
///     .rate("app", 190, Duration::from_secs(10))
///     .quota("app", 250_000, Reset::midnight(-300))
///     .slots("app", 6)
///     .reserve("app", 0.2)
///     .rate("search", 5, Duration::from_secs(1))
///     .points("graphql", 1000, 50.0)
///     .strategy("graphql", Strategy::Fail)
///     .class("default", &["app"])
///     .class("search", &["app", "search"])
///     .class("graphql", &["graphql"]);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) buckets: BTreeMap<&'static str, Plan>,
    pub(crate) longest_wait: Duration,
    classes: BTreeMap<&'static str, Arc<[Claim]>>,
}

/// What is declared of one bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) gates: Vec<GatePlan>,
    pub(crate) slots: Option<SlotPlan>,
    /// The share (0 to 1) of everything that batch work never takes.
    pub(crate) reserved: f64,
    pub(crate) strategy: Option<Strategy>,
}

/// How many calls may be in flight: at first, and at most where that adapts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotPlan {
    pub(crate) start: usize,
    pub(crate) most: usize,
    pub(crate) adapts: bool,
}

/// One limit of a bucket.
#[derive(Clone, Debug)]
pub(crate) enum GatePlan {
    Rate { units: u32, per: Duration, burst: u32, start: u32 },
    Points { capacity: u32, per_second: f64 },
    Fixed { units: u32, per: Duration },
    Sliding { units: u32, per: Duration },
    Quota { units: u32, reset: Reset },
}

impl Default for Limits {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), longest_wait: LONGEST_WAIT, classes: BTreeMap::new() }
    }
}

impl Limits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `units` in any window of `per`: a tenth of them at once, the others spread evenly.
    ///
    /// Rates over several periods hold together; another rate over the same period takes the place of the first.
    /// After a throttle that names no wait the rate is halved, and raised step by step while calls succeed.
    pub fn rate(self, bucket: &'static str, units: u32, per: Duration) -> Self {
        self.rate_with_burst(bucket, units, per, units / 10)
    }

    /// At most `units` in any window of `per`, `burst` of them at once. The larger the burst, the slower the rest:
    /// both together fit into one window.
    pub fn rate_with_burst(self, bucket: &'static str, units: u32, per: Duration, burst: u32) -> Self {
        let units = units.max(1);
        let plan = GatePlan::Rate { units, per: period(per), burst: burst.clamp(1, units), start: units };
        self.gate(bucket, plan)
    }

    /// A rate for vendors that publish none: it begins at `start` units in `per`, is halved by each throttle, and
    /// raised step by step, up to `most`, while calls succeed.
    pub fn adaptive_rate(self, bucket: &'static str, start: u32, most: u32, per: Duration) -> Self {
        let units = most.max(1);
        let (burst, start) = ((units / 10).max(1), start.clamp(1, units));
        self.gate(bucket, GatePlan::Rate { units, per: period(per), burst, start })
    }

    /// At most `units` in windows that begin with their first call and last for `per`.
    pub fn fixed_window(self, bucket: &'static str, units: u32, per: Duration) -> Self {
        self.gate(bucket, GatePlan::Fixed { units: units.max(1), per: period(per) })
    }

    /// At most `units` in any window of `per`, as fast as they come. Counted in slices of a thirty-second of the
    /// window, so that at most that share of the limit stays unused.
    pub fn sliding_window(self, bucket: &'static str, units: u32, per: Duration) -> Self {
        self.gate(bucket, GatePlan::Sliding { units: units.max(1), per: period(per) })
    }

    /// At most `units` from one reset of the calendar to the next, by the limiter's wall clock.
    pub fn quota(self, bucket: &'static str, units: u32, reset: Reset) -> Self {
        self.gate(bucket, GatePlan::Quota { units: units.max(1), reset })
    }

    /// A bucket of points of which so many come back in a second. What a call costs is claimed as an estimate and
    /// corrected by its answer (`Lesson::Cost`, `Lesson::Points`).
    pub fn points(self, bucket: &'static str, capacity: u32, per_second: f64) -> Self {
        self.gate(bucket, GatePlan::Points { capacity: capacity.max(1), per_second })
    }

    /// At most this many calls in flight.
    pub fn slots(self, bucket: &'static str, calls: usize) -> Self {
        let calls = calls.max(1);
        self.with_slots(bucket, SlotPlan { start: calls, most: calls, adapts: false })
    }

    /// Calls in flight for vendors that do not say how many they allow: `start` at first, a quarter fewer when the
    /// vendor rejects one, one more, up to `most`, after a full window of successes.
    pub fn adaptive_slots(self, bucket: &'static str, start: usize, most: usize) -> Self {
        let start = start.max(1);
        self.with_slots(bucket, SlotPlan { start, most: most.max(start), adapts: true })
    }

    /// Keeps a share (0 to 1) of the bucket's units and slots for interactive calls: batch work is never given the
    /// last of them. At least one unit and one slot stay for batch work.
    pub fn reserve(mut self, bucket: &'static str, share: f64) -> Self {
        self.buckets.entry(bucket).or_default().reserved = share.clamp(0.0, 1.0);
        self
    }

    /// What calls do when this bucket says "not now", unless their context says otherwise.
    pub fn strategy(mut self, bucket: &'static str, strategy: Strategy) -> Self {
        self.buckets.entry(bucket).or_default().strategy = Some(strategy);
        self
    }

    /// Waits longer than this are not slept but handed back as `QuotaExhausted`. 15 minutes unless set.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Takes back everything that was declared of a bucket.
    pub fn without(mut self, bucket: &'static str) -> Self {
        self.buckets.insert(bucket, Plan::default());
        self
    }

    /// Calls of this class spend from these buckets. A class that is not named spends as `default`.
    pub fn class(mut self, class: &'static str, buckets: &[&'static str]) -> Self {
        for bucket in buckets {
            self.buckets.entry(bucket).or_default();
        }
        self.classes.insert(class, buckets.iter().map(|bucket| Claim::one(*bucket)).collect());
        self
    }

    /// The claims of a class of call.
    pub(crate) fn claims(&self, class: &str) -> Arc<[Claim]> {
        self.classes.get(class).or_else(|| self.classes.get("default")).cloned().unwrap_or_default()
    }

    /// Whether successes teach anything.
    pub(crate) fn adapt(&self) -> bool {
        self.buckets.values().any(|plan| {
            plan.slots.is_some_and(|slots| slots.adapts)
                || plan
                    .gates
                    .iter()
                    .any(|gate| matches!(gate, GatePlan::Rate { units, start, .. } if start < units))
        })
    }

    fn gate(mut self, bucket: &'static str, plan: GatePlan) -> Self {
        let gates = &mut self.buckets.entry(bucket).or_default().gates;
        match gates.iter_mut().find(|gate| gate.replaces(&plan)) {
            Some(gate) => *gate = plan,
            None => gates.push(plan),
        }
        self
    }

    fn with_slots(mut self, bucket: &'static str, slots: SlotPlan) -> Self {
        self.buckets.entry(bucket).or_default().slots = Some(slots);
        self
    }
}

impl GatePlan {
    /// Whether both say how much is allowed over the same time, so that only one of them can hold.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rate { per, .. }, Self::Rate { per: other, .. })
            | (Self::Fixed { per, .. }, Self::Fixed { per: other, .. })
            | (Self::Sliding { per, .. }, Self::Sliding { per: other, .. }) => per == other,
            (Self::Quota { reset, .. }, Self::Quota { reset: other, .. }) => reset.name() == other.name(),
            (Self::Points { .. }, Self::Points { .. }) => true,
            _ => false,
        }
    }

    /// The same limit with a share kept back from all that it counts.
    pub(crate) fn without_share(&self, share: f64) -> Self {
        let kept = |units: u32| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and `units`
            let left = (f64::from(units) * (1.0 - share)).floor() as u32;
            left.max(1)
        };
        let mut plan = self.clone();
        match &mut plan {
            Self::Rate { units, burst, start, .. } => {
                *units = kept(*units);
                (*burst, *start) = (kept(*burst).min(*units), kept(*start).min(*units));
            }
            Self::Points { capacity, per_second } => {
                *capacity = kept(*capacity);
                *per_second *= 1.0 - share;
            }
            Self::Fixed { units, .. } | Self::Sliding { units, .. } | Self::Quota { units, .. } => {
                *units = kept(*units);
            }
        }
        plan
    }
}

fn period(per: Duration) -> Duration {
    per.min(LONGEST_PERIOD)
}
