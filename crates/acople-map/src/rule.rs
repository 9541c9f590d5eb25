//! One row of a table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::{is_default, one_or_many, one_or_many_schema, present};
use crate::{Constant, Convert};

/// One row of a table: where a value comes from, what happens to it, where it goes.
///
/// A rule has exactly one source (`from`, `constant` or `join`) and exactly one target (`to` or
/// `split`). Paths are member names joined by dots (`properties.email`).
///
/// ```
/// use acople_map::{Convert, Rule};
///
/// let rule = Rule::rename("Email", "properties.email").with_convert(Convert::Lower).required();
/// assert_eq!(rule.to.as_deref(), Some("properties.email"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// The source field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Source fields to try in turn when `from` is missing or null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// A fixed value instead of a source field.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
    /// Several source fields made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    /// The target field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Several target fields made of one source field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Conversions, applied in order: one, or a list.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many_schema::<Convert>")]
    pub convert: Vec<Convert>,
    /// What is written when the source is missing or null; it is not converted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Constant>,
    /// Conditions that must all hold, or the rule writes nothing: one, or a list. Deletions, which hold
    /// little more than their key, are not asked.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many_schema::<Condition>")]
    pub when: Vec<Condition>,
    /// A record whose source is missing or null is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// The target is part of the record's key: deletions are mapped by the key rules alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: bool,
    /// The target refuses to be written: the row documents a correspondence and is left out of what
    /// is written unless [`TableMapper::with_read_only_fields`](crate::TableMapper::with_read_only_fields)
    /// asks for it (to compare both sides).
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// Whether an empty text at the source counts as null; without it, as the table says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_is_null: Option<bool>,
    /// How null is written; without it, as the table says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<Nulls>,
    /// The longest text that the target takes, in characters (Unicode scalar values).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// What becomes of a longer text.
    #[serde(default, skip_serializing_if = "is_default")]
    pub too_long: TooLong,
    /// In which direction the rule works.
    #[serde(default, skip_serializing_if = "is_default")]
    pub direction: Direction,
}

/// Several source fields made one text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The source fields, in order. Missing, null and empty ones are skipped.
    pub from: Vec<String>,
    /// The text between them.
    pub separator: String,
}

/// One source text cut into several target fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The target fields, in order. A piece that is not there is null.
    pub to: Vec<String>,
    /// The text to cut at.
    pub separator: String,
    /// Where more separators than needed occur, the first field takes the rest instead of the last:
    /// `Ana María Pérez` becomes `Ana María` and `Pérez` instead of `Ana` and `María Pérez`. Where
    /// fewer occur, the pieces fill the last fields instead of the first.
    #[serde(default)]
    pub from_end: bool,
}

/// A condition on one source field. Exactly one test is given.
///
/// Values are compared as text, because one vendor's `true` is the other's `"true"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Condition {
    /// The source field.
    pub field: String,
    /// The value is this one; null also stands for a missing field.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub equals: Option<Constant>,
    /// The value is another one, or missing.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Constant>,
    /// The value is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Constant>>,
    /// `true`: there is a value that is not null; `false`: the field is missing or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// `true`: the field is missing or null; `false`: there is a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<bool>,
}

impl Condition {
    /// The field has this value.
    pub fn equals(field: impl Into<String>, value: impl Into<Constant>) -> Self {
        Self { field: field.into(), equals: Some(value.into()), ..Self::default() }
    }

    /// The field has another value or none.
    pub fn not_equals(field: impl Into<String>, value: impl Into<Constant>) -> Self {
        Self { field: field.into(), not_equals: Some(value.into()), ..Self::default() }
    }

    /// The field has one of these values.
    pub fn one_of<V: Into<Constant>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self {
            field: field.into(),
            one_of: Some(values.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    /// The field has a value that is not null.
    pub fn exists(field: impl Into<String>) -> Self {
        Self { field: field.into(), exists: Some(true), ..Self::default() }
    }

    /// The field is missing or null.
    pub fn missing(field: impl Into<String>) -> Self {
        Self { field: field.into(), missing: Some(true), ..Self::default() }
    }
}

/// How a null is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Nulls {
    /// As `null`.
    #[default]
    Keep,
    /// Not at all: the target keeps what it has.
    Omit,
    /// As an empty text, with which HubSpot and others clear a field.
    EmptyText,
}

/// What becomes of a text that is too long for its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TooLong {
    /// The record is refused.
    #[default]
    Refuse,
    /// The text is cut after the last character that fits.
    Truncate,
}

/// In which direction of its table a rule works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Direction {
    /// As written, and turned round when the table is inverted.
    #[default]
    Both,
    /// Only as written.
    Forward,
    /// Only in the inverted table, where it works as written: its `from` is a field of the table's
    /// target and its `to` a field of the table's source.
    Backward,
}

impl Direction {
    /// The direction seen from the inverted table.
    pub(crate) fn turned(self) -> Self {
        match self {
            Self::Both => Self::Both,
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

impl Rule {
    /// A value copied as it is from one field to another.
    pub fn rename(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: Some(from.into()), to: Some(to.into()), ..Self::default() }
    }

    /// A fixed value.
    pub fn constant(value: impl Into<Constant>, to: impl Into<String>) -> Self {
        Self { constant: Some(value.into()), to: Some(to.into()), ..Self::default() }
    }

    /// Several fields joined to one text.
    pub fn join<S: Into<String>>(
        from: impl IntoIterator<Item = S>,
        separator: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        let from = from.into_iter().map(Into::into).collect();
        Self {
            join: Some(Join { from, separator: separator.into() }),
            to: Some(to.into()),
            ..Self::default()
        }
    }

    /// One text cut into several fields.
    pub fn split<S: Into<String>>(
        from: impl Into<String>,
        separator: impl Into<String>,
        to: impl IntoIterator<Item = S>,
    ) -> Self {
        let to = to.into_iter().map(Into::into).collect();
        let split = Split { to, separator: separator.into(), from_end: false };
        Self { from: Some(from.into()), split: Some(split), ..Self::default() }
    }

    /// Adds a source field to try when those before are missing or null.
    pub fn with_fallback(mut self, from: impl Into<String>) -> Self {
        self.fallback.push(from.into());
        self
    }

    /// Adds a conversion after those that are there.
    pub fn with_convert(mut self, convert: Convert) -> Self {
        self.convert.push(convert);
        self
    }

    /// Sets what is written when the source is missing or null.
    pub fn with_default(mut self, value: impl Into<Constant>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Adds a condition.
    pub fn with_condition(mut self, condition: Condition) -> Self {
        self.when.push(condition);
        self
    }

    /// Refuses records without a value.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Marks the target as part of the key.
    pub fn key(mut self) -> Self {
        self.key = true;
        self
    }

    /// Marks the target as one that refuses to be written.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Sets whether an empty text at the source counts as null.
    pub fn with_empty_is_null(mut self, empty_is_null: bool) -> Self {
        self.empty_is_null = Some(empty_is_null);
        self
    }

    /// Sets how null is written.
    pub fn with_nulls(mut self, nulls: Nulls) -> Self {
        self.nulls = Some(nulls);
        self
    }

    /// Sets the longest text, in characters, and what becomes of a longer one.
    pub fn with_max_length(mut self, characters: u32, too_long: TooLong) -> Self {
        self.max_length = Some(characters);
        self.too_long = too_long;
        self
    }

    /// Sets the direction.
    pub fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// The source fields by name, for messages.
    pub(crate) fn sources(&self) -> Vec<&str> {
        let joined = self.join.iter().flat_map(|join| &join.from);
        self.from.iter().chain(&self.fallback).chain(joined).map(String::as_str).collect()
    }
}
