//! The trait that decides when a request may leave.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::{Context, Result};

/// Decides when a request may leave, and learns from the answers.
///
/// A call may spend from several buckets at once: the account's rate, the app's daily quota, the
/// slots of an endpoint. A bucket belongs to the vendor's unit (app, organisation, user), not to our
/// connection: share one limiter among all connections of that unit.
#[async_trait]
pub trait RateLimiter: Send + Sync + fmt::Debug + 'static {
    /// Waits until all claims can be met together, in order of arrival.
    ///
    /// # Errors
    /// `RateLimited` at once, with the wait, when it would end after the context's deadline or the
    /// [`Strategy`] is to fail; `QuotaExhausted` when a quota of hours or days is spent or the strategy
    /// is to park; `Config` for a claim above a bucket's capacity.
    async fn acquire(&self, cx: &Context, claims: &[Claim]) -> Result<Permit>;

    /// Told what an answer taught about the buckets of its request.
    fn observe(&self, claims: &[Claim], lesson: &Lesson);
}

/// What a call does when a limit says "not now".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Waits its turn, up to its deadline and up to the limiter's longest wait.
    #[default]
    Wait,
    /// Comes back at once as `RateLimited`, with the wait as `retry_after`: somebody else decides.
    Fail,
    /// Comes back at once as `QuotaExhausted`, with the time as `retry_at`: whoever called does other work
    /// until then.
    Park,
}

/// Some units of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    bucket: Arc<str>,
    cost: u32,
}

impl Claim {
    /// One unit of a bucket.
    pub fn one(bucket: impl Into<Arc<str>>) -> Self {
        Self { bucket: bucket.into(), cost: 1 }
    }

    /// Changes how many units.
    pub fn with_cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// How many units.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// The right to send one attempt. Dropping it frees the slots it holds.
#[must_use = "a permit that is dropped frees its slots"]
pub struct Permit {
    _guard: Option<Box<dyn Send + Sync>>,
}

impl Permit {
    /// A permit that holds nothing back when dropped.
    pub fn free() -> Self {
        Self { _guard: None }
    }

    /// A permit that drops `guard` with itself.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// What one answer taught about the vendor's limits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Lesson {
    /// An answer that was not throttled.
    Passed,
    /// "Not now": nobody who shares the bucket sends before the wait is over.
    Throttled {
        /// The bucket; `None` means every bucket of the request.
        bucket: Option<Arc<str>>,
        /// How long to wait; `None` when the vendor does not say.
        wait: Option<Duration>,
    },
    /// "Not now", and nothing about how long: nobody who shares the bucket sends during a pause of ours, and
    /// afterwards they go at half the rate until calls succeed again.
    SlowDown {
        /// The bucket; `None` means every bucket of the request.
        bucket: Option<Arc<str>>,
        /// The pause of ours.
        pause: Duration,
    },
    /// What is left of a bucket until it resets. It can make callers wait; that something is left is no promise.
    Remaining {
        /// The bucket.
        bucket: Arc<str>,
        /// Units left.
        remaining: u64,
        /// Time until the bucket is full again.
        resets_in: Option<Duration>,
    },
    /// A quota of hours or days is spent.
    Exhausted {
        /// The bucket; `None` means every bucket of the request.
        bucket: Option<Arc<str>>,
        /// When it is full again, if the vendor says so.
        until: Option<SystemTime>,
    },
    /// What the call cost in truth, where its claim was an estimate: the difference is taken or given back.
    Cost {
        /// The bucket.
        bucket: Arc<str>,
        /// Units.
        units: u64,
    },
    /// A budget of points as the vendor counts it. Capacity and pace are taken over; that more is available than
    /// we counted is no promise, because other calls may be on their way.
    Points {
        /// The bucket.
        bucket: Arc<str>,
        /// Points left.
        available: u64,
        /// Points of a full bucket.
        capacity: u32,
        /// Points that come back in a second.
        per_second: f64,
    },
    /// How much of a quota is used, where a vendor tells nothing else: calls slow down as it nears 100 and stop
    /// there.
    Usage {
        /// The bucket; `None` means every bucket of the request.
        bucket: Option<Arc<str>>,
        /// Percent, possibly above 100.
        percent: f64,
        /// When calls are possible again, if the vendor says so.
        regain: Option<Duration>,
    },
}
