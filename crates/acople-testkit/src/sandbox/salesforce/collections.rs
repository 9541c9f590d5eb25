//! Up to 200 records in a call, with one outcome each, in the order of the request.

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        Record,
        call::{Answer, Call},
        stats::Tally,
    },
    errors::{RecordError, error, not_found},
    id,
    org::Org,
    query::whole_record,
    write::{Journal, Outcome, ill_typed},
};

/// The most records that a call may write.
const MAX_WRITES: usize = 200;
/// The most records that a call may read.
const MAX_READS: usize = 2_000;

/// `POST composite/sobjects`
pub(crate) fn create(org: &mut Org, call: &Call, tally: &mut Tally) -> Answer {
    let (records, all_or_none) = match body(org, call, None) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let at_ms = org.clock.tick();
    let mut journal = Journal::default();
    let outcomes =
        records.iter().map(|record| org.insert(kind_of(record), record, at_ms, &mut journal)).collect();
    finish(org, outcomes, all_or_none, journal, Verb::Create, tally)
}

/// `PATCH composite/sobjects`
pub(crate) fn update(org: &mut Org, call: &Call, tally: &mut Tally) -> Answer {
    let (records, all_or_none) = match body(org, call, None) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let at_ms = org.clock.tick();
    let mut journal = Journal::default();
    let ids: Vec<Option<String>> = records.iter().map(|record| text_of(record, "Id").map(full_id)).collect();
    let twice = repeated(ids.iter().flatten());
    let outcomes = records
        .into_iter()
        .zip(ids)
        .map(|(mut record, id)| {
            let Some(id) = id else {
                return Err(vec![RecordError::new("MISSING_ARGUMENT", "Id not specified in an update call")]);
            };
            if twice.contains(&id) {
                return Err(vec![RecordError::new(
                    "DUPLICATE_VALUE",
                    format!("Duplicate id specified: {id}"),
                )]);
            }
            record.retain(|name, _| !name.eq_ignore_ascii_case("Id"));
            org.change(kind_of(&record), &id, &record, at_ms, &mut journal)
        })
        .collect();
    finish(org, outcomes, all_or_none, journal, Verb::Update, tally)
}

/// `PATCH composite/sobjects/{T}/{ExtIdField}`
pub(crate) fn upsert(org: &mut Org, call: &Call, object: &str, key: &str, tally: &mut Tally) -> Answer {
    let key = match org.key_field(object, key) {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    let (records, all_or_none) = match body(org, call, Some(object)) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let at_ms = org.clock.tick();
    let mut journal = Journal::default();
    let keys: Vec<Option<String>> =
        records.iter().map(|record| text_of(record, &key).map(|text| text.to_lowercase())).collect();
    let twice = repeated(keys.iter().flatten());
    let outcomes = records
        .iter()
        .zip(&keys)
        .map(|(record, value)| {
            if let Some(value) = value.as_ref().filter(|value| twice.contains(*value)) {
                let message = format!("Duplicate external id specified: {value}");
                return Err(vec![RecordError::new("DUPLICATE_VALUE", message).on(&key)]);
            }
            if kind_of(record).eq_ignore_ascii_case(object) {
                org.upsert(object, &key, record, at_ms, &mut journal)
            } else {
                Err(vec![RecordError::new("INVALID_TYPE", format!("the record is not of type {object}"))])
            }
        })
        .collect();
    finish(org, outcomes, all_or_none, journal, Verb::Upsert, tally)
}

/// `DELETE composite/sobjects?ids=a,b&allOrNone=false`
pub(crate) fn delete(org: &mut Org, call: &Call, tally: &mut Tally) -> Answer {
    let ids: Vec<String> = call.list_param("ids").unwrap_or_default().into_iter().map(full_id).collect();
    if ids.is_empty() {
        return error(StatusCode::BAD_REQUEST, "MISSING_ARGUMENT", "The ids parameter is required");
    }
    if ids.len() > MAX_WRITES {
        return too_many(MAX_WRITES);
    }
    let all_or_none = call.param("allOrNone").is_some_and(|flag| flag == "true");
    let at_ms = org.clock.tick();
    let mut journal = Journal::default();
    let twice = repeated(ids.iter());
    let outcomes = ids
        .iter()
        .map(|id| {
            if twice.contains(id) {
                return Err(vec![RecordError::new(
                    "DUPLICATE_VALUE",
                    format!("Duplicate id specified: {id}"),
                )]);
            }
            let Some(object) = org.tables.of_id(id).map(|table| table.object().name.clone()) else {
                return Err(vec![RecordError::new("MALFORMED_ID", format!("malformed id {id}"))]);
            };
            org.erase(&object, id, at_ms, &mut journal)
        })
        .collect();
    finish(org, outcomes, all_or_none, journal, Verb::Delete, tally)
}

/// `POST composite/sobjects/{T}` with `ids` and `fields`; null for a record that is not there.
pub(crate) fn retrieve(org: &Org, call: &Call, object: &str, version: &str, tally: &mut Tally) -> Answer {
    let Some(table) = org.tables.find(object) else {
        return not_found();
    };
    let body = match call.json() {
        Ok(body) => body,
        Err(bad) => return unreadable(&bad),
    };
    let list = |name: &str| -> Vec<String> {
        let values = body.get(name).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (ids, fields) = (list("ids"), list("fields"));
    if ids.is_empty() || fields.is_empty() {
        return error(StatusCode::BAD_REQUEST, "MISSING_ARGUMENT", "ids and fields are required");
    }
    if ids.len() > MAX_READS {
        return too_many(MAX_READS);
    }
    let mut out = Vec::with_capacity(ids.len());
    for id in ids.into_iter().map(full_id) {
        let Some(row) = table.get(&id).filter(|row| row.deleted_ms.is_none()) else {
            out.push(Value::Null);
            continue;
        };
        match whole_record(table.object(), row, Some(&fields), version) {
            Ok(record) => out.push(record),
            Err(unfit) => return error(StatusCode::BAD_REQUEST, unfit.code, &unfit.message),
        }
        tally.records_out += 1;
    }
    Answer::json(StatusCode::OK, &Value::Array(out))
}

pub(crate) fn unreadable(bad: &serde_json::Error) -> Answer {
    error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", &format!("The request body is not valid JSON: {bad}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Upsert,
    Delete,
}

/// The records of a request that can be read as a whole, and `allOrNone`.
fn body(org: &Org, call: &Call, object: Option<&str>) -> Result<(Vec<Record>, bool), Answer> {
    let mut body = call.json().map_err(|bad| unreadable(&bad))?;
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let Some(Value::Array(values)) = body.get_mut("records").map(Value::take) else {
        return Err(error(StatusCode::BAD_REQUEST, "MISSING_ARGUMENT", "records is required"));
    };
    if values.len() > MAX_WRITES {
        return Err(too_many(MAX_WRITES));
    }
    let mut records = Vec::with_capacity(values.len());
    for value in values {
        let Value::Object(record) = value else {
            return Err(error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", "a record must be an object"));
        };
        let table = org.tables.find(object.unwrap_or_else(|| kind_of(&record)));
        if let Some(message) = table.and_then(|table| ill_typed(table.object(), &record)) {
            return Err(error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", &message));
        }
        records.push(record);
    }
    Ok((records, all_or_none))
}

fn finish(
    org: &mut Org,
    mut outcomes: Vec<Outcome>,
    all_or_none: bool,
    journal: Journal,
    verb: Verb,
    tally: &mut Tally,
) -> Answer {
    if all_or_none && outcomes.iter().any(Result::is_err) {
        org.undo(journal);
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
            *outcome = Err(vec![RecordError::new(
                "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                "Record rolled back because not all records were valid",
            )]);
        }
    }
    let mut results = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        results.push(match outcome {
            Ok(saved) => {
                match (verb, saved.created) {
                    (Verb::Delete, _) => tally.deleted += 1,
                    (_, true) => tally.created += 1,
                    (_, false) => tally.updated += 1,
                }
                let mut result = json!({"id": saved.id, "success": true, "errors": []});
                if let (Verb::Upsert, Some(map)) = (verb, result.as_object_mut()) {
                    map.insert("created".into(), Value::Bool(saved.created));
                }
                result
            }
            Err(errors) => {
                tally.refused += 1;
                let errors: Vec<Value> = errors.iter().map(RecordError::in_collection).collect();
                json!({"success": false, "errors": errors})
            }
        });
    }
    Answer::json(StatusCode::OK, &Value::Array(results))
}

fn too_many(limit: usize) -> Answer {
    let message = format!("record limit reached: at most {limit} records in a call");
    error(StatusCode::BAD_REQUEST, "EXCEEDED_ID_LIMIT", &message)
}

fn kind_of(record: &Record) -> &str {
    record.get("attributes").and_then(|attributes| attributes.get("type")?.as_str()).unwrap_or_default()
}

fn text_of(record: &Record, name: &str) -> Option<String> {
    let (_, value) = record.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn full_id(text: String) -> String {
    id::to_18(&text).unwrap_or(text)
}

/// What a call names more than once; the vendor refuses every occurrence.
fn repeated<'k>(keys: impl Iterator<Item = &'k String>) -> HashSet<String> {
    let mut seen = HashSet::new();
    keys.filter(|key| !seen.insert(*key)).cloned().collect()
}
