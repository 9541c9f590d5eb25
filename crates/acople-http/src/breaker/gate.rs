//! The state machine of one breaker: the time comes in as an argument, changes go out as results.

use std::collections::VecDeque;
use std::time::Duration;

use acople_core::BreakerState;
use tokio::time::Instant;

use super::BreakerConfig;

pub(super) struct Gate {
    pub(super) config: BreakerConfig,
    phase: Phase,
    /// Somebody holds it where it is.
    held: bool,
    /// Counts changes: a pass from before the last one is old news.
    era: u64,
    calls: Window,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open {
        since: Instant,
    },
    HalfOpen {
        /// Probes on their way.
        out: usize,
    },
}

/// What the gate says to a caller.
pub(super) enum Entry {
    Passed(Pass),
    /// `wait`: until it is half open; `None` when it is and all probes are on their way.
    Refused {
        wait: Option<Duration>,
    },
}

/// What a ticket remembers: the era in which it counts, if it does.
#[derive(Clone, Copy)]
pub(super) struct Pass(Option<u64>);

impl Gate {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, phase: Phase::Closed, held: false, era: 0, calls: Window::default() }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { since } if self.held || now.duration_since(since) < self.config.open_for => {
                BreakerState::Open
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks for a pass. A change of state is that the time of the open breaker is up.
    pub(super) fn enter(&mut self, now: Instant) -> (Entry, Option<BreakerState>) {
        let mut change = None;
        if matches!(self.phase, Phase::Open { .. }) && self.state(now) == BreakerState::HalfOpen {
            change = Some(self.turn(Phase::HalfOpen { out: 0 }));
        }
        let wait = match &mut self.phase {
            Phase::HalfOpen { out } if *out < self.config.probes.max(1) => {
                *out += 1;
                return (Entry::Passed(Pass(Some(self.era))), change);
            }
            Phase::Closed => return (Entry::Passed(Pass(Some(self.era))), change),
            Phase::HalfOpen { .. } => None,
            Phase::Open { .. } if self.held => Some(self.config.open_for),
            Phase::Open { since } => Some(self.config.open_for.saturating_sub(now.duration_since(*since))),
        };
        let entry = if self.config.enforce { Entry::Refused { wait } } else { Entry::Passed(Pass(None)) };
        (entry, change)
    }

    pub(super) fn tell(&mut self, now: Instant, pass: Pass, failed: bool) -> Option<BreakerState> {
        if pass.0 != Some(self.era) {
            return None;
        }
        match &mut self.phase {
            Phase::HalfOpen { out } if self.held => {
                *out = out.saturating_sub(1);
                None
            }
            _ if self.held => None,
            Phase::HalfOpen { .. } if failed => Some(self.turn(Phase::Open { since: now })),
            Phase::HalfOpen { .. } => Some(self.turn(Phase::Closed)),
            Phase::Closed => {
                self.calls.push(now, failed, &self.config);
                if failed && self.calls.are_bad(&self.config) {
                    return Some(self.turn(Phase::Open { since: now }));
                }
                None
            }
            Phase::Open { .. } => None,
        }
    }

    /// Whether nothing has changed since the pass was given.
    pub(super) fn knows(&self, pass: Pass) -> bool {
        pass.0.is_none_or(|era| era == self.era)
    }

    pub(super) fn untold(&mut self, pass: Pass) {
        if pass.0 == Some(self.era)
            && let Phase::HalfOpen { out } = &mut self.phase
        {
            *out = out.saturating_sub(1);
        }
    }

    pub(super) fn force(&mut self, now: Instant, state: Option<BreakerState>) -> Option<BreakerState> {
        if state.is_none() && !self.held {
            return None;
        }
        let before = self.state(now);
        self.held = state.is_some();
        let after = self.turn(match state {
            None | Some(BreakerState::Closed) => Phase::Closed,
            Some(BreakerState::Open) => Phase::Open { since: now },
            Some(BreakerState::HalfOpen) => Phase::HalfOpen { out: 0 },
        });
        (after != before).then_some(after)
    }

    /// Goes over to another phase, with nothing counted, and says which it is.
    fn turn(&mut self, phase: Phase) -> BreakerState {
        self.phase = phase;
        self.era += 1;
        self.calls.clear();
        match phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

/// How the last calls went.
#[derive(Default)]
struct Window {
    /// When each came back, and whether it had failed.
    calls: VecDeque<(Instant, bool)>,
    failures: usize,
    /// Failures since the last success.
    in_a_row: usize,
}

impl Window {
    fn push(&mut self, now: Instant, failed: bool, config: &BreakerConfig) {
        if self.calls.capacity() == 0 {
            // Once, so that counting never allocates again; more only for a host that asks for a great window.
            self.calls.reserve_exact(config.window.clamp(1, 1024).saturating_add(1));
        }
        self.calls.push_back((now, failed));
        self.failures += usize::from(failed);
        while let Some((at, old)) = self.calls.front().copied()
            && (self.calls.len() > config.window.max(1) || now.duration_since(at) > config.max_age)
        {
            self.calls.pop_front();
            self.failures -= usize::from(old);
        }
        // Of a row of failures those that are forgotten count no longer.
        self.in_a_row = if failed { (self.in_a_row + 1).min(self.calls.len()) } else { 0 };
    }

    fn are_bad(&self, config: &BreakerConfig) -> bool {
        #[allow(clippy::cast_precision_loss)] // windows are small
        let share = self.failures as f64 / self.calls.len().max(1) as f64;
        self.calls.len() >= config.minimum && share >= config.threshold
            || config.consecutive.is_some_and(|failures| self.in_a_row >= failures.max(1))
    }

    fn clear(&mut self) {
        self.calls.clear();
        (self.failures, self.in_a_row) = (0, 0);
    }
}
