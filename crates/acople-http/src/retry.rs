//! When to try again, and the budget that keeps retries from becoming a storm.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Tokens of a full retry budget, and what retries cost. A total outage of 1,000 calls puts at most
/// 1,000 + 500 / 14 requests on the wire.
const BUDGET: u32 = 500;
const RETRY_COST: u32 = 14;
const THROTTLE_COST: u32 = 5;
/// What a call that needed no retry gives back.
const SUCCESS_GAIN: u32 = 1;

/// How often and after what waits a call is tried again.
///
/// Waits use full jitter: uniform between zero and `base * 2^n`, at most `cap`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Base wait after a transient fault.
    pub base: Duration,
    /// Base wait after a throttle that names none.
    pub throttle_base: Duration,
    /// The longest wait of ours; a vendor's own wait may be longer.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(50),
            throttle_base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
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

    /// The wait before attempt `n + 1`, given a uniform random number of [0, 1).
    pub(crate) fn wait(&self, attempt: u32, throttled: bool, random: f64) -> Duration {
        let base = if throttled { self.throttle_base } else { self.base };
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1).min(20));
        base.saturating_mul(factor).min(self.cap).mul_f64(random.clamp(0.0, 1.0))
    }
}

/// The tokens that retries of one client share.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(BUDGET))
    }

    /// What the retry took, or `None` when the budget is spent.
    pub(crate) fn take(&self, throttled: bool) -> Option<u32> {
        let cost = if throttled { THROTTLE_COST } else { RETRY_COST };
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |have| have.checked_sub(cost))
            .ok()
            .map(|_| cost)
    }

    /// A call succeeded; `taken` is what its last retry took, zero when it needed none.
    pub(crate) fn give_back(&self, taken: u32) {
        let gain = if taken == 0 { SUCCESS_GAIN } else { taken };
        // Full is the rule: look before writing, so that calls do not fight over the cache line.
        if self.0.load(Ordering::Relaxed) >= BUDGET {
            return;
        }
        let _ =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |have| Some((have + gain).min(BUDGET)));
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
    fn a_spent_budget_allows_no_retry_until_calls_succeed() {
        let budget = RetryBudget::new();
        let mut retries = 0;
        while budget.take(false).is_some() {
            retries += 1;
        }
        assert_eq!(retries, BUDGET / RETRY_COST);
        for _ in 0..RETRY_COST {
            budget.give_back(0);
        }
        assert!(budget.take(false).is_some());
    }
}
