//! `connectors`, `spec`, `check`, `discover`, and what can be wrong with a connection.

use acople_testkit::sandbox::{HubSpot, Salesforce, Then};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{World, acople, lead, lines};

#[tokio::test]
async fn connectors_lists_every_vendor_of_the_registry() {
    let table = acople(["connectors"]).done().await.succeeded();
    let json = acople(["connectors", "--json"]).done().await.succeeded();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), acople::vendors().len());
    for (vendor, listed) in acople::vendors().iter().zip(json.as_array().unwrap()) {
        assert_eq!(listed["id"], vendor.id);
        assert!(table.lines().any(|line| line.starts_with(vendor.id) && line.contains(vendor.summary)));
    }
}

#[tokio::test]
async fn spec_marks_the_secrets() {
    let spec = acople(["spec", "hubspot"]).done().await.succeeded();
    assert!(spec.contains("\"writeOnly\": true") && spec.contains("\"format\": \"password\""));
    let schema: Value = serde_json::from_str(&spec).unwrap();
    assert!(schema["properties"]["base_url"].is_object());
    let error = acople(["spec", "hubspott"]).done().await.failed(2);
    assert!(error.contains("hubspot, salesforce"), "{error}");
}

#[tokio::test]
async fn help_tells_the_exit_codes_and_a_wrong_command_line_is_code_2() {
    let help = acople(["--help"]).done().await.succeeded();
    assert!(help.contains("130  interrupted"), "{help}");
    assert!(acople(["chekc"]).done().await.failed(2).contains("check"));
    acople(["check"]).done().await.failed(2);
    acople(["read", "--connector", "hubspot", "--stream", "contacts", "--mode", "some"])
        .done()
        .await
        .failed(2);
    acople::<&str>([]).done().await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_who_answers() {
    let world = World::new().await;
    let text = world.salesforce("check").done().await.succeeded();
    assert!(text.starts_with("ok: org at 127.0.0.1"), "{text}");
    let json = lines(&world.hubspot("check --json").done().await.succeeded());
    assert!(json[0]["summary"].as_str().unwrap().contains("answers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn discover_lists_streams_and_describes_one() {
    let world = World::new().await;
    let table = world.salesforce("discover").done().await.succeeded();
    let line = table.lines().find(|line| line.starts_with("Lead ")).unwrap();
    assert!(line.contains("full,incremental") && line.contains("upsert"), "{line}");
    let catalog = lines(&world.salesforce("discover --json").done().await.succeeded());
    assert!(catalog[0]["streams"].as_array().unwrap().iter().any(|s| s["name"] == "Lead"));

    let one = world.salesforce("discover --stream Lead").done().await.succeeded();
    assert!(one.lines().any(|line| line.starts_with("LastName ")), "{one}");
    let one = lines(&world.hubspot("discover --stream contacts --json").done().await.succeeded());
    assert_eq!(one[0]["name"], "contacts");
    let error = world.salesforce("discover --stream Leed").done().await;
    assert!(error.stderr.contains("Leed"), "{}", error.stderr);
    error.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_comes_from_standard_input_or_json_as_well() {
    let world = World::new().await;
    let args = ["check", "--connector", "hubspot", "--config", "-"];
    world.run(args).stdin(world.hubspot_config()).done().await.succeeded();
    let json = format!(r#"{{"auth": {{"token": "${{HS_TOKEN}}"}}, "base_url": "{}"}}"#, world.hubspot.url());
    world.write("hubspot.json", &json);
    world.run(["check", "--connector", "hubspot", "--config", "hubspot.json"]).done().await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_config_names_the_field_and_sends_nothing() {
    let world = World::new().await;
    let check = |name: &str, text: &str| {
        world.write(name, text);
        world.run(["check", "--connector", "hubspot", "--config", name]).done()
    };
    let typo = check("typo.yaml", "auth: { token: hunter2-hunter2 }\nbase_urll: https://x").await.failed(2);
    assert!(typo.contains("base_urll") && typo.contains("hint: fix the configuration"), "{typo}");
    let kind = check("kind.yaml", "auth: { token: [hunter2-hunter2] }").await.failed(2);
    assert!(kind.contains("field: auth.token") && !kind.contains("hunter2"), "{kind}");
    let broken = check("broken.yaml", "auth:\n  token: \"hunter2").await.failed(2);
    assert!(broken.contains("line") && !broken.contains("hunter2"), "{broken}");
    let none = check("none.yaml", "tier: free").await.failed(2);
    assert!(none.contains("auth"), "{none}");
    let absent =
        world.run(["check", "--connector", "hubspot", "--config", "absent.yaml"]).done().await.failed(2);
    assert!(absent.contains("absent.yaml"), "{absent}");
    assert_eq!(world.hubspot.stats().requests_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_variable_names_the_field_and_itself() {
    let world = World::new().await;
    let error = world.hubspot("check").without_env("HS_TOKEN").done().await.failed(2);
    assert!(error.contains("HS_TOKEN is not set") && error.contains("field: auth.token"), "{error}");
}

#[tokio::test]
async fn an_unknown_connector_lists_those_there_are() {
    let error = acople(["check", "--connector", "salesfarce"]).done().await.failed(2);
    assert!(error.contains("salesfarce") && error.contains("hubspot, salesforce"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_code_4() {
    let world = World::new().await;
    let error = world.hubspot("check").secret("HS_TOKEN", "pat-wrong-canary").done().await.failed(4);
    assert!(error.contains("hint: connect the account again"), "{error}");
    world.salesforce.revoke_grants();
    world.salesforce("check").done().await.failed(4);
    let read = world.salesforce("read --stream Lead").done().await;
    assert_eq!(read.stdout, "");
    read.failed(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_reached_is_code_5() {
    let world = World::new().await;
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    world.write("away.yaml", &format!("auth: {{ token: \"${{HS_TOKEN}}\" }}\nbase_url: {url}"));
    let error =
        world.run(["check", "--connector", "hubspot", "--config", "away.yaml"]).done().await.failed(5);
    assert!(error.contains("no connection") && error.contains("hint: try again"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_network_is_closed_unless_opened() {
    let world = World::new().await;
    // The cloud's metadata service in place of a private address: nothing is ever sent there by accident.
    world.write("inside.yaml", "auth: { token: \"${HS_TOKEN}\" }\nbase_url: https://169.254.169.254");
    let check = ["check", "--connector", "hubspot", "--config", "inside.yaml"];
    let error = world.run(check).done().await.failed(2);
    assert!(error.contains("a cloud's metadata service"), "{error}");
    // What is opened is open, and nothing else is.
    let other =
        world.run(check).arg("--allow-private").arg("10.0.0.0/8").arg("--allow-private").arg("erp.example");
    other.done().await.failed(2);
    let wrong = world.run(check).arg("--allow-private").arg("https://erp.example").done().await.failed(2);
    assert!(wrong.contains("--allow-private") && wrong.contains("neither a host name"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_quota_is_code_5_and_says_when() {
    let world = World::with(Salesforce::builder(), HubSpot::builder().daily_limit(0)).await;
    let error = world.hubspot("read --stream contacts").done().await.failed(5);
    assert!(error.contains("when: 20") && error.contains("(in "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_answer_is_code_6() {
    let world = World::new().await;
    world.hubspot.on_request(|_| Then::html(200, "<html>be right back</html>"));
    world.hubspot("read --stream contacts").done().await.failed(6);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_to_standard_error_without_colours_and_without_secrets() {
    let world = World::new().await;
    world.salesforce.load("Lead", [lead(1)]);
    world.salesforce.on_request({
        let failed = std::sync::atomic::AtomicBool::new(false);
        move |seen| {
            let first = seen.operation == "query" && !failed.swap(true, std::sync::atomic::Ordering::SeqCst);
            if first { Then::json(503, "[]") } else { Then::Go }
        }
    });
    let ran = world.salesforce("read --stream Lead --log trace").done().await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("trying again") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_vendor_echoes_does_not_come_out() {
    let world = World::new().await;
    let token = world.hubspot.credentials().private_token;
    world.hubspot.on_request(move |_| {
        let body = format!(
            r#"{{"status":"error","message":"bad token {token}","category":"INVALID_AUTHENTICATION"}}"#
        );
        Then::json(401, body)
    });
    // The helper looks for the token in all that comes out.
    let error = world.hubspot("check --log trace").done().await.failed(4);
    assert!(error.contains("bad token"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vendor_says_cannot_drive_the_terminal() {
    let world = World::new().await;
    world.hubspot.on_request(|_| {
        Then::json(400, r#"{"status":"error","message":"\u001b[2J\u001b]0;owned\u0007\nerror: forged","category":"VALIDATION_ERROR"}"#)
    });
    let error = world.hubspot("check").done().await.failed(6);
    assert!(!error.contains('\u{1b}') && !error.contains('\u{7}'), "{error:?}");
    assert!(!error.lines().any(|line| line.starts_with("error: forged")), "{error}");
}
