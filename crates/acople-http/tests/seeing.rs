//! What a monitor is told, and what a host sets for all connectors.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use acople_core::{
    BreakerState, Context, ErrorKind, Monitor, Recorder, Resources, Secret, Signal, WaitCause, Watched,
};
use acople_http::{
    BreakerConfig, Call, Client, HttpTransport, Limits, RetryPolicy, Settings, SharedBreakers, Timeouts,
    TransportConfig,
};
use acople_testkit::{Reply, ScriptedTransport};

/// Keeps what it is told, as text.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<Watched>>>);

impl Monitor for Told {
    fn watch(&self, watched: &Watched) -> Arc<dyn Recorder> {
        self.1.lock().unwrap().push(watched.clone());
        Arc::new(self.clone())
    }
}

impl Recorder for Told {
    fn record(&self, signal: &Signal<'_>) {
        let text = match signal {
            Signal::Attempt { operation, status, error, number, sent, received, took } => {
                format!("attempt {number} {operation} {status:?} {error:?} {sent}>{received} {took:?}")
            }
            Signal::Call { operation, error, attempts, took } => {
                format!("call {operation} {error:?} {attempts} {took:?}")
            }
            Signal::Waited { cause, .. } => format!("waited {cause:?}"),
            Signal::Breaker { class, state } => format!("breaker {class} {state:?}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(text);
    }
}

fn resources(transport: &ScriptedTransport) -> Resources {
    Resources::new(Arc::new(transport.clone())).with_connection("main").with_tenant("tenant-7")
}

fn client(resources: &Resources) -> Client {
    Client::with_resources("https://api.example.com:8443/v1", resources).unwrap().connector("example").build()
}

#[tokio::test(start_paused = true)]
async fn a_monitor_is_told_of_attempts_calls_and_waits() {
    let transport = ScriptedTransport::new([
        Reply::json(429, "{}").header("retry-after", "3"),
        Reply::json(200, r#"{"ok":true}"#).after(Duration::from_secs(1)),
    ]);
    let told = Told::default();
    let client = client(&resources(&transport).with_monitor(Arc::new(told.clone())));
    client.send(&Context::new(), &Call::put("save").path(["x"]).raw_json("{\"a\":1}")).await.unwrap();
    let watched = Watched::new("example", "api.example.com").of("main", "tenant-7");
    assert_eq!(*told.1.lock().unwrap(), [watched]);
    let told = told.0.lock().unwrap().clone();
    assert!(told[0].starts_with("attempt 1 save Some(429) Some(RateLimited) 7>0"), "{told:?}");
    assert!(told.contains(&format!("waited {:?}", WaitCause::Backoff)), "{told:?}");
    let attempt = told.iter().find(|t| t.starts_with("attempt 2")).unwrap();
    assert!(attempt.starts_with("attempt 2 save Some(200) None 7>11 1"), "{attempt}");
    assert!(told.last().unwrap().starts_with("call save None 2 "), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_monitor_is_told_of_breakers_and_of_calls_that_never_left() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(500, "{}"));
    let told = Told::default();
    let breakers = SharedBreakers::new(BreakerConfig::default().with_minimum(3));
    let settings = Settings::default().with_breakers(breakers.clone()).with_retry(RetryPolicy::none());
    let resources = resources(&transport).with_monitor(Arc::new(told.clone())).with_extension(settings);
    let (one, other) = (client(&resources), client(&resources));
    for _ in 0..3 {
        one.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    }
    // Both are told, and both are spared.
    let changes = format!("breaker default {:?}", BreakerState::Open);
    assert_eq!(told.0.lock().unwrap().iter().filter(|t| **t == changes).count(), 2);
    let error = other.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!((error.code(), transport.sent().len()), (Some("breaker_open"), 3));
    assert!(told.0.lock().unwrap().last().unwrap().starts_with("call read Some(Transient) 0 "));
    assert_eq!(breakers.of("api.example.com").state("default"), BreakerState::Open);
    assert_eq!(breakers.of("api.other.example").state("default"), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_hosts_settings_win_over_the_connectors() {
    let transport = ScriptedTransport::function(|_, _| Reply::hang());
    let settings = Settings::default()
        .with_timeouts(Timeouts::new(Duration::from_secs(2), Duration::from_secs(3)))
        .with_retry(RetryPolicy::none());
    let resources = resources(&transport).with_extension(settings);
    let client = Client::with_resources("https://api.example.com", &resources)
        .unwrap()
        .timeouts(Timeouts::new(Duration::from_secs(100), Duration::from_secs(200)))
        .build();
    let began = tokio::time::Instant::now();
    let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed()), (ErrorKind::Timeout, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_asked_again_after_the_wait_for_a_turn() {
    // The first call takes the only slot; the second waits for it while the breaker opens.
    let transport = ScriptedTransport::function(|_, _| Reply::json(500, "{}").after(Duration::from_secs(5)));
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone()))
        .unwrap()
        .limits(Limits::new().slots("all", 1).class("default", &["all"]))
        .retry(RetryPolicy::none())
        .build();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.send(&Context::new(), &Call::get("read").path(["x"])).await })
    };
    let first = ask();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = ask();
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.breakers().force("default", Some(BreakerState::Open));
    assert_eq!(first.await.unwrap().unwrap_err().status(), Some(500));
    assert_eq!(second.await.unwrap().unwrap_err().code(), Some("breaker_open"));
    assert_eq!(transport.sent().len(), 1);
}

#[test]
fn sec_01_settings_and_signals_print_no_secret() {
    let text = format!(
        "{:?}",
        Resources::new(Arc::new(ScriptedTransport::new([]))).with_extension(Secret::from("canary"))
    );
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn page_13_a_monitor_is_told_once_of_a_sunset_that_comes_over_the_wire() {
    let server = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(200)
        .insert_header("Sunset", "Wed, 30 Dec 2026 23:59:59 GMT")
        .insert_header("Deprecation", "@1688169599");
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    let told = Told::default();
    let transport = HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap();
    let resources = Resources::new(Arc::new(transport)).with_monitor(Arc::new(told.clone()));
    let client = Client::with_resources(&server.uri(), &resources).unwrap().connector("example").build();
    for _ in 0..3 {
        client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap();
    }
    let ends = Some(UNIX_EPOCH + Duration::from_secs(1_798_675_199));
    let signal = format!("{:?}", Signal::Retiring { class: "default", operation: "read", ends });
    let told = told.0.lock().unwrap();
    assert_eq!(told.iter().filter(|text| text.starts_with("Retiring")).collect::<Vec<_>>(), [&signal]);
}
