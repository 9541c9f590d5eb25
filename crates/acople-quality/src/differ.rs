//! How one record differs from what was agreed.

use std::collections::{BTreeMap, BTreeSet};

use acople_core::Result;
use acople_core::json::{Value, members};

use crate::agreed::{FIELDS, LEVELS, NAME, below, fits, type_change};
use crate::{Drift, DriftKind, FieldShape, FieldType};

/// A difference of one record.
pub(crate) struct Found {
    pub(crate) drift: Drift,
    pub(crate) path: Vec<String>,
    pub(crate) shape: FieldShape,
}

/// Finds what differs in one field.
pub(crate) fn look_at(
    fields: &BTreeMap<String, FieldShape>,
    name: &str,
    value: &Value<'_>,
    above: &mut Vec<String>,
    found: &mut Vec<Found>,
) -> Result<()> {
    let mut report = |change: DriftKind, shape: FieldShape| {
        let mut path = above.clone();
        path.push(name.to_owned());
        let field = path.iter().fold(String::new(), |pointer, name| below(&pointer, name));
        found.push(Found { drift: Drift { field, change }, path, shape });
    };
    let Some(shape) = fields.get(name) else {
        if name.len() <= NAME {
            report(DriftKind::NewField, shape_of(value, above.len()));
        }
        return Ok(());
    };
    let Some(kind) = FieldType::of(value) else {
        if value.is_null() && !shape.nullable && !shape.filled {
            report(DriftKind::Nullable, FieldShape::default());
        }
        return Ok(());
    };
    let seen = FieldShape { types: BTreeSet::from([kind]), ..FieldShape::default() };
    if !fits(&shape.types, kind) {
        report(type_change(&shape.types, kind), seen);
        return Ok(());
    }
    if let Value::Text(text) = value {
        if let Some(from) = shape.max_length
            && u64::try_from(text.raw().len()).is_ok_and(|bytes| bytes > from)
        {
            let characters = text.decode().map_or_else(|_| text.decoded_len(), |text| text.chars().count());
            let to = u64::try_from(characters).unwrap_or(u64::MAX);
            if to > from {
                report(DriftKind::LongerText { from, to }, FieldShape::default());
            }
        }
        if let Some(values) = &shape.values
            && let Ok(text) = text.decode()
            && !values.contains(text.as_ref())
        {
            let new = Some(BTreeSet::from([text.chars().take(NAME).collect()]));
            report(DriftKind::NewValue, FieldShape { values: new, ..FieldShape::default() });
        }
    }
    if let Value::Object(object) = value
        && above.len() + 1 < LEVELS
        && !shape.fields.is_empty()
    {
        above.push(name.to_owned());
        for member in members(object) {
            let (name, value) = member?;
            if let Ok(name) = name.decode() {
                look_at(&shape.fields, &name, &value, above, found)?;
            }
        }
        above.pop();
    }
    Ok(())
}

/// The shape of a value that nobody has seen before.
fn shape_of(value: &Value<'_>, level: usize) -> FieldShape {
    let mut shape = FieldShape { types: FieldType::of(value).into_iter().collect(), ..FieldShape::default() };
    shape.nullable = value.is_null();
    if let Value::Object(object) = value
        && level + 1 < LEVELS
    {
        for (name, value) in members(object).flatten().take(FIELDS) {
            if let Ok(name) = name.decode()
                && name.len() <= NAME
            {
                shape.fields.insert(name.into_owned(), shape_of(&value, level + 1));
            }
        }
    }
    shape
}
