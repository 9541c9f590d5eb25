//! Salesforce: versions, limits, schema, the logs.

use std::time::Duration;

use acople_testkit::sandbox::{
    Salesforce, people,
    salesforce::{Field, Object},
};
use serde_json::json;

use crate::client::{Client, encoded, record};

const DATA: &str = "/services/data/v67.0";

#[tokio::test]
async fn versions_are_listed_without_a_session_and_retired_ones_are_gone() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::new(vendor.url(), "");
    let versions = client.get("/services/data/").await.with_status(200);
    let newest = versions.as_array().unwrap().last().unwrap();
    assert_eq!(*newest, json!({"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}));
    let reply = client.get("/services/data/v30.0/limits").await;
    assert_eq!(reply.with_status(410)[0]["errorCode"], "UNSUPPORTED_API_VERSION");
    client.get("/services/data/v69.0/limits").await.with_status(404);
    client.get("/services/nowhere").await.with_status(404);
}

#[tokio::test]
async fn every_answer_tells_the_usage_and_a_spent_quota_is_403() {
    let vendor = Salesforce::builder().daily_limit(3).start().await.unwrap();
    let client = Client::salesforce(&vendor);
    for used in 1..=3 {
        let reply = client.get(&format!("{DATA}/limits")).await;
        assert_eq!(reply.header("sforce-limit-info"), format!("api-usage={used}/3"));
        let limits = reply.with_status(200);
        assert_eq!(limits["DailyApiRequests"], json!({"Max": 3, "Remaining": 3 - used}));
    }
    let reply = client.get(&format!("{DATA}/limits")).await;
    assert_eq!(reply.header("sforce-limit-info"), "api-usage=3/3");
    assert!(reply.headers.get("retry-after").is_none());
    assert_eq!(reply.with_status(403)[0]["errorCode"], "REQUEST_LIMIT_EXCEEDED");
    assert_eq!(vendor.stats().throttled, 1);
    vendor.set_daily_limit(4);
    client.get(&format!("{DATA}/limits")).await.with_status(200);
    assert_eq!(vendor.api_usage(), 4);
    vendor.reset_api_usage();
    assert_eq!(vendor.api_usage(), 0);
}

#[tokio::test]
async fn describe_tells_what_the_schema_enforces() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let list = client.get(&format!("{DATA}/sobjects/")).await.with_status(200);
    let names: Vec<&str> =
        list["sobjects"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Account", "Case", "Contact", "Invoice__c", "Lead", "Opportunity"]);

    let lead = client.get(&format!("{DATA}/sobjects/lead/describe")).await.with_status(200);
    assert_eq!(
        (&lead["name"], &lead["keyPrefix"], &lead["queryable"]),
        (&json!("Lead"), &json!("00Q"), &json!(true))
    );
    let field = |name: &str| {
        let fields = lead["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no field {name}")).clone()
    };
    let last_name = field("LastName");
    assert_eq!((&last_name["type"], &last_name["soapType"]), (&json!("string"), &json!("xsd:string")));
    assert_eq!((&last_name["length"], &last_name["nillable"]), (&json!(80), &json!(false)));
    assert_eq!(field("Id")["idLookup"], true);
    assert_eq!((&field("Email")["type"], &field("Email")["createable"]), (&json!("email"), &json!(true)));
    let external = field("HubSpot_Id__c");
    for fact in ["custom", "externalId", "unique", "idLookup"] {
        assert_eq!(external[fact], true, "{fact}");
    }
    assert_eq!(
        (&field("LegacyKey__c")["externalId"], &field("LegacyKey__c")["unique"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(field("DisplayName__c")["calculated"], true);
    assert_eq!(field("SystemModstamp")["updateable"], false);
    assert_eq!(field("Address")["type"], "address");
    assert_eq!(field("LeadSource")["picklistValues"][0]["value"], "Web");
    let contact = client.get(&format!("{DATA}/sobjects/Contact/describe")).await.with_status(200);
    let fields = contact["fields"].as_array().unwrap();
    let account = fields.iter().find(|field| field["name"] == "AccountId").unwrap();
    assert_eq!(
        (&account["referenceTo"], &account["relationshipName"]),
        (&json!(["Account"]), &json!("Account"))
    );
    assert_eq!(
        client.get(&format!("{DATA}/sobjects/Nope/describe")).await.with_status(404)[0]["errorCode"],
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn tests_can_add_and_remove_objects_and_fields() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    vendor.add_object(
        Object::new("Machine__c", "a01").field(Field::text("Serial__c", 10).external_id().unique()),
    );
    vendor.add_field("Lead", Field::text("Nickname__c", 20));
    vendor.load("Machine__c", [record(json!({"Serial__c": "X1"}))]);
    let ids = vendor.load("Lead", [record(json!({"LastName": "A", "Company": "B", "Nickname__c": "Al"}))]);
    let machine = client.get(&format!("{DATA}/sobjects/Machine__c/Serial__c/x1")).await.with_status(200);
    assert!(machine["Id"].as_str().unwrap().starts_with("a01"));
    let path = format!("{DATA}/sobjects/Lead/{}?fields=Nickname__c", ids[0]);
    assert_eq!(client.get(&path).await.with_status(200)["Nickname__c"], "Al");
    vendor.remove_field("Lead", "Nickname__c");
    assert_eq!(client.get(&path).await.with_status(400)[0]["errorCode"], "INVALID_FIELD");
}

#[tokio::test]
async fn ids_are_18_characters_and_records_are_found_by_15() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor.load("Lead", people(1, 3));
    assert!(ids.iter().all(|id| id.len() == 18 && id.starts_with("00Q")));
    let lead = client.get(&format!("{DATA}/sobjects/Lead/{}", &ids[1][..15])).await.with_status(200);
    assert_eq!(lead["Id"], ids[1].as_str());
    assert_eq!(lead["attributes"]["url"], format!("{DATA}/sobjects/Lead/{}", ids[1]));
    assert!(lead.as_object().unwrap().contains_key("MobilePhone"), "null fields are shown");
    vendor.delete("Lead", &ids[1]);
    let gone = client.get(&format!("{DATA}/sobjects/Lead/{}", ids[1])).await.with_status(404);
    assert_eq!(gone[0]["errorCode"], "ENTITY_IS_DELETED");
    let never = client.get(&format!("{DATA}/sobjects/Lead/00Q000000000000EAA")).await.with_status(404);
    assert_eq!(never[0]["errorCode"], "NOT_FOUND");
}

#[tokio::test]
async fn the_deletion_log_has_a_window_and_can_be_purged() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor.load("Lead", people(1, 3));
    vendor.advance(Duration::from_secs(60));
    vendor.delete("Lead", &ids[0]);
    vendor.advance(Duration::from_secs(60));
    let log = |start: &str, end: &str| {
        format!("{DATA}/sobjects/Lead/deleted/?{}", encoded(&[("start", start), ("end", end)]))
    };
    let reply = client.get(&log("2026-01-02T03:04:00+00:00", "2026-01-02T04:00:00Z")).await.with_status(200);
    assert_eq!(
        reply["deletedRecords"],
        json!([{"id": ids[0], "deletedDate": "2026-01-02T03:05:05.002+0000"}])
    );
    assert_eq!(
        reply["latestDateCovered"], "2026-01-02T03:06:05.002+0000",
        "the log does not reach into the future"
    );
    let before = client.get(&log("2026-01-02T03:00:00Z", "2026-01-02T03:05:05.002Z")).await.with_status(200);
    assert_eq!(before["deletedRecords"], json!([]), "the end is not part of the window");
    for (start, end) in [
        ("2025-12-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("x", "y"),
    ] {
        let reply = client.get(&log(start, end)).await.with_status(400);
        assert_eq!(reply[0]["errorCode"], "INVALID_REPLICATION_DATE", "{start}");
    }
    let updated = client
        .get(&format!(
            "{DATA}/sobjects/Lead/updated/?{}",
            encoded(&[("start", "2026-01-02T03:04:00Z"), ("end", "2026-01-02T04:00:00Z")])
        ))
        .await
        .with_status(200);
    assert_eq!(updated["ids"], json!([ids[1], ids[2]]));
    vendor.purge_deleted();
    let purged = client.get(&log("2026-01-02T03:04:00Z", "2026-01-02T04:00:00Z")).await.with_status(200);
    assert_eq!(purged["deletedRecords"], json!([]));
    assert_eq!(purged["earliestDateAvailable"], "2026-01-02T03:06:05.002+0000");
    assert!(vendor.record("Lead", &ids[0]).is_none());
}

#[tokio::test]
async fn a_request_with_a_head_beyond_the_limit_is_refused() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/query?q={}", "A".repeat(16_500));
    client.get(&path).await.with_status(414);
}

#[tokio::test]
async fn a_dropped_sandbox_refuses_connections() {
    let vendor = Salesforce::start().await.unwrap();
    let address = vendor.url().strip_prefix("http://").unwrap().to_owned();
    drop(vendor);
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
