//! `invoke`: actions by name.

use serde_json::{Value, json};

use crate::{World, leads};

#[tokio::test(flavor = "multi_thread")]
async fn an_action_takes_its_input_from_the_line_a_file_or_a_pipe() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(3));
    let query = json!({"soql": "SELECT Id FROM Lead"}).to_string();
    world.write("query.json", &query);
    world.write("query.yaml", "soql: SELECT Id FROM Lead");
    for input in [query.as_str(), "@query.json", "@query.yaml", "-"] {
        let run = world.salesforce("invoke query").arg("--input").arg(input).stdin(query.as_str());
        let answer: Value = serde_json::from_str(&run.done().await.succeeded()).unwrap();
        assert_eq!(answer["records"].as_array().unwrap().len(), 3, "{input}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_action_lists_those_there_are() {
    let world = World::new().await;
    let error = world.salesforce("invoke qwery").done().await.failed(2);
    assert!(error.contains("query, limits"), "{error}");
    let error = world.salesforce("invoke query --input {soql").done().await.failed(2);
    assert!(error.contains("--input") && error.contains("line 1"), "{error}");
    assert_eq!(world.salesforce.stats().requests_total(), 0);
}
