//! Lines and server-sent events that are cut, too long, or no text.

use std::time::Duration;

use acople_core::{Context, Error, ErrorKind};
use acople_http::{Call, Client, Lines, RetryPolicy, ServerEvents};
use acople_testkit::{Reply, ScriptedTransport};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{builder, client};

async fn lines(reply: Reply) -> Lines {
    let transport = ScriptedTransport::function(move |_, _| reply.clone());
    let call = Call::get("export").any_content();
    Lines::new(client(&transport).download(&Context::new(), &call).await.unwrap()).longest(1 << 20)
}

/// The lines of JSON up to the end, and the kinds of errors among them.
async fn json(reply: Reply) -> Vec<Result<String, ErrorKind>> {
    let mut lines = lines(reply).await;
    let mut found = Vec::new();
    while let Some(line) = lines.next_json().await.map_err(|e| e.kind()).transpose() {
        found.push(line);
        assert!(found.len() < 10, "it ends");
    }
    found
}

fn ok(lines: &[&str]) -> Vec<Result<String, ErrorKind>> {
    lines.iter().map(|line| Ok((*line).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn body_15_a_last_line_that_is_cut_is_dropped_and_said() {
    let body = "\u{feff}{\"a\":1}\r\n\n[2]\n{\"a\":3";
    let mut found = json(Reply::new(200, body)).await;
    assert_eq!(found.pop(), Some(Err(ErrorKind::Protocol)));
    assert_eq!(found, ok(&[r#"{"a":1}"#, "[2]"]));
    // A break of the connection is none of a line's end either, even where the line looks whole.
    let mut found = json(Reply::new(200, "{\"a\":1}\n{\"a\":2}").truncated()).await;
    assert_eq!(found.pop(), Some(Err(ErrorKind::Protocol)));
    assert_eq!(found, ok(&[r#"{"a":1}"#]));
    // Of 123 cut short to 12 nobody could tell; of an object one can.
    assert_eq!(json(Reply::new(200, "12")).await, [Err(ErrorKind::Protocol)]);
    assert_eq!(json(Reply::new(200, "{\"a\":1}\n{\"a\":2}")).await, ok(&[r#"{"a":1}"#, r#"{"a":2}"#]));
    assert_eq!(json(Reply::new(200, "")).await, []);
}

#[tokio::test(start_paused = true)]
async fn body_15_a_line_above_the_limit_ends_the_lines() {
    let long = format!("{{\"a\":1}}\n\"{}\"\n", "x".repeat(50 << 20));
    let mut found = json(Reply::new(200, long)).await;
    assert_eq!(found.pop(), Some(Err(ErrorKind::TooLarge)));
    assert_eq!(found, ok(&[r#"{"a":1}"#]));
    let unended = json(Reply::new(200, "x".repeat(2 << 20))).await;
    assert_eq!(unended, [Err(ErrorKind::TooLarge)]);
}

#[tokio::test(start_paused = true)]
async fn body_08_a_line_that_is_no_text_or_no_json_is_refused_alone() {
    let found = json(Reply::new(200, &b"{\"a\":1}\n\"\xff\"\n{nope}\n2\n"[..])).await;
    assert_eq!(
        found,
        [Ok(r#"{"a":1}"#.to_owned()), Err(ErrorKind::Schema), Err(ErrorKind::Schema), Ok("2".to_owned())]
    );
    let mut lines = lines(Reply::new(200, "1\nx\n")).await;
    lines.next_json().await.unwrap();
    assert_eq!(lines.next_json().await.unwrap_err().record(), Some("#2"));
}

fn stream(body: &'static str) -> Reply {
    Reply::new(200, body).header("content-type", "text/event-stream; charset=utf-8")
}

/// What a stream brings, at most 20 items: data, or the kind of an error.
async fn events(client: &Client, from: &str) -> Vec<Result<String, ErrorKind>> {
    let call = Call::get("watch");
    let stream = ServerEvents::new(client, &Context::new(), call).after(from).longest(1000).open();
    let told = |event: Result<acople_http::ServerEvent, Error>| event.map(|e| e.data).map_err(|e| e.kind());
    stream.map(told).take(20).collect().await
}

#[tokio::test(start_paused = true)]
async fn body_15_an_event_that_was_cut_comes_again_behind_the_last_id() {
    let transport = ScriptedTransport::new([
        stream("retry: 5000\nid: 1\ndata: a\n\nid: 2\ndata: b").truncated(),
        stream("id: 2\ndata: b\n\n: alive\n\nid: 3\ndata: c"),
        Reply::new(204, ""),
    ]);
    let began = Instant::now();
    assert_eq!(events(&client(&transport), "0").await, ok(&["a", "b"]));
    let sent = transport.sent();
    let ids: Vec<_> = sent.iter().map(|s| s.header("last-event-id")).collect();
    assert_eq!(ids, [Some("0"), Some("1"), Some("2")]);
    assert_eq!(sent[0].header("accept"), Some("text/event-stream"));
    assert_eq!(began.elapsed(), Duration::from_secs(10), "the vendor asked for five seconds each time");
}

#[tokio::test(start_paused = true)]
async fn body_15_connections_that_bring_nothing_are_opened_so_often_and_no_more() {
    let transport = ScriptedTransport::function(|_, _| stream("id: 9\ndata: never ended"));
    let policy = RetryPolicy::default().with_attempts(4);
    let client = builder(&transport).retry(policy).build();
    assert_eq!(events(&client, "").await, [Err(ErrorKind::Transient)]);
    assert_eq!(transport.sent().len(), 4);
    assert!(transport.sent().iter().all(|s| s.header("last-event-id").is_none()));

    // One that brings an event each time may go on for ever.
    let transport = ScriptedTransport::function(|_, _| stream("data: a\n\n"));
    assert_eq!(events(&super::client(&transport), "").await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn body_15_a_stream_that_is_none_or_too_long_ends_at_once() {
    let html = Reply::new(200, "<html>").header("content-type", "text/html");
    let long: &'static str = format!("data: a\n\ndata: {}\n\n", "x".repeat(2000)).leak();
    let many: &'static str = format!("{}\n", "data: 0123456789\n".repeat(1000)).leak();
    for (reply, expected) in [
        (html, vec![Err(ErrorKind::Protocol)]),
        (stream(long), vec![Ok("a".to_owned()), Err(ErrorKind::TooLarge)]),
        (stream(many), vec![Err(ErrorKind::TooLarge)]),
        (Reply::json(401, "{}"), vec![Err(ErrorKind::Reauth)]),
    ] {
        let transport = ScriptedTransport::function(move |_, _| reply.clone());
        assert_eq!(events(&client(&transport), "").await, expected);
        assert_eq!(transport.sent().len(), 1);
    }
    let transport = ScriptedTransport::function(|_, _| stream("data: a\n\n"));
    let error = events(&client(&transport), "bad\nid").await;
    assert_eq!((error, transport.sent().len()), (vec![Err(ErrorKind::Protocol)], 0));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_of_events_is_no_slow_body() {
    let alive = vec![(Duration::from_secs(15), &b":\n\n"[..]); 40];
    let pieces = alive.into_iter().chain([(Duration::from_secs(15), &b"data: a\n\n"[..])]).collect();
    let transport = std::sync::Arc::new(Quiet(super::bodies::Pieces(pieces)));
    let client = Client::builder("https://api.example.com", transport).unwrap().build();
    let mut events = ServerEvents::new(&client, &Context::new(), Call::get("watch")).open();
    assert_eq!(events.next().await.unwrap().unwrap().data, "a");
}

/// The same as a stream of events.
#[derive(Debug)]
struct Quiet(super::bodies::Pieces);

#[async_trait::async_trait]
impl acople_core::Transport for Quiet {
    async fn send(
        &self,
        request: acople_core::Request,
    ) -> Result<acople_core::Response, acople_core::TransportError> {
        let (status, mut headers, body) = self.0.send(request).await?.into_parts();
        headers.insert(http::header::CONTENT_TYPE, "text/event-stream".parse().unwrap());
        Ok(acople_core::Response::new(status, headers, body))
    }
}
