//! What a stream's fields are like, in bounded memory.

mod distinct;
mod field;
mod report;
mod top;

use std::borrow::Cow;
use std::collections::BTreeMap;

use acople_core::json::{FieldPath, Value, members};
use acople_core::{Batch, Change};

use crate::agreed::{LEVELS, NAME, below};
use field::FieldProfile;
pub use report::{FieldReport, Forms, Lengths, ProfileReport, TopValue, Types};

/// Counts what the records of a stream are like: fields, types, nulls, distinct values, extremes, frequent values.
///
/// Memory is bounded by [`bytes_at_most`](Self::bytes_at_most), however many records come. Profiles of parts can be
/// merged: everything but the frequent values is then exactly as if one profile had seen all; frequent values are,
/// too, while a field has at most 64 distinct ones.
///
/// ```
/// use acople_core::Batch;
/// use acople_quality::Profile;
///
/// let mut profile = Profile::new();
/// profile.add(&Batch::from_records("s", [r#"{"id":1,"tag":"a"}"#, r#"{"id":2,"tag":null}"#, r#"{"id":3}"#])?);
/// let report = profile.report();
/// let tag = report.field("/tag").expect("the field came");
/// assert_eq!((tag.values, tag.nulls, tag.missing, tag.distinct), (1, 1, 1, 1));
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    limits: Limits,
    secrets: Vec<String>,
    records: u64,
    deletions: u64,
    unreadable: u64,
    /// Values of fields beyond the limit of fields.
    beyond: u64,
    fields: usize,
    root: BTreeMap<String, Node>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Most fields that are followed, those of inner objects included.
    fields: usize,
    /// Whether values are kept and shown.
    values: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    field: Box<FieldProfile>,
    below: BTreeMap<String, Node>,
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}

impl Profile {
    /// A profile of nothing yet: at most 500 fields, four levels deep; lists are not entered.
    pub fn new() -> Self {
        Self {
            limits: Limits { fields: 500, values: true },
            secrets: Vec::new(),
            records: 0,
            deletions: 0,
            unreadable: 0,
            beyond: 0,
            fields: 0,
            root: BTreeMap::new(),
        }
    }

    /// Sets the most fields that are followed.
    pub fn with_fields(mut self, fields: usize) -> Self {
        self.limits.fields = fields;
        self
    }

    /// Shows no values in the report and keeps none.
    pub fn without_values(mut self) -> Self {
        self.limits.values = false;
        self
    }

    /// Shows and keeps no values of a field and what lies in it.
    pub fn with_secret(mut self, field: &FieldPath) -> Self {
        self.secrets.push(crate::finding::pointer(field));
        self
    }

    /// The most memory that the profile takes, in bytes: 16 KiB a field, names included.
    pub fn bytes_at_most(&self) -> usize {
        (self.limits.fields + 1) * field::BYTES
    }

    /// Adds the records of a batch. Deletions are counted and not looked into, and so are records that are no text or
    /// were refused.
    pub fn add(&mut self, batch: &Batch) {
        let unreadable = batch.unreadable();
        let readable = unreadable.as_ref().map_or(batch, |unreadable| &unreadable.rest);
        self.unreadable += unreadable.as_ref().map_or(0, |unreadable| unreadable.refused.len() as u64);
        for record in readable.iter() {
            if record.change() == Change::Delete {
                self.deletions += 1;
                continue;
            }
            self.records += 1;
            let Ok(Value::Object(object)) = acople_core::json::value(record.raw()) else { continue };
            let mut walk = Walk {
                limits: self.limits,
                secrets: &self.secrets,
                fields: &mut self.fields,
                beyond: &mut self.beyond,
                record: self.records,
            };
            walk.object(object, &mut self.root, "", 0);
        }
    }

    /// Adds what another profile has seen. Fields beyond this one's limit are counted, not kept.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.deletions += other.deletions;
        self.unreadable += other.unreadable;
        self.beyond += other.beyond;
        merge_nodes(&mut self.root, &other.root, self.limits.fields, &mut self.fields, &mut self.beyond);
    }

    /// The report as it stands.
    pub fn report(&self) -> ProfileReport {
        let mut fields = Vec::with_capacity(self.fields);
        report_nodes(&self.root, "", self.records, &mut fields);
        ProfileReport {
            records: self.records,
            deletions: self.deletions,
            unreadable: self.unreadable,
            beyond: self.beyond,
            fields,
        }
    }
}

struct Walk<'a> {
    limits: Limits,
    secrets: &'a [String],
    fields: &'a mut usize,
    beyond: &'a mut u64,
    /// The number of the record, from 1: of members with the same name one counts as there.
    record: u64,
}

impl Walk<'_> {
    fn object(&mut self, object: &str, nodes: &mut BTreeMap<String, Node>, above: &str, level: usize) {
        for (name, value) in members(object).flatten() {
            let name = name.decode().unwrap_or(Cow::Borrowed(name.raw()));
            if !nodes.contains_key(name.as_ref()) {
                if *self.fields >= self.limits.fields || name.len() > NAME {
                    *self.beyond += 1;
                    continue;
                }
                *self.fields += 1;
                let pointer = below(above, &name);
                let mut node = Node::default();
                node.field.hides = !self.limits.values || self.secrets.iter().any(|s| covers(s, &pointer));
                nodes.insert(name.to_string(), node);
            }
            let Some(node) = nodes.get_mut(name.as_ref()) else { continue };
            node.field.add(&value, self.record);
            if let Value::Object(inner) = value
                && level + 1 < LEVELS
            {
                let pointer = if self.secrets.is_empty() { String::new() } else { below(above, &name) };
                self.object(inner, &mut node.below, &pointer, level + 1);
            }
        }
    }
}

/// Whether a pointer is the secret field or lies in it.
fn covers(secret: &str, pointer: &str) -> bool {
    pointer.strip_prefix(secret).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn merge_nodes(
    into: &mut BTreeMap<String, Node>,
    from: &BTreeMap<String, Node>,
    limit: usize,
    fields: &mut usize,
    beyond: &mut u64,
) {
    for (name, node) in from {
        if !into.contains_key(name) {
            if *fields >= limit {
                *beyond += node.field.seen();
                continue;
            }
            *fields += 1;
            into.insert(name.clone(), Node::default());
        }
        if let Some(known) = into.get_mut(name) {
            known.field.merge(&node.field);
            merge_nodes(&mut known.below, &node.below, limit, fields, beyond);
        }
    }
}

fn report_nodes(nodes: &BTreeMap<String, Node>, above: &str, parents: u64, out: &mut Vec<FieldReport>) {
    for (name, node) in nodes {
        let pointer = below(above, name);
        out.push(node.field.report(pointer.clone(), parents));
        report_nodes(&node.below, &pointer, node.field.objects(), out);
    }
}
