//! Bodies without end.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{BodyLimits, Call, RetryPolicy};
use acople_testkit::faults::{Ending, FaultServer, HttpAnswer, Script};
use bytes::Bytes;

use super::{SOON, builder};

const TEN_GB: u64 = 10_000_000_000;
/// What the sockets of both sides may hold beyond what was read.
const SYSTEM: u64 = 24 << 20;

/// Ten gigabytes in each framing that HTTP/1.1 has.
fn endless(framing: &str) -> Script {
    let read = Script::new().read_request();
    let minute = Duration::from_secs(60);
    let piece = Bytes::from(vec![b'1'; 64 << 10]);
    match framing {
        "announced" => {
            let head = HttpAnswer::json(200, "").announce(TEN_GB);
            read.answer(head).write_generated(TEN_GB, minute, move |_| piece.clone())
        }
        "chunked" => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = Bytes::from([b"10000\r\n", &piece[..], b"\r\n"].concat());
            read.write(head).write_generated(TEN_GB, minute, move |_| chunk.clone())
        }
        _ => {
            let head = HttpAnswer::json(200, "").until_close();
            read.answer(head).write_generated(TEN_GB, minute, move |_| piece.clone())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_04_ten_gigabytes_where_a_page_was_expected_are_too_large_and_not_drained() {
    let mut small = BodyLimits::default();
    small.bytes = 1 << 20;
    for (framing, limits, taken) in [
        ("announced", BodyLimits::default(), 0),
        ("chunked", BodyLimits::default(), 64 << 20),
        ("until close", BodyLimits::default(), 64 << 20),
        ("chunked", small, 1 << 20),
    ] {
        let server = FaultServer::start(endless(framing)).await.unwrap();
        let client = builder(&server.url(), RetryPolicy::default()).body_limits(limits).build();
        let error = client.send(&Context::new(), &Call::get("list")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1), "{framing}: {error:?}");
        assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft), "{framing}: dropped");
        let written = server.connections()[0].bytes_written();
        assert!(written >= taken && written < taken + SYSTEM, "{framing}: {written} bytes");
        assert_eq!(server.connections().len(), 1, "another attempt would bring the same");
    }
}

#[tokio::test]
async fn body_04_the_text_of_a_refusal_is_not_read_without_end_either() {
    let read = Script::new().read_request().answer(HttpAnswer::json(404, "").announce(TEN_GB));
    let script = read.write_generated(TEN_GB, SOON, |_| Bytes::from(vec![b'x'; 64 << 10]));
    let server = FaultServer::start(script).await.unwrap();
    let client = Arc::new(builder(&server.url(), RetryPolicy::default()).build());
    let error = client.send(&Context::new(), &Call::get("list")).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, Some(404)));
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft));
    let written = server.connections()[0].bytes_written();
    assert!(written < SYSTEM, "{written} bytes");
}
