//! Those who wait for a limiter, in the order in which they go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result, Strategy};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limiting::gate::Now;
use crate::limiting::pace::{Bucket, Want};

/// A caller that is this late for its turn is not being polled, and loses it to those behind.
const GRACE: Duration = Duration::from_millis(100);

/// Batch work that waited so long stands among the interactive calls, by the time at which it came.
const PATIENCE: Duration = Duration::from_secs(30);

/// The buckets of one call, each once, and the units it wants of them.
pub(crate) type Claims = [(Arc<Bucket>, u32)];

/// A place in the line: interactive calls before batch work, each by arrival.
pub(crate) type Number = (bool, u64);

/// Those who wait. All turns are decided under its lock.
pub(crate) struct Line {
    arrivals: u64,
    waiting: BTreeMap<Number, Waiting>,
    pub(crate) longest_wait: Duration,
}

/// One who waits.
pub(crate) struct Waiting {
    pub(crate) caller: Caller,
    /// When it will ask again, unless it is woken before.
    asks_at: Instant,
    wake: Arc<Notify>,
}

/// Who wants to leave.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) claims: Arc<Claims>,
    pub(crate) batch: bool,
}

/// On what terms.
pub(crate) struct Terms {
    pub(crate) deadline: Option<Instant>,
    pub(crate) strategy: Option<Strategy>,
}

/// What a caller is told.
pub(crate) enum Turn {
    /// It may leave now. `held`: its end has to be told.
    Leave { held: bool },
    /// It should ask again then.
    Ask(Instant),
}

/// What keeps a call from leaving: the bucket, and until when if that is known (a slot is not).
struct Obstacle<'a> {
    bucket: &'a Arc<Bucket>,
    until: Option<Instant>,
}

impl Line {
    pub(crate) fn new(longest_wait: Duration) -> Self {
        Self { arrivals: 0, waiting: BTreeMap::new(), longest_wait }
    }

    /// A number at the end of the line.
    pub(crate) fn number(&mut self, batch: bool) -> Number {
        self.arrivals += 1;
        (batch, self.arrivals)
    }

    /// Stands in the line, or stands there on.
    pub(crate) fn stand(&mut self, number: Number, caller: Caller, asks_at: Instant, wake: Arc<Notify>) {
        self.waiting.insert(number, Waiting { caller, asks_at, wake });
    }

    /// Goes away.
    pub(crate) fn leave(&mut self, number: Number) -> Option<Waiting> {
        self.waiting.remove(&number)
    }

    /// When batch work stops giving way to interactive calls.
    pub(crate) fn patience_ends(number: Number, came: Instant) -> Option<Instant> {
        number.0.then(|| came + PATIENCE)
    }

    /// Tells a caller at a place whether it may leave now, or when it should ask again.
    pub(crate) fn turn(&self, number: Number, caller: &Caller, terms: &Terms, now: &Now<'_>) -> Result<Turn> {
        let mut held = false;
        let mut strategy = None;
        for (bucket, cost) in &*caller.claims {
            let pace = bucket.pace();
            if let Some(until) = pace.exhausted_until
                && let Ok(wait) = until.duration_since(now.wall())
                && !wait.is_zero()
            {
                let message = format!("the quota of {} is spent", bucket.name);
                return Err(Error::new(ErrorKind::QuotaExhausted, message)
                    .with_retry_after(wait)
                    .with_retry_at(until));
            }
            if let Some(capacity) = pace.capacity(caller.batch).filter(|capacity| cost > capacity) {
                let message = format!("a call of cost {cost} in a bucket of {capacity}");
                return Err(Error::config(&*bucket.name, message));
            }
            held |= pace.is_held();
            strategy = strategy.or(pace.strategy);
        }
        let obstacle = caller.obstacle(now);
        let until = obstacle.as_ref().and_then(|obstacle| obstacle.until);
        let mut before = self.waiting.range(..number).map(|(_, waiting)| waiting);
        let ahead = before.find(|waiting| waiting.comes_before(caller, obstacle.is_none(), now));
        let asks_at = match (ahead, &obstacle) {
            (None, None) => return Ok(Turn::Leave { held }),
            (None, Some(obstacle)) => obstacle.until.unwrap_or(now.instant + GRACE),
            (Some(ahead), _) => ahead.asks_at.max(now.instant) + GRACE,
        };
        let wait = until.map_or(Duration::ZERO, |until| until - now.instant);
        let bucket = obstacle.as_ref().map(|obstacle| obstacle.bucket);
        if wait > self.longest_wait {
            return Err(parked(bucket, wait, now));
        }
        let strategy = terms
            .strategy
            .or_else(|| bucket.and_then(|bucket| bucket.pace().strategy))
            .or(strategy)
            .unwrap_or_default();
        match strategy {
            Strategy::Fail => return Err(limited("asks for a wait", asks_at - now.instant)),
            Strategy::Park => return Err(parked(bucket, asks_at - now.instant, now)),
            _ => {}
        }
        let is_over = |deadline| now.instant >= deadline || until.is_some_and(|until| until > deadline);
        if terms.deadline.is_some_and(is_over) {
            return Err(limited("asks for a wait beyond the deadline", wait));
        }
        Ok(Turn::Ask(asks_at))
    }

    /// Wakes those who may come closer because of what happened to some buckets.
    pub(crate) fn wake(&self, now: &Now<'_>, concerns: impl Fn(&Arc<Bucket>) -> bool) {
        let concerned = |waiting: &Waiting| waiting.caller.claims.iter().any(|(bucket, _)| concerns(bucket));
        for waiting in self.waiting.values().filter(|waiting| concerned(waiting)) {
            waiting.wake.notify_one();
            // Those behind come after the first one that waits for just this.
            let waits_for_this =
                waiting.caller.obstacle(now).is_none_or(|obstacle| concerns(obstacle.bucket));
            if waits_for_this && !waiting.is_late(now) {
                break;
            }
        }
    }

    /// Wakes everybody: the limits are others now.
    pub(crate) fn wake_all(&self) {
        self.waiting.values().for_each(|waiting| waiting.wake.notify_one());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Caller {
    pub(crate) fn wants(&self, bucket: &Arc<Bucket>) -> Option<Want> {
        let found = self.claims.iter().find(|(b, _)| Arc::ptr_eq(b, bucket));
        found.map(|(_, cost)| Want { cost: *cost, batch: self.batch })
    }

    /// What keeps it from leaving now: the bucket that is ready last, or one without a free slot.
    fn obstacle(&self, now: &Now<'_>) -> Option<Obstacle<'_>> {
        let mut last: Option<(Instant, &Arc<Bucket>)> = None;
        let mut full = None;
        for (bucket, cost) in &*self.claims {
            let pace = bucket.pace();
            let ready = pace.ready_at(now, Want { cost: *cost, batch: self.batch });
            if ready > now.instant && last.is_none_or(|(latest, _)| ready > latest) {
                last = Some((ready, bucket));
            }
            if pace.is_full(self.batch) {
                full = Some(bucket);
            }
        }
        match (last, full) {
            (Some((until, bucket)), _) => Some(Obstacle { bucket, until: Some(until) }),
            (None, Some(bucket)) => Some(Obstacle { bucket, until: None }),
            (None, None) => None,
        }
    }

    fn shares_with(&self, other: &Self) -> bool {
        self.claims.iter().any(|(bucket, _)| other.wants(bucket).is_some())
    }
}

impl Waiting {
    /// Whether it is not being polled: it did not come when it should have.
    fn is_late(&self, now: &Now<'_>) -> bool {
        now.instant >= self.asks_at + GRACE
    }

    /// Whether a later caller has to let this one go first. `could_go`: but for those before it, the later one
    /// could leave now.
    fn comes_before(&self, later: &Caller, could_go: bool, now: &Now<'_>) -> bool {
        if self.is_late(now) || !self.caller.shares_with(later) {
            return false;
        }
        match self.caller.obstacle(now) {
            None => true,
            Some(obstacle) if later.wants(obstacle.bucket).is_some() => true,
            // It waits for something else: the later one may pass if that does not make it wait longer.
            Some(Obstacle { until: Some(until), .. }) => {
                could_go
                    && later.claims.iter().any(|(bucket, cost)| {
                        let theirs = Want { cost: *cost, batch: later.batch };
                        self.caller
                            .wants(bucket)
                            .is_some_and(|want| bucket.pace().ready_after(now, Some(theirs), want) > until)
                    })
            }
            Some(_) => false,
        }
    }
}

fn limited(what: &str, wait: Duration) -> Error {
    let error = Error::new(ErrorKind::RateLimited, format!("the limit {what}"));
    if wait.is_zero() { error } else { error.with_retry_after(wait) }
}

fn parked(bucket: Option<&Arc<Bucket>>, wait: Duration, now: &Now<'_>) -> Error {
    let message = match bucket {
        Some(bucket) => format!("the limit of {} asks for a wait of {} s", bucket.name, wait.as_secs()),
        None => "others are waiting for the limit".to_owned(),
    };
    let error = Error::new(ErrorKind::QuotaExhausted, message).with_retry_after(wait);
    match now.wall().checked_add(wait) {
        Some(at) => error.with_retry_at(at),
        None => error,
    }
}
