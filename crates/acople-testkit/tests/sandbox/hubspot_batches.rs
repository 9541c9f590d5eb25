//! HubSpot: batches.

use acople_testkit::sandbox::{HubSpot, hubspot::Property};
use serde_json::{Value, json};

use crate::{client::Client, hubspot::contact};

const CONTACTS: &str = "/crm/objects/2026-03/contacts";

async fn batch(client: &Client, verb: &str, inputs: Value) -> crate::client::Reply {
    client.post(&format!("{CONTACTS}/batch/{verb}"), &json!({"inputs": inputs})).await
}

#[tokio::test]
async fn a_traced_create_answers_207_and_echoes_the_traces() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    vendor.load("contacts", [contact(0)]);
    let inputs = json!([
        {"objectWriteTraceId": "t1", "properties": {"email": "a@x.co"}},
        {"objectWriteTraceId": "t2", "properties": {"email": "not-an-email"}},
        {"objectWriteTraceId": "t3", "properties": {"email": "p0@x.co"}},
        {"objectWriteTraceId": "t4", "properties": {"email": "a@x.co"}},
    ]);
    let answer = batch(&client, "create", inputs).await.with_status(207);
    assert_eq!((&answer["status"], &answer["numErrors"]), (&json!("COMPLETE"), &json!(3)));
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    assert_eq!(answer["results"][0]["objectWriteTraceId"], "t1");
    let errors: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["context"]["objectWriteTraceId"].clone(), error["category"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [(json!(["t2"]), "VALIDATION_ERROR"), (json!(["t3"]), "CONFLICT"), (json!(["t4"]), "CONFLICT")]
    );
    assert_eq!(answer["errors"][0]["errors"][0]["code"], "INVALID_EMAIL");
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_refused), (1, 3));
    let good = json!([{"objectWriteTraceId": "t", "properties": {"email": "b@x.co"}}]);
    let answer = batch(&client, "create", good.clone()).await.with_status(201);
    assert!(answer.get("errors").is_none());
    let twice = json!([good[0], good[0]]);
    batch(&client, "create", twice).await.with_status(400);
}

#[tokio::test]
async fn an_untraced_create_is_one_unit() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let bad = json!([{"properties": {"email": "a@x.co"}}, {"properties": {"nope": "x"}}]);
    let refused = batch(&client, "create", bad).await.with_status(400);
    assert_eq!(refused["category"], "VALIDATION_ERROR");
    assert_eq!(vendor.count("contacts"), 0);
    // What was taken back left no claim on its address.
    let good = json!([{"properties": {"email": "a@x.co"}}, {"properties": {"email": "b@x.co"}}]);
    let answer = batch(&client, "create", good).await.with_status(201);
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    let records = vendor.records("contacts");
    assert_eq!(
        records[0]["lastmodifieddate"], records[1]["lastmodifieddate"],
        "a batch shares its timestamp"
    );
    let conflict = json!([{"properties": {"email": "c@x.co"}}, {"properties": {"email": "a@x.co"}}]);
    batch(&client, "create", conflict).await.with_status(409);
    assert_eq!(vendor.count("contacts"), 2);
}

#[tokio::test]
async fn more_than_100_inputs_and_repeated_ids_are_refused() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", [contact(0)]);
    let many: Vec<Value> = (0..101).map(|n| json!({"id": n.to_string(), "properties": {}})).collect();
    for verb in ["create", "read", "update", "upsert", "archive"] {
        let refused = batch(&client, verb, json!(many)).await.with_status(400);
        assert_eq!(refused["category"], "VALIDATION_ERROR", "{verb}");
    }
    let twice = json!([{"id": ids[0], "properties": {}}, {"id": ids[0], "properties": {}}]);
    let refused = batch(&client, "update", twice).await.with_status(400);
    assert!(refused["message"].as_str().unwrap().contains(&ids[0]));
    let emails = json!([
        {"id": "n@x.co", "idProperty": "email", "properties": {}},
        {"id": "N@X.co", "idProperty": "email", "properties": {}},
    ]);
    batch(&client, "upsert", emails).await.with_status(400);
    client.post(&format!("{CONTACTS}/batch/update"), &json!({})).await.with_status(400);
    assert_eq!(vendor.count("contacts"), 1);
}

#[tokio::test]
async fn updates_name_what_they_could_not_do_by_id() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..3).map(contact));
    let inputs = json!([
        {"id": ids[0], "properties": {"lastname": "A"}},
        {"id": "9", "properties": {"lastname": "B"}},
        {"id": ids[1], "properties": {"nope": "C"}, "objectWriteTraceId": "t"},
        {"id": "p2@x.co", "idProperty": "email", "properties": {"lastname": "D"}},
    ]);
    let answer = batch(&client, "update", inputs).await.with_status(207);
    let done: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|result| result["id"].clone()).collect();
    assert_eq!(done, [json!(ids[0]), json!(ids[2])]);
    assert_eq!(answer["errors"][0]["category"], "OBJECT_NOT_FOUND");
    assert_eq!(answer["errors"][0]["context"], json!({"ids": ["9"]}));
    assert_eq!(answer["errors"][1]["context"], json!({"ids": [ids[1]], "objectWriteTraceId": ["t"]}));
    assert_eq!(vendor.record("contacts", &ids[2]).unwrap()["lastname"], "D");
    let all = json!([{"id": ids[0], "properties": {"lastname": "E"}}]);
    batch(&client, "update", all).await.with_status(200);
    assert_eq!((vendor.stats().records_updated, vendor.stats().records_refused), (3, 2));
}

#[tokio::test]
async fn upserts_work_by_email_and_by_any_unique_property() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    vendor.add_property("contacts", Property::text("salesforce_lead_id").unique());
    let by = |property: &str, id: &str, properties: Value| json!({"id": id, "idProperty": property, "properties": properties});
    let first = batch(
        &client,
        "upsert",
        json!([
            by("email", "a@x.co", json!({"firstname": "A"})),
            by("salesforce_lead_id", "00Q1", json!({"email": "b@x.co"})),
        ]),
    )
    .await
    .with_status(200);
    assert_eq!((&first["results"][0]["new"], &first["results"][1]["new"]), (&json!(true), &json!(true)));
    assert_eq!(vendor.find("contacts", "email", "a@x.co").unwrap()["firstname"], "A");
    assert_eq!(first["results"][1]["properties"]["salesforce_lead_id"], "00Q1");

    let second = batch(
        &client,
        "upsert",
        json!([
            by("salesforce_lead_id", "00Q1", json!({"lastname": "B"})),
            by("salesforce_lead_id", "00Q2", json!({"email": "A@x.co"})),
            by("email", "not-an-email", json!({})),
            by("email", "a@x.co", json!({"salesforce_lead_id": "00Q3"})),
        ]),
    )
    .await
    .with_status(207);
    let results = second["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| result["new"] == false));
    let errors = second["errors"].as_array().unwrap();
    assert_eq!(
        (&errors[0]["category"], &errors[0]["context"]["ids"]),
        (&json!("CONFLICT"), &json!(["00Q2"]))
    );
    assert_eq!(errors[1]["context"]["ids"], json!(["not-an-email"]));
    assert_eq!(vendor.count("contacts"), 2);
    assert_eq!(vendor.find("contacts", "salesforce_lead_id", "00Q3").unwrap()["email"], "a@x.co");
    let wrong = json!([by("firstname", "A", json!({}))]);
    batch(&client, "upsert", wrong).await.with_status(400);
    let by_id = batch(&client, "upsert", json!([{"id": "7", "properties": {}}])).await.with_status(207);
    assert_eq!(by_id["errors"][0]["category"], "OBJECT_NOT_FOUND", "an id of the vendor's can not be chosen");
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_updated, stats.records_refused), (2, 2, 3));
}

#[tokio::test]
async fn reads_tell_all_misses_in_one_error() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..2).map(contact));
    let path = format!("{CONTACTS}/batch/read");
    let body = json!({"properties": ["firstname"], "idProperty": "email",
        "inputs": [{"id": "P0@x.co"}, {"id": "gone@x.co"}, {"id": "lost@x.co"}]});
    let answer = client.post(&path, &body).await.with_status(207);
    assert_eq!(answer["results"][0]["id"], ids[0].as_str());
    assert!(answer["results"][0]["properties"].get("email").is_none());
    assert_eq!(answer["numErrors"], 1);
    assert_eq!(answer["errors"][0]["context"]["ids"], json!(["gone@x.co", "lost@x.co"]));
    let all = json!({"properties": [], "inputs": [{"id": ids[0]}, {"id": ids[1]}, {"id": ids[1]}]});
    let answer = client.post(&path, &all).await.with_status(200);
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    assert_eq!(vendor.stats().records_out, 3);
}

#[tokio::test]
async fn an_archive_passes_over_what_is_not_there() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..3).map(contact));
    batch(&client, "archive", json!([{"id": ids[0]}, {"id": "9"}, {"id": ids[2]}])).await.with_status(204);
    assert_eq!(vendor.count("contacts"), 1);
    assert_eq!(vendor.stats().records_deleted, 2);
}

#[tokio::test]
async fn results_can_come_in_another_order_than_the_inputs() {
    let inputs: Vec<Value> = (0..20).map(|n| json!({"properties": contact(n)})).collect();
    let mut orders = Vec::new();
    for seed in [Some(1), Some(1), Some(2), None] {
        let builder = HubSpot::builder();
        let builder = match seed {
            Some(seed) => builder.shuffle_results(seed),
            None => builder,
        };
        let vendor = builder.start().await.unwrap();
        let client = Client::hubspot(&vendor);
        let answer = batch(&client, "create", json!(inputs)).await.with_status(201);
        let emails: Vec<String> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["properties"]["email"].as_str().unwrap().to_owned())
            .collect();
        orders.push(emails);
    }
    assert_eq!(orders[0], orders[1], "the same for the same seed");
    assert_ne!(orders[0], orders[2]);
    assert_ne!(orders[0], orders[3]);
    let mut sorted = (orders[0].clone(), orders[3].clone());
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1);
}
