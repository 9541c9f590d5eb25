//! The table: what serde loads and what is compiled to a mapper.

use std::collections::BTreeMap;

use acople_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::{is_default, one_or_many, one_or_many_schema};
use crate::{Condition, Inversion, Lookups, Nulls, Rule, TableMapper};

/// How the records of one system become records of another.
///
/// A table is data: load it ([`from_yaml`](Self::from_yaml), [`from_json`](Self::from_json), or serde)
/// or build it in code, then [`compile`](Self::compile) it once.
///
/// ```
/// use acople_map::{Lookups, Rule, Table};
///
/// let table = Table::new("lead_to_contact").with_rule(Rule::rename("Email", "properties.email"));
/// let back = table.invert()?;
/// assert_eq!(back.rules[0].from.as_deref(), Some("properties.email"));
/// back.compile(&Lookups::new())?;
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Table {
    /// The name, for people and messages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// What the table is for, for people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// The stream that records come from: the name of the output when the table is inverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_stream: Option<String>,
    /// The stream that mapped records belong to; without it, the name of the batch that was mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_stream: Option<String>,
    /// Conditions that must all hold, or the record is skipped; deletions are never skipped. One, or
    /// a list.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many_schema::<Condition>")]
    pub when: Vec<Condition>,
    /// The conditions of the inverted table.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many_schema::<Condition>")]
    pub when_back: Vec<Condition>,
    /// Copies every top-level member that no rule reads or writes and `drop` does not name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pass_through: bool,
    /// Source fields that are left out on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// The same for the inverted table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_back: Vec<String>,
    /// Whether an empty text at the source counts as null, for rules that do not say. In the
    /// inverted table null is then written as an empty text.
    #[serde(default, skip_serializing_if = "is_default")]
    pub empty_is_null: bool,
    /// How null is written, for rules that do not say. When it is as an empty text, the inverted
    /// table reads an empty text as null.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nulls: Nulls,
    /// Look-ups by name; each maps a key to a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<String, BTreeMap<String, String>>,
    /// The rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Table {
    /// A table without rules.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a rule.
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Names the streams of both sides.
    pub fn with_streams(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from_stream = Some(from.into());
        self.to_stream = Some(to.into());
        self
    }

    /// Adds a condition on whole records.
    pub fn with_condition(mut self, condition: Condition) -> Self {
        self.when.push(condition);
        self
    }

    /// Sets whether members that no rule mentions are copied.
    pub fn with_pass_through(mut self, pass_through: bool) -> Self {
        self.pass_through = pass_through;
        self
    }

    /// Adds a source field that is left out on purpose.
    pub fn with_drop(mut self, field: impl Into<String>) -> Self {
        self.drop.push(field.into());
        self
    }

    /// Adds a look-up.
    pub fn with_lookup<K: Into<String>, V: Into<String>>(
        mut self,
        name: impl Into<String>,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self.lookups.insert(name.into(), entries);
        self
    }

    /// Loads a table from YAML and checks it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config), naming the place (`rules[3].to`).
    pub fn from_yaml(text: &str) -> Result<Self> {
        let table = crate::load::yaml(text)?;
        table.check()?;
        Ok(table)
    }

    /// Loads a table from JSON and checks it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config), naming the place (`rules[3].to`).
    pub fn from_json(text: &str) -> Result<Self> {
        let table = crate::load::json(text)?;
        table.check()?;
        Ok(table)
    }

    /// The JSON Schema of the format, for editors and forms.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Checks everything that can be checked without the host's look-ups, in both directions.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config) with every problem and its place.
    pub fn check(&self) -> Result<()> {
        crate::check::check(self)
    }

    /// Compiles the forward direction. `lookups` are the host's; the table's own go before them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config) with every problem and its place.
    pub fn compile(&self, lookups: &Lookups) -> Result<TableMapper> {
        TableMapper::new(self, lookups)
    }

    /// The table of the other direction.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](acople_core::ErrorKind::Config) listing every rule that works in both
    /// directions by its attribute and cannot be turned round, such as a constant or a join: give it
    /// `direction: forward`, or take [`invert_lossy`](Self::invert_lossy).
    pub fn invert(&self) -> Result<Self> {
        crate::invert::strict(self)
    }

    /// The table of the other direction, without the rules that cannot be turned round.
    pub fn invert_lossy(&self) -> Inversion {
        crate::invert::lossy(self)
    }
}
