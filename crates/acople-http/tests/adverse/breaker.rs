//! Breakers in the request path: what counts, what is refused, what is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{BreakerState, Context, ErrorKind, Progress, WireFault};
use acople_http::{BreakerConfig, Breakers, Call, Client, RetryPolicy};
use acople_testkit::{Reply, ScriptedTransport};
use tokio::time::Instant;

use super::builder;

const CALL: fn() -> Call = || Call::get("read").path(["x"]);

fn config(window: usize, minimum: usize, probes: usize) -> BreakerConfig {
    BreakerConfig::default().with_window(window).with_minimum(minimum).with_probes(probes)
}

fn state(client: &Client) -> BreakerState {
    client.breakers().state("default")
}

/// A client without retries whose next answer the test decides.
fn scripted(config: BreakerConfig) -> (Client, Arc<Mutex<Reply>>, ScriptedTransport) {
    let next = Arc::new(Mutex::new(Reply::json(200, "{}")));
    let reply = next.clone();
    let transport = ScriptedTransport::function(move |_, _| reply.lock().unwrap().clone());
    let client = builder(&transport).breakers(Breakers::new(config)).retry(RetryPolicy::none()).build();
    (client, next, transport)
}

/// What RATE-13 asks for, said as plainly as possible.
struct Reference {
    config: BreakerConfig,
    calls: VecDeque<bool>,
    opened: Option<Instant>,
}

impl Reference {
    fn state(&self) -> BreakerState {
        match self.opened {
            None => BreakerState::Closed,
            Some(at) if at.elapsed() < self.config.open_for => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// One call after the other; `None` for one that says nothing about the vendor's health.
    fn call(&mut self, failed: Option<bool>) {
        match (self.state(), failed) {
            (BreakerState::Open, _) | (_, None) => {}
            (BreakerState::HalfOpen, Some(true)) => self.opened = Some(Instant::now()),
            (BreakerState::HalfOpen, Some(false)) => (self.opened, self.calls) = (None, VecDeque::new()),
            (BreakerState::Closed, Some(failed)) => {
                self.calls.push_back(failed);
                if self.calls.len() > self.config.window {
                    self.calls.pop_front();
                }
                let failures = self.calls.iter().filter(|failed| **failed).count();
                #[allow(clippy::cast_precision_loss)]
                let share = failures as f64 / self.calls.len() as f64;
                if failed && self.calls.len() >= self.config.minimum && share >= self.config.threshold {
                    self.opened = Some(Instant::now());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rate_13_random_calls_agree_with_the_reference() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let window = random.usize(1..30);
        let config = config(window, random.usize(1..=window), random.usize(1..4));
        let (client, next, transport) = scripted(config);
        let mut reference = Reference { config, calls: VecDeque::new(), opened: None };
        let bad = random.u32(1..10);
        for step in 0..200 {
            if random.u32(0..20) == 0 {
                tokio::time::sleep(Duration::from_secs(random.u64(1..90))).await;
            }
            assert_eq!(state(&client), reference.state(), "seed {seed}, step {step}");
            let (reply, failed) = match random.u32(0..12) {
                n if n < bad => (Reply::json(503, "{}"), Some(true)),
                10 => (Reply::fail(Progress::MaybeSent, WireFault::Reset), Some(true)),
                11 => (Reply::json(429, "{}"), Some(false)),
                _ => (Reply::json(200, "{}"), Some(false)),
            };
            *next.lock().unwrap() = reply;
            let before = transport.sent().len();
            let open = reference.state() == BreakerState::Open;
            if random.u32(0..10) == 0 {
                // Given up before it was answered: counts for nothing.
                *next.lock().unwrap() = Reply::hang();
                let _ = tokio::time::timeout(Duration::from_millis(1), client.send(&Context::new(), &CALL()))
                    .await;
                reference.call(None);
            } else {
                let _ = client.send(&Context::new(), &CALL()).await;
                reference.call(failed);
            }
            assert_eq!(transport.sent().len() == before, open, "an open breaker sends nothing, seed {seed}");
        }
    }
}

/// An open breaker whose time is up, and a client whose calls hang until their reply is let go.
async fn half_open(probes: usize) -> (Client, Arc<Mutex<Reply>>) {
    let (client, next, _) = scripted(config(10, 2, probes));
    *next.lock().unwrap() = Reply::json(500, "{}");
    for _ in 0..2 {
        client.send(&Context::new(), &CALL()).await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(state(&client), BreakerState::HalfOpen);
    (client, next)
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_probe_that_fails_after_another_has_closed_it_does_not_open_it_again() {
    let (client, next) = half_open(2).await;
    *next.lock().unwrap() = Reply::json(500, "{}").after(Duration::from_secs(5));
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Context::new(), &CALL()).await }
    });
    tokio::task::yield_now().await;
    *next.lock().unwrap() = Reply::json(200, "{}");
    client.send(&Context::new(), &CALL()).await.unwrap();
    slow.await.unwrap().unwrap_err();
    assert_eq!(state(&client), BreakerState::Closed, "one failure is not many");
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_probe_that_succeeds_after_another_has_failed_is_old_news() {
    let (client, next) = half_open(2).await;
    *next.lock().unwrap() = Reply::json(200, "{}").after(Duration::from_secs(5));
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Context::new(), &CALL()).await }
    });
    tokio::task::yield_now().await;
    *next.lock().unwrap() = Reply::json(500, "{}");
    client.send(&Context::new(), &CALL()).await.unwrap_err();
    slow.await.unwrap().unwrap();
    assert_eq!(state(&client), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn rate_13_no_more_probes_than_allowed_and_a_dropped_one_is_free_again() {
    let (client, next) = half_open(0).await;
    *next.lock().unwrap() = Reply::hang();
    for _ in 0..5 {
        // At least one probe, or it would never close; given up, it makes room for the next.
        let probe = tokio::spawn({
            let client = client.clone();
            async move { client.send(&Context::new(), &CALL()).await }
        });
        tokio::task::yield_now().await;
        let refused = client.send(&Context::new(), &CALL()).await.unwrap_err();
        assert_eq!(refused.code(), Some("breaker_open"));
        probe.abort();
        assert!(probe.await.is_err());
    }
    *next.lock().unwrap() = Reply::json(200, "{}");
    client.send(&Context::new(), &CALL()).await.unwrap();
    assert_eq!(state(&client), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_vendor_that_hangs_opens_it_also_when_deadlines_are_short() {
    let (client, next, _) = scripted(config(20, 5, 1));
    *next.lock().unwrap() = Reply::hang();
    for _ in 0..5 {
        let cx = acople_http::Within::within(Context::new(), Duration::from_secs(2));
        client.send(&cx, &CALL()).await.unwrap_err();
    }
    assert_eq!(state(&client), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_attempts_does_not_hide_why() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(502, "{}"));
    let client = builder(&transport).breakers(Breakers::new(config(10, 1, 1))).build();
    let error = client.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!((error.status(), error.attempts(), transport.sent().len()), (Some(502), 1, 1));
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::from_secs(59) && wait <= Duration::from_secs(60), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn rate_13_each_class_of_endpoints_has_a_breaker_of_its_own() {
    let transport = ScriptedTransport::function(|sent, _| match sent.path_and_query().as_str() {
        "/search" => Reply::json(503, "{}"),
        _ => Reply::json(200, "{}"),
    });
    let client = builder(&transport).retry(RetryPolicy::none()).build();
    let search = Call::get("search").path(["search"]).class("search");
    for _ in 0..20 {
        client.send(&Context::new(), &search).await.unwrap_err();
        client.send(&Context::new(), &CALL()).await.unwrap();
    }
    let refused = client.send(&Context::new(), &search).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Transient, Some("breaker_open")));
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(60)));
    client.send(&Context::new(), &CALL()).await.unwrap();
    let states = [("search", BreakerState::Open), ("default", BreakerState::Closed)];
    assert_eq!(client.breakers().states(), states);
}

#[tokio::test(start_paused = true)]
async fn rate_13_connections_that_share_breakers_learn_from_each_other_but_not_of_bad_credentials() {
    let breakers = Breakers::default();
    let of = |status: u16| {
        let transport = ScriptedTransport::function(move |_, _| Reply::json(status, "{}"));
        let client = builder(&transport).breakers(breakers.clone()).retry(RetryPolicy::none()).build();
        (client, transport)
    };
    let (refused, _) = of(401);
    let (fine, sent) = of(200);
    for _ in 0..200 {
        refused.send(&Context::new(), &CALL()).await.unwrap_err();
    }
    fine.send(&Context::new(), &CALL()).await.unwrap();
    let (down, _) = of(503);
    for _ in 0..100 {
        down.send(&Context::new(), &CALL()).await.unwrap_err();
    }
    let error = fine.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!((error.code(), sent.sent().len()), (Some("breaker_open"), 1));
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_breaker_that_only_measures_reports_and_refuses_nothing() {
    let transport = ScriptedTransport::function(|_, n| Reply::json(if n < 50 { 503 } else { 200 }, "{}"));
    let breakers = Breakers::new(BreakerConfig::metrics_only());
    let told = Arc::new(Mutex::new(Vec::new()));
    let watch = breakers.on_change({
        let told = told.clone();
        move |class, state| told.lock().unwrap().push((class, state))
    });
    let client = builder(&transport).breakers(breakers.clone()).retry(RetryPolicy::none()).build();
    for _ in 0..50 {
        let error = client.send(&Context::new(), &CALL()).await.unwrap_err();
        assert_eq!(error.status(), Some(503));
    }
    assert_eq!(state(&client), BreakerState::Open);
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.send(&Context::new(), &CALL()).await.unwrap();
    let states = [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed];
    assert_eq!(*told.lock().unwrap(), states.map(|state| ("default", state)));
    assert_eq!(transport.sent().len(), 51);
    drop(watch);
    breakers.force("default", Some(BreakerState::Open));
    client.send(&Context::new(), &CALL()).await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 3, "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_breaker_that_is_held_stays_where_it_is_until_it_is_let_go() {
    let (client, next, transport) = scripted(config(10, 2, 1));
    let breakers = client.breakers().clone();
    breakers.force("default", Some(BreakerState::Open));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let refused = client.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!((refused.code(), transport.sent().len()), (Some("breaker_open"), 0));
    breakers.force("default", Some(BreakerState::Closed));
    *next.lock().unwrap() = Reply::json(503, "{}");
    for n in 1..=50 {
        client.send(&Context::new(), &CALL()).await.unwrap_err();
        assert_eq!((state(&client), transport.sent().len()), (BreakerState::Closed, n));
    }
    breakers.force("default", None);
    client.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!(state(&client), BreakerState::Closed, "what failed meanwhile is not counted");
    client.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!(state(&client), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_ask_the_breakers_and_force_them() {
    let breakers = Breakers::new(BreakerConfig::default().with_minimum(1));
    let inner = breakers.clone();
    let _watch = breakers.on_change(move |class, state| {
        if (class, state) == ("default", BreakerState::Open) {
            assert_eq!(inner.state("default"), BreakerState::Open);
            inner.force("other", Some(BreakerState::Open));
        }
    });
    breakers.enter("default").unwrap().tell(true);
    assert_eq!(breakers.enter("other").unwrap_err().code(), Some("breaker_open"));
}

#[tokio::test(start_paused = true)]
async fn failures_of_long_ago_are_no_reason_to_open() {
    let breakers = Breakers::default();
    for _ in 0..19 {
        breakers.enter("default").unwrap().tell(true);
    }
    tokio::time::sleep(Duration::from_secs(601)).await;
    for _ in 0..19 {
        breakers.enter("default").unwrap().tell(true);
    }
    assert_eq!(breakers.state("default"), BreakerState::Closed);
    breakers.enter("default").unwrap().tell(true);
    assert_eq!(breakers.state("default"), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_class_can_have_a_config_of_its_own_and_a_row_of_failures_can_be_enough() {
    let strict = BreakerConfig::default().with_consecutive(3);
    let breakers = Breakers::default().with_class("write", strict);
    for class in ["write", "default"] {
        for failed in [false, true, true, false, true, true, true] {
            breakers.enter(class).unwrap().tell(failed);
        }
    }
    assert_eq!(breakers.state("write"), BreakerState::Open);
    assert_eq!(breakers.state("default"), BreakerState::Closed);
}
