//! `acople read` against a real server: everything, and every field of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::command::{acople, acople_with, config, document, read};
use crate::server::{Server, Version};

/// The sets, how many rows they have, and their keys.
const SETS: [(&str, usize, &[&str]); 3] = [
    ("BusinessPartners", 600, &["BusinessPartner"]),
    ("Addresses", 1_200, &["Partner_BusinessPartner", "AddressID"]),
    ("SalesOrders", 2_530, &["SalesOrder"]),
];

#[test]
fn every_set_is_read_whole_and_every_field_is_what_the_server_says() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for version in [Version::V4, Version::V2] {
        for (set, count, keys) in SETS {
            let done = read(folder.path(), &config(&server, version, "localhost"), set).succeeded();
            assert_eq!(done.err, "", "{version:?} {set}");
            let truth = server.rows(version, set);
            assert_eq!(truth.len(), count, "{version:?} {set}");
            same(keys, &done.records(), &truth);
        }
    }
}

#[test]
fn digits_scripts_nulls_and_leading_zeros_arrive_as_they_are() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for version in [Version::V4, Version::V2] {
        let config = config(&server, version, "localhost");
        let partners = read(folder.path(), &config, "BusinessPartners").succeeded().records();
        let partners = by_key(&["BusinessPartner"], &partners);
        let partner = |key: &str| partners.get(key).unwrap_or_else(|| panic!("no partner {key}"));
        // 31 digits, and one more than a double can count.
        assert_eq!(partner("0000000004")["StatisticalValue"], "-123456789012345000004.0123456789");
        assert_eq!(partner("0000000009")["StatisticalValue"], Value::Null);
        assert_eq!(partner("0000000002")["ExternalNumber"], "9007201254741007");
        assert_eq!(partner("0000000010")["ExternalNumber"], Value::Null);
        assert_eq!(partner("0000000004")["Note"], "🚀 emoji 👩‍👩‍👧 and e\u{301} combining");
        assert_eq!(partner("0000000003")["Note"], "line one\nline two\r\n\ttabbed");
        assert_eq!(partner("0000000009")["Note"], "0000123");
        assert_eq!(partner("0000000010")["Note"].as_str().unwrap().chars().count(), 4_001);
        assert_eq!(partner("0000000025")["Note"], "");
        assert_eq!(partner("0000000001")["Note"], Value::Null);
        let addresses = read(folder.path(), &config, "Addresses").succeeded().records();
        assert!(addresses.iter().any(|address| address["PostalCode"] == "01067"));
    }
}

#[test]
fn next_links_are_followed_only_to_the_connections_own_origin() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let linked = |host: &str, swap: bool| {
        let mut config = config(&server, Version::V2, host);
        config["keyset"] = json!(false);
        config["swap_next_origin"] = json!(swap);
        read(folder.path(), &config, "SalesOrders")
    };
    let truth = server.rows(Version::V2, "SalesOrders");
    // The server calls itself localhost in its links.
    same(&["SalesOrder"], &linked("localhost", false).succeeded().records(), &truth);
    same(&["SalesOrder"], &linked("127.0.0.1", true).succeeded().records(), &truth);
    let refused = linked("127.0.0.1", false);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("origin"), "{}", refused.err);
    assert!(refused.records().len() < truth.len());
    // Links of OData 4.0 are relative here.
    let mut config = config(&server, Version::V4, "127.0.0.1");
    config["keyset"] = json!(false);
    let done = read(folder.path(), &config, "SalesOrders").succeeded();
    same(&["SalesOrder"], &done.records(), &server.rows(Version::V4, "SalesOrders"));
}

#[test]
fn an_incremental_read_brings_what_changed_and_little_else() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for version in [Version::V4, Version::V2] {
        let path = document(folder.path(), "c.yaml", &config(&server, version, "localhost"));
        let state = folder.path().join(format!("{}.state", version.name()));
        let changes = || {
            let mut arguments = vec!["read", "--connector", "sap", "--mode", "incremental", "--config"];
            arguments.extend([path.to_str().unwrap(), "--stream", "BusinessPartners"]);
            arguments.extend(["--state", state.to_str().unwrap()]);
            acople(arguments).succeeded().records()
        };
        same(&["BusinessPartner"], &changes(), &server.rows(version, "BusinessPartners"));
        for number in [7, 300, 599] {
            let note = json!({ "Note": format!("changed before {}", version.name()) });
            server.send("PATCH", &format!("BusinessPartners('{number:010}')"), &note);
        }
        let found = changes();
        // The newest of the first run share one time and come again, for the look-back.
        assert!((3..=3 + 14).contains(&found.len()), "{} records", found.len());
        let found = by_key(&["BusinessPartner"], &found);
        let truth = by_key(&["BusinessPartner"], &server.rows(version, "BusinessPartners"));
        for number in [7, 300, 599] {
            let key = format!("{number:010}");
            assert_eq!(found.get(&key), truth.get(&key));
        }
    }
}

#[test]
fn a_wrong_password_is_told_as_such() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for version in [Version::V4, Version::V2] {
        let path = document(folder.path(), "c.yaml", &config(&server, version, "localhost"));
        let path = path.to_str().unwrap();
        for command in [vec!["check"], vec!["read", "--stream", "Addresses"]] {
            let arguments = command.into_iter().chain(["--connector", "sap", "--config", path]);
            let done = acople_with("wrong-password", arguments);
            assert_eq!(done.code, 4, "{}", done.err);
            assert!(done.err.contains("401") && done.err.contains("reauth"), "{}", done.err);
            assert_eq!(done.out, "");
        }
    }
}

#[test]
fn an_unknown_set_is_a_mistake_in_the_configuration() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for version in [Version::V4, Version::V2] {
        let done = read(folder.path(), &config(&server, version, "localhost"), "BusinessPartner");
        assert_eq!(done.code, 2, "{}", done.err);
        assert!(done.err.contains("entity set"), "{}", done.err);
    }
}

/// The same rows, whatever their order, each once.
pub fn same(keys: &[&str], found: &[Value], truth: &[Value]) {
    let (found, truth) = (by_key(keys, found), by_key(keys, truth));
    assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (key, row) in &truth {
        assert_eq!(found.get(key), Some(row), "{key}");
    }
}

pub fn by_key(keys: &[&str], rows: &[Value]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for row in rows {
        let key: Vec<&str> = keys.iter().map(|key| row[key].as_str().unwrap()).collect();
        let before = found.insert(key.join("/"), row.clone());
        assert!(before.is_none(), "{key:?} came twice");
    }
    found
}
