//! `check` and `discover`: what a connection is good for.

use acople::json::FieldPath;
use acople::{Context, Deletes, ReadMode, Stream, WriteMode};
use serde_json::Value as Json;

use crate::args::Connection;
use crate::connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// Objects within objects that the field list goes into.
const DEPTH: usize = 4;

pub(super) async fn check(connection: &Connection, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    let connector = connection::open(connection).await?;
    let health = connector.check(&Context::new()).await?;
    if json {
        out.json(&health)?;
    } else {
        out.line(&format!("ok: {}", health.summary))?;
        for warning in &health.warnings {
            out.line(&format!("warning: {warning}"))?;
        }
    }
    Ok(Exit::Success)
}

pub(super) async fn discover(
    connection: &Connection,
    stream: Option<&str>,
    out: &mut Out,
    json: bool,
) -> Result<Exit, Failure> {
    let connector = connection::open(connection).await?;
    let cx = Context::new();
    if let Some(name) = stream {
        let stream = connector.describe(&cx, name).await?;
        if json {
            out.json(&stream)?;
        } else {
            describe(out, &stream)?;
        }
    } else {
        let catalog = connector.discover(&cx).await?;
        if json {
            out.json(&catalog)?;
        } else {
            list(out, &catalog.streams)?;
        }
    }
    Ok(Exit::Success)
}

fn list(out: &mut Out, streams: &[Stream]) -> Result<(), Failure> {
    let rows: Vec<[String; 5]> = streams
        .iter()
        .map(|s| [s.name.clone(), reads(s), writes(s), paths(&s.key), s.label.clone().unwrap_or_default()])
        .collect();
    out.table(["STREAM", "READ", "WRITE", "KEY", "LABEL"], &rows)
}

fn describe(out: &mut Out, stream: &Stream) -> Result<(), Failure> {
    let name = match &stream.label {
        Some(label) if *label != stream.name => format!("{} ({label})", stream.name),
        _ => stream.name.clone(),
    };
    let cursor = stream.cursor.as_ref().map(ToString::to_string).unwrap_or_default();
    let deletions = match stream.deletes {
        Deletes::Tombstones => "seen by incremental reads",
        _ => "not seen",
    };
    let facts = [
        ("stream", name),
        ("read", reads(stream)),
        ("write", writes(stream)),
        ("key", paths(&stream.key)),
        ("upsert keys", paths(&stream.upsert_keys)),
        ("cursor", cursor),
        ("deletions", deletions.to_owned()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        out.line(&format!("{name:<12}{value}"))?;
    }
    let mut rows = Vec::new();
    fields(&stream.schema, &FieldPath::default(), DEPTH, &mut rows);
    if !rows.is_empty() {
        out.line("")?;
        out.table(["FIELD", "TYPE", "LABEL"], &rows)?;
    }
    Ok(())
}

fn fields(schema: &Json, above: &FieldPath, depth: usize, rows: &mut Vec<[String; 3]>) {
    let Some(members) = schema.get("properties").and_then(Json::as_object) else {
        return;
    };
    for (name, member) in members {
        let mut path = above.clone();
        path.push(name.as_str());
        if depth > 0 && member.get("properties").is_some() {
            fields(member, &path, depth - 1, rows);
            continue;
        }
        let label = member.get("title").or_else(|| member.get("description"));
        let label = label.and_then(Json::as_str).unwrap_or_default();
        rows.push([path.to_string(), kind(member), label.to_owned()]);
    }
}

/// The type in a word: `string (date-time) or null`.
fn kind(schema: &Json) -> String {
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => return "any".to_owned(),
    };
    let (null, kinds): (Vec<&str>, Vec<&str>) = kinds.into_iter().partition(|kind| *kind == "null");
    let mut text = kinds.join(" or ");
    if let Some(format) = schema.get("format").and_then(Json::as_str) {
        text = format!("{text} ({format})");
    }
    if !null.is_empty() {
        text.push_str(" or null");
    }
    text
}

fn reads(stream: &Stream) -> String {
    let name = |mode: &ReadMode| match mode {
        ReadMode::Incremental => "incremental",
        _ => "full",
    };
    stream.reads.iter().map(name).collect::<Vec<_>>().join(",")
}

fn writes(stream: &Stream) -> String {
    let name = |mode: &WriteMode| match mode {
        WriteMode::Insert => "insert",
        WriteMode::Update => "update",
        WriteMode::Delete => "delete",
        _ => "upsert",
    };
    stream.writes.iter().map(name).collect::<Vec<_>>().join(",")
}

fn paths(paths: &[FieldPath]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
