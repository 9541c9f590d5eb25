//! How many calls may be in flight, where the vendor says it and where only its rejections do.

use crate::limiting::limits::SlotPlan;

/// Once the vendor has rejected a call, one more slot takes so many times as many successes as there are slots.
const CAREFUL: usize = 8;

/// The calls in flight of one bucket.
#[derive(Default)]
pub(crate) struct Slots {
    limit: Option<Limit>,
    taken: usize,
    taken_by_batch: usize,
}

struct Limit {
    now: usize,
    most: usize,
    adapts: bool,
    /// The share that batch work never takes.
    reserved: f64,
    /// Successes since the number changed.
    passed: usize,
    /// Rejections to come of calls that left before the last change.
    stale: usize,
    /// Whether the vendor ever rejected one.
    rejected: bool,
}

impl Slots {
    pub(crate) fn change(&mut self, plan: Option<SlotPlan>, reserved: f64) {
        let Some(plan) = plan else {
            self.limit = None;
            return;
        };
        let adapts = plan.adapts;
        // What was learned stays, within the new bounds.
        let learned = self.limit.as_ref().filter(|old| old.adapts && adapts).map(|old| old.now);
        let now = learned.unwrap_or(plan.start).min(plan.most);
        let rejected = learned.is_some();
        self.limit = Some(Limit { now, most: plan.most, adapts, reserved, passed: 0, stale: 0, rejected });
    }

    pub(crate) fn is_full(&self, batch: bool) -> bool {
        let Some(limit) = &self.limit else { return false };
        self.taken >= limit.now || (batch && self.taken_by_batch >= limit.of_batch())
    }

    pub(crate) fn are_limited(&self) -> bool {
        self.limit.is_some()
    }

    pub(crate) fn are_taken(&self) -> bool {
        self.taken > 0
    }

    pub(crate) fn take(&mut self, batch: bool) {
        self.taken += 1;
        self.taken_by_batch += usize::from(batch);
    }

    pub(crate) fn release(&mut self, batch: bool) {
        self.taken = self.taken.saturating_sub(1);
        self.taken_by_batch = self.taken_by_batch.saturating_sub(usize::from(batch));
    }

    /// A call succeeded. Says whether there is one slot more.
    pub(crate) fn passed(&mut self) -> bool {
        let Some(limit) = self.limit.as_mut().filter(|limit| limit.adapts) else { return false };
        limit.stale = limit.stale.saturating_sub(1);
        // Calls that use few of the slots say nothing about more of them.
        if limit.now >= limit.most || self.taken * 2 < limit.now {
            return false;
        }
        limit.passed += 1;
        let window = if limit.rejected { limit.now.saturating_mul(CAREFUL) } else { limit.now };
        if limit.passed < window {
            return false;
        }
        (limit.now, limit.passed) = (limit.now + 1, 0);
        true
    }

    /// The vendor rejected a call. Says whether that is dealt with by having fewer slots.
    pub(crate) fn rejected(&mut self) -> bool {
        let Some(limit) = self.limit.as_mut().filter(|limit| limit.adapts) else { return false };
        if limit.stale > 0 {
            // It left before there were fewer slots.
            limit.stale -= 1;
            return true;
        }
        if limit.now <= 1 {
            return false;
        }
        limit.now = (limit.now * 3 / 4).max(1);
        (limit.passed, limit.stale, limit.rejected) = (0, self.taken, true);
        true
    }
}

impl Limit {
    fn of_batch(&self) -> usize {
        #[allow(clippy::cast_precision_loss)] // a few calls are in flight
        let now = self.now as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and `now`
        let kept = (now * (1.0 - self.reserved)).floor() as usize;
        kept.max(1)
    }
}
