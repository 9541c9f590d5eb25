//! Answers that services give now and then.

use std::time::Duration;

use acople_core::{ErrorKind, Event, ReadRequest};
use acople_odata::Protocol;
use acople_testkit::{Reply, ScriptedTransport};

use crate::imitation::{BASE, Habits, connect, metadata, options};
use crate::{batches, cursors, events, keys, read};

fn script(protocol: Protocol, replies: impl IntoIterator<Item = Reply>) -> ScriptedTransport {
    let metadata =
        Reply::new(200, metadata(&Habits::new(protocol))).header("content-type", "application/xml");
    ScriptedTransport::new(std::iter::once(metadata).chain(replies))
}

fn v4(records: &str) -> Reply {
    Reply::json(200, format!(r#"{{"value":[{records}]}}"#))
}

const ONE: &str = r#"{"K0":"a","LastChangeDateTime":"2025-01-01T00:00:00Z"}"#;
const TWO: &str = r#"{"K0":"b","LastChangeDateTime":"2025-01-01T00:00:01Z"}"#;

#[tokio::test]
async fn page_02_an_empty_page_with_a_next_link_is_not_the_end() {
    for keyset in [true, false] {
        let transport = script(
            Protocol::V4,
            [
                Reply::json(200, r#"{"value":[],"@odata.nextLink":"Items?$skiptoken=1"}"#),
                Reply::json(200, format!(r#"{{"value":[{ONE}],"@odata.nextLink":"Items?$skiptoken=2"}}"#)),
                Reply::json(
                    200,
                    if keyset {
                        r#"{"value":[]}"#
                    } else {
                        r#"{"value":[],"@odata.nextLink":"Items?$skiptoken=3"}"#
                    },
                ),
                v4(""),
            ],
        );
        let mut options = options(Protocol::V4);
        options.keyset = keyset;
        let service = connect(options, &transport);
        let all = read(&service, ReadRequest::full("Items")).await;
        assert_eq!(keys(&all, 1), ["a"]);
        assert!(matches!(all.last(), Some(Event::SnapshotEnd)));
        let sent = transport.sent();
        assert_eq!(sent[2].path_and_query(), "/odata/SRV/Items?$skiptoken=1", "below the service root");
    }
}

#[tokio::test]
async fn page_02_empty_pages_without_end_are_an_error() {
    let reply = Reply::new(200, metadata(&Habits::new(Protocol::V4)));
    let transport = ScriptedTransport::function(move |_, number| match number {
        0 => reply.clone(),
        n => Reply::json(200, format!(r#"{{"value":[],"@odata.nextLink":"Items?$skiptoken={n}"}}"#)),
    });
    let (_, error) = events(&connect(options(Protocol::V4), &transport), ReadRequest::full("Items")).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn services_of_the_first_days_send_a_bare_array() {
    let transport = script(
        Protocol::V2,
        [Reply::json(200, r#"{"d":[{"K0":"a"},{"K0":"b"}]}"#), Reply::json(200, r#"{"d":[]}"#)],
    );
    let all = read(&connect(options(Protocol::V2), &transport), ReadRequest::full("Items")).await;
    assert_eq!(keys(&all, 1), ["a", "b"]);
}

#[tokio::test]
async fn an_answer_without_its_record_array_is_an_error() {
    for (protocol, body) in [
        (Protocol::V4, r#"{"values":[]}"#),
        (Protocol::V4, r#"{"value":{}}"#),
        (Protocol::V4, r#"{"d":{"results":[]}}"#),
        (Protocol::V2, r#"{"d":{"K0":"a"}}"#),
        (Protocol::V2, r#"{"value":[]}"#),
        (Protocol::V4, r#"{"value":[{"K0":"a"}"#),
        (Protocol::V4, r#"{"value":[{"Version":1}]}"#),
        (Protocol::V4, r#"{"value":[{"K0":null}]}"#),
    ] {
        let transport = script(protocol, [Reply::json(200, body)]);
        let (all, error) = events(&connect(options(protocol), &transport), ReadRequest::full("Items")).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol, "{body}");
        assert!(batches(&all).is_empty() && !all.iter().any(|e| matches!(e, Event::SnapshotEnd)));
    }
}

#[tokio::test]
async fn html_is_no_page() {
    let login = Reply::new(200, "<html><body>Logon</body></html>").header("content-type", "text/html");
    let transport = script(Protocol::V4, [login.clone()]);
    let (_, error) = events(&connect(options(Protocol::V4), &transport), ReadRequest::full("Items")).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);

    let service = connect(options(Protocol::V4), &ScriptedTransport::new([login]));
    let error = service.discover(&acople_core::Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "nor metadata");
}

#[tokio::test]
async fn url_03_a_next_link_to_another_origin_is_refused() {
    for link in [
        "https://evil.example.com/odata/SRV/Items?$skiptoken=1",
        "http://odata.example.com/odata/SRV/Items",
        "//evil/x",
    ] {
        let page = Reply::json(200, format!(r#"{{"d":{{"results":[{ONE}],"__next":"{link}"}}}}"#));
        let transport = script(Protocol::V2, [page]);
        let mut options = options(Protocol::V2);
        options.keyset = false;
        let (all, error) = events(&connect(options, &transport), ReadRequest::full("Items")).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
        assert_eq!(batches(&all).len(), 1, "what came before is delivered");
        assert_eq!(transport.sent().len(), 2, "nothing went there");
    }
}

#[tokio::test]
async fn a_next_link_is_moved_to_our_origin_where_the_config_says_so() {
    let page = Reply::json(
        200,
        format!(
            r#"{{"d":{{"results":[{ONE}],"__next":"http://internal:8000/odata/SRV/Items?$skiptoken=1%2C2"}}}}"#
        ),
    );
    let transport =
        script(Protocol::V2, [page, Reply::json(200, format!(r#"{{"d":{{"results":[{TWO}]}}}}"#))]);
    let mut options = options(Protocol::V2);
    options.keyset = false;
    options.swap_next_origin = true;
    let all = read(&connect(options, &transport), ReadRequest::full("Items")).await;
    assert_eq!(keys(&all, 1), ["a", "b"]);
    let sent = transport.sent();
    assert_eq!(sent[2].request.url().as_str(), "https://odata.example.com/odata/SRV/Items?$skiptoken=1%2C2");
}

#[tokio::test]
async fn every_request_carries_the_parameters_of_the_options_once() {
    let next = |token: u8, extra: &str| {
        Reply::json(
            200,
            format!(r#"{{"value":[{ONE}],"@odata.nextLink":"Items?$skiptoken={token}{extra}"}}"#),
        )
    };
    let transport = script(Protocol::V4, [next(1, "&tenant=100"), next(2, ""), v4("")]);
    let mut options = options(Protocol::V4);
    options.keyset = false;
    options.query = vec![("tenant", "100".into()), ("locale", "EN".into())];
    read(&connect(options, &transport), ReadRequest::full("Items")).await;
    for sent in transport.sent() {
        let url = sent.path_and_query();
        assert_eq!(url.matches("tenant=100").count(), 1, "{url}");
        assert_eq!(url.matches("locale=EN").count(), 1, "{url}");
    }
}

#[tokio::test]
async fn v4_asks_for_exact_numbers_and_metadata_in_xml() {
    for (protocol, accept) in
        [(Protocol::V4, "application/json;IEEE754Compatible=true"), (Protocol::V2, "application/json")]
    {
        let transport = script(protocol, [Reply::json(200, r#"{"value":[],"d":[]}"#)]);
        read(&connect(options(protocol), &transport), ReadRequest::full("Items")).await;
        let sent = transport.sent();
        assert_eq!(sent[0].header("accept"), Some("application/xml"));
        assert_eq!(sent[1].header("accept"), Some(accept));
    }
}

#[tokio::test(start_paused = true)]
async fn rate_a_throttle_is_waited_for() {
    let transport = script(
        Protocol::V4,
        [
            Reply::json(429, r#"{"error":{"code":"429","message":"Spike arrest"}}"#)
                .header("retry-after", "7"),
            v4(ONE),
            Reply::new(503, "busy").header("retry-after", "3"),
            v4(""),
        ],
    );
    let all =
        read(&connect(options(Protocol::V4), &transport), ReadRequest::full("Items").with_prefetch(0)).await;
    assert_eq!(keys(&all, 1), ["a"]);
    let sent = transport.sent();
    assert!(sent[2].at >= Duration::from_secs(7));
    assert!(sent[4].at >= Duration::from_secs(10) && sent[4].at < Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_without_a_wait_is_given_up_in_the_end() {
    let throttle = || Reply::json(429, "{}");
    let transport = script(Protocol::V4, [throttle(), throttle(), throttle(), throttle()]);
    let (_, error) = events(&connect(options(Protocol::V4), &transport), ReadRequest::full("Items")).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 3));
}

#[tokio::test]
async fn page_05_a_next_link_that_has_expired_starts_its_stream_over() {
    for status in [400, 404, 410] {
        let page = Reply::json(200, format!(r#"{{"value":[{ONE}],"@odata.nextLink":"Items?$skiptoken=1"}}"#));
        let transport = script(
            Protocol::V4,
            [page, Reply::json(status, r#"{"error":{"code":"X","message":"bad skiptoken"}}"#)],
        );
        let mut options = options(Protocol::V4);
        options.keyset = false;
        let (_, error) = events(&connect(options, &transport), ReadRequest::full("Items")).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::CursorExpired);
    }
}

#[tokio::test]
async fn page_05_a_next_link_that_has_expired_between_two_reads_is_done_without() {
    // Records without a change value are found by following links here; the rest comes by change.
    let nothing = |link: &str| Reply::json(200, format!(r#"{{"value":[{{"K0":"n"}}]{link}}}"#));
    let transport = script(
        Protocol::V4,
        [
            nothing(r#","@odata.nextLink":"Items?$skiptoken=1""#),
            Reply::json(410, r#"{"error":{"code":"X","message":"bad skiptoken"}}"#),
            Reply::json(410, r#"{"error":{"code":"X","message":"bad skiptoken"}}"#),
            nothing(""),
            // Seen by change, read by key, and then what is later.
            v4(ONE),
            v4(ONE),
            v4(""),
        ],
    );
    let mut options = options(Protocol::V4);
    options.keyset = false;
    let service = connect(options, &transport);
    let request = ReadRequest::incremental("Items");
    let (first, error) = events(&service, request.clone()).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol, "links that always expire lead nowhere");
    let rest = read(&service, request.with_cursor(cursors(&first).pop())).await;
    assert_eq!(keys(&rest, 1), ["n", "a"]);
    assert!(rest.iter().any(|e| matches!(e, Event::Warning(text) if text.contains("expired"))));
}

#[tokio::test]
async fn what_a_vendor_says_beside_a_success_becomes_a_warning_once() {
    let transport = script(
        Protocol::V4,
        [v4(ONE).header("x-note", "old"), v4(TWO).header("x-note", "old"), v4("").header("x-other", "hello")],
    );
    let mut options = options(Protocol::V4);
    options.warning = Some(|headers| Some(headers.get("x-note")?.to_str().ok()?.to_owned()));
    let all = read(&connect(options, &transport), ReadRequest::full("Items")).await;
    let warnings: Vec<&String> =
        all.iter().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect();
    assert_eq!(warnings, ["old"]);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_transient() {
    let transport = ScriptedTransport::new([]);
    let service = connect(options(Protocol::V4), &transport);
    let error = service.check(&acople_core::Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
}

#[tokio::test]
async fn check_counts_entity_sets_and_names_the_other_protocol() {
    let v2 = || Reply::json(200, r#"{"d":{"EntitySets":["A","B"]}}"#);
    let v4 = || Reply::json(200, r#"{"@odata.context":"$metadata","value":[{"name":"A","url":"A"}]}"#);
    let cx = acople_core::Context::new();
    for (protocol, reply, expected) in
        [(Protocol::V2, v2(), "2 entity sets"), (Protocol::V4, v4(), "1 entity sets")]
    {
        let transport = ScriptedTransport::new([reply]);
        let health = connect(options(protocol), &transport).check(&cx).await.unwrap();
        assert!(health.summary.starts_with(expected), "{}", health.summary);
        assert_eq!(transport.sent()[0].request.url().as_str(), format!("{BASE}/"));
    }
    for (protocol, reply) in [(Protocol::V2, v4()), (Protocol::V4, v2())] {
        let error =
            connect(options(protocol), &ScriptedTransport::new([reply])).check(&cx).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["protocol".to_owned()][..]));
    }
    let other = connect(options(Protocol::V4), &ScriptedTransport::new([Reply::json(200, r#"{"hello":1}"#)]));
    assert_eq!(other.check(&cx).await.unwrap_err().kind(), ErrorKind::Protocol);
}
