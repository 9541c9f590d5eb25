//! Bodies that end where they should not, and answers that have none.

use acople_core::{Context, ErrorKind};
use acople_http::{Call, List, Paging, RetryPolicy};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};
use http::Method;

use super::client;

const HALF: &str = r#"{"records":[1,2"#;
const WHOLE: &str = r#"{"records":[1,2,3]}"#;

/// All the ways in which a body of known framing breaks off; the last two by a reset.
fn truncated() -> Vec<Script> {
    let read = || Script::new().read_request();
    let chunked = HttpAnswer::json(200, HALF).chunked_without_end(5);
    // Broken off in the size of the next chunk, and in the middle of one.
    let in_size = [&chunked.to_bytes()[..], b"1"].concat();
    let in_chunk = [&chunked.to_bytes()[..], b"10\r\n,3"].concat();
    vec![
        read().answer(HttpAnswer::json(200, HALF).announce(50)),
        read().answer(HttpAnswer::json(200, "").announce(50)),
        read().answer(chunked.clone()),
        read().write(in_size),
        read().write(in_chunk),
        read().answer(HttpAnswer::json(200, HALF).announce(50)).reset(),
        read().answer(chunked).reset(),
    ]
}

#[tokio::test]
async fn net_10_a_truncated_body_is_never_taken_for_a_whole_one() {
    for (number, script) in truncated().into_iter().enumerate() {
        let server = FaultServer::start(script).await.unwrap();
        let client = client(&server.url(), RetryPolicy::default());
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        let kind = if number < 5 { ErrorKind::Protocol } else { ErrorKind::Transient };
        assert_eq!((error.kind(), error.attempts()), (kind, 3), "script {number}: {error:?}");
        assert_eq!(server.requests().len(), 3, "reads are tried again");
        let error = client.send(&Context::new(), &Call::post("create")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Ambiguous, 1), "script {number}");
    }
}

#[tokio::test]
async fn net_10_the_attempt_after_a_truncated_body_brings_it_whole() {
    for script in truncated() {
        let whole = Script::new().read_request().answer(HttpAnswer::json(200, WHOLE).chunked(4));
        let server = FaultServer::start([script, whole]).await.unwrap();
        let client = client(&server.url(), RetryPolicy::default());
        let answer = client.send(&Context::new(), &Call::get("read")).await.unwrap();
        assert_eq!(answer.body(), WHOLE.as_bytes());
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn net_10_a_truncated_download_ends_with_an_error_and_not_with_its_end() {
    for (number, script) in truncated().into_iter().enumerate() {
        let server = FaultServer::start(script).await.unwrap();
        let call = Call::get("export").any_content();
        let client = client(&server.url(), RetryPolicy::default());
        let mut download = client.download(&Context::new(), &call).await.unwrap();
        let mut bytes = Vec::new();
        let error = loop {
            match download.chunk().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) => panic!("script {number}: {bytes:?} is taken for whole"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Transient), "{error:?}");
    }
}

#[tokio::test]
async fn net_11_a_body_that_ends_with_the_connection_is_complete_when_its_parser_says_so() {
    let cases = [("[1,2,3]", true), ("[1,2", false), ("[1,2,", false), ("", false)];
    for (body, complete) in cases {
        let answer = Script::new().read_request().answer(HttpAnswer::json(200, body).until_close());
        let server = FaultServer::start(answer).await.unwrap();
        let client = client(&server.url(), RetryPolicy::default());
        let answer = client.send(&Context::new(), &Call::get("read")).await.unwrap();
        let parsed = answer.json::<Vec<u32>>();
        match parsed {
            Ok(numbers) => assert!(complete && numbers == [1, 2, 3]),
            Err(error) => assert!(!complete && error.kind() == ErrorKind::Protocol, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn net_11_no_record_of_a_list_is_lost_with_the_end_of_the_connection() {
    for cut in [WHOLE.len() - 1, WHOLE.len() - 2, 13, 1] {
        let page = HttpAnswer::json(200, &WHOLE.as_bytes()[..cut]).until_close();
        let server = FaultServer::start(Script::new().read_request().answer(page)).await.unwrap();
        let client = client(&server.url(), RetryPolicy::none());
        let list =
            List::new(&client, &Context::new(), "things", &["records"], Paging::token("next", "after"))
                .unwrap();
        let error = list.fetch(Call::get("list"), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "cut at {cut}");
    }
}

#[tokio::test]
async fn net_12_interim_answers_are_no_answers() {
    let hints = HttpAnswer::new(103).header("link", "</style.css>; rel=preload");
    let script = Script::new()
        .read_head()
        .answer(HttpAnswer::new(100))
        .read_body()
        .answer(HttpAnswer::new(102))
        .answer(hints)
        .answer(HttpAnswer::json(200, "{}"));
    let server = FaultServer::start(Script::new().repeat(2, script)).await.unwrap();
    let client = client(&server.url(), RetryPolicy::none());
    let expect = Call::post("create")
        .header(http::header::EXPECT, "100-continue".parse().unwrap())
        .raw_json(r#"{"a":1}"#);
    for call in [expect, Call::get("read")] {
        let answer = client.send(&Context::new(), &call).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body()), (200, &b"{}"[..]));
        assert_eq!(answer.header("link"), None, "hints are not the answer's headers");
    }
    assert_eq!(server.requests()[0].body(), br#"{"a":1}"#);
}

/// A body where HTTP allows none is not waited for, and its bytes are not taken for the next answer.
#[tokio::test]
async fn net_12_a_body_that_must_not_be_there_does_no_harm() {
    let junk = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let read = || Script::new().read_request();
    let next = || Script::new().repeat(10, read().answer(HttpAnswer::json(200, "{}")));
    let head = Call::new("look", Method::HEAD);
    let cases = [
        (Call::post("remove"), HttpAnswer::new(204).body(junk), Ok(204)),
        (Call::post("remove"), HttpAnswer::new(204).body(junk).announce(junk.len() as u64), Ok(204)),
        (Call::post("remove"), HttpAnswer::new(204).body(junk).chunked(10), Ok(204)),
        (head.clone(), HttpAnswer::new(200).body(junk), Ok(200)),
        (head.clone(), HttpAnswer::new(200).body(junk).chunked(10), Ok(200)),
        (head, HttpAnswer::new(200).announce(5_000_000_000), Ok(200)),
        (Call::get("read"), HttpAnswer::new(304).body(junk), Err(ErrorKind::Protocol)),
        (Call::get("read"), HttpAnswer::new(304).announce(junk.len() as u64), Err(ErrorKind::Protocol)),
    ];
    for (number, (call, answer, expected)) in cases.into_iter().enumerate() {
        // After the junk the connection goes on as if nothing were wrong.
        let first = read().answer(answer).repeat(10, read().answer(HttpAnswer::json(200, "{}")));
        let server = FaultServer::start([first, next()]).await.unwrap();
        let client = client(&server.url(), RetryPolicy::default());
        match client.send(&Context::new(), &call).await {
            Ok(answer) => {
                assert_eq!(Ok(answer.status().as_u16()), expected, "case {number}");
                assert_eq!(answer.body(), b"");
            }
            Err(error) => assert_eq!(Err(error.kind()), expected, "case {number}: {error:?}"),
        }
        for _ in 0..3 {
            // Perhaps by another attempt, on another connection.
            let answer = client.send(&Context::new(), &Call::get("next")).await.unwrap();
            assert_eq!(answer.body(), b"{}", "case {number}");
        }
    }
}

#[tokio::test]
async fn net_12_a_switch_of_protocols_that_nobody_asked_for_is_an_error() {
    let switch = HttpAnswer::new(101).header("upgrade", "websocket").header("connection", "upgrade");
    let script = Script::new().read_request().answer(switch).read_to_end(super::SOON);
    let server = FaultServer::start(script).await.unwrap();
    let client = client(&server.url(), RetryPolicy::none());
    let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
}
