//! Downloads and event streams that are cut on the wire.

use acople_core::Context;
use acople_http::{Call, RetryPolicy, ServerEvents};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client;

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
