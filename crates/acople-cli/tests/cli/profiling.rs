//! `profile`: what the fields of a stream are like, and no more of their values than asked.

use serde_json::{Value, json};

use crate::{World, leads, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_a_table_or_json_and_keeps_secrets() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(60));
    world.salesforce.load("Lead", [record(json!({"LastName": "Only", "Company": "Acme"}))]);
    let table = world.salesforce("profile --stream Lead").done().await.succeeded();
    assert!(table.starts_with("61 records\n"), "{table}");
    let company = table.lines().find(|line| line.starts_with("/Company")).unwrap();
    assert!(company.contains("Acme (61)"), "{company}");

    let json =
        world.salesforce("profile --stream Lead --json --secret Email --limit 10").done().await.succeeded();
    let report: Value = serde_json::from_str(&json).unwrap();
    let fields = report["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["field"] == name).unwrap();
    assert_eq!((report["records"].as_u64(), field("/Email")["values"].as_u64()), (Some(10), Some(10)));
    assert!(json.contains("Acme") && !json.contains("@example.com"), "{json}");
    let none = world.salesforce("profile --stream Lead --no-values").done().await.succeeded();
    assert!(!none.contains("Acme") && !none.contains("@example.com"), "{none}");
}
