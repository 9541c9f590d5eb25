//! Pages that are fetched ahead while the consumer is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acople_core::{Body, Context, ErrorKind, Request, Response, Result, Transport, TransportError};
use acople_http::{Call, Client, Limits, Pages, Paging};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::builder;

/// Three pages, each in pieces that have to be asked for one by one.
#[derive(Debug, Default)]
struct Pieces(AtomicUsize);

#[async_trait]
impl Transport for Pieces {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let page = request.url().query().and_then(|q| q.strip_prefix("after=")).unwrap_or("1");
        let body = match page.parse::<u32>().unwrap() {
            3 => r#"{"records":[3]}"#.to_owned(),
            n => format!(r#"{{"records":[{n}],"next":{}}}"#, n + 1),
        };
        let pieces: Vec<Bytes> = body.into_bytes().chunks(4).map(Bytes::copy_from_slice).collect();
        let pieces = futures_util::stream::iter(pieces).then(|piece| async {
            tokio::task::yield_now().await;
            Ok(piece)
        });
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Body::stream(pieces)))
    }
}

fn pages(client: &Client) -> Pages {
    let paging = Paging::token("next", "after");
    Pages::new(client, &Context::new(), Call::get("list"), "list", &["records"], paging).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_away_for_longer_than_a_call_may_take_finds_the_next_page_all_the_same() {
    let transport = Arc::new(Pieces::default());
    let client = Client::builder("https://api.example.com", transport.clone()).unwrap().build();
    let mut pages = pages(&client);
    let mut records = Vec::new();
    while let Some(page) = pages.next().await {
        records.extend(page.unwrap().batch.iter().map(|r| r.raw().to_owned()));
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    assert_eq!(records, ["1", "2", "3"]);
    assert!(transport.0.load(Ordering::SeqCst) <= 5, "each page is asked for once more at most");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_page_that_was_not_neglected_is_not_asked_for_again() {
    let transport = ScriptedTransport::function(|_, n| match n {
        0 => Reply::json(200, r#"{"records":[1],"next":2}"#),
        _ => Reply::json(503, "{}"),
    });
    let client = builder(&transport).retry(acople_http::RetryPolicy::none()).build();
    let mut pages = pages(&client);
    pages.next().await.unwrap().unwrap();
    assert_eq!(pages.next().await.unwrap().unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_waits_for_the_limit_does_not_block_the_consumers_own_calls() {
    let transport = ScriptedTransport::function(|sent, n| match sent.path_and_query().as_str() {
        "/detail" => Reply::json(200, "{}"),
        _ => Reply::json(200, format!(r#"{{"records":[{n}],"next":{}}}"#, n + 1)),
    });
    let limits = Limits::new().rate("app", 10, Duration::from_secs(1)).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let mut pages = pages(&client);
    let began = Instant::now();
    for _ in 0..5 {
        pages.next().await.unwrap().unwrap();
        // The next page is in the line before these, and nobody polls it now.
        for _ in 0..10 {
            client.send(&Context::new(), &Call::get("detail").path(["detail"])).await.unwrap();
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn page_01_a_vendor_that_ignores_the_parameter_does_not_make_an_endless_list() {
    for paging in [Paging::offset("skip"), Paging::number("page", 1)] {
        let transport = ScriptedTransport::function(|_, _| Reply::json(200, r#"[{"id":1},{"id":2}]"#));
        let client = super::client(&transport);
        let cx = Context::new();
        let pages = Pages::new(&client, &cx, Call::get("list"), "list", &[""], paging).unwrap();
        let all: Vec<_> = pages.take(10).collect().await;
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].as_ref().unwrap_err().kind(), ErrorKind::Protocol);
    }
}
