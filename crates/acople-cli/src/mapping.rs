//! The mapping of a sync: a ready table by name, a file, or a table in place.

use std::path::{Path, PathBuf};

use acople::map::{Direction, Lookups, Table, TableMapper, ready};
use acople::{Error, Result, parse_config};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::documents;

type Ready = (&'static str, fn() -> Result<Table>);

/// The tables that come with acople.
const READY: [Ready; 5] = [
    ("hubspot_contact_to_salesforce_contact", ready::hubspot_contact_to_salesforce_contact),
    ("hubspot_contact_to_salesforce_lead", ready::hubspot_contact_to_salesforce_lead),
    ("quickbooks_customer_to_salesforce_account", ready::quickbooks_customer_to_salesforce_account),
    ("salesforce_contact_to_hubspot_contact", ready::salesforce_contact_to_hubspot_contact),
    ("salesforce_lead_to_hubspot_contact", ready::salesforce_lead_to_hubspot_contact),
];

/// A table that lies elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    file: Option<PathBuf>,
    /// Whether the table is used in its other direction.
    #[serde(default)]
    invert: bool,
}

/// The table that a sync's `mapping` means; relative paths are those of `folder`.
///
/// # Errors
/// `Config`, naming the field within the mapping.
pub(crate) fn table(mapping: &Json, folder: &Path) -> Result<Table> {
    if mapping.get("table").is_none() && mapping.get("file").is_none() {
        return Table::from_json(&mapping.to_string());
    }
    let elsewhere: Elsewhere = parse_config(mapping.clone())?;
    let table = match (&elsewhere.table, &elsewhere.file) {
        (Some(name), None) => named(name)?,
        (None, Some(path)) => {
            let path = folder.join(path);
            let text = documents::text(&path, "file")?;
            if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
                Table::from_json(&text)?
            } else {
                Table::from_yaml(&text)?
            }
        }
        _ => {
            return Err(Error::config("file", "a mapping is a `table` or a `file`, not both"));
        }
    };
    if elsewhere.invert { table.invert() } else { Ok(table) }
}

/// The mapper, and the target's field that finds a record, if the table names one.
pub(crate) fn compile(table: &Table) -> Result<(TableMapper, Option<String>)> {
    let mut keys = table
        .rules
        .iter()
        .filter(|rule| rule.key && rule.direction != Direction::Backward)
        .filter_map(|rule| rule.to.clone());
    // A key of several fields is nothing that a write can be asked to go by.
    let key = keys.next().filter(|_| keys.next().is_none());
    Ok((table.compile(&Lookups::new())?, key))
}

fn named(name: &str) -> Result<Table> {
    if let Some((_, table)) = READY.iter().find(|(known, _)| *known == name) {
        return table();
    }
    let known: Vec<&str> = READY.iter().map(|(known, _)| *known).collect();
    let message = format!("there is no ready table {name:?}; there are: {}", known.join(", "));
    Err(Error::config("table", message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_ready_table_compiles_and_names_its_key() {
        for (name, _) in READY {
            let table = table(&json!({"table": name}), Path::new("")).unwrap();
            let (_, key) = compile(&table).unwrap();
            assert!(key.is_some(), "{name}");
        }
    }

    #[test]
    fn a_table_in_place_names_the_rule_that_is_wrong() {
        let error = table(&json!({"rules": [{"from": "a"}]}), Path::new("")).unwrap_err();
        assert!(error.to_string().contains("rules[0]"), "{error}");
    }

    #[test]
    fn an_unknown_ready_table_lists_the_known_ones() {
        let error = table(&json!({"table": "nothing"}), Path::new("")).unwrap_err();
        assert!(error.message().contains("salesforce_lead_to_hubspot_contact"), "{error}");
        assert_eq!(error.fields(), ["table"]);
    }
}
