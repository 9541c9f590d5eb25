//! `sync`: the syncs of a file, their reports and exit codes.

use acople_testkit::sandbox::{HubSpot, Salesforce, Then, people};

use crate::{MAPPING, World, lead, leads, lines, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_moves_what_is_there_and_then_what_changes() {
    let world = World::new().await;
    let ids = world.salesforce.load("Lead", leads(120));
    world.sync_file(MAPPING);
    let report = world.run(["sync", "sync.yaml"]).done().await.succeeded();
    assert!(report.contains("leads: complete"), "{report}");
    assert!(report.contains("120 read, 120 synced (120 new), 0 refused, 0 skipped"), "{report}");
    assert_eq!(world.hubspot.count("contacts"), 120);

    world.salesforce.update("Lead", &ids[3], &record(serde_json::json!({"LastName": "Changed"})));
    world.run(["sync", "sync.yaml"]).done().await.succeeded();
    let found = world.hubspot.find("contacts", "salesforce_lead_id", &ids[3]).unwrap();
    assert_eq!(found["lastname"], "Changed");
    assert_eq!(world.hubspot.count("contacts"), 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_one_json_object() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(7));
    world.sync_file(MAPPING);
    let report = lines(&world.run(["sync", "sync.yaml", "--json"]).done().await.succeeded());
    assert_eq!(report.len(), 1);
    assert_eq!(report[0]["sync"], "leads");
    assert_eq!(report[0]["end"], "complete");
    assert_eq!((&report[0]["processed"], &report[0]["synced"]), (&7.into(), &7.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_table_is_used_by_name_and_brings_its_key() {
    let world = World::new().await;
    world.salesforce.load("Lead", people(7, 150));
    world.sync_file("mapping: { table: salesforce_lead_to_hubspot_contact }\nmode: full\ntolerate: 5");
    let ran = world.run(["sync", "sync.yaml", "--json"]).done().await;
    let report = &lines(&ran.stdout)[0];
    assert_eq!(report["processed"], 150);
    assert_eq!(report["end"], "complete");
    let refused = report["refused"].as_u64().unwrap();
    assert_eq!(u64::try_from(world.hubspot.count("contacts")).unwrap() + refused, 150);
    ran.failed(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_refused_beyond_tolerance_are_code_3_and_within_it_none() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(10));
    world.salesforce.load("Lead", [record(serde_json::json!({"LastName": "No mail", "Company": "A"}))]);
    world.sync_file(MAPPING);
    let ran = world.run(["sync", "sync.yaml"]).done().await;
    assert!(ran.stdout.contains("10 synced (10 new), 1 refused"), "{}", ran.stdout);
    assert!(ran.failed(3).contains("acople quarantine list"));
    world.sync_file(&format!("{MAPPING}\ntolerate: 1\nmode: full"));
    world.run(["sync", "sync.yaml"]).done().await.failed(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_syncs_share_store_and_connections() {
    let world = World::with(Salesforce::builder().rotate_refresh_tokens(true), HubSpot::builder()).await;
    world.salesforce.load("Lead", leads(5));
    world.salesforce.load(
        "Contact",
        leads(4).map(|mut contact| {
            contact.remove("Company");
            contact
        }),
    );
    let one = |name: &str, stream: &str, to: &str, field: &str| {
        format!(
            "- name: {name}\n  source: {{ connector: salesforce, stream: {stream}, config_file: salesforce.yaml }}\n  \
             destination: {{ connector: hubspot, stream: {to}, config_file: hubspot.yaml }}\n  \
             write: insert\n  mode: full\n  mapping: {{ rules: [{{ from: LastName, to: properties.{field} }}] }}\n"
        )
    };
    let syncs = one("leads", "Lead", "companies", "name") + &one("people", "Contact", "contacts", "lastname");
    world.write("all.yaml", &format!("store: {{ path: state.redb }}\nsyncs:\n{syncs}"));
    let text = world.run(["sync", "all.yaml", "--json"]).done().await.succeeded();
    let reports = lines(&text);
    assert_eq!((&reports[0]["sync"], &reports[0]["synced"]), (&"leads".into(), &5.into()));
    assert_eq!((&reports[1]["sync"], &reports[1]["synced"]), (&"people".into(), &4.into()));
    // One connector for both: a second one would have found the refresh token used up.
    assert_eq!(world.salesforce.stats().tokens_issued, 1);

    world.salesforce.grant();
    let only = world.run(["sync", "all.yaml", "--json", "--only", "people"]).done().await.succeeded();
    assert_eq!(lines(&only).len(), 1);
    world.run(["sync", "all.yaml", "--only", "nobody"]).done().await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_stops_does_not_keep_the_others_from_running() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(3));
    let one = |name: &str, stream: &str| {
        format!(
            "- name: {name}\n  source: {{ connector: salesforce, stream: {stream}, config_file: salesforce.yaml }}\n  \
             destination: {{ connector: hubspot, stream: companies, config_file: hubspot.yaml }}\n  \
             write: insert\n  mode: full\n  mapping: {{ rules: [{{ from: LastName, to: properties.name }}] }}\n"
        )
    };
    let syncs = one("first", "Leed") + &one("second", "Lead");
    world.write("all.yaml", &format!("store: {{ path: state.redb }}\nsyncs:\n{syncs}"));
    let ran = world.run(["sync", "all.yaml", "--json"]).done().await;
    let reports = lines(&ran.stdout);
    assert_eq!((&reports[0]["sync"], &reports[0]["end"]), (&"first".into(), &"stopped".into()));
    assert_eq!((&reports[1]["sync"], &reports[1]["end"]), (&"second".into(), &"complete".into()));
    assert!(ran.failed(2).contains("Leed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_last_sync_is_known_before_the_first_one_runs() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(3));
    let sync = |name: &str, extra: &str| {
        format!(
            "- name: {name}\n  source: {{ connector: salesforce, stream: Lead, config_file: salesforce.yaml }}\n  \
             destination: {{ connector: hubspot, stream: contacts, config_file: hubspot.yaml }}\n{extra}\n"
        )
    };
    for (extra, field) in [
        ("  tolerat: 1", "tolerat"),
        ("  mode: sometimes", "syncs[1].mode"),
        ("  mapping: { table: nothing }", "syncs[1].mapping.table"),
        ("  mapping: { rules: [{ from: a }] }", "rules[0]"),
    ] {
        let syncs = sync("one", "") + &sync("two", extra);
        world.write("all.yaml", &format!("store: {{ path: state.redb }}\nsyncs:\n{syncs}"));
        let error = world.run(["sync", "all.yaml"]).done().await.failed(2);
        assert!(error.contains(field), "{error}");
    }
    let syncs = sync("one", "") + &sync("one", "");
    world.write("all.yaml", &format!("store: {{ path: state.redb }}\nsyncs:\n{syncs}"));
    assert!(world.run(["sync", "all.yaml"]).done().await.failed(2).contains("syncs[1].name"));
    assert_eq!(world.salesforce.stats().requests_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_connection_is_told_with_its_place_in_the_file() {
    let world = World::new().await;
    let file = |source: &str| {
        let text = format!(
            "name: leads\nstore: {{ path: state.redb }}\nsource:\n{source}\n\
             destination: {{ connector: hubspot, stream: contacts, config_file: hubspot.yaml }}\n"
        );
        world.write("sync.yaml", &text);
        world.run(["sync", "sync.yaml"]).done()
    };
    let typo = file("  connector: hubspot\n  stream: contacts\n  config: { auth: { tokn: canary-canary } }")
        .await
        .failed(2);
    assert!(typo.contains("field: source.config.auth\n") && typo.contains("expected `token`"), "{typo}");
    assert!(!typo.contains("canary"), "{typo}");
    let variable =
        file("  connector: hubspot\n  stream: contacts\n  config: { auth: { token: \"${NO_SUCH}\" } }")
            .await
            .failed(2);
    assert!(
        variable.contains("field: source.config.auth.token") && variable.contains("NO_SUCH"),
        "{variable}"
    );
    let unknown = file("  connector: hubspott\n  stream: contacts").await.failed(2);
    assert!(unknown.contains("field: source.connector"), "{unknown}");
    let missing =
        file("  connector: hubspot\n  stream: contacts\n  config_file: absent.yaml").await.failed(2);
    assert!(missing.contains("field: source.config_file"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_a_file_are_relative_to_it() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(2));
    world.sync_file(MAPPING);
    let file = world.path("sync.yaml");
    let elsewhere = tempfile::tempdir().unwrap();
    world.run(["sync", file.to_str().unwrap()]).folder(elsewhere.path()).done().await.succeeded();
    assert!(world.path("state.redb").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_rotated_tokens_outlive_the_process() {
    let world = World::with(Salesforce::builder().rotate_refresh_tokens(true), HubSpot::builder()).await;
    world.salesforce.load("Lead", [lead(1)]);
    let first = world.salesforce.credentials().refresh_token;
    let text = std::fs::read_to_string(world.sync_file(MAPPING)).unwrap();
    world.write("kept.yaml", &text.replace("path: state.redb", "path: kept.redb, key_env: ACOPLE_KEY"));
    let run = |file: &str| {
        let key = "c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=";
        world.run(["sync", file]).secret("SF_REFRESH", &first).secret("ACOPLE_KEY", key)
    };
    run("kept.yaml").done().await.succeeded();
    run("kept.yaml").done().await.succeeded();
    run("sync.yaml").done().await.failed(4);
    let error = run("kept.yaml").without_env("ACOPLE_KEY").done().await.failed(2);
    assert!(error.contains("field: store.key_env") && error.contains("ACOPLE_KEY is not set"), "{error}");
    let stored = std::fs::read(world.path("kept.redb")).unwrap();
    let newest = world.salesforce.credentials().refresh_token;
    assert!(!stored.windows(newest.len()).any(|w| w == newest.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_down_is_code_5_and_the_next_run_goes_on() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(120));
    world.sync_file(&format!("{MAPPING}\nmode: full\nattempts: 1"));
    let calls = std::sync::atomic::AtomicU64::new(0);
    world.salesforce.on_request(move |seen| {
        let later =
            seen.operation == "query_more" && calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 1;
        if later {
            Then::json(503, r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"busy"}]"#)
        } else {
            Then::Go
        }
    });
    let ran = world.run(["sync", "sync.yaml"]).done().await;
    assert!(ran.stdout.contains("leads: paused"), "{}", ran.stdout);
    let error = ran.failed(5);
    assert!(error.contains("hint: try again") && error.contains("when: "), "{error}");
    let report = &lines(&world.run(["sync", "sync.yaml", "--json"]).done().await.stdout)[0];
    assert_eq!((&report["end"], &report["cause"]), (&"paused".into(), &"outage".into()));
    assert!(report["until"].as_u64().unwrap() > 1_700_000_000, "{report}");
    world.salesforce.clear_hook();
    let report = world.run(["sync", "sync.yaml"]).done().await.succeeded();
    assert!(report.contains("(resumed)") && report.contains("120 read, 120 synced"), "{report}");
    assert_eq!(world.hubspot.count("contacts"), 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_for_terminals() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(500));
    world.sync_file(MAPPING);
    // Long enough for a progress line to be drawn, if there were one.
    world.hubspot.on_request(|_| Then::Delay(std::time::Duration::from_millis(20)));
    let ran = world.run(["sync", "sync.yaml"]).done().await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(!ran.stdout.contains(['\r', '\u{1b}']), "{}", ran.stdout);
}
