use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::json::FieldPath;
use acople_core::{Connector, Context, ErrorKind, Outcome, WriteMode, WriteReport, WriteRequest};
use acople_hubspot::HubSpot;
use acople_testkit::sandbox::{self, Phase, Then};
use acople_testkit::{Reply, ScriptedTransport};
use serde_json::{Value, json};

use crate::*;

async fn write(hubspot: &HubSpot, mode: WriteMode, batch: Batch) -> WriteReport {
    hubspot.write(&Context::new(), WriteRequest::new(mode, batch)).await.unwrap()
}

fn by(mode: WriteMode, key: &str, batch: Batch) -> WriteRequest {
    WriteRequest::new(mode, batch).with_key(Some(FieldPath::parse(key).unwrap()))
}

fn contact(email: &str, lastname: &str) -> Value {
    json!({ "properties": { "email": email, "lastname": lastname } })
}

fn accepted(outcome: &Outcome) -> (&str, Option<bool>) {
    match outcome {
        Outcome::Accepted { id: Some(id), created } => (id, *created),
        other => panic!("{other:?}"),
    }
}

fn kind(outcome: &Outcome) -> Option<ErrorKind> {
    outcome.error().map(acople_core::Error::kind)
}

#[tokio::test]
async fn write_05_an_upsert_matches_results_that_come_in_any_order() {
    let portal = sandbox::HubSpot::builder().shuffle_results(7).start().await.unwrap();
    let loaded = portal.load("contacts", people(150));
    let records = (50..250).map(|i| contact(&format!("P{i}@Example.com"), &format!("New {i}")));
    let report = write(&connect(&portal), WriteMode::Upsert, batch("contacts", records)).await;
    assert!(report.is_complete());
    for (i, outcome) in (50..250).zip(report.outcomes()) {
        let (id, created) = accepted(outcome);
        assert_eq!(created, Some(i >= 150));
        let record = portal.record("contacts", id).unwrap();
        assert_eq!(record["email"], format!("p{i}@example.com"));
        assert_eq!(record["lastname"], format!("New {i}"));
        assert!(i >= 150 || loaded[i] == id);
    }
    assert_eq!(portal.stats().requests_of("batch_upsert"), 2);
    assert_eq!(portal.count("contacts"), 250);
}

#[tokio::test]
async fn write_04_one_bad_record_is_refused_and_the_others_are_written() {
    let portal = sandbox::HubSpot::builder().shuffle_results(3).start().await.unwrap();
    portal.load("contacts", people(1));
    let hubspot = connect(&portal);
    for mode in [WriteMode::Insert, WriteMode::Upsert] {
        let mail = |name: &str| format!("{name}.{mode:?}@example.com");
        let records = [
            contact(&mail("a"), "A"),
            contact("not-an-email", "B"),
            json!({ "properties": { "email": mail("c"), "no_such_property": "x" } }),
            contact(&mail("d"), "D"),
            json!({ "properties": { "email": mail("e"), "hs_full_name_or_email": "x" } }),
        ];
        portal.reset_stats();
        let report = write(&hubspot, mode, batch("contacts", records)).await;
        let outcomes = report.outcomes();
        assert_eq!(accepted(&outcomes[0]).1, Some(true));
        assert_eq!(accepted(&outcomes[3]).1, Some(true));
        for (index, code, field) in [
            (1, "INVALID_EMAIL", "properties.email"),
            (2, "PROPERTY_DOESNT_EXIST", "properties.no_such_property"),
            (4, "READ_ONLY_VALUE", "properties.hs_full_name_or_email"),
        ] {
            let error = outcomes[index].error().unwrap();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some(code)));
            assert_eq!(error.fields(), [field]);
        }
        assert_eq!(portal.stats().requests_total(), 1);
    }
}

#[tokio::test]
async fn an_insert_of_what_exists_is_a_conflict_for_that_record_alone() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("contacts", people(1));
    let records =
        [contact("p0@example.com", "P"), contact("new@example.com", "N"), json!({ "properties": null })];
    let report = write(&connect(&portal), WriteMode::Insert, batch("contacts", records)).await;
    let [old, new, shapeless] = report.outcomes() else { panic!("three outcomes") };
    assert_eq!(kind(old), Some(ErrorKind::Conflict));
    assert_eq!(accepted(new).1, Some(true));
    assert_eq!(shapeless.error().unwrap().fields(), ["properties"]);
}

#[tokio::test]
async fn a_key_that_comes_twice_goes_into_two_calls_and_the_later_one_wins() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let records = [
        contact("a@example.com", "first"),
        contact("b@example.com", "only"),
        contact("A@example.com", "second"),
        contact("a@example.com", "third"),
    ];
    let report = write(&connect(&portal), WriteMode::Upsert, batch("contacts", records)).await;
    assert!(report.is_complete());
    let created: Vec<_> = report.outcomes().iter().map(|o| accepted(o).1.unwrap()).collect();
    assert_eq!(created, [true, true, false, false]);
    assert_eq!(portal.find("contacts", "email", "a@example.com").unwrap()["lastname"], "third");
    assert_eq!(portal.stats().requests_of("batch_upsert"), 3);
    assert_eq!(portal.stats().answers_with(400), 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_may_have_to_be_sent_again_holds_its_successors_back() {
    for (reply, first, second) in [
        (Reply::json(200, r#"{"results":[]}"#), ErrorKind::Ambiguous, ErrorKind::Transient),
        (
            Reply::json(
                207,
                r#"{"results":[],"errors":[{"category":"RATE_LIMIT","context":{"objectWriteTraceId":["0"]}}]}"#,
            ),
            ErrorKind::RateLimited,
            ErrorKind::RateLimited,
        ),
    ] {
        let transport = always(reply);
        let records = [contact("a@x.test", "first"), contact("a@x.test", "second")];
        let report = write(&scripted(&transport), WriteMode::Upsert, batch("contacts", records)).await;
        let kinds: Vec<_> = report.outcomes().iter().map(|o| kind(o).unwrap()).collect();
        assert_eq!(kinds, [first, second]);
        assert!(matches!(report.outcomes()[1], Outcome::Refused { .. }));
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test]
async fn a_record_without_its_key_is_refused_without_a_request() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let records = [
        json!({ "properties": { "lastname": "Nobody" } }),
        json!({ "properties": { "email": null } }),
        json!({ "properties": { "email": "  " } }),
        json!({ "properties": { "email": { "a": 1 } } }),
        json!({ "id": "7" }),
    ];
    let report = write(&hubspot, WriteMode::Upsert, batch("contacts", records)).await;
    for (index, outcome) in report.outcomes().iter().enumerate() {
        let error = outcome.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.fields(), [if index < 4 { "properties.email" } else { "properties" }]);
    }
    let report = write(&hubspot, WriteMode::Delete, batch("contacts", [json!({ "properties": {} })])).await;
    assert_eq!(report.outcomes()[0].error().unwrap().fields(), ["id"]);
    assert_eq!(portal.stats().requests_total(), 0);
}

#[tokio::test]
async fn updates_go_by_id_or_by_a_unique_property() {
    let portal = sandbox::HubSpot::builder().shuffle_results(5).start().await.unwrap();
    let loaded = portal.load("contacts", people(3));
    let hubspot = connect(&portal);
    let records = [
        json!({ "id": loaded[1], "properties": { "city": "Jena" } }),
        json!({ "id": "999999", "properties": { "city": "Jena" } }),
        json!({ "id": loaded[0], "properties": { "city": "Gera" } }),
    ];
    let report = write(&hubspot, WriteMode::Update, batch("contacts", records)).await;
    assert_eq!(accepted(&report.outcomes()[0]), (&*loaded[1], Some(false)));
    assert_eq!(kind(&report.outcomes()[1]), Some(ErrorKind::NotFound));
    assert_eq!(accepted(&report.outcomes()[2]), (&*loaded[0], Some(false)));
    assert_eq!(portal.record("contacts", &loaded[0]).unwrap()["city"], "Gera");

    let records = [json!({ "properties": { "email": "p2@example.com", "city": "Suhl" } })];
    let request = by(WriteMode::Update, "properties.email", batch("contacts", records));
    let report = hubspot.write(&Context::new(), request).await.unwrap();
    assert_eq!(accepted(&report.outcomes()[0]), (&*loaded[2], Some(false)));
    assert_eq!(portal.record("contacts", &loaded[2]).unwrap()["city"], "Suhl");
}

#[tokio::test]
async fn an_upsert_by_id_is_an_update() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("companies", [record(json!({ "name": "Acme" }))]);
    let records = [
        json!({ "id": loaded[0], "properties": { "city": "Jena" } }),
        json!({ "properties": { "name": "New" } }),
    ];
    let request = by(WriteMode::Upsert, "id", batch("companies", records));
    let report = connect(&portal).write(&Context::new(), request).await.unwrap();
    assert_eq!(accepted(&report.outcomes()[0]), (&*loaded[0], Some(false)));
    assert_eq!(kind(&report.outcomes()[1]), Some(ErrorKind::Invalid));
    assert_eq!(portal.stats().requests_of("batch_update"), 1);
}

#[tokio::test]
async fn custom_objects_are_upserted_by_their_unique_property() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let drills = |price: u32| {
        batch(
            "2-123456",
            [json!({ "properties": { "name": "Drill", "serial_number": "S-1", "price": price } })],
        )
    };
    for (price, created) in [(10, true), (20, false)] {
        let request = by(WriteMode::Upsert, "serial_number", drills(price));
        let report = hubspot.write(&Context::new(), request).await.unwrap();
        assert_eq!(accepted(&report.outcomes()[0]).1, Some(created));
    }
    assert_eq!(portal.find("2-123456", "serial_number", "S-1").unwrap()["price"], "20");
}

#[tokio::test]
async fn an_upsert_without_a_key_names_the_keys_that_there_are() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let request = WriteRequest::new(WriteMode::Upsert, batch("2-123456", [json!({ "properties": {} })]));
    let error = hubspot.write(&Context::new(), request).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["key".to_owned()][..]));
    assert!(error.message().contains("properties.serial_number"), "{error}");
    let request = WriteRequest::new(WriteMode::Upsert, batch("companies", [json!({ "properties": {} })]));
    let error = hubspot.write(&Context::new(), request).await.unwrap_err();
    assert!(error.message().contains("use id"), "{error}");
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_a_config_error() {
    let hubspot = scripted(&always(Reply::json(500, "")));
    for (mode, key) in
        [(WriteMode::Delete, "a.b"), (WriteMode::Upsert, "associations.0.to"), (WriteMode::Update, "a.b")]
    {
        let request = by(mode, key, batch("contacts", [contact("a@example.com", "A")]));
        let error = hubspot.write(&Context::new(), request).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["key".to_owned()][..]), "{key}");
    }
}

#[tokio::test]
async fn deletions_archive_by_id() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(120));
    let records = loaded[..110].iter().map(|id| json!({ "id": id }));
    let report = write(&connect(&portal), WriteMode::Delete, batch("contacts", records)).await;
    assert_eq!(report.accepted(), 110);
    assert_eq!(accepted(&report.outcomes()[0]).0, loaded[0]);
    assert_eq!(portal.count("contacts"), 10);
    assert_eq!(portal.stats().requests_of("batch_archive"), 2);
}

#[tokio::test]
async fn deletions_by_a_unique_property_archive_what_is_there_and_count_the_rest_as_done() {
    let portal = sandbox::HubSpot::builder().shuffle_results(3).start().await.unwrap();
    let loaded = portal.load("contacts", people(130));
    portal.archive("contacts", &loaded[7]);
    let mut records: Vec<_> =
        (0..120).map(|i| json!({ "properties": { "email": format!("P{i}@Example.com") } })).collect();
    records.push(json!({ "properties": { "email": "nobody@example.com" } }));
    records.push(json!({ "properties": { "email": null } }));
    for _ in 0..2 {
        let request = by(WriteMode::Delete, "properties.email", batch("contacts", records.clone()));
        let report = connect(&portal).write(&Context::new(), request).await.unwrap();
        assert_eq!(report.accepted(), 121);
        assert_eq!(kind(&report.outcomes()[121]), Some(ErrorKind::Invalid));
        assert_eq!(portal.count("contacts"), 10);
    }
    // The second time there is nothing left to archive.
    assert_eq!(portal.stats().requests_of("batch_read"), 4);
    assert_eq!(portal.stats().requests_of("batch_archive"), 2);
}

#[tokio::test]
async fn a_look_up_that_leaves_records_out_archives_nothing() {
    let transport = always(Reply::json(200, r#"{"results":[]}"#));
    let request =
        by(WriteMode::Delete, "properties.email", batch("contacts", [contact("a@example.com", "A")]));
    let error = scripted(&transport).write(&Context::new(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(transport.sent().iter().all(|sent| sent.request.url().path().ends_with("/batch/read")));
}

/// Cuts the connection of the first call of an operation after it took effect.
fn lose_first_answer(portal: &sandbox::HubSpot, operation: &'static str) {
    let calls = AtomicUsize::new(0);
    portal.on_request(move |call| {
        let first = call.operation == operation
            && call.phase == Phase::Applied
            && calls.fetch_add(1, Ordering::Relaxed) == 0;
        if first { Then::Drop } else { Then::Go }
    });
}

#[tokio::test]
async fn net_05_an_insert_whose_answer_is_lost_is_unknown_and_not_sent_again() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    lose_first_answer(&portal, "batch_create");
    let records = (0..150).map(|i| contact(&format!("n{i}@example.com"), "N"));
    let report = write(&connect(&portal), WriteMode::Insert, batch("contacts", records)).await;
    for (index, outcome) in report.outcomes().iter().enumerate() {
        assert_eq!(matches!(outcome, Outcome::Unknown { .. }), index < 100, "{index}");
    }
    assert_eq!(report.accepted(), 50);
    assert_eq!(portal.stats().requests_of("batch_create"), 2);
    assert_eq!(portal.count("contacts"), 150);
}

#[tokio::test]
async fn net_06_an_upsert_whose_answer_is_lost_is_sent_again() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    lose_first_answer(&portal, "batch_upsert");
    let records = (0..20).map(|i| contact(&format!("n{i}@example.com"), "N"));
    let report = write(&connect(&portal), WriteMode::Upsert, batch("contacts", records)).await;
    assert!(report.is_complete());
    assert_eq!(portal.stats().requests_of("batch_upsert"), 2);
    assert_eq!(portal.count("contacts"), 20);
}

#[tokio::test]
async fn a_write_that_is_stopped_keeps_the_outcomes_it_has() {
    let portal = sandbox::HubSpot::builder().daily_limit(2).start().await.unwrap();
    let mut records: Vec<Value> = (0..150).map(|i| contact(&format!("n{i}@example.com"), "N")).collect();
    records.push(contact("n0@example.com", "twice"));
    let report = write(&connect(&portal), WriteMode::Upsert, batch("contacts", records)).await;
    assert_eq!(report.accepted(), 150);
    assert_eq!(kind(&report.outcomes()[150]), Some(ErrorKind::QuotaExhausted));
    // The next one does not even begin.
    let request = WriteRequest::new(WriteMode::Upsert, batch("contacts", [contact("x@example.com", "X")]));
    let error = connect(&portal).write(&Context::new(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
}

async fn upsert_scripted(status: u16, answer: &str, records: &[Value]) -> (WriteReport, ScriptedTransport) {
    let transport = always(Reply::json(status, answer.to_owned()));
    let report = write(&scripted(&transport), WriteMode::Upsert, batch("contacts", records.to_vec())).await;
    (report, transport)
}

#[tokio::test]
async fn results_without_a_trace_are_matched_by_key_and_the_rest_is_unknown() {
    let records = [
        contact("a@x.test", "A"),
        contact("B@x.test", "B"),
        contact("c@x.test", "C"),
        contact("d@x.test", "D"),
    ];
    let answer = r#"{"status":"COMPLETE","results":[
        {"id":"2","properties":{"email":"b@x.test"},"new":false},
        {"id":"1","properties":{"email":"a@x.test"},"new":true},
        {"id":"8","properties":{"email":"stranger@x.test"},"new":true}],
        "errors":[{"category":"VALIDATION_ERROR","message":"no","context":{"ids":["C@X.test"]}}]}"#;
    let (report, _) = upsert_scripted(207, answer, &records).await;
    let [a, b, c, d] = report.outcomes() else { panic!("four outcomes") };
    assert_eq!(accepted(a), ("1", Some(true)));
    assert_eq!(accepted(b), ("2", Some(false)));
    assert_eq!(kind(c), Some(ErrorKind::Invalid));
    // One result and one record are left over: they belong together, however the vendor spells the address.
    assert_eq!(accepted(d), ("8", Some(true)));
}

#[tokio::test]
async fn records_that_the_answer_does_not_mention_are_unknown() {
    let records = [contact("a@x.test", "A"), contact("b@x.test", "B")];
    for (answer, message) in [
        (r#"{"status":"COMPLETE","results":[],"numErrors":0,"errors":[]}"#, "does not mention"),
        (
            r#"{"status":"COMPLETE","results":[],"errors":[{"message":"something failed"}]}"#,
            "something failed",
        ),
    ] {
        let (report, _) = upsert_scripted(207, answer, &records).await;
        for outcome in report.outcomes() {
            assert!(matches!(outcome, Outcome::Unknown { .. }));
            assert_eq!(kind(outcome), Some(ErrorKind::Ambiguous));
            assert!(outcome.error().unwrap().message().contains(message));
        }
    }
}

#[tokio::test]
async fn when_all_were_written_all_are_accepted_although_nobody_says_whose_id_is_whose() {
    let transport = always(Reply::json(201, r#"{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"}]}"#));
    let records = [contact("a@x.test", "A"), contact("b@x.test", "B")];
    let report = write(&scripted(&transport), WriteMode::Insert, batch("contacts", records)).await;
    for outcome in report.outcomes() {
        assert!(matches!(outcome, Outcome::Accepted { id: None, created: Some(true) }), "{outcome:?}");
    }
}

#[tokio::test]
async fn records_are_refused_when_there_is_an_error_for_each_although_nobody_says_whose_it_is() {
    let records = [contact("a@x.test", "A"), contact("b@x.test", "B"), contact("c@x.test", "C")];
    let answer = |second: &str| {
        format!(
            r#"{{"results":[{{"id":"2","objectWriteTraceId":"1"}}],"errors":[
                {{"category":"CONFLICT","message":"one"}},{{"category":"CONFLICT","message":"{second}"}}]}}"#
        )
    };
    for (second, expected) in [("one", ErrorKind::Conflict), ("two", ErrorKind::Invalid)] {
        let (report, _) = upsert_scripted(207, &answer(second), &records).await;
        assert_eq!(accepted(&report.outcomes()[1]).0, "2");
        for index in [0, 2] {
            assert!(
                matches!(&report.outcomes()[index], Outcome::Refused { error } if error.kind() == expected)
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_the_outcome_open() {
    for answer in [r#"{"status":"COMPLETE"}"#, "{\"results\":", "[]"] {
        let transport = always(Reply::json(201, answer));
        let report =
            write(&scripted(&transport), WriteMode::Insert, batch("contacts", [contact("a@x.test", "A")]))
                .await;
        assert!(matches!(report.outcomes()[0], Outcome::Unknown { .. }), "{answer}");
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_whole_is_halved_until_the_culprit_stands_alone() {
    for (status, category, expected) in [
        (409, "CONFLICT", ErrorKind::Conflict),
        (400, "VALIDATION_ERROR", ErrorKind::Invalid),
        (413, "", ErrorKind::TooLarge),
    ] {
        let transport = ScriptedTransport::function(move |sent, _| {
            let body: Value = serde_json::from_str(&sent.body()).unwrap();
            let inputs = body["inputs"].as_array().unwrap();
            if inputs.iter().any(|input| input["id"] == "bad@x.test") {
                return Reply::json(
                    status,
                    format!(r#"{{"status":"error","category":"{category}","message":"no"}}"#),
                );
            }
            let result = |input: &Value| json!({ "id": input["id"], "new": true, "objectWriteTraceId": input["objectWriteTraceId"] });
            Reply::json(200, json!({ "results": inputs.iter().map(result).collect::<Vec<_>>() }).to_string())
        });
        let records =
            (0..8).map(|i| contact(&if i == 5 { "bad@x.test".into() } else { format!("n{i}@x.test") }, "N"));
        let report = write(&scripted(&transport), WriteMode::Upsert, batch("contacts", records)).await;
        assert_eq!(report.accepted(), 7);
        assert_eq!(kind(&report.outcomes()[5]), Some(expected));
    }
}

#[tokio::test]
async fn raw_values_and_associations_are_passed_on_as_they_are() {
    let transport = always(Reply::json(201, r#"{"results":[{"id":"1","objectWriteTraceId":"0"}]}"#));
    let hubspot = scripted(&transport);
    let raw = r#"{"id":"old","properties":{"amount":12.30,"name":"A \u00e9"},"associations":[{"to":{"id":"7"},"types":[]}]}"#;
    let batch = Batch::from_records("deals", [raw]).unwrap();
    write(&hubspot, WriteMode::Insert, batch).await;
    let expected = r#"{"inputs":[{"properties":{"amount":12.30,"name":"A \u00e9"},"associations":[{"to":{"id":"7"},"types":[]}],"objectWriteTraceId":"0"}]}"#;
    assert_eq!(transport.sent()[0].body(), expected);
    assert_eq!(transport.sent()[0].path_and_query(), "/crm/objects/2026-03/deals/batch/create");
}

#[tokio::test]
async fn a_batch_of_nothing_sends_nothing() {
    let transport = always(Reply::json(500, ""));
    let report = write(&scripted(&transport), WriteMode::Upsert, batch("contacts", [])).await;
    assert!(report.outcomes().is_empty());
    assert!(transport.sent().is_empty());
}
