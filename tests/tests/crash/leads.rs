//! The leads, what becomes of each of them, and the proof that it did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acople::{ErrorKind, Stage};
use acople_testkit::sandbox::{Record, Salesforce, people};
use serde_json::{Value, json};

use crate::world::World;

/// No contact has this address, and no portal takes it.
const BAD_EMAIL: &str = "not-an-email";

/// No table knows this status.
const BAD_STATUS: &str = "Lost in Translation";

/// Loads `n` leads: many share a time, two in seventeen will be refused, one by the mapping and one by the
/// destination.
pub fn load(org: &Salesforce, seed: u64, n: usize) {
    let leads: Vec<Record> = people(seed, n)
        .enumerate()
        .map(|(index, mut lead)| {
            spoil(&mut lead, index);
            lead
        })
        .collect();
    let Some((newest, others)) = leads.split_last() else { return };
    for group in others.chunks(95) {
        org.load("Lead", group.iter().cloned());
        org.advance(Duration::from_secs(10));
    }
    // Alone in its time: going back a second behind it brings no other again.
    org.load("Lead", [newest.clone()]);
    org.advance(Duration::from_secs(10));
}

fn spoil(lead: &mut Record, index: usize) {
    match index % 17 {
        5 => drop(lead.insert("Email".into(), json!(BAD_EMAIL))),
        11 => drop(lead.insert("Status".into(), json!(BAD_STATUS))),
        _ => {}
    }
}

/// Changes, adds and deletes leads. Gives how many.
pub fn change(world: &World, random: &mut fastrand::Rng, round: u64) -> u64 {
    let org = &world.org;
    let mut touched = 0;
    let set = |id: &str, name: &str, value: Value| {
        org.advance(Duration::from_millis(40));
        org.update("Lead", id, &Record::from_iter([(name.to_owned(), value)]));
    };
    for lead in org.records("Lead") {
        let id = text(&lead, "Id").unwrap();
        match random.u32(0..60) {
            0 => set(&id, "Title", json!(format!("Title {round}"))),
            1 => set(&id, "FirstName", Value::Null),
            2 => set(&id, "Email", json!(format!("moved.{round}.{id}@example.com"))),
            3 => set(&id, "Status", json!("Working - Contacted")),
            4 => set(&id, "Company", json!("B\u{fc}ro \"Nord\"\n& S\u{f6}hne")),
            5 => set(&id, "Status", json!(BAD_STATUS)),
            6 => {
                org.advance(Duration::from_millis(40));
                org.delete("Lead", &id);
            }
            _ => continue,
        }
        touched += 1;
    }
    org.advance(Duration::from_secs(5));
    let new = people(1_000 + round, 50).enumerate().map(|(index, mut lead)| {
        spoil(&mut lead, index);
        lead
    });
    touched += org.load("Lead", new).len() as u64;
    org.advance(Duration::from_secs(5));
    touched
}

/// What the portal has to show for a lead, or why it is in quarantine.
///
/// Written out once more, apart from the table that the sync uses.
pub fn fate(lead: &Record) -> Result<BTreeMap<&'static str, String>, (Stage, ErrorKind)> {
    let status = match text(lead, "Status").as_deref() {
        Some("Open - Not Contacted") => "NEW",
        Some("Working - Contacted") => "IN_PROGRESS",
        Some("Closed - Not Converted") => "UNQUALIFIED",
        _ => return Err((Stage::Map, ErrorKind::Invalid)),
    };
    let email = text(lead, "Email");
    if email.as_deref() == Some(BAD_EMAIL) {
        return Err((Stage::Write, ErrorKind::Invalid));
    }
    let fields = [
        ("salesforce_lead_id", text(lead, "Id")),
        ("firstname", text(lead, "FirstName")),
        ("lastname", text(lead, "LastName")),
        ("company", text(lead, "Company")),
        // The portal keeps addresses in lower case.
        ("email", email.map(|email| email.to_lowercase())),
        ("phone", text(lead, "Phone")),
        ("jobtitle", text(lead, "Title")),
        ("leadsource", text(lead, "LeadSource")),
        ("hs_lead_status", Some(status.to_owned())),
    ];
    Ok(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// How many leads the mapping lets through.
pub fn mapped(org: &Salesforce) -> u64 {
    let leads = org.records("Lead");
    let passed = leads.iter().filter(|lead| !matches!(fate(lead), Err((Stage::Map, _))));
    passed.count() as u64
}

/// Every lead is where it belongs, once, as it is now; and there is nothing else.
pub async fn verify(world: &World) {
    let mut contacts: BTreeMap<String, Record> = BTreeMap::new();
    let mut emails = BTreeSet::new();
    for contact in world.portal.records("contacts") {
        if let Some(email) = text(&contact, "email") {
            assert!(emails.insert(email.clone()), "{email} is there twice");
        }
        let id = text(&contact, "salesforce_lead_id").unwrap();
        assert!(contacts.insert(id.clone(), contact).is_none(), "{id} is there twice");
    }
    let mut quarantine = world.quarantine().await;
    let leads = world.org.records("Lead");
    for lead in &leads {
        let id = text(lead, "Id").unwrap();
        let contact = contacts.remove(&id);
        let aside = quarantine.remove(&id);
        match (fate(lead), aside) {
            (Ok(expected), None) => {
                let contact = contact.unwrap_or_else(|| panic!("{id} is lost"));
                let names = [
                    "salesforce_lead_id",
                    "firstname",
                    "lastname",
                    "company",
                    "email",
                    "phone",
                    "jobtitle",
                    "leadsource",
                    "hs_lead_status",
                ];
                let shown: BTreeMap<&str, String> =
                    names.into_iter().filter_map(|name| Some((name, text(&contact, name)?))).collect();
                assert_eq!(shown, expected, "{id}");
            }
            (Err((stage, kind)), Some(aside)) => {
                assert!(contact.is_none() || world.runs > 1, "{id} is refused and there all the same");
                assert_eq!((aside.stage, aside.error.kind()), (stage, kind), "{id}");
                assert!(!aside.error.message().is_empty());
                let kept: Record = serde_json::from_str(&aside.record).unwrap();
                for name in ["Email", "Status", "LastName"] {
                    assert_eq!(text(&kept, name), text(lead, name), "{id}: not its newest version");
                }
            }
            (Ok(_), Some(aside)) => panic!("{id} is in quarantine: {:?}", aside.error),
            (Err(_), None) => panic!("{id} is lost: not in quarantine"),
        }
    }
    assert_eq!(contacts.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "contacts of no lead");
    assert_eq!(quarantine.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "quarantined for no lead");
}

pub fn text(record: &Record, name: &str) -> Option<String> {
    record.get(name)?.as_str().map(str::to_owned)
}
