//! The limiter of one process: several buckets a call, first come first served.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::{Claim, Clock, Context, Lesson, Permit, Priority, RateLimiter, Result, SystemClock};
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Limits;
use crate::limiting::gate::Now;
use crate::limiting::line::{Caller, Claims, Line, Number, Terms, Turn};
use crate::limiting::pace::{Bucket, Pace, Want};

/// Buckets beyond which those that say nothing are forgotten: names may be those of users or recipients.
const BUCKETS: usize = 1024;

/// The pause after a throttle of which nobody says how long.
const PAUSE: Duration = Duration::from_secs(1);

/// A limiter for one process.
///
/// Each bucket holds the limits that [`Limits`] declare, and pauses for everybody when an answer says "not now":
/// afterwards one call goes first, and the others follow when it succeeded or a second has passed. Buckets that
/// the limits do not name have no rate but pause all the same.
///
/// Callers of one bucket leave in the order in which they came, interactive ones before batch work that has not
/// waited for half a minute. One that waits for another of its buckets does not hold up the others, as long as
/// they do not make it wait longer; nor does one whose future is not polled, such as that of a page that is
/// fetched ahead.
#[derive(Clone)]
pub struct LocalLimiter(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    buckets: Mutex<Buckets>,
    line: Mutex<Line>,
    /// Whether successes teach anything: they do not before a throttle, unless limits adapt.
    listens: AtomicBool,
}

struct Buckets {
    limits: Limits,
    known: BTreeMap<Arc<str>, Arc<Bucket>>,
}

/// A caller's place in the line: given up when it is dropped, so that the next one comes closer.
struct Place {
    limiter: Arc<Inner>,
    number: Number,
    came: Instant,
    wake: Arc<Notify>,
}

/// What a call in flight holds.
struct Held {
    limiter: Arc<Inner>,
    caller: Caller,
}

impl LocalLimiter {
    /// A limiter with these limits.
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, Arc::new(SystemClock))
    }

    /// A limiter whose quotas reset by this clock.
    pub fn with_clock(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let line = Mutex::new(Line::new(limits.longest_wait));
        let listens = AtomicBool::new(limits.adapt());
        let buckets = Mutex::new(Buckets { limits, known: BTreeMap::new() });
        Self(Arc::new(Inner { clock, buckets, line, listens }))
    }

    /// The limits as they are declared now.
    pub fn limits(&self) -> Limits {
        self.0.buckets().limits.clone()
    }

    /// Declares other limits. They hold at once, for those who wait too; what was counted and learned stays.
    ///
    /// ```
    /// # use acople_http::{Limits, LocalLimiter};
    /// # use std::time::Duration;
    /// # let limiter = LocalLimiter::new(Limits::new());
    /// limiter.change(limiter.limits().rate("app", 50, Duration::from_secs(10)));
    /// ```
    pub fn change(&self, limits: Limits) {
        let now = Instant::now();
        self.0.listens.fetch_or(limits.adapt(), Ordering::Relaxed);
        let longest_wait = limits.longest_wait;
        {
            let mut buckets = self.0.buckets();
            let forgotten = crate::limiting::limits::Plan::default();
            for bucket in buckets.known.values() {
                match limits.buckets.get(&*bucket.name) {
                    Some(plan) => bucket.pace().change(plan, now),
                    None if buckets.limits.buckets.contains_key(&*bucket.name) => {
                        bucket.pace().change(&forgotten, now);
                    }
                    None => {}
                }
            }
            buckets.limits = limits;
        }
        let mut line = self.0.line();
        line.longest_wait = longest_wait;
        line.wake_all();
    }
}

#[async_trait]
impl RateLimiter for LocalLimiter {
    async fn acquire(&self, cx: &Context, claims: &[Claim]) -> Result<Permit> {
        if claims.is_empty() {
            return Ok(Permit::free());
        }
        let caller = Caller { claims: self.0.claims(claims), batch: cx.priority() < Priority::Interactive };
        let terms = Terms { deadline: cx.deadline().map(Instant::from_std), strategy: cx.strategy() };
        let turn = {
            let now = Now::new(&*self.0.clock);
            Inner::turn(&self.0.line(), (caller.batch, u64::MAX), &caller, &terms, &now)?
        };
        let held = match turn {
            Turn::Leave { held } => held,
            Turn::Ask(_) => self.0.wait(cx, &caller, &terms).await?,
        };
        Ok(if held { Permit::holding(Held { limiter: self.0.clone(), caller }) } else { Permit::free() })
    }

    fn observe(&self, claims: &[Claim], lesson: &Lesson) {
        let each = |bucket: Option<&Arc<str>>, change: &dyn Fn(&mut Pace, Instant)| {
            let now = Instant::now();
            match bucket {
                Some(name) => change(&mut self.0.bucket(name).pace(), now),
                None => {
                    for claim in claims {
                        change(&mut self.0.bucket(claim.bucket()).pace(), now);
                    }
                }
            }
        };
        match lesson {
            Lesson::Passed if self.0.listens.load(Ordering::Relaxed) => self.0.passed(claims),
            Lesson::Throttled { bucket, wait } => {
                self.0.listens.store(true, Ordering::Relaxed);
                let jitter = fastrand::f64();
                each(bucket.as_ref(), &|pace, now| match wait {
                    Some(wait) => pace.throttle(now, *wait, jitter),
                    None => pace.slow_down(now, PAUSE, jitter),
                });
            }
            Lesson::SlowDown { bucket, pause } => {
                self.0.listens.store(true, Ordering::Relaxed);
                let jitter = fastrand::f64();
                each(bucket.as_ref(), &|pace, now| pace.slow_down(now, *pause, jitter));
            }
            Lesson::Remaining { bucket, remaining, resets_in: Some(wait) } => {
                each(Some(bucket), &|pace, now| pace.remaining(now, *remaining, *wait));
            }
            Lesson::Exhausted { bucket, until } => {
                let until = until.unwrap_or_else(|| self.0.clock.now() + Duration::from_secs(3600));
                each(bucket.as_ref(), &|pace, _| pace.exhausted_until = Some(until));
            }
            Lesson::Cost { bucket, units } => {
                let same = claims.iter().filter(|claim| claim.bucket() == &**bucket);
                let estimate = same.fold(0u32, |sum, claim| sum.saturating_add(claim.cost()));
                each(Some(bucket), &|pace, now| pace.cost(now, estimate, *units));
                self.0.wake(&self.0.bucket(bucket));
            }
            Lesson::Points { bucket, available, capacity, per_second } => {
                each(Some(bucket), &|pace, now| pace.points(now, *available, *capacity, *per_second));
                self.0.wake(&self.0.bucket(bucket));
            }
            Lesson::Usage { bucket, percent, regain } => {
                self.0.listens.store(true, Ordering::Relaxed);
                each(bucket.as_ref(), &|pace, now| pace.usage(now, *percent, *regain));
            }
            _ => {}
        }
    }
}

impl fmt::Debug for LocalLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLimiter").field("limits", &self.limits()).finish_non_exhaustive()
    }
}

impl Inner {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buckets of some claims, each once: what is claimed twice is claimed in sum.
    fn claims(&self, claims: &[Claim]) -> Arc<Claims> {
        let mut merged: Vec<(Arc<Bucket>, u32)> = Vec::with_capacity(claims.len());
        for claim in claims {
            match merged.iter_mut().find(|(bucket, _)| *bucket.name == *claim.bucket()) {
                Some((_, cost)) => *cost = cost.saturating_add(claim.cost()),
                None => merged.push((self.bucket(claim.bucket()), claim.cost())),
            }
        }
        merged.into()
    }

    fn bucket(&self, name: &str) -> Arc<Bucket> {
        let mut buckets = self.buckets();
        if let Some(bucket) = buckets.known.get(name) {
            return bucket.clone();
        }
        let now = Instant::now();
        if buckets.known.len() >= BUCKETS {
            let wall = self.clock.now();
            buckets
                .known
                .retain(|_, bucket| Arc::strong_count(bucket) > 1 || bucket.pace().is_told(now, wall));
        }
        let bucket = Arc::new(Bucket::new(name.into(), buckets.limits.buckets.get(name), now));
        buckets.known.insert(bucket.name.clone(), bucket.clone());
        bucket
    }

    /// Whether it is a caller's turn; one whose turn it is has taken its units.
    fn turn(line: &Line, number: Number, caller: &Caller, terms: &Terms, now: &Now<'_>) -> Result<Turn> {
        let turn = line.turn(number, caller, terms, now)?;
        if let Turn::Leave { held } = turn {
            for (bucket, cost) in &*caller.claims {
                bucket.pace().spend(now, Want { cost: *cost, batch: caller.batch }, held);
            }
        }
        Ok(turn)
    }

    /// Waits in the line until the caller may leave, and says whether its end has to be told.
    ///
    /// Behind a pointer: the way of those who need not wait stays short.
    #[inline(never)]
    fn wait<'a>(
        self: &'a Arc<Self>,
        cx: &'a Context,
        caller: &'a Caller,
        terms: &'a Terms,
    ) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + 'a>> {
        Box::pin(async move {
            let mut place = {
                let now = Instant::now();
                self.join(&mut self.line(), caller.batch, now)
            };
            loop {
                let asks_at = {
                    let now = Now::new(&*self.clock);
                    let mut line = self.line();
                    place.come_forward(&mut line, now.instant);
                    let at = match Self::turn(&line, place.number, caller, terms, &now)? {
                        Turn::Leave { held } => {
                            cx.meter().waited(place.came.elapsed());
                            // Before the place is given up, which asks for the line itself.
                            drop(line);
                            return Ok(held);
                        }
                        Turn::Ask(at) => terms.deadline.map_or(at, |deadline| deadline.min(at)),
                    };
                    let patience = Line::patience_ends(place.number, place.came);
                    let asks_at = patience.map_or(at, |patience| patience.min(at));
                    line.stand(place.number, caller.clone(), asks_at, place.wake.clone());
                    asks_at
                };
                // Woken early or not: either way it asks again.
                let _ = tokio::time::timeout_at(asks_at, place.wake.notified()).await;
            }
        })
    }

    /// Takes a place at the end of the line.
    fn join(self: &Arc<Self>, line: &mut Line, batch: bool, now: Instant) -> Place {
        Place { limiter: self.clone(), number: line.number(batch), came: now, wake: Arc::default() }
    }

    fn passed(&self, claims: &[Claim]) {
        let now = Instant::now();
        for claim in claims {
            let bucket = self.bucket(claim.bucket());
            let lets_others_go = bucket.pace().passed(now);
            if lets_others_go {
                self.wake(&bucket);
            }
        }
    }

    fn wake(&self, bucket: &Arc<Bucket>) {
        let line = self.line();
        if !line.is_empty() {
            line.wake(&Now::new(&*self.clock), |other| Arc::ptr_eq(other, bucket));
        }
    }

    fn wake_next(&self, line: &Line, caller: &Caller) {
        if !line.is_empty() {
            line.wake(&Now::new(&*self.clock), |bucket| caller.wants(bucket).is_some());
        }
    }
}

impl Place {
    /// Batch work that waited long enough gives way no longer.
    fn come_forward(&mut self, line: &mut Line, now: Instant) {
        if Line::patience_ends(self.number, self.came).is_some_and(|ends| now >= ends) {
            line.leave(self.number);
            self.number.0 = false;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.limiter.line();
        if let Some(left) = line.leave(self.number) {
            self.limiter.wake_next(&line, &left.caller);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let line = self.limiter.line();
        let now = Instant::now();
        for (bucket, _) in &*self.caller.claims {
            bucket.pace().release(now, self.caller.batch);
        }
        self.limiter.wake_next(&line, &self.caller);
    }
}
