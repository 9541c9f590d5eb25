//! `write`: one outcome for every line, in order.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{World, lines};

fn contact(number: usize) -> String {
    json!({"properties": {"email": format!("c{number}@example.com"), "lastname": format!("C {number}")}})
        .to_string()
}

const UPSERT: &str = "write --stream contacts --mode upsert --key properties.email";

#[tokio::test(flavor = "multi_thread")]
async fn every_line_has_its_outcome_in_order() {
    let world = World::new().await;
    let input: String = (0..250).map(|n| contact(n) + "\n").collect();
    let text = world.hubspot(UPSERT).stdin(input.clone()).done().await.succeeded();
    let outcomes = lines(&text);
    assert_eq!(outcomes.len(), 250);
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["line"], index + 1);
        assert_eq!(outcome["outcome"], "accepted");
        assert_eq!(outcome["created"], true);
        let id = outcome["id"].as_str().unwrap();
        let record = world.hubspot.record("contacts", id).unwrap();
        assert_eq!(record["email"], format!("c{index}@example.com"));
    }
    let again = lines(&world.hubspot(UPSERT).stdin(input).done().await.succeeded());
    assert!(again.iter().all(|outcome| outcome["created"] == false));
    assert_eq!(world.hubspot.count("contacts"), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_refused_alone_and_the_rest_goes_on() {
    let world = World::new().await;
    let mut input = Vec::new();
    input.extend_from_slice(contact(1).as_bytes());
    input.extend_from_slice(b"\n{\"properties\": {\"email\n\n[1,2]\n\xff\xfe{}\n");
    input.extend_from_slice(b"{\"properties\":{\"email\":\"not-an-email\"}}\n");
    input.extend_from_slice(contact(2).as_bytes());
    let ran = world.hubspot(UPSERT).stdin(input).done().await;
    let outcomes = lines(&ran.stdout);
    let told: Vec<(u64, &str)> =
        outcomes.iter().map(|o| (o["line"].as_u64().unwrap(), o["outcome"].as_str().unwrap())).collect();
    let expected =
        [(1, "accepted"), (2, "refused"), (4, "refused"), (5, "refused"), (6, "refused"), (7, "accepted")];
    assert_eq!(told, expected);
    assert_eq!(outcomes[1]["error"]["kind"], "schema");
    assert_eq!(outcomes[4]["error"]["kind"], "invalid");
    assert!(ran.stderr.contains("not accepted: 4 of 6 records"), "{}", ran.stderr);
    ran.failed(3);
    assert_eq!(world.hubspot.count("contacts"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_does_not_wait_for_the_end_of_the_input() {
    let world = World::new().await;
    let mut child = world.hubspot(UPSERT).spawn_fed();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 0..3 {
        input.write_all((contact(number) + "\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
        let line = tokio::time::timeout(Duration::from_secs(60), output.next_line()).await;
        let outcome: Value = serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap();
        assert_eq!(outcome["line"], number + 1);
    }
    drop(input);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_end_the_write_and_no_line_stays_without_outcome() {
    let world = World::new().await;
    let input: String = (0..5).map(|n| contact(n) + "\n").collect();
    let ran = world.hubspot(UPSERT).secret("HS_TOKEN", "pat-wrong-canary").stdin(input).done().await;
    let outcomes = lines(&ran.stdout);
    assert_eq!(outcomes.len(), 5);
    assert!(outcomes.iter().all(|o| o["outcome"] == "refused" && o["error"]["kind"] == "reauth"));
    ran.failed(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_inserted_updated_and_deleted() {
    let world = World::new().await;
    let write = |mode: &str, line: Value| {
        world.salesforce(&format!("write --stream Lead --mode {mode}")).stdin(line.to_string()).done()
    };
    let inserted = write("insert", json!({"LastName": "A", "Company": "B"})).await.succeeded();
    let id = lines(&inserted)[0]["id"].as_str().unwrap().to_owned();
    write("update", json!({"Id": id, "LastName": "C"})).await.succeeded();
    assert_eq!(world.salesforce.record("Lead", &id).unwrap()["LastName"], "C");
    write("delete", json!({"Id": id})).await.succeeded();
    assert_eq!(world.salesforce.count("Lead"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_input_is_no_work() {
    let world = World::new().await;
    assert_eq!(world.hubspot(UPSERT).stdin("\n \n").done().await.succeeded(), "");
    assert_eq!(world.hubspot.stats().requests_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_cannot_be_config_and_records() {
    let world = World::new().await;
    let args = ["write", "--connector", "hubspot", "--config", "-", "--stream", "contacts"];
    world.run(args).stdin("{}").done().await.failed(2);
}
