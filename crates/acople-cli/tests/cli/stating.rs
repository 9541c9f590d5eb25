//! `state`, and the runs that ask: what is remembered is shown, moved, reset and approved.

use serde_json::{Value, json};

use crate::{MAPPING, World, leads, lines, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_shown_exported_reset_and_imported() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(7));
    world.sync_file(MAPPING);
    // Looking needs the store alone, not the connections' secrets.
    let run = |args: &[&str]| world.run(args).without_env("SF_SECRET").without_env("HS_TOKEN").done();
    let none = run(&["state", "show", "sync.yaml"]).await.succeeded();
    assert!(none.contains("leads / Lead: has not run yet"), "{none}");
    world.run(["sync", "sync.yaml"]).done().await.succeeded();
    let shown = lines(&run(&["state", "show", "sync.yaml", "--json"]).await.succeeded());
    assert_eq!((&shown[0]["complete"], &shown[0]["processed"]), (&json!(true), &json!(7)));
    let text = run(&["state", "show", "sync.yaml"]).await.succeeded();
    assert!(text.contains("is complete; 7 read, 7 synced, 0 refused"), "{text}");

    let exported = run(&["state", "export", "sync.yaml"]).await.succeeded();
    world.write("state.json", &exported);
    run(&["state", "reset", "sync.yaml"]).await.succeeded();
    let anew = lines(&world.run(["sync", "sync.yaml", "--json"]).done().await.succeeded());
    assert_eq!(anew[0]["processed"], 7, "it starts from the beginning");
    run(&["state", "import", "sync.yaml", "state.json"]).await.failed(6);
    let imported = run(&["state", "import", "sync.yaml", "state.json", "--replace"]).await.succeeded();
    assert!(imported.contains("1 of 1 states are written"), "{imported}");
    world.write("state.json", "{\"version\": 1}");
    run(&["state", "import", "sync.yaml", "state.json"]).await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_syncs_is_reset_by_its_name() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(2));
    let one = |name: &str| {
        format!(
            "- name: {name}\n  source: {{ connector: salesforce, stream: Lead, config_file: salesforce.yaml }}\n  \
             destination: {{ connector: hubspot, stream: contacts, config_file: hubspot.yaml }}\n  \
             mapping: {{ rules: [{{ from: Id, to: properties.salesforce_lead_id, key: true }}] }}\n"
        )
    };
    world.write("sync.yaml", &format!("store: {{ path: state.redb }}\nsyncs:\n{}{}", one("a"), one("b")));
    world.run(["sync", "sync.yaml"]).done().await.succeeded();
    world.run(["state", "reset", "sync.yaml"]).done().await.failed(2);
    world.run(["state", "reset", "sync.yaml", "--only", "b"]).done().await.succeeded();
    let shown = lines(&world.run(["state", "show", "sync.yaml", "--json"]).done().await.succeeded());
    assert_eq!(shown.iter().map(|state| state["run"].is_null()).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_10_a_run_that_would_delete_much_asks_and_goes_on_when_it_is_approved() {
    let world = World::new().await;
    let ids = world.salesforce.load("Lead", leads(10));
    world.sync_file(&format!("{MAPPING}\nmode: full\ndelete_vanished: {{ share: 0.3, floor: 0 }}"));
    world.run(["sync", "sync.yaml"]).done().await.succeeded();
    world.run(["sync", "sync.yaml", "--approve"]).done().await.failed(6);
    for id in &ids[..4] {
        world.salesforce.delete("Lead", id);
    }
    let asks = world.run(["sync", "sync.yaml", "--json"]).done().await;
    let report: Value = lines(&asks.stdout).remove(0);
    assert_eq!((&report["end"], &report["cause"]), (&json!("paused"), &json!("approval")));
    assert_eq!((&report["deletions"]["gone"], &report["deletions"]["known"]), (&json!(4), &json!(10)));
    assert!(asks.failed(6).contains("4 of 10 records (40 %)"));
    assert_eq!(world.hubspot.count("contacts"), 10);
    let waits = world.run(["state", "show", "sync.yaml"]).done().await.succeeded();
    assert!(waits.contains("waits for approval: delete 4 of 10"), "{waits}");

    let report = world.run(["sync", "sync.yaml", "--approve"]).done().await.succeeded();
    assert!(report.contains("4 deleted"), "{report}");
    assert_eq!(world.hubspot.count("contacts"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_records_are_chosen_by_filter() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(3));
    world.salesforce.load("Lead", [record(json!({"LastName": "No mail", "Company": "A"}))]);
    world.sync_file(MAPPING);
    world.run(["sync", "sync.yaml"]).done().await.failed(3);
    let list = async |filter: &[&str]| {
        let args = ["quarantine", "list", "sync.yaml", "--json"].iter().chain(filter);
        lines(&world.run(args).done().await.succeeded())
    };
    assert_eq!(list(&["--stage", "map"]).await[0]["attempts"], 1);
    assert_eq!(list(&["--stream", "Lead", "--since", "2020-01-01T00:00:00Z"]).await.len(), 1);
    for nothing in [
        &["--stage", "write"][..],
        &["--code", "OTHER"],
        &["--stream", "Contact"],
        &["--before", "2020-01-01T00:00:00Z"],
    ] {
        assert!(list(nothing).await.is_empty(), "{nothing:?}");
    }
    let replay = ["quarantine", "replay", "sync.yaml", "--stage", "write"];
    assert!(world.run(replay).done().await.succeeded().contains("0 tried"));
    let replay = ["quarantine", "replay", "sync.yaml", "--stage", "map"];
    world.run(replay).done().await.failed(3);
    assert_eq!(list(&[]).await[0]["attempts"], 2);
    world.run(["quarantine", "list", "sync.yaml", "--since", "yesterday"]).done().await.failed(2);
}
