//! How the tables of a connection are written as CSV: settings, for configs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::{COLUMNS, LARGEST};
use super::{Reader, Target, Writer};
use crate::json::Value;
use crate::{Error, FieldSchema, Result};

/// How CSV files are read and written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Dialect {
    /// What stands between two cells: an ASCII character, such as `;` or a tab.
    pub delimiter: char,
    /// Whether the first row names the columns. Without it every stream needs `columns`.
    pub header: bool,
    /// The encoding, which is `utf-8`. A byte-order mark is accepted, other encodings are not.
    pub encoding: String,
    /// What an empty cell means.
    pub empty: Empty,
    /// Whether what is written is opened with a spreadsheet: cells that start with `=`, `+`, `-`, `@`, tab or
    /// carriage return then get a `'` before them, so that nothing is run as a formula. Negative numbers get one,
    /// too, and reading does not take it away.
    pub spreadsheet: bool,
    /// The largest row, in bytes of its cells.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub record_bytes: usize,
}

/// What an empty cell means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Empty {
    /// `null`.
    #[default]
    Null,
    /// A text without characters; `null` still in columns that hold no texts.
    Text,
}

/// What is known of a stream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Table {
    /// The columns that identify a record.
    pub key: Vec<String>,
    /// The columns in order, of a file without a header row and of one that is yet to be written. A header row
    /// that is there has to name them, in any order.
    pub columns: Vec<String>,
    /// What cells hold, by column; text where nothing is said.
    pub types: BTreeMap<String, CellType>,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CellType {
    /// Text.
    #[default]
    Text,
    /// A number in JSON's notation; its digits are kept.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Any JSON value.
    Json,
}

/// What is to be known to read or write one table.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// How it is written down.
    pub dialect: Dialect,
    /// What it holds.
    pub table: Table,
}

impl Dialect {
    /// Checks the settings; `at` is where they stand in the config.
    ///
    /// # Errors
    /// `Config` with the field that is wrong.
    pub fn validate(&self, at: &str) -> Result<()> {
        let wrong = |field: &str, problem: &str| Err(Error::config(format!("{at}.{field}"), problem));
        let delimiter = self.delimiter;
        if !delimiter.is_ascii()
            || delimiter.is_ascii_alphanumeric()
            || matches!(delimiter, '"' | '\n' | '\r')
        {
            return wrong("delimiter", "is an ASCII character, no letter, digit, quote or line end");
        }
        if !["utf-8", "utf8"].iter().any(|name| self.encoding.eq_ignore_ascii_case(name)) {
            return wrong("encoding", "only utf-8 is read and written: convert the file before");
        }
        if !(1..=1 << 30).contains(&self.record_bytes) {
            return wrong("record_bytes", "is between 1 and 1073741824");
        }
        Ok(())
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: ',',
            header: true,
            encoding: "utf-8".into(),
            empty: Empty::Null,
            spreadsheet: false,
            record_bytes: LARGEST,
        }
    }
}

impl Table {
    /// Checks the settings; `at` is where they stand in the config.
    ///
    /// # Errors
    /// `Config` with the field that is wrong.
    pub fn validate(&self, at: &str, dialect: &Dialect) -> Result<()> {
        let wrong = |field: &str, problem: String| Err(Error::config(format!("{at}.{field}"), problem));
        if let Err(problem) = named(self.columns.iter().map(String::as_str), dialect.spreadsheet) {
            return wrong("columns", problem);
        }
        let unknown = |name: &&String| !self.columns.is_empty() && !self.columns.contains(name);
        if let Some(name) = self.key.iter().find(unknown) {
            return wrong("key", format!("`{name}` is none of the columns"));
        }
        if let Some(name) = self.types.keys().find(unknown) {
            return wrong("types", format!("`{name}` is none of the columns"));
        }
        Ok(())
    }

    /// The first column that the settings name and that is not among these.
    pub fn missing(&self, columns: &[String]) -> Option<&str> {
        let mut named = self.key.iter().chain(&self.columns).chain(self.types.keys());
        named.find(|name| !columns.contains(name)).map(String::as_str)
    }
}

impl Layout {
    /// What the cells of a column hold.
    pub fn kind(&self, column: &str) -> CellType {
        self.table.types.get(column).copied().unwrap_or_default()
    }

    /// The schema of a column's cells.
    pub fn schema(&self, column: &str) -> FieldSchema {
        match self.kind(column) {
            CellType::Text => FieldSchema::new(&["string"]).nullable(self.dialect.empty == Empty::Null),
            CellType::Number => FieldSchema::new(&["number"]).nullable(true),
            CellType::Boolean => FieldSchema::new(&["boolean"]).nullable(true),
            CellType::Json => FieldSchema::new(&[]),
        }
    }

    /// A reader that knows the columns already when there is no header row.
    ///
    /// # Errors
    /// `Config` when there is no header row and nobody names the columns.
    pub fn reader(&self) -> Result<Reader> {
        let delimiter = u8::try_from(self.dialect.delimiter).unwrap_or(b',');
        let mut reader = Reader::new().delimiter(delimiter).limits(self.dialect.record_bytes, COLUMNS);
        if !self.dialect.header {
            let columns = &self.table.columns;
            if columns.is_empty() {
                return Err(Error::config("columns", "a file without a header row needs their names"));
            }
            let row = Writer::with_delimiter(self.dialect.delimiter, columns, Target::Data)?.take();
            reader.feed(row.as_bytes(), &mut |_| Ok(()))?;
        }
        Ok(reader)
    }
}

impl CellType {
    /// Whether a cell may hold such a value.
    pub fn takes(self, value: &Value<'_>) -> bool {
        match self {
            Self::Text | Self::Json => true,
            Self::Number => matches!(value, Value::Number(_)),
            Self::Boolean => matches!(value, Value::Bool(_)),
        }
    }

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "JSON",
        }
    }
}

/// Checks that a header row of these names can be read again.
pub(super) fn named<'a>(
    columns: impl IntoIterator<Item = &'a str>,
    spreadsheet: bool,
) -> std::result::Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in columns {
        if name.is_empty() {
            return Err("a column has a name".into());
        }
        if spreadsheet && name.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            return Err(format!("a spreadsheet would take the column `{name}` for a formula"));
        }
        if !seen.insert(name) {
            return Err(format!("the column `{name}` is there twice"));
        }
    }
    Ok(())
}
