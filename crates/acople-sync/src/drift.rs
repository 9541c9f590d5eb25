//! The shape of a source's records, and what happens when it changes.

use std::collections::{BTreeMap, BTreeSet};

use acople_core::json::{Value, members};
use acople_core::{Batch, Error, ErrorKind, Refusal, Result, Stream};
use serde::{Deserialize, Serialize};

/// Fields that are remembered; further ones are not watched.
const FIELDS: usize = 4_000;

/// What a job does when the shape of its source's records changes: a new field, one that the vendor does not
/// declare any longer, a value of another type.
///
/// Without a policy nothing is watched. With one, the first complete run learns the shape, and each change is
/// told once ([`Progress::SchemaChanged`](crate::Progress::SchemaChanged), and in the report). Values are never
/// changed: what a type means at the destination is the mapper's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaPolicy {
    /// The new shape is learned, its version rises, and records pass.
    Evolve,
    /// Records pass, and the shape stays as it was: the change is told in every run.
    Ignore,
    /// New fields are learned; a record with a value of another type goes to quarantine.
    Quarantine,
    /// The run stops before a record of another shape is written, until somebody
    /// [accepts](crate::Job::accept_schema) it.
    Freeze,
}

/// A change in the shape of a source's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SchemaChange {
    /// The field, to a depth of two: `properties.email`.
    pub field: String,
    /// What is new about it.
    #[serde(flatten)]
    pub what: FieldChange,
}

/// What is new about a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldChange {
    /// It was not there before.
    New,
    /// The vendor does not declare it any longer.
    Missing,
    /// It has a value of a type that it never had.
    Type {
        /// The types until now.
        from: Vec<&'static str>,
        /// The new one.
        to: &'static str,
    },
}

/// The shape of records as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Raised with every change that is learned; 0 while the first run learns.
    pub(crate) version: u32,
    /// The types of each field, as bits.
    fields: BTreeMap<String, u8>,
    /// The fields that the vendor declares.
    #[serde(default)]
    declared: BTreeSet<String>,
}

const TYPES: [&str; 5] = ["boolean", "number", "string", "object", "array"];

/// Watches the records of a run.
#[derive(Debug)]
pub(crate) struct Drift {
    policy: SchemaPolicy,
    pub(crate) shape: Shape,
    /// Changes that were told already.
    told: BTreeSet<(String, u8)>,
}

impl Drift {
    pub(crate) fn new(policy: SchemaPolicy, shape: Option<Shape>) -> Self {
        Self { policy, shape: shape.unwrap_or_default(), told: BTreeSet::new() }
    }

    /// What the vendor says of the stream now.
    ///
    /// # Errors
    /// `Schema` when the shape is frozen and a field is gone.
    pub(crate) fn declared(&mut self, stream: &Stream) -> Result<Vec<SchemaChange>> {
        let properties = stream.schema.pointer("/properties").and_then(|p| p.as_object());
        let now: BTreeSet<String> =
            properties.into_iter().flat_map(|p| p.keys()).take(FIELDS).cloned().collect();
        let known = self.shape.version > 0 && !now.is_empty();
        let missing: Vec<SchemaChange> = self
            .shape
            .declared
            .difference(&now)
            .filter(|_| known)
            .map(|field| SchemaChange { field: field.clone(), what: FieldChange::Missing })
            .collect();
        self.decide(&missing)?;
        if missing.is_empty() || self.policy != SchemaPolicy::Ignore {
            self.shape.declared = now;
        }
        Ok(missing)
    }

    /// What is new in a batch, and the records that must not pass.
    ///
    /// # Errors
    /// `Schema` when the shape is frozen.
    pub(crate) fn watch(&mut self, batch: &Batch) -> Result<(Vec<SchemaChange>, Vec<Refusal>)> {
        let (mut changes, mut refused) = (Vec::new(), Vec::new());
        for (index, record) in batch.iter().enumerate() {
            let mut wrong: Option<Error> = None;
            let (shape, told, policy) = (&mut self.shape, &mut self.told, self.policy);
            each_field(record.raw(), &mut |field, value| {
                let Some(bit) = type_bit(value) else { return };
                let known = shape.fields.get(field).copied();
                if known.is_some_and(|known| known & bit != 0) {
                    return;
                }
                if shape.version > 0 && told.insert((field.to_owned(), bit)) {
                    let what = match known {
                        None => FieldChange::New,
                        Some(known) => FieldChange::Type { from: names(known), to: name(bit) },
                    };
                    changes.push(SchemaChange { field: field.to_owned(), what });
                }
                let quarantines = policy == SchemaPolicy::Quarantine;
                if known.is_some() && shape.version > 0 && quarantines {
                    let message = format!("the field was never of the type {} before", name(bit));
                    let error = wrong.take().unwrap_or_else(|| {
                        Error::new(ErrorKind::Schema, message).with_code("schema_changed")
                    });
                    wrong = Some(error.with_field(field));
                } else if (shape.version == 0 || policy == SchemaPolicy::Evolve || quarantines)
                    && (known.is_some() || shape.fields.len() < FIELDS)
                {
                    *shape.fields.entry(field.to_owned()).or_default() |= bit;
                }
            });
            if let Some(error) = wrong {
                refused.push(Refusal { index, error });
            }
        }
        self.decide(&changes)?;
        Ok((changes, refused))
    }

    /// The run has come to its end: what it saw is the shape.
    pub(crate) fn complete(&mut self) {
        self.shape.version = self.shape.version.max(1);
    }

    fn decide(&mut self, changes: &[SchemaChange]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        match self.policy {
            SchemaPolicy::Ignore => Ok(()),
            SchemaPolicy::Evolve | SchemaPolicy::Quarantine => {
                self.shape.version = self.shape.version.saturating_add(1);
                Ok(())
            }
            SchemaPolicy::Freeze => {
                let message = "the shape of the source's records has changed, and the job does not allow that; \
                               accept it, or change the source back";
                let error = Error::new(ErrorKind::Schema, message).with_code("schema_changed");
                Err(changes.iter().take(20).fold(error, |error, change| error.with_field(&change.field)))
            }
        }
    }
}

/// Calls `tell` with each field of a record, and of the objects in it.
fn each_field(record: &str, tell: &mut impl FnMut(&str, &Value<'_>)) {
    let mut path = String::new();
    for (name, value) in members(record).flatten() {
        let Ok(name) = name.decode() else { continue };
        if let Value::Object(inner) = &value {
            for (second, value) in members(inner).flatten() {
                let Ok(second) = second.decode() else { continue };
                path.clear();
                path.extend([&name, ".", &second]);
                tell(&path, &value);
            }
        }
        tell(&name, &value);
    }
}

/// A type's bit; a value that is not there has none.
fn type_bit(value: &Value<'_>) -> Option<u8> {
    let place = match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::Text(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        _ => return None,
    };
    Some(1 << place)
}

fn names(bits: u8) -> Vec<&'static str> {
    TYPES.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0).map(|(_, name)| *name).collect()
}

fn name(bit: u8) -> &'static str {
    names(bit).first().copied().unwrap_or("unknown")
}
