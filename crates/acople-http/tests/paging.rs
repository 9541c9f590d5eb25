//! Every way to page, and what may go wrong on the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::{Context, ErrorKind, Result};
use acople_http::{Call, Client, Fetched, Pages, Paging, Position, next_link};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use futures_util::StreamExt;

fn pages(transport: &ScriptedTransport, records: &[&str], paging: Paging) -> Pages {
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    Pages::new(
        &client,
        &Context::new(),
        Call::get("list").path(["list"]).query("limit", 2),
        "things",
        records,
        paging,
    )
    .unwrap()
}

async fn all(mut pages: Pages) -> (Vec<String>, Option<acople_core::Error>) {
    let mut records = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(Fetched { batch, .. }) => records.extend(batch.iter().map(|r| r.raw().to_owned())),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

fn queries(transport: &ScriptedTransport) -> Vec<String> {
    transport.sent().iter().map(Sent::path_and_query).collect()
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_body() {
    let transport = ScriptedTransport::new([
        Reply::json(200, r#"{"results":[1,2],"paging":{"next":{"after":"a b"}}}"#),
        Reply::json(200, r#"{"results":[],"paging":{"next":{"after":"c"}}}"#),
        Reply::json(200, r#"{"results":[3]}"#),
    ]);
    let (records, error) =
        all(pages(&transport, &["results"], Paging::token("paging.next.after", "after"))).await;
    assert_eq!((records.join(","), error.is_none()), ("1,2,3".into(), true), "an empty page is not the end");
    assert_eq!(queries(&transport), ["/list?limit=2", "/list?limit=2&after=a%20b", "/list?limit=2&after=c"]);
}

#[tokio::test(start_paused = true)]
async fn a_next_url_in_the_body_absolute_or_relative() {
    let transport = ScriptedTransport::new([
        Reply::json(200, r#"{"@odata.nextLink":"list?skip=1","value":[1]}"#),
        Reply::json(200, r#"{"d":{"results":[2],"__next":"https://api.example.com/list?skip=2"}}"#),
        Reply::json(200, r#"{"value":[3]}"#),
    ]);
    let paging = Paging::next_url(["/@odata.nextLink", "d.__next"]);
    let (records, error) = all(pages(&transport, &["value", "d.results"], paging)).await;
    assert_eq!((records.join(","), error.is_none()), ("1,2,3".into(), true));
    assert_eq!(queries(&transport), ["/list?limit=2", "/list?skip=1", "/list?skip=2"]);
}

#[tokio::test(start_paused = true)]
async fn url_03_a_next_url_to_a_foreign_host_ends_the_list_with_an_error() {
    let transport =
        ScriptedTransport::new([Reply::json(200, r#"{"next":"https://evil.example/x","value":[1]}"#)]);
    let (records, error) = all(pages(&transport, &["value"], Paging::next_url(["next"]))).await;
    assert_eq!((records.len(), error.unwrap().kind()), (1, ErrorKind::Protocol));
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_link_header() {
    let transport = ScriptedTransport::new([
        Reply::json(200, "[1,2]").header("link", r#"</list?page=1>; rel="prev", </list?page=2>; rel="next""#),
        Reply::json(200, "[3]").header("link", r#"</list?page=1>; rel="prev""#),
    ]);
    let (records, error) = all(pages(&transport, &[""], Paging::LinkHeader)).await;
    assert_eq!((records.join(","), error.is_none()), ("1,2,3".into(), true));
    assert_eq!(queries(&transport), ["/list?limit=2", "/list?page=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_locator_in_a_header() {
    let transport = ScriptedTransport::new([
        Reply::json(200, "[1]").header("locator", "MTAw"),
        Reply::json(200, "[2]").header("locator", "null"),
    ]);
    let (records, _) =
        all(pages(&transport, &[""], Paging::header_locator("locator", "locator", "null"))).await;
    assert_eq!(records.join(","), "1,2");
    assert_eq!(queries(&transport), ["/list?limit=2", "/list?limit=2&locator=MTAw"]);
}

#[tokio::test(start_paused = true)]
async fn offsets_count_what_came_and_a_short_page_is_not_the_end() {
    let transport = ScriptedTransport::new([
        Reply::json(200, "[1,2]"),
        Reply::json(200, "[3]"),
        Reply::json(200, "[4]"),
        Reply::json(200, "[]"),
    ]);
    let (records, _) = all(pages(&transport, &[""], Paging::offset("offset"))).await;
    assert_eq!(records.join(","), "1,2,3,4");
    assert_eq!(
        queries(&transport)[1..],
        ["/list?limit=2&offset=2", "/list?limit=2&offset=3", "/list?limit=2&offset=4"]
    );
}

#[tokio::test(start_paused = true)]
async fn page_numbers() {
    let transport =
        ScriptedTransport::new([Reply::json(200, "[1,2]"), Reply::json(200, "[3]"), Reply::json(200, "[]")]);
    let (records, _) = all(pages(&transport, &[""], Paging::number("page", 1))).await;
    assert_eq!(records.join(","), "1,2,3");
    assert_eq!(queries(&transport)[1..], ["/list?limit=2&page=2", "/list?limit=2&page=3"]);
}

#[tokio::test(start_paused = true)]
async fn keyset_goes_on_from_the_last_records_key() {
    let transport = ScriptedTransport::new([
        Reply::json(200, r#"[{"id":18446744073709551616},{"id":18446744073709551617}]"#),
        Reply::json(200, "[]"),
    ]);
    let (records, _) = all(pages(&transport, &[""], Paging::keyset("id", "since_id"))).await;
    assert_eq!(records.len(), 2);
    assert_eq!(queries(&transport)[1], "/list?limit=2&since_id=18446744073709551617");
}

#[tokio::test(start_paused = true)]
async fn a_list_starts_at_a_position_that_was_kept() {
    let transport = ScriptedTransport::new([Reply::json(200, r#"{"results":[3]}"#)]);
    let kept = serde_json::to_string(&Position::Token("c".into())).unwrap();
    let pages = pages(&transport, &["results"], Paging::token("after", "after"))
        .from(Some(serde_json::from_str(&kept).unwrap()));
    assert_eq!(all(pages).await.0, ["3"]);
    assert_eq!(queries(&transport), ["/list?limit=2&after=c"]);
}

#[tokio::test(start_paused = true)]
async fn page_01_a_list_that_runs_in_a_circle_is_an_error() {
    for length in [1usize, 2, 50] {
        let transport = ScriptedTransport::function(move |_, n| {
            Reply::json(200, format!(r#"{{"results":[{n}],"after":"p{}"}}"#, n % length))
        });
        let (records, error) = all(pages(&transport, &["results"], Paging::token("after", "after"))).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
        assert!(records.len() <= length + 1, "{length}: {}", records.len());
    }
}

#[tokio::test(start_paused = true)]
async fn page_02_too_many_empty_pages_in_a_row_are_an_error() {
    let transport =
        ScriptedTransport::function(|_, n| Reply::json(200, format!(r#"{{"results":[],"after":"p{n}"}}"#)));
    let (_, error) = all(pages(&transport, &["results"], Paging::token("after", "after"))).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
    assert!(transport.sent().len() < 110);
}

#[tokio::test(start_paused = true)]
async fn a_missing_record_array_is_an_error_and_null_an_empty_page() {
    let missing = ScriptedTransport::new([Reply::json(200, r#"{"message":"hello"}"#)]);
    let (_, error) = all(pages(&missing, &["results"], Paging::Single)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
    let null = ScriptedTransport::new([Reply::json(200, r#"{"results":null}"#)]);
    let (records, error) = all(pages(&null, &["results"], Paging::Single)).await;
    assert!(records.is_empty() && error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_malformed_page_is_an_error() {
    for body in ["", "{", r#"{"results":[1,]}"#, r#"{"results":[1]} x"#, "\u{feff}nope", r#"{"results":7}"#] {
        let transport = ScriptedTransport::new([Reply::json(200, body.to_owned())]);
        let (_, error) = all(pages(&transport, &["results"], Paging::Single)).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_page_is_asked_for_before_this_one_is_worked_on_but_never_two() {
    let asked = Arc::new(AtomicUsize::new(0));
    let transport = ScriptedTransport::function({
        let asked = asked.clone();
        move |_, n| {
            asked.fetch_add(1, Ordering::SeqCst);
            Reply::json(200, format!(r#"{{"results":[{n}],"after":"p{n}"}}"#))
        }
    });
    let mut ahead = pages(&transport, &["results"], Paging::token("after", "after"));
    ahead.next().await.unwrap().unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    drop(ahead);

    asked.store(0, Ordering::SeqCst);
    let mut on_demand = pages(&transport, &["results"], Paging::token("after", "after")).prefetch(0);
    on_demand.next().await.unwrap().unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn after_an_error_the_list_ends() -> Result<()> {
    let transport = ScriptedTransport::new([Reply::json(400, "{}")]);
    let mut pages = pages(&transport, &["results"], Paging::Single);
    assert!(pages.next().await.unwrap().is_err());
    assert!(pages.next().await.is_none());
    Ok(())
}

#[test]
fn link_headers_in_all_their_forms() {
    for (header, next) in [
        (r#"<https://a/x>; rel="next""#, Some("https://a/x")),
        (r"<https://a/x>; rel=next", Some("https://a/x")),
        (
            r#"<https://a/x>; title="a, b; rel=next"; rel="last", <https://a/y>; REL="prev next""#,
            Some("https://a/y"),
        ),
        (r#"<https://a/x,y>; rel="next""#, Some("https://a/x,y")),
        (r#"<https://a/x>; rel="nextish""#, None),
        ("<https://a/x", None),
        ("", None),
    ] {
        assert_eq!(next_link(header), next, "{header}");
    }
}
