//! The circuit breaker: a vendor that is down is not asked again and again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

/// When a breaker opens and how it closes again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// How many of the last calls are looked at.
    pub window: usize,
    /// Fewer calls than this never open it.
    pub minimum: usize,
    /// The share of failed calls (0 to 1) that opens it.
    pub threshold: f64,
    /// How long it stays open.
    pub open_for: Duration,
    /// How many calls may try while it is half open.
    pub probes: usize,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { window: 100, minimum: 20, threshold: 0.5, open_for: Duration::from_secs(60), probes: 10 }
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// A few probes.
    HalfOpen,
}

/// Opens after too many failures, lets probes through after a while, closes when one succeeds.
///
/// Only faults of the vendor count (transient faults and time-outs): throttling, refusals and
/// cancelled calls say nothing about its health. Share one among the connections to one host.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last calls, `true` for a failure.
    calls: VecDeque<bool>,
    failures: usize,
    opened_at: Option<Instant>,
    probes: usize,
    /// Counts openings and closings: a ticket from before the last one is old news.
    era: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self(Arc::new(Inner { config, state: Mutex::default() }))
    }

    /// What it lets through now.
    pub fn state(&self) -> BreakerState {
        let state = self.0.lock();
        match state.opened_at {
            None => BreakerState::Closed,
            Some(at) if at.elapsed() < self.0.config.open_for => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Asks to make one attempt. The ticket must be told how it went; dropped untold, it counts for
    /// nothing and its probe is free again.
    pub(crate) fn enter(&self) -> Result<Ticket> {
        let mut state = self.0.lock();
        let probe = match state.opened_at {
            None => false,
            Some(at) => {
                let open_for = self.0.config.open_for;
                let elapsed = at.elapsed();
                if elapsed < open_for || state.probes >= self.0.config.probes.max(1) {
                    return Err(Error::new(
                        ErrorKind::Transient,
                        "the vendor is failing: circuit breaker is open",
                    )
                    .with_code("breaker_open")
                    .with_retry_after(open_for.saturating_sub(elapsed)));
                }
                state.probes += 1;
                true
            }
        };
        Ok(Ticket { breaker: self.clone(), probe, era: state.era, told: false })
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerConfig::default())
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is whole between statements: a panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self) {
        *self = Self { opened_at: Some(Instant::now()), era: self.era + 1, ..Self::default() };
    }

    fn close(&mut self) {
        *self = Self { era: self.era + 1, ..Self::default() };
    }
}

/// One attempt that the breaker let through.
#[derive(Debug)]
pub(crate) struct Ticket {
    breaker: Breaker,
    probe: bool,
    era: u64,
    told: bool,
}

impl Ticket {
    /// Says how the attempt went.
    pub(crate) fn tell(mut self, failed: bool) {
        self.told = true;
        let inner = &self.breaker.0;
        let mut state = inner.lock();
        if state.era != self.era {
            return;
        }
        if self.probe {
            if failed {
                state.open();
            } else {
                state.close();
            }
            return;
        }
        state.calls.push_back(failed);
        state.failures += usize::from(failed);
        if state.calls.len() > inner.config.window && state.calls.pop_front() == Some(true) {
            state.failures -= 1;
        }
        #[allow(clippy::cast_precision_loss)] // windows are small
        let share = state.failures as f64 / state.calls.len().max(1) as f64;
        if failed && state.calls.len() >= inner.config.minimum && share >= inner.config.threshold {
            tracing::warn!(failures = state.failures, calls = state.calls.len(), "circuit breaker opens");
            state.open();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.probe && !self.told {
            let mut state = self.breaker.0.lock();
            if state.era == self.era {
                state.probes = state.probes.saturating_sub(1);
            }
        }
    }
}
