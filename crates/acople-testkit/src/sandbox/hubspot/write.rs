//! Writing one record: what is refused, and what is stored.

use http::StatusCode;
use serde_json::Value;

use super::{
    super::Record,
    errors::{Detail, Refusal},
    portal::Portal,
    store::{Row, Shelf, text},
};

impl Portal {
    /// Creates a record and gives its id.
    pub(crate) fn create(&mut self, kind: &str, input: &Record, at_ms: i64) -> Result<u64, Refusal> {
        let shelf = self.known_shelf(kind)?;
        let changes = changes(shelf, input)?;
        let mut properties = Record::new();
        apply(&mut properties, changes);
        let missing: Vec<&String> =
            shelf.kind.required.iter().filter(|name| text(&properties, name).is_none()).collect();
        if !missing.is_empty() {
            let message = format!("Some required properties were not set: {missing:?}");
            return Err(Refusal::validation(message));
        }
        check_unique(shelf, &properties, None)?;
        let id = self.new_id();
        let row = Row { properties, created_ms: at_ms, modified_ms: at_ms, archived_ms: None, indexed: None };
        self.store(kind, id, row);
        Ok(id)
    }

    /// Changes the properties that `input` has.
    pub(crate) fn update(&mut self, kind: &str, id: u64, input: &Record, at_ms: i64) -> Result<u64, Refusal> {
        let lag_ms = self.search_lag_ms;
        let shelf = self.known_shelf(kind)?;
        let row = shelf.living(id).ok_or_else(Refusal::missing)?;
        let changes = changes(shelf, input)?;
        let mut properties = row.properties.clone();
        apply(&mut properties, changes);
        check_unique(shelf, &properties, Some(id))?;
        // Search goes on showing the last version that had been indexed.
        let indexed = if lag_ms == 0 {
            None
        } else if at_ms.saturating_sub(row.modified_ms) >= lag_ms {
            Some((row.properties.clone(), row.modified_ms))
        } else {
            row.indexed.clone()
        };
        let row =
            Row { properties, created_ms: row.created_ms, modified_ms: at_ms, archived_ms: None, indexed };
        self.store(kind, id, row);
        Ok(id)
    }

    /// Archives a record; says whether it was there to be archived.
    pub(crate) fn archive(&mut self, kind: &str, id: u64, at_ms: i64) -> bool {
        let Some(mut row) = self.shelf(kind).and_then(|shelf| shelf.living(id)).cloned() else {
            return false;
        };
        row.archived_ms = Some(at_ms);
        row.modified_ms = at_ms;
        self.store(kind, id, row);
        true
    }
}

/// The values to store, with `None` for properties to clear.
fn changes(shelf: &Shelf, input: &Record) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let mut changes = Vec::with_capacity(input.len());
    let mut details = Vec::new();
    for (name, value) in input {
        let Some(property) = shelf.kind.properties.get(name) else {
            details.push(Detail {
                code: "PROPERTY_DOESNT_EXIST",
                message: format!("Property \"{name}\" does not exist"),
                property: name.clone(),
            });
            continue;
        };
        if property.read_only {
            details.push(Detail {
                code: "READ_ONLY_VALUE",
                message: format!("\"{name}\" is a read only property; its value cannot be set."),
                property: name.clone(),
            });
            continue;
        }
        match property.convert(value) {
            Ok(value) => changes.push((name.clone(), value)),
            Err((code, message)) => details.push(Detail { code, message, property: name.clone() }),
        }
    }
    if details.is_empty() { Ok(changes) } else { Err(Refusal::properties(details)) }
}

fn apply(properties: &mut Record, changes: Vec<(String, Option<String>)>) {
    for (name, value) in changes {
        match value {
            Some(value) => drop(properties.insert(name, Value::String(value))),
            None => drop(properties.shift_remove(&name)),
        }
    }
}

fn check_unique(shelf: &Shelf, properties: &Record, own: Option<u64>) -> Result<(), Refusal> {
    for property in shelf.kind.properties.values().filter(|property| property.unique) {
        let Some(value) = text(properties, &property.name) else {
            continue;
        };
        let Some(other) = shelf.find(&property.name, value).filter(|other| Some(*other) != own) else {
            continue;
        };
        if property.email {
            let message = format!("Contact already exists. Existing ID: {other}");
            return Err(Refusal::new(StatusCode::CONFLICT, "CONFLICT", message));
        }
        let message = format!("Cannot set {} to {value}. {other} already has that value.", property.name);
        let detail = Detail {
            code: "CONFLICTING_UNIQUE_VALUE",
            message: message.clone(),
            property: property.name.clone(),
        };
        return Err(Refusal { details: vec![detail], ..Refusal::validation(message) });
    }
    Ok(())
}
