//! From the entity data model to the catalog: a stream for an entity set, a JSON Schema for a type.

use std::time::Duration;

use acople_core::{Deletes, FieldSchema, Listing, ReadMode, Stream};
use serde_json::{Map, Value as Json, json};

use crate::abilities::{Abilities, abilities, look_back};
use crate::edm::{EntitySet, Model, Property};
use crate::{Options, Protocol};

/// How deep complex types are spelled out.
const MAX_DEPTH: usize = 8;

pub(crate) fn stream(model: &Model, set: &EntitySet, options: &Options) -> Stream {
    let Abilities { keys, change, keyset, .. } = abilities(model, set, options);
    let mut stream = Stream::new(&set.name)
        .schema(record(model, &set.type_name, options.protocol, 0))
        .key(keys.iter().map(|key| key.name.as_str()))
        .deletes(Deletes::Invisible)
        .listing(if keyset { Listing::Stable } else { Listing::Shifting });
    stream.label.clone_from(&set.label);
    let mut reads = Vec::new();
    if set.readable {
        reads.push(ReadMode::Full);
        if let Some(change) = change {
            reads.push(ReadMode::Incremental);
            stream = stream.cursor(&change.name).lag(Duration::ZERO, look_back(change, options));
        }
    }
    stream.reads(reads)
}

fn record(model: &Model, type_name: &str, protocol: Protocol, depth: usize) -> Json {
    let properties = model.properties(type_name);
    let required: Vec<&str> = model.keys(type_name).iter().map(|p| p.name.as_str()).collect();
    let mut fields = Map::new();
    for property in properties {
        fields.insert(property.name.clone(), field(model, property, protocol, depth));
    }
    let mut schema = json!({ "type": "object", "properties": fields });
    if !required.is_empty()
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("required".into(), json!(required));
    }
    schema
}

fn field(model: &Model, property: &Property, protocol: Protocol, depth: usize) -> Json {
    let mut one = if let Some(members) = model.enums.get(&property.type_name) {
        enumeration(members.as_deref(), property.nullable && !property.collection)
    } else if model.types.contains_key(&property.type_name) {
        if depth >= MAX_DEPTH {
            return Json::Bool(true);
        }
        let mut schema = record(model, &property.type_name, protocol, depth.saturating_add(1));
        if property.nullable
            && !property.collection
            && let Some(schema) = schema.as_object_mut()
        {
            schema.insert("type".into(), json!(["object", "null"]));
        }
        schema
    } else {
        primitive(property, protocol)
    };
    if property.collection {
        one = match protocol {
            Protocol::V4 => json!({ "type": "array", "items": one }),
            Protocol::V2 => {
                json!({ "type": "object", "properties": { "results": { "type": "array", "items": one } } })
            }
        };
    }
    if let Some(schema) = one.as_object_mut() {
        if let Some(label) = &property.label {
            schema.insert("title".into(), json!(label));
        }
        if property.type_name.starts_with("Edm.") {
            schema.insert("x-odata-type".into(), json!(property.type_name));
        }
    }
    one
}

fn enumeration(members: Option<&[String]>, nullable: bool) -> Json {
    let schema = FieldSchema::new(&["string"]).nullable(nullable);
    match members {
        Some(names) => {
            let names = names.iter().map(|name| json!(name)).chain(nullable.then_some(Json::Null));
            schema.with("enum", names.collect::<Vec<_>>()).into()
        }
        None => schema.into(),
    }
}

/// As JSON carries it: OData 2.0 quotes 64-bit numbers, decimals and floating point and has its own notation
/// for times; OData 4.0 quotes the first two because we ask for it, which some services ignore.
fn primitive(property: &Property, protocol: Protocol) -> Json {
    let v4 = protocol == Protocol::V4;
    let (types, format): (&[&str], Option<&str>) =
        match property.type_name.strip_prefix("Edm.").unwrap_or_default() {
            "String" | "DateTime" | "Binary" => (&["string"], None),
            "Guid" => (&["string"], Some("uuid")),
            "Boolean" => (&["boolean"], None),
            "Byte" | "SByte" | "Int16" | "Int32" => (&["integer"], None),
            "Int64" if v4 => (&["string", "integer"], None),
            "Decimal" if v4 => (&["string", "number"], None),
            "Int64" | "Decimal" | "DateTimeOffset" if !v4 => (&["string"], None),
            "Single" | "Double" | "Float" => (&["number", "string"], None),
            "Date" => (&["string"], Some("date")),
            "DateTimeOffset" => (&["string"], Some("date-time")),
            "TimeOfDay" => (&["string"], Some("time")),
            "Duration" | "Time" => (&["string"], Some("duration")),
            _ => (&[], None),
        };
    let length = property.max_length.filter(|_| property.type_name == "Edm.String");
    FieldSchema::new(types)
        .nullable(property.nullable && !property.collection)
        .format(format)
        .max_length(length.map(u64::from))
        .into()
}
