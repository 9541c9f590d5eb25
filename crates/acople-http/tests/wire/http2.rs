//! HTTP/2, played frame by frame.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{BodyLimits, Call, ClientBuilder, RetryPolicy, Timeouts};
use acople_testkit::faults::{Ending, FaultServer, Received, Script, Scripts, ServerTls, TestAuthority, h2};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{SOON, builder};

const SHORT: Duration = Duration::from_millis(300);
const CHILD: &str = "ACOPLE_HTTP2_TEST";

/// Runs a test in a process of its own, where the system trusts an authority of ours: HTTP/2 is agreed on inside
/// TLS, and the system's store is read when a transport is made.
#[expect(clippy::disallowed_methods, reason = "a test's own process")]
fn trusted<F: Future<Output = ()>>(name: &str, test: impl FnOnce(TestAuthority) -> F) {
    let authorities = concat!(env!("CARGO_TARGET_TMPDIR"), "/http2-authorities");
    std::fs::create_dir_all(authorities).unwrap();
    let path = format!("{authorities}/{}.pem", name.replace(':', "-"));
    if std::env::var_os(CHILD).is_some() {
        let authority = TestAuthority::new().unwrap();
        std::fs::write(path, authority.pem()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async { timeout(3 * SOON, test(authority)).await.unwrap() });
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .env("SSL_CERT_FILE", &path)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

async fn serve(authority: &TestAuthority, scripts: impl Into<Scripts>) -> FaultServer {
    let tls = ServerTls::new(authority.server().unwrap()).alpn(["h2"]);
    FaultServer::builder(scripts).tls(tls).start().await.unwrap()
}

fn client(server: &FaultServer) -> ClientBuilder {
    builder(&server.url(), RetryPolicy::default())
}

/// The settings and the first request.
fn first() -> Script {
    Script::new().h2_accept(&[]).h2_read_request()
}

fn well(request: &Received) -> Vec<u8> {
    h2::answer(request.stream().unwrap_or_default(), b"{}")
}

/// A server without faults.
fn good() -> Script {
    Script::new().h2_accept(&[]).repeat(1000, Script::new().h2_read_request().respond(well))
}

fn write() -> Call {
    Call::post("create").raw_json(r#"{"a":1}"#)
}

fn streams(server: &FaultServer) -> Vec<(usize, u32)> {
    server.requests().iter().map(|request| (request.connection(), request.stream().unwrap())).collect()
}

#[test]
fn net_14_many_calls_share_a_connection() {
    trusted("http2::net_14_many_calls_share_a_connection", |authority| async move {
        let server = serve(&authority, good()).await;
        let client = client(&server).build();
        client.send(&Context::new(), &write()).await.unwrap();
        let cx = Context::new();
        let calls: Vec<Call> = (0..50).map(|_| write()).collect();
        for answer in join_all(calls.iter().map(|call| client.send(&cx, call))).await {
            assert_eq!(answer.unwrap().body(), b"{}");
        }
        assert_eq!((server.connections().len(), server.requests().len()), (1, 51));
        assert_eq!(server.requests()[50].body(), br#"{"a":1}"#);
    });
}

#[test]
fn net_14_after_goaway_new_calls_take_a_new_connection() {
    trusted("http2::net_14_after_goaway_new_calls_take_a_new_connection", |authority| async move {
        // The request in flight is still answered.
        let leaving =
            first().write(h2::go_away(1, h2::NO_ERROR)).stall(SHORT / 3).respond(well).read_to_end(SOON);
        let server = serve(&authority, [leaving, good()]).await;
        let client = client(&server).build();
        client.send(&Context::new(), &write()).await.unwrap();
        client.send(&Context::new(), &write()).await.unwrap();
        assert_eq!(streams(&server), [(0, 1), (1, 1)]);
    });
}

#[test]
fn net_14_goaway_makes_no_duplicate_of_a_write_in_flight() {
    trusted("http2::net_14_goaway_makes_no_duplicate_of_a_write_in_flight", |authority| async move {
        for code in [h2::NO_ERROR, h2::PROTOCOL_ERROR, h2::INTERNAL_ERROR, h2::ENHANCE_YOUR_CALM] {
            // It may have been processed: the last stream that was is this one.
            let leaving = first().write(h2::go_away(1, code)).close();
            let server = serve(&authority, [leaving.clone(), good()]).await;
            let error = client(&server).build().send(&Context::new(), &write()).await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1), "code {code}");
            assert_eq!(streams(&server), [(0, 1)]);
            let server = serve(&authority, [leaving, good()]).await;
            client(&server).build().send(&Context::new(), &Call::get("read")).await.unwrap();
            assert_eq!(streams(&server), [(0, 1), (1, 1)], "a read is tried again");
        }
    });
}

#[test]
fn net_14_a_stream_above_goaway_is_taken_for_one_that_may_have_been_processed() {
    let name = "http2::net_14_a_stream_above_goaway_is_taken_for_one_that_may_have_been_processed";
    trusted(name, |authority| async move {
        // The server says that it was not. The HTTP library keeps that number to itself, so we do not know.
        let leaving = first().write(h2::go_away(0, h2::NO_ERROR)).close();
        let server = serve(&authority, [leaving.clone(), good()]).await;
        let error = client(&server).build().send(&Context::new(), &write()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1));
        assert_eq!(streams(&server), [(0, 1)]);
        let server = serve(&authority, [leaving, good()]).await;
        client(&server).build().send(&Context::new(), &Call::get("read")).await.unwrap();
        assert_eq!(streams(&server), [(0, 1), (1, 1)]);
    });
}

#[test]
fn net_14_a_stream_that_is_reset_is_ambiguous_for_a_write_and_repeated_for_a_read() {
    let name = "http2::net_14_a_stream_that_is_reset_is_ambiguous_for_a_write_and_repeated_for_a_read";
    trusted(name, |authority| async move {
        for code in [h2::PROTOCOL_ERROR, h2::INTERNAL_ERROR, h2::CANCEL, h2::ENHANCE_YOUR_CALM] {
            let reset = first()
                .write(h2::rst_stream(1, code))
                .repeat(1000, Script::new().h2_read_request().respond(well));
            let server = serve(&authority, reset.clone()).await;
            let client_ = client(&server).build();
            let error = client_.send(&Context::new(), &write()).await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1), "code {code}");
            assert_eq!(streams(&server), [(0, 1)]);
            client_.send(&Context::new(), &write()).await.unwrap();
            assert_eq!(streams(&server), [(0, 1), (0, 3)], "the connection is as good as before");
            let server = serve(&authority, reset).await;
            client(&server).build().send(&Context::new(), &Call::get("read")).await.unwrap();
            assert_eq!(streams(&server), [(0, 1), (0, 3)]);
        }
    });
}

#[test]
fn net_14_a_refused_stream_is_repeated_also_for_a_write() {
    trusted("http2::net_14_a_refused_stream_is_repeated_also_for_a_write", |authority| async move {
        let refuse = Script::new()
            .h2_read_request()
            .respond(|request| h2::rst_stream(request.stream().unwrap_or_default(), h2::REFUSED_STREAM));
        let script = Script::new()
            .h2_accept(&[])
            .repeat(2, refuse.clone())
            .repeat(1000, Script::new().h2_read_request().respond(well));
        let server = serve(&authority, script).await;
        client(&server).build().send(&Context::new(), &write()).await.unwrap();
        assert_eq!(streams(&server), [(0, 1), (0, 3), (0, 5)]);
        // For ever is too long.
        let server = serve(&authority, Script::new().h2_accept(&[]).repeat(1000, refuse)).await;
        let error = client(&server).build().send(&Context::new(), &write()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3));
        assert!(error.outcome_known(), "none was processed");
    });
}

#[test]
fn net_14_a_body_that_is_reset_is_not_taken_for_whole() {
    trusted("http2::net_14_a_body_that_is_reset_is_not_taken_for_whole", |authority| async move {
        let part = [h2::headers(1, h2::STATUS_200, false), h2::data(1, b"[1,2", false)].concat();
        for end in [
            h2::rst_stream(1, h2::INTERNAL_ERROR),
            h2::rst_stream(1, h2::CANCEL),
            h2::go_away(1, h2::INTERNAL_ERROR),
            Vec::new(),
        ] {
            let script = first().write(part.clone()).stall(SHORT / 6).write(end).close();
            let server = serve(&authority, [script.clone(), good()]).await;
            let answer = client(&server).build().send(&Context::new(), &Call::get("read")).await.unwrap();
            assert_eq!(answer.body(), b"{}", "the attempt after it");
            let server = serve(&authority, script).await;
            let error = client(&server).build().send(&Context::new(), &write()).await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1));
        }
    });
}

#[test]
fn net_14_a_window_that_never_opens_hits_the_heads_deadline() {
    trusted("http2::net_14_a_window_that_never_opens_hits_the_heads_deadline", |authority| async move {
        for window in [0, 65_535] {
            let stalled = Script::new()
                .h2_accept(&[(h2::INITIAL_WINDOW_SIZE, window)])
                .h2_read_head()
                .read_to_end(SOON);
            let server = serve(&authority, stalled).await;
            let client =
                client(&server).retry(RetryPolicy::none()).timeouts(Timeouts::new(SHORT, SOON)).build();
            let body = Bytes::from(vec![b'1'; 1 << 20]);
            let upload = Call::put("replace").raw_json(body.clone());
            let error = client.send(&Context::new(), &upload).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "window {window}");
            let server =
                serve(&authority, Script::new().h2_accept(&[(4, window)]).h2_read_head().stall(SOON)).await;
            let client = super::builder(&server.url(), RetryPolicy::default())
                .timeouts(Timeouts::new(SHORT, SOON))
                .build();
            let upload = Call::post("create").raw_json(body);
            let error = client.send(&Context::new(), &upload).await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1), "window {window}");
        }
    });
}

#[test]
fn net_14_a_body_that_stalls_hits_the_idle_timeout_and_the_others_go_on() {
    let name = "http2::net_14_a_body_that_stalls_hits_the_idle_timeout_and_the_others_go_on";
    trusted(name, |authority| async move {
        let script = first()
            .write(h2::headers(1, h2::STATUS_200, false))
            .write(h2::data(1, b"[1,2", false))
            .repeat(1000, Script::new().h2_read_request().respond(well));
        let server = serve(&authority, script).await;
        let mut limits = BodyLimits::default();
        limits.idle = SHORT;
        let client = client(&server).retry(RetryPolicy::none()).body_limits(limits).build();
        let (cx, read) = (Context::new(), Call::get("read"));
        let stalled = client.send(&cx, &read);
        let others = async {
            sleep(SHORT / 3).await;
            for _ in 0..3 {
                client.send(&Context::new(), &write()).await.unwrap();
            }
        };
        let (stalled, ()) = tokio::join!(stalled, others);
        assert_eq!(stalled.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(server.connections().len(), 1, "one stalled stream stalls no other");
    });
}

#[test]
fn net_14_a_flood_of_frames_keeps_no_call_waiting() {
    trusted("http2::net_14_a_flood_of_frames_keeps_no_call_waiting", |authority| async move {
        let floods = [
            ("settings", h2::settings(&[(h2::MAX_CONCURRENT_STREAMS, 100)])),
            ("pings", h2::ping(*b"12345678")),
            ("empty data", h2::data(1, b"", false)),
            ("window updates", h2::window_update(0, 1)),
            ("continuations", h2::frame(9, 0, 1, b"")),
        ];
        for (what, frame) in floods {
            let piece = Bytes::from(frame.repeat(1000));
            let begun = match what {
                "empty data" => first().write(h2::headers(1, h2::STATUS_200, false)),
                "continuations" => first().write(h2::frame(1, 0, 1, h2::STATUS_200)),
                _ => first(),
            };
            let flood = begun.write_generated(1 << 30, 3 * SHORT, move |_| piece.clone());
            let server = serve(&authority, [flood, good()]).await;
            let mut limits = BodyLimits::default();
            limits.idle = SHORT;
            let client = client(&server)
                .retry(RetryPolicy::none())
                .body_limits(limits)
                .timeouts(Timeouts::new(SHORT, 4 * SHORT))
                .build();
            let sent = timeout(SOON, client.send(&Context::new(), &write())).await;
            let error = sent.expect("an end").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Ambiguous, "{what}: {error:?}");
            // The flood is over, or we have left: the next call finds a new connection.
            assert!(
                matches!(server.ending(0, SOON).await, Some(Ending::Played | Ending::PeerLeft)),
                "{what}"
            );
            sleep(SHORT / 6).await;
            client.send(&Context::new(), &write()).await.unwrap();
            assert_eq!(streams(&server), [(0, 1), (1, 1)], "{what}");
        }
    });
}
