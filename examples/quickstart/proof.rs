//! Counts and compares both sides, record by record.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;

use acople::QuarantineStore;
use acople::store_redb::RedbStore;
use acople_testkit::sandbox::{HubSpot, Record, Salesforce};

use crate::sync::NAME;

/// Salesforce field and HubSpot property that must agree.
const PAIRS: [(&str, &str); 6] = [
    ("FirstName", "firstname"),
    ("LastName", "lastname"),
    ("Email", "email"),
    ("Phone", "phone"),
    ("Company", "company"),
    ("Title", "jobtitle"),
];

/// Prints the table that shows that nothing is lost, doubled or different. An error when something is.
pub(crate) async fn print(
    salesforce: &Salesforce,
    hubspot: &HubSpot,
    store: &Path,
) -> Result<(), Box<dyn Error>> {
    let leads = salesforce.records("Lead");
    let contacts = hubspot.records("contacts");
    let mut by_lead: HashMap<&str, Vec<&Record>> = HashMap::new();
    for contact in &contacts {
        by_lead.entry(text(contact, "salesforce_lead_id")).or_default().push(contact);
    }
    let store = RedbStore::open(store).await?;
    let aside = store.list(Some(NAME), None, 10_000).await?;
    let refused: Vec<String> = aside.iter().filter_map(|q| id_of(&q.record)).collect();

    let (mut equal, mut missing, mut double, mut different) = (0, 0, 0, 0);
    for lead in &leads {
        let id = text(lead, "Id");
        match by_lead.get(id).map_or(&[][..], Vec::as_slice) {
            // A refused change leaves the version before it.
            [_] | [] if refused.iter().any(|r| r == id) => {}
            [] => missing += 1,
            [contact] if same(lead, contact) => equal += 1,
            [_] => different += 1,
            _ => double += 1,
        }
    }
    println!();
    println!("Salesforce leads                          {:>6}", leads.len());
    println!("HubSpot contacts, equal in every field    {equal:>6}");
    println!("set aside in quarantine                   {:>6}", refused.len());
    println!("missing                                   {missing:>6}");
    println!("doubled                                   {double:>6}");
    println!("different                                 {different:>6}");

    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for record in &aside {
        let fields = record.error.fields().join(", ");
        let code = record.error.code().unwrap_or(record.error.kind().as_str());
        *reasons.entry(format!("{code} ({fields})")).or_default() += 1;
    }
    if !reasons.is_empty() {
        println!();
        println!("why they were set aside:");
        for (reason, count) in reasons {
            println!("  {count:>4}  {reason}");
        }
    }
    if missing + double + different > 0 || equal + refused.len() != leads.len() {
        return Err("the two sides do not agree".into());
    }
    println!();
    println!("Nothing lost, nothing doubled, nothing different.");
    Ok(())
}

fn text<'r>(record: &'r Record, name: &str) -> &'r str {
    record.get(name).and_then(|value| value.as_str()).unwrap_or_default()
}

/// HubSpot keeps e-mail addresses in lower case.
fn same(lead: &Record, contact: &Record) -> bool {
    PAIRS.iter().all(|(field, property)| {
        let (ours, theirs) = (text(lead, field), text(contact, property));
        ours == theirs || (*property == "email" && ours.eq_ignore_ascii_case(theirs))
    })
}

fn id_of(record: &str) -> Option<String> {
    let record: Record = serde_json::from_str(record).ok()?;
    Some(text(&record, "Id").to_owned())
}
