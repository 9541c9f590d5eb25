//! What the JSON Schema of a config shows to be wrong, all of it at once.
//!
//! Not a validator of JSON Schema: it knows what `config_schema` writes of serde's structs, enums and maps, and
//! leaves everything else to serde, which reads the config afterwards.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::{Error, ErrorKind};

/// The most that is told of one config.
const MOST: usize = 32;

/// One thing that is wrong: where, and what. Never a value, which may be a secret in the wrong place.
#[derive(Debug)]
struct Complaint {
    path: String,
    said: String,
}

/// Everything that is wrong with the shape of a config, as one error; `None` when its shape is right.
pub(crate) fn shape_error(schema: &Json, config: &Json) -> Option<Error> {
    let mut complaints = Vec::new();
    check(schema, config, "", &mut complaints);
    let [first, more @ ..] = complaints.as_slice() else { return None };
    let mut message = first.said.clone();
    if !more.is_empty() {
        message = format!("{} fields are wrong", complaints.len());
        for (number, Complaint { path, said }) in complaints.iter().enumerate() {
            let _ = write!(message, "{} {path}: {said}", if number == 0 { ":" } else { ";" });
        }
    }
    let error = Error::new(ErrorKind::Config, message);
    let paths = complaints.into_iter().map(|complaint| complaint.path).filter(|path| !path.is_empty());
    Some(paths.fold(error, Error::with_field))
}

/// The depth is that of the schema, which is made of our own types.
fn check(schema: &Json, value: &Json, path: &str, found: &mut Vec<Complaint>) {
    if let Some(branches) = ["oneOf", "anyOf"].iter().find_map(|word| schema.get(word)?.as_array()) {
        return check_branches(branches, value, path, found);
    }
    let allowed = texts(schema);
    if !allowed.is_empty() {
        if value.as_str().is_none_or(|text| !allowed.contains(&text)) {
            complain(found, path, format!("expected {}", one_of(allowed.iter().copied())));
        }
        return;
    }
    let types = types(schema);
    if !types.is_empty() && !types.iter().any(|name| is_type(name, value)) {
        return complain(found, path, format!("invalid type: expected {}", types.join(" or ")));
    }
    match value {
        Json::Object(members) => check_members(schema, members, path, found),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    check(schema, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        Json::Number(number) => {
            let (least, most) = bounds(schema);
            let fits = number.as_i64().is_none_or(|n| least <= i128::from(n) && i128::from(n) <= most)
                && number.as_u64().is_none_or(|n| i128::from(n) <= most);
            if !fits {
                complain(found, path, format!("invalid value: expected {least} to {most}"));
            }
        }
        _ => {}
    }
}

fn check_members(schema: &Json, members: &Map<String, Json>, path: &str, found: &mut Vec<Complaint>) {
    let known = schema.get("properties").and_then(Json::as_object);
    let others = schema.get("additionalProperties");
    for (name, value) in members {
        let path = join(path, name);
        match (known.and_then(|known| known.get(name)), others) {
            (None, Some(Json::Bool(false))) => {
                let known = one_of(known.iter().flat_map(|known| known.keys()).map(String::as_str));
                complain(found, &path, format!("unknown field `{name}`, expected {known}"));
            }
            (Some(schema), _) | (None, Some(schema)) => check(schema, value, &path, found),
            (None, None) => {}
        }
    }
    for name in required(schema).filter(|name| !members.contains_key(*name)) {
        complain(found, &join(path, name), format!("missing field `{name}`"));
    }
}

/// One of several forms: the one that the value is meant to be, judged by its type and its names.
fn check_branches(branches: &[Json], value: &Json, path: &str, found: &mut Vec<Complaint>) {
    let mut least: Option<Vec<Complaint>> = None;
    for branch in branches.iter().filter(|branch| is_meant(branch, value)) {
        let mut complaints = Vec::new();
        check(branch, value, path, &mut complaints);
        if least.as_ref().is_none_or(|least| complaints.len() < least.len()) {
            least = Some(complaints);
        }
    }
    if let Some(complaints) = least {
        return found.extend(complaints);
    }
    let names = branches.iter().flat_map(|branch| {
        let names: Vec<&str> = texts(branch).into_iter().chain(required(branch)).collect();
        if names.is_empty() { types(branch) } else { names }
    });
    complain(found, path, format!("none of the allowed forms: expected {}", one_of(names)));
}

/// Whether a value has the type of a branch, its fixed texts, and a name of it.
fn is_meant(branch: &Json, value: &Json) -> bool {
    let (texts, types) = (texts(branch), types(branch));
    if !texts.is_empty() {
        return value.as_str().is_some_and(|text| texts.contains(&text));
    }
    if !types.is_empty() && !types.iter().any(|name| is_type(name, value)) {
        return false;
    }
    let Some(members) = value.as_object() else { return true };
    let properties = branch.get("properties").and_then(Json::as_object);
    let fixed = properties.iter().flat_map(|all| all.iter()).all(|(name, schema)| {
        let allowed = self::texts(schema);
        schema.get("const").is_none()
            || members.get(name).and_then(Json::as_str).is_some_and(|text| allowed.contains(&text))
    });
    fixed && (required(branch).next().is_none() || required(branch).any(|name| members.contains_key(name)))
}

fn complain(found: &mut Vec<Complaint>, path: &str, said: String) {
    if found.len() < MOST {
        found.push(Complaint { path: path.to_owned(), said });
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The texts that `const` or `enum` allow. An `enum` that allows more than texts is left to serde.
fn texts(schema: &Json) -> Vec<&str> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(Json::String(text)), _) => vec![text],
        (None, Some(Json::Array(all))) if all.iter().all(Json::is_string) => {
            all.iter().filter_map(Json::as_str).collect()
        }
        _ => Vec::new(),
    }
}

fn is_type(name: &str, value: &Json) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

/// What an integer may be: by its bounds, and by the machine type that will hold it.
fn bounds(schema: &Json) -> (i128, i128) {
    let (least, most) = match schema.get("format").and_then(Json::as_str) {
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint" | "uint64") => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), u64::MAX.into()),
    };
    let bound = |word: &str| schema.get(word).and_then(Json::as_i64).map(i128::from);
    (bound("minimum").map_or(least, |n| n.max(least)), bound("maximum").map_or(most, |n| n.min(most)))
}

/// `` `a` ``, `` `a` or `b` ``, or `` one of `a`, `b`, `c` ``, as serde says it.
fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [name] => name.clone(),
        [one, other] => format!("{one} or {other}"),
        names => format!("one of {}", names.join(", ")),
    }
}
