//! One limit of a bucket: when units may leave, and what has left.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use acople_core::Clock;
use tokio::time::Instant;

use crate::limiting::limits::GatePlan;
use crate::limiting::rate::Rate;
use crate::limiting::windows::{Fixed, Quota, Sliding};

/// The time on both clocks. The wall clock is asked when somebody wants to know, and once.
pub(crate) struct Now<'a> {
    pub(crate) instant: Instant,
    clock: &'a dyn Clock,
    wall: Cell<Option<SystemTime>>,
}

impl<'a> Now<'a> {
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        Self { instant: Instant::now(), clock, wall: Cell::new(None) }
    }

    pub(crate) fn wall(&self) -> SystemTime {
        let wall = self.wall.get().unwrap_or_else(|| self.clock.now());
        self.wall.set(Some(wall));
        wall
    }
}

pub(crate) enum Gate {
    Rate(Rate),
    Fixed(Fixed),
    Sliding(Sliding),
    Quota(Quota),
}

impl Gate {
    pub(crate) fn new(plan: &GatePlan) -> Self {
        match *plan {
            GatePlan::Rate { units, per, burst, start } => Self::Rate(Rate::new(units, per, burst, start)),
            GatePlan::Points { capacity, per_second } => Self::Rate(Rate::points(capacity, per_second)),
            GatePlan::Fixed { units, per } => Self::Fixed(Fixed::new(units, per)),
            GatePlan::Sliding { units, per } => Self::Sliding(Sliding::new(units, per)),
            GatePlan::Quota { units, ref reset } => Self::Quota(Quota::new(units, reset.clone())),
        }
    }

    /// The most units that one call can have.
    pub(crate) fn capacity(&self) -> u32 {
        match self {
            Self::Rate(rate) => rate.units,
            Self::Fixed(fixed) => fixed.units,
            Self::Sliding(sliding) => sliding.units,
            Self::Quota(quota) => quota.units,
        }
    }

    /// When `cost` units (at least one) may leave, if `spent` others leave now.
    pub(crate) fn ready_at(&self, now: &Now<'_>, spent: u32, cost: u32) -> Instant {
        match self {
            Self::Rate(rate) => rate.ready_at(now.instant, spent, cost),
            Self::Fixed(fixed) => fixed.ready_at(now.instant, spent, cost),
            Self::Sliding(sliding) => sliding.ready_at(now.instant, spent, cost),
            Self::Quota(quota) => quota.ready_at(now, spent, cost),
        }
    }

    pub(crate) fn spend(&mut self, now: &Now<'_>, cost: u32) {
        match self {
            Self::Rate(rate) => rate.spend(now.instant, cost),
            Self::Fixed(fixed) => fixed.spend(now.instant, cost),
            Self::Sliding(sliding) => sliding.spend(now.instant, cost),
            Self::Quota(quota) => quota.spend(now, cost),
        }
    }

    /// Whether both count the same units over the same time.
    pub(crate) fn is_of_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rate(one), Self::Rate(other)) => one.is_of_kind(other),
            (Self::Fixed(one), Self::Fixed(other)) => one.per == other.per,
            (Self::Sliding(one), Self::Sliding(other)) => one.slice == other.slice,
            (Self::Quota(one), Self::Quota(other)) => one.reset.name() == other.reset.name(),
            _ => false,
        }
    }

    /// Takes over what a gate that this one replaces has counted: what was declared anew holds at once.
    pub(crate) fn adopt(&mut self, old: Self, now: Instant) {
        match (self, old) {
            (Self::Rate(new), Self::Rate(old)) => new.adopt(&old, now),
            (Self::Fixed(new), Self::Fixed(old)) => new.adopt(&old),
            (Self::Sliding(new), Self::Sliding(old)) => new.adopt(old),
            (Self::Quota(new), Self::Quota(old)) => new.adopt(&old),
            _ => {}
        }
    }

    /// The rate, if it is one that spreads units over time.
    pub(crate) fn rate(&mut self) -> Option<&mut Rate> {
        match self {
            Self::Rate(rate) => Some(rate),
            _ => None,
        }
    }

    /// Whether it holds anything that a new gate would not.
    pub(crate) fn is_told(&self, now: Instant) -> bool {
        match self {
            Self::Rate(rate) => rate.is_told(now),
            _ => true,
        }
    }
}

/// So long after `now`, for a gate's wait in wall time.
pub(crate) fn until(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
