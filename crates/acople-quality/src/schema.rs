//! Records validated against JSON Schema.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use acople_core::{Error, Result};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;

use crate::finding::{Finding, quote};
use crate::schema_graph;

/// Findings of one record that are looked for.
const FINDINGS: usize = 10;

/// Largest compiled pattern of a schema, in bytes.
const PATTERN_SIZE: usize = 256 << 10;

/// A compiled JSON Schema (drafts 4 to 2020-12, by `$schema`; 2020-12 without).
///
/// Nothing is fetched: a `$ref` leads into the schema itself (`#/$defs/address`) or is an error. Patterns are matched in
/// linear time, without look-around and back-references. Schemas are bounded in size, depth and in what one value
/// can cost ([`Schema::new`]).
///
/// A record is parsed into a tree for this; its depth is bounded by 127. Numbers are compared as the `jsonschema` crate
/// does, beyond 64 bits as floating point: where digits matter, take the rule `range`.
///
/// ```
/// use acople_quality::{Checks, Inspector, Schema};
/// use acople_core::Batch;
///
/// let schema = Schema::new(&serde_json::json!({
///     "type": "object",
///     "properties": {"id": {"type": "string"}, "pin": {"type": "string", "writeOnly": true}},
///     "required": ["id"],
/// }))?;
/// let mut inspector = Inspector::new(Checks::none().with_schema(schema));
/// let batch = Batch::from_records("users", [r#"{"id":"1"}"#, r#"{"id":"2","pin":4711}"#])?;
/// let refused = inspector.inspect(&batch)?.refused();
/// assert_eq!(refused[0].error.message(), "/pin fails schema.type: expected string, found a number");
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    validator: Validator,
    secrets: Secrets,
    fields: Vec<String>,
}

/// Which values no message may quote.
pub(crate) enum Secrets {
    /// Those of properties with these names, anywhere.
    Named(BTreeSet<String>),
    /// All: something is secret whose name cannot be told.
    All,
}

impl Schema {
    /// Compiles a schema. `format` is an annotation; vendors' dates seldom are those of RFC 3339.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config) for what is no schema, for references to elsewhere,
    /// references in a circle, `$dynamicRef`, an `$id` within, more than 20,000 subschemas, more than 64 levels, and
    /// schemas of which more than 10,000 subschemas may apply to a single value.
    pub fn new(schema: &Json) -> Result<Self> {
        Self::compile(schema, false)
    }

    /// As [`new`](Self::new), with `format` enforced.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_formats(schema: &Json) -> Result<Self> {
        Self::compile(schema, true)
    }

    fn compile(schema: &Json, formats: bool) -> Result<Self> {
        let secrets = schema_graph::check(schema)?;
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(formats)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE),
            )
            .build(schema)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                Error::config(
                    "schema",
                    format!("no valid JSON Schema at {place:?}: {}", error.kind().keyword()),
                )
            })?;
        let required = schema.get("required").and_then(Json::as_array);
        let names = required.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned);
        Ok(Self(Arc::new(Compiled { validator, secrets, fields: names.collect() })))
    }

    /// The fields that every record has to have.
    pub(crate) fn fields(&self) -> &[String] {
        &self.0.fields
    }

    /// What is wrong with a record.
    pub(crate) fn findings(&self, raw: &str, excerpt: u16) -> Vec<Finding> {
        let Ok(record) = serde_json::from_str::<Json>(raw) else {
            // Half of a surrogate pair, a number beyond the range of floating point, or too deep.
            let found = "one that cannot be read into a tree".to_owned();
            let expected = "a record that can be validated".to_owned();
            return vec![Finding { pointer: String::new(), rule: "schema".to_owned(), expected, found }];
        };
        if self.0.validator.is_valid(&record) {
            return Vec::new();
        }
        let errors = self.0.validator.iter_errors(&record).take(FINDINGS);
        errors.map(|error| self.finding(&error, excerpt)).collect()
    }

    fn finding(&self, error: &ValidationError<'_>, limit: u16) -> Finding {
        let pointer = error.instance_path().to_string();
        let secret = match &self.0.secrets {
            Secrets::All => true,
            Secrets::Named(names) => {
                pointer.split('/').any(|part| names.contains(&part.replace("~1", "/").replace("~0", "~")))
            }
        };
        let rule = format!("schema.{}", error.kind().keyword());
        Finding {
            pointer,
            rule,
            expected: expected(error.kind()),
            found: found(error.instance(), limit, secret),
        }
    }
}

/// What the schema asks for. It is the host's own and may be quoted; names of members are the record's.
fn expected(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as K;
    match kind {
        K::Required { property } => format!("a member {property}"),
        K::Type { kind: TypeKind::Single(kind) } => kind.to_string(),
        K::Type { kind: TypeKind::Multiple(kinds) } => {
            kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
        }
        K::Pattern { pattern } => format!("a text that matches `{pattern}`"),
        K::Enum { options } => format!("one of {options}"),
        K::Constant { expected_value } => expected_value.to_string(),
        K::Maximum { limit } => format!("at most {limit}"),
        K::Minimum { limit } => format!("at least {limit}"),
        K::ExclusiveMaximum { limit } => format!("less than {limit}"),
        K::ExclusiveMinimum { limit } => format!("more than {limit}"),
        K::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        K::MaxLength { limit } => format!("at most {limit} characters"),
        K::MinLength { limit } => format!("at least {limit} characters"),
        K::MaxItems { limit } => format!("at most {limit} elements"),
        K::AdditionalItems { limit } => format!("at most {limit} elements"),
        K::MinItems { limit } => format!("at least {limit} elements"),
        K::MaxProperties { limit } => format!("at most {limit} members"),
        K::MinProperties { limit } => format!("at least {limit} members"),
        K::Format { format } => format!("a text of format {format}"),
        K::AdditionalProperties { .. } | K::UnevaluatedProperties { .. } => {
            "no members but those of the schema".to_owned()
        }
        K::UniqueItems => "elements that differ".to_owned(),
        other => format!("what `{}` allows", other.keyword()),
    }
}

fn found(value: &Json, limit: u16, secret: bool) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(truth) => quote("a truth value", if *truth { "true" } else { "false" }, limit, secret),
        Json::Number(number) => quote("a number", &number.to_string(), limit, secret),
        Json::String(text) => quote("a text", text, limit, secret),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("required", &self.0.fields.len()).finish_non_exhaustive()
    }
}
