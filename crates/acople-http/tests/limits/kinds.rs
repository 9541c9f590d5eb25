//! Each kind of limit, and several of them at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_core::{Claim, Context, Error, ErrorKind, Lesson, RateLimiter, Result};
use acople_http::{
    Answer, Call, Classifier, Limits, LocalLimiter, Reset, graphql_cost, next_midnight, status_error,
};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use tokio::time::Instant;

use crate::{builder, go, most_in, one};

fn at(date: &str) -> SystemTime {
    httpdate::parse_http_date(date).unwrap()
}

async fn leave_times(limiter: &LocalLimiter, calls: usize) -> Vec<Duration> {
    let began = Instant::now();
    let mut times = Vec::new();
    for _ in 0..calls {
        go(limiter, &one("app")).await;
        times.push(began.elapsed());
    }
    times
}

#[tokio::test(start_paused = true)]
async fn limits_over_a_second_a_minute_an_hour_and_a_day_hold_together() {
    let spans = [(10, 1), (100, 60), (300, 3600), (350, 86_400)];
    let limits =
        spans.iter().fold(Limits::new().longest_wait(Duration::from_secs(86_400)), |limits, (units, per)| {
            limits.rate_with_burst("app", *units, Duration::from_secs(*per), units / 2)
        });
    let times = leave_times(&LocalLimiter::new(limits), 400).await;
    for (units, per) in spans {
        let most = most_in(Duration::from_secs(per), &times);
        assert!(most <= units as usize, "{most} of {units} in {per} s");
    }
    assert_eq!(times[4], Duration::ZERO, "a burst of five leaves at once");
    assert!(times[5] > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_window_begins_with_its_first_call() {
    let limiter = LocalLimiter::new(Limits::new().fixed_window("app", 5, Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let times: Vec<u64> = leave_times(&limiter, 12).await.iter().map(Duration::as_secs).collect();
    assert_eq!(times, [0, 0, 0, 0, 0, 10, 10, 10, 10, 10, 20, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_sliding_window_never_holds_more_and_uses_nearly_all() {
    let limiter = LocalLimiter::new(Limits::new().sliding_window("app", 20, Duration::from_secs(10)));
    let mut times = Vec::new();
    let began = Instant::now();
    for n in 0..200u64 {
        go(&limiter, &one("app")).await;
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(n * 7 % 300)).await;
    }
    let most = most_in(Duration::from_secs(10), &times);
    assert_eq!(most, 20, "as many as there may be, and no more");
    // Ideally the last one leaves after nine windows and what it took to use up the last.
    assert!(times[199] < Duration::from_secs(100), "{:?}", times[199]);
}

#[tokio::test(start_paused = true)]
async fn rate_07_a_daily_quota_ends_at_the_midnight_of_its_zone_and_other_buckets_go_on() {
    let clock = FakeClock::at(at("Wed, 14 Jan 2026 20:00:00 GMT"));
    let limits = Limits::new()
        .quota("daily calls", 3, Reset::midnight_in("America/Los_Angeles").unwrap())
        .rate("other", 10, Duration::from_secs(1));
    let limiter = LocalLimiter::with_clock(limits, Arc::new(clock.clone()));
    for _ in 0..3 {
        go(&limiter, &one("daily calls")).await;
    }
    let began = Instant::now();
    let both = [Claim::one("other"), Claim::one("daily calls")];
    for claims in [&one("daily calls")[..], &both] {
        let error = limiter.acquire(&Context::new(), claims).await.unwrap_err();
        let midnight = at("Thu, 15 Jan 2026 08:00:00 GMT");
        assert_eq!((error.kind(), error.retry_at()), (ErrorKind::QuotaExhausted, Some(midnight)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(12 * 3600)));
        assert!(error.message().contains("daily calls"), "{}", error.message());
    }
    go(&limiter, &one("other")).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    clock.set(at("Thu, 15 Jan 2026 07:59:59 GMT"));
    // A second is waited for.
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { go(&limiter, &one("daily calls")).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    clock.advance(Duration::from_secs(1));
    waiting.await.unwrap();
    for _ in 0..2 {
        assert_eq!(go(&limiter, &one("daily calls")).await, Duration::ZERO);
    }
    assert!(limiter.acquire(&Context::new(), &one("daily calls")).await.is_err());
}

#[test]
fn rate_07_days_of_23_and_25_hours_and_days_without_a_midnight_end_where_they_do() {
    let los_angeles = Reset::midnight_in("America/Los_Angeles").unwrap();
    let santiago = Reset::midnight_in("America/Santiago").unwrap();
    let kathmandu = Reset::midnight_in("Asia/Kathmandu").unwrap();
    for (reset, now, next) in [
        (&los_angeles, "Sun, 08 Mar 2026 08:00:00 GMT", "Mon, 09 Mar 2026 07:00:00 GMT"),
        (&los_angeles, "Sun, 08 Mar 2026 09:59:59 GMT", "Mon, 09 Mar 2026 07:00:00 GMT"),
        (&los_angeles, "Sun, 01 Nov 2026 07:00:00 GMT", "Mon, 02 Nov 2026 08:00:00 GMT"),
        (&los_angeles, "Sun, 01 Nov 2026 09:30:00 GMT", "Mon, 02 Nov 2026 08:00:00 GMT"),
        (&los_angeles, "Mon, 02 Nov 2026 07:59:59 GMT", "Mon, 02 Nov 2026 08:00:00 GMT"),
        // Clocks go from 23:59:59 to 1:00:00.
        (&santiago, "Sat, 05 Sep 2026 12:00:00 GMT", "Sun, 06 Sep 2026 04:00:00 GMT"),
        (&kathmandu, "Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 18:15:00 GMT"),
    ] {
        assert_eq!(reset.next(at(now)), at(next), "{} after {now}", reset.name());
    }
    let fixed = at("Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(Reset::midnight(-300).next(fixed), next_midnight(fixed, -300));
    assert_eq!(Reset::midnight_in("Mars/Olympus").unwrap_err().kind(), ErrorKind::Config);
    // A rule that does not come forward is not asked for ever.
    let stuck = Reset::rule("stuck", Some);
    assert_eq!(stuck.next(fixed), fixed + Duration::from_secs(86_400));
    assert!(
        Reset::every(Duration::MAX).next(fixed) > fixed && Reset::every(Duration::ZERO).next(fixed) > fixed
    );
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_clock_that_goes_backwards_grants_no_second_quota() {
    let clock = FakeClock::at(at("Thu, 15 Jan 2026 23:59:50 GMT"));
    let limits = Limits::new().quota("day", 2, Reset::midnight(0)).longest_wait(Duration::ZERO);
    let limiter = LocalLimiter::with_clock(limits, Arc::new(clock.clone()));
    let spend = || async { limiter.acquire(&Context::new(), &one("day")).await.map(drop) };
    for _ in 0..2 {
        spend().await.unwrap();
    }
    assert!(spend().await.is_err());
    clock.set(at("Fri, 16 Jan 2026 00:00:10 GMT"));
    for _ in 0..2 {
        spend().await.unwrap();
    }
    for back in
        ["Thu, 15 Jan 2026 23:59:50 GMT", "Fri, 16 Jan 2026 00:00:30 GMT", "Thu, 15 Jan 2026 12:00:00 GMT"]
    {
        clock.set(at(back));
        let error = spend().await.unwrap_err();
        assert_eq!(error.retry_at(), Some(at("Sat, 17 Jan 2026 00:00:00 GMT")), "{back}");
    }
    // Put back by a year, it does not close the bucket for a year.
    clock.set(at("Wed, 15 Jan 2025 00:00:00 GMT"));
    assert!(spend().await.is_err());
    tokio::time::sleep(Duration::from_secs(2 * 86_400)).await;
    spend().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn points_that_were_claimed_too_many_are_given_back_and_too_few_are_taken() {
    let limiter = LocalLimiter::new(Limits::new().points("graphql", 1000, 50.0));
    let claim = |cost| [Claim::one("graphql").with_cost(cost)];
    let cost = |estimate, units| {
        limiter.observe(&claim(estimate), &Lesson::Cost { bucket: "graphql".into(), units });
    };
    assert_eq!(go(&limiter, &claim(1000)).await, Duration::ZERO);
    cost(1000, 100);
    assert_eq!(go(&limiter, &claim(900)).await, Duration::ZERO, "900 were given back");
    cost(900, 1000);
    let waited = go(&limiter, &claim(100)).await.as_secs_f64();
    assert!((waited - 4.0).abs() < 0.01, "a hundred beyond the budget, a hundred for the call: {waited} s");
    let error = limiter.acquire(&Context::new(), &claim(1001)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    cost(0, u64::MAX);
    let waited = go(&limiter, &claim(1)).await;
    assert!(waited <= Duration::from_secs(21), "{waited:?}: it empties the bucket, no more");
}

#[tokio::test(start_paused = true)]
async fn the_vendors_count_of_points_takes_away_and_promises_nothing() {
    let limiter = LocalLimiter::new(Limits::new().points("graphql", 1000, 50.0));
    let claim = |cost| [Claim::one("graphql").with_cost(cost)];
    let told = |available, capacity, per_second| {
        let bucket = "graphql".into();
        limiter.observe(&[], &Lesson::Points { bucket, available, capacity, per_second });
    };
    told(10, 1000, 50.0);
    let waited = go(&limiter, &claim(110)).await.as_secs_f64();
    assert!((waited - 2.0).abs() < 0.01, "others had spent: {waited} s");
    told(1000, 1000, 50.0);
    let waited = go(&limiter, &claim(50)).await.as_secs_f64();
    assert!((waited - 1.0).abs() < 0.01, "the vendor has not counted our call yet: {waited} s");
    // A larger plan.
    tokio::time::sleep(Duration::from_secs(60)).await;
    told(2000, 2000, 100.0);
    go(&limiter, &claim(2000)).await;
    let waited = go(&limiter, &claim(100)).await.as_secs_f64();
    assert!((waited - 1.0).abs() < 0.01, "{waited} s");
    for nonsense in [f64::NAN, 0.0, -1.0, f64::INFINITY, 1e300] {
        told(0, 0, nonsense);
        told(u64::MAX, u32::MAX, nonsense);
    }
}

/// Reads a GraphQL vendor's answers, which are 200 even when they refuse.
#[derive(Debug)]
struct Graphql;

impl Classifier for Graphql {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if !answer.status().is_success() {
            return Err(status_error(answer));
        }
        let throttled = String::from_utf8_lossy(answer.body()).contains("THROTTLED");
        if throttled { Err(Error::new(ErrorKind::RateLimited, "throttled")) } else { Ok(()) }
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        if let Some(cost) = graphql_cost(answer.body()) {
            cost.lessons("graphql", lessons);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_05_a_graphql_answer_corrects_the_budget_through_the_client() {
    let answer = |requested: u32, actual: &str, available: u32, errors: &str| {
        format!(
            r#"{{"data":null,{errors}"extensions":{{"cost":{{"requestedQueryCost":{requested},"actualQueryCost":{actual},
            "throttleStatus":{{"maximumAvailable":1000.0,"currentlyAvailable":{available},"restoreRate":50.0}}}}}}}}"#
        )
    };
    let throttled = r#""errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"#;
    let answers =
        [answer(800, "46", 954, ""), answer(800, "800", 154, ""), answer(800, "null", 154, throttled)];
    let transport = ScriptedTransport::function(move |_, n| {
        Reply::json(200, answers.get(n).unwrap_or(&answers[0]).clone())
    });
    let limits = Limits::new().points("graphql", 1000, 50.0).class("default", &["graphql"]);
    let client = builder(&transport).limits(limits).classifier(Graphql).build();
    let call = Call::post("query").cost(800).repeat(acople_http::Repeat::Harmless);
    client.send(&Context::new(), &call).await.unwrap();
    client.send(&Context::new(), &call).await.unwrap();
    assert_eq!(transport.sent()[1].at, Duration::ZERO, "the first cost only 46");
    client.send(&Context::new(), &call).await.unwrap();
    let at: Vec<f64> = transport.sent().iter().map(|sent| sent.at.as_secs_f64()).collect();
    assert!((at[2] - 12.92).abs() < 0.1, "646 points come back in 12.92 s: {at:?}");
    assert!(at[3] >= at[2] + 12.9, "what is left is what the refusal said: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_slow_down_as_usage_nears_100_percent_and_stop_there() {
    let limiter = LocalLimiter::new(Limits::new());
    let used = |percent: f64, regain: Option<u64>| {
        let regain = regain.map(Duration::from_secs);
        limiter.observe(&one("app"), &Lesson::Usage { bucket: None, percent, regain });
    };
    let pace = || async {
        go(&limiter, &one("app")).await;
        go(&limiter, &one("app")).await.as_secs_f64()
    };
    for (percent, least, most) in
        [(10.0, 0.0, 0.0), (75.0, 0.0, 0.0), (80.0, 1.0, 1.4), (90.0, 10.0, 11.0), (99.0, 27.0, 29.0)]
    {
        used(percent, None);
        let pace = pace().await;
        assert!((least..=most).contains(&pace), "{percent} %: one in {pace} s");
    }
    used(20.0, None);
    assert!(pace().await < f64::EPSILON, "and are fast again when it is less");
    used(100.0, Some(19 * 60));
    let error = limiter.acquire(&Context::new(), &one("app")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::QuotaExhausted, Some(Duration::from_secs(19 * 60)))
    );
    tokio::time::sleep(Duration::from_secs(19 * 60)).await;
    let probe = limiter.acquire(&Context::new(), &one("app")).await.unwrap();
    used(40.0, None);
    limiter.observe(&one("app"), &Lesson::Passed);
    drop(probe);
    assert_eq!(go(&limiter, &one("app")).await, Duration::ZERO);
    used(150.0, None);
    assert_eq!(go(&limiter, &one("app")).await, Duration::from_secs(300));
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -5.0] {
        used(nonsense, Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn rate_05_what_the_vendor_says_is_left_stops_calls_before_it_is_gone() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 1000, Duration::from_secs(1)));
    let left = |remaining, seconds| {
        let resets_in = Some(Duration::from_secs(seconds));
        limiter.observe(&[], &Lesson::Remaining { bucket: "app".into(), remaining, resets_in });
    };
    left(3, 30);
    let began = Instant::now();
    for _ in 0..3 {
        go(&limiter, &one("app")).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    // The vendor has not counted those three yet: what it says is no promise.
    left(3, 30);
    go(&limiter, &one("app")).await;
    assert!(began.elapsed() >= Duration::from_secs(30), "{:?}", began.elapsed());
    left(0, 5);
    assert!(go(&limiter, &one("app")).await >= Duration::from_secs(5));
}
