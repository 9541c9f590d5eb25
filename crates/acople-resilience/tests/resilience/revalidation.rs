//! Whether an old answer still holds (RFC 9111, 4.3).

use acople_core::ErrorKind;
use acople_http::Call;
use acople_resilience::Cache;
use acople_testkit::{Reply, ScriptedTransport, Sent};
use tokio::time::advance;

use crate::shop::{MINUTE, direct};

const MODIFIED: &str = "Mon, 05 Jan 2026 08:00:00 GMT";

fn call() -> Call {
    Call::get("read").path(["x"])
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_confirmed_by_what_the_vendor_gave_to_go_by() {
    for (given, value, asked) in
        [("etag", "W/\"7\"", "if-none-match"), ("last-modified", MODIFIED, "if-modified-since")]
    {
        let transport = ScriptedTransport::function(move |sent: &Sent, number| match sent.header(asked) {
            Some(theirs) => {
                assert_eq!(theirs, value);
                Reply::new(304, "").header("x-left", &number.to_string()).header("content-length", "9")
            }
            None => Reply::json(200, "{\"n\":1}").header(given, value).header("x-left", "none"),
        });
        let cache = Cache::default();
        let (client, cx) = direct(&transport, &cache, MINUTE);
        client.send(&cx, &call()).await.unwrap();
        for round in 1..=3 {
            advance(MINUTE).await;
            for _ in 0..2 {
                let answer = client.send(&cx, &call()).await.unwrap();
                assert_eq!((answer.status().as_u16(), answer.body()), (200, &b"{\"n\":1}"[..]));
                assert_eq!(answer.header("x-left"), Some(round.to_string().as_str()));
                assert_eq!(answer.header("content-type"), Some("application/json"));
            }
            assert_eq!(transport.sent().len(), 1 + round);
        }
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.revalidated, stats.hits), (1, 3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_changed_takes_the_old_ones_place() {
    let transport = ScriptedTransport::function(|sent: &Sent, number| {
        assert_eq!(sent.header("if-none-match").is_some(), number > 0);
        Reply::json(200, number.to_string()).header("etag", &format!("\"{number}\""))
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    for round in ["0", "1", "2"] {
        for _ in 0..2 {
            assert_eq!(client.send(&cx, &call()).await.unwrap().body(), round.as_bytes());
        }
        advance(MINUTE).await;
    }
    assert_eq!((transport.sent().len(), cache.stats().entries), (3, 1));
    assert_eq!(transport.sent()[2].header("if-none-match"), Some("\"1\""));
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_used_unconfirmed_is_confirmed_each_time() {
    let transport = ScriptedTransport::function(|sent: &Sent, _| match sent.header("if-none-match") {
        Some(_) => Reply::new(304, ""),
        None => Reply::json(200, "1").header("etag", "\"1\"").header("cache-control", "no-cache"),
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    for _ in 0..3 {
        assert_eq!(client.send(&cx, &call()).await.unwrap().body(), b"1");
    }
    assert_eq!((transport.sent().len(), cache.stats().revalidated), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_outdated_is_not_asked_about() {
    // A time of modification counts in seconds: within one, a change would pass for none.
    let transport =
        ScriptedTransport::function(|_, _| Reply::json(200, "1").header("last-modified", MODIFIED));
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    client.send(&cx, &call()).await.unwrap();
    cache.invalidate_all();
    client.send(&cx, &call()).await.unwrap();
    assert_eq!(transport.sent()[1].header("if-modified-since"), None);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_fails_is_an_error_and_leaves_what_is_kept() {
    let transport = ScriptedTransport::function(|_, number| match number {
        0 => Reply::json(200, "1").header("etag", "\"1\""),
        1 => Reply::json(404, "{}"),
        _ => Reply::new(304, ""),
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    client.send(&cx, &call()).await.unwrap();
    advance(MINUTE).await;
    assert_eq!(client.send(&cx, &call()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(client.send(&cx, &call()).await.unwrap().body(), b"1");
}

#[tokio::test(start_paused = true)]
async fn net_12_a_304_that_nobody_asked_for_is_an_error() {
    let transport = ScriptedTransport::function(|_, _| Reply::new(304, ""));
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    assert_eq!(client.send(&cx, &call()).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(cache.stats().entries, 0);
}
