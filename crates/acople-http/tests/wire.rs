//! The ready-made transport over real sockets, in real time: few and short.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{
    BodyLimits, Call, Client, ReqwestTransport, RetryPolicy, ServerEvents, TransportConfig, Within,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(base: &str, retry: RetryPolicy) -> Client {
    let transport = Arc::new(ReqwestTransport::new(&TransportConfig::default()).unwrap());
    Client::builder(base, transport).unwrap().retry(retry).build()
}

/// A server that answers every connection with these bytes and then closes it.
async fn raw_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..20 {
            let Ok((mut socket, _)) = listener.accept().await else {
                return;
            };
            let mut request = [0u8; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/things"))
        .and(query_param("dry", "true"))
        .and(header("content-type", "application/json"))
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"ok":true}"#))
        .mount(&server)
        .await;
    let call = Call::post("create").path(["v1", "things"]).query("dry", true).raw_json(r#"{"a":1}"#);
    let answer = client(&server.uri(), RetryPolicy::default()).send(&Context::new(), &call).await.unwrap();
    assert_eq!(answer.body(), br#"{"ok":true}"#);
    let received = server.received_requests().await.unwrap();
    assert_eq!(received[0].body, br#"{"a":1}"#);
    assert!(received[0].headers["user-agent"].to_str().unwrap().starts_with("acople/"));
}

#[tokio::test]
async fn net_02_a_refused_connection_is_transient_for_any_method() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error =
        client(&base, RetryPolicy::none()).send(&Context::new(), &Call::post("create")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(!format!("{error:?}").contains(&base), "errors name no URL");
}

#[tokio::test]
async fn net_01_a_host_that_does_not_resolve_is_transient() {
    let client = client("https://no-such-host.invalid", RetryPolicy::none());
    let error =
        client.send(&Context::new().within(Duration::from_secs(10)), &Call::get("read")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn net_05_a_write_whose_connection_breaks_after_it_was_sent_is_ambiguous() {
    let base = raw_server(b"").await;
    let call = Call::post("create").raw_json("{}");
    let error = client(&base, RetryPolicy::default()).send(&Context::new(), &call).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1));
}

#[tokio::test]
async fn net_06_a_read_whose_connection_breaks_is_tried_again() {
    let base = raw_server(b"").await;
    let error =
        client(&base, RetryPolicy::default()).send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3));
}

#[tokio::test]
async fn net_10_a_truncated_body_is_never_taken_for_a_whole_one() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"half\":"[..],
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n"[..],
    ] {
        let base = raw_server(answer).await;
        let error = client(&base, RetryPolicy::default())
            .send(&Context::new(), &Call::get("read"))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 3), "{error:?}");
        let error =
            client(&base, RetryPolicy::default()).send(&Context::new(), &Call::post("w")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_an_error() {
    let base = raw_server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let error =
        client(&base, RetryPolicy::none()).send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Transient), "{error:?}");
}

#[tokio::test]
async fn url_01_credentials_do_not_follow_a_redirect() {
    let evil = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&evil).await;
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", evil.uri()))
        .mount(&server)
        .await;
    let call =
        Call::get("read").header(http::HeaderName::from_static("x-api-key"), "canary".parse().unwrap());
    let error = client(&server.uri(), RetryPolicy::default()).send(&Context::new(), &call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(evil.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn net_13_a_header_block_beyond_reason_is_an_error_and_no_panic() {
    let endless: Vec<u8> = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'a'; 1 << 20], b"\r\n\r\n"].concat();
    let many =
        (0..10_000).fold(String::from("HTTP/1.1 200 OK\r\n"), |head, n| head + &format!("x-{n}: 1\r\n"));
    let many = (many + "\r\n").into_bytes();
    let bytes = b"HTTP/1.1 200 OK\r\nx: \x00\x01\r\ncontent-length: 0\r\n\r\n".to_vec();
    for answer in [endless, many, bytes] {
        let base = raw_server(answer.leak()).await;
        let error =
            client(&base, RetryPolicy::none()).send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    }
}

#[tokio::test]
async fn a_write_without_a_body_says_so() {
    // RFC 9110, 8.6: some servers answer 411 otherwise.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0u8; 4096];
        let read = socket.read(&mut request).await.unwrap();
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..read]).to_lowercase()
    });
    client(&base, RetryPolicy::none()).send(&Context::new(), &Call::post("start")).await.unwrap();
    let request = server.await.unwrap();
    assert!(request.contains("content-length: 0\r\n"), "{request}");
}

/// Writes a head and then pieces until the other side is gone; gives how many bytes of pieces went out.
async fn endless_server(head: &'static [u8]) -> (String, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0u8; 4096]).await;
        socket.write_all(head).await.unwrap();
        let piece = vec![b'x'; 1 << 16];
        let mut sent = 0;
        // Bounded: 2 GB, should nobody ever hang up.
        while sent < 2 << 30 && socket.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        sent
    });
    (base, server)
}

#[tokio::test]
async fn body_04_a_body_beyond_the_limit_is_dropped_with_its_connection_and_not_drained() {
    for head in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let (base, server) = endless_server(head).await;
        let mut limits = BodyLimits::default();
        limits.bytes = 1 << 20;
        let transport = Arc::new(ReqwestTransport::new(&TransportConfig::default()).unwrap());
        let client = Client::builder(&base, transport).unwrap().body_limits(limits).build();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1));
        let sent = tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap();
        assert!(sent < 64 << 20, "{sent} bytes went out");
    }
}

/// Answers one connection after the other with these bytes, and tells what each asked.
async fn told_server(answers: &'static [&'static [u8]]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0u8; 4096];
            let read = socket.read(&mut request).await.unwrap();
            asked.push(String::from_utf8_lossy(&request[..read]).to_lowercase());
            socket.write_all(answer).await.unwrap();
        }
        asked
    });
    (base, server)
}

#[tokio::test]
async fn body_15_events_that_are_cut_on_the_wire_come_again_behind_the_last_id() {
    let (base, server) = told_server(&[
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
          1e\r\nretry: 1\nid: 1\ndata: a\n\nid: 2\n\r\n8\r\ndata: ha\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nid: 2\ndata: half\n\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ])
    .await;
    let events =
        ServerEvents::new(&client(&base, RetryPolicy::default()), &Context::new(), Call::get("watch"));
    let events: Vec<_> = events.open().collect().await;
    let data: Vec<String> = events.into_iter().map(|event| event.unwrap().data).collect();
    assert_eq!(data, ["a", "half"]);
    let asked = server.await.unwrap();
    assert!(!asked[0].contains("last-event-id"));
    assert!(asked[1].contains("last-event-id: 1\r\n") && asked[2].contains("last-event-id: 2\r\n"));
}

#[tokio::test]
async fn body_03_a_download_that_is_cut_on_the_wire_goes_on() {
    let (base, server) = told_server(&[
        b"HTTP/1.1 200 OK\r\netag: \"v\"\r\ncontent-length: 10\r\n\r\n0123",
        b"HTTP/1.1 206 Partial Content\r\netag: \"v\"\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789",
    ])
    .await;
    let call = Call::get("export").any_content();
    let client = client(&base, RetryPolicy::default());
    let mut file = client.download_resumable(&Context::new(), &call).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = file.chunk().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert_eq!(read, b"0123456789");
    let asked = server.await.unwrap();
    assert!(asked[1].contains("range: bytes=4-\r\n") && asked[1].contains("if-range: \"v\"\r\n"));
}
