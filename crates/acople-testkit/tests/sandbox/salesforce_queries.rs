//! Salesforce: queries and their pages.

use acople_testkit::sandbox::{Salesforce, people};
use serde_json::{Value, json};

use crate::client::{Client, Reply, encoded, record};

const DATA: &str = "/services/data/v67.0";

async fn run(client: &Client, operation: &str, soql: &str) -> Reply {
    client.get(&format!("{DATA}/{operation}?{}", encoded(&[("q", soql)]))).await
}

async fn query(client: &Client, soql: &str) -> Vec<Value> {
    run(client, "query", soql).await.with_status(200)["records"].as_array().unwrap().clone()
}

/// The values of one field of all records that a condition finds, in id order.
async fn names(client: &Client, condition: &str) -> Vec<String> {
    let records = query(client, &format!("SELECT LastName FROM Lead WHERE {condition}")).await;
    records.iter().map(|record| record["LastName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_follow_their_locator_to_the_end() {
    let vendor = Salesforce::builder().page_size(4).start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor.load("Lead", people(5, 10));
    let soql = "SELECT Id, SystemModstamp, Phone FROM Lead ORDER BY SystemModstamp, Id";
    let mut page = run(&client, "query", soql).await.with_status(200);
    let mut seen = Vec::new();
    loop {
        assert_eq!(page["totalSize"], 10);
        for record in page["records"].as_array().unwrap() {
            let id = record["Id"].as_str().unwrap();
            let url = format!("{DATA}/sobjects/Lead/{id}");
            assert_eq!(record["attributes"], json!({"type": "Lead", "url": url}));
            assert_eq!(record["SystemModstamp"], "2026-01-02T03:04:05.001+0000");
            seen.push(id.to_owned());
        }
        if page["done"] == true {
            assert!(page.get("nextRecordsUrl").is_none());
            break;
        }
        let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
        assert!(next.starts_with(&format!("{DATA}/query/01g")), "{next}");
        page = client.get(&next).await.with_status(200);
        // The same page may be asked for again.
        assert_eq!(page, client.get(&next).await.with_status(200));
    }
    assert_eq!(seen, ids);
    let stats = vendor.stats();
    assert_eq!((stats.requests_of("query"), stats.requests_of("query_more")), (1, 4));
    assert_eq!(stats.records_out, 4 + 2 * 4 + 2 * 2);
}

#[tokio::test]
async fn a_batch_size_is_a_hint_within_bounds() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    vendor.load("Lead", people(5, 2_100));
    for (hint, expected) in
        [("", 2_000), ("batchSize=300", 300), ("batchSize=1", 200), ("batchSize=9999", 2_000)]
    {
        let path = format!("{DATA}/query?{}", encoded(&[("q", "SELECT Id FROM Lead")]));
        let reply = client.send("GET", &path, &[("sforce-query-options", hint)], "").await.unwrap();
        assert_eq!(reply.json()["records"].as_array().unwrap().len(), expected, "{hint}");
    }
}

#[tokio::test]
async fn a_locator_keeps_the_ids_of_its_query() {
    let vendor = Salesforce::builder().page_size(2).start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor.load("Lead", people(5, 6));
    let soql = "SELECT Id, LastName FROM Lead ORDER BY LastName";
    let first = run(&client, "query", soql).await.with_status(200);
    let order: Vec<String> = {
        let mut leads = vendor.records("Lead");
        leads.sort_by_key(|lead| lead["LastName"].as_str().unwrap().to_lowercase());
        leads.iter().map(|lead| lead["Id"].as_str().unwrap().to_owned()).collect()
    };
    // The data moves on: one more lead at the front, one deleted, one renamed to the front.
    vendor.load("Lead", [record(json!({"LastName": "AAA", "Company": "New"}))]);
    vendor.delete("Lead", &order[2]);
    vendor.update("Lead", &order[3], &record(json!({"LastName": "AAB"})));
    let second = client.get(first["nextRecordsUrl"].as_str().unwrap()).await.with_status(200);
    assert_eq!(second["totalSize"], 6);
    assert_eq!(second["records"].as_array().unwrap().len(), 1);
    assert_eq!(second["records"][0]["Id"], order[3].as_str());
    assert_eq!(second["records"][0]["LastName"], "AAB", "the record is shown as it is now");
    vendor.expire_locators();
    let expired = client.get(second["nextRecordsUrl"].as_str().unwrap()).await.with_status(400);
    assert_eq!(expired[0]["errorCode"], "INVALID_QUERY_LOCATOR");
    let nonsense = client.get(&format!("{DATA}/query/01g000000000000AAA-x")).await.with_status(400);
    assert_eq!(nonsense[0]["errorCode"], "INVALID_QUERY_LOCATOR");
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn deleted_records_are_seen_by_query_all_alone() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor.load("Lead", people(5, 3));
    vendor.delete("Lead", &ids[1]);
    let soql = "SELECT Id, IsDeleted FROM Lead";
    assert_eq!(query(&client, soql).await.len(), 2);
    let all = run(&client, "queryAll", soql).await.with_status(200);
    let deleted: Vec<bool> = all["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["IsDeleted"].as_bool().unwrap())
        .collect();
    assert_eq!(deleted, [false, true, false]);
    let only = run(&client, "queryAll", "SELECT Id FROM Lead WHERE IsDeleted = true").await.with_status(200);
    assert_eq!(only["records"][0]["Id"], ids[1].as_str());
    assert_eq!(vendor.count("Lead"), 2);
}

#[tokio::test]
async fn conditions_mean_what_they_say() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let lead = |name: &str, rest: Value| {
        let mut lead = record(json!({"LastName": name, "Company": "C"}));
        lead.extend(record(rest));
        lead
    };
    let ids = vendor.load(
        "Lead",
        [
            lead("Ada", json!({"Title": "CEO", "NumberOfEmployees": 5, "AnnualSpend__c": 10.5, "ConsentDate__c": "2026-01-01"})),
            lead("Bob", json!({"Title": "ceo", "NumberOfEmployees": 50, "DoNotCall": true, "LastWebVisit__c": "2026-01-02T00:00:00Z"})),
            lead("Cy", json!({"NumberOfEmployees": 500, "Rating": "Hot", "Company": "50% off_now"})),
        ],
    );
    let first = &ids[0];
    for (condition, expected) in [
        ("LastName = 'ada'", "Ada"),
        ("LastName != 'Ada'", "Bob Cy"),
        ("Title = 'CEO'", "Ada Bob"),
        ("Title != 'CEO'", "Cy"),
        ("Title = null", "Cy"),
        ("Title <> null", "Ada Bob"),
        ("Title > 'a'", "Ada Bob"),
        ("NumberOfEmployees > 5", "Bob Cy"),
        ("NumberOfEmployees >= 5 AND NumberOfEmployees <= 50", "Ada Bob"),
        ("AnnualSpend__c = 10.50", "Ada"),
        ("AnnualSpend__c < 10", ""),
        ("DoNotCall = TRUE", "Bob"),
        ("DoNotCall = false", "Ada Cy"),
        ("ConsentDate__c >= 2026-01-01", "Ada"),
        ("LastWebVisit__c < 2026-01-02T00:00:00.001Z", "Bob"),
        ("LastWebVisit__c = 2026-01-02T01:00:00+01:00", "Bob"),
        ("LastName IN ('ADA', 'cy')", "Ada Cy"),
        ("LastName NOT IN ('Ada', 'Cy')", "Bob"),
        ("NumberOfEmployees IN (5, 500)", "Ada Cy"),
        ("Title IN ('CEO', null)", "Ada Bob Cy"),
        ("LastName LIKE '%a'", "Ada"),
        ("LastName LIKE '_o%'", "Bob"),
        (r"Company LIKE '50\% off\_now'", "Cy"),
        (r"Company LIKE '5%\_n%w'", "Cy"),
        ("NOT LastName = 'Ada'", "Bob Cy"),
        ("(NOT (LastName = 'Ada' OR Rating = 'Hot'))", "Bob"),
        ("(LastName = 'Ada' AND Title = 'CEO') OR Rating = 'Hot'", "Ada Cy"),
        ("Lead.LastName = 'Ada'", "Ada"),
        ("SystemModstamp > 2026-01-02T03:04:05.001Z", ""),
        ("SystemModstamp >= 2026-01-02T03:04:05.001Z", "Ada Bob Cy"),
    ] {
        assert_eq!(names(&client, condition).await.join(" "), expected, "{condition}");
    }
    assert_eq!(names(&client, &format!("Id > '{first}'")).await, ["Bob", "Cy"]);
    assert_eq!(names(&client, &format!("Id = '{}'", &first[..15])).await, ["Ada"]);
    let keyset = format!(
        "SystemModstamp > 2026-01-02T03:04:05.001Z OR (SystemModstamp = 2026-01-02T03:04:05.001Z AND Id > '{first}')"
    );
    assert_eq!(names(&client, &keyset).await, ["Bob", "Cy"]);
}

#[tokio::test]
async fn texts_with_quotes_backslashes_and_line_breaks_are_found() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    for name in ["O'Brien", "back\\slash", "line\nbreak", "' OR LastName != '", "Zoë 日本"] {
        vendor.load("Lead", [record(json!({"LastName": name, "Company": "C"}))]);
        let escaped = name.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n");
        assert_eq!(names(&client, &format!("LastName = '{escaped}'")).await, [name]);
    }
}

#[tokio::test]
async fn order_limit_offset_and_count() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let leads = [("A", Some(2)), ("B", None), ("C", Some(1)), ("D", Some(2))];
    vendor.load(
        "Lead",
        leads.map(|(name, employees)| {
            record(json!({"LastName": name, "Company": "C", "NumberOfEmployees": employees}))
        }),
    );
    for (rest, expected) in [
        ("ORDER BY NumberOfEmployees", "BCAD"),
        ("ORDER BY NumberOfEmployees NULLS LAST", "CADB"),
        ("ORDER BY NumberOfEmployees DESC, LastName DESC", "BDAC"),
        ("ORDER BY NumberOfEmployees DESC NULLS LAST, LastName ASC LIMIT 2", "AD"),
        ("ORDER BY LastName DESC LIMIT 2 OFFSET 1", "CB"),
        ("ORDER BY Id DESC", "DCBA"),
        ("ORDER BY SystemModstamp ASC, Id ASC LIMIT 3", "ABC"),
        ("WHERE LastName > 'A' LIMIT 1", "B"),
        ("LIMIT 0", ""),
    ] {
        let records = query(&client, &format!("SELECT LastName FROM Lead {rest}")).await;
        let names: String = records.iter().map(|record| record["LastName"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{rest}");
    }
    let count =
        run(&client, "query", "SELECT COUNT() FROM Lead WHERE NumberOfEmployees > 1").await.with_status(200);
    assert_eq!(count, json!({"totalSize": 2, "done": true, "records": []}));
    let limited = run(&client, "query", "SELECT Id FROM Lead LIMIT 3").await.with_status(200);
    assert_eq!(limited["totalSize"], 3);
}

#[tokio::test]
async fn relations_lead_to_the_parent() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let accounts = vendor.load("Account", [record(json!({"Name": "Acme", "Industry": "Banking"}))]);
    vendor.load(
        "Contact",
        [json!({"LastName": "In", "AccountId": accounts[0]}), json!({"LastName": "Out"})].map(record),
    );
    let contacts =
        query(&client, "SELECT LastName, Account.Name, Account.Industry FROM Contact ORDER BY LastName")
            .await;
    assert_eq!(contacts[0]["Account"]["attributes"]["type"], "Account");
    assert_eq!(contacts[0]["Account"]["Name"], "Acme");
    assert_eq!(contacts[0]["Account"]["Industry"], "Banking");
    assert_eq!(contacts[1]["Account"], Value::Null);
    let found = query(&client, "SELECT Id FROM Contact WHERE Account.Name = 'acme'").await;
    assert_eq!(found.len(), 1);
    let wrong = run(&client, "query", "SELECT Owner.Name FROM Contact").await.with_status(400);
    assert_eq!(wrong[0]["errorCode"], "INVALID_FIELD");
}

#[tokio::test]
async fn compound_and_formula_fields_are_computed() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let ids = vendor
        .load("Lead", [record(json!({"FirstName": "A", "LastName": "B", "Company": "C", "City": "Köln"}))]);
    vendor.update("Lead", &ids[0], &record(json!({"FirstName": null, "Company": "D"})));
    let lead = &query(&client, "SELECT Name, DisplayName__c, Address FROM Lead").await[0];
    assert_eq!((&lead["Name"], &lead["DisplayName__c"]), (&json!("B"), &json!("B (D)")));
    assert_eq!(lead["Address"]["city"], "Köln");
}

#[tokio::test]
async fn what_can_not_be_run_is_refused_with_the_vendors_code() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    for (soql, code, says) in [
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY", "unexpected end"),
        ("SELECT Id FROM Lead WHERE LastName = 'x' AND Title = 'y' OR Title = 'z'", "MALFORMED_QUERY", "OR"),
        ("SELECT Id FROM Lead WHERE LastName = 'x", "MALFORMED_QUERY", ""),
        ("SELECT Id, Nope FROM Lead", "INVALID_FIELD", "No such column 'Nope' on entity 'Lead'"),
        ("SELECT Id FROM Lead WHERE Nope = 1", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT Id FROM Lead ORDER BY Nope", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT COUNT() FROM Lead WHERE Nope = 1", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT Id, Id FROM Lead", "INVALID_FIELD", "duplicate field"),
        ("SELECT Id FROM Nope", "INVALID_TYPE", "Nope"),
        ("SELECT Id FROM Lead WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Lead WHERE SystemModstamp > '2026-01-02T03:04:05Z'", "INVALID_FIELD", "dateTime"),
        ("SELECT Id FROM Lead WHERE ConsentDate__c = 2026-01-02T03:04:05Z", "INVALID_FIELD", "date"),
        ("SELECT Id FROM Lead WHERE LastName = 5", "INVALID_FIELD", "enclosed in quotes"),
        ("SELECT Id FROM Lead WHERE NumberOfEmployees = '5'", "INVALID_FIELD", "not be enclosed in quotes"),
        ("SELECT Id FROM Lead WHERE DoNotCall = 1", "INVALID_FIELD", "boolean"),
        ("SELECT Id FROM Lead WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field"),
        ("SELECT Id FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
    ] {
        let errors = run(&client, "query", soql).await.with_status(400);
        assert_eq!(errors[0]["errorCode"], code, "{soql}");
        assert!(errors[0]["message"].as_str().unwrap().contains(says), "{soql}: {errors}");
    }
    client.get(&format!("{DATA}/query")).await.with_status(400);
}
