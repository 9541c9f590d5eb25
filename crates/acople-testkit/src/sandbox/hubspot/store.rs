//! The records of a portal, with the indexes that lists and look-ups use.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{super::Record, schema::ObjectType, stamp};

/// A record. All values are texts; properties without a value are absent.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) properties: Record,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) archived_ms: Option<i64>,
    /// The version that search shows until the current one has been indexed.
    pub(crate) indexed: Option<(Record, i64)>,
}

/// The records of one type.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) kind: ObjectType,
    rows: BTreeMap<u64, Row>,
    live: Vec<u64>,
    archived: Vec<u64>,
    unique: HashMap<String, HashMap<String, u64>>,
}

impl Shelf {
    pub(crate) fn new(kind: ObjectType) -> Self {
        Self { kind, rows: BTreeMap::new(), live: Vec::new(), archived: Vec::new(), unique: HashMap::new() }
    }

    /// A record, archived or not.
    pub(crate) fn get(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// A record that is not archived.
    pub(crate) fn living(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id).filter(|row| row.archived_ms.is_none())
    }

    /// The ids of records in ascending order.
    pub(crate) fn ids(&self, archived: bool) -> &[u64] {
        if archived { &self.archived } else { &self.live }
    }

    pub(crate) fn is_unique(&self, property: &str) -> bool {
        self.kind.properties.get(property).is_some_and(|property| property.unique)
    }

    /// The unarchived record with this value in a unique property; the comparison ignores case.
    pub(crate) fn find(&self, property: &str, value: &str) -> Option<u64> {
        self.unique.get(property)?.get(&value.to_lowercase()).copied()
    }

    /// The unarchived record that a call names: by its id, or by a unique property.
    pub(crate) fn named(&self, id: &str, id_property: Option<&str>) -> Option<u64> {
        match id_property {
            None | Some("hs_object_id") => id.parse().ok().filter(|id| self.living(*id).is_some()),
            Some(property) => self.find(property, id),
        }
    }

    /// Stores a record under a new or a known id.
    pub(crate) fn put(&mut self, id: u64, mut row: Row) {
        self.remove(id);
        let list = if row.archived_ms.is_some() { &mut self.archived } else { &mut self.live };
        if let Err(place) = list.binary_search(&id) {
            list.insert(place, id);
        }
        row.properties.insert("hs_object_id".into(), id.to_string().into());
        row.properties.insert("createdate".into(), stamp(row.created_ms).into());
        row.properties.insert(self.kind.modified.clone(), stamp(row.modified_ms).into());
        if row.archived_ms.is_none() {
            for property in self.kind.properties.values().filter(|property| property.unique) {
                if let Some(value) = text(&row.properties, &property.name) {
                    self.unique.entry(property.name.clone()).or_default().insert(value.to_lowercase(), id);
                }
            }
        }
        self.rows.insert(id, row);
    }

    /// Takes a record out for good.
    pub(crate) fn remove(&mut self, id: u64) {
        if let Some(row) = self.rows.remove(&id) {
            self.unlist(id, &row);
        }
    }

    fn unlist(&mut self, id: u64, row: &Row) {
        let list = if row.archived_ms.is_some() { &mut self.archived } else { &mut self.live };
        if let Ok(place) = list.binary_search(&id) {
            list.remove(place);
        }
        for (property, index) in &mut self.unique {
            if let Some(value) = text(&row.properties, property)
                && index.get(&value.to_lowercase()) == Some(&id)
            {
                index.remove(&value.to_lowercase());
            }
        }
    }

    /// Changes the type; the index of unique properties follows.
    pub(crate) fn alter(&mut self, change: impl FnOnce(&mut ObjectType)) {
        change(&mut self.kind);
        self.unique.clear();
        for id in self.live.clone() {
            if let Some(row) = self.rows.get(&id).cloned() {
                self.put(id, row);
            }
        }
    }
}

/// The text of a property, `None` when it has no value.
pub(crate) fn text<'r>(properties: &'r Record, name: &str) -> Option<&'r str> {
    properties.get(name).and_then(Value::as_str)
}
