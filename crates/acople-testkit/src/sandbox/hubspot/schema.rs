//! Object types and properties, as the properties API tells them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::{
        clock::{is_day, parse_day, parse_instant},
        email::is_email,
    },
    day_text, stamp,
};

/// What a property holds. Values are texts on the wire, whatever their kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyKind {
    /// Any text.
    Text,
    /// A decimal number; its digits are kept.
    Number,
    /// A calendar day.
    Date,
    /// An instant with milliseconds.
    DateTime,
    /// `true` or `false`.
    Boolean,
    /// One of these values.
    Enumeration(Vec<String>),
}

/// A property of an object type.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as the API tells them")]
pub struct Property {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: PropertyKind,
    pub(crate) field_type: String,
    pub(crate) group: String,
    pub(crate) email: bool,
    pub(crate) unique: bool,
    pub(crate) read_only: bool,
    pub(crate) hubspot_defined: bool,
}

impl Property {
    /// A property as users create it.
    pub fn new(name: impl Into<String>, kind: PropertyKind) -> Self {
        let name = name.into();
        let field_type = match kind {
            PropertyKind::Text => "text",
            PropertyKind::Number => "number",
            PropertyKind::Date | PropertyKind::DateTime => "date",
            PropertyKind::Boolean => "booleancheckbox",
            PropertyKind::Enumeration(_) => "select",
        };
        Self {
            label: name.replace('_', " "),
            name,
            kind,
            field_type: field_type.into(),
            group: "information".into(),
            email: false,
            unique: false,
            read_only: false,
            hubspot_defined: false,
        }
    }

    /// A text property.
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(name, PropertyKind::Text)
    }

    /// One of a list of values.
    pub fn enumeration<'v>(name: impl Into<String>, values: impl IntoIterator<Item = &'v str>) -> Self {
        Self::new(name, PropertyKind::Enumeration(values.into_iter().map(str::to_owned).collect()))
    }

    /// Refuses a value that another record has, and lets calls name records by this property.
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Refuses every attempt to write the property.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    pub(crate) fn email(mut self) -> Self {
        self.email = true;
        self
    }

    /// The value as the vendor keeps it, `None` for none; or the vendor's code and a message.
    pub(crate) fn convert(&self, value: &Value) -> Result<Option<String>, (&'static str, String)> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err((
                    "INVALID_VALUE",
                    format!("{} must be a text, a number or a boolean", self.name),
                ));
            }
        };
        if text.is_empty() {
            return Ok(None);
        }
        match &self.kind {
            PropertyKind::Text if self.email => {
                // The vendor stores addresses in lower case, and finds them so.
                let address = text.trim().to_lowercase();
                if is_email(&address) {
                    Ok(Some(address))
                } else {
                    Err(("INVALID_EMAIL", format!("Email address {text} is invalid")))
                }
            }
            PropertyKind::Text => Ok(Some(text)),
            PropertyKind::Number => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(text.trim().to_owned())),
                _ => Err(("INVALID_NUMBER", format!("{text} was not a valid number."))),
            },
            PropertyKind::Boolean => match text.to_lowercase().as_str() {
                flag @ ("true" | "false") => Ok(Some(flag.to_owned())),
                _ => Err((
                    "INVALID_OPTION",
                    format!("{text} was not one of the allowed options: [true, false]"),
                )),
            },
            PropertyKind::Enumeration(values) => {
                if values.contains(&text) {
                    Ok(Some(text))
                } else {
                    Err(("INVALID_OPTION", format!("{text} was not one of the allowed options: {values:?}")))
                }
            }
            PropertyKind::DateTime => match instant(&text) {
                Some(ms) => Ok(Some(stamp(ms))),
                None => Err(("INVALID_DATE", format!("{text} was not a valid date."))),
            },
            PropertyKind::Date => {
                if is_day(&text) {
                    return Ok(Some(text));
                }
                match text.parse().ok().filter(|ms: &i64| ms.rem_euclid(86_400_000) == 0) {
                    Some(ms) => Ok(Some(day_text(ms))),
                    None => Err(("INVALID_DATE", format!("{text} was not a valid date."))),
                }
            }
        }
    }

    pub(crate) fn describe(&self) -> Value {
        let (kind, values) = match &self.kind {
            PropertyKind::Text => ("string", Vec::new()),
            PropertyKind::Number => ("number", Vec::new()),
            PropertyKind::Date => ("date", Vec::new()),
            PropertyKind::DateTime => ("datetime", Vec::new()),
            PropertyKind::Boolean => ("bool", vec!["true".to_owned(), "false".to_owned()]),
            PropertyKind::Enumeration(values) => ("enumeration", values.clone()),
        };
        let options: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(position, value)| {
                json!({"label": value, "value": value, "displayOrder": position, "hidden": false})
            })
            .collect();
        json!({
            "name": self.name,
            "label": self.label,
            "type": kind,
            "fieldType": self.field_type,
            "description": "",
            "groupName": self.group,
            "options": options,
            "displayOrder": -1,
            "calculated": self.read_only && self.hubspot_defined,
            "externalOptions": false,
            "archived": false,
            "hasUniqueValue": self.unique,
            "hidden": false,
            "hubspotDefined": self.hubspot_defined,
            "formField": !self.read_only,
            "modificationMetadata": {
                "archivable": !self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyOptions": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
        })
    }

    /// A property as the body of a create call describes it.
    pub(crate) fn from_json(body: &Value) -> Result<Self, String> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let name = text("name").unwrap_or_default();
        let well_named = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !well_named {
            return Err(format!("'{name}' is no name for a property: lower case letters, digits and _ only"));
        }
        let kind = match text("type") {
            Some("string") => PropertyKind::Text,
            Some("number") => PropertyKind::Number,
            Some("date") => PropertyKind::Date,
            Some("datetime") => PropertyKind::DateTime,
            Some("bool") => PropertyKind::Boolean,
            Some("enumeration") => {
                let options = body.get("options").and_then(Value::as_array).into_iter().flatten();
                PropertyKind::Enumeration(
                    options.filter_map(|option| option.get("value")?.as_str().map(str::to_owned)).collect(),
                )
            }
            other => return Err(format!("type {other:?} is not known")),
        };
        for required in ["label", "fieldType", "groupName"] {
            if text(required).is_none_or(str::is_empty) {
                return Err(format!("{required} is required"));
            }
        }
        let owned = |name: &str| text(name).unwrap_or_default().to_owned();
        Ok(Self {
            label: owned("label"),
            field_type: owned("fieldType"),
            group: owned("groupName"),
            unique: body.get("hasUniqueValue").and_then(Value::as_bool).unwrap_or(false),
            ..Self::new(name, kind)
        })
    }
}

/// Unix milliseconds of an instant as clients write it: milliseconds, ISO 8601, or a day.
pub(crate) fn instant(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| parse_instant(text)).or_else(|| parse_day(text))
}

/// A type of object.
#[derive(Debug, Clone)]
pub struct ObjectType {
    pub(crate) name: String,
    pub(crate) singular: String,
    pub(crate) type_id: String,
    pub(crate) modified: String,
    pub(crate) defaults: Vec<String>,
    pub(crate) required: Vec<String>,
    pub(crate) properties: BTreeMap<String, Property>,
}

impl ObjectType {
    /// A custom object: `type_id` is such as `2-123456`, `name` such as `equipment` (the API also calls it `p_equipment`).
    pub fn custom(type_id: impl Into<String>, name: impl Into<String>) -> Self {
        let name = name.into();
        Self::build(type_id, name.clone(), name, "hs_lastmodifieddate")
    }

    pub(crate) fn standard(type_id: &str, name: &str, singular: &str, modified: &str) -> Self {
        Self::build(type_id, name, singular, modified)
    }

    fn build(
        type_id: impl Into<String>,
        name: impl Into<String>,
        singular: impl Into<String>,
        modified: &str,
    ) -> Self {
        let object = Self {
            name: name.into(),
            singular: singular.into(),
            type_id: type_id.into(),
            modified: modified.into(),
            defaults: Vec::new(),
            required: Vec::new(),
            properties: BTreeMap::new(),
        };
        object
            .defined(Property::new("hs_object_id", PropertyKind::Number).read_only())
            .defined(Property::new("createdate", PropertyKind::DateTime).read_only())
            .defined(Property::new(modified, PropertyKind::DateTime).read_only())
    }

    /// With one more property, or with one replaced.
    pub fn property(mut self, property: Property) -> Self {
        self.properties.insert(property.name.clone(), property);
        self
    }

    /// With a property that new records must have.
    pub fn required(mut self, name: impl Into<String>) -> Self {
        self.required.push(name.into());
        self
    }

    /// With a property that the vendor defines.
    pub(crate) fn defined(self, mut property: Property) -> Self {
        property.hubspot_defined = true;
        self.property(property)
    }

    /// The properties shown when a call asks for none.
    pub(crate) fn shows(mut self, names: &[&str]) -> Self {
        self.defaults = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.type_id.starts_with("2-")
    }

    pub(crate) fn fully_qualified(&self) -> String {
        format!("p{}_{}", super::PORTAL_ID, self.name)
    }

    /// Whether a path means this type.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        name == self.name
            || name == self.type_id
            || if self.is_custom() {
                name.strip_prefix("p_") == Some(&self.name) || name == self.fully_qualified()
            } else {
                name == self.singular
            }
    }

    pub(crate) fn describe(&self) -> Value {
        let properties: Vec<Value> = self.properties.values().map(Property::describe).collect();
        json!({
            "id": self.type_id.trim_start_matches("2-"),
            "objectTypeId": self.type_id,
            "fullyQualifiedName": self.fully_qualified(),
            "name": self.name,
            "labels": {"singular": self.singular, "plural": self.name},
            "primaryDisplayProperty": self.defaults.first(),
            "requiredProperties": self.required,
            "searchableProperties": self.defaults,
            "secondaryDisplayProperties": [],
            "properties": properties,
            "associations": [],
            "archived": false,
        })
    }
}
