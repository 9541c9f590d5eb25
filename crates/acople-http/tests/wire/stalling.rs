//! Heads and bodies that do not come, or not in time.

use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{BodyLimits, Call, Client, RetryPolicy, Timeouts, Within};
use acople_testkit::faults::{Ending, FaultServer, HttpAnswer, Script};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::{SOON, builder};

const SHORT: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(60);

fn impatient(server: &FaultServer, retry: RetryPolicy) -> Client {
    builder(&server.url(), retry).timeouts(Timeouts::new(SHORT, SOON)).build()
}

fn quick_to_give_up(server: &FaultServer, idle: Duration) -> Client {
    let mut limits = BodyLimits::default();
    limits.idle = idle;
    builder(&server.url(), RetryPolicy::none()).body_limits(limits).build()
}

#[tokio::test]
async fn net_08_a_head_that_never_comes_ends_with_the_heads_deadline() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let silent = [
        Script::new().read_request().stall(LONG),
        // Nothing is even read.
        Script::new().stall(LONG),
        // Bytes of a head come, but never all of it.
        Script::new().read_request().write_slowly(
            "HTTP/1.1 200 OK\r\nx: ".to_owned() + &"y".repeat(600),
            1,
            SHORT / 10,
        ),
        // Interim answers do not count as one.
        Script::new().read_request().write_slowly(interim.repeat(600), interim.len(), SHORT / 10),
    ];
    for (number, script) in silent.into_iter().enumerate() {
        let server = FaultServer::start(script).await.unwrap();
        let began = Instant::now();
        let client = impatient(&server, RetryPolicy::none());
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "script {number}: {error:?}");
        let write = Call::post("create").raw_json("{}");
        let error =
            impatient(&server, RetryPolicy::default()).send(&Context::new(), &write).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1), "script {number}");
        assert!(began.elapsed() >= 2 * SHORT && began.elapsed() < SOON);
    }
}

#[tokio::test]
async fn net_08_a_read_is_tried_again_and_the_silent_connection_is_given_up() {
    let answer = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
    let server = FaultServer::start([Script::new().read_request().read_to_end(LONG), answer]).await.unwrap();
    let client = impatient(&server, RetryPolicy::default());
    client.send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft), "no connection is left waiting");
}

#[tokio::test]
async fn net_08_a_shorter_deadline_of_the_caller_wins() {
    let server = FaultServer::start(Script::new().read_request().stall(LONG)).await.unwrap();
    let client = builder(&server.url(), RetryPolicy::default()).build();
    let call = Call::get("read");
    let cx = Context::new().within(SHORT);
    let error = timeout(SOON, client.send(&cx, &call)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn net_09_a_body_that_stops_is_given_up() {
    let head = HttpAnswer::new(200).announce(1000).to_bytes();
    let script = Script::new().read_request().write(head).write_slowly("abc", 1, SHORT / 5).read_to_end(LONG);
    let server = FaultServer::start(script).await.unwrap();
    let client = quick_to_give_up(&server, SHORT);
    let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft));
    let error = client.send(&Context::new(), &Call::post("create")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
}

#[tokio::test]
async fn net_09_a_stall_that_ends_within_its_grace_is_no_fault() {
    let body = r#"{"records":[1,2,3]}"#;
    let (first, second) = body.split_at(10);
    let script = Script::new()
        .read_request()
        .write(HttpAnswer::new(200).announce(body.len() as u64).to_bytes())
        .write(first)
        .stall(SHORT)
        .write(second);
    let server = FaultServer::start(script).await.unwrap();
    let client = quick_to_give_up(&server, 8 * SHORT);
    let answer = client.send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(answer.body(), body.as_bytes());
    assert_eq!(server.connections().len(), 1, "in one attempt");
}

#[tokio::test]
async fn net_09_a_reader_of_ours_that_takes_its_time_is_no_fault() {
    const BYTES: u64 = 24 << 20;
    let script = Script::new()
        .read_request()
        .write(HttpAnswer::new(200).announce(BYTES).to_bytes())
        .write_generated(BYTES, LONG, |_| Bytes::from(vec![b'x'; 64 << 10]));
    let server = FaultServer::start(script).await.unwrap();
    let client = quick_to_give_up(&server, SHORT);
    let call = Call::get("export").any_content();
    let mut download = client.download(&Context::new(), &call).await.unwrap();
    let (mut bytes, mut pauses) = (0, 0);
    while let Some(piece) = download.chunk().await.unwrap() {
        bytes += piece.len() as u64;
        // Now and then, longer than a silent server would be waited for.
        if bytes > (pauses + 1) * (6 << 20) {
            pauses += 1;
            sleep(2 * SHORT).await;
        }
    }
    assert_eq!((bytes, pauses), (BYTES, 3));
}

#[tokio::test]
async fn net_09_a_body_that_comes_drop_by_drop_falls_through_the_floor() {
    let drops = Script::new()
        .read_request()
        .write(HttpAnswer::new(200).announce(10_000).to_bytes())
        .write_slowly("x".repeat(10_000), 1, SHORT / 5);
    let server = FaultServer::start(drops).await.unwrap();
    let mut limits = BodyLimits::default();
    // Twenty drops a second come, a hundred are wanted.
    (limits.floor_bytes, limits.floor_window) = (100, 4 * SHORT);
    let client = builder(&server.url(), RetryPolicy::none()).body_limits(limits).build();
    let error = timeout(SOON, client.send(&Context::new(), &Call::get("read"))).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        server.ending(0, SOON).await,
        Some(Ending::PeerLeft),
        "after a second, not after eight minutes"
    );
}
