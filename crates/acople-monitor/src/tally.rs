//! What is counted, of a connection and of a connector.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople_core::{CacheUse, ErrorKind, WaitCause};

use crate::histogram::{Histogram, micros};
use crate::kind;

/// Causes of waits that are told apart, and one for causes newer than this crate.
pub(crate) const CAUSES: usize = 3;

/// Statuses are told apart by their hundred: no answer, 1xx to 5xx, anything else.
pub(crate) const STATUS_CLASSES: [&str; 7] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", crate::names::OTHER];

/// Counters that only grow. Each signal touches few of them: what can be added up at a snapshot is not counted
/// twice.
pub(crate) struct Tally {
    pub(crate) attempts: Histogram,
    pub(crate) calls: Histogram,
    pub(crate) statuses: [AtomicU64; STATUS_CLASSES.len()],
    pub(crate) attempt_errors: [AtomicU64; kind::PLACES],
    pub(crate) call_errors: [AtomicU64; kind::PLACES],
    pub(crate) waits: [WaitTally; CAUSES],
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    operations: Box<[OnceLock<Box<OperationTally>>]>,
}

/// What one operation did.
#[derive(Default)]
pub(crate) struct OperationTally {
    pub(crate) attempts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) call_us: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) revalidated: AtomicU64,
    pub(crate) misses: AtomicU64,
}

/// Waits of one cause.
#[derive(Default)]
pub(crate) struct WaitTally {
    pub(crate) count: AtomicU64,
    pub(crate) us: AtomicU64,
}

/// An attempt that came to its end.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) number: u32,
    pub(crate) took: Duration,
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

impl Tally {
    /// Nothing counted, for operations numbered up to and including `operations`.
    pub(crate) fn new(operations: usize) -> Self {
        Self {
            attempts: Histogram::default(),
            calls: Histogram::default(),
            statuses: [const { AtomicU64::new(0) }; STATUS_CLASSES.len()],
            attempt_errors: [const { AtomicU64::new(0) }; kind::PLACES],
            call_errors: [const { AtomicU64::new(0) }; kind::PLACES],
            waits: Default::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            operations: std::iter::repeat_with(OnceLock::new).take(operations + 1).collect(),
        }
    }

    pub(crate) fn attempt(&self, operation: usize, attempt: &Attempt) {
        self.attempts.record(attempt.took);
        if let Some(operation) = self.operation(operation) {
            add(&operation.attempts, 1);
            if attempt.number > 1 {
                add(&operation.retries, 1);
            }
        }
        if let Some(counter) = self.statuses.get(status_class(attempt.status)) {
            add(counter, 1);
        }
        if let Some(counter) = attempt.error.and_then(|error| self.attempt_errors.get(kind::place(error))) {
            add(counter, 1);
        }
        add(&self.sent, attempt.sent as u64);
        add(&self.received, attempt.received as u64);
    }

    pub(crate) fn call(&self, operation: usize, error: Option<ErrorKind>, took: Duration) {
        self.calls.record(took);
        if let Some(operation) = self.operation(operation) {
            add(&operation.calls, 1);
            add(&operation.call_us, micros(took));
            add(&operation.failed, u64::from(error.is_some()));
        }
        if let Some(counter) = error.and_then(|error| self.call_errors.get(kind::place(error))) {
            add(counter, 1);
        }
    }

    pub(crate) fn waited(&self, cause: WaitCause, wait: Duration) {
        if let Some(waits) = self.waits.get(cause_place(cause)) {
            add(&waits.count, 1);
            add(&waits.us, micros(wait));
        }
    }

    pub(crate) fn cache(&self, operation: usize, found: CacheUse) {
        let Some(operation) = self.operation(operation) else { return };
        match found {
            CacheUse::Hit => add(&operation.hits, 1),
            CacheUse::Revalidated => add(&operation.revalidated, 1),
            CacheUse::Miss => add(&operation.misses, 1),
            _ => {}
        }
    }

    /// Operations that were used, with their numbers.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (usize, &OperationTally)> {
        self.operations.iter().enumerate().filter_map(|(number, place)| Some((number, &**place.get()?)))
    }

    /// One operation, if it was used.
    pub(crate) fn used(&self, operation: usize) -> Option<&OperationTally> {
        self.operations.get(operation)?.get().map(|tally| &**tally)
    }

    /// Adds all of it to another.
    pub(crate) fn add_to(&self, sum: &Self) {
        self.pour(sum, |counter| counter.load(Ordering::Relaxed));
    }

    /// Moves all of it to another: what is counted meanwhile stays and is not lost.
    pub(crate) fn move_to(&self, sum: &Self) {
        self.pour(sum, |counter| counter.swap(0, Ordering::Relaxed));
    }

    fn pour(&self, sum: &Self, take: impl Fn(&AtomicU64) -> u64) {
        let pour = |from: &AtomicU64, to: &AtomicU64| add(to, take(from));
        self.counters().zip(sum.counters()).for_each(|(from, to)| pour(from, to));
        for (number, operation) in self.operations() {
            if let Some(to) = sum.operation(number) {
                operation.counters().into_iter().zip(to.counters()).for_each(|(from, to)| pour(from, to));
            }
        }
    }

    fn operation(&self, number: usize) -> Option<&OperationTally> {
        self.operations.get(number).map(|place| &**place.get_or_init(Box::default))
    }

    fn counters(&self) -> impl Iterator<Item = &AtomicU64> {
        let waits = self.waits.iter().flat_map(|waits| [&waits.count, &waits.us]);
        let errors = self.statuses.iter().chain(&self.attempt_errors).chain(&self.call_errors);
        self.attempts
            .counters()
            .chain(self.calls.counters())
            .chain(errors)
            .chain(waits)
            .chain([&self.sent, &self.received])
    }
}

impl OperationTally {
    fn counters(&self) -> [&AtomicU64; 8] {
        [
            &self.attempts,
            &self.retries,
            &self.calls,
            &self.failed,
            &self.call_us,
            &self.hits,
            &self.revalidated,
            &self.misses,
        ]
    }
}

/// The place of a cause in [`Tally::waits`].
pub(crate) fn cause_place(cause: WaitCause) -> usize {
    match cause {
        WaitCause::Limit => 0,
        WaitCause::Backoff => 1,
        _ => CAUSES - 1,
    }
}

/// The place of a status in [`STATUS_CLASSES`].
pub(crate) fn status_class(status: Option<u16>) -> usize {
    match status {
        None => 0,
        Some(status @ 100..=599) => usize::from(status / 100),
        Some(_) => STATUS_CLASSES.len() - 1,
    }
}

/// Many signals have nothing to add: an addition of nothing would cost as much as any other.
fn add(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}
