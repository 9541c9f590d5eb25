//! What serde loads: rules, their checks and conditions.

use std::num::NonZeroU32;

use acople_core::Result;
use serde::{Deserialize, Serialize};

use crate::load::{is_default, one_or_many, present};
use crate::{Checks, Lookups, Scalar};

/// The rules of one stream.
///
/// Rules are data: load them ([`from_yaml`](Self::from_yaml), [`from_json`](Self::from_json), or serde) or build
/// them in code, then [`compile`](Self::compile) them once.
///
/// ```
/// use acople_quality::{Check, Lookups, Rule, Rules};
///
/// let rules = Rules::new("contacts").with_rule(Rule::new("id", Check::Required));
/// rules.compile(&Lookups::new())?;
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rules {
    /// The name, for people and messages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Most characters of a value that a refusal quotes; 0 quotes none. Values of rules marked `secret` are
    /// never quoted.
    #[serde(default = "excerpt")]
    pub excerpt: u16,
}

/// Long enough to see what is wrong, short enough to be no copy of the record.
fn excerpt() -> u16 {
    32
}

/// What one field has to be like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// The name in messages; without it, that of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The field: names joined by dots, or a JSON pointer.
    pub field: String,
    /// The checks: one, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub check: Vec<Check>,
    /// Conditions that must all hold, or the rule is not applied: one, or a list.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
    /// What becomes of a record that fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub severity: Severity,
    /// How much each check counts in the score, 1 to 1,000.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: NonZeroU32,
    /// No message quotes the value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret: bool,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_one(weight: &NonZeroU32) -> bool {
    *weight == NonZeroU32::MIN
}

/// What becomes of a record that fails a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The record is refused: it goes to quarantine.
    #[default]
    Error,
    /// The record passes and the failure is counted.
    Warning,
}

/// One check of a field. All but `required` and `not_null` let a missing or null field pass, uncounted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// The field is there and not null.
    Required,
    /// The field is not null; it may be missing.
    NotNull,
    /// The value is of one of these types.
    Type(#[serde(deserialize_with = "one_or_many")] Vec<Kind>),
    /// No other record of the scope has the value.
    Unique(Unique),
    /// A number, date or time lies between bounds.
    Range(Range),
    /// A text's characters, or a list's elements, are so many.
    Length(Length),
    /// A text matches a regular expression somewhere; `^` and `$` tie it to the ends. No look-around and no
    /// back-references: time is linear in the text.
    Pattern(String),
    /// The value is one of these. Values are compared as text; numbers by their digits.
    OneOf(Vec<Scalar>),
    /// The value is a key of the look-up of this name.
    ExistsIn(String),
    /// The value stands in this relation to another field.
    Compare(Compare),
    /// A date or time is not older than this, nor in the future.
    Fresh(Fresh),
}

/// A type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction, of any length: `12`, `12.0`.
    Integer,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A number, or a text that is one: `"12.30"`.
    Decimal,
    /// A text that is a day: `2026-01-02`.
    Date,
    /// A text that is a day with a time (ISO 8601).
    DateTime,
    /// A list.
    Array,
    /// An object.
    Object,
}

/// Within what, and how many, values are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Unique {
    /// Other fields that are part of the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Where a value may occur once.
    pub scope: Scope,
    /// Most keys that are remembered, each as 128 bits of SipHash; about 36 bytes a key.
    pub keys: usize,
    /// What happens once there are more.
    pub beyond: Beyond,
}

impl Default for Unique {
    fn default() -> Self {
        Self { with: Vec::new(), scope: Scope::Run, keys: 500_000, beyond: Beyond::Unchecked }
    }
}

/// Where a value may occur once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In a batch.
    Batch,
    /// In the run of one inspector. A run that is resumed starts with none.
    #[default]
    Run,
}

/// What happens once more keys come than are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// Values are compared with those remembered; new ones pass and are counted as unchecked.
    #[default]
    Unchecked,
    /// The run ends with an error.
    Stop,
}

/// Bounds of a number, date or time. Fractions are written in quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Range {
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// Less than any allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Scalar>,
    /// More than any allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Scalar>,
}

/// Bounds of a length: characters (Unicode scalar values) of a text, elements of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Length {
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<usize>,
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
}

/// A relation to another field. Numbers, dates and times have an order; other values are only equal or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The relation.
    pub is: Relation,
    /// The other field.
    pub to: String,
}

/// How two values stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// Not `=`
    NotEqual,
    /// `>=`
    AtLeast,
    /// `>`
    Greater,
}

/// How old a date or time may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Seconds before now.
    pub seconds: u64,
    /// Seconds that it may lie in the future, for clocks that differ.
    #[serde(default = "tolerance")]
    pub ahead: u64,
}

fn tolerance() -> u64 {
    300
}

/// A test of a field that a rule depends on. Values are compared as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// The value is this one; null also stands for a missing field.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// The value is another one, or missing.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Scalar>,
    /// The value is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// `true`: there is a value that is not null; `false`: the field is missing or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

impl Condition {
    /// The field has this value.
    pub fn equals(field: impl Into<String>, value: impl Into<Scalar>) -> Self {
        Self { field: field.into(), equals: Some(value.into()), ..Self::default() }
    }

    /// The field has a value that is not null, or has none.
    pub fn exists(field: impl Into<String>, exists: bool) -> Self {
        Self { field: field.into(), exists: Some(exists), ..Self::default() }
    }
}

impl Rule {
    /// A rule of one check, severity error and weight 1.
    pub fn new(field: impl Into<String>, check: Check) -> Self {
        Self {
            name: None,
            field: field.into(),
            check: vec![check],
            when: Vec::new(),
            severity: Severity::Error,
            weight: NonZeroU32::MIN,
            secret: false,
        }
    }

    /// Names the rule in messages.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a check.
    pub fn with_check(mut self, check: Check) -> Self {
        self.check.push(check);
        self
    }

    /// Adds a condition.
    pub fn with_condition(mut self, condition: Condition) -> Self {
        self.when.push(condition);
        self
    }

    /// Lets records that fail pass, counted.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Sets how much each check counts in the score; 0 counts as 1.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Keeps the value out of every message.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new("")
    }
}

impl Rules {
    /// No rules yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rules: Vec::new(), excerpt: excerpt() }
    }

    /// Adds a rule.
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Sets the most characters of a value that a refusal quotes; 0 quotes none.
    pub fn with_excerpt(mut self, characters: u16) -> Self {
        self.excerpt = characters;
        self
    }

    /// Loads rules from YAML.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config), naming the place (`rules[3].check`).
    pub fn from_yaml(text: &str) -> Result<Self> {
        crate::load::yaml(text)
    }

    /// Loads rules from JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config), naming the place (`rules[3].check`).
    pub fn from_json(text: &str) -> Result<Self> {
        crate::load::json(text)
    }

    /// Compiles the rules; `lookups` are what [`Check::ExistsIn`] names.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config), naming the place of what is wrong.
    pub fn compile(&self, lookups: &Lookups) -> Result<Checks> {
        Checks::new(self, lookups)
    }
}
