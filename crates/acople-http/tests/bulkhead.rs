//! One vendor that stalls in a host that talks to many, on real sockets.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that fails may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acople_core::{Context, Transport};
use acople_http::{Call, Client, HttpTransport, Limits, TransportConfig};
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Slots of the vendor that stalls.
const SLOTS: usize = 4;

/// Takes every connection and answers nothing. Counts connections that are open, and the most there were.
async fn stalling() -> (String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (open.clone(), most.clone());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while matches!(socket.read(&mut buffer).await, Ok(n) if n > 0) {}
                counted.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (base, open, most)
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}

#[tokio::test]
async fn rate_14_a_vendor_that_stalls_holds_its_own_slots_and_no_other_vendor() {
    let (stalled, open, most) = stalling().await;
    let well = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("{}"))
        .mount(&well)
        .await;
    // One transport for the whole host.
    let transport: Arc<dyn Transport> =
        Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap());
    let limits = Limits::new().slots("stalled", SLOTS).class("default", &["stalled"]);
    let stalled = Client::builder(&stalled, transport.clone()).unwrap().limits(limits).build();
    let well = Client::builder(&well.uri(), transport).unwrap().build();

    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = stalled.clone();
            tokio::spawn(async move { client.send(&Context::new(), &Call::get("read")).await })
        })
        .collect();
    until("the slots are taken", || open.load(Ordering::SeqCst) == SLOTS).await;

    // Far more calls than slots: were anything shared, they would stand in the same line.
    let answers = futures_util::stream::iter(0..300)
        .map(|_| async { well.send(&Context::new(), &Call::get("read")).await })
        .buffer_unordered(16)
        .filter(|answer| std::future::ready(answer.is_ok()))
        .count();
    let answers = tokio::time::timeout(Duration::from_secs(20), answers).await.unwrap();
    assert_eq!(answers, 300, "every call of the other vendor is served while the first one stalls");
    assert!(calls.iter().all(|call| !call.is_finished()), "and the stalled calls wait all the same");
    assert_eq!(most.load(Ordering::SeqCst), SLOTS, "no more connections than slots");

    // Given up, they leave nothing behind.
    for call in &calls {
        call.abort();
    }
    until("the connections are closed", || open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(most.load(Ordering::SeqCst), SLOTS);
}
