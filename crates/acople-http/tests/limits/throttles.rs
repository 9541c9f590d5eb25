//! What a throttle does to those who share the limit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Clock, Context, ErrorKind, Lesson, RateLimiter};
use acople_http::{Call, Limits, LocalLimiter, RetryPolicy};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use tokio::time::Instant;

use crate::{builder, go, most_in, one};

#[tokio::test(start_paused = true)]
async fn rate_01_nobody_leaves_during_the_wait_then_one_probes_and_the_rest_follow_in_order() {
    let transport = ScriptedTransport::function(|_, n| match n {
        0 => Reply::json(429, "{}").header("retry-after", "7").after(Duration::from_millis(10)),
        _ => Reply::json(200, "{}").after(Duration::from_millis(300)),
    });
    for limits in [
        Limits::new().rate("app", 10, Duration::from_secs(1)),
        Limits::new().rate("app", 1000, Duration::from_secs(1)),
        Limits::new(),
    ] {
        let before = transport.sent().len();
        let client = builder(&transport).limits(limits.class("default", &["app"])).build();
        let mut tasks = Vec::new();
        for n in 0..10 {
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                client.send(&Context::new(), &Call::get("read").path([n.to_string()])).await.unwrap();
            }));
            tokio::time::sleep(Duration::from_millis(if n == 0 { 20 } else { 1 })).await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        if before > 0 {
            continue; // only the first round is throttled
        }
        let sent = transport.sent();
        let at: Vec<Duration> = sent.iter().map(|sent| sent.at).collect();
        let mark = Duration::from_millis(7010);
        assert!(at[1] >= mark && at[1] < mark + Duration::from_millis(300), "the probe left at {:?}", at[1]);
        assert!(at[2] >= at[1] + Duration::from_millis(300), "{:?} did not wait for the probe", at[2]);
        let order: Vec<String> = sent[1..10].iter().map(acople_testkit::Sent::path_and_query).collect();
        let expected: Vec<String> = (1..10).map(|n| format!("/{n}")).collect();
        assert_eq!(order, expected);
        assert!(most_in(Duration::from_secs(1), &at) <= 10);
    }
}

#[tokio::test(start_paused = true)]
async fn rate_01_without_a_rate_the_others_wait_for_the_probe_too() {
    let limiter = LocalLimiter::new(Limits::new());
    limiter.observe(&one("app"), &Lesson::Throttled { bucket: None, wait: Some(Duration::from_secs(7)) });
    let began = Instant::now();
    let probe = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(7));
    let second = tokio::spawn({
        let limiter = limiter.clone();
        async move { go(&limiter, &one("app")).await }
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!second.is_finished());
    limiter.observe(&one("app"), &Lesson::Passed);
    let waited = second.await.unwrap();
    assert!(waited < Duration::from_millis(500), "{waited:?}: the probe had passed");
    drop(probe);

    // A probe of which nothing is heard holds the others up for a second, and no longer.
    limiter.observe(&one("app"), &Lesson::Throttled { bucket: None, wait: Some(Duration::from_secs(7)) });
    let _lost = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
    let waited = go(&limiter, &one("app")).await;
    assert!(waited > Duration::from_millis(500) && waited <= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn rate_02_the_servers_clock_does_not_matter() {
    for skew in [-600i64, 0, 600] {
        let clock = FakeClock::new();
        let server = clock.now().checked_add(Duration::from_secs(86_400)).unwrap();
        let server = if skew < 0 {
            server - Duration::from_secs(skew.unsigned_abs())
        } else {
            server + Duration::from_secs(skew.unsigned_abs())
        };
        clock.set(clock.now() + Duration::from_secs(86_400));
        let (date, until) =
            (httpdate::fmt_http_date(server), httpdate::fmt_http_date(server + Duration::from_secs(42)));
        let transport = ScriptedTransport::function(move |_, n| match n {
            0 => Reply::json(429, "{}").header("date", &date).header("retry-after", &until),
            _ => Reply::json(200, "{}"),
        });
        let limits = Limits::new().rate("app", 100, Duration::from_secs(1)).class("default", &["app"]);
        let client = builder(&transport).clock(Arc::new(clock)).limits(limits).build();
        client.send(&Context::new(), &Call::get("read")).await.unwrap();
        let waited = transport.sent()[1].at;
        let off = waited.abs_diff(Duration::from_secs(42));
        assert!(off <= Duration::from_secs(1), "{skew} s off: waited {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_03_waits_without_retry_after_are_spread_evenly_up_to_the_base() {
    fastrand::seed(20_260);
    let transport = ScriptedTransport::function(|_, n| Reply::json(if n % 2 == 0 { 429 } else { 200 }, "{}"));
    let client = builder(&transport).build();
    for _ in 0..10_000 {
        client.send(&Context::new(), &Call::get("read")).await.unwrap();
    }
    let sent = transport.sent();
    assert_eq!(sent.len(), 20_000);
    let waits: Vec<f64> =
        sent.chunks_exact(2).map(|pair| pair[1].at.abs_diff(pair[0].at).as_secs_f64()).collect();
    let cap = 1.0; // base 1 s x 2^0
    #[allow(clippy::cast_precision_loss)]
    let mean = waits.iter().sum::<f64>() / waits.len() as f64;
    assert!((mean - cap / 2.0).abs() < 0.05 * cap / 2.0, "mean {mean}");
    for tenth in 0..10 {
        let range = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
        let share = waits.iter().filter(|wait| range.contains(wait)).count();
        assert!((850..1150).contains(&share), "{share} of 10,000 in {range:?}");
    }
    // The timer rounds up to the next millisecond.
    assert!(waits.iter().all(|wait| *wait <= cap + 0.001));
}

#[tokio::test(start_paused = true)]
async fn rate_03_the_rate_is_halved_and_raised_step_by_step_while_calls_succeed() {
    fastrand::seed(3);
    let transport = ScriptedTransport::function(|_, n| Reply::json(if n == 0 { 429 } else { 200 }, "{}"));
    let limits = Limits::new().rate("app", 100, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let until = Instant::now() + Duration::from_secs(20);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                while Instant::now() < until {
                    client.send(&Context::new(), &Call::get("read")).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let at: Vec<Duration> = transport.sent().iter().map(|sent| sent.at).collect();
    let resumed = *at.iter().find(|at| **at > Duration::ZERO).unwrap();
    assert!(resumed <= Duration::from_millis(1200), "{resumed:?}");
    let in_second = |n: u64| {
        let from = resumed + Duration::from_secs(n);
        at.iter().filter(|at| **at >= from && **at < from + Duration::from_secs(1)).count()
    };
    let seconds: Vec<usize> = (0..18).map(in_second).collect();
    assert!((38..=50).contains(&seconds[0]), "half of 90 a second at first: {seconds:?}");
    assert!(seconds.windows(2).all(|pair| pair[1] + 2 >= pair[0]), "{seconds:?}");
    assert!(seconds[3] < 75, "not all at once: {seconds:?}");
    assert!(seconds[17] >= 88, "the whole rate in the end: {seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn rate_03_many_throttles_of_one_pause_halve_the_rate_once() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 100, Duration::from_secs(1)));
    for _ in 0..20 {
        let pause = Duration::from_millis(500);
        limiter.observe(&one("app"), &Lesson::SlowDown { bucket: None, pause });
    }
    go(&limiter, &one("app")).await;
    limiter.observe(&one("app"), &Lesson::Passed);
    let began = Instant::now();
    for _ in 0..45 {
        go(&limiter, &one("app")).await;
    }
    let took = began.elapsed().as_secs_f64();
    assert!((0.9..1.3).contains(&took), "45 at half of 90 a second took {took} s");
}

#[tokio::test(start_paused = true)]
async fn rate_04_malformed_waits_count_as_absent_and_long_ones_come_back_at_once() {
    for malformed in ["-5", "", "abc", "1e9", "7.5", "0x10", "99999999999999999999999"] {
        let transport = ScriptedTransport::function(move |_, n| match n {
            0 => Reply::json(429, "{}").header("retry-after", malformed),
            _ => Reply::json(200, "{}"),
        });
        builder(&transport).build().send(&Context::new(), &Call::get("read")).await.unwrap();
        let waited = transport.sent()[1].at;
        assert!(waited <= Duration::from_millis(1001), "{malformed:?} made it wait {waited:?}");
    }
    let clock = FakeClock::new();
    let in_ten_days = clock.now() + Duration::from_secs(864_000);
    for long in ["864000".to_owned(), httpdate::fmt_http_date(in_ten_days), (u64::MAX / 2).to_string()] {
        let header = long.clone();
        let transport =
            ScriptedTransport::function(move |_, _| Reply::json(429, "{}").header("retry-after", &header));
        let limits = Limits::new().rate("app", 100, Duration::from_secs(1)).class("default", &["app"]);
        let client = builder(&transport).clock(Arc::new(clock.clone())).limits(limits).build();
        let began = Instant::now();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited, "{long}");
        assert!(error.retry_after() >= Some(Duration::from_secs(864_000)), "{long}");
        // The next one is not sent, and does not sleep either.
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!((error.kind(), transport.sent().len()), (ErrorKind::QuotaExhausted, 1), "{long}");
        assert!(began.elapsed() < Duration::from_secs(1), "{long}");
    }
}

/// A vendor that serves five calls at a time, each for 100 ms, and rejects the sixth.
fn five_at_a_time() -> ScriptedTransport {
    let ends: Mutex<Vec<Duration>> = Mutex::default();
    ScriptedTransport::function(move |sent, _| {
        let mut ends = ends.lock().unwrap();
        ends.retain(|end| *end > sent.at);
        if ends.len() >= 5 {
            return Reply::json(429, "{}").after(Duration::from_millis(5));
        }
        ends.push(sent.at + Duration::from_millis(100));
        Reply::json(200, "{}").after(Duration::from_millis(100))
    })
}

#[tokio::test(start_paused = true)]
async fn rate_08_concurrency_adapts_to_a_vendor_that_rejects_the_sixth_call() {
    for seed in 0..5 {
        fastrand::seed(seed);
        let transport = five_at_a_time();
        let limits = Limits::new().adaptive_slots("app", 2, 50).class("default", &["app"]);
        let client = builder(&transport).limits(limits).build();
        let began = Instant::now();
        let calls: Vec<_> = (0..500)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.send(&Context::new(), &Call::get("read")).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let rejected = transport.sent().len() - 500;
        assert!(rejected > 0, "it never tried six");
        assert!(rejected * 20 <= 500, "{rejected} of 500 rejected");
        let ideal = Duration::from_secs(10);
        assert!(began.elapsed().mul_f64(0.8) <= ideal, "{:?} for an ideal of {ideal:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn rate_08_slots_go_down_by_a_quarter_and_up_by_one() {
    let limiter = LocalLimiter::new(Limits::new().adaptive_slots("app", 8, 100));
    let cx = Context::new();
    let allowed = || async {
        let mut held = Vec::new();
        while let Ok(permit) =
            limiter.acquire(&cx.clone().with_strategy(acople_core::Strategy::Fail), &one("app")).await
        {
            held.push(permit);
        }
        held
    };
    assert_eq!(allowed().await.len(), 8);
    let held = allowed().await;
    limiter.observe(&one("app"), &Lesson::SlowDown { bucket: None, pause: Duration::from_secs(1) });
    // The others of that time may be rejected as well: that is the same news.
    for _ in 0..8 {
        limiter.observe(&one("app"), &Lesson::SlowDown { bucket: None, pause: Duration::from_secs(1) });
    }
    drop(held);
    assert_eq!(allowed().await.len(), 6);
    let busy = allowed().await;
    for n in 0..48 {
        assert!(allowed().await.is_empty(), "one more after {n} successes");
        limiter.observe(&one("app"), &Lesson::Passed);
    }
    drop(busy);
    assert_eq!(allowed().await.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn rate_09_five_hundred_waiters_are_released_one_by_one_with_and_without_a_rate() {
    let mut firsts = Vec::new();
    for (seed, limits, most, last) in [
        (1, Limits::new().rate("app", 100, Duration::from_secs(1)), 11, 6),
        (2, Limits::new().rate("app", 100, Duration::from_secs(1)), 11, 6),
        (3, Limits::new(), 15, 13),
        (4, Limits::new().fixed_window("app", 1000, Duration::from_secs(60)), 15, 13),
    ] {
        fastrand::seed(seed);
        let limiter = LocalLimiter::new(limits);
        let began = Instant::now();
        let wait = Duration::from_secs(7);
        limiter.observe(&one("app"), &Lesson::Throttled { bucket: None, wait: Some(wait) });
        let times = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let (limiter, times) = (limiter.clone(), times.clone());
                tokio::spawn(async move {
                    let _permit = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
                    times.lock().unwrap().push(began.elapsed());
                    limiter.observe(&one("app"), &Lesson::Passed);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let times = times.lock().unwrap();
        assert!(times[0] >= wait, "{:?}", times[0]);
        let herd = most_in(Duration::from_millis(100), &times);
        assert!(herd <= most, "{herd} within a tenth of a second");
        assert!(times[499] < wait + Duration::from_secs(last), "{:?}", times[499]);
        firsts.push(times[1]);
    }
    assert!(firsts[0] != firsts[1], "two processes come at different times");
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_nobody_publishes_is_found() {
    fastrand::seed(5);
    // Fifty a second, and not a word about it.
    let recent: Mutex<Vec<Duration>> = Mutex::default();
    let transport = ScriptedTransport::function(move |sent, _| {
        let mut recent = recent.lock().unwrap();
        recent.retain(|at| *at + Duration::from_secs(1) > sent.at);
        if recent.len() >= 50 {
            return Reply::json(429, "{}");
        }
        recent.push(sent.at);
        Reply::json(200, "{}")
    });
    let limits =
        Limits::new().adaptive_rate("app", 10, 500, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).retry(RetryPolicy::none()).build();
    let began = Instant::now();
    let (mut passed, mut refused, mut late) = (0u32, 0u32, 0u32);
    while began.elapsed() < Duration::from_secs(120) {
        match client.send(&Context::new(), &Call::get("read")).await {
            Ok(_) => passed += 1,
            Err(_) => refused += 1,
        }
        late += u32::from(began.elapsed() > Duration::from_secs(60));
    }
    assert!(refused > 0 && refused * 20 <= passed, "{refused} refused, {passed} passed");
    assert!(late > 60 * 25, "{late} in the second minute of 3,000 possible");
}
