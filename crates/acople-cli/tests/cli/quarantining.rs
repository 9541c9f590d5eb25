//! `quarantine`: refused records are listed, shown and replayed.

use serde_json::{Value, json};

use crate::{MAPPING, World, leads, lines, record};

/// A world in which a sync has set one of four leads aside.
async fn world() -> (World, String) {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(3));
    let bad = record(json!({"LastName": "No\u{1b}mail", "Company": "A", "AnnualRevenue": 1_250_000}));
    let id = world.salesforce.load("Lead", [bad]).remove(0);
    world.sync_file(MAPPING);
    world.run(["sync", "sync.yaml"]).done().await.failed(3);
    (world, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_listed_with_reason_and_field() {
    let (world, _) = world().await;
    // Looking needs the store alone, not the connections' secrets.
    let run = |args: &[&str]| world.run(args).without_env("SF_SECRET").without_env("HS_TOKEN").done();
    let text = run(&["quarantine", "list", "sync.yaml"]).await.succeeded();
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("map") && text.contains("[Email]"), "{text}");
    let json = lines(&run(&["quarantine", "list", "sync.yaml", "--json"]).await.succeeded());
    assert_eq!(json[0]["error"]["fields"], json!(["Email"]));
    assert!(json[0].get("record").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_is_shown_whole() {
    let (world, lead) = world().await;
    let list = lines(&world.run(["quarantine", "list", "sync.yaml", "--json"]).done().await.succeeded());
    let id = list[0]["id"].as_str().unwrap();
    let shown = world.run(["quarantine", "show", "sync.yaml", id]).done().await.succeeded();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["record"]["Id"], *lead);
    assert_eq!(shown["record"]["LastName"], "No\u{1b}mail");
    assert_eq!(shown["sync"], "leads");
    world.run(["quarantine", "show", "sync.yaml", "nothing"]).done().await.failed(6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_brings_what_fits_now() {
    let (world, lead) = world().await;
    let still = world.run(["quarantine", "replay", "sync.yaml"]).done().await;
    assert!(still.stdout.contains("1 tried, 0 synced, 1 refused again"), "{}", still.stdout);
    still.failed(3);
    world.run(["quarantine", "replay", "sync.yaml", "nothing"]).done().await.failed(6);

    world.sync_file(&MAPPING.replace(", required: true", ""));
    let done = world.run(["quarantine", "replay", "sync.yaml", "--json"]).done().await.succeeded();
    assert_eq!(lines(&done)[0]["synced"], 1);
    assert!(world.hubspot.find("contacts", "salesforce_lead_id", &lead).is_some());
    assert_eq!(world.run(["quarantine", "list", "sync.yaml"]).done().await.succeeded(), "");
}
