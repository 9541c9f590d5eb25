//! Strategies, priorities and limits that change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Claim, Clock, Context, ErrorKind, Lesson, Priority, RateLimiter, Strategy};
use acople_http::{Call, Limits, LocalLimiter, Within};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use futures_util::poll;
use tokio::time::Instant;

use crate::{builder, go, one};

fn batch() -> Context {
    Context::new().with_priority(Priority::Batch)
}

#[tokio::test(start_paused = true)]
async fn a_call_fails_or_parks_at_once_where_it_is_told_to() {
    let clock = FakeClock::new();
    let limits = Limits::new()
        .rate("app", 1, Duration::from_secs(60))
        .rate("parks", 1, Duration::from_secs(60))
        .strategy("parks", Strategy::Park)
        .slots("slots", 1);
    let limiter = LocalLimiter::with_clock(limits, Arc::new(clock.clone()));
    let began = Instant::now();
    for bucket in ["app", "parks"] {
        drop(limiter.acquire(&Context::new(), &one(bucket)).await.unwrap());
    }
    let _slot = limiter.acquire(&Context::new(), &one("slots")).await.unwrap();

    let fails = Context::new().with_strategy(Strategy::Fail);
    let error = limiter.acquire(&fails, &one("app")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::from_secs(59) && wait <= Duration::from_secs(61), "{wait:?}");
    let error = limiter.acquire(&fails, &one("slots")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);

    let error = limiter.acquire(&Context::new(), &one("parks")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert_eq!(error.retry_at(), Some(clock.now() + error.retry_after().unwrap()));
    assert!(error.message().contains("parks"), "{}", error.message());
    // The call's own word counts for more than the bucket's.
    assert_eq!(limiter.acquire(&fails, &one("parks")).await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
    let waits = Context::new().with_strategy(Strategy::Wait);
    drop(limiter.acquire(&waits, &one("parks")).await.unwrap());
    assert!(began.elapsed() > Duration::from_secs(59));
}

#[tokio::test(start_paused = true)]
async fn a_strategy_reaches_the_limiter_through_the_client() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let limits = Limits::new().rate("app", 1, Duration::from_secs(10)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let call = Call::get("read");
    client.send(&Context::new(), &call).await.unwrap();
    let park = Context::new().with_strategy(Strategy::Park);
    let error = client.send(&park, &call).await.unwrap_err();
    assert_eq!((error.kind(), transport.sent().len()), (ErrorKind::QuotaExhausted, 1));
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_is_configurable() {
    let limits = Limits::new().rate("app", 1, Duration::from_secs(60));
    for (longest, parked) in [(59, true), (61, false)] {
        let limiter = LocalLimiter::new(limits.clone().longest_wait(Duration::from_secs(longest)));
        go(&limiter, &one("app")).await;
        let got = limiter.acquire(&Context::new(), &one("app")).await;
        assert_eq!(got.is_err_and(|error| error.kind() == ErrorKind::QuotaExhausted), parked, "{longest}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_14_batch_work_never_takes_the_last_share_of_units_and_slots() {
    for limits in [
        Limits::new().sliding_window("app", 10, Duration::from_secs(10)),
        Limits::new().fixed_window("app", 10, Duration::from_secs(10)),
        Limits::new().points("app", 10, 0.001),
    ] {
        let limiter = LocalLimiter::new(limits.reserve("app", 0.2));
        for n in 0..8 {
            let cx = batch().with_strategy(Strategy::Fail);
            assert!(limiter.acquire(&cx, &one("app")).await.is_ok(), "{n}");
        }
        let cx = batch().with_strategy(Strategy::Fail);
        assert!(limiter.acquire(&cx, &one("app")).await.is_err());
        for _ in 0..2 {
            assert_eq!(go(&limiter, &one("app")).await, Duration::ZERO, "the reserve is for these");
        }
        assert!(limiter.acquire(&Context::new().with_strategy(Strategy::Fail), &one("app")).await.is_err());
    }
    let limiter = LocalLimiter::new(Limits::new().slots("app", 5).reserve("app", 0.2));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(limiter.acquire(&batch(), &one("app")).await.unwrap());
    }
    let cx = batch();
    let app = one("app");
    let mut fifth = limiter.acquire(&cx, &app);
    assert!(poll!(fifth.as_mut()).is_pending());
    assert_eq!(go(&limiter, &one("app")).await, Duration::ZERO);
    assert!(poll!(fifth.as_mut()).is_pending(), "the slot of the interactive call is not its");
    held.pop();
    drop(fifth.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn rate_14_a_rate_keeps_its_share_for_interactive_calls() {
    let limits = Limits::new().rate("app", 100, Duration::from_secs(1)).reserve("app", 0.5);
    let limiter = LocalLimiter::new(limits);
    let left = Arc::new(Mutex::new(0));
    for _ in 0..20 {
        let (limiter, left) = (limiter.clone(), left.clone());
        tokio::spawn(async move {
            loop {
                drop(limiter.acquire(&batch(), &one("app")).await.unwrap());
                *left.lock().unwrap() += 1;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let left = *left.lock().unwrap();
    assert!((400..=500).contains(&left), "{left} of 1,000 in ten seconds");
    assert!(go(&limiter, &one("app")).await < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn rate_14_interactive_calls_go_before_batch_work_but_not_for_ever() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1, Duration::from_secs(1)));
    go(&limiter, &one("app")).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (name, cx) in [("b1", batch()), ("b2", batch()), ("i1", Context::new()), ("i2", Context::new())] {
        let (limiter, order) = (limiter.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            drop(limiter.acquire(&cx, &one("app")).await.unwrap());
            order.lock().unwrap().push(name);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["i1", "i2", "b1", "b2"]);

    // Interactive calls take all there is, for as long as the batch waits.
    let flood: Vec<_> = (0..5)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                loop {
                    go(&limiter, &one("app")).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let cx = batch().within(Duration::from_secs(300));
    drop(limiter.acquire(&cx, &one("app")).await.unwrap());
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(29) && waited < Duration::from_secs(40), "{waited:?}");
    flood.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_lower_capacity_takes_effect_at_once() {
    let second = Duration::from_secs(1);
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1000, second).slots("app", 10));
    for _ in 0..50 {
        go(&limiter, &one("app")).await;
    }
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(limiter.acquire(&Context::new(), &one("app")).await.unwrap());
    }
    limiter.change(limiter.limits().rate("app", 10, second).slots("app", 4));
    let fails = Context::new().with_strategy(Strategy::Fail);
    held.truncate(4);
    tokio::time::sleep(second).await;
    assert!(limiter.acquire(&fails, &one("app")).await.is_err(), "four are in flight");
    held.clear();
    let error = limiter.acquire(&Context::new(), &[Claim::one("app").with_cost(11)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let began = Instant::now();
    let mut times = Vec::new();
    for _ in 0..30 {
        go(&limiter, &one("app")).await;
        times.push(began.elapsed());
    }
    assert!(crate::most_in(second, &times) <= 10, "{times:?}");

    // What has just left counts: there is no new burst on top of it.
    for pause in [20, 0] {
        let limiter = LocalLimiter::new(Limits::new().rate("app", 1000, second));
        for _ in 0..50 {
            go(&limiter, &one("app")).await;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        limiter.change(Limits::new().rate_with_burst("app", 10, second, 8));
        let times = [go(&limiter, &one("app")).await, go(&limiter, &one("app")).await];
        assert!(times[0] <= second, "{times:?}: a window later they are forgotten");
        assert!(times[1] >= Duration::from_millis(500), "{times:?}: one each half second");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_change_reaches_those_who_wait_and_keeps_what_was_counted() {
    let hour = Duration::from_secs(3600);
    let limiter = LocalLimiter::new(Limits::new().fixed_window("app", 10, hour).longest_wait(hour));
    for _ in 0..10 {
        go(&limiter, &one("app")).await;
    }
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { go(&limiter, &one("app")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    limiter.change(limiter.limits().fixed_window("app", 12, hour));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let gone = waiting.iter().filter(|task| task.is_finished()).count();
    assert_eq!(gone, 2, "ten of the twelve had left before");
    limiter.change(limiter.limits().without("app"));
    for task in waiting {
        assert!(task.await.unwrap() <= Duration::from_secs(3));
    }
    limiter.observe(&one("app"), &Lesson::Passed);
    assert_eq!(go(&limiter, &one("app")).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_claim_that_no_longer_fits_is_an_error_for_one_who_waits() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(10)));
    go(&limiter, &one("app")).await;
    let large = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(&Context::new(), &[Claim::one("app").with_cost(10)]).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    limiter.change(Limits::new().rate("app", 5, Duration::from_secs(10)));
    let error = tokio::time::timeout(Duration::from_secs(1), large).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
