//! Who goes first when slots are few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names an entry in the table.
pub(crate) type Id = u64;

/// What is ready to run: fair between tenants by the time that their runs have taken, by priority and age within one.
#[derive(Debug)]
pub(crate) struct Queue {
    shares: BTreeMap<Arc<str>, Share>,
    /// Tenants that could start a run, the one that has had least first.
    order: BTreeSet<(u64, Arc<str>)>,
    /// What the tenant that went last has had: who comes back after a rest begins here, not with a claim on the past.
    floor: u64,
    per_tenant: usize,
    patience: Duration,
}

/// What one tenant has had, and what it waits for.
#[derive(Debug, Default)]
struct Share {
    /// Time of its runs, divided by its weight, in microseconds.
    had: u64,
    running: usize,
    ready: BTreeSet<(i128, Id)>,
}

impl Queue {
    pub(crate) fn new(per_tenant: usize, patience: Duration) -> Self {
        Self { shares: BTreeMap::new(), order: BTreeSet::new(), floor: 0, per_tenant, patience }
    }

    /// An entry is due.
    pub(crate) fn push(&mut self, tenant: &Arc<str>, id: Id, due: SystemTime, priority: u8) {
        let rank = self.rank(due, priority);
        self.change(tenant, |share, floor| {
            if share.ready.is_empty() && share.running == 0 {
                share.had = share.had.max(floor);
            }
            share.ready.insert((rank, id));
        });
    }

    /// An entry is no longer due.
    pub(crate) fn remove(&mut self, tenant: &Arc<str>, id: Id) {
        self.change(tenant, |share, _| share.ready.retain(|&(_, other)| other != id));
    }

    /// The entry that goes next.
    pub(crate) fn pop(&mut self) -> Option<Id> {
        let (had, tenant) = self.order.first()?.clone();
        self.floor = had;
        let mut popped = None;
        self.change(&tenant, |share, _| {
            popped = share.ready.pop_first();
            share.running = share.running.saturating_add(1);
            // Or a tenant whose runs end within no time would take every slot.
            share.had = share.had.saturating_add(1);
        });
        popped.map(|(_, id)| id)
    }

    /// A run has ended.
    pub(crate) fn finished(&mut self, tenant: &Arc<str>, took: Duration, weight: u32) {
        let cost = took.as_micros().checked_div(u128::from(weight.max(1))).unwrap_or_default();
        self.change(tenant, |share, _| {
            share.running = share.running.saturating_sub(1);
            share.had = share.had.saturating_add(u64::try_from(cost).unwrap_or(u64::MAX));
        });
    }

    fn change(&mut self, tenant: &Arc<str>, change: impl FnOnce(&mut Share, u64)) {
        let share = self.shares.entry(tenant.clone()).or_default();
        self.order.remove(&(share.had, tenant.clone()));
        change(share, self.floor);
        if !share.ready.is_empty() && share.running < self.per_tenant {
            self.order.insert((share.had, tenant.clone()));
        } else if share.ready.is_empty() && share.running == 0 && share.had <= self.floor {
            // Nothing is forgotten: it would come back at the floor.
            self.shares.remove(tenant);
        }
    }

    /// The lower goes first: a step of priority is worth `patience`.
    fn rank(&self, due: SystemTime, priority: u8) -> i128 {
        let since = due.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let ahead = self.patience.as_micros().saturating_mul(u128::from(priority));
        let [since, ahead] = [since, ahead].map(|micros| i128::try_from(micros).unwrap_or(i128::MAX));
        since.saturating_sub(ahead)
    }
}
