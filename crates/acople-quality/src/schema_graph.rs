//! What a schema may cost, found out before it is compiled: references, depth, size, circles.

use std::collections::{BTreeSet, HashMap};

use acople_core::{Error, Result};
use serde_json::Value as Json;

use crate::schema::Secrets;

/// Most subschemas.
const NODES: usize = 20_000;

/// Deepest nesting of the text.
const DEPTH: usize = 64;

/// Most subschemas that may apply to one value.
const COST: u64 = 10_000;

/// Most levels of subschemas that apply to one value: a record is at most 127 deep, and each of its levels may go
/// through as many.
const HEIGHT: usize = 16;

/// Longest chain of subschemas, through references and parts of values.
const CHAIN: usize = 128;

/// Keywords whose value is a schema for a part of the value.
const BELOW: [&str; 9] = [
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "contentSchema",
    "prefixItems",
];

/// Keywords whose value is an object of schemas.
const MAPS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

/// Keywords whose schemas apply to the very same value.
const IN_PLACE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Checks a schema.
///
/// # Errors
/// A configuration error that names what is wrong.
pub(crate) fn check(schema: &Json) -> Result<Secrets> {
    measure(schema, 0)?;
    let mut graph = Graph {
        root: schema,
        known: HashMap::new(),
        open: BTreeSet::new(),
        nodes: 0,
        names: BTreeSet::new(),
        unnamed: false,
    };
    graph.visit(schema, Some(""), 0)?;
    Ok(if graph.unnamed { Secrets::All } else { Secrets::Named(graph.names) })
}

struct Graph<'a> {
    root: &'a Json,
    /// By address, what was found out already.
    known: HashMap<*const Json, Extent>,
    /// Those that are being found out: to meet one again is a circle.
    open: BTreeSet<*const Json>,
    nodes: usize,
    /// Names of properties that are secret.
    names: BTreeSet<String>,
    /// Something is secret that is no property.
    unnamed: bool,
}

/// How much of a schema applies to one value.
#[derive(Clone, Copy)]
struct Extent {
    /// Subschemas.
    cost: u64,
    /// How deep they are nested or refer to each other.
    height: usize,
}

/// The plain depth of the text, before anything recurses on it without a bound.
fn measure(value: &Json, depth: usize) -> Result<()> {
    if depth > DEPTH {
        return Err(problem(format!("nested more than {DEPTH} levels deep")));
    }
    match value {
        Json::Array(list) => list.iter().try_for_each(|value| measure(value, depth + 1)),
        Json::Object(members) => members.values().try_for_each(|value| measure(value, depth + 1)),
        _ => Ok(()),
    }
}

impl<'a> Graph<'a> {
    /// `name` is that of the property that the schema describes: empty when it has none, `None` for a definition,
    /// which is secret under the names by which it is referred to.
    fn visit(&mut self, schema: &'a Json, name: Option<&str>, depth: usize) -> Result<Extent> {
        let Json::Object(members) = schema else { return Ok(Extent { cost: 1, height: 0 }) };
        let address = std::ptr::from_ref(schema);
        if is_secret(schema) {
            match name {
                Some("") => self.unnamed = true,
                Some(name) => {
                    self.names.insert(name.to_owned());
                }
                None => {}
            }
        }
        if let Some(known) = self.known.get(&address) {
            return Ok(*known);
        }
        if !self.open.insert(address) {
            return Err(problem("references lead round in a circle".to_owned()));
        }
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(problem(format!("more than {NODES} subschemas")));
        }
        if depth > CHAIN {
            return Err(problem(format!("subschemas refer to each other more than {CHAIN} deep")));
        }
        let mut extent = Extent { cost: 1, height: 0 };
        for (keyword, value) in members {
            let in_place: Vec<&'a Json> = match keyword.as_str() {
                "$ref" => vec![self.resolve(value)?],
                "$dynamicRef" | "$recursiveRef" => {
                    return Err(problem(format!("{keyword} is not supported")));
                }
                "$id" | "id" if !std::ptr::eq(schema, self.root) && value.is_string() => {
                    return Err(problem("an identifier within the schema is not supported".to_owned()));
                }
                "dependentSchemas" | "dependencies" => {
                    value.as_object().into_iter().flat_map(serde_json::Map::values).collect()
                }
                word if IN_PLACE.contains(&word) => each(value).collect(),
                _ => continue,
            };
            for schema in in_place {
                let part = self.visit(schema, name, depth + 1)?;
                extent.cost = extent.cost.saturating_add(part.cost);
                extent.height = extent.height.max(part.height + 1);
            }
            if extent.cost > COST || extent.height > HEIGHT {
                return Err(problem(format!(
                    "more than {COST} subschemas, or more than {HEIGHT} levels of them, may apply to one value"
                )));
            }
        }
        self.open.remove(&address);
        self.known.insert(address, extent);
        self.visit_below(members, depth)?;
        Ok(extent)
    }

    /// The schemas of parts of the value: a circle through them ends with the value.
    fn visit_below(&mut self, members: &'a serde_json::Map<String, Json>, depth: usize) -> Result<()> {
        // What is being found out above applies to the value around, not to its parts.
        let above = std::mem::take(&mut self.open);
        for (keyword, value) in members {
            if BELOW.contains(&keyword.as_str()) {
                for value in each(value) {
                    self.visit(value, Some(""), depth + 1)?;
                }
            } else if MAPS.contains(&keyword.as_str()) {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let name = match keyword.as_str() {
                        "properties" => Some(name.as_str()),
                        "$defs" | "definitions" => None,
                        _ => Some(""),
                    };
                    self.visit(value, name, depth + 1)?;
                }
            }
        }
        self.open = above;
        Ok(())
    }

    fn resolve(&self, reference: &Json) -> Result<&'a Json> {
        let Some(reference) = reference.as_str() else {
            return Err(problem("a reference is no text".to_owned()));
        };
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(problem(format!(
                "reference {reference:?} leads out of the schema; nothing is fetched"
            )));
        };
        let found = if fragment.is_empty() {
            Some(self.root)
        } else if fragment.starts_with('/') {
            // Names with characters that a URI escapes are no names of fields that vendors have.
            self.root.pointer(fragment)
        } else {
            None
        };
        found.ok_or_else(|| {
            problem(format!("reference {reference:?} leads nowhere; it is a pointer such as `#/$defs/a`"))
        })
    }
}

fn is_secret(schema: &Json) -> bool {
    let is = |word: &str| schema.get(word) == Some(&Json::Bool(true));
    is("writeOnly") || is("x-secret") || schema.get("format").and_then(Json::as_str) == Some("password")
}

/// A schema, or each schema of a list.
fn each(value: &Json) -> std::slice::Iter<'_, Json> {
    match value {
        Json::Array(list) => list.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn problem(message: String) -> Error {
    Error::config("schema", message)
}
