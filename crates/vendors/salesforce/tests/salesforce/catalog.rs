//! Discovery and checks against the sandbox.

use acople_core::{Connector, Context, Deletes, ErrorKind, ReadMode, WriteMode};
use acople_salesforce::Salesforce;
use acople_testkit::sandbox::{self, Phase, Then};
use serde_json::json;

use super::{config, connect, wire};

#[tokio::test]
async fn streams_carry_what_the_describe_says() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let catalog = connect(&org).discover(&Context::new()).await.unwrap();
    let lead = catalog.stream("Lead").unwrap();
    assert_eq!(lead.key[0].to_string(), "Id");
    assert_eq!(lead.cursor.as_ref().unwrap().to_string(), "SystemModstamp");
    assert!(lead.can_read(ReadMode::Full) && lead.can_read(ReadMode::Incremental));
    for mode in [WriteMode::Insert, WriteMode::Update, WriteMode::Upsert, WriteMode::Delete] {
        assert!(lead.can_write(mode), "{mode:?}");
    }
    assert!(lead.upsert_keys.iter().any(|key| key.to_string() == "HubSpot_Id__c"));
    assert!(lead.upsert_keys.iter().all(|key| !["Id", "Email"].contains(&key.to_string().as_str())));
    assert_eq!((lead.batch.records, lead.deletes), (200, Deletes::Tombstones));
    assert_eq!(lead.look_back.as_secs(), 600);
}

#[tokio::test]
async fn the_schema_tells_types_nulls_and_what_is_read_only() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let catalog = connect(&org).discover(&Context::new()).await.unwrap();
    let properties = &catalog.stream("Account").unwrap().schema["properties"];
    assert_eq!(properties["Name"]["type"], json!("string"));
    assert_eq!(properties["Name"]["maxLength"], json!(255));
    assert_eq!(properties["Phone"]["type"], json!(["string", "null"]));
    assert_eq!(properties["AnnualRevenue"]["type"], json!(["number", "null"]));
    assert_eq!(properties["NumberOfEmployees"]["type"], json!(["integer", "null"]));
    assert_eq!(properties["IsDeleted"]["type"], json!("boolean"));
    assert_eq!(properties["SystemModstamp"]["format"], json!("date-time"));
    assert_eq!(properties["SystemModstamp"]["readOnly"], json!(true));
    assert_eq!(properties["Tier__c"]["x-salesforce-type"], json!("picklist"));
    assert!(properties.get("BillingCity").is_some() && properties.get("BillingAddress").is_none());
    assert!(properties["Name"].get("readOnly").is_none());
}

#[tokio::test]
async fn custom_objects_come_anyway_and_standard_ones_as_chosen() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = Salesforce::new(config(&org).with_objects(["account", "Nothing"]), &wire()).unwrap();
    let catalog = sf.discover(&Context::new()).await.unwrap();
    let names: Vec<&str> = catalog.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["Account", "Invoice__c"]);
    assert_eq!(org.stats().requests_of("describe"), 2);
}

#[tokio::test]
async fn one_stream_is_described_by_one_call_and_as_discover_does() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let (sf, cx) = (connect(&org), Context::new());
    let lead = sf.describe(&cx, "Lead").await.unwrap();
    // The other one is the login.
    assert_eq!((org.stats().requests_of("describe"), org.stats().requests_total()), (1, 2));
    let catalog = sf.discover(&cx).await.unwrap();
    let text = |stream: &acople_core::Stream| serde_json::to_value(stream).unwrap();
    assert_eq!(text(&lead), text(catalog.stream("Lead").unwrap()));
}

#[tokio::test]
async fn a_stream_that_does_not_exist_is_a_config_error() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = connect(&org);
    for stream in ["Nothing__c", "Lead WHERE", "Lead.Owner"] {
        let error = sf.describe(&Context::new(), stream).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]));
    }
    // What is forbidden or fails is no matter of the config.
    org.on_request(|seen| match seen.phase {
        Phase::Received => Then::json(403, r#"[{"message":"no","errorCode":"INSUFFICIENT_ACCESS"}]"#),
        _ => Then::Go,
    });
    assert_eq!(sf.describe(&Context::new(), "Lead").await.unwrap_err().kind(), ErrorKind::Permission);
}

#[tokio::test]
async fn a_check_names_the_org_and_what_is_left_of_its_quota() {
    let org = sandbox::Salesforce::builder().daily_limit(1_000).start().await.unwrap();
    let health = connect(&org).check(&Context::new()).await.unwrap();
    assert_eq!(health.summary, "org at 127.0.0.1, 999 of 1000 API calls left today");
    assert!(health.warnings.is_empty());
}

#[tokio::test]
async fn a_check_warns_of_a_quota_that_runs_out_and_of_objects_that_are_not_there() {
    let org = sandbox::Salesforce::builder().daily_limit(10).start().await.unwrap();
    let sf = Salesforce::new(config(&org).with_objects(["Lead", "Nothing"]), &wire()).unwrap();
    for _ in 0..8 {
        sf.limits(&Context::new()).await.unwrap();
    }
    let health = sf.check(&Context::new()).await;
    // The ninth and tenth call; nothing is left after them.
    let health = health.unwrap();
    assert_eq!(health.warnings.len(), 1, "{health:?}");
    assert!(health.warnings[0].starts_with("Nothing"));
}

#[tokio::test]
async fn auth_16_an_object_that_this_user_may_not_see_is_a_matter_of_permission() {
    let org = sandbox::Salesforce::start().await.unwrap();
    org.on_request(|seen| match (seen.phase, seen.path.contains("Invoice__c")) {
        (Phase::Received, true) => {
            Then::json(403, r#"[{"message":"insufficient access rights","errorCode":"INSUFFICIENT_ACCESS"}]"#)
        }
        _ => Then::Go,
    });
    let error = connect(&org).describe_object(&Context::new(), "Invoice__c").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("INSUFFICIENT_ACCESS")));
}

#[tokio::test]
async fn page_13_a_retired_version_is_a_config_error() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = Salesforce::new(config(&org).with_api_version("30.0"), &wire()).unwrap();
    let error = sf.check(&Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Config, Some(410)));
}
