//! The quickstart with accounts from the environment, here those of the sandboxes.

#![allow(clippy::unwrap_used)] // a test that fails may panic

use std::path::{Path, PathBuf};
use std::process::Output;

use acople_testkit::sandbox::hubspot::Property;
use acople_testkit::sandbox::{HubSpot, Salesforce, people};
use tokio::process::Command;

/// Cargo builds the examples of a package beside its tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join("quickstart")
}

async fn quickstart(org: &Salesforce, portal: &HubSpot, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .env("SALESFORCE_INSTANCE_URL", org.url())
        .env("SALESFORCE_ACCESS_TOKEN", org.access_token())
        .env("HUBSPOT_BASE_URL", portal.url())
        .env("HUBSPOT_TOKEN", portal.credentials().private_token)
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_accounts_nothing_is_written_unless_it_is_asked_for() {
    let org = Salesforce::start().await.unwrap();
    let portal = HubSpot::start().await.unwrap();
    portal.add_property("contacts", Property::text("salesforce_lead_id").unique());
    org.load("Lead", people(11, 300));
    let folder = tempfile::tempdir().unwrap();

    let dry = quickstart(&org, &portal, folder.path(), &[]).await;
    let said = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.status.success(), "{said} {}", String::from_utf8_lossy(&dry.stderr));
    assert!(said.contains("dry run") && said.contains("300 leads read, 300 would be written"), "{said}");
    assert_eq!(portal.count("contacts"), 0);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "a dry run leaves no state");

    let wet = quickstart(&org, &portal, folder.path(), &["--write"]).await;
    let said = String::from_utf8_lossy(&wet.stdout).into_owned();
    assert!(wet.status.success(), "{said} {}", String::from_utf8_lossy(&wet.stderr));
    assert!(portal.count("contacts") >= 297, "{said}");
    let token = portal.credentials().private_token;
    assert!(!said.contains(&token) && !String::from_utf8_lossy(&wet.stderr).contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_alone_is_told_as_such() {
    let output = Command::new(program())
        .env_remove("SALESFORCE_ACCESS_TOKEN")
        .env_remove("SALESFORCE_REFRESH_TOKEN")
        .env("HUBSPOT_TOKEN", "pat-canary")
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("both accounts") && !said.contains("canary"), "{said}");
}
