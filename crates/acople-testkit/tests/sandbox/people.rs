//! The generator of leads.

use std::collections::HashSet;

use acople_testkit::sandbox::{Salesforce, people};

#[test]
fn people_are_the_same_for_the_same_seed() {
    let first: Vec<_> = people(7, 500).collect();
    assert_eq!(first, people(7, 500).collect::<Vec<_>>());
    assert_ne!(first, people(8, 500).collect::<Vec<_>>());
    // A longer run begins as a shorter one.
    assert_eq!(first, people(7, 600).take(500).collect::<Vec<_>>());
}

#[test]
fn one_person_in_a_hundred_is_awkward_and_every_kind_occurs() {
    let all: Vec<_> = people(7, 1_000).collect();
    let text = |field: &str| {
        all.iter().map(|p| p.get(field).and_then(|v| v.as_str()).unwrap_or_default()).collect::<Vec<_>>()
    };
    let (emails, companies, last_names) = (text("Email"), text("Company"), text("LastName"));
    let bad_emails = emails.iter().filter(|email| !email.contains('@')).count();
    assert!((2..=4).contains(&bad_emails), "{bad_emails}");
    assert!(emails.contains(&"not-an-email"));
    assert!(companies.iter().any(|company| company.chars().count() == 255));
    assert!(companies.iter().any(|company| company.contains('\\') && company.contains('\'')));
    assert!(last_names.iter().any(|name| name.contains('"')));
    assert!(last_names.iter().any(|name| name.contains('\n')));
    assert!(last_names.iter().any(|name| name.ends_with(' ')));
    assert!(all.iter().any(|person| person.get("Phone").is_some_and(serde_json::Value::is_null)));
    let valid: Vec<_> = emails.iter().filter(|email| email.contains('@')).collect();
    assert_eq!(valid.iter().collect::<HashSet<_>>().len(), valid.len());
}

#[test]
fn people_come_in_many_scripts() {
    let names: String = people(1, 400).filter_map(|p| p["LastName"].as_str().map(str::to_owned)).collect();
    for sample in ['é', 'ß', 'Д', 'π', 'م', 'र', '佐', '김', 'ễ'] {
        let found = names.contains(sample) || people(1, 400).any(|p| format!("{p:?}").contains(sample));
        assert!(found, "{sample}");
    }
    assert!(people(1, 400).any(|p| p["Company"].as_str().unwrap().contains('\u{1f680}')));
}

#[tokio::test]
async fn people_fit_the_lead_object_and_keep_every_character() {
    let vendor = Salesforce::start().await.unwrap();
    vendor.load("Lead", people(3, 1_000));
    let stored = vendor.records("Lead");
    assert_eq!(stored.len(), 1_000);
    for (given, kept) in people(3, 1_000).zip(&stored) {
        for (field, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            let same = match (value.as_f64(), kept[field].as_f64()) {
                (Some(one), Some(two)) => one.to_bits() == two.to_bits(),
                _ => kept[field] == *value,
            };
            assert!(same, "{field}: {value} became {}", kept[field]);
        }
    }
}
