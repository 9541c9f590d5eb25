//! Heads that are no heads.

use acople_core::{Context, ErrorKind};
use acople_http::{Call, RetryPolicy};
use acople_testkit::faults::{Ending, FaultServer, HttpAnswer, Script};
use bytes::Bytes;

use super::{SOON, client};

async fn refused(script: Script, what: &str) -> FaultServer {
    let server = FaultServer::start(script).await.unwrap();
    let client = client(&server.url(), RetryPolicy::none());
    let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::TooLarge), "{what}: {error:?}");
    let error = client.send(&Context::new(), &Call::post("create")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{what}: it may have been processed");
    server
}

#[tokio::test]
async fn net_13_a_header_block_beyond_reason_is_refused() {
    let long = HttpAnswer::json(200, "{}").header("x", vec![b'a'; 1 << 20]);
    let lines = (0..1000).fold(HttpAnswer::json(200, "{}"), |answer, number| {
        answer.header(&format!("x-{number}"), vec![b'a'; 1000])
    });
    let many = (0..10_000)
        .fold(HttpAnswer::json(200, "{}"), |answer, number| answer.header(&format!("x-{number}"), "1"));
    let repeated = (0..10_000).fold(HttpAnswer::json(200, "{}"), |answer, _| answer.header("x", "1"));
    for (what, answer) in [("1 MB", long), ("1 MB in lines", lines), ("many", many), ("repeated", repeated)] {
        refused(Script::new().read_request().answer(answer), what).await;
    }
}

#[tokio::test]
async fn net_13_a_header_block_without_end_is_not_read_to_its_end() {
    let endless =
        Script::new()
            .read_request()
            .write("HTTP/1.1 200 OK\r\n")
            .write_generated(10 << 30, SOON, |_| Bytes::from("x: y\r\n".repeat(1000)));
    let server = refused(endless, "endless").await;
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft));
    let written = server.connections()[0].bytes_written();
    assert!(written < 32 << 20, "{written} bytes were taken by us and the system");
}

#[tokio::test]
async fn net_13_bytes_that_may_not_be_there_are_refused() {
    for head in [
        &b"HTTP/1.1 200 OK\r\nx: \x00\x01\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nx\x00y: 1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 abc\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xfe\xfd\xfc\r\n\r\n\r\n\r\n",
    ] {
        let what = String::from_utf8_lossy(head);
        refused(Script::new().read_request().write(head), &what).await;
    }
}
