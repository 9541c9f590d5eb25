//! Connections that break while an answer is waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::{Context, ErrorKind};
use acople_http::{BreakerConfig, Breakers, Call, Client, Repeat, RetryPolicy};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script, Scripts};
use futures_util::StreamExt;
use http::HeaderName;

use super::{builder, client};

/// A breaker that stays closed: here the vendor is never left alone.
fn closed() -> Breakers {
    let mut config = BreakerConfig::default();
    config.threshold = 2.0;
    Breakers::new(config)
}

/// All the ways in which an answer to a request that was received in full does not come.
fn lost_answer(number: usize) -> Script {
    let received = Script::new().read_request();
    match number % 5 {
        0 | 1 => received.reset(),
        2 => received.close(),
        3 => received.write("HTTP/1.1 201 Cre").reset(),
        _ => received.write("HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{").reset(),
    }
}

/// A write of one of the kinds that must not be repeated.
fn write(number: usize) -> Call {
    let body = format!(r#"{{"number":{number}}}"#);
    match number % 4 {
        0 => Call::post("create").path(["orders"]).raw_json(body),
        1 => Call::patch("change").path(["orders", "7"]).raw_json(body),
        2 => Call::put("add a line").path(["orders", "7", "lines"]).repeat(Repeat::Never).raw_json(body),
        _ => Call::delete("take the last off").path(["orders"]).repeat(Repeat::Never).raw_json(body),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_05_ten_thousand_lost_answers_make_no_duplicate() {
    const WRITES: usize = 10_000;
    let server = FaultServer::start(Scripts::function(lost_answer)).await.unwrap();
    let client = builder(&server.url(), RetryPolicy::default()).breakers(closed()).build();
    let outcomes: Vec<_> = futures_util::stream::iter(0..WRITES)
        .map(|number| {
            let client = client.clone();
            async move {
                let error = client.send(&Context::new(), &write(number)).await.unwrap_err();
                (error.kind(), error.attempts(), error.outcome_known())
            }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    for outcome in outcomes {
        assert_eq!(outcome, (ErrorKind::Ambiguous, 1, false));
    }
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for request in server.requests() {
        assert!(request.complete());
        *seen.entry(request.body().to_vec()).or_default() += 1;
    }
    assert_eq!(seen.len(), WRITES, "each was received");
    assert_eq!(seen.values().max(), Some(&1), "and once");
}

#[tokio::test]
async fn net_05_a_write_with_an_idempotency_key_is_sent_again_with_the_same_key() {
    let answer = Script::new().read_request().answer(HttpAnswer::json(201, "{}"));
    let server = FaultServer::start([lost_answer(0), lost_answer(2), answer]).await.unwrap();
    let key = Repeat::WithKey(HeaderName::from_static("idempotency-key"));
    let call = Call::post("create").repeat(key).raw_json("{}");
    let client = client(&server.url(), RetryPolicy::default());
    let cx = Context::new().with_idempotency_key("order-7");
    client.send(&cx, &call).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.header("idempotency-key") == Some("order-7")));
    // Without a key there is nothing by which the vendor could tell the second from the first.
    let server = FaultServer::start(lost_answer(0)).await.unwrap();
    let client = super::client(&server.url(), RetryPolicy::default());
    let error = client.send(&Context::new(), &call).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Ambiguous, 1));
}

#[tokio::test]
async fn net_06_a_read_whose_connection_breaks_is_tried_again() {
    for way in [0, 2, 3] {
        let server = FaultServer::start(lost_answer(way)).await.unwrap();
        let client = client(&server.url(), RetryPolicy::default());
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3), "way {way}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn net_06_a_read_brings_the_answer_of_the_attempt_that_went_well() {
    let answer = Script::new().read_request().answer(HttpAnswer::json(200, r#"{"ok":true}"#));
    let server = FaultServer::start([lost_answer(0), lost_answer(4), answer]).await.unwrap();
    let client = client(&server.url(), RetryPolicy::default());
    let answer = client.send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(answer.body(), br#"{"ok":true}"#);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn net_06_reads_are_repeated_within_the_budget_alone() {
    const READS: usize = 200;
    let server = FaultServer::start(Script::new().read_request().reset()).await.unwrap();
    let client: Client = builder(&server.url(), RetryPolicy::default()).breakers(closed()).build();
    let failed = Arc::new(AtomicUsize::new(0));
    futures_util::stream::iter(0..READS)
        .for_each_concurrent(16, |_| async {
            let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
            failed.fetch_add(1, Ordering::Relaxed);
        })
        .await;
    assert_eq!(failed.load(Ordering::Relaxed), READS);
    assert_eq!(server.requests().len(), READS + 500 / 14);
}
