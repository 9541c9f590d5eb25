//! The records of an org, with the indexes that queries and upserts use.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use serde_json::Value;

use super::{super::Record, id, schema::Object};

/// A record. Null fields are absent.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) fields: Record,
    pub(crate) modified_ms: i64,
    pub(crate) deleted_ms: Option<i64>,
}

/// The records of one object, deleted ones included.
#[derive(Debug)]
pub(crate) struct Table {
    object: Object,
    rows: BTreeMap<String, Row>,
    by_time: BTreeSet<(i64, String)>,
    keys: HashMap<String, HashMap<String, Vec<String>>>,
    made: u64,
    live: usize,
}

impl Table {
    pub(crate) fn new(object: Object) -> Self {
        Self {
            object,
            rows: BTreeMap::new(),
            by_time: BTreeSet::new(),
            keys: HashMap::new(),
            made: 0,
            live: 0,
        }
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    fn is(&self, name: &str) -> bool {
        self.object.name.eq_ignore_ascii_case(name)
    }

    /// Changes the schema; the indexes follow.
    pub(crate) fn alter(&mut self, change: impl FnOnce(&mut Object)) {
        change(&mut self.object);
        self.keys.clear();
        let rows = std::mem::take(&mut self.rows);
        self.by_time.clear();
        self.live = 0;
        for (id, row) in rows {
            self.put(&id, row);
        }
    }

    pub(crate) fn new_id(&mut self) -> String {
        self.made += 1;
        id::make(&self.object.key_prefix, self.made)
    }

    /// A record, deleted or not.
    pub(crate) fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    pub(crate) fn count(&self) -> usize {
        self.live
    }

    /// Stores a record and gives back what it replaces.
    pub(crate) fn put(&mut self, id: &str, row: Row) -> Option<Row> {
        let old = self.remove(id);
        self.by_time.insert((row.modified_ms, id.to_owned()));
        if row.deleted_ms.is_none() {
            self.live += 1;
            for field in self.object.fields().iter().filter(|field| field.is_key()) {
                if let Some(key) = row.fields.get(&field.name).and_then(key_text) {
                    let ids = self.keys.entry(field.name.clone()).or_default().entry(key).or_default();
                    ids.push(id.to_owned());
                }
            }
        }
        self.rows.insert(id.to_owned(), row);
        old
    }

    /// Takes a record out for good.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Row> {
        let row = self.rows.remove(id)?;
        self.by_time.remove(&(row.modified_ms, id.to_owned()));
        if row.deleted_ms.is_none() {
            self.live -= 1;
            for (field, index) in &mut self.keys {
                if let Some(key) = row.fields.get(field).and_then(key_text)
                    && let Some(ids) = index.get_mut(&key)
                {
                    ids.retain(|other| other != id);
                    if ids.is_empty() {
                        index.remove(&key);
                    }
                }
            }
        }
        Some(row)
    }

    /// The undeleted records with this value in a key field; the comparison ignores case.
    pub(crate) fn find(&self, field: &str, value: &Value) -> &[String] {
        key_text(value).and_then(|key| self.keys.get(field)?.get(&key)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Records in the order of their ids, from this id on.
    pub(crate) fn by_id(&self, from: &str) -> impl DoubleEndedIterator<Item = (&String, &Row)> {
        self.rows.range::<str, _>((Bound::Included(from), Bound::Unbounded))
    }

    /// Records in the order of `SystemModstamp`, then id, from this time on.
    pub(crate) fn by_time(&self, from_ms: i64) -> impl DoubleEndedIterator<Item = (&String, &Row)> {
        self.by_time.range((from_ms, String::new())..).filter_map(|(_, id)| self.rows.get_key_value(id))
    }
}

fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// All objects, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Tables(Vec<Table>);

impl Tables {
    pub(crate) fn add(&mut self, object: Object) {
        self.0.retain(|table| !table.is(&object.name));
        self.0.push(Table::new(object));
        self.0.sort_by(|one, two| one.object.name.cmp(&two.object.name));
    }

    /// An object's table, its name in any case.
    pub(crate) fn find(&self, name: &str) -> Option<&Table> {
        self.0.iter().find(|table| table.is(name))
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.0.iter_mut().find(|table| table.is(name))
    }

    /// The table whose ids begin as this one does.
    pub(crate) fn of_id(&self, id: &str) -> Option<&Table> {
        self.0.iter().find(|table| id.starts_with(&table.object.key_prefix))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Table> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.0.iter_mut()
    }
}
