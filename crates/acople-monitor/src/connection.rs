//! What one connection did, and what is known of its state.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use acople_core::{BreakerState, ConnectionKey, ErrorKind};

use crate::config::{HealthConfig, Limits};
use crate::connector::Connector;
use crate::kind;
use crate::names::Names;
use crate::retirement::{Retirement, Retiring};
use crate::tally::Tally;
use crate::window::Window;

/// One connection. Everything in it is read and written without a lock.
pub(crate) struct Connection {
    pub(crate) key: ConnectionKey,
    pub(crate) host: OnceLock<String>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) tally: Tally,
    pub(crate) window: Window,
    pub(crate) breakers: Names<Breaker>,
    pub(crate) quotas: Names<Quota>,
    /// Made when a vendor announces something: nearly none does.
    retiring: OnceLock<Names<Retiring>>,
    classes: usize,
    /// The credentials are finished; until a call or a probe succeeds.
    reauth: AtomicBool,
    /// When, and as which.
    admitted: (u64, u64),
    last_request: Moment,
    last_error: Moment,
    last_probe: Moment,
}

/// What a breaker last said.
#[derive(Default)]
pub(crate) struct Breaker {
    state: AtomicU8,
    pub(crate) opened: AtomicU64,
    changed: Moment,
}

/// What is left of a quota.
pub(crate) struct Quota(AtomicU64);

/// When something last happened, and how it went (a number below 256), in one word.
#[derive(Default)]
struct Moment(AtomicU64);

impl Connection {
    pub(crate) fn new(
        key: ConnectionKey,
        connector: Arc<Connector>,
        admitted: (u64, u64),
        limits: &Limits,
        health: &HealthConfig,
    ) -> Self {
        Self {
            key,
            host: OnceLock::new(),
            connector,
            tally: Tally::new(limits.operations),
            window: Window::new(millis(health.window)),
            breakers: Names::new(limits.breaker_classes, Breaker::default()),
            quotas: Names::new(limits.buckets, Quota::default()),
            retiring: OnceLock::new(),
            classes: limits.breaker_classes,
            reauth: AtomicBool::new(false),
            admitted,
            last_request: Moment::default(),
            last_error: Moment::default(),
            last_probe: Moment::default(),
        }
    }

    pub(crate) fn call(
        &self,
        now_ms: u64,
        operation: usize,
        error: Option<ErrorKind>,
        attempts: u32,
        took: Duration,
    ) {
        self.tally.call(operation, error, took);
        // Calls that sent nothing (an open breaker, a spent quota) say nothing about the vendor.
        if attempts > 0 {
            self.last_request.set(now_ms, 0);
            if let Some(good) = kind::verdict(error) {
                self.window.record(now_ms, good);
            }
        }
        self.credentials(error);
        if let Some(error) = error {
            self.last_error.set(now_ms, kind::place(error));
        }
    }

    pub(crate) fn breaker(&self, now_ms: u64, class: &str, state: BreakerState) {
        let breaker = self.breakers.get(class, |_| Breaker::default());
        let before = state_at(breaker.state.swap(state_place(state), Ordering::Relaxed));
        breaker.changed.set(now_ms, 0);
        if before != state {
            breaker.opened.fetch_add(u64::from(state == BreakerState::Open), Ordering::Relaxed);
            self.connector.breaker(class, before, state);
        }
    }

    pub(crate) fn quota(&self, bucket: &str, remaining: u64) {
        self.quotas.get(bucket, |_| Quota::default()).0.store(remaining, Ordering::Relaxed);
    }

    /// The vendor is going to retire what a class of endpoints calls.
    pub(crate) fn retiring(&self, class: &str, ends: Option<SystemTime>) {
        let retiring = self.retiring.get_or_init(|| Names::new(self.classes, Retiring::default()));
        retiring.get(class, |_| Retiring::default()).announce(ends);
    }

    /// What was announced, by the class of endpoints.
    pub(crate) fn retirements(&self) -> impl Iterator<Item = (&str, Retirement)> {
        let all = self.retiring.get().into_iter().flat_map(Names::iter);
        all.filter_map(|(class, retiring)| Some((class, retiring.get()?)))
    }

    /// A check of the whole connection came to its end.
    pub(crate) fn probed(&self, now_ms: u64, error: Option<ErrorKind>) {
        use ErrorKind as K;
        self.credentials(error);
        match error {
            // Asked too much, or not asked at all.
            Some(K::RateLimited | K::QuotaExhausted | K::Cancelled) => {}
            Some(error) => {
                self.last_probe.set(now_ms, kind::place(error) + 1);
                self.last_error.set(now_ms, kind::place(error));
            }
            None => self.last_probe.set(now_ms, 0),
        }
    }

    pub(crate) fn needs_reauth(&self) -> bool {
        self.reauth.load(Ordering::Relaxed)
    }

    /// When the last call that reached the vendor ended.
    pub(crate) fn last_request(&self) -> Option<u64> {
        Some(self.last_request.get()?.0)
    }

    /// When the last call or probe failed, and the place of what with.
    pub(crate) fn last_error(&self) -> Option<(u64, usize)> {
        self.last_error.get()
    }

    /// When the last probe ended, and the place of what it failed with.
    pub(crate) fn last_probe(&self) -> Option<(u64, Option<usize>)> {
        self.last_probe.get().map(|(at, what)| (at, what.checked_sub(1)))
    }

    /// When it last had something to do; those of one millisecond are in the order of their admission.
    pub(crate) fn active(&self) -> (u64, u64) {
        let probed = self.last_probe.get().map_or(0, |(at, _)| at);
        let (at, number) = self.admitted;
        (at.max(self.last_request().unwrap_or(0)).max(probed), number)
    }

    fn credentials(&self, error: Option<ErrorKind>) {
        let finished = match error {
            Some(ErrorKind::Reauth) => true,
            None => false,
            Some(_) => return,
        };
        // Nearly always as it was: reading leaves the line to others.
        if self.reauth.load(Ordering::Relaxed) != finished {
            self.reauth.store(finished, Ordering::Relaxed);
        }
    }
}

impl Drop for Connection {
    /// What was counted stays in the connector's sum, also what came in while the connection was being forgotten.
    fn drop(&mut self) {
        self.tally.move_to(&self.connector.gone);
        for (class, breaker) in self.breakers.iter() {
            self.connector.breaker(class, breaker.state(), BreakerState::Closed);
        }
    }
}

impl Breaker {
    pub(crate) fn state(&self) -> BreakerState {
        state_at(self.state.load(Ordering::Relaxed))
    }

    /// When it last said something; `None`: never.
    pub(crate) fn changed(&self) -> Option<u64> {
        Some(self.changed.get()?.0)
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Quota {
    /// Units left; `None`: nobody has said yet.
    pub(crate) fn remaining(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|left| *left != u64::MAX)
    }
}

impl Moment {
    fn set(&self, now_ms: u64, what: usize) {
        // One more, because 0 is never; 2^56 ms are two million years.
        self.0.store(((now_ms + 1) << 8) | (what as u64 & 0xff), Ordering::Relaxed);
    }

    #[allow(clippy::cast_possible_truncation)] // below 256
    fn get(&self) -> Option<(u64, usize)> {
        let word = self.0.load(Ordering::Relaxed);
        Some(((word >> 8).checked_sub(1)?, (word & 0xff) as usize))
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(u64::from(duration.subsec_millis()))
}

fn state_place(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

fn state_at(place: u8) -> BreakerState {
    match place {
        0 => BreakerState::Closed,
        1 => BreakerState::HalfOpen,
        _ => BreakerState::Open,
    }
}
