//! JSON Schemas of records, for catalogs that are made from a vendor's description.

use serde_json::{Map, Value as Json, json};

/// The JSON Schema (2020-12) of one field, built keyword by keyword. What is `None`, empty or `false` leaves
/// no keyword behind.
///
/// ```
/// use acople_core::FieldSchema;
/// use serde_json::{Value, json};
///
/// let amount = FieldSchema::new(&["number"]).nullable(true).title(Some("Amount")).read_only(false);
/// assert_eq!(Value::from(amount), json!({"type": ["number", "null"], "title": "Amount"}));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSchema(Map<String, Json>);

impl FieldSchema {
    /// A field whose values are of one of these types; of any type when there are none.
    pub fn new(types: &[&str]) -> Self {
        let schema = Self::default();
        match types {
            [] => schema,
            [one] => schema.with("type", *one),
            many => schema.with("type", many),
        }
    }

    /// Says whether `null` may come too.
    pub fn nullable(mut self, nullable: bool) -> Self {
        if nullable && let Some(types) = self.0.get_mut("type") {
            match types {
                Json::Array(types) => types.push(json!("null")),
                one => *one = json!([one, "null"]),
            }
        }
        self
    }

    /// Sets the format of a text: `date`, `date-time`, `email`.
    pub fn format(self, format: Option<&str>) -> Self {
        self.text("format", format)
    }

    /// Sets the most characters of a text; 0 is no limit.
    pub fn max_length(self, characters: Option<u64>) -> Self {
        match characters {
            None | Some(0) => self,
            Some(most) => self.with("maxLength", most),
        }
    }

    /// Sets the name for people.
    pub fn title(self, title: Option<&str>) -> Self {
        self.text("title", title)
    }

    /// Sets what the field is about.
    pub fn description(self, description: Option<&str>) -> Self {
        self.text("description", description)
    }

    /// Says whether the vendor alone sets the field.
    pub fn read_only(self, read_only: bool) -> Self {
        if read_only { self.with("readOnly", true) } else { self }
    }

    /// Sets any other keyword, such as `oneOf` or one of the vendor's own beginning with `x-`.
    pub fn with(mut self, keyword: &str, value: impl Into<Json>) -> Self {
        let value = value.into();
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            self.0.insert(keyword.to_owned(), value);
        }
        self
    }

    fn text(self, keyword: &str, text: Option<&str>) -> Self {
        match text {
            None | Some("") => self,
            Some(text) => self.with(keyword, text),
        }
    }
}

impl From<FieldSchema> for Json {
    fn from(schema: FieldSchema) -> Self {
        Self::Object(schema.0)
    }
}

/// The JSON Schema of a record with these fields, of which some are always there.
///
/// ```
/// use acople_core::{FieldSchema, record_schema};
///
/// let schema = record_schema([("id", FieldSchema::new(&["string"]))], &["id"]);
/// assert_eq!(schema["properties"]["id"]["type"], "string");
/// ```
pub fn record_schema<N: Into<String>, S: Into<Json>>(
    fields: impl IntoIterator<Item = (N, S)>,
    required: &[&str],
) -> Json {
    let properties: Map<String, Json> =
        fields.into_iter().map(|(name, schema)| (name.into(), schema.into())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}
