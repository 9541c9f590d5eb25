//! Writes against the sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Connector, Context, ErrorKind, Outcome, ReadRequest, Result, WriteMode, WriteReport, WriteRequest,
};
use acople_salesforce::Salesforce;
use acople_testkit::sandbox::{self, Phase, Then};
use serde_json::{Value, json};

use super::{connect, hear, lead, leads, record};

fn batch(records: impl IntoIterator<Item = Value>) -> Batch {
    Batch::from_records("Lead", records.into_iter().map(|record| record.to_string())).unwrap()
}

async fn write(sf: &Salesforce, mode: WriteMode, key: Option<&str>, batch: Batch) -> Result<WriteReport> {
    let key = key.map(|key| FieldPath::parse(key).unwrap());
    sf.write(&Context::new(), WriteRequest::new(mode, batch).with_key(key)).await
}

fn kinds(report: &WriteReport) -> Vec<Option<ErrorKind>> {
    report.outcomes().iter().map(|outcome| outcome.error().map(acople_core::Error::kind)).collect()
}

fn new_lead(number: usize) -> Value {
    Value::Object(lead(number))
}

#[tokio::test]
async fn inserts_go_in_calls_of_two_hundred_and_every_record_gets_its_id() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let report = write(&connect(&org), WriteMode::Insert, None, batch((0..450).map(new_lead))).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(org.stats().requests_of("create_collection"), 3);
    for (number, outcome) in report.outcomes().iter().enumerate() {
        let Outcome::Accepted { id: Some(id), created: Some(true) } = outcome else { panic!("{outcome:?}") };
        assert_eq!(org.record("Lead", id).unwrap()["LastName"], format!("Lead {number}"));
    }
}

#[tokio::test]
async fn write_04_refused_records_are_named_in_their_places_and_the_others_are_written() {
    let org = sandbox::Salesforce::start().await.unwrap();
    org.load("Lead", [lead(7)]);
    let records = [
        new_lead(0),
        json!({"Company": "Acme"}),
        new_lead(7),
        json!({"LastName": "X", "Company": "Y", "Email": "no"}),
    ];
    let report = write(&connect(&org), WriteMode::Insert, None, batch(records)).await.unwrap();
    assert_eq!(
        kinds(&report),
        [None, Some(ErrorKind::Invalid), Some(ErrorKind::Conflict), Some(ErrorKind::Invalid)]
    );
    let missing = report.outcomes()[1].error().unwrap();
    assert_eq!(
        (missing.code(), missing.fields()),
        (Some("REQUIRED_FIELD_MISSING"), &["LastName".to_owned()][..])
    );
    assert_eq!(report.outcomes()[2].error().unwrap().code(), Some("DUPLICATE_VALUE"));
    assert_eq!(org.count("Lead"), 2);
}

#[tokio::test]
async fn write_10_a_value_that_spoils_the_whole_call_is_found_and_the_rest_is_written() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let mut records: Vec<Value> = (0..20).map(new_lead).collect();
    records[13]["DoNotCall"] = json!("perhaps");
    let report = write(&connect(&org), WriteMode::Insert, None, batch(records)).await.unwrap();
    assert_eq!(report.accepted(), 19);
    let error = report.outcomes()[13].error().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some("JSON_PARSER_ERROR")));
    assert_eq!(org.count("Lead"), 19, "nothing was written twice");
}

#[tokio::test]
async fn an_upsert_by_external_id_creates_and_then_changes() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = connect(&org);
    let first =
        write(&sf, WriteMode::Upsert, Some("HubSpot_Id__c"), batch((0..3).map(new_lead))).await.unwrap();
    let second =
        write(&sf, WriteMode::Upsert, Some("HubSpot_Id__c"), batch((1..5).map(new_lead))).await.unwrap();
    let created = |report: &WriteReport| -> Vec<bool> {
        report.outcomes().iter().map(|o| matches!(o, Outcome::Accepted { created: Some(true), .. })).collect()
    };
    assert_eq!(created(&first), [true; 3]);
    assert_eq!(created(&second), [false, false, true, true]);
    assert_eq!(org.count("Lead"), 5);
}

#[tokio::test]
async fn records_as_they_were_read_can_be_written() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let ids = org.load("Lead", leads(3));
    let sf = connect(&org);
    let request = ReadRequest::full("Lead").with_fields(["LastName", "Company", "HubSpot_Id__c"]);
    let heard = hear(&sf, request).await;
    let read = heard.batches().next().unwrap().clone();
    // With attributes and Id in them.
    let updated = write(&sf, WriteMode::Update, None, read.clone()).await.unwrap();
    assert!(updated.is_complete());
    let upserted = write(&sf, WriteMode::Upsert, Some("HubSpot_Id__c"), read.clone()).await.unwrap();
    assert!(upserted.is_complete());
    assert_eq!(org.count("Lead"), 3);
    // An insert makes new records of them; their unique key stands in the way, and nothing else does.
    let inserted = write(&sf, WriteMode::Insert, None, read).await.unwrap();
    assert_eq!(kinds(&inserted), [Some(ErrorKind::Conflict); 3]);
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn raw_values_reach_the_vendor_as_they_were_written() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = bodies.clone();
    org.on_request(move |seen| {
        if seen.operation == "create_collection" && seen.phase == Phase::Received {
            kept.lock().unwrap().push(String::from_utf8(seen.body.to_vec()).unwrap());
        }
        Then::Go
    });
    let raw = r#"{"attributes":{"type":"Other","url":"/x"},"id":"001","LastName":"\u00c4\"","Company":"1","AnnualRevenue__c":12345678901234567890.10}"#;
    let batch = Batch::from_records("Lead", [raw]).unwrap();
    write(&connect(&org), WriteMode::Insert, None, batch).await.unwrap();
    assert_eq!(
        bodies.lock().unwrap()[0],
        r#"{"allOrNone":false,"records":[{"attributes":{"type":"Lead"},"LastName":"\u00c4\"","Company":"1","AnnualRevenue__c":12345678901234567890.10}]}"#
    );
}

#[tokio::test]
async fn updates_change_records_by_id_and_unknown_ones_are_not_found() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let ids = org.load("Lead", leads(2));
    let gone = org.load("Lead", [record(json!({"LastName": "Gone", "Company": "Acme"}))]);
    org.delete("Lead", &gone[0]);
    let records = [
        json!({"Id": ids[0], "Company": "New"}),
        json!({"Id": gone[0], "Company": "New"}),
        json!({"Company": "without id"}),
        json!({"Id": ids[1], "Nothing__c": 1}),
    ];
    let report = write(&connect(&org), WriteMode::Update, None, batch(records)).await.unwrap();
    let expected = [None, Some(ErrorKind::NotFound), Some(ErrorKind::Invalid), Some(ErrorKind::Invalid)];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.outcomes()[2].error().unwrap().fields(), ["Id"]);
    assert_eq!(org.record("Lead", &ids[0]).unwrap()["Company"], "New");
}

#[tokio::test]
async fn deletes_go_by_id_and_what_is_gone_already_counts_as_done() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let ids = org.load("Lead", leads(3));
    org.delete("Lead", &ids[1]);
    let records = [
        json!({"Id": ids[0]}),
        json!({"Id": ids[1]}),
        json!({"LastName": "without id"}),
        json!({"attributes": {"type": "Lead"}, "Id": ids[2]}),
        json!({"Id": format!("{},{}", ids[0], ids[2])}),
        json!({"Id": "00Q0"}),
    ];
    let report = write(&connect(&org), WriteMode::Delete, None, batch(records)).await.unwrap();
    assert_eq!(
        kinds(&report),
        [None, None, Some(ErrorKind::Invalid), None, Some(ErrorKind::Invalid), Some(ErrorKind::Invalid)]
    );
    assert_eq!(org.count("Lead"), 0);
}

#[tokio::test]
async fn an_upsert_without_its_key_is_refused_here_because_it_would_create_one_each_time() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let records = [
        json!({"LastName": "A", "Company": "B"}),
        json!({"LastName": "A", "Company": "B", "HubSpot_Id__c": null}),
    ];
    let report =
        write(&connect(&org), WriteMode::Upsert, Some("HubSpot_Id__c"), batch(records)).await.unwrap();
    assert_eq!(kinds(&report), [Some(ErrorKind::Invalid), Some(ErrorKind::Invalid)]);
    assert_eq!((org.count("Lead"), org.stats().requests_of("upsert_collection")), (0, 0));
}

#[tokio::test]
async fn keys_that_the_vendor_cannot_find_records_by_are_config_errors() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = connect(&org);
    for (mode, key) in [
        (WriteMode::Upsert, None),
        (WriteMode::Upsert, Some("Id")),
        (WriteMode::Upsert, Some("Account.Name")),
        (WriteMode::Update, Some("Email")),
        (WriteMode::Delete, Some("HubSpot_Id__c")),
    ] {
        let error = write(&sf, mode, key, batch([new_lead(1)])).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["key".to_owned()][..]),
            "{mode:?} {key:?}"
        );
    }
    assert_eq!(org.stats().requests_total(), 0);
}

#[tokio::test]
async fn an_upsert_by_a_field_that_is_no_external_id_says_so() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let report =
        write(&connect(&org), WriteMode::Upsert, Some("Company"), batch([new_lead(1)])).await.unwrap();
    assert_eq!(report.outcomes()[0].error().unwrap().code(), Some("INVALID_FIELD"));
}

#[tokio::test]
async fn net_05_an_insert_whose_answer_is_lost_is_unknown_and_not_sent_again() {
    let org = sandbox::Salesforce::start().await.unwrap();
    org.on_request(|seen| match (seen.operation, seen.phase) {
        ("create_collection", Phase::Applied) => Then::Drop,
        _ => Then::Go,
    });
    let report = write(&connect(&org), WriteMode::Insert, None, batch((0..3).map(new_lead))).await.unwrap();
    assert!(report.outcomes().iter().all(|outcome| matches!(outcome, Outcome::Unknown { .. })));
    assert_eq!((org.count("Lead"), org.stats().requests_of("create_collection")), (3, 1));
}

#[tokio::test]
async fn an_upsert_whose_answer_is_lost_is_sent_again_and_leaves_one_record_each() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let calls = AtomicUsize::new(0);
    org.on_request(move |seen| match (seen.operation, seen.phase) {
        ("upsert_collection", Phase::Applied) if calls.fetch_add(1, Ordering::SeqCst) == 0 => Then::Drop,
        _ => Then::Go,
    });
    let records = batch((0..3).map(new_lead));
    let report = write(&connect(&org), WriteMode::Upsert, Some("HubSpot_Id__c"), records).await.unwrap();
    assert!(report.is_complete());
    assert_eq!((org.count("Lead"), org.stats().requests_of("upsert_collection")), (3, 2));
}

#[tokio::test]
async fn a_delete_whose_answer_is_lost_ends_as_done() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let ids = org.load("Lead", leads(3));
    let calls = AtomicUsize::new(0);
    org.on_request(move |seen| match (seen.operation, seen.phase) {
        ("delete_collection", Phase::Applied) if calls.fetch_add(1, Ordering::SeqCst) == 0 => Then::Drop,
        _ => Then::Go,
    });
    let records = batch(ids.iter().map(|id| json!({"Id": id})));
    let report = write(&connect(&org), WriteMode::Delete, None, records).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(org.count("Lead"), 0);
}

#[tokio::test]
async fn an_empty_batch_writes_nothing() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let report = write(&connect(&org), WriteMode::Insert, None, batch([])).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(org.stats().requests_total(), 0);
}
