//! The limiter of one process: several buckets a call, first come first served.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::{
    Claim, Clock, Context, Error, ErrorKind, Lesson, Permit, RateLimiter, Result, SystemClock,
};
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Limits;
use crate::pace::{Bucket, Pace};

/// Waits longer than this are not slept but handed back as `QuotaExhausted`.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A caller that is this late for its turn is not being polled, and loses it to those behind.
const GRACE: Duration = Duration::from_millis(100);

/// Buckets beyond which those that say nothing are forgotten: names may be those of users or recipients.
const BUCKETS: usize = 1024;

/// A limiter for one process.
///
/// Each bucket paces by GCRA (the generic cell rate algorithm), may hold slots for calls in flight, and
/// pauses for everybody when an answer says "not now". Buckets that the limits do not name have no rate
/// but pause all the same.
///
/// Callers of one bucket leave in the order in which they came. One that waits for another of its buckets
/// does not hold up the others, as long as they do not make it wait longer; nor does one whose future is
/// not polled, such as that of a page that is fetched ahead.
#[derive(Clone)]
pub struct LocalLimiter(Arc<Inner>);

struct Inner {
    limits: Limits,
    clock: Arc<dyn Clock>,
    buckets: Mutex<BTreeMap<Arc<str>, Arc<Bucket>>>,
    /// Those who wait, in the order in which they came. All turns are decided under this lock.
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    arrivals: u64,
    waiting: BTreeMap<u64, Waiting>,
}

/// One who waits.
struct Waiting {
    claims: Arc<Claims>,
    /// When it will ask again, unless it is woken before.
    asks_at: Instant,
    wake: Arc<Notify>,
}

/// The buckets of one call, each once, and the units it wants of them.
type Claims = [(Arc<Bucket>, u32)];

/// What keeps a call from leaving: the bucket, and until when if that is known (a slot is not).
struct Obstacle<'a> {
    bucket: &'a Arc<Bucket>,
    until: Option<Instant>,
}

/// A caller's place in the line: given up when it is dropped, so that the next one comes closer.
struct Place {
    limiter: Arc<Inner>,
    number: u64,
    wake: Arc<Notify>,
}

/// The slots of one call in flight.
struct Slots {
    limiter: Arc<Inner>,
    claims: Arc<Claims>,
}

impl LocalLimiter {
    /// A limiter with these limits.
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, Arc::new(SystemClock))
    }

    /// A limiter whose daily quotas reset by this clock.
    pub fn with_clock(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { limits, clock, buckets: Mutex::default(), line: Mutex::default() }))
    }
}

#[async_trait]
impl RateLimiter for LocalLimiter {
    async fn acquire(&self, cx: &Context, claims: &[Claim]) -> Result<Permit> {
        if claims.is_empty() {
            return Ok(Permit::free());
        }
        let claims = self.0.claims(claims)?;
        let deadline = cx.deadline().map(Instant::from_std);
        let began = Instant::now();
        let mut place: Option<Place> = None;
        loop {
            let now = Instant::now();
            let asks_at = {
                let mut line = self.0.line();
                let number = place.as_ref().map_or(u64::MAX, |place| place.number);
                let Some(asks_at) = self.0.wait(&line, number, &claims, deadline, now)? else {
                    for (bucket, cost) in claims.iter() {
                        bucket.pace().spend(now, *cost, bucket.slots.is_some());
                    }
                    break;
                };
                let asks_at = deadline.map_or(asks_at, |deadline| deadline.min(asks_at));
                let place = place.get_or_insert_with(|| self.0.join(&mut line));
                let waiting = Waiting { claims: claims.clone(), asks_at, wake: place.wake.clone() };
                line.waiting.insert(place.number, waiting);
                asks_at
            };
            if let Some(place) = &place {
                // Woken early or not: either way it asks again.
                let _ = tokio::time::timeout_at(asks_at, place.wake.notified()).await;
            }
        }
        if place.is_some() {
            cx.meter().waited(began.elapsed());
        }
        Ok(if claims.iter().any(|(bucket, _)| bucket.slots.is_some()) {
            Permit::holding(Slots { limiter: self.0.clone(), claims })
        } else {
            Permit::free()
        })
    }

    fn observe(&self, claims: &[Claim], lesson: &Lesson) {
        let each = |bucket: Option<&Arc<str>>, change: &dyn Fn(&mut Pace)| match bucket {
            Some(name) => change(&mut self.0.bucket(name).pace()),
            None => claims.iter().for_each(|claim| change(&mut self.0.bucket(claim.bucket()).pace())),
        };
        match lesson {
            Lesson::Throttled { bucket, wait } => {
                let wait = wait.unwrap_or(Duration::from_secs(1));
                each(bucket.as_ref(), &|pace| pace.throttle(Instant::now(), wait));
            }
            Lesson::Remaining { bucket, remaining: 0, resets_in: Some(wait) } => {
                each(Some(bucket), &|pace| {
                    pace.pause(Instant::now(), *wait);
                });
            }
            Lesson::Exhausted { bucket, until } => {
                let until = until.unwrap_or_else(|| self.0.clock.now() + Duration::from_secs(3600));
                each(bucket.as_ref(), &|pace| pace.exhausted_until = Some(until));
            }
            _ => {}
        }
    }
}

impl fmt::Debug for LocalLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLimiter").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Inner {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buckets of some claims, each once: what is claimed twice is claimed in sum.
    ///
    /// # Errors
    /// `Config` for more units than the bucket ever has.
    fn claims(&self, claims: &[Claim]) -> Result<Arc<Claims>> {
        let mut merged: Vec<(Arc<Bucket>, u32)> = Vec::with_capacity(claims.len());
        for claim in claims {
            match merged.iter_mut().find(|(bucket, _)| *bucket.name == *claim.bucket()) {
                Some((_, cost)) => *cost = cost.saturating_add(claim.cost()),
                None => merged.push((self.bucket(claim.bucket()), claim.cost())),
            }
        }
        for (bucket, cost) in &merged {
            if let Some(capacity) = bucket.capacity.filter(|capacity| cost > capacity) {
                let message = format!("a call of cost {cost} in a bucket of {capacity}");
                return Err(Error::config(&*bucket.name, message));
            }
        }
        Ok(merged.into())
    }

    fn bucket(&self, name: &str) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return bucket.clone();
        }
        if buckets.len() >= BUCKETS {
            let (now, wall) = (Instant::now(), self.clock.now());
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || bucket.pace().is_told(now, wall));
        }
        let plan = self.limits.buckets.get(name).copied().unwrap_or_default();
        let bucket = Arc::new(Bucket::new(name.into(), plan));
        buckets.insert(bucket.name.clone(), bucket.clone());
        bucket
    }

    /// Takes a place at the end of the line.
    fn join(self: &Arc<Self>, line: &mut Line) -> Place {
        line.arrivals += 1;
        Place { limiter: self.clone(), number: line.arrivals, wake: Arc::default() }
    }

    /// When the caller at a place should ask again; `None` when it may leave now.
    fn wait(
        &self,
        line: &Line,
        number: u64,
        claims: &Claims,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Option<Instant>> {
        for (bucket, _) in claims {
            let exhausted = bucket.pace().exhausted_until;
            if let Some(until) = exhausted
                && let Ok(wait) = until.duration_since(self.clock.now())
                && !wait.is_zero()
            {
                let message = format!("quota of {} is spent", bucket.name);
                return Err(Error::new(ErrorKind::QuotaExhausted, message)
                    .with_retry_after(wait)
                    .with_retry_at(until));
            }
        }
        let obstacle = obstacle(claims, now);
        let until = obstacle.as_ref().and_then(|obstacle| obstacle.until);
        let wait = until.map_or(Duration::ZERO, |until| until - now);
        if wait > LONGEST_WAIT {
            let error = Error::new(ErrorKind::QuotaExhausted, "the limit asks for a long wait")
                .with_retry_after(wait);
            return Err(match self.clock.now().checked_add(wait) {
                Some(at) => error.with_retry_at(at),
                None => error,
            });
        }
        let mut before = line.waiting.range(..number).map(|(_, waiting)| waiting);
        let ahead = before.find(|waiting| waiting.comes_before(claims, obstacle.is_none(), now));
        let asks_at = match (ahead, obstacle) {
            (None, None) => return Ok(None),
            (None, Some(obstacle)) => obstacle.until.unwrap_or(now + GRACE),
            (Some(ahead), _) => ahead.asks_at.max(now) + GRACE,
        };
        if deadline.is_some_and(|deadline| now >= deadline || until.is_some_and(|until| until > deadline)) {
            let error = Error::new(ErrorKind::RateLimited, "the limit asks for a wait beyond the deadline");
            return Err(if wait.is_zero() { error } else { error.with_retry_after(wait) });
        }
        Ok(Some(asks_at))
    }

    /// Wakes those who may come closer because somebody left, gave up or gave back slots.
    fn wake(line: &Line, claims: &Claims) {
        if line.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        for waiting in line.waiting.values().filter(|waiting| share(&waiting.claims, claims).is_some()) {
            waiting.wake.notify_one();
            // Those behind come after the first one that waits for just this.
            let waits_for_this = obstacle(&waiting.claims, now)
                .is_none_or(|obstacle| claims.iter().any(|(b, _)| Arc::ptr_eq(b, obstacle.bucket)));
            if waits_for_this && !waiting.is_late(now) {
                break;
            }
        }
    }
}

impl Waiting {
    /// Whether it is not being polled: it did not come when it should have.
    fn is_late(&self, now: Instant) -> bool {
        now >= self.asks_at + GRACE
    }

    /// Whether a later caller with these claims has to let this one go first. `could_go`: but for those
    /// before it, the later one could leave now.
    fn comes_before(&self, claims: &Claims, could_go: bool, now: Instant) -> bool {
        if self.is_late(now) || share(&self.claims, claims).is_none() {
            return false;
        }
        match obstacle(&self.claims, now) {
            None => true,
            Some(obstacle) if claims.iter().any(|(bucket, _)| Arc::ptr_eq(bucket, obstacle.bucket)) => true,
            // It waits for something else: the later one may pass if that does not make it wait longer.
            Some(Obstacle { until: Some(until), .. }) => {
                could_go
                    && claims.iter().any(|(bucket, cost)| {
                        let theirs = self.claims.iter().find(|(b, _)| Arc::ptr_eq(b, bucket));
                        theirs.is_some_and(|(_, theirs)| {
                            let mut pace = *bucket.pace();
                            pace.spend(now, *cost, false);
                            pace.ready_at(now, *theirs) > until
                        })
                    })
            }
            Some(_) => false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.limiter.line();
        if let Some(left) = line.waiting.remove(&self.number) {
            Inner::wake(&line, &left.claims);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let line = self.limiter.line();
        for (bucket, _) in self.claims.iter().filter(|(bucket, _)| bucket.slots.is_some()) {
            let mut pace = bucket.pace();
            pace.taken = pace.taken.saturating_sub(1);
        }
        Inner::wake(&line, &self.claims);
    }
}

/// What keeps a call from leaving now: the bucket that is ready last, or one without a free slot.
fn obstacle(claims: &Claims, now: Instant) -> Option<Obstacle<'_>> {
    let mut last: Option<(Instant, &Arc<Bucket>)> = None;
    let mut full = None;
    for (bucket, cost) in claims {
        let pace = bucket.pace();
        let ready = pace.ready_at(now, *cost);
        if ready > now && last.is_none_or(|(latest, _)| ready > latest) {
            last = Some((ready, bucket));
        }
        if bucket.slots.is_some_and(|slots| pace.taken >= slots) {
            full = Some(bucket);
        }
    }
    match (last, full) {
        (Some((until, bucket)), _) => Some(Obstacle { bucket, until: Some(until) }),
        (None, Some(bucket)) => Some(Obstacle { bucket, until: None }),
        (None, None) => None,
    }
}

/// A bucket that both claim.
fn share<'a>(one: &'a Claims, other: &Claims) -> Option<&'a Arc<Bucket>> {
    one.iter().map(|(bucket, _)| bucket).find(|bucket| other.iter().any(|(b, _)| Arc::ptr_eq(b, bucket)))
}
