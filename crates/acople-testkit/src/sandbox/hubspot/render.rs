//! Records as the API shows them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::Record,
    portal::Portal,
    schema::ObjectType,
    stamp,
    store::{Row, Shelf},
};

/// The properties to show, none of them twice: those asked for, or the type's own choice, and those that every answer has.
pub(crate) fn shown<'n>(kind: &'n ObjectType, wanted: Option<&'n [String]>) -> Vec<&'n str> {
    let always = ["createdate", "hs_object_id", kind.modified.as_str()];
    let wanted = wanted.unwrap_or(&kind.defaults).iter().map(String::as_str);
    // The vendor passes over what it does not know.
    let names: BTreeSet<&str> =
        wanted.chain(always).filter(|name| kind.properties.contains_key(*name)).collect();
    names.into_iter().collect()
}

/// Writes one record straight into the bytes of an answer. `properties` is the version to show.
pub(crate) fn write_object(
    out: &mut Vec<u8>,
    id: u64,
    row: &Row,
    properties: &Record,
    names: &[&str],
    extra: &[u8],
) {
    out.extend_from_slice(format!(r#"{{"id":"{id}","properties":{{"#).as_bytes());
    for (position, name) in names.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        // Property names are ASCII words: nothing to escape.
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        // Writing into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, properties.get(*name).unwrap_or(&Value::Null));
    }
    let tail = format!(
        r#"}},"createdAt":"{}","updatedAt":"{}","archived":{}"#,
        stamp(row.created_ms),
        stamp(row.modified_ms),
        row.archived_ms.is_some()
    );
    out.extend_from_slice(tail.as_bytes());
    if let Some(at) = row.archived_ms {
        out.extend_from_slice(format!(r#","archivedAt":"{}""#, stamp(at)).as_bytes());
    }
    out.extend_from_slice(extra);
    out.push(b'}');
}

/// One record by itself.
pub(crate) fn one(shelf: &Shelf, id: u64, row: &Row, wanted: Option<&[String]>, extra: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_object(&mut out, id, row, &row.properties, &shown(&shelf.kind, wanted), extra);
    out
}

/// The `associations` member of a record for the types asked for; empty when there is nothing to say.
pub(crate) fn associations(portal: &Portal, from: &str, id: u64, wanted: &[String]) -> Vec<u8> {
    let mut lists = serde_json::Map::new();
    for to in wanted {
        let Some(kind) = portal.shelf(to).map(|shelf| &shelf.kind) else {
            continue;
        };
        let results: Vec<Value> = portal
            .associated(from, id, &kind.name)
            .map(|other| serde_json::json!({"id": other.to_string(), "type": format!("{from}_to_{}", kind.name)}))
            .collect();
        if !results.is_empty() {
            lists.insert(kind.name.clone(), serde_json::json!({"results": results}));
        }
    }
    if lists.is_empty() {
        return Vec::new();
    }
    format!(r#","associations":{}"#, Value::Object(lists)).into_bytes()
}
