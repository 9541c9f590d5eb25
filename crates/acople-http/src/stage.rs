//! How far a call has come, and the one timer that bounds it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind};
use tokio::time::{Instant, Sleep, sleep_until};

/// Where a call stands: what it means when a deadline strikes or the caller gives up.
///
/// The call's own task alone writes it: relaxed ordering suffices.
pub(crate) struct Stage {
    began: Instant,
    at: AtomicU8,
    /// Attempts that went to the wire.
    sent: AtomicU32,
    /// Whether one of them may have taken effect although it failed.
    open: AtomicBool,
    /// Until when the head of an answer is waited for, in nanoseconds since the beginning.
    head: AtomicU64,
}

/// Somebody outside ended the work.
pub(crate) enum Ended {
    /// The deadline passed.
    Deadline,
    /// The caller gave up.
    Cancelled,
}

impl Stage {
    pub(crate) const IDLE: u8 = 0;
    pub(crate) const WAITING: u8 = 1;
    const ON_THE_WIRE: u8 = 2;

    /// No head is waited for.
    const NO_HEAD: u64 = u64::MAX;
    /// The head did not come in time.
    const OVERDUE: u64 = u64::MAX - 1;

    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            at: AtomicU8::new(Self::IDLE),
            sent: AtomicU32::new(0),
            open: AtomicBool::new(false),
            head: AtomicU64::new(Self::NO_HEAD),
        }
    }

    pub(crate) fn set(&self, stage: u8) {
        self.at.store(stage, Ordering::Relaxed);
    }

    /// A request goes to the wire; its answer's head is waited for until `head`.
    pub(crate) fn sends(&self, head: Instant) {
        self.set(Self::ON_THE_WIRE);
        self.sent.fetch_add(1, Ordering::Relaxed);
        let nanos = head.saturating_duration_since(self.began).as_nanos();
        self.head.store(u64::try_from(nanos).unwrap_or(Self::NO_HEAD), Ordering::Relaxed);
    }

    /// The head came, or its attempt failed.
    pub(crate) fn heard(&self) {
        self.head.store(Self::NO_HEAD, Ordering::Relaxed);
    }

    /// Whether the head did not come in time.
    pub(crate) fn is_overdue(&self) -> bool {
        self.head.load(Ordering::Relaxed) == Self::OVERDUE
    }

    /// Attempts that went to the wire.
    pub(crate) fn attempts(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.open.fetch_or(!error.outcome_known(), Ordering::Relaxed);
    }

    /// The error of a call that ends here because somebody outside wants it to.
    #[inline(never)]
    pub(crate) fn ended(&self, ended: Ended, repeatable: bool) -> Error {
        let (kind, why) = match ended {
            Ended::Deadline => (ErrorKind::Timeout, "the deadline passed"),
            Ended::Cancelled => (ErrorKind::Cancelled, "the caller gave up"),
        };
        match self.at.load(Ordering::Relaxed) {
            Self::ON_THE_WIRE if !repeatable => {
                Error::new(ErrorKind::Ambiguous, format!("{why} while the request was on the wire"))
            }
            Self::ON_THE_WIRE => Error::new(kind, why).with_unknown_outcome(),
            Self::WAITING if kind == ErrorKind::Timeout => {
                Error::new(ErrorKind::RateLimited, format!("{why} while waiting for the limit"))
            }
            _ => Error::new(kind, why),
        }
    }

    /// Says of an error what the attempts before it mean for the whole call.
    #[inline(never)]
    pub(crate) fn describe(&self, error: Error) -> Error {
        let error = match self.attempts() {
            0 => error,
            sent => error.with_attempts(sent),
        };
        // A refusal of the data itself would have met the earlier attempts as well.
        let refused = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Schema | ErrorKind::TooLarge);
        if self.open.load(Ordering::Relaxed) && !refused { error.with_unknown_outcome() } else { error }
    }

    /// Runs work until its end, until the deadline, or until the caller gives up.
    ///
    /// One timer serves for the deadline and for the heads of all attempts: setting and taking back timers is
    /// a large part of what a small request costs.
    pub(crate) async fn bound<T>(
        &self,
        deadline: Instant,
        cx: &Context,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Ended> {
        let mut timer = pin!(None::<Sleep>);
        let mut cancelled = pin!(cx.cancelled());
        poll_fn(|task| {
            loop {
                if let Poll::Ready(done) = work.as_mut().poll(task) {
                    return Poll::Ready(Ok(done));
                }
                if cx.cancel().is_some() && cancelled.as_mut().poll(task).is_ready() {
                    return Poll::Ready(Err(Ended::Cancelled));
                }
                let until = self.head_until().map_or(deadline, |head| head.min(deadline));
                match timer.as_mut().as_pin_mut() {
                    Some(timer) if timer.deadline() > until => timer.reset(until),
                    Some(_) => {}
                    None => timer.set(Some(sleep_until(until))),
                }
                let Some(mut sleep) = timer.as_mut().as_pin_mut() else { return Poll::Pending };
                if sleep.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                if self.head_until().is_some_and(|head| now >= head) {
                    // The attempt ends first: it knows what its end means.
                    self.head.store(Self::OVERDUE, Ordering::Relaxed);
                } else if now >= deadline {
                    return Poll::Ready(Err(Ended::Deadline));
                } else {
                    // The timer was that of an earlier attempt.
                    sleep.reset(until);
                }
            }
        })
        .await
    }

    fn head_until(&self) -> Option<Instant> {
        match self.head.load(Ordering::Relaxed) {
            Self::NO_HEAD | Self::OVERDUE => None,
            nanos => self.began.checked_add(Duration::from_nanos(nanos)),
        }
    }
}
