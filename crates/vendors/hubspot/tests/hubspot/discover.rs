use acople_core::{Connector, Context, Deletes, ErrorKind, Listing, ReadMode, WriteMode};
use acople_hubspot::HubSpot;
use acople_testkit::sandbox::{self, Then};
use serde_json::json;

use crate::*;

#[tokio::test]
async fn the_catalog_has_the_standard_objects_the_configured_ones_and_the_accounts_own() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    for version in ["2026-03", "v3"] {
        let config = config(&portal).with_api_version(version).with_objects(["products", "deals"]);
        let catalog = HubSpot::new(config, &resources()).unwrap().discover(&Context::new()).await.unwrap();
        let names: Vec<&str> = catalog.streams.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["contacts", "companies", "deals", "tickets", "products", "2-123456"]);
        assert_eq!(catalog.stream("2-123456").unwrap().label.as_deref(), Some("equipment"));
    }
}

#[tokio::test]
async fn a_stream_says_what_can_be_done_with_it() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let catalog = connect(&portal).discover(&Context::new()).await.unwrap();
    let keys = |name: &str| -> Vec<String> {
        catalog.stream(name).unwrap().upsert_keys.iter().map(ToString::to_string).collect()
    };
    assert_eq!(keys("contacts"), ["id", "properties.email"]);
    assert_eq!(keys("companies"), ["id"]);
    assert_eq!(keys("2-123456"), ["id", "properties.serial_number"]);
    let contacts = catalog.stream("contacts").unwrap();
    assert_eq!(contacts.cursor.as_ref().unwrap().to_string(), "properties.lastmodifieddate");
    assert_eq!(
        catalog.stream("deals").unwrap().cursor.as_ref().unwrap().to_string(),
        "properties.hs_lastmodifieddate"
    );
    assert!(contacts.can_read(ReadMode::Full) && contacts.can_read(ReadMode::Incremental));
    for mode in [WriteMode::Insert, WriteMode::Update, WriteMode::Upsert, WriteMode::Delete] {
        assert!(contacts.can_write(mode));
    }
    assert_eq!(contacts.batch.records, 100);
    assert_eq!((contacts.deletes, contacts.listing), (Deletes::Invisible, Listing::Shifting));
    assert_eq!(contacts.look_back.as_secs(), 600);
}

#[tokio::test]
async fn one_stream_is_described_without_asking_for_the_others() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let catalog = hubspot.discover(&Context::new()).await.unwrap();
    portal.reset_stats();
    let deals = hubspot.describe(&Context::new(), "deals").await.unwrap();
    assert_eq!(json!(deals), json!(catalog.stream("deals").unwrap()));
    assert_eq!(hubspot.describe(&Context::new(), "p_equipment").await.unwrap().name, "p_equipment");
    assert_eq!(portal.stats().requests_total(), 2);
    assert_eq!(portal.stats().requests_of("properties"), 2);
    for stream in ["unicorns", "", "../owners"] {
        let error = hubspot.describe(&Context::new(), stream).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["stream".to_owned()][..]),
            "{stream}"
        );
    }
}

#[tokio::test]
async fn the_schema_is_that_of_the_records_that_are_read() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let catalog = connect(&portal).discover(&Context::new()).await.unwrap();
    let schema = &catalog.stream("contacts").unwrap().schema;
    assert_eq!(schema["properties"]["id"]["type"], "string");
    assert_eq!(schema["properties"]["archived"]["type"], "boolean");
    let properties = &schema["properties"]["properties"]["properties"];
    assert_eq!(properties["email"]["type"], json!(["string", "null"]));
    assert_eq!(properties["annualrevenue"]["x-hubspot-type"], "number");
    assert_eq!(properties["date_of_birth"]["format"], "date");
    assert_eq!(properties["lastmodifieddate"]["format"], "date-time");
    assert_eq!(properties["lastmodifieddate"]["readOnly"], true);
    assert_eq!(properties["email"].get("readOnly"), None);
    assert_eq!(
        properties["lifecyclestage"]["oneOf"][0],
        json!({ "const": "subscriber", "title": "subscriber" })
    );
}

#[tokio::test]
async fn auth_16_objects_that_may_not_be_seen_are_left_out_of_the_catalog() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    portal.on_request(|call| {
        if call.path.ends_with("/deals") || call.path.ends_with("/schemas") {
            return Then::json(403, r#"{"status":"error","category":"MISSING_SCOPES","message":"no"}"#);
        }
        Then::Go
    });
    let catalog = hubspot.discover(&Context::new()).await.unwrap();
    let names: Vec<&str> = catalog.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["contacts", "companies", "tickets"]);
    portal
        .on_request(|_| Then::json(403, r#"{"status":"error","category":"MISSING_SCOPES","message":"no"}"#));
    assert_eq!(hubspot.discover(&Context::new()).await.unwrap_err().kind(), ErrorKind::Permission);
}

#[tokio::test]
async fn a_check_says_what_works_and_warns_of_what_does_not() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let health = connect(&portal).check(&Context::new()).await.unwrap();
    assert!(health.warnings.is_empty(), "{health:?}");
    let old = HubSpot::new(config(&portal).with_api_version("v3"), &resources()).unwrap();
    assert!(old.check(&Context::new()).await.unwrap().warnings[0].contains("2027"));
    portal.on_request(|_| {
        Then::json(403, r#"{"status":"error","category":"MISSING_SCOPES","message":"no scope"}"#)
    });
    let health = connect(&portal).check(&Context::new()).await.unwrap();
    assert_eq!(health.warnings.len(), 2);
    portal.on_request(|_| Then::html(200, "<html>login</html>"));
    assert_eq!(connect(&portal).check(&Context::new()).await.unwrap_err().kind(), ErrorKind::Protocol);
}
