//! HubSpot: lists, single calls, properties, schemas and associations.

use acople_testkit::sandbox::{
    HubSpot,
    hubspot::{ObjectType, Property},
};
use serde_json::{Value, json};

use crate::client::{Client, record};

const CONTACTS: &str = "/crm/objects/2026-03/contacts";

pub(crate) fn contact(number: usize) -> acople_testkit::sandbox::Record {
    record(json!({"email": format!("p{number}@x.co"), "firstname": format!("P{number}")}))
}

#[tokio::test]
async fn lists_page_by_an_opaque_token_and_show_what_was_asked_for() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..25).map(contact));
    for base in [CONTACTS, "/crm/v3/objects/contacts", "/crm/objects/2026-09-beta/0-1"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = client
                .get(&format!("{base}?limit=10&properties=firstname,phone,nope{after}"))
                .await
                .with_status(200);
            for result in page["results"].as_array().unwrap() {
                seen.push(result["id"].as_str().unwrap().to_owned());
                assert_eq!(result["archived"], false);
                assert_eq!(result["updatedAt"], "2026-01-02T03:04:05.001Z");
                let names: Vec<&String> = result["properties"].as_object().unwrap().keys().collect();
                assert_eq!(names, ["createdate", "firstname", "hs_object_id", "lastmodifieddate", "phone"]);
                assert_eq!(result["properties"]["phone"], Value::Null);
            }
            let Some(next) = page["paging"]["next"]["after"].as_str() else {
                break;
            };
            assert!(next.parse::<u64>().is_err(), "{next} is opaque");
            after = format!("&after={next}");
        }
        assert_eq!(seen, ids, "{base}");
    }
    // The default page has ten records with the type's own properties.
    let page = client.get(CONTACTS).await.with_status(200);
    assert_eq!(page["results"].as_array().unwrap().len(), 10);
    assert_eq!(page["results"][0]["properties"]["email"], "p0@x.co");
    assert!(page["paging"]["next"]["link"].as_str().unwrap().starts_with(vendor.url()));
    // A client that escapes the token once more is understood.
    let escaped = page["paging"]["next"]["after"].as_str().unwrap().replace('%', "%25");
    let second = client.get(&format!("{CONTACTS}?after={escaped}")).await.with_status(200);
    assert_eq!(second["results"][0]["id"], ids[10].as_str());
    for bad in ["limit=101", "limit=0", "limit=x", "after=%21%21"] {
        let refused = client.get(&format!("{CONTACTS}?{bad}")).await.with_status(400);
        assert_eq!(refused["category"], "VALIDATION_ERROR", "{bad}");
    }
    client.get("/crm/objects/2026-03/nothings").await.with_status(400);
    client.get("/crm/objects/20260/contacts").await.with_status(404);
}

#[tokio::test]
async fn archiving_during_a_listing_skips_rows_unless_lists_are_stable() {
    for (stable, expected) in [(false, 3), (true, 4)] {
        let vendor = HubSpot::builder().stable_lists(stable).start().await.unwrap();
        let client = Client::hubspot(&vendor);
        let ids = vendor.load("contacts", (0..6).map(contact));
        let first = client.get(&format!("{CONTACTS}?limit=2")).await.with_status(200);
        vendor.archive("contacts", &ids[0]);
        let after = first["paging"]["next"]["after"].as_str().unwrap();
        let rest = client.get(&format!("{CONTACTS}?limit=10&after={after}")).await.with_status(200);
        assert_eq!(rest["results"].as_array().unwrap().len(), expected, "stable: {stable}");
    }
}

#[tokio::test]
async fn archived_records_are_listed_apart() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..3).map(contact));
    client.delete(&format!("{CONTACTS}/{}", ids[1])).await.with_status(204);
    client.delete(&format!("{CONTACTS}/{}", ids[1])).await.with_status(204);
    client.delete(&format!("{CONTACTS}/1")).await.with_status(404);
    assert_eq!(client.get(CONTACTS).await.with_status(200)["results"].as_array().unwrap().len(), 2);
    let archived = client.get(&format!("{CONTACTS}?archived=true")).await.with_status(200);
    assert_eq!(archived["results"][0]["id"], ids[1].as_str());
    assert_eq!(archived["results"][0]["archivedAt"], "2026-01-02T03:04:05.002Z");
    client.get(&format!("{CONTACTS}/{}", ids[1])).await.with_status(404);
    client.get(&format!("{CONTACTS}/{}?archived=true", ids[1])).await.with_status(200);
    // Its address is free again.
    client.post(CONTACTS, &json!({"properties": {"email": "p1@x.co"}})).await.with_status(201);
    assert_eq!(vendor.stats().records_deleted, 1);
}

#[tokio::test]
async fn single_calls_create_read_and_update() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let body = json!({"properties": {"email": " A@X.co", "annualrevenue": 12.50, "hs_email_optout": true, "phone": ""}});
    let created = client.post(CONTACTS, &body).await.with_status(201);
    let id = created["id"].as_str().unwrap();
    let stored = vendor.record("contacts", id).unwrap();
    assert_eq!(stored["email"], "a@x.co", "addresses are kept in lower case");
    assert_eq!((&stored["annualrevenue"], &stored["hs_email_optout"]), (&json!("12.5"), &json!("true")));
    assert!(!stored.contains_key("phone"));
    assert_eq!(
        (&stored["hs_object_id"], &stored["createdate"]),
        (&json!(id), &json!("2026-01-02T03:04:05.001Z"))
    );
    let updated = client
        .patch(
            &format!("{CONTACTS}/A@x.co?idProperty=email"),
            &json!({"properties": {"lastname": "B", "annualrevenue": ""}}),
        )
        .await
        .with_status(200);
    assert_eq!((&updated["id"], &updated["properties"]["lastname"]), (&json!(id), &json!("B")));
    assert_eq!(updated["updatedAt"], "2026-01-02T03:04:05.002Z");
    assert!(!vendor.record("contacts", id).unwrap().contains_key("annualrevenue"));
    let read = client
        .get(&format!("{CONTACTS}/a%40x.co?idProperty=email&properties=lastname"))
        .await
        .with_status(200);
    assert_eq!(read["properties"]["lastname"], "B");
    let missing = client.get(&format!("{CONTACTS}/1")).await.with_status(404);
    assert_eq!(missing["category"], "OBJECT_NOT_FOUND");
    client.patch(&format!("{CONTACTS}/1"), &json!({"properties": {}})).await.with_status(404);
    client.get(&format!("{CONTACTS}/x?idProperty=lastname")).await.with_status(400);
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_updated, stats.records_out), (1, 1, 1));
}

#[tokio::test]
async fn refused_properties_are_named_with_the_vendors_code() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    for (name, value, code) in [
        ("nope", json!("x"), "PROPERTY_DOESNT_EXIST"),
        ("email", json!("not-an-email"), "INVALID_EMAIL"),
        ("hs_lead_status", json!("WHATEVER"), "INVALID_OPTION"),
        ("hs_email_optout", json!("perhaps"), "INVALID_OPTION"),
        ("annualrevenue", json!("much"), "INVALID_NUMBER"),
        ("date_of_birth", json!("yesterday"), "INVALID_DATE"),
        ("createdate", json!("2026-01-01"), "READ_ONLY_VALUE"),
    ] {
        let refused = client.post(CONTACTS, &json!({"properties": {name: value}})).await.with_status(400);
        assert_eq!(refused["category"], "VALIDATION_ERROR");
        assert_eq!(refused["errors"][0]["code"], code);
        assert_eq!(refused["errors"][0]["context"]["propertyName"], json!([name]));
        let message = refused["message"].as_str().unwrap();
        assert!(
            message.starts_with("Property values were not valid: [{") && message.contains(code),
            "{message}"
        );
    }
    let two = json!({"properties": {"nope": 1, "email": "x"}});
    assert_eq!(client.post(CONTACTS, &two).await.with_status(400)["errors"].as_array().unwrap().len(), 2);
    client.post(CONTACTS, &json!({"props": {}})).await.with_status(400);
    client.send("POST", CONTACTS, &[], "{").await.unwrap().with_status(400);
    assert_eq!(vendor.count("contacts"), 0);
}

#[tokio::test]
async fn a_taken_address_is_a_conflict_that_names_its_holder() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let ids = vendor.load("contacts", (0..2).map(contact));
    let taken = json!({"properties": {"email": "P0@x.co"}});
    for reply in
        [client.post(CONTACTS, &taken).await, client.patch(&format!("{CONTACTS}/{}", ids[1]), &taken).await]
    {
        let refused = reply.with_status(409);
        assert_eq!(refused["category"], "CONFLICT");
        assert_eq!(refused["message"], format!("Contact already exists. Existing ID: {}", ids[0]));
    }
    // Its own address is no conflict.
    client.patch(&format!("{CONTACTS}/{}", ids[0]), &taken).await.with_status(200);
}

#[tokio::test]
async fn properties_are_listed_created_and_enforced() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let path = "/crm/properties/2026-03/contacts";
    let list = client.get(path).await.with_status(200);
    let email = list["results"].as_array().unwrap().iter().find(|p| p["name"] == "email").unwrap().clone();
    assert_eq!(
        (&email["type"], &email["hasUniqueValue"], &email["hubspotDefined"]),
        (&json!("string"), &json!(true), &json!(true))
    );
    let body = json!({
        "name": "salesforce_lead_id", "label": "Salesforce lead", "type": "string", "fieldType": "text",
        "groupName": "contactinformation", "hasUniqueValue": true,
    });
    let created = client.post(path, &body).await.with_status(201);
    assert_eq!((&created["hasUniqueValue"], &created["hubspotDefined"]), (&json!(true), &json!(false)));
    assert_eq!(client.post(path, &body).await.with_status(409)["category"], "OBJECT_ALREADY_EXISTS");
    for bad in [
        json!({"name": "Bad Name"}),
        json!({"name": "x", "type": "blob"}),
        json!({"name": "x", "type": "string"}),
    ] {
        client.post(path, &bad).await.with_status(400);
    }
    client.get("/crm/v3/properties/contacts/salesforce_lead_id").await.with_status(200);

    let lead = |id: &str| json!({"properties": {"salesforce_lead_id": id}});
    let first = client.post(CONTACTS, &lead("00Q1")).await.with_status(201)["id"].clone();
    let refused = client.post(CONTACTS, &lead("00Q1")).await.with_status(400);
    assert!(refused["message"].as_str().unwrap().contains(first.as_str().unwrap()));
    let found = client.get(&format!("{CONTACTS}/00Q1?idProperty=salesforce_lead_id")).await.with_status(200);
    assert_eq!(found["id"], first);
    assert_eq!(vendor.find("contacts", "salesforce_lead_id", "00q1").unwrap()["hs_object_id"], first);

    client.delete(&format!("{path}/salesforce_lead_id")).await.with_status(204);
    client.delete(&format!("{path}/email")).await.with_status(400);
    let gone = client.post(CONTACTS, &lead("00Q2")).await.with_status(400);
    assert_eq!(gone["errors"][0]["code"], "PROPERTY_DOESNT_EXIST");
}

#[tokio::test]
async fn custom_objects_have_schemas_and_several_names() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    vendor.add_object_type(ObjectType::custom("2-777", "car").property(Property::text("plate").unique()));
    for path in ["/crm-object-schemas/2026-03/schemas", "/crm/v3/schemas"] {
        let schemas = client.get(path).await.with_status(200);
        let names: Vec<_> =
            schemas["results"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
        assert_eq!(names, ["equipment", "car"]);
        assert_eq!(schemas["results"][0]["objectTypeId"], "2-123456");
        assert_eq!(schemas["results"][0]["fullyQualifiedName"], "p62515_equipment");
    }
    client.get("/crm/v3/schemas/2-777").await.with_status(200);
    let id = client
        .post(
            "/crm/objects/2026-03/2-123456",
            &json!({"properties": {"name": "Drill", "serial_number": "S1"}}),
        )
        .await
        .with_status(201)["id"]
        .clone();
    for name in ["p_equipment", "p62515_equipment", "equipment", "2-123456"] {
        let list = client.get(&format!("/crm/objects/2026-03/{name}")).await.with_status(200);
        assert_eq!(list["results"][0]["id"], id, "{name}");
        assert_eq!(list["results"][0]["properties"]["hs_lastmodifieddate"], "2026-01-02T03:04:05.001Z");
    }
    let nameless = json!({"properties": {"serial_number": "S2"}});
    assert_eq!(
        client.post("/crm/objects/2026-03/p_equipment", &nameless).await.with_status(400)["category"],
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn associations_are_shown_when_asked_for() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let contacts = vendor.load("contacts", (0..2).map(contact));
    let companies = vendor.load("companies", [record(json!({"name": "Acme"}))]);
    let path = format!("{CONTACTS}/{}/associations/companies/{}", contacts[0], companies[0]);
    let types = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]);
    client.call("PUT", &path, &types).await.with_status(201);
    client.call("PUT", &format!("{CONTACTS}/1/associations/companies/2"), &types).await.with_status(404);
    let list = client.get(&format!("{CONTACTS}?associations=companies,deals")).await.with_status(200);
    assert_eq!(list["results"][0]["associations"]["companies"]["results"][0]["id"], companies[0].as_str());
    assert!(list["results"][1].get("associations").is_none());
    vendor.associate(("companies", &companies[0]), ("contacts", &contacts[1]));
    let company =
        client.get(&format!("/crm/objects/2026-03/companies/{}?associations=contacts", companies[0])).await;
    let linked = company.with_status(200)["associations"]["contacts"]["results"].as_array().unwrap().len();
    assert_eq!(linked, 2, "links go both ways");
}

#[tokio::test]
async fn an_overlong_url_is_refused() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    client.get(&format!("{CONTACTS}?properties={}", "firstname,".repeat(1_700))).await.with_status(414);
}
