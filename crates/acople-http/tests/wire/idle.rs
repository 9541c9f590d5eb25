//! Pooled connections that end as they are used again.

use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{BreakerConfig, Breakers, Call, RetryPolicy};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};

use super::{SOON, builder, client};

fn answer() -> Script {
    Script::new().read_request().answer(HttpAnswer::json(200, "{}"))
}

#[tokio::test]
async fn net_07_a_pooled_connection_is_used_again() {
    let server = FaultServer::start(Script::new().repeat(100, answer())).await.unwrap();
    let client = client(&server.url(), RetryPolicy::none());
    for _ in 0..100 {
        client.send(&Context::new(), &Call::post("create").raw_json("{}")).await.unwrap();
    }
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn net_07_a_connection_that_ended_in_the_pool_is_not_used() {
    let server = FaultServer::start(answer()).await.unwrap();
    let client = client(&server.url(), RetryPolicy::none());
    for number in 0..10 {
        client.send(&Context::new(), &Call::post("create").raw_json("{}")).await.unwrap();
        assert!(server.ending(number, SOON).await.is_some());
        // The end is on its way to us.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn net_07_a_write_of_which_some_bytes_were_taken_is_ambiguous_and_a_read_is_repeated() {
    // The first request is answered; of the second a single byte is read.
    let cut = answer().read(1).reset();
    let server = FaultServer::start([cut.clone(), answer()]).await.unwrap();
    let client = client(&server.url(), RetryPolicy::default());
    client.send(&Context::new(), &Call::get("read")).await.unwrap();
    let error = client.send(&Context::new(), &Call::post("create").raw_json("{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1));
    assert_eq!(server.requests().len(), 1, "the write was not sent again");

    let server = FaultServer::start([cut, answer()]).await.unwrap();
    let client = super::client(&server.url(), RetryPolicy::default());
    for _ in 0..2 {
        client.send(&Context::new(), &Call::get("read")).await.unwrap();
    }
    assert_eq!(server.requests().len(), 2);
}

/// The server closes at the very moment at which we write: whatever the race brings, a write that succeeded was
/// received once, one that failed at most once, and one that is said not to have been sent was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_07_no_write_is_doubled_by_a_connection_that_closes_meanwhile() {
    const WRITES: usize = 600;
    let wait = |number: usize| Duration::from_micros(50 * (number as u64 % 8));
    let server = FaultServer::start(acople_testkit::faults::Scripts::function(move |number| {
        let script = answer().stall(wait(number));
        if number % 2 == 0 { script.reset() } else { script.close() }
    }))
    .await
    .unwrap();
    let mut config = BreakerConfig::default();
    config.threshold = 2.0;
    let client = builder(&server.url(), RetryPolicy::default()).breakers(Breakers::new(config)).build();
    let mut outcomes = Vec::new();
    for number in 0..WRITES {
        let call = Call::post("create").raw_json(number.to_string());
        outcomes.push(client.send(&Context::new(), &call).await.map_err(|error| error.kind()));
    }
    let mut seen = vec![0; WRITES];
    for request in server.requests().iter().filter(|request| request.complete()) {
        let number: usize = std::str::from_utf8(request.body()).unwrap().parse().unwrap();
        seen[number] += 1;
    }
    for (number, (outcome, seen)) in outcomes.iter().zip(&seen).enumerate() {
        match outcome {
            Ok(_) => assert_eq!(*seen, 1, "write {number} succeeded"),
            Err(ErrorKind::Ambiguous) => assert!(*seen <= 1, "write {number} may have arrived"),
            Err(ErrorKind::Transient) => assert_eq!(*seen, 0, "write {number} was not sent"),
            Err(kind) => panic!("write {number}: {kind:?}, received {seen} times"),
        }
    }
    assert!(outcomes.iter().any(Result::is_ok));
}
