//! HubSpot: search.

use std::time::Duration;

use acople_testkit::sandbox::HubSpot;
use serde_json::{Value, json};

use crate::{
    client::{Client, record},
    hubspot::contact,
};

const SEARCH: &str = "/crm/objects/2026-03/contacts/search";

async fn found(client: &Client, body: Value) -> Vec<String> {
    let answer = client.post(SEARCH, &body).await.with_status(200);
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|r| r["properties"]["firstname"].as_str().unwrap_or_default().to_owned()).collect()
}

fn filters(filters: Value) -> Value {
    json!({"filterGroups": [{"filters": filters}], "properties": ["firstname"]})
}

#[tokio::test]
async fn operators_compare_by_the_kind_of_the_property() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let people = [
        json!({"email": "ada@x.co", "firstname": "Ada", "company": "Big Iron, Inc.", "annualrevenue": "9"}),
        json!({"email": "bob@y.org", "firstname": "Bob", "company": "iron works", "annualrevenue": "10.50"}),
        json!({"firstname": "Cy", "hs_lead_status": "NEW", "date_of_birth": "1990-05-06"}),
    ];
    for person in people {
        vendor.load("contacts", [record(person)]);
    }
    let first = "1767323045001";
    for (filter, expected) in [
        (json!({"propertyName": "firstname", "operator": "EQ", "value": "ada"}), "Ada"),
        (json!({"propertyName": "firstname", "operator": "NEQ", "value": "Ada"}), "Bob Cy"),
        (json!({"propertyName": "annualrevenue", "operator": "GT", "value": "9"}), "Bob"),
        (json!({"propertyName": "annualrevenue", "operator": "EQ", "value": 10.5}), "Bob"),
        (json!({"propertyName": "annualrevenue", "operator": "LTE", "value": "10.5"}), "Ada Bob"),
        (
            json!({"propertyName": "annualrevenue", "operator": "BETWEEN", "value": "1", "highValue": "9"}),
            "Ada",
        ),
        (json!({"propertyName": "email", "operator": "HAS_PROPERTY"}), "Ada Bob"),
        (json!({"propertyName": "email", "operator": "NOT_HAS_PROPERTY"}), "Cy"),
        (json!({"propertyName": "firstname", "operator": "IN", "values": ["ada", "cy"]}), "Ada Cy"),
        (json!({"propertyName": "firstname", "operator": "NOT_IN", "values": ["ada", "cy"]}), "Bob"),
        (json!({"propertyName": "company", "operator": "CONTAINS_TOKEN", "value": "iron"}), "Ada Bob"),
        (json!({"propertyName": "company", "operator": "CONTAINS_TOKEN", "value": "iro"}), ""),
        (json!({"propertyName": "company", "operator": "CONTAINS_TOKEN", "value": "*orks"}), "Bob"),
        (json!({"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": "*@x.co"}), "Ada"),
        (json!({"propertyName": "company", "operator": "NOT_CONTAINS_TOKEN", "value": "big"}), "Bob Cy"),
        (json!({"propertyName": "lastmodifieddate", "operator": "GT", "value": first}), "Bob Cy"),
        (json!({"propertyName": "lastmodifieddate", "operator": "GTE", "value": first}), "Ada Bob Cy"),
        (json!({"propertyName": "createdate", "operator": "LT", "value": "2026-01-02T03:04:05.002Z"}), "Ada"),
        (json!({"propertyName": "date_of_birth", "operator": "EQ", "value": "1990-05-06"}), "Cy"),
        (json!({"propertyName": "hs_object_id", "operator": "GT", "value": "51001"}), "Bob Cy"),
    ] {
        assert_eq!(found(&client, filters(json!([filter]))).await.join(" "), expected, "{filter}");
    }
    let groups = json!({"properties": ["firstname"], "filterGroups": [
        {"filters": [
            {"propertyName": "company", "operator": "CONTAINS_TOKEN", "value": "iron"},
            {"propertyName": "annualrevenue", "operator": "LT", "value": "10"},
        ]},
        {"filters": [{"propertyName": "hs_lead_status", "operator": "EQ", "value": "NEW"}]},
    ]});
    assert_eq!(found(&client, groups).await, ["Ada", "Cy"], "filters are joined by and, groups by or");
    let sort = |name: &str, direction: &str| json!({"properties": ["firstname"], "sorts": [{"propertyName": name, "direction": direction}]});
    assert_eq!(found(&client, sort("annualrevenue", "DESCENDING")).await, ["Bob", "Ada", "Cy"]);
    assert_eq!(found(&client, sort("firstname", "DESCENDING")).await, ["Cy", "Bob", "Ada"]);
    assert_eq!(found(&client, json!({"query": "bob@", "properties": ["firstname"]})).await, ["Bob"]);
}

#[tokio::test]
async fn pages_count_on_and_follow_the_data() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..250).map(contact));
    let body = |after: Value| json!({"sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}], "limit": 100, "after": after});
    let first = client.post(SEARCH, &body(Value::Null)).await.with_status(200);
    assert_eq!((&first["total"], &first["paging"]["next"]["after"]), (&json!(250), &json!("100")));
    let second = client.post(SEARCH, &body(json!("100"))).await.with_status(200);
    assert_eq!(second["results"][0]["id"], ids[100].as_str());
    let third = client.post(SEARCH, &body(json!(200))).await.with_status(200);
    assert_eq!(third["results"].as_array().unwrap().len(), 50);
    assert!(third.get("paging").is_none());
    // A record that is touched in between moves to the end: what comes after it moves up.
    vendor.update("contacts", &ids[0], &record(json!({"lastname": "new"})));
    let moved = client.post(SEARCH, &body(json!("100"))).await.with_status(200);
    assert_eq!(moved["results"][0]["id"], ids[101].as_str());
    vendor.archive("contacts", &ids[1]);
    assert_eq!(client.post(SEARCH, &body(json!("100"))).await.with_status(200)["total"], 249);
    assert_eq!(
        client.post(SEARCH, &json!({})).await.with_status(200)["results"].as_array().unwrap().len(),
        10
    );
}

#[tokio::test]
async fn no_page_reaches_beyond_ten_thousand_results() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    vendor.load("contacts", (0..10_100).map(|n| record(json!({"firstname": n.to_string()}))));
    let page = |after: usize| json!({"limit": 200, "after": after.to_string()});
    let last = client.post(SEARCH, &page(9_800)).await.with_status(200);
    assert_eq!((&last["total"], &last["paging"]["next"]["after"]), (&json!(10_100), &json!("10000")));
    let refused = client.post(SEARCH, &page(10_000)).await.with_status(400);
    assert_eq!(refused["category"], "VALIDATION_ERROR");
    client.post(SEARCH, &page(9_801)).await.with_status(400);
}

#[tokio::test]
async fn a_search_beyond_the_vendors_bounds_is_refused() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let filter = json!({"propertyName": "email", "operator": "HAS_PROPERTY"});
    let group = |n: usize| json!({"filters": vec![filter.clone(); n]});
    for (body, status) in [
        (json!({"filterGroups": vec![group(1); 5]}), 200),
        (json!({"filterGroups": vec![group(1); 6]}), 400),
        (json!({"filterGroups": [group(6)]}), 200),
        (json!({"filterGroups": [group(7)]}), 400),
        (json!({"filterGroups": vec![group(6); 3]}), 200),
        (json!({"filterGroups": [group(6), group(6), group(6), group(1)]}), 400),
        (json!({"limit": 200}), 200),
        (json!({"limit": 201}), 400),
        (json!({"limit": "x"}), 400),
        (json!({"sorts": ["email", "firstname"]}), 400),
        (filters(json!([{"propertyName": "nope", "operator": "EQ", "value": "x"}])), 400),
        (filters(json!([{"propertyName": "email", "operator": "SOUNDS_LIKE", "value": "x"}])), 400),
        (filters(json!([{"propertyName": "email", "operator": "EQ"}])), 400),
        (filters(json!([{"propertyName": "annualrevenue", "operator": "BETWEEN", "value": "1"}])), 400),
        (filters(json!([{"propertyName": "createdate", "operator": "GT", "value": "soon"}])), 400),
        (filters(json!([{"propertyName": "createdate", "operator": "GT", "value": "0"}])), 500),
        (filters(json!([{"propertyName": "createdate", "operator": "GT", "value": "1"}])), 200),
    ] {
        client.post(SEARCH, &body).await.with_status(status);
    }
}

#[tokio::test]
async fn the_index_lags_behind_the_writes() {
    let vendor = HubSpot::builder().search_lag(Duration::from_secs(5)).start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", [contact(1)]);
    let search = || filters(json!([{"propertyName": "email", "operator": "HAS_PROPERTY"}]));
    assert!(found(&client, search()).await.is_empty());
    assert_eq!(
        client.get("/crm/objects/2026-03/contacts").await.with_status(200)["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    vendor.advance(Duration::from_secs(5));
    assert_eq!(found(&client, search()).await, ["P1"]);
    // An update that is not indexed yet leaves the old version in sight.
    vendor.update("contacts", &ids[0], &record(json!({"firstname": "New"})));
    vendor.update("contacts", &ids[0], &record(json!({"firstname": "Newer"})));
    assert_eq!(found(&client, search()).await, ["P1"]);
    vendor.advance(Duration::from_secs(5));
    assert_eq!(found(&client, search()).await, ["Newer"]);
}
