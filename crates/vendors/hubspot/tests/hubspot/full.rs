use std::sync::{Arc, Mutex};

use acople_core::{Connector, Context, ErrorKind, Event, ReadRequest};
use acople_hubspot::HubSpot;
use acople_testkit::sandbox::{self, Then, hubspot::Property};
use acople_testkit::{Reply, ScriptedTransport};
use serde_json::json;

use crate::*;

#[tokio::test]
async fn a_full_read_brings_every_record_once_between_begin_and_end() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(250));
    let events = read(&connect(&portal), ReadRequest::full("contacts")).await;
    assert!(matches!(events.first(), Some(Event::SnapshotBegin)));
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
    assert_eq!(ids(&events), loaded);
    assert_eq!(batches(&events).map(Batch::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(cursors(&events).len(), 3);
    assert_eq!(values(&events, "properties.email")[249], "p249@example.com");
    assert_eq!(portal.stats().requests_of("list"), 3);
    assert_eq!(portal.stats().requests_of("properties"), 1);
}

#[tokio::test]
async fn a_full_read_goes_on_from_every_checkpoint() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(23));
    let hubspot = connect(&portal);
    let request = || ReadRequest::full("contacts").with_fields(["email"]).with_page_size(5);
    let events = read(&hubspot, request()).await;
    let mut before = 0;
    for (cursor, batch) in cursors(&events).iter().zip(batches(&events)) {
        before += batch.len();
        let rest = read(&hubspot, request().with_cursor(stored(cursor).unwrap())).await;
        assert_eq!(ids(&rest), loaded[before..], "after {before} records");
        assert!(!rest.iter().any(|e| matches!(e, Event::SnapshotBegin | Event::SnapshotEnd)));
    }
    assert_eq!(before, 23);
}

#[tokio::test]
async fn a_limited_read_ends_there_claims_nothing_and_can_be_continued() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(12));
    let hubspot = connect(&portal);
    let request = || ReadRequest::full("contacts").with_fields(["email"]).with_page_size(5);
    for limit in [0, 1, 5, 7, 11] {
        portal.reset_stats();
        let events = read(&hubspot, request().with_limit(limit)).await;
        let n = usize::try_from(limit).unwrap();
        assert_eq!(ids(&events), loaded[..n]);
        assert!(!events.iter().any(|e| matches!(e, Event::SnapshotEnd)));
        assert_eq!(portal.stats().requests_of("list"), limit.div_ceil(5), "no page is fetched in vain");
        if let Some(last) = cursors(&events).last() {
            let rest = read(&hubspot, request().with_cursor(Some(last.clone()))).await;
            assert_eq!(ids(&rest), loaded[n..], "after {n} records");
        }
    }
}

#[tokio::test]
async fn fields_go_by_either_name_and_need_no_discovery() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("contacts", people(1));
    let queries = Arc::new(Mutex::new(Vec::new()));
    let seen = queries.clone();
    portal.on_request(move |call| {
        if call.phase == sandbox::Phase::Received {
            seen.lock().unwrap().push(format!("{}?{}", call.path, call.query));
        }
        Then::Go
    });
    let fields = ["email", "properties.lastname", "id", "updatedAt", "properties.email"];
    read(&connect(&portal), ReadRequest::full("contacts").with_fields(fields)).await;
    let expected = "/crm/objects/2026-03/contacts?limit=100&properties=email,lastname,lastmodifieddate";
    assert_eq!(*queries.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn the_old_paths_serve_the_same_records() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("companies", [record(json!({ "name": "Acme" }))]);
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = paths.clone();
    portal.on_request(move |call| {
        if call.phase == sandbox::Phase::Received {
            seen.lock().unwrap().push(call.path.clone());
        }
        Then::Go
    });
    let hubspot = HubSpot::new(config(&portal).with_api_version("v3"), &resources()).unwrap();
    let events = read(&hubspot, ReadRequest::full("companies")).await;
    assert_eq!(ids(&events), loaded);
    assert_eq!(*paths.lock().unwrap(), ["/crm/v3/properties/companies", "/crm/v3/objects/companies"]);
}

#[tokio::test]
async fn hundreds_of_properties_travel_in_the_body_instead_of_the_url() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    for i in 0..300 {
        portal.add_property("contacts", Property::text(format!("a_property_with_quite_a_long_name_{i}")));
    }
    let mut contacts = people(150);
    contacts[149].insert("a_property_with_quite_a_long_name_299".into(), json!("here"));
    let loaded = portal.load("contacts", contacts);
    let hubspot = connect(&portal);
    let events = read(&hubspot, ReadRequest::full("contacts")).await;
    assert_eq!(sorted(ids(&events)), sorted(loaded));
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
    assert_eq!(values(&events, "properties.a_property_with_quite_a_long_name_299")[149], "here");
    assert_eq!(portal.stats().requests_of("batch_read"), 2);
    // Limits cut the page before its records are fetched.
    let first = read(&hubspot, ReadRequest::full("contacts").with_limit(3)).await;
    assert_eq!(ids(&first).len(), 3);
}

/// Answers a list of two ids and then a batch read.
fn by_body(batch_read: Reply) -> (HubSpot, ReadRequest) {
    let list = r#"{"results":[{"id":"1","properties":{}},{"id":"2","properties":{}}]}"#;
    let transport = ScriptedTransport::new([Reply::json(200, list), batch_read]);
    let fields: Vec<String> = (0..400).map(|i| format!("a_long_name_for_property_{i}")).collect();
    (scripted(&transport), ReadRequest::full("contacts").with_fields(fields))
}

#[tokio::test]
async fn a_record_that_is_archived_before_it_is_fetched_is_passed_over() {
    let answer = r#"{"status":"COMPLETE","results":[{"id":"1","properties":{}}],"numErrors":1,
        "errors":[{"status":"error","category":"OBJECT_NOT_FOUND","message":"gone","context":{"ids":["2"]}}]}"#;
    let (hubspot, request) = by_body(Reply::json(207, answer));
    let events = read(&hubspot, request).await;
    assert_eq!(ids(&events), ["1"]);
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
}

#[tokio::test]
async fn a_record_that_is_left_out_without_a_word_is_an_error_and_not_a_deletion() {
    for answer in [
        r#"{"status":"COMPLETE","results":[{"id":"1","properties":{}}]}"#,
        r#"{"status":"COMPLETE","results":[{"id":"1","properties":{}}],"numErrors":0,"errors":[]}"#,
    ] {
        let (hubspot, request) = by_body(Reply::json(207, answer));
        let (events, error) = events(&hubspot, request).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
        assert!(!events.iter().any(|e| matches!(e, Event::SnapshotEnd)));
    }
}

#[tokio::test]
async fn a_record_that_may_not_be_read_is_an_error_and_not_a_deletion() {
    let answer = r#"{"results":[{"id":"1","properties":{}}],"errors":[{"status":"error","category":"FORBIDDEN",
        "message":"not yours","context":{"ids":["2"]}}]}"#;
    let (hubspot, request) = by_body(Reply::json(207, answer));
    assert_eq!(read_error(&hubspot, request).await.kind(), ErrorKind::Permission);
}

#[tokio::test]
async fn page_02_an_empty_page_is_not_the_end() {
    let transport = ScriptedTransport::new([
        Reply::json(200, r#"{"results":[],"paging":{"next":{"after":"a"}}}"#),
        Reply::json(200, r#"{"results":null,"paging":{"next":{"after":"b"}}}"#),
        Reply::json(200, r#"{"results":[{"id":"9","properties":{}}]}"#),
    ]);
    let events = read(&scripted(&transport), ReadRequest::full("contacts").with_fields(["email"])).await;
    assert_eq!(ids(&events), ["9"]);
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
    assert!(transport.sent()[2].path_and_query().ends_with("&after=b"));
}

#[tokio::test]
async fn page_01_a_page_that_is_named_twice_ends_the_read_with_an_error() {
    let page = r#"{"results":[{"id":"9","properties":{}}],"paging":{"next":{"after":"a"}}}"#;
    let hubspot = scripted(&always(Reply::json(200, page)));
    let error = read_error(&hubspot, ReadRequest::full("contacts").with_fields(["email"])).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_not_what_it_should_be_never_passes_for_the_last_one() {
    for (reply, kind) in [
        (Reply::json(200, r#"{"paging":{}}"#), ErrorKind::Protocol),
        (Reply::json(200, r#"{"results":{"id":"1"}}"#), ErrorKind::Protocol),
        (Reply::json(200, r#"{"results":[{"id":"1""#), ErrorKind::Protocol),
        (Reply::json(200, r#"{"results":[]}"#).truncated(), ErrorKind::Protocol),
        (Reply::new(200, "<html>login</html>").header("content-type", "text/html"), ErrorKind::Protocol),
        (Reply::json(200, r#"{"status":"error","message":"no"}"#), ErrorKind::Protocol),
    ] {
        let (events, error) =
            events(&scripted(&always(reply)), ReadRequest::full("contacts").with_fields(["email"])).await;
        assert_eq!(error.unwrap().kind(), kind);
        assert_eq!(events.len(), 1, "nothing but the beginning");
    }
}

#[tokio::test]
async fn url_03_the_vendors_link_is_never_followed() {
    let evil = r#"{"results":[],"paging":{"next":{"after":"2","link":"https://evil.example/crm?after=2"}}}"#;
    let transport = ScriptedTransport::new([Reply::json(200, evil), Reply::json(200, r#"{"results":[]}"#)]);
    read(&scripted(&transport), ReadRequest::full("contacts").with_fields(["email"])).await;
    for sent in transport.sent() {
        assert_eq!(sent.request.url().host_str(), Some("api.hubapi.com"));
    }
}

#[tokio::test]
async fn a_token_that_expires_in_mid_read_is_renewed_and_no_page_is_lost() {
    let portal = sandbox::HubSpot::builder().token_uses(2).rotate_refresh_tokens(true).start().await.unwrap();
    let loaded = portal.load("contacts", people(25));
    let hubspot = HubSpot::new(oauth(&portal), &resources()).unwrap();
    let request = ReadRequest::full("contacts").with_fields(["email"]).with_page_size(5);
    let events = read(&hubspot, request).await;
    assert_eq!(ids(&events), loaded);
    // Five pages, two calls a token.
    assert_eq!(portal.stats().tokens_issued, 3);
    assert_eq!(portal.stats().answers_with(401), 2);
}

#[tokio::test]
async fn an_object_that_hubspot_does_not_know_is_not_found() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    for request in [ReadRequest::full("unicorns"), ReadRequest::incremental("unicorns")] {
        let error = read_error(&connect(&portal), request).await;
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("unicorns"), "{error}");
    }
}

#[test]
fn a_name_that_no_object_can_have_is_a_config_error() {
    let hubspot = scripted(&always(Reply::json(200, "{}")));
    for name in ["", "../owners", "contacts/search", "conta cts", "x?y"] {
        let error = hubspot.read(&Context::new(), ReadRequest::full(name)).err().unwrap();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]), "{name}");
    }
}

#[tokio::test]
async fn net_02_a_host_that_does_not_answer_is_a_transient_fault() {
    let config = Config::new(Auth::Token(Secret::from("pat-na1-secret"))).with_base_url("http://127.0.0.1:9");
    let hubspot = HubSpot::new(config, &resources()).unwrap();
    let error = read_error(&hubspot, ReadRequest::full("contacts")).await;
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.operation(), Some("list properties"));
}
