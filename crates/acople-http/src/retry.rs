//! When to try again, and the budget that keeps retries from becoming a storm.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;

/// How often and after what waits a call is tried again. In a config file times are seconds.
///
/// ```
/// use std::time::Duration;
/// use acople_http::{Backoff, RetryPolicy};
///
/// let text = r#"{"attempts": 5, "backoff": "linear", "base": 0.2, "quota": {"tokens": 100}}"#;
/// let policy: RetryPolicy = serde_json::from_str(text).unwrap();
/// assert_eq!((policy.backoff, policy.base), (Backoff::Linear, Duration::from_millis(200)));
/// assert_eq!(policy.cap, RetryPolicy::default().cap);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 3.
    pub attempts: u32,
    /// Base wait after a transient fault; 50 ms.
    #[serde(deserialize_with = "crate::seconds::deserialize")]
    pub base: Duration,
    /// Base wait after a throttle that names none; 1 s.
    #[serde(deserialize_with = "crate::seconds::deserialize")]
    pub throttle_base: Duration,
    /// The longest wait of ours; a vendor's own wait may be longer. 20 s.
    #[serde(deserialize_with = "crate::seconds::deserialize")]
    pub cap: Duration,
    /// How waits grow; exponentially.
    pub backoff: Backoff,
    /// What all calls of a client may spend on retries.
    pub quota: RetryQuota,
}

/// How the waits between attempts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backoff {
    /// Anything between zero and twice as much each time (full jitter), so that callers who failed together
    /// do not come back together.
    #[default]
    Exponential,
    /// Anything between zero and one base more each time.
    Linear,
    /// Exactly the base, for a vendor that asks for it: callers who failed together come back together.
    Fixed,
}

/// The tokens that the retries of one client share: a brake that keeps an outage from becoming a storm.
///
/// When they are spent, calls fail after their first attempt until others succeed. By default a total outage of
/// 1,000 calls puts at most 1,000 + 500 / 14 requests on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryQuota {
    /// Tokens when full, as at the beginning; 500.
    pub tokens: u32,
    /// What a retry takes; 14.
    pub retry: u32,
    /// What a retry after a throttle takes; 5.
    pub throttle: u32,
    /// What a call gives back that needed no retry; 1. One that did gives back what its last retry took.
    pub success: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(50),
            throttle_base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            backoff: Backoff::default(),
            quota: RetryQuota::default(),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no retry.
    pub fn none() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Sets the number of attempts, at least one.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the base wait after a transient fault.
    pub fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the base wait after a throttle that names none.
    pub fn with_throttle_base(mut self, base: Duration) -> Self {
        self.throttle_base = base;
        self
    }

    /// Sets the longest wait of ours.
    pub fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets how waits grow.
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets what all calls of a client may spend on retries.
    pub fn with_quota(mut self, quota: RetryQuota) -> Self {
        self.quota = quota;
        self
    }

    /// The wait before attempt `n + 1`, given a uniform random number of [0, 1).
    pub(crate) fn wait(&self, attempt: u32, throttled: bool, random: f64) -> Duration {
        let base = if throttled { self.throttle_base } else { self.base };
        let nth = attempt.max(1);
        let longest = match self.backoff {
            Backoff::Exponential => base.saturating_mul(2u32.saturating_pow((nth - 1).min(20))),
            Backoff::Linear => base.saturating_mul(nth),
            Backoff::Fixed => return base.min(self.cap),
        };
        longest.min(self.cap).mul_f64(random.clamp(0.0, 1.0))
    }
}

impl Default for RetryQuota {
    fn default() -> Self {
        Self { tokens: 500, retry: 14, throttle: 5, success: 1 }
    }
}

impl RetryQuota {
    /// A quota of so many tokens, with the usual prices.
    pub fn new(tokens: u32) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// Sets what a retry takes, and what one after a throttle does.
    pub fn with_costs(mut self, retry: u32, throttle: u32) -> Self {
        (self.retry, self.throttle) = (retry, throttle);
        self
    }

    /// Sets what a call gives back that needed no retry.
    pub fn with_success(mut self, gain: u32) -> Self {
        self.success = gain;
        self
    }
}

/// What is left of a client's quota.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    quota: RetryQuota,
    left: AtomicU32,
}

impl RetryBudget {
    pub(crate) fn new(quota: RetryQuota) -> Self {
        Self { quota, left: AtomicU32::new(quota.tokens) }
    }

    /// What the retry took, or `None` when the budget is spent.
    pub(crate) fn take(&self, throttled: bool) -> Option<u32> {
        let cost = if throttled { self.quota.throttle } else { self.quota.retry };
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |have| have.checked_sub(cost))
            .ok()
            .map(|_| cost)
    }

    /// A call succeeded; `taken` is what its last retry took, zero when it needed none.
    pub(crate) fn give_back(&self, taken: u32) {
        let gain = if taken == 0 { self.quota.success } else { taken };
        // Full is the rule: look before writing, so that calls do not fight over the cache line.
        if self.left.load(Ordering::Relaxed) >= self.quota.tokens {
            return;
        }
        let _ = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |have| {
            Some(have.saturating_add(gain).min(self.quota.tokens))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_scales_them() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, false, 1.0), Duration::from_millis(50));
        assert_eq!(policy.wait(3, false, 1.0), Duration::from_millis(200));
        assert_eq!(policy.wait(3, false, 0.5), Duration::from_millis(100));
        assert_eq!(policy.wait(30, true, 1.0), Duration::from_secs(20));
    }

    #[test]
    fn linear_waits_grow_by_the_base_and_fixed_ones_do_not_grow_nor_scatter() {
        let linear = RetryPolicy::default().with_backoff(Backoff::Linear);
        let wait = |policy: &RetryPolicy, attempt, random| policy.wait(attempt, false, random).as_millis();
        assert_eq!([1, 2, 3].map(|n| wait(&linear, n, 1.0)), [50, 100, 150]);
        assert_eq!((wait(&linear, 2, 0.5), wait(&linear, u32::MAX, 1.0)), (50, 20_000));
        let fixed = RetryPolicy::default().with_backoff(Backoff::Fixed).with_base(Duration::from_secs(2));
        assert_eq!([(1, 0.0), (2, 0.5), (9, 1.0)].map(|(n, random)| wait(&fixed, n, random)), [2000; 3]);
        let longer = fixed.with_cap(Duration::from_secs(1));
        assert_eq!(wait(&longer, 1, 0.0), 1000);
    }

    #[test]
    fn a_success_gives_back_what_its_retry_took_or_one() {
        let budget = RetryBudget::new(RetryQuota::new(30));
        let taken = budget.take(false).unwrap_or_default();
        assert_eq!((taken, budget.take(true), budget.left.load(Ordering::Relaxed)), (14, Some(5), 11));
        budget.give_back(0);
        assert_eq!(budget.left.load(Ordering::Relaxed), 12);
        budget.give_back(taken);
        assert_eq!(budget.left.load(Ordering::Relaxed), 26);
        budget.give_back(taken);
        assert_eq!(budget.left.load(Ordering::Relaxed), 30, "never more than full");
    }

    #[test]
    fn times_in_a_config_are_seconds_and_nothing_else() {
        for wrong in [r#"{"base": -1}"#, r#"{"base": 1e300}"#, r#"{"base": "1s"}"#, r#"{"bases": 1}"#] {
            assert!(serde_json::from_str::<RetryPolicy>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_spent_budget_allows_no_retry_until_calls_succeed() {
        let budget = RetryBudget::new(RetryQuota::default());
        let mut retries = 0;
        while budget.take(false).is_some() {
            retries += 1;
        }
        assert_eq!(retries, 500 / 14);
        for _ in 0..14 {
            budget.give_back(0);
        }
        assert!(budget.take(false).is_some());
    }
}
