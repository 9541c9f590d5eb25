//! Calls for one record, and the logs of deleted and updated ones.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        Record,
        call::{Answer, Call},
        clock::{DAY_MS, parse_instant},
        stats::Tally,
    },
    collections::unreadable,
    errors::{RecordError, error, not_found, refused},
    id,
    org::Org,
    query::whole_record,
    stamp,
    store::Table,
    write::{Journal, Outcome, ill_typed},
};

/// The deletion log reaches this far back.
const LOG_DAYS: i64 = 15;

/// `POST sobjects/{T}`
pub(crate) fn create(org: &mut Org, call: &Call, object: &str, tally: &mut Tally) -> Answer {
    let input = match body(org, call, object) {
        Ok(input) => input,
        Err(answer) => return answer,
    };
    let at_ms = org.clock.tick();
    let outcome = org.insert(object, &input, at_ms, &mut Journal::default());
    count(&outcome, tally);
    match outcome {
        Ok(saved) => {
            Answer::json(StatusCode::CREATED, &json!({"id": saved.id, "success": true, "errors": []}))
        }
        Err(errors) => refused(&errors),
    }
}

/// `PATCH sobjects/{T}/{id}`
pub(crate) fn update(org: &mut Org, call: &Call, object: &str, id: &str, tally: &mut Tally) -> Answer {
    let input = match body(org, call, object) {
        Ok(input) => input,
        Err(answer) => return answer,
    };
    let at_ms = org.clock.tick();
    let outcome = org.change(object, id, &input, at_ms, &mut Journal::default());
    count(&outcome, tally);
    match outcome {
        Ok(_) => Answer::empty(StatusCode::NO_CONTENT),
        Err(errors) => refused(&errors),
    }
}

/// `PATCH sobjects/{T}/{ExtIdField}/{value}`
pub(crate) fn upsert(
    org: &mut Org,
    call: &Call,
    path: (&str, &str, &str),
    version: &str,
    tally: &mut Tally,
) -> Answer {
    let (object, key, value) = path;
    let key = match org.key_field(object, key) {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    let mut input = match body(org, call, object) {
        Ok(input) => input,
        Err(answer) => return answer,
    };
    if input.keys().any(|name| name.eq_ignore_ascii_case(&key)) {
        let message = format!("The {key} field should not be specified in the sobject data");
        return error(StatusCode::BAD_REQUEST, "INVALID_FIELD", &message);
    }
    if let Some(answer) = org.tables.find(object).and_then(|table| ambiguous(table, &key, value, version)) {
        tally.refused += 1;
        return answer;
    }
    input.insert(key.clone(), value.into());
    let at_ms = org.clock.tick();
    let outcome = org.upsert(object, &key, &input, at_ms, &mut Journal::default());
    count(&outcome, tally);
    match outcome {
        Ok(saved) => {
            let status = if saved.created { StatusCode::CREATED } else { StatusCode::OK };
            let body = json!({"id": saved.id, "success": true, "errors": [], "created": saved.created});
            Answer::json(status, &body)
        }
        Err(errors) => refused(&errors),
    }
}

/// `DELETE sobjects/{T}/{id}`
pub(crate) fn delete(org: &mut Org, object: &str, id: &str, tally: &mut Tally) -> Answer {
    if org.tables.find(object).is_none() {
        return not_found();
    }
    let at_ms = org.clock.tick();
    match org.erase(object, id, at_ms, &mut Journal::default()) {
        Ok(_) => {
            tally.deleted += 1;
            Answer::empty(StatusCode::NO_CONTENT)
        }
        Err(errors) => {
            tally.refused += 1;
            refused(&errors)
        }
    }
}

/// `GET sobjects/{T}/{id}[?fields=]`
pub(crate) fn retrieve(
    org: &Org,
    call: &Call,
    object: &str,
    id: &str,
    version: &str,
    tally: &mut Tally,
) -> Answer {
    let Some(table) = org.tables.find(object) else {
        return not_found();
    };
    let row = id::to_18(id).and_then(|id| table.get(&id));
    let Some(row) = row.filter(|row| row.deleted_ms.is_none()) else {
        let code = if row.is_some() { "ENTITY_IS_DELETED" } else { "NOT_FOUND" };
        return refused(&[RecordError::new(code, "The requested resource does not exist")]);
    };
    match whole_record(table.object(), row, call.list_param("fields").as_deref(), version) {
        Ok(record) => {
            tally.records_out += 1;
            Answer::json(StatusCode::OK, &record)
        }
        Err(unfit) => error(StatusCode::BAD_REQUEST, unfit.code, &unfit.message),
    }
}

/// `GET sobjects/{T}/{ExtIdField}/{value}`
pub(crate) fn retrieve_by_key(
    org: &Org,
    call: &Call,
    path: (&str, &str, &str),
    version: &str,
    tally: &mut Tally,
) -> Answer {
    let (object, key, value) = path;
    let key = match org.key_field(object, key) {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    let Some(table) = org.tables.find(object) else {
        return not_found();
    };
    if key == "Id" {
        return retrieve(org, call, object, value, version, tally);
    }
    if let Some(answer) = ambiguous(table, &key, value, version) {
        return answer;
    }
    match table.find(&key, &value.into()) {
        [id, ..] => retrieve(org, call, object, id, version, tally),
        [] => not_found(),
    }
}

/// `GET sobjects/{T}/deleted/?start=&end=`
pub(crate) fn deleted(org: &Org, call: &Call, object: &str) -> Answer {
    let (table, start, end) = match window(org, call, object) {
        Ok(window) => window,
        Err(answer) => return answer,
    };
    let rows = table.by_time(start).filter_map(|(id, row)| Some((id, row.deleted_ms?)));
    let records: Vec<Value> = rows
        .filter(|(_, at)| (start..end).contains(at))
        .map(|(id, at)| json!({"id": id, "deletedDate": stamp(at)}))
        .collect();
    let body = json!({
        "deletedRecords": records,
        "earliestDateAvailable": stamp(org.log_since_ms),
        "latestDateCovered": stamp(end.min(org.clock.now())),
    });
    Answer::json(StatusCode::OK, &body)
}

/// `GET sobjects/{T}/updated/?start=&end=`
pub(crate) fn updated(org: &Org, call: &Call, object: &str) -> Answer {
    let (table, start, end) = match window(org, call, object) {
        Ok(window) => window,
        Err(answer) => return answer,
    };
    let live = table.by_time(start).filter(|(_, row)| row.deleted_ms.is_none() && row.modified_ms < end);
    let ids: Vec<&String> = live.map(|(id, _)| id).collect();
    let body = json!({"ids": ids, "latestDateCovered": stamp(end.min(org.clock.now()))});
    Answer::json(StatusCode::OK, &body)
}

fn count(outcome: &Outcome, tally: &mut Tally) {
    match outcome {
        Ok(saved) if saved.created => tally.created += 1,
        Ok(_) => tally.updated += 1,
        Err(_) => tally.refused += 1,
    }
}

fn body(org: &Org, call: &Call, object: &str) -> Result<Record, Answer> {
    let table = org.tables.find(object).ok_or_else(not_found)?;
    let Value::Object(input) = call.json().map_err(|bad| unreadable(&bad))? else {
        return Err(error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", "a record must be an object"));
    };
    match ill_typed(table.object(), &input) {
        Some(message) => Err(error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", &message)),
        None => Ok(input),
    }
}

/// 300 with the addresses of all records that share a value.
fn ambiguous(table: &Table, key: &str, value: &str, version: &str) -> Option<Answer> {
    let ids = table.find(key, &value.into());
    if ids.len() < 2 {
        return None;
    }
    let address =
        |id: &String| json!(format!("/services/data/{version}/sobjects/{}/{id}", table.object().name));
    Some(Answer::json(StatusCode::MULTIPLE_CHOICES, &Value::Array(ids.iter().map(address).collect())))
}

fn window<'o>(org: &'o Org, call: &Call, object: &str) -> Result<(&'o Table, i64, i64), Answer> {
    let table = org.tables.find(object).ok_or_else(not_found)?;
    let bad = |message: &str| error(StatusCode::BAD_REQUEST, "INVALID_REPLICATION_DATE", message);
    let instant = |name: &str| call.param(name).and_then(|text| parse_instant(&text));
    let (Some(start), Some(end)) = (instant("start"), instant("end")) else {
        return Err(bad("start and end must be dates with a time"));
    };
    if start >= end {
        return Err(bad("the start must be before the end"));
    }
    if start < org.clock.now() - LOG_DAYS * DAY_MS {
        return Err(bad("the start is further back than the log"));
    }
    Ok((table, start, end))
}
