//! `acople sync` from a real server: everything, then what changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use acople_testkit::sandbox::hubspot::{Property, PropertyKind};
use acople_testkit::sandbox::{HubSpot, Record};
use serde_json::{Value, json};

use crate::command::{Done, acople, config, document};
use crate::reading::{by_key, same};
use crate::server::{Server, Version};

/// Partners that are changed between two runs.
const CHANGED: [u32; 5] = [1, 7, 250, 251, 600];

/// Records that may come again without a change: those that share the newest times of the run before.
const LOOK_BACK: u64 = 14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_equal_the_partners_after_a_sync_and_after_changes() {
    for version in [Version::V4, Version::V2] {
        let server = Server::start();
        let portal = portal().await;
        let folder = tempfile::tempdir().unwrap();
        let file = to_contacts(folder.path(), &server, version, &portal);
        let report = sync(&file).await;
        assert_eq!((count(&report, "processed"), count(&report, "created")), (600, 600));
        compare(&portal, &server, version);
        let writes = portal.stats().records_in();
        let due = change(&server);
        let report = sync(&file).await;
        let processed = count(&report, "processed");
        assert!((due..=due + LOOK_BACK).contains(&processed), "{processed} read, {due} changed");
        assert_eq!(count(&report, "created"), 2);
        assert_eq!(portal.stats().records_in() - writes, processed);
        compare(&portal, &server, version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_holds_the_partners_after_a_sync_and_their_changes_after_the_next() {
    for version in [Version::V4, Version::V2] {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let file = document(
            folder.path(),
            "sync.yaml",
            &json!({
                "name": "partners-to-file",
                "source": source(&server, version),
                "destination": {
                    "connector": "file",
                    "stream": "partners",
                    "config": { "directory": folder.path().join("out") },
                },
                "write": "insert",
                "store": { "path": "state.redb" },
            }),
        );
        let lines = || {
            let text = std::fs::read_to_string(folder.path().join("out/partners.jsonl")).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        sync(&file).await;
        let first = lines();
        same(&["BusinessPartner"], &first, &server.rows(version, "BusinessPartners"));
        let due = change(&server);
        let processed = count(&sync(&file).await, "processed");
        assert!((due..=due + LOOK_BACK).contains(&processed), "{processed} read, {due} changed");
        let second = lines();
        assert_eq!(second[..first.len()], first);
        assert_eq!((second.len() - first.len()) as u64, processed);
        // The last line of each partner is how it is now.
        let mut last: BTreeMap<String, Value> = by_key(&["BusinessPartner"], &first);
        last.extend(by_key(&["BusinessPartner"], &second[first.len()..]));
        let truth = by_key(&["BusinessPartner"], &server.rows(version, "BusinessPartners"));
        assert_eq!(last, truth);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_of_an_unknown_set_is_not_begun() {
    let server = Server::start();
    let portal = portal().await;
    let folder = tempfile::tempdir().unwrap();
    let file = to_contacts(folder.path(), &server, Version::V4, &portal);
    let text = std::fs::read_to_string(&file).unwrap().replace("\"BusinessPartners\"", "\"Partners\"");
    std::fs::write(&file, text).unwrap();
    let done = run(&file).await;
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("Partners"), "{}", done.err);
    assert_eq!(portal.count("contacts"), 0);
}

async fn portal() -> HubSpot {
    let portal = HubSpot::builder().start().await.unwrap();
    portal.add_property("contacts", Property::text("sap_partner").unique());
    portal.add_property("contacts", Property::new("credit_limit", PropertyKind::Number));
    portal.add_property("contacts", Property::new("partner_changed_at", PropertyKind::DateTime));
    for name in ["external_number", "statistical_value", "note"] {
        portal.add_property("contacts", Property::text(name));
    }
    portal
}

fn source(server: &Server, version: Version) -> Value {
    json!({
        "connector": "sap",
        "stream": "BusinessPartners",
        "config": config(server, version, "localhost"),
    })
}

fn to_contacts(folder: &Path, server: &Server, version: Version, portal: &HubSpot) -> PathBuf {
    let notation = match version {
        Version::V2 => "odata",
        Version::V4 => "rfc3339",
    };
    let sync = json!({
        "name": "partners-to-contacts",
        "source": source(server, version),
        "destination": {
            "connector": "hubspot",
            "stream": "contacts",
            "config": { "base_url": portal.url(), "auth": { "token": portal.credentials().private_token } },
        },
        "mapping": {
            "name": "partners_to_contacts",
            "nulls": "empty_text",
            "rules": [
                { "from": "BusinessPartner", "to": "properties.sap_partner", "key": true },
                { "from": "FirstName", "to": "properties.firstname" },
                { "from": "BusinessPartnerFullName", "to": "properties.lastname" },
                { "from": "EmailAddress", "to": "properties.email" },
                { "from": "PhoneNumber", "to": "properties.phone" },
                { "from": "CreditLimit", "to": "properties.credit_limit" },
                { "from": "ExternalNumber", "to": "properties.external_number" },
                { "from": "StatisticalValue", "to": "properties.statistical_value" },
                { "from": "Note", "to": "properties.note" },
                {
                    "from": "LastChangeDateTime",
                    "to": "properties.partner_changed_at",
                    "convert": { "datetime": { "from": notation, "to": "rfc3339_millis" } },
                },
            ],
        },
        "store": { "path": "state.redb" },
    });
    document(folder, "sync.yaml", &sync)
}

async fn run(file: &Path) -> Done {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || acople([Path::new("--json"), Path::new("sync"), &file]))
        .await
        .unwrap()
}

/// Runs the syncs of a file; every record must arrive.
async fn sync(file: &Path) -> Value {
    let report = run(file).await.succeeded().records().remove(0);
    assert_eq!(report["end"], "complete", "{report}");
    assert_eq!(count(&report, "refused"), 0, "{report}");
    report
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Changes partners and adds two, and says how many that were.
fn change(server: &Server) -> u64 {
    for number in CHANGED {
        let changes = json!({
            "BusinessPartnerFullName": format!("Renamed {number} 'Übel' 🚀"),
            "CreditLimit": "1234567890123.45",
            "PhoneNumber": Value::Null,
        });
        server.send("PATCH", &format!("BusinessPartners('{number:010}')"), &changes);
    }
    for number in [601, 602] {
        let partner = json!({
            "BusinessPartner": format!("{number:010}"),
            "BusinessPartnerFullName": format!("New {number}"),
            "EmailAddress": format!("new.{number}@example.com"),
            "ExternalNumber": "9223372036854775807",
        });
        server.send("POST", "BusinessPartners", &partner);
    }
    CHANGED.len() as u64 + 2
}

/// Every partner is a contact, once, with the values that the server shows; and there are no others.
fn compare(portal: &HubSpot, server: &Server, version: Version) {
    let contacts: Vec<Value> = portal.records("contacts").into_iter().map(Value::Object).collect();
    let contacts = by_key(&["sap_partner"], &contacts);
    let partners = server.rows(version, "BusinessPartners");
    assert_eq!(contacts.len(), partners.len());
    for partner in &partners {
        let key = partner["BusinessPartner"].as_str().unwrap();
        let contact = contacts.get(key).and_then(Value::as_object).unwrap_or_else(|| panic!("{key} is lost"));
        for (from, to) in [
            ("FirstName", "firstname"),
            ("BusinessPartnerFullName", "lastname"),
            ("EmailAddress", "email"),
            ("PhoneNumber", "phone"),
            ("CreditLimit", "credit_limit"),
            ("ExternalNumber", "external_number"),
            ("StatisticalValue", "statistical_value"),
            ("Note", "note"),
        ] {
            // The portal has no empty texts.
            let expected = partner[from].as_str().filter(|text| !text.is_empty());
            assert_eq!(text(contact, to), expected, "{key} {to}");
        }
        assert_eq!(
            text(contact, "partner_changed_at").and_then(millis),
            partner["LastChangeDateTime"].as_str().and_then(millis),
            "{key}"
        );
    }
}

fn text<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.get(name)?.as_str()
}

/// Milliseconds of a time in either version's notation.
fn millis(text: &str) -> Option<i64> {
    if let Some(number) = text.strip_prefix("/Date(") {
        return number.split(['+', ')']).next()?.parse().ok();
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
