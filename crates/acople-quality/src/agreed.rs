//! The schema that was last agreed for a stream, and what differs from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use acople_core::json::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Levels of objects that are followed; what lies deeper is part of its object.
pub(crate) const LEVELS: usize = 4;

/// Most fields of one object, and most values of a picklist that are kept.
pub(crate) const FIELDS: usize = 1_000;

/// Longest name of a field, in bytes: a longer one is data, not a name.
pub(crate) const NAME: usize = 256;

/// What was agreed of a stream's records: stored as JSON by a [`SchemaStore`](crate::SchemaStore) or the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgreedSchema {
    /// How often it was agreed anew, from 1; 0 before the first time.
    pub version: u32,
    /// The fields.
    pub fields: BTreeMap<String, FieldShape>,
}

/// What was agreed of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // facts that have nothing to do with each other
pub struct FieldShape {
    /// The types of its values; empty: any.
    pub types: BTreeSet<FieldType>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether every record has it.
    pub always: bool,
    /// Some or all records no longer have it: null stands in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub filled: bool,
    /// Values of other types are written as text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_text: bool,
    /// The longest text, in characters, where one was described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// The values, where they were described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeSet<String>>,
    /// The fields of objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldShape>,
}

/// A type of JSON values, with whole numbers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list.
    Array,
    /// An object.
    Object,
}

/// One difference from what was agreed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// The field, as a JSON pointer.
    pub field: String,
    /// How it differs.
    pub change: DriftKind,
}

/// How a field differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum DriftKind {
    /// It was not agreed.
    NewField,
    /// It is agreed and not there.
    MissingField,
    /// Its values are of a type that was not agreed.
    TypeChanged {
        /// The types agreed.
        from: Vec<FieldType>,
        /// The type now.
        to: Vec<FieldType>,
    },
    /// Its values take more than was agreed: numbers for whole numbers, further types beside the agreed ones.
    Widened {
        /// The types agreed.
        from: Vec<FieldType>,
        /// The types now.
        to: Vec<FieldType>,
    },
    /// Its values take less than was agreed.
    Narrowed {
        /// The types agreed.
        from: Vec<FieldType>,
        /// The types now.
        to: Vec<FieldType>,
    },
    /// It may be null and was not.
    Nullable,
    /// It may no longer be null.
    NotNullable,
    /// Its texts are longer than was agreed.
    LongerText {
        /// The most characters agreed.
        from: u64,
        /// The most now; of data, those of the first longer text.
        to: u64,
    },
    /// Its texts are shorter than was agreed.
    ShorterText {
        /// The most characters agreed.
        from: u64,
        /// The most now.
        to: u64,
    },
    /// It has a value that was not agreed.
    NewValue,
    /// A value that was agreed is no longer described.
    ValueGone,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = |types: &[FieldType]| {
            types.iter().map(|t| format!("{t:?}").to_lowercase()).collect::<Vec<_>>().join("|")
        };
        let field = acople_core::printable(&self.field, NAME);
        match &self.change {
            DriftKind::NewField => write!(f, "{field} is new"),
            DriftKind::MissingField => write!(f, "{field} is missing"),
            DriftKind::TypeChanged { from, to } => {
                write!(f, "{field} was {} and is {}", types(from), types(to))
            }
            DriftKind::Widened { from, to } => {
                write!(f, "{field} widened from {} to {}", types(from), types(to))
            }
            DriftKind::Narrowed { from, to } => {
                write!(f, "{field} narrowed from {} to {}", types(from), types(to))
            }
            DriftKind::Nullable => write!(f, "{field} may be null now"),
            DriftKind::NotNullable => write!(f, "{field} may not be null any more"),
            DriftKind::LongerText { from, to } => write!(f, "{field} has {to} characters instead of {from}"),
            DriftKind::ShorterText { from, to } => {
                write!(f, "{field} has at most {to} characters instead of {from}")
            }
            DriftKind::NewValue => write!(f, "{field} has a value that was not agreed"),
            DriftKind::ValueGone => write!(f, "{field} has fewer values than were agreed"),
        }
    }
}

impl AgreedSchema {
    /// What a JSON Schema says of a record's fields, as of version 0: the keywords `properties`, `required`, `type`,
    /// `maxLength`, `enum`.
    ///
    /// ```
    /// use acople_quality::AgreedSchema;
    ///
    /// let then = AgreedSchema::of_json_schema(&serde_json::json!({"properties": {"age": {"type": "integer"}}}));
    /// let now = AgreedSchema::of_json_schema(&serde_json::json!({"properties": {"age": {"type": "string"}}}));
    /// assert_eq!(then.compare(&now)[0].to_string(), "/age was integer and is text");
    /// ```
    pub fn of_json_schema(schema: &Json) -> Self {
        Self { version: 0, fields: fields_of(schema, 0) }
    }

    /// How another description of the same stream differs from this one, in the order of the fields.
    pub fn compare(&self, now: &Self) -> Vec<Drift> {
        let mut drifts = Vec::new();
        compare_fields("", &self.fields, &now.fields, &mut drifts);
        drifts
    }
}

impl FieldType {
    /// `None` for null and for nothing.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Missing | Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if crate::decimal::is_whole(number.as_str()) => Self::Integer,
            Value::Number(_) => Self::Number,
            Value::Text(_) => Self::Text,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        })
    }
}

/// Whether values of a type fit the agreed types.
pub(crate) fn fits(types: &BTreeSet<FieldType>, found: FieldType) -> bool {
    types.is_empty()
        || types.contains(&found)
        || (found == FieldType::Integer && types.contains(&FieldType::Number))
}

/// How a type that does not fit differs: widened where the agreed values are among the new ones.
pub(crate) fn type_change(types: &BTreeSet<FieldType>, found: FieldType) -> DriftKind {
    let from: Vec<FieldType> = types.iter().copied().collect();
    let to = vec![found];
    if found == FieldType::Number && types.contains(&FieldType::Integer) {
        DriftKind::Widened { from, to }
    } else {
        DriftKind::TypeChanged { from, to }
    }
}

/// Adds a name to a JSON pointer.
pub(crate) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn fields_of(schema: &Json, level: usize) -> BTreeMap<String, FieldShape> {
    let mut fields = BTreeMap::new();
    let required: BTreeSet<&str> = list(schema, "required").filter_map(Json::as_str).collect();
    let properties = schema.get("properties").and_then(Json::as_object);
    for (name, schema) in properties.into_iter().flatten().take(FIELDS) {
        let mut shape = shape_of(schema, level);
        shape.always = required.contains(name.as_str());
        fields.insert(name.clone(), shape);
    }
    fields
}

fn shape_of(schema: &Json, level: usize) -> FieldShape {
    let mut shape = FieldShape::default();
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        _ => list(schema, "type").filter_map(Json::as_str).collect(),
    };
    for name in &types {
        let kind = match *name {
            "boolean" => FieldType::Boolean,
            "integer" => FieldType::Integer,
            "number" => FieldType::Number,
            "string" => FieldType::Text,
            "array" => FieldType::Array,
            "object" => FieldType::Object,
            _ => continue,
        };
        shape.types.insert(kind);
    }
    shape.nullable = types.is_empty() || types.contains(&"null");
    shape.max_length = schema.get("maxLength").and_then(Json::as_u64);
    let values: BTreeSet<String> = list(schema, "enum").filter_map(Json::as_str).map(str::to_owned).collect();
    shape.values = (!values.is_empty() && values.len() <= FIELDS).then_some(values);
    if level + 1 < LEVELS {
        shape.fields = fields_of(schema, level + 1);
    }
    shape
}

fn list<'a>(schema: &'a Json, keyword: &str) -> impl Iterator<Item = &'a Json> {
    schema.get(keyword).and_then(Json::as_array).into_iter().flatten()
}

fn compare_fields(
    above: &str,
    then: &BTreeMap<String, FieldShape>,
    now: &BTreeMap<String, FieldShape>,
    drifts: &mut Vec<Drift>,
) {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for name in names {
        let field = below(above, name);
        match (then.get(name), now.get(name)) {
            (None, Some(_)) => drifts.push(Drift { field, change: DriftKind::NewField }),
            (Some(shape), None) if !shape.filled => {
                drifts.push(Drift { field, change: DriftKind::MissingField });
            }
            (Some(then), Some(now)) => {
                let changes = compare_shapes(then, now);
                drifts.extend(changes.into_iter().map(|change| Drift { field: field.clone(), change }));
                compare_fields(&field, &then.fields, &now.fields, drifts);
            }
            _ => {}
        }
    }
}

fn compare_shapes(then: &FieldShape, now: &FieldShape) -> Vec<DriftKind> {
    let mut changes = Vec::new();
    let all = |types: &BTreeSet<FieldType>, of: &BTreeSet<FieldType>| {
        types.is_empty() || (!of.is_empty() && of.iter().all(|kind| fits(types, *kind)))
    };
    let (from, to) = (then.types.iter().copied().collect(), now.types.iter().copied().collect());
    match (all(&then.types, &now.types), all(&now.types, &then.types)) {
        (true, true) => {}
        (true, false) => changes.push(DriftKind::Narrowed { from, to }),
        (false, true) => changes.push(DriftKind::Widened { from, to }),
        (false, false) => changes.push(DriftKind::TypeChanged { from, to }),
    }
    match (then.nullable, now.nullable) {
        (false, true) => changes.push(DriftKind::Nullable),
        (true, false) => changes.push(DriftKind::NotNullable),
        _ => {}
    }
    match (then.max_length, now.max_length) {
        (Some(from), to) if to.is_none_or(|to| to > from) => {
            changes.push(DriftKind::LongerText { from, to: to.unwrap_or(u64::MAX) });
        }
        (from, Some(to)) if from.is_none_or(|from| from > to) => {
            changes.push(DriftKind::ShorterText { from: from.unwrap_or(u64::MAX), to });
        }
        _ => {}
    }
    let (then, now) = (then.values.as_ref(), now.values.as_ref());
    if then.is_some_and(|then| now.is_none_or(|now| !now.is_subset(then))) {
        changes.push(DriftKind::NewValue);
    }
    if now.is_some_and(|now| then.is_none_or(|then| !then.is_subset(now))) {
        changes.push(DriftKind::ValueGone);
    }
    changes
}
