//! Writing one record: what is refused, and what is stored.

use serde_json::{Number, Value};

use super::{
    super::{
        Record,
        clock::{is_day, parse_instant},
        email::is_email,
    },
    errors::RecordError,
    id,
    org::Org,
    schema::{Field, FieldKind, Object},
    stamp,
    store::{Row, Table},
};

/// A record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) id: String,
    pub(crate) created: bool,
}

pub(crate) type Outcome = Result<Saved, Vec<RecordError>>;

/// What stood in the place of each record written, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal(Vec<(String, String, Option<Row>)>);

impl Org {
    /// Creates a record.
    pub(crate) fn insert(
        &mut self,
        object: &str,
        input: &Record,
        at_ms: i64,
        journal: &mut Journal,
    ) -> Outcome {
        let table = self.tables.find(object).ok_or_else(|| unknown_object(object))?;
        let mut changes = fit(table, input)?;
        for field in table.object().fields() {
            let Some(default) = &field.default else { continue };
            if !changes.iter().any(|(name, value)| *name == field.name && value.is_some()) {
                changes.retain(|(name, _)| *name != field.name);
                changes.push((field.name.clone(), Some(default.clone())));
            }
        }
        let fields = merged(table.object(), &Record::new(), &changes);
        required(table.object(), &fields)?;
        self.check_others(table, &changes, None)?;
        let table = self.tables.find_mut(object).ok_or_else(|| unknown_object(object))?;
        let id = table.new_id();
        let row = new_row(table.object(), fields, &id, at_ms);
        journal.0.push((object.to_owned(), id.clone(), table.put(&id, row)));
        Ok(Saved { id, created: true })
    }

    /// Changes the fields that `input` has.
    pub(crate) fn change(
        &mut self,
        object: &str,
        id: &str,
        input: &Record,
        at_ms: i64,
        journal: &mut Journal,
    ) -> Outcome {
        let table = self.tables.find(object).ok_or_else(|| unknown_object(object))?;
        let (id, row) = living(table, id)?;
        let changes = fit(table, input)?;
        let mut fields = merged(table.object(), &row.fields, &changes);
        required(table.object(), &fields)?;
        self.check_others(table, &changes, Some(&id))?;
        touch(&mut fields, at_ms);
        let row = Row { fields, modified_ms: at_ms, deleted_ms: None };
        let table = self.tables.find_mut(object).ok_or_else(|| unknown_object(object))?;
        journal.0.push((object.to_owned(), id.clone(), table.put(&id, row)));
        Ok(Saved { id, created: false })
    }

    /// Creates or changes the record whose key field has the value that `input` brings.
    pub(crate) fn upsert(
        &mut self,
        object: &str,
        key: &str,
        input: &Record,
        at_ms: i64,
        journal: &mut Journal,
    ) -> Outcome {
        let table = self.tables.find(object).ok_or_else(|| unknown_object(object))?;
        let Some((_, value)) =
            input.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && has_value(value))
        else {
            return Err(vec![RecordError::new("MISSING_ARGUMENT", format!("{key} not specified"))]);
        };
        if key == "Id" {
            let id = value.as_str().unwrap_or_default().to_owned();
            let rest = input.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Id"));
            let rest = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
            return self.change(object, &id, &rest, at_ms, journal);
        }
        match table.find(key, value) {
            [] => self.insert(object, input, at_ms, journal),
            [id] => {
                let id = id.clone();
                self.change(object, &id, input, at_ms, journal)
            }
            several => {
                let message = format!("{key}: more than one record found: {}", several.join(", "));
                Err(vec![RecordError::new("DUPLICATE_EXTERNAL_ID", message)])
            }
        }
    }

    /// Moves a record to the recycle bin.
    pub(crate) fn erase(&mut self, object: &str, id: &str, at_ms: i64, journal: &mut Journal) -> Outcome {
        let table = self.tables.find_mut(object).ok_or_else(|| unknown_object(object))?;
        let (id, row) = living(table, id)?;
        let mut row = row.clone();
        row.fields.insert("IsDeleted".into(), Value::Bool(true));
        touch(&mut row.fields, at_ms);
        row.modified_ms = at_ms;
        row.deleted_ms = Some(at_ms);
        journal.0.push((object.to_owned(), id.clone(), table.put(&id, row)));
        Ok(Saved { id, created: false })
    }

    /// Puts back what stood there before.
    pub(crate) fn undo(&mut self, journal: Journal) {
        for (object, id, row) in journal.0.into_iter().rev() {
            let Some(table) = self.tables.find_mut(&object) else {
                continue;
            };
            match row {
                Some(row) => drop(table.put(&id, row)),
                None => drop(table.remove(&id)),
            }
        }
    }

    /// Checks values against other records: unique fields and references.
    fn check_others(
        &self,
        table: &Table,
        changes: &[(String, Option<Value>)],
        own: Option<&str>,
    ) -> Result<(), Vec<RecordError>> {
        for (name, value) in changes {
            let (Some(value), Some(field)) = (value, table.object().find(name)) else {
                continue;
            };
            if field.unique
                && let Some(other) = table.find(name, value).iter().find(|id| Some(id.as_str()) != own)
            {
                let message =
                    format!("duplicate value found: {name} duplicates value on record with id: {other}");
                return Err(vec![RecordError::new("DUPLICATE_VALUE", message)]);
            }
            if let FieldKind::Reference { to, .. } = &field.kind {
                let Some(id) = value.as_str().and_then(id::to_18) else {
                    let message = format!("{}: id value of incorrect type: {value}", field.label);
                    return Err(vec![RecordError::new("MALFORMED_ID", message).on(name)]);
                };
                let missing = |target: &Table| target.get(&id).is_none_or(|row| row.deleted_ms.is_some());
                if self.tables.find(to).is_some_and(missing) {
                    let message = "invalid cross reference id";
                    return Err(vec![RecordError::new("INVALID_CROSS_REFERENCE_KEY", message).on(name)]);
                }
            }
        }
        Ok(())
    }
}

/// The message for a value that can not be read as its field's type. The vendor refuses the whole request then.
pub(crate) fn ill_typed(object: &Object, input: &Record) -> Option<String> {
    input.iter().find_map(|(name, value)| {
        let field = object.find(name).filter(|field| field.writable)?;
        convert(field, value).is_err().then(|| {
            let token = match value {
                Value::String(_) => "VALUE_STRING",
                Value::Number(_) => "VALUE_NUMBER",
                Value::Bool(_) => "VALUE_BOOLEAN",
                Value::Array(_) => "START_ARRAY",
                _ => "START_OBJECT",
            };
            format!("Cannot deserialize field {} from {token} value {value}", field.name)
        })
    })
}

/// A record stored as it is, without the checks of the API.
///
/// # Panics
///
/// When a field is unknown or can not hold its value: a mistake in the test.
pub(crate) fn loaded_row(object: &Object, record: &Record, id: &str, at_ms: i64) -> Row {
    let mut changes = Vec::new();
    let (mut created, mut modified) = (at_ms, at_ms);
    for (name, value) in record {
        let field = object.find(name);
        assert!(field.is_some(), "{} has no field {name}", object.name);
        let Some(field) = field else { continue };
        let instant = value.as_str().and_then(parse_instant);
        match (field.name.as_str(), instant) {
            ("CreatedDate", Some(ms)) => created = ms,
            ("SystemModstamp" | "LastModifiedDate", Some(ms)) => modified = ms,
            _ if field.writable => {
                let converted = convert(field, value);
                assert!(converted.is_ok(), "{}.{name} can not hold {value}", object.name);
                changes.push((field.name.clone(), converted.unwrap_or(None)));
            }
            _ => {}
        }
    }
    for field in object.fields() {
        if let Some(default) = &field.default
            && !changes.iter().any(|(name, _)| *name == field.name)
        {
            changes.push((field.name.clone(), Some(default.clone())));
        }
    }
    let fields = merged(object, &Record::new(), &changes);
    let mut row = new_row(object, fields, id, modified);
    if created != modified {
        row.fields.insert("CreatedDate".into(), stamp(created).into());
    }
    row
}

fn new_row(object: &Object, mut fields: Record, id: &str, at_ms: i64) -> Row {
    for field in object.fields() {
        if field.kind == FieldKind::Boolean && !fields.contains_key(&field.name) {
            fields.insert(field.name.clone(), Value::Bool(false));
        }
    }
    let at = touch(&mut fields, at_ms);
    fields.insert("Id".into(), id.into());
    fields.insert("CreatedDate".into(), at.into());
    fields.insert("CreatedById".into(), super::USER_ID.into());
    Row { fields, modified_ms: at_ms, deleted_ms: None }
}

/// Marks a record as written at this time, and gives the time as text.
fn touch(fields: &mut Record, at_ms: i64) -> String {
    let at = stamp(at_ms);
    fields.insert("LastModifiedDate".into(), at.clone().into());
    fields.insert("LastModifiedById".into(), super::USER_ID.into());
    fields.insert("SystemModstamp".into(), at.clone().into());
    at
}

fn has_value(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

fn unknown_object(name: &str) -> Vec<RecordError> {
    vec![RecordError::new("INVALID_TYPE", format!("sObject type '{name}' is not supported."))]
}

/// The record with this id of 15 or 18 characters, unless it is deleted.
fn living<'t>(table: &'t Table, id: &str) -> Result<(String, &'t Row), Vec<RecordError>> {
    let Some(full) = id::to_18(id).filter(|full| full.starts_with(&table.object().key_prefix)) else {
        return Err(vec![RecordError::new("MALFORMED_ID", format!("malformed id {id}")).on("Id")]);
    };
    match table.get(&full) {
        None => Err(vec![RecordError::new("NOT_FOUND", "The requested resource does not exist")]),
        Some(row) if row.deleted_ms.is_some() => {
            Err(vec![RecordError::new("ENTITY_IS_DELETED", "entity is deleted")])
        }
        Some(row) => Ok((full, row)),
    }
}

/// The checks that need the record alone; gives the values to store, `None` for null.
fn fit(table: &Table, input: &Record) -> Result<Vec<(String, Option<Value>)>, Vec<RecordError>> {
    let object = table.object();
    let mut changes = Vec::with_capacity(input.len());
    let mut errors = Vec::new();
    for (name, value) in input.iter().filter(|(name, _)| *name != "attributes") {
        let Some(field) = object.find(name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name);
            return Err(vec![RecordError::new("INVALID_FIELD", message)]);
        };
        if !field.writable {
            let message = format!("Unable to create/update fields: {}", field.name);
            return Err(vec![RecordError::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on(&field.name)]);
        }
        let value = convert(field, value).unwrap_or(None);
        if let Some(error) = value.as_ref().and_then(|value| unacceptable(field, value)) {
            errors.push(error);
        }
        changes.push((field.name.clone(), value));
    }
    if errors.is_empty() { Ok(changes) } else { Err(errors) }
}

fn unacceptable(field: &Field, value: &Value) -> Option<RecordError> {
    let text = value.as_str()?;
    if field.is_text() && text.chars().count() > field.length {
        let message = format!("{}: data value too large (max length={})", field.label, field.length);
        return Some(RecordError::new("STRING_TOO_LONG", message).on(&field.name));
    }
    match &field.kind {
        FieldKind::Email if !is_email(text) => {
            let message = format!("{}: invalid email address: {text}", field.label);
            Some(RecordError::new("INVALID_EMAIL_ADDRESS", message).on(&field.name))
        }
        FieldKind::Picklist { values, restricted: true } if !values.iter().any(|value| value == text) => {
            let message = format!("{}: bad value for restricted picklist field: {text}", field.label);
            Some(RecordError::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(&field.name))
        }
        _ => None,
    }
}

fn required(object: &Object, fields: &Record) -> Result<(), Vec<RecordError>> {
    let blank = |field: &&Field| {
        field.required
            && fields.get(&field.name).is_none_or(|value| value.as_str().is_some_and(|t| t.trim().is_empty()))
    };
    let missing: Vec<String> = object.fields().iter().filter(blank).map(|field| field.name.clone()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    Err(vec![RecordError { code: "REQUIRED_FIELD_MISSING", message, fields: missing }])
}

/// The fields after the changes, with the computed ones computed anew.
fn merged(object: &Object, old: &Record, changes: &[(String, Option<Value>)]) -> Record {
    let mut fields = old.clone();
    for (name, value) in changes {
        match value {
            Some(value) => drop(fields.insert(name.clone(), value.clone())),
            None => drop(fields.shift_remove(name)),
        }
    }
    for field in object.fields() {
        if let Some(formula) = field.formula {
            match formula(&fields) {
                Value::Null => drop(fields.shift_remove(&field.name)),
                value => drop(fields.insert(field.name.clone(), value)),
            }
        }
    }
    fields
}

/// The value as the field keeps it, `None` for null; an error when it is of another type.
fn convert(field: &Field, value: &Value) -> Result<Option<Value>, ()> {
    let text = match value {
        Value::Null if field.kind == FieldKind::Boolean => return Ok(Some(Value::Bool(false))),
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Object(_) => return Err(()),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let kept = match field.kind {
        FieldKind::Boolean => Value::Bool(text.parse().map_err(drop)?),
        FieldKind::Int => {
            let number: f64 = text.parse().map_err(drop)?;
            if number.fract() != 0.0 || number.abs() > f64::from(i32::MAX) {
                return Err(());
            }
            Value::Number(format!("{number}").parse::<i64>().map_err(drop)?.into())
        }
        FieldKind::Double(_) | FieldKind::Currency(_) => {
            Value::Number(Number::from_f64(text.parse().map_err(drop)?).ok_or(())?)
        }
        FieldKind::Date if is_day(&text) => Value::String(text),
        FieldKind::Date => Value::String(stamp(parse_instant(&text).ok_or(())?).chars().take(10).collect()),
        FieldKind::DateTime => Value::String(stamp(parse_instant(&text).ok_or(())?)),
        FieldKind::Id | FieldKind::Reference { .. } => Value::String(id::to_18(&text).unwrap_or(text)),
        _ => Value::String(text),
    };
    Ok(Some(kept))
}
