//! The limiter among callers that come, give up, are not polled, and share buckets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Claim, Context, ErrorKind, Lesson, RateLimiter};
use acople_http::{Limits, LocalLimiter, Within};
use acople_testkit::FakeClock;
use futures_util::poll;
use tokio::time::Instant;

fn one(bucket: &'static str) -> [Claim; 1] {
    [Claim::one(bucket)]
}

async fn go(limiter: &LocalLimiter, claims: &[Claim]) -> Duration {
    let began = Instant::now();
    drop(limiter.acquire(&Context::new(), claims).await.unwrap());
    began.elapsed()
}

/// One bucket of the model: what may leave in a window, and how many may be in flight.
#[derive(Clone, Copy)]
struct Bucket {
    name: &'static str,
    units: u32,
    per: Duration,
    slots: usize,
}

#[derive(Default)]
struct Book {
    left: Mutex<BTreeMap<&'static str, Vec<(Instant, u32)>>>,
    flying: BTreeMap<&'static str, AtomicUsize>,
}

#[tokio::test(start_paused = true)]
async fn rate_15_no_window_and_no_slot_is_ever_exceeded_whatever_callers_do() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let buckets: Vec<Bucket> = ["a", "b", "c"]
            .into_iter()
            .map(|name| Bucket {
                name,
                units: random.u32(1..40),
                per: Duration::from_millis(random.u64(100..20_000)),
                slots: random.usize(1..8),
            })
            .collect();
        let limits =
            buckets.iter().fold(Limits::new(), |l, b| l.rate(b.name, b.units, b.per).slots(b.name, b.slots));
        let limiter = LocalLimiter::new(limits);
        let book = Arc::new(Book {
            flying: buckets.iter().map(|b| (b.name, AtomicUsize::new(0))).collect(),
            ..Book::default()
        });
        let mut tasks = Vec::new();
        for _ in 0..80 {
            let mut chosen: Vec<(Bucket, u32)> = buckets
                .iter()
                .filter_map(|b| random.bool().then_some((*b, random.u32(1..=b.units.min(5)))))
                .collect();
            random.shuffle(&mut chosen);
            let (limiter, book) = (limiter.clone(), book.clone());
            let (start, hold) = (random.u64(0..5_000), random.u64(0..3_000));
            let patience = Duration::from_millis(random.u64(1..60_000));
            let stays_away = random.u32(0..10) == 0;
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(start)).await;
                let claims: Vec<Claim> =
                    chosen.iter().map(|(b, cost)| Claim::one(b.name).with_cost(*cost)).collect();
                let cx = Context::new();
                let mut acquire = limiter.acquire(&cx, &claims);
                if stays_away {
                    // Polled once, then forgotten for a minute.
                    if poll!(acquire.as_mut()).is_pending() {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    return;
                }
                let Ok(Ok(permit)) = tokio::time::timeout(patience, acquire).await else { return };
                for (bucket, cost) in &chosen {
                    let mut left = book.left.lock().unwrap();
                    left.entry(bucket.name).or_default().push((Instant::now(), *cost));
                    let flying = book.flying[bucket.name].fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(flying <= bucket.slots, "{flying} of {} in flight", bucket.slots);
                }
                tokio::time::sleep(Duration::from_millis(hold)).await;
                for (bucket, _) in &chosen {
                    book.flying[bucket.name].fetch_sub(1, Ordering::SeqCst);
                }
                drop(permit);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let left = std::mem::take(&mut *book.left.lock().unwrap());
        for bucket in &buckets {
            let times = left.get(bucket.name).cloned().unwrap_or_default();
            for (index, (start, _)) in times.iter().enumerate() {
                let window = times[index..].iter().take_while(|(at, _)| *at < *start + bucket.per);
                let units: u32 = window.map(|(_, cost)| cost).sum();
                assert!(units <= bucket.units, "seed {seed}: {units} of {} in a window", bucket.units);
            }
        }
        // Whatever happened, nothing stays taken.
        for bucket in &buckets {
            for _ in 0..=bucket.slots {
                go(&limiter, &one(bucket.name)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_bucket_uses_nearly_all_of_its_limit_and_never_more() {
    for (units, per) in [(1, 1), (3, 2), (10, 1), (25, 1), (190, 10), (5, 1), (100, 60)] {
        let per = Duration::from_secs(per);
        let limiter = LocalLimiter::new(Limits::new().rate("app", units, per));
        let mut times = Vec::new();
        for round in 0..10 {
            for _ in 0..units {
                go(&limiter, &one("app")).await;
                times.push(Instant::now());
            }
            // Now and then it rests, and a burst is saved up.
            tokio::time::sleep(per * (round % 2)).await;
        }
        for (index, start) in times.iter().enumerate() {
            let window = times[index..].iter().take_while(|at| **at < *start + per).count();
            assert!(window <= units as usize, "{window} of {units} in {per:?}");
        }
        let windows = (times[times.len() - 1] - times[0]).as_secs_f64() / per.as_secs_f64() - 4.0;
        assert!(windows < 10.0 / 0.6, "{units} in {per:?}: ten windows' units took {windows}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_one_whose_turn_has_just_come() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1, Duration::from_secs(1)));
    go(&limiter, &one("app")).await;
    let (cx, app) = (Context::new(), one("app"));
    let mut first = limiter.acquire(&cx, &app);
    assert!(poll!(first.as_mut()).is_pending());
    tokio::time::sleep(Duration::from_millis(1010)).await;
    let mut newcomer = limiter.acquire(&cx, &app);
    assert!(poll!(newcomer.as_mut()).is_pending());
    assert!(poll!(first.as_mut()).is_ready());
    let began = Instant::now();
    drop(newcomer.await.unwrap());
    assert!(began.elapsed() > Duration::from_millis(900));
}

#[tokio::test(start_paused = true)]
async fn who_may_pass_does_not_make_the_other_wait_longer() {
    let limits =
        Limits::new().rate("app", 1, Duration::from_secs(4)).rate("search", 1, Duration::from_secs(10));
    let limiter = LocalLimiter::new(limits);
    let both = [Claim::one("app"), Claim::one("search")];
    go(&limiter, &both).await;
    let began = Instant::now();
    let after = |millis: u64, claims: Vec<Claim>| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            go(&limiter, &claims).await;
            began.elapsed().as_secs()
        })
    };
    let search = after(0, both.to_vec());
    // The bucket is free again a second before the search needs it; then it is free for the search.
    let (passes, waits) = (after(5_000, one("app").to_vec()), after(9_500, one("app").to_vec()));
    assert_eq!((passes.await.unwrap(), search.await.unwrap(), waits.await.unwrap()), (5, 10, 14));
}

#[tokio::test(start_paused = true)]
async fn slots_that_are_waited_for_do_not_save_up_units() {
    // Thirty callers wait for one slot; when it is free at last they must not leave in one go.
    let limits = Limits::new().rate("app", 10, Duration::from_secs(1)).slots("app", 1);
    let limiter = LocalLimiter::new(limits);
    let slow = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
    let left = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..30)
        .map(|_| {
            let (limiter, left) = (limiter.clone(), left.clone());
            tokio::spawn(async move {
                let permit = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
                left.lock().unwrap().push(Instant::now());
                drop(permit);
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(slow);
    for task in tasks {
        task.await.unwrap();
    }
    let left = left.lock().unwrap();
    let took = left[29] - left[0];
    assert!(took >= Duration::from_secs(2), "thirty units of ten a second left within {took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_bucket_does_not_hold_up_callers_of_another() {
    let limits =
        Limits::new().rate("app", 100, Duration::from_secs(1)).rate("search", 1, Duration::from_secs(10));
    let limiter = LocalLimiter::new(limits);
    let both = [Claim::one("app"), Claim::one("search")];
    let searches: Vec<_> = (0..5)
        .map(|_| {
            let (limiter, both) = (limiter.clone(), both.clone());
            tokio::spawn(async move { go(&limiter, &both).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let began = Instant::now();
    for _ in 0..50 {
        go(&limiter, &one("app")).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} behind searches", began.elapsed());
    let mut waited = Vec::new();
    for search in searches {
        waited.push(search.await.unwrap().as_secs());
    }
    assert_eq!(waited, [0, 10, 20, 30, 40], "and they did not make the searches wait longer");
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_two_buckets_is_not_starved_by_callers_of_one() {
    let limits = Limits::new().rate("a", 2, Duration::from_secs(1)).rate("b", 2, Duration::from_millis(1300));
    let limiter = LocalLimiter::new(limits);
    for bucket in ["a", "b"] {
        for _ in 0..20 {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                loop {
                    go(&limiter, &one(bucket)).await;
                }
            });
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let both = [Claim::one("b"), Claim::one("a")];
    let waited = tokio::time::timeout(Duration::from_secs(120), go(&limiter, &both)).await;
    assert!(waited.is_ok(), "two minutes are more than the twenty callers of each before it take");
}

#[tokio::test(start_paused = true)]
async fn a_large_claim_is_not_overtaken_for_ever_by_small_ones() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(1)));
    for _ in 0..5 {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            loop {
                go(&limiter, &one("app")).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let large = [Claim::one("app").with_cost(10)];
    let waited = tokio::time::timeout(Duration::from_secs(5), go(&limiter, &large)).await;
    assert!(waited.is_ok());
}

#[tokio::test(start_paused = true)]
async fn net_15_a_caller_that_is_not_polled_holds_nobody_up() {
    let limits = Limits::new().rate("app", 10, Duration::from_secs(1)).slots("app", 3);
    let limiter = LocalLimiter::new(limits);
    go(&limiter, &one("app")).await;
    let cx = Context::new();
    let app = one("app");
    // At the head of the line, and left alone there: a page that is fetched ahead while its consumer works.
    let mut parked: Vec<_> = (0..3).map(|_| limiter.acquire(&cx, &app)).collect();
    for waiting in &mut parked {
        assert!(poll!(waiting.as_mut()).is_pending());
    }
    assert!(go(&limiter, &app).await < Duration::from_secs(1));
    let began = Instant::now();
    for _ in 0..20 {
        go(&limiter, &app).await;
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for waiting in parked {
        drop(waiting.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_claimed_twice_is_claimed_in_sum() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(1)).slots("app", 1));
    let twice = [Claim::one("app").with_cost(5), Claim::one("app").with_cost(5)];
    let waited = tokio::time::timeout(Duration::from_secs(5), go(&limiter, &twice)).await;
    assert_eq!(waited.unwrap(), Duration::ZERO);
    assert!(go(&limiter, &one("app")).await > Duration::from_millis(900));
    let three = [Claim::one("app").with_cost(6), Claim::one("app").with_cost(5)];
    let error = limiter.acquire(&Context::new(), &three).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "more than there ever is");
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_claim_of_nothing_waits_for_pauses_only() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1, Duration::from_secs(60)));
    go(&limiter, &one("app")).await;
    let nothing = [Claim::one("app").with_cost(0)];
    assert_eq!(go(&limiter, &nothing).await, Duration::ZERO);
    let wait = Duration::from_secs(5);
    limiter.observe(&nothing, &Lesson::Throttled { bucket: None, wait: Some(wait) });
    assert_eq!(go(&limiter, &nothing).await, wait);
}

#[tokio::test(start_paused = true)]
async fn rate_09_after_a_throttle_callers_come_one_by_one() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 100, Duration::from_secs(1)));
    let wait = Duration::from_secs(7);
    limiter.observe(&one("app"), &Lesson::Throttled { bucket: None, wait: Some(wait) });
    let began = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let (limiter, times) = (limiter.clone(), times.clone());
            tokio::spawn(async move {
                go(&limiter, &one("app")).await;
                times.lock().unwrap().push(began.elapsed());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let times = times.lock().unwrap();
    assert!(times[0] >= wait && times[1] > times[0], "{:?}", &times[..3]);
    for (index, start) in times.iter().enumerate() {
        let end = *start + Duration::from_millis(100);
        let inside = times[index..].iter().take_while(|t| **t < end).count();
        assert!(inside <= 11, "{inside} within a tenth of a second");
    }
    assert!(times[499] < wait + Duration::from_secs(6), "{:?}", times[499]);
}

#[tokio::test(start_paused = true)]
async fn rate_04_an_absurd_wait_neither_breaks_the_limiter_nor_closes_a_bucket_for_ever() {
    for wait in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
        let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(1)));
        for lesson in [
            Lesson::Throttled { bucket: None, wait: Some(wait) },
            Lesson::Remaining { bucket: "app".into(), remaining: 0, resets_in: Some(wait) },
        ] {
            limiter.observe(&one("app"), &lesson);
            let error = limiter.acquire(&Context::new(), &one("app")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
            assert!(error.retry_at().is_some());
            tokio::time::sleep(Duration::from_secs(86_401)).await;
            assert!(go(&limiter, &one("app")).await < Duration::from_secs(1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_07_a_spent_quota_is_free_again_at_the_time_it_named() {
    let clock = FakeClock::new();
    let limiter = LocalLimiter::with_clock(Limits::new(), Arc::new(clock.clone()));
    let until = Some(acople_core::Clock::now(&clock) + Duration::from_secs(3600));
    limiter.observe(&one("day"), &Lesson::Exhausted { bucket: None, until });
    let error = limiter.acquire(&Context::new(), &one("day")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_at()), (ErrorKind::QuotaExhausted, until));
    clock.advance(error.retry_after().unwrap());
    assert_eq!(go(&limiter, &one("day")).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_the_line_goes_when_its_deadline_has_come() {
    let limiter = LocalLimiter::new(Limits::new().slots("app", 1));
    let _held = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
    let began = Instant::now();
    let cx = Context::new().within(Duration::from_secs(5));
    let error = limiter.acquire(&cx, &one("app")).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed()), (ErrorKind::RateLimited, Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_bring_those_behind_them_closer() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1, Duration::from_secs(1)));
    go(&limiter, &one("app")).await;
    let impatient: Vec<_> = (0..10)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { go(&limiter, &one("app")).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let limiter2 = limiter.clone();
    let last = tokio::spawn(async move { go(&limiter2, &one("app")).await });
    tokio::task::yield_now().await;
    for task in impatient {
        task.abort();
    }
    assert!(last.await.unwrap() <= Duration::from_millis(1200));
}

#[tokio::test(start_paused = true)]
async fn names_that_come_and_go_are_not_kept() {
    // One bucket a recipient: those that hold nothing are forgotten, those that are paused are not.
    let limiter = LocalLimiter::new(Limits::new());
    let paused = [Claim::one("recipient-7")];
    let wait = Duration::from_secs(60);
    limiter.observe(&paused, &Lesson::Throttled { bucket: None, wait: Some(wait) });
    for n in 0..10_000 {
        let claims = [Claim::one(format!("recipient-{}", n + 100))];
        go(&limiter, &claims).await;
    }
    assert_eq!(go(&limiter, &paused).await, wait);
}
