//! A million random operations on a limiter, against a simple model of what each kind of limit allows.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Claim, Context, ErrorKind, Lesson, Permit, Priority, RateLimiter, Result};
use acople_http::{Limits, LocalLimiter, Reset};
use acople_testkit::FakeClock;
use fastrand::Rng;
use tokio::time::Instant;

const OPERATIONS: usize = 1_000_000;
const WORLDS: usize = 250;
const THREADS: usize = 2;

const NAMES: [&str; 6] = ["rate", "fixed", "sliding", "quota", "points", "slots"];
/// The share of the sliding window that is kept from batch work.
const RESERVED: f64 = 0.25;

#[test]
fn rate_15_a_million_operations_never_exceed_a_limit_and_starve_nobody() {
    let (done, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (done, left) = (&done, &left);
            scope.spawn(move || {
                for seed in (thread..WORLDS).step_by(THREADS) {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .start_paused(true)
                        .build();
                    let run = async {
                        let mut world = World::new(seed as u64);
                        for _ in 0..OPERATIONS / WORLDS {
                            world.operate().await;
                        }
                        world.drain().await;
                        done.fetch_add(world.operations, Ordering::Relaxed);
                        left.fetch_add(world.left, Ordering::Relaxed);
                    };
                    runtime.unwrap().block_on(tokio::task::unconstrained(run));
                }
            });
        }
    });
    assert_eq!(done.into_inner(), OPERATIONS);
    let left = left.into_inner();
    assert!(left > OPERATIONS / 10, "only {left} calls left");
}

type Waiting = Pin<Box<dyn Future<Output = Result<Permit>>>>;

struct Caller {
    claims: Vec<(usize, u32)>,
    batch: bool,
    came: Instant,
    future: Waiting,
}

struct World {
    random: Rng,
    limiter: LocalLimiter,
    clock: FakeClock,
    began: Instant,
    /// How far the wall clock is behind: less than a period of the quota.
    lag: Duration,
    model: Model,
    waiting: Vec<Caller>,
    held: VecDeque<(Permit, Vec<usize>)>,
    operations: usize,
    left: usize,
}

/// What is declared, and what has left.
struct Model {
    units: [u32; 6],
    per: [Duration; 6],
    paused_until: [Option<Instant>; 6],
    rate: Window,
    sliding: Window,
    sliding_batch: Window,
    fixed: (u32, Option<Instant>),
    quota: (u32, SystemTime),
    points: (f64, Instant),
    in_flight: u32,
}

/// Units of the last while.
#[derive(Default)]
struct Window {
    times: VecDeque<(Instant, u32)>,
    sum: u32,
}

impl Window {
    fn add(&mut self, now: Instant, cost: u32, per: Duration) -> u32 {
        self.times.push_back((now, cost));
        self.sum += cost;
        while let Some((_, cost)) = self.times.front().filter(|(at, _)| *at + per <= now) {
            self.sum -= cost;
            self.times.pop_front();
        }
        self.sum
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        fastrand::seed(seed);
        let units = [(); 6].map(|()| random.u32(1..30));
        let per = [(); 6].map(|()| Duration::from_millis(random.u64(50..5_000)));
        let clock = FakeClock::at(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
        let now = Instant::now();
        let model = Model {
            units,
            per,
            paused_until: [None; 6],
            rate: Window::default(),
            sliding: Window::default(),
            sliding_batch: Window::default(),
            fixed: (0, None),
            quota: (0, UNIX_EPOCH),
            points: (f64::from(units[4]), now),
            in_flight: 0,
        };
        let limiter = LocalLimiter::with_clock(model.limits(), Arc::new(clock.clone()));
        let (waiting, held) = (Vec::new(), VecDeque::new());
        Self {
            random,
            limiter,
            clock,
            began: now,
            lag: Duration::ZERO,
            model,
            waiting,
            held,
            operations: 0,
            left: 0,
        }
    }

    async fn operate(&mut self) {
        self.operations += 1;
        match self.random.u32(0..100) {
            0..50 => self.arrive(),
            50..70 => {
                let by = Duration::from_micros(self.random.u64(0..400_000));
                self.advance(by).await;
            }
            70..82 => {
                self.held.pop_front();
                self.count_held();
                self.poll_all();
            }
            82..88 if !self.waiting.is_empty() => {
                // Gives up.
                let place = self.random.usize(..self.waiting.len());
                drop(self.waiting.remove(place));
            }
            88..94 => self.observe(),
            94..97 => {
                self.lag = self.model.per[3].mul_f64(self.random.f64() * 0.99);
                self.set_clock();
            }
            97..100 => self.change(),
            _ => {}
        }
    }

    fn arrive(&mut self) {
        if self.waiting.len() >= 5 {
            return;
        }
        let mut claims = vec![(self.random.usize(..6), self.random.u32(0..4))];
        let second = self.random.usize(..6);
        if self.random.bool() && second != claims[0].0 {
            claims.push((second, self.random.u32(0..4)));
        }
        let batch = self.random.u32(0..3) == 0;
        let limiter = self.limiter.clone();
        let named: Vec<Claim> =
            claims.iter().map(|(b, cost)| Claim::one(NAMES[*b]).with_cost(*cost)).collect();
        let cx = Context::new().with_priority(if batch { Priority::Batch } else { Priority::Interactive });
        let future: Waiting = Box::pin(async move { limiter.acquire(&cx, &named).await });
        let mut caller = Caller { claims, batch, came: Instant::now(), future };
        if !self.poll(&mut caller) {
            self.waiting.push(caller);
        }
    }

    /// Polls a caller. Says whether it is done.
    fn poll(&mut self, caller: &mut Caller) -> bool {
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let now = Instant::now();
        match caller.future.as_mut().poll(&mut cx) {
            Poll::Pending => {
                let waited = now - caller.came;
                assert!(waited < Duration::from_secs(300), "{:?} waited {waited:?}", caller.claims);
                false
            }
            Poll::Ready(Ok(permit)) => {
                self.left += 1;
                let wall = self.wall();
                self.held.push_back((permit, caller.claims.iter().map(|(bucket, _)| *bucket).collect()));
                self.count_held();
                for (bucket, cost) in &caller.claims {
                    self.model.leave(*bucket, *cost, caller.batch, now, wall);
                }
                while self.held.len() > 12 {
                    self.held.pop_front();
                    self.count_held();
                }
                true
            }
            Poll::Ready(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
                let fits = caller.claims.iter().all(|claim| self.model.fits(*claim, caller.batch));
                assert!(!fits, "{:?} was refused", caller.claims);
                true
            }
        }
    }

    fn poll_all(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|caller| !self.poll(caller));
        self.waiting = waiting;
    }

    fn count_held(&mut self) {
        let holds = self.held.iter().filter(|(_, buckets)| buckets.contains(&5)).count();
        self.model.in_flight = u32::try_from(holds).unwrap();
    }

    async fn advance(&mut self, by: Duration) {
        tokio::time::advance(by).await;
        self.set_clock();
        self.poll_all();
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600) + self.began.elapsed() - self.lag
    }

    fn set_clock(&self) {
        self.clock.set(self.wall());
    }

    fn observe(&mut self) {
        let bucket = self.random.usize(..6);
        let claims = [Claim::one(NAMES[bucket]).with_cost(2)];
        let wait = Duration::from_millis(self.random.u64(0..2_000));
        let now = Instant::now();
        let paused =
            |until: &mut Option<Instant>| *until = Some(until.map_or(now + wait, |u| u.max(now + wait)));
        match self.random.u32(0..10) {
            0 => {
                self.limiter.observe(&claims, &Lesson::Throttled { bucket: None, wait: Some(wait) });
                paused(&mut self.model.paused_until[bucket]);
            }
            1 => {
                self.limiter.observe(&claims, &Lesson::SlowDown { bucket: None, pause: wait });
                paused(&mut self.model.paused_until[bucket]);
            }
            2 => {
                let lesson =
                    Lesson::Remaining { bucket: NAMES[bucket].into(), remaining: 0, resets_in: Some(wait) };
                self.limiter.observe(&claims, &lesson);
                paused(&mut self.model.paused_until[bucket]);
            }
            3 | 4 => {
                let units = self.random.u32(0..5);
                let claims = [Claim::one(NAMES[4]).with_cost(2)];
                self.limiter.observe(&claims, &Lesson::Cost { bucket: NAMES[4].into(), units: units.into() });
                self.model.correct(2, units, now);
            }
            _ => self.limiter.observe(&claims, &Lesson::Passed),
        }
    }

    fn change(&mut self) {
        let bucket = self.random.usize(..6);
        let units = self.random.u32(1..30);
        let now = Instant::now();
        if bucket == 0 && units < self.model.units[0] {
            // Windows that began before were of the larger limit.
            self.model.rate = Window::default();
        }
        if bucket == 4 {
            self.model.refill(now);
            self.model.points.0 += f64::from(units) - f64::from(self.model.units[4]);
        }
        self.model.units[bucket] = units;
        self.limiter.change(self.model.limits());
        self.poll_all();
    }

    /// Nobody else comes and calls succeed: everybody leaves in the end.
    async fn drain(&mut self) {
        let began = Instant::now();
        let all = NAMES.map(Claim::one);
        while !self.waiting.is_empty() {
            self.held.clear();
            self.count_held();
            self.limiter.observe(&all, &Lesson::Passed);
            self.advance(Duration::from_millis(50)).await;
            let still: Vec<_> = self.waiting.iter().map(|caller| &caller.claims).collect();
            assert!(began.elapsed() < Duration::from_secs(120), "{still:?} still wait");
        }
        self.held.clear();
    }
}

impl Model {
    fn limits(&self) -> Limits {
        let [rate, fixed, sliding, quota, points, slots] = self.units;
        Limits::new()
            .rate(NAMES[0], rate, self.per[0])
            .fixed_window(NAMES[1], fixed, self.per[1])
            .sliding_window(NAMES[2], sliding, self.per[2])
            .reserve(NAMES[2], RESERVED)
            .quota(NAMES[3], quota, Reset::every(self.per[3]))
            .points(NAMES[4], points, self.per_second())
            .slots(NAMES[5], slots as usize)
    }

    fn per_second(&self) -> f64 {
        30.0 / self.per[4].as_secs_f64()
    }

    fn fits(&self, (bucket, cost): (usize, u32), batch: bool) -> bool {
        bucket == 5 || cost <= if bucket == 2 && batch { self.of_batch() } else { self.units[bucket] }
    }

    fn of_batch(&self) -> u32 {
        (self.units[2] * 3 / 4).max(1)
    }

    fn leave(&mut self, bucket: usize, cost: u32, batch: bool, now: Instant, wall: SystemTime) {
        assert!(self.paused_until[bucket].is_none_or(|until| until <= now), "{} is paused", NAMES[bucket]);
        let (units, per) = (self.units[bucket], self.per[bucket]);
        let used = match bucket {
            0 => self.rate.add(now, cost, per),
            1 => {
                if self.fixed.1.is_none_or(|ends| ends <= now) && cost > 0 {
                    self.fixed = (0, Some(now + per));
                }
                self.fixed.0 += cost;
                self.fixed.0
            }
            2 => {
                if batch {
                    let used = self.sliding_batch.add(now, cost, per);
                    assert!(
                        cost == 0 || used <= self.of_batch(),
                        "{used} of batch work's {}",
                        self.of_batch()
                    );
                }
                self.sliding.add(now, cost, per)
            }
            3 => {
                if cost > 0 && wall >= self.quota.1 {
                    // The highest reset that was ever reached: going back does not open it again.
                    let nanos = wall.duration_since(UNIX_EPOCH).unwrap().as_nanos();
                    let next = (nanos / per.as_nanos() + 1) * per.as_nanos();
                    self.quota = (0, UNIX_EPOCH + Duration::from_nanos(u64::try_from(next).unwrap()));
                }
                self.quota.0 += cost;
                self.quota.0
            }
            4 => {
                self.refill(now);
                self.points.0 -= f64::from(cost);
                assert!(cost == 0 || self.points.0 > -1.0, "{} points are missing", -self.points.0);
                0
            }
            _ => {
                assert!(self.in_flight <= units, "{} of {units} in flight", self.in_flight);
                0
            }
        };
        // One more for a clock that ticks in between; nothing that costs nothing is ever too much.
        assert!(
            cost == 0 || used <= units + u32::from(bucket == 0),
            "{used} of {units} of {}",
            NAMES[bucket]
        );
    }

    fn refill(&mut self, now: Instant) {
        let gained = (now - self.points.1).as_secs_f64() * self.per_second();
        self.points = ((self.points.0 + gained).min(f64::from(self.units[4])), now);
    }

    fn correct(&mut self, estimate: u32, actual: u32, now: Instant) {
        // A call costs no more than there ever is.
        let actual = actual.min(self.units[4].max(estimate));
        self.refill(now);
        self.points.0 += f64::from(estimate) - f64::from(actual);
    }
}
