//! Lists, and calls for one record.

use http::StatusCode;
use serde_json::Value;

use super::{
    super::{
        Record,
        call::{Answer, Call},
        encoding::{base64_decode, base64_encode, percent_decode},
        stats::Tally,
    },
    errors::Refusal,
    portal::Portal,
    render::{associations, one, shown, write_object},
};

/// The most records of a list page, and how many there are when nobody asks.
const MAX_LIST: usize = 100;
const DEFAULT_LIST: usize = 10;

/// `GET /{type}`
pub(crate) fn list(portal: &Portal, call: &Call, kind: &str, tally: &mut Tally) -> Result<Answer, Refusal> {
    let shelf = portal.known_shelf(kind)?;
    let limit = match call.param("limit") {
        None => DEFAULT_LIST,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MAX_LIST) => limit,
            _ => return Err(Refusal::validation(format!("limit must be from 1 to {MAX_LIST}"))),
        },
    };
    let ids = shelf.ids(is_archived(call));
    let start = match call.param("after") {
        None => 0,
        Some(after) => {
            let mark = read_after(&after).ok_or_else(|| Refusal::validation("after is not valid"))?;
            if portal.stable_lists {
                ids.partition_point(|id| *id <= mark)
            } else {
                usize::try_from(mark).unwrap_or(usize::MAX)
            }
        }
    };
    let wanted = call.list_param("properties");
    let names = shown(&shelf.kind, wanted.as_deref());
    let linked = call.list_param("associations").unwrap_or_default();
    let end = start.saturating_add(limit).min(ids.len());
    let mut out = br#"{"results":["#.to_vec();
    let mut last = 0;
    for (position, id) in ids.iter().take(end).skip(start).enumerate() {
        let Some(row) = shelf.get(*id) else { continue };
        if position > 0 {
            out.push(b',');
        }
        let extra = associations(portal, &shelf.kind.name, *id, &linked);
        write_object(&mut out, *id, row, &row.properties, &names, &extra);
        last = *id;
        tally.records_out += 1;
    }
    out.push(b']');
    if end < ids.len() {
        let mark = if portal.stable_lists { last } else { u64::try_from(end).unwrap_or(u64::MAX) };
        let after = write_after(mark);
        let link = format!("{}{}?limit={limit}&after={after}", portal.url, call.path);
        let paging = serde_json::json!({"next": {"after": after, "link": link}});
        out.extend_from_slice(format!(r#","paging":{paging}"#).as_bytes());
    }
    out.push(b'}');
    Ok(Answer::json_bytes(StatusCode::OK, out))
}

/// `GET /{type}/{id}[?idProperty=]`
pub(crate) fn get(
    portal: &Portal,
    call: &Call,
    kind: &str,
    id: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let shelf = portal.known_shelf(kind)?;
    let id = if is_archived(call) {
        id.parse().ok().filter(|id| shelf.get(*id).is_some_and(|row| row.archived_ms.is_some()))
    } else {
        shelf.named(id, id_property(portal, call, kind)?.as_deref())
    };
    let (id, row) = id.and_then(|id| Some((id, shelf.get(id)?))).ok_or_else(Refusal::missing)?;
    let wanted = call.list_param("properties");
    let linked = call.list_param("associations").unwrap_or_default();
    let extra = associations(portal, &shelf.kind.name, id, &linked);
    tally.records_out += 1;
    Ok(Answer::json_bytes(StatusCode::OK, one(shelf, id, row, wanted.as_deref(), &extra)))
}

/// `POST /{type}`
pub(crate) fn create(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    portal.known_shelf(kind)?;
    let input = properties(call)?;
    let at_ms = portal.clock.tick();
    let id = portal.create(kind, &input, at_ms).inspect_err(|_| tally.refused += 1)?;
    tally.created += 1;
    written(portal, kind, id, &input, StatusCode::CREATED)
}

/// `PATCH /{type}/{id}[?idProperty=]`
pub(crate) fn update(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    id: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let by = id_property(portal, call, kind)?;
    let input = properties(call)?;
    let at_ms = portal.clock.tick();
    let id = portal.known_shelf(kind)?.named(id, by.as_deref()).ok_or_else(Refusal::missing);
    let id = id.and_then(|id| portal.update(kind, id, &input, at_ms)).inspect_err(|_| tally.refused += 1)?;
    tally.updated += 1;
    written(portal, kind, id, &input, StatusCode::OK)
}

/// `DELETE /{type}/{id}`
pub(crate) fn archive(
    portal: &mut Portal,
    kind: &str,
    id: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let known: Option<u64> =
        id.parse().ok().filter(|id| portal.shelf(kind).is_some_and(|s| s.get(*id).is_some()));
    let id = known.ok_or_else(Refusal::missing)?;
    let at_ms = portal.clock.tick();
    if portal.archive(kind, id, at_ms) {
        tally.deleted += 1;
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `PUT /{type}/{id}/associations/{toType}/{toId}`
pub(crate) fn associate(
    portal: &mut Portal,
    from: (&str, &str),
    to: (&str, &str),
) -> Result<Answer, Refusal> {
    let mut ends = Vec::with_capacity(2);
    for (kind, id) in [from, to] {
        let shelf = portal.known_shelf(kind)?;
        let id = shelf.named(id, None).ok_or_else(Refusal::missing)?;
        ends.push((shelf.kind.name.clone(), id));
    }
    if let [from, to] = ends.as_slice() {
        portal.associate((&from.0, from.1), (&to.0, to.1));
    }
    Ok(Answer::json(StatusCode::CREATED, &serde_json::json!({"fromObjectId": from.1, "toObjectId": to.1})))
}

/// The body of a call as JSON.
pub(crate) fn json(call: &Call) -> Result<Value, Refusal> {
    call.json().map_err(|bad| Refusal::validation(format!("Invalid input JSON: {bad}")))
}

/// The answer to a write shows what was written, and what every answer shows.
pub(crate) fn written_names(portal: &Portal, kind: &str, input: &Record) -> Vec<String> {
    let defaults = portal.shelf(kind).map(|shelf| shelf.kind.defaults.clone()).unwrap_or_default();
    input.keys().cloned().chain(defaults).collect()
}

fn written(
    portal: &Portal,
    kind: &str,
    id: u64,
    input: &Record,
    status: StatusCode,
) -> Result<Answer, Refusal> {
    let shelf = portal.known_shelf(kind)?;
    let row = shelf.get(id).ok_or_else(Refusal::missing)?;
    let names = written_names(portal, kind, input);
    Ok(Answer::json_bytes(status, one(shelf, id, row, Some(&names), b"")))
}

fn properties(call: &Call) -> Result<Record, Refusal> {
    match json(call)?.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => Ok(properties),
        _ => Err(Refusal::validation("Invalid input JSON: properties is required")),
    }
}

fn id_property(portal: &Portal, call: &Call, kind: &str) -> Result<Option<String>, Refusal> {
    let shelf = portal.known_shelf(kind)?;
    match call.param("idProperty") {
        Some(name) if name != "hs_object_id" && !shelf.is_unique(&name) => {
            Err(Refusal::validation(format!("{name} is not a unique property of {kind}")))
        }
        other => Ok(other),
    }
}

fn is_archived(call: &Call) -> bool {
    call.param("archived").is_some_and(|flag| flag == "true")
}

/// The vendor's page tokens are base64 with the padding already escaped.
fn write_after(mark: u64) -> String {
    base64_encode(mark.to_string().as_bytes()).replace('=', "%3D")
}

/// Accepts a token as it was given, and one that the client has escaped once more or not at all.
fn read_after(after: &str) -> Option<u64> {
    let plain = percent_decode(after)?;
    String::from_utf8(base64_decode(&plain)?).ok()?.parse().ok()
}
