//! Vendors that fail: what is tried again, how often, and how the calls come back; on paused time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;
use std::time::Duration;

use acople_core::{BreakerState, Context, ErrorKind, Meter, Progress, WireFault};
use acople_http::{BreakerConfig, Breakers, Call, Client, ClientBuilder, Repeat, RetryPolicy, RetryQuota};
use acople_testkit::{Reply, ScriptedTransport};
use http::HeaderName;
use tokio::time::Instant;

fn builder(transport: &ScriptedTransport) -> ClientBuilder {
    Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap()
}

/// A client whose breaker refuses nothing: it would hide what retries do.
fn unguarded(transport: &ScriptedTransport) -> Client {
    builder(transport).breakers(Breakers::new(BreakerConfig::metrics_only())).build()
}

fn read() -> Call {
    Call::get("read").path(["x"])
}

#[tokio::test(start_paused = true)]
async fn rate_10_a_503_is_tried_again_when_it_says_also_for_a_write() {
    for call in [read(), Call::post("create").path(["x"])] {
        let transport = ScriptedTransport::function(|_, n| match n {
            0 => Reply::json(503, "{}").header("retry-after", "7"),
            _ => Reply::json(200, "{}"),
        });
        builder(&transport).build().send(&Context::new(), &call).await.unwrap();
        let sent = transport.sent();
        assert_eq!(sent.len(), 2);
        let wait = sent[1].at.saturating_sub(sent[0].at);
        assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_10_a_502_or_504_is_tried_again_for_a_read_and_open_for_a_write_without_a_key() {
    for status in [502, 504] {
        let flaky =
            || ScriptedTransport::function(move |_, n| Reply::json(if n == 0 { status } else { 200 }, "{}"));
        let transport = flaky();
        builder(&transport).build().send(&Context::new(), &read()).await.unwrap();
        assert_eq!(transport.sent().len(), 2);

        let keyed = Call::post("create").repeat(Repeat::WithKey(HeaderName::from_static("idempotency-key")));
        for (cx, sent) in [(Context::new(), 1), (Context::new().with_idempotency_key("k"), 2)] {
            let transport = flaky();
            let result = builder(&transport).build().send(&cx, &keyed).await;
            assert_eq!(transport.sent().len(), sent);
            match result {
                Ok(_) => assert_eq!(sent, 2),
                Err(error) => {
                    assert_eq!((error.kind(), error.status()), (ErrorKind::Ambiguous, Some(status)));
                    assert!(!error.outcome_known());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_11_a_total_outage_of_a_thousand_calls_puts_1035_requests_on_the_wire() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}"));
    let client = unguarded(&transport);
    let meter = Arc::new(Meter::default());
    let cx = Context::new().with_meter(meter.clone());
    for call in 0..1000 {
        let (before, began) = (meter.usage().requests, Instant::now());
        let error = client.send(&cx, &read()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Transient, Some(503)));
        if call >= 18 {
            // Seventeen calls with two retries and one with one: the quota is spent.
            let at_once = (meter.usage().requests - before, began.elapsed());
            assert_eq!(at_once, (1, Duration::ZERO), "call {call}");
        }
    }
    assert_eq!(transport.sent().len(), 1035);
}

#[tokio::test(start_paused = true)]
async fn rate_11_the_quota_is_one_for_calls_at_the_same_time_and_one_for_each_client() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}"));
    for client in [unguarded(&transport), unguarded(&transport)] {
        let before = transport.sent().len();
        let calls = (0..1000).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&Context::new(), &read()).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap_err();
        }
        assert_eq!(transport.sent().len() - before, 1035);
    }
}

#[tokio::test(start_paused = true)]
async fn rate_11_with_its_breaker_an_outage_is_hardly_asked_at_all() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}"));
    let client = builder(&transport).build();
    for _ in 0..1000 {
        client.send(&Context::new(), &read()).await.unwrap_err();
    }
    assert_eq!(transport.sent().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn rate_11_a_success_gives_back_what_its_retry_took_so_that_retries_go_on() {
    // Every other request fails: each call needs one retry, and none is ever short of one.
    let transport = ScriptedTransport::function(|_, n| Reply::json(if n % 2 == 0 { 503 } else { 200 }, "{}"));
    let client = unguarded(&transport);
    for _ in 0..1000 {
        client.send(&Context::new(), &read()).await.unwrap();
    }
    assert_eq!(transport.sent().len(), 2000);
}

#[tokio::test(start_paused = true)]
async fn the_quota_can_be_set() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(503, "{}"));
    let retry = RetryPolicy::default().with_quota(RetryQuota::new(30).with_costs(10, 10));
    let client = builder(&transport).retry(retry).build();
    for sent in [3, 5, 6] {
        client.send(&Context::new(), &read()).await.unwrap_err();
        assert_eq!(transport.sent().len(), sent);
    }
}

/// One call every tenth of a second: for ten minutes three of ten requests fail, then none.
async fn brown_out(seed: u64) {
    const OUTAGE: Duration = Duration::from_secs(600);
    const EVERY: Duration = Duration::from_millis(100);
    let bad: Vec<bool> = {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..10_000).map(|_| random.u32(0..10) < 3).collect()
    };
    let transport = ScriptedTransport::function(move |sent, n| {
        let bad = sent.at < OUTAGE && bad[n % bad.len()];
        Reply::json(if bad { 503 } else { 200 }, "{}").after(Duration::from_millis(20))
    });
    let client = builder(&transport).build();
    let began = Instant::now();
    let mut calls = Vec::new();
    while began.elapsed() < OUTAGE + Duration::from_secs(60) {
        let client = client.clone();
        let at = began.elapsed();
        calls.push(tokio::spawn(async move { (at, client.send(&Context::new(), &read()).await.is_ok()) }));
        tokio::time::sleep(EVERY).await;
    }
    let (mut during, mut after, mut served) = (0, 0, 0);
    for call in calls {
        let (at, ok) = call.await.unwrap();
        if at < OUTAGE {
            (during, served) = (during + 1, served + usize::from(ok));
        } else if at >= OUTAGE + Duration::from_secs(30) {
            assert!(ok, "seed {seed}: a call at {at:?} failed after the recovery");
            after += 1;
        }
    }
    let sent = transport.sent();
    let requests = sent.iter().filter(|sent| sent.at < OUTAGE).count();
    assert!(requests * 2 < during * 3, "seed {seed}: {requests} requests for {during} calls");
    assert!(served * 10 >= during * 6, "seed {seed}: {served} of {during} calls were served meanwhile");
    let late = sent.iter().filter(|sent| sent.at >= OUTAGE + Duration::from_secs(30)).count();
    assert_eq!((after, late), (300, 300), "seed {seed}: every call goes out, once, at the full rate");
}

#[tokio::test(start_paused = true)]
async fn rate_12_a_brown_out_of_ten_minutes_is_no_storm_and_ends_with_the_full_rate() {
    for seed in 0..3 {
        brown_out(seed).await;
    }
}

/// How long a connect takes that begins at a time, when the wire swallows packets in between: it knocks at once,
/// after one second and after three (RFC 6298), and gives up after five.
fn connects(at: Duration, down: Duration, up: Duration) -> Option<Duration> {
    let mut knocks = [0, 1, 3].map(Duration::from_secs).into_iter();
    knocks.find(|after| at + *after < down || at + *after >= up)
}

#[tokio::test(start_paused = true)]
async fn net_18_a_partition_is_probed_less_than_twice_a_minute_and_over_within_30_s() {
    // Three callers of one bucket, who come back when they are told to.
    for phase in 0..31 {
        let over = Duration::from_secs(600 + phase);
        let transport =
            ScriptedTransport::function(move |sent, _| match connects(sent.at, Duration::ZERO, over) {
                Some(takes) => Reply::json(200, "{}").after(takes),
                None => Reply::fail(Progress::NotSent, WireFault::Timeout).after(Duration::from_secs(5)),
            });
        let patient = BreakerConfig::default()
            .with_consecutive(3)
            .with_open_for(Duration::from_secs(27))
            .with_probes(1);
        let client = builder(&transport).breakers(Breakers::new(patient)).build();
        let began = Instant::now();
        let callers = (0..3).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                while let Err(error) = client.send(&Context::new(), &read()).await {
                    let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                    tokio::time::sleep(wait).await;
                }
                began.elapsed()
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            let back = caller.await.unwrap();
            assert!(back >= over && back <= over + Duration::from_secs(30), "{over:?}: back at {back:?}");
        }
        // The first three find out, at the same time, that it is down; then one at a time asks for all.
        let sent = transport.sent();
        let parked: Vec<Duration> = sent.iter().map(|sent| sent.at).skip(3).filter(|at| *at < over).collect();
        assert!(parked.windows(2).all(|two| two[1] > two[0] + Duration::from_secs(30)), "{parked:?}");
        assert!(parked.len() as u64 * 60 < over.as_secs() * 2 && parked.len() > 15, "{parked:?}");
        assert_eq!(client.breakers().state("default"), BreakerState::Closed);
    }
}
