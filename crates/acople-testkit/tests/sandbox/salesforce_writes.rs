//! Salesforce: writing, one by one and in collections.

use acople_testkit::sandbox::Salesforce;
use serde_json::{Value, json};

use crate::client::{Client, record};

const DATA: &str = "/services/data/v67.0";

fn lead(fields: Value) -> Value {
    let mut lead = json!({"attributes": {"type": "Lead"}, "LastName": "L", "Company": "C"});
    lead.as_object_mut().unwrap().extend(record(fields));
    lead
}

fn codes(results: &Value) -> Vec<&str> {
    let code = |result: &'_ Value| match result["success"].as_bool() {
        Some(true) => "ok",
        _ => "",
    };
    results
        .as_array()
        .unwrap()
        .iter()
        .map(
            |result| {
                if code(result).is_empty() {
                    result["errors"][0]["statusCode"].as_str().unwrap()
                } else {
                    "ok"
                }
            },
        )
        .collect()
}

#[tokio::test]
async fn single_calls_create_read_update_and_delete() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let created = client
        .post(
            &format!("{DATA}/sobjects/Lead"),
            &json!({"lastname": "Müller", "Company": "C", "AnnualRevenue": "1200", "Title": ""}),
        )
        .await
        .with_status(201);
    assert_eq!((&created["success"], &created["errors"]), (&json!(true), &json!([])));
    let id = created["id"].as_str().unwrap();
    let stored = vendor.record("Lead", id).unwrap();
    assert_eq!(stored["LastName"], "Müller");
    assert_eq!(stored["AnnualRevenue"], 1_200.0);
    assert_eq!(stored["Status"], "Open - Not Contacted", "defaults are filled in");
    assert!(!stored.contains_key("Title"), "an empty text is null");
    assert_eq!(stored["CreatedDate"], "2026-01-02T03:04:05.001+0000");

    let path = format!("{DATA}/sobjects/Lead/{id}");
    assert!(client.patch(&path, &json!({"Title": "CEO", "Company": "D"})).await.with_status(204).is_null());
    let stored = vendor.record("Lead", id).unwrap();
    assert_eq!((&stored["Title"], &stored["LastName"]), (&json!("CEO"), &json!("Müller")));
    assert_eq!(stored["SystemModstamp"], "2026-01-02T03:04:05.002+0000");
    assert_eq!(stored["CreatedDate"], "2026-01-02T03:04:05.001+0000");

    client.delete(&path).await.with_status(204);
    assert_eq!(client.delete(&path).await.with_status(404)[0]["errorCode"], "ENTITY_IS_DELETED");
    assert_eq!(client.patch(&path, &json!({})).await.with_status(404)[0]["errorCode"], "ENTITY_IS_DELETED");
    assert_eq!(vendor.count("Lead"), 0);
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_updated, stats.records_deleted), (1, 1, 1));
    assert_eq!(stats.records_refused, 2);
}

#[tokio::test]
async fn refused_fields_are_named_with_the_vendors_code() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/sobjects/Lead");
    for (body, code, fields) in [
        (json!({"Company": "C"}), "REQUIRED_FIELD_MISSING", json!(["LastName"])),
        (json!({"LastName": " ", "Company": null}), "REQUIRED_FIELD_MISSING", json!(["LastName", "Company"])),
        (json!({"LastName": "L", "Company": "C", "Nope__c": 1}), "INVALID_FIELD", json!([])),
        (
            json!({"LastName": "L", "Company": "C", "Name": "N"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            json!(["Name"]),
        ),
        (json!({"LastName": "é".repeat(81), "Company": "C"}), "STRING_TOO_LONG", json!(["LastName"])),
        (
            json!({"LastName": "L", "Company": "C", "Email": "not-an-email"}),
            "INVALID_EMAIL_ADDRESS",
            json!(["Email"]),
        ),
        (json!({"LastName": "L", "Company": "C", "OwnerId": "nobody"}), "MALFORMED_ID", json!(["OwnerId"])),
    ] {
        let errors = client.post(&path, &body).await.with_status(400);
        assert_eq!((&errors[0]["errorCode"], &errors[0]["fields"]), (&json!(code), &fields), "{body}");
    }
    client.post(&path, &json!({"LastName": "é".repeat(80), "Company": "C"})).await.with_status(201);
    let contact = json!({"LastName": "L", "AccountId": "001000000000000AAA"});
    let errors = client.post(&format!("{DATA}/sobjects/Contact"), &contact).await.with_status(400);
    assert_eq!(errors[0]["errorCode"], "INVALID_CROSS_REFERENCE_KEY");
    let account = json!({"Name": "A", "Tier__c": "Tin"});
    let errors = client.post(&format!("{DATA}/sobjects/Account"), &account).await.with_status(400);
    assert_eq!(errors[0]["errorCode"], "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
    let typed = json!({"LastName": "L", "Company": "C", "NumberOfEmployees": "many"});
    assert_eq!(client.post(&path, &typed).await.with_status(400)[0]["errorCode"], "JSON_PARSER_ERROR");
    let broken = client.send("POST", &path, &[], "{\"LastName\":").await.unwrap();
    assert_eq!(broken.with_status(400)[0]["errorCode"], "JSON_PARSER_ERROR");
    client.post(&format!("{DATA}/sobjects/Nope"), &json!({})).await.with_status(404);
}

#[tokio::test]
async fn values_are_kept_as_their_fields_hold_them() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let body = json!({
        "LastName": 7, "Company": "C", "DoNotCall": "true", "NumberOfEmployees": 12.0, "AnnualSpend__c": 10,
        "ConsentDate__c": "2026-03-04", "LastWebVisit__c": "2026-03-04T05:06:07+02:00",
    });
    let id = client.post(&format!("{DATA}/sobjects/Lead"), &body).await.with_status(201)["id"].clone();
    let stored = vendor.record("Lead", id.as_str().unwrap()).unwrap();
    assert_eq!(stored["LastName"], "7");
    assert_eq!(stored["DoNotCall"], true);
    assert_eq!(stored["NumberOfEmployees"].to_string(), "12");
    assert_eq!(stored["AnnualSpend__c"].to_string(), "10.0", "amounts are doubles on the wire");
    assert_eq!(stored["ConsentDate__c"], "2026-03-04");
    assert_eq!(stored["LastWebVisit__c"], "2026-03-04T03:06:07.000+0000");
}

#[tokio::test]
async fn a_collection_answers_200_with_one_outcome_per_record_in_order() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/composite/sobjects");
    let records = json!([
        lead(json!({"HubSpot_Id__c": "h1"})),
        lead(json!({"LastName": null})),
        lead(json!({"HubSpot_Id__c": "H1"})),
        lead(json!({"Email": "bad"})),
        {"attributes": {"type": "Nope"}, "X": 1},
        {"attributes": {"type": "Account"}, "Name": "A"},
    ]);
    let results = client.post(&path, &json!({"allOrNone": false, "records": records})).await.with_status(200);
    assert_eq!(
        codes(&results),
        ["ok", "REQUIRED_FIELD_MISSING", "DUPLICATE_VALUE", "INVALID_EMAIL_ADDRESS", "INVALID_TYPE", "ok"]
    );
    assert_eq!(results[1]["errors"][0]["fields"], json!(["LastName"]));
    let first = results[0]["id"].as_str().unwrap();
    assert!(results[2]["errors"][0]["message"].as_str().unwrap().contains(first));
    let account = results[5]["id"].as_str().unwrap();
    assert_eq!(
        vendor.record("Lead", first).unwrap()["SystemModstamp"],
        vendor.record("Account", account).unwrap()["SystemModstamp"],
        "all records of a call share their timestamp"
    );
    let all_bad =
        client.post(&path, &json!({"records": [lead(json!({"Company": ""}))]})).await.with_status(200);
    assert_eq!(codes(&all_bad), ["REQUIRED_FIELD_MISSING"]);
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_refused, stats.records_in()), (2, 5, 7));
    assert_eq!(stats.requests_of("create_collection"), 2);
}

#[tokio::test]
async fn all_or_none_leaves_no_trace_of_a_call_with_one_bad_record() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids =
        vendor.load("Lead", [record(json!({"LastName": "Old", "Company": "C", "HubSpot_Id__c": "h1"}))]);
    let before = vendor.records("Lead");
    let body = json!({"allOrNone": true, "records": [
        lead(json!({"HubSpot_Id__c": "h1", "LastName": "New"})),
        lead(json!({"HubSpot_Id__c": "h2"})),
        lead(json!({"HubSpot_Id__c": "h3", "Email": "bad"})),
    ]});
    let results =
        client.patch(&format!("{DATA}/composite/sobjects/Lead/HubSpot_Id__c"), &body).await.with_status(200);
    let rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(codes(&results), [rolled_back, rolled_back, "INVALID_EMAIL_ADDRESS"]);
    assert_eq!(vendor.records("Lead"), before);
    let path = format!("{DATA}/composite/sobjects?ids={},00Q000000000000EAA&allOrNone=true", ids[0]);
    assert_eq!(codes(&client.delete(&path).await.with_status(200)), [rolled_back, "NOT_FOUND"]);
    assert_eq!(vendor.records("Lead"), before);
    let stats = vendor.stats();
    assert_eq!((stats.records_created, stats.records_updated, stats.records_deleted), (0, 0, 0));
}

#[tokio::test]
async fn more_than_200_records_are_refused_as_a_whole() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/composite/sobjects");
    let many = |n: usize| json!({"records": vec![lead(json!({})); n]});
    assert_eq!(client.post(&path, &many(201)).await.with_status(400)[0]["errorCode"], "EXCEEDED_ID_LIMIT");
    assert_eq!(vendor.count("Lead"), 0);
    client.post(&path, &many(200)).await.with_status(200);
    assert_eq!(vendor.count("Lead"), 200);
    let typed = json!({"records": [lead(json!({})), lead(json!({"DoNotCall": "maybe"}))]});
    assert_eq!(client.post(&path, &typed).await.with_status(400)[0]["errorCode"], "JSON_PARSER_ERROR");
    assert_eq!(vendor.count("Lead"), 200, "a request that can not be read changes nothing");
}

#[tokio::test]
async fn collections_update_and_delete_by_id() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let row = |name: &str| record(json!({"LastName": name, "Company": "C"}));
    let ids = vendor.load("Lead", ["A", "B", "D"].map(row));
    vendor.delete("Lead", &ids[2]);
    let path = format!("{DATA}/composite/sobjects");
    let update = |id: Value| json!({"attributes": {"type": "Lead"}, "id": id, "Title": "T"});
    let records = json!([
        update(json!(ids[0])),
        update(json!(ids[2])),
        update(json!("00Q000000000000EAA")),
        update(json!("nonsense")),
        update(Value::Null),
        update(json!(ids[1])),
        update(json!(&ids[1][..15])),
    ]);
    let results = client.patch(&path, &json!({"records": records})).await.with_status(200);
    assert_eq!(
        codes(&results),
        [
            "ok",
            "ENTITY_IS_DELETED",
            "NOT_FOUND",
            "MALFORMED_ID",
            "MISSING_ARGUMENT",
            "DUPLICATE_VALUE",
            "DUPLICATE_VALUE"
        ]
    );
    assert_eq!(vendor.record("Lead", &ids[0]).unwrap()["Title"], "T");
    assert!(!vendor.record("Lead", &ids[1]).unwrap().contains_key("Title"));

    let list = [&ids[1], &ids[2], "00Q000000000000EAA", "zzz"].join(",");
    let results = client.delete(&format!("{path}?ids={list}&allOrNone=false")).await.with_status(200);
    assert_eq!(codes(&results), ["ok", "ENTITY_IS_DELETED", "NOT_FOUND", "MALFORMED_ID"]);
    assert_eq!(vendor.count("Lead"), 1);

    let read = json!({"ids": [ids[0], ids[1]], "fields": ["Id", "LastName"]});
    let found = client.post(&format!("{path}/Lead"), &read).await.with_status(200);
    assert_eq!(found[0]["LastName"], "A");
    assert_eq!(found[1], Value::Null);
}

#[tokio::test]
async fn upserts_find_records_by_their_external_id() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/composite/sobjects/Lead/HubSpot_Id__c");
    let batch = |records: Value| json!({"allOrNone": false, "records": records});
    let first = client
        .patch(
            &path,
            &batch(json!([lead(json!({"HubSpot_Id__c": "1"})), lead(json!({"HubSpot_Id__c": "2"}))])),
        )
        .await
        .with_status(200);
    assert!(first.as_array().unwrap().iter().all(|result| result["created"] == true));
    let again = batch(json!([
        lead(json!({"HubSpot_Id__c": "1", "Title": "T"})),
        lead(json!({"HubSpot_Id__c": "3"})),
        lead(json!({})),
        lead(json!({"HubSpot_Id__c": "x"})),
        lead(json!({"HubSpot_Id__c": "X"})),
        {"attributes": {"type": "Contact"}, "LastName": "L", "HubSpot_Id__c": "9"},
    ]));
    let second = client.patch(&path, &again).await.with_status(200);
    assert_eq!(
        codes(&second),
        ["ok", "ok", "MISSING_ARGUMENT", "DUPLICATE_VALUE", "DUPLICATE_VALUE", "INVALID_TYPE"]
    );
    assert_eq!((&second[0]["created"], &second[0]["id"]), (&json!(false), &first[0]["id"]));
    assert_eq!(second[1]["created"], true);
    assert_eq!(vendor.count("Lead"), 3);
    // A deleted record does not count as a match.
    vendor.delete("Lead", first[1]["id"].as_str().unwrap());
    let third =
        client.patch(&path, &batch(json!([lead(json!({"HubSpot_Id__c": "2"}))]))).await.with_status(200);
    assert_eq!(third[0]["created"], true);
    let wrong = client.patch(&format!("{DATA}/composite/sobjects/Lead/Title"), &batch(json!([]))).await;
    assert_eq!(wrong.with_status(400)[0]["errorCode"], "INVALID_FIELD");
}

#[tokio::test]
async fn a_single_upsert_tells_created_updated_and_ambiguous_apart() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let path = format!("{DATA}/sobjects/Lead/HubSpot_Id__c/a%2Fb%20c");
    let body = json!({"LastName": "L", "Company": "C"});
    let created = client.patch(&path, &body).await.with_status(201);
    assert_eq!(created["created"], true);
    let updated = client.patch(&path, &body).await.with_status(200);
    assert_eq!((&updated["created"], &updated["id"]), (&json!(false), &created["id"]));
    assert_eq!(vendor.records("Lead")[0]["HubSpot_Id__c"], "a/b c");
    assert_eq!(client.get(&path).await.with_status(200)["Id"], created["id"]);

    let twins =
        vendor.load("Lead", vec![record(json!({"LastName": "L", "Company": "C", "LegacyKey__c": "k"})); 2]);
    let path = format!("{DATA}/sobjects/Lead/LegacyKey__c/K");
    let urls = client.patch(&path, &body).await.with_status(300);
    assert_eq!(urls, json!(twins.iter().map(|id| format!("{DATA}/sobjects/Lead/{id}")).collect::<Vec<_>>()));
    client.get(&path).await.with_status(300);
    let both = json!({"records": [lead(json!({"LegacyKey__c": "k"}))]});
    let results =
        client.patch(&format!("{DATA}/composite/sobjects/Lead/LegacyKey__c"), &both).await.with_status(200);
    assert_eq!(codes(&results), ["DUPLICATE_EXTERNAL_ID"]);
    let named = json!({"LastName": "L", "Company": "C", "HubSpot_Id__c": "z"});
    let errors =
        client.patch(&format!("{DATA}/sobjects/Lead/HubSpot_Id__c/z"), &named).await.with_status(400);
    assert_eq!(errors[0]["errorCode"], "INVALID_FIELD");
}
