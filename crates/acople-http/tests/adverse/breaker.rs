//! The breaker against a reference machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Context, Progress, WireFault};
use acople_http::{Breaker, BreakerConfig, BreakerState, Call, Client, RetryPolicy};
use acople_testkit::{Reply, ScriptedTransport};
use tokio::time::Instant;

use super::builder;

const CALL: fn() -> Call = || Call::get("read").path(["x"]);

fn config(window: usize, minimum: usize, probes: usize) -> BreakerConfig {
    let mut config = BreakerConfig::default();
    (config.window, config.minimum, config.probes) = (window, minimum, probes);
    config
}

/// A client without retries whose next answer the test decides.
fn scripted(config: BreakerConfig) -> (Client, Arc<Mutex<Reply>>, ScriptedTransport) {
    let next = Arc::new(Mutex::new(Reply::json(200, "{}")));
    let reply = next.clone();
    let transport = ScriptedTransport::function(move |_, _| reply.lock().unwrap().clone());
    let client = builder(&transport).breaker(Breaker::new(config)).retry(RetryPolicy::none()).build();
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
            assert_eq!(client.breaker().state(), reference.state(), "seed {seed}, step {step}");
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
    assert_eq!(client.breaker().state(), BreakerState::HalfOpen);
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
    assert_eq!(client.breaker().state(), BreakerState::Closed, "one failure is not many");
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
    assert_eq!(client.breaker().state(), BreakerState::Open);
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
    assert_eq!(client.breaker().state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn rate_13_a_vendor_that_hangs_opens_it_also_when_deadlines_are_short() {
    let (client, next, _) = scripted(config(20, 5, 1));
    *next.lock().unwrap() = Reply::hang();
    for _ in 0..5 {
        let cx = acople_http::Within::within(Context::new(), Duration::from_secs(2));
        client.send(&cx, &CALL()).await.unwrap_err();
    }
    assert_eq!(client.breaker().state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_attempts_does_not_hide_why() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(502, "{}"));
    let client = builder(&transport).breaker(Breaker::new(config(10, 1, 1))).build();
    let error = client.send(&Context::new(), &CALL()).await.unwrap_err();
    assert_eq!((error.status(), error.attempts(), transport.sent().len()), (Some(502), 1, 1));
}
