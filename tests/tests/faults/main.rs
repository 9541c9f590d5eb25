//! The contract of faults, `docs/faults.md`: each row has a test, or is listed as open with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub)]

mod contract;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::{Contract, State};

/// The repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn contract() -> Contract {
    Contract::parse(&std::fs::read_to_string(root().join("docs/faults.md")).unwrap()).unwrap()
}

/// What is wrong between a contract and the tests that carry its ids, a line each.
fn complaints(contract: &Contract, tests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for id in &contract.rows {
        let named = tests.get(id).map(Vec::as_slice).unwrap_or_default();
        match (contract.open.get(id), named) {
            (None, []) => wrong.push(format!("{id} has no test and is not listed as open")),
            (Some(State::Partly), []) => {
                wrong.push(format!("{id} is listed as partly proven and has no test"));
            }
            (Some(State::Open), [test, ..]) => {
                wrong.push(format!("{id} is listed as open and has a test: {test}"));
            }
            _ => {}
        }
    }
    for id in contract.open.keys().filter(|id| !contract.rows.contains(*id)) {
        wrong.push(format!("{id} is listed as open and is no row"));
    }
    for (id, named) in tests.iter().filter(|(id, _)| !contract.rows.contains(*id)) {
        wrong.push(format!("{id} is no row and has a test: {}", named.join(", ")));
    }
    wrong
}

#[test]
fn every_row_has_a_test_or_is_listed_as_open() {
    let contract = contract();
    assert!(contract.rows.len() > 150, "{} rows: the tables were not read", contract.rows.len());
    let tests = scan::tests_by_id(root());
    assert!(tests.values().flatten().count() > 200, "the tests were not found");
    let wrong = complaints(&contract, &tests);
    assert!(wrong.is_empty(), "docs/faults.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_row_without_a_test_an_open_row_with_one_and_an_unknown_id_are_told() {
    let text = "| id | fault |\n| --- | --- |\n| RATE-01 | a |\n| RATE-02 | b |\n| RATE-03 | c |\n| RATE-04 | d |\n\
                ## 14. Open\n| id | state | why |\n| --- | --- | --- |\n| RATE-02 | open | x |\n\
                | RATE-03 | partly | x |\n| RATE-09 | open | x |\n";
    let contract = Contract::parse(text).unwrap();
    let found = |names: &[&str]| {
        let tests = names
            .iter()
            .flat_map(|name| scan::ids(name).into_iter().map(|id| (id, vec![(*name).to_owned()])));
        complaints(&contract, &tests.collect())
    };
    let wrong = found(&["rate_02_b", "rate_04_d", "rate_77_x"]);
    let told: Vec<&str> = wrong.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(told, ["RATE-01", "RATE-02", "RATE-03", "RATE-09", "RATE-77"], "{wrong:?}");
    assert_eq!(found(&["rate_01_and_rate_03_x", "rate_04_d"]).len(), 1);
}

#[test]
fn the_open_list_is_held_to_its_form() {
    let head = "| id | fault |\n| RATE-01 | a |\n| RATE-02 | a |\n## 14. Open\n| id | state | why |\n";
    for bad in
        ["| RATE-01 | soon | x |", "| RATE-01 | open | |", "| RATE-01 | open | x |\n| RATE-01 | open | x |"]
    {
        assert!(Contract::parse(&format!("{head}{bad}\n")).is_err(), "{bad}");
    }
    assert!(Contract::parse("| RATE-01 | a |\n| RATE-01 | a |\n## 14. Open\n").is_err(), "a row twice");
    assert!(Contract::parse("| RATE-01 | a |\n").is_err(), "no section of open rows");
}

#[test]
fn the_tests_of_a_source_are_found_by_their_attribute() {
    // Written apart, so that the scan of this file does not take them for tests.
    let source = [
        "#[te",
        "st]\n#[should_panic]\nfn ra",
        "te_01_a() {}\nfn ra",
        "te_02_no_test() {}\n#[tokio::te",
        "st(start_paused = true)]\nasync fn se",
        "c_01_and_ne",
        "t_15_b() {}\n    #[te",
        "st]\n    pub fn page_2_is_no_id() {}\n",
    ]
    .concat();
    let names = scan::tests(&source);
    let ids: BTreeSet<String> = names.iter().flat_map(|name| scan::ids(name)).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["NET-15", "RATE-01", "SEC-01"]);
}

/// Where the contract is kept from which this copy was made, the copy must not have fewer rows.
#[test]
fn no_row_of_the_original_is_missing() {
    #[allow(clippy::disallowed_methods)] // a test's own setting
    let Some(folder) = std::env::var_os("ACOPLE_SHARED") else {
        return;
    };
    let path = Path::new(&folder).join("faults.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let original = contract::rows(&text).unwrap();
    assert!(original.len() > 150, "{} rows", original.len());
    let copy = contract().rows;
    let missing: Vec<_> = original.iter().filter(|id| !copy.contains(*id)).collect();
    assert!(missing.is_empty(), "docs/faults.md lacks {missing:?}");
}
