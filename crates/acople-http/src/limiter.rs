//! Rate limits in this process: several buckets a call, first come first served.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use acople_core::{
    Claim, Clock, Context, Error, ErrorKind, Lesson, Permit, RateLimiter, Result, SystemClock,
};
use async_trait::async_trait;
use tokio::sync::{Mutex as Turnstile, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Waits longer than this are not slept but handed back as `QuotaExhausted`.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The buckets of a vendor's unit, and which classes of call spend from which.
///
/// ```
/// use acople_http::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::new()
///     .rate("app", 190, Duration::from_secs(10))
///     .rate("search", 5, Duration::from_secs(1))
///     .slots("app", 6)
///     .class("default", &["app"])
///     .class("search", &["app", "search"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limits {
    buckets: BTreeMap<&'static str, Plan>,
    classes: BTreeMap<&'static str, Vec<&'static str>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Plan {
    rate: Option<(u32, Duration)>,
    slots: Option<usize>,
}

impl Limits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `units` in any window of `per`, spread evenly once the burst is spent.
    pub fn rate(mut self, bucket: &'static str, units: u32, per: Duration) -> Self {
        self.buckets.entry(bucket).or_default().rate = Some((units.max(1), per));
        self
    }

    /// At most this many calls in flight.
    pub fn slots(mut self, bucket: &'static str, calls: usize) -> Self {
        self.buckets.entry(bucket).or_default().slots = Some(calls.clamp(1, Semaphore::MAX_PERMITS));
        self
    }

    /// Calls of this class spend from these buckets. A class that is not named spends as `default`.
    pub fn class(mut self, class: &'static str, buckets: &[&'static str]) -> Self {
        for bucket in buckets {
            self.buckets.entry(bucket).or_default();
        }
        self.classes.insert(class, buckets.to_vec());
        self
    }

    /// The claims of a class of call.
    pub(crate) fn claims(&self, class: &str) -> Vec<Claim> {
        let buckets = self.classes.get(class).or_else(|| self.classes.get("default"));
        buckets
            .into_iter()
            .flatten()
            .map(|bucket| Claim::one(*bucket))
            .collect()
    }
}

/// A limiter for one process.
///
/// Each bucket paces by GCRA (the generic cell rate algorithm), may hold slots for calls in flight, and
/// pauses for everybody when an answer says "not now". Buckets that the limits do not name have no rate
/// but pause all the same.
#[derive(Clone)]
pub struct LocalLimiter(Arc<Inner>);

struct Inner {
    limits: Limits,
    buckets: Mutex<BTreeMap<Arc<str>, Arc<Bucket>>>,
    clock: Arc<dyn Clock>,
}

struct Bucket {
    /// Held by the one who is next: tokio's mutex is fair, so callers leave in the order they came.
    turnstile: Turnstile<()>,
    slots: Option<Arc<Semaphore>>,
    pace: Mutex<Pace>,
}

#[derive(Default)]
struct Pace {
    /// Time between two units, and how far ahead of time a burst may run.
    interval: Duration,
    burst: Duration,
    capacity: Option<u32>,
    /// GCRA's theoretical arrival time of the next unit.
    next: Option<Instant>,
    paused_until: Option<Instant>,
    exhausted_until: Option<SystemTime>,
}

impl LocalLimiter {
    /// A limiter with these limits.
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, Arc::new(SystemClock))
    }

    /// A limiter whose daily quotas reset by this clock.
    pub fn with_clock(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            limits,
            buckets: Mutex::default(),
            clock,
        }))
    }

    fn bucket(&self, name: &str) -> Arc<Bucket> {
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return bucket.clone();
        }
        let plan = self.0.limits.buckets.get(name).copied().unwrap_or_default();
        let bucket = Arc::new(Bucket::new(plan));
        buckets.insert(name.into(), bucket.clone());
        bucket
    }
}

impl Bucket {
    fn new(plan: Plan) -> Self {
        let mut pace = Pace::default();
        if let Some((units, per)) = plan.rate {
            // A burst of all units at once followed by one an interval would put nearly twice the limit
            // into one window. Half of the units as burst and the other half spread over the window
            // keeps every window of `per` within the limit.
            let burst = (units / 2).max(1);
            pace.interval = per / (units - burst).max(1);
            pace.burst = pace.interval * (burst - 1);
            pace.capacity = Some(burst);
        }
        Self {
            turnstile: Turnstile::new(()),
            slots: plan.slots.map(|n| Arc::new(Semaphore::new(n))),
            pace: Mutex::new(pace),
        }
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// When `cost` units may leave.
    fn ready_at(&self, now: Instant, cost: u32) -> Instant {
        let pause = self.paused_until.filter(|p| *p > now).unwrap_or(now);
        let Some(next) = self.next else { return pause };
        // The last of the units must be no further ahead than the burst allows.
        let ahead = self.interval * cost.saturating_sub(1);
        let paced = (next + ahead).checked_sub(self.burst).unwrap_or(now);
        paced.max(pause)
    }

    fn spend(&mut self, now: Instant, cost: u32) {
        if self.interval > Duration::ZERO {
            self.next = Some(self.next.map_or(now, |n| n.max(now)) + self.interval * cost);
        }
    }

    fn pause(&mut self, until: Instant) {
        self.paused_until = Some(self.paused_until.map_or(until, |p| p.max(until)));
    }
}

#[async_trait]
impl RateLimiter for LocalLimiter {
    async fn acquire(&self, cx: &Context, claims: &[Claim]) -> Result<Permit> {
        if claims.is_empty() {
            return Ok(Permit::free());
        }
        let mut claimed: Vec<(Arc<Bucket>, &Claim)> =
            claims.iter().map(|c| (self.bucket(c.bucket()), c)).collect();
        // One order for all: two calls that want the same buckets cannot hold one each.
        claimed.sort_by(|a, b| a.1.bucket().cmp(b.1.bucket()));

        let mut turns = Vec::with_capacity(claimed.len());
        for (bucket, _) in &claimed {
            turns.push(bucket.turnstile.lock().await);
        }
        loop {
            let now = Instant::now();
            let mut ready = now;
            for (bucket, claim) in &claimed {
                let pace = bucket.pace();
                if let Some(capacity) = pace.capacity.filter(|c| claim.cost() > *c) {
                    let message = format!("a call of cost {} in a bucket of {capacity}", claim.cost());
                    return Err(Error::config(claim.bucket(), message));
                }
                if let Some(until) = pace.exhausted_until
                    && let Ok(wait) = until.duration_since(self.0.clock.now())
                {
                    return Err(Error::new(
                        ErrorKind::QuotaExhausted,
                        format!("quota of {} is spent", claim.bucket()),
                    )
                    .with_retry_after(wait)
                    .with_retry_at(until));
                }
                ready = ready.max(pace.ready_at(now, claim.cost()));
            }
            if ready <= now {
                for (bucket, claim) in &claimed {
                    bucket.pace().spend(now, claim.cost());
                }
                break;
            }
            let wait = ready - now;
            if wait > LONGEST_WAIT {
                return Err(
                    Error::new(ErrorKind::QuotaExhausted, "the limit asks for a long wait")
                        .with_retry_after(wait)
                        .with_retry_at(self.0.clock.now() + wait),
                );
            }
            if cx
                .deadline()
                .is_some_and(|deadline| ready > Instant::from_std(deadline))
            {
                return Err(Error::new(
                    ErrorKind::RateLimited,
                    "the limit asks for a wait beyond the deadline",
                )
                .with_retry_after(wait));
            }
            cx.meter().waited(wait);
            tokio::time::sleep_until(ready).await;
        }
        drop(turns);

        let mut slots: Vec<OwnedSemaphorePermit> = Vec::new();
        for (bucket, _) in &claimed {
            if let Some(semaphore) = &bucket.slots
                && let Ok(slot) = semaphore.clone().acquire_owned().await
            {
                slots.push(slot);
            }
        }
        Ok(if slots.is_empty() {
            Permit::free()
        } else {
            Permit::holding(slots)
        })
    }

    fn observe(&self, claims: &[Claim], lesson: &Lesson) {
        let now = Instant::now();
        let each = |bucket: Option<&Arc<str>>, change: &dyn Fn(&mut Pace)| match bucket {
            Some(name) => change(&mut self.bucket(name).pace()),
            None => claims
                .iter()
                .for_each(|claim| change(&mut self.bucket(claim.bucket()).pace())),
        };
        match lesson {
            Lesson::Throttled { bucket, wait } => {
                let Some(until) = now.checked_add(wait.unwrap_or(Duration::from_secs(1))) else {
                    return;
                };
                each(bucket.as_ref(), &|pace| pace.pause(until));
            }
            Lesson::Remaining {
                bucket,
                remaining: 0,
                resets_in: Some(wait),
            } => {
                let Some(until) = now.checked_add(*wait) else {
                    return;
                };
                each(Some(bucket), &|pace| pace.pause(until));
            }
            Lesson::Exhausted { bucket, until } => {
                let until = until.unwrap_or_else(|| self.0.clock.now() + Duration::from_secs(3600));
                each(bucket.as_ref(), &|pace| pace.exhausted_until = Some(until));
            }
            _ => {}
        }
    }
}

impl fmt::Debug for LocalLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLimiter")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
