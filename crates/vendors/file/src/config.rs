//! The connection's config.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use acople_core::json::Value;
use acople_core::{Error, FieldSchema, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the files are and how writes are kept.
///
/// ```
/// let config: acople_file::Config = serde_json::from_value(serde_json::json!({ "directory": "./out" }))?;
/// assert!(config.durable && config.format.is_none());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The folder of the files. It is made when something is first written.
    pub directory: PathBuf,
    /// Whether a write is on the disk before its records are reported as accepted. Without it a crash of the
    /// machine, not of the process, may lose the last writes.
    #[serde(default = "yes")]
    pub durable: bool,
    /// The format of every file. Without it the extension tells, and new files are JSON lines.
    #[serde(default)]
    pub format: Option<Format>,
    /// How CSV files are read and written.
    #[serde(default)]
    pub csv: Csv,
    /// What is known of single streams, by their names.
    #[serde(default)]
    pub streams: BTreeMap<String, Table>,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum Format {
    /// `.jsonl`: one JSON object a line.
    #[serde(rename = "jsonl")]
    JsonLines,
    /// `.csv`: RFC 4180.
    #[serde(rename = "csv")]
    Csv,
}

/// How CSV files are read and written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Csv {
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// CSV: the columns in order, of a file without a header row and of one that is yet to be written. A header row
    /// that is there has to name them, in any order.
    pub columns: Vec<String>,
    /// CSV: what cells hold, by column; text where nothing is said.
    pub types: BTreeMap<String, CellType>,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// What is to be known to read or write one CSV file.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) csv: Csv,
    pub(crate) table: Table,
}

impl Config {
    /// The files of a folder, written durably.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durable: true,
            format: None,
            csv: Csv::default(),
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::config("directory", "is empty"));
        }
        let Csv { delimiter, encoding, record_bytes, .. } = &self.csv;
        if !delimiter.is_ascii()
            || delimiter.is_ascii_alphanumeric()
            || matches!(delimiter, '"' | '\n' | '\r')
        {
            return Err(Error::config(
                "csv.delimiter",
                "is an ASCII character, no letter, digit, quote or line end",
            ));
        }
        if !["utf-8", "utf8"].iter().any(|name| encoding.eq_ignore_ascii_case(name)) {
            return Err(Error::config(
                "csv.encoding",
                "only utf-8 is read and written: convert the file before",
            ));
        }
        if !(1..=1 << 30).contains(record_bytes) {
            return Err(Error::config("csv.record_bytes", "is between 1 and 1073741824"));
        }
        for (stream, table) in &self.streams {
            let wrong = |field: &str, problem: String| {
                Err(Error::config(format!("streams.{stream}.{field}"), problem))
            };
            if let Err(problem) = named(table.columns.iter().map(String::as_str), self.csv.spreadsheet) {
                return wrong("columns", problem);
            }
            let unknown = |name: &&String| !table.columns.is_empty() && !table.columns.contains(name);
            if let Some(name) = table.key.iter().find(unknown) {
                return wrong("key", format!("`{name}` is none of the columns"));
            }
            if let Some(name) = table.types.keys().find(unknown) {
                return wrong("types", format!("`{name}` is none of the columns"));
            }
        }
        Ok(())
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            delimiter: ',',
            header: true,
            encoding: "utf-8".into(),
            empty: Empty::Null,
            spreadsheet: false,
            record_bytes: crate::LINE_LIMIT,
        }
    }
}

impl CellType {
    /// Whether a cell may hold such a value.
    pub(crate) fn takes(self, value: &Value<'_>) -> bool {
        match self {
            Self::Text | Self::Json => true,
            Self::Number => matches!(value, Value::Number(_)),
            Self::Boolean => matches!(value, Value::Bool(_)),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "JSON",
        }
    }
}

impl Layout {
    /// What the cells of a column hold.
    pub(crate) fn kind(&self, column: &str) -> CellType {
        self.table.types.get(column).copied().unwrap_or_default()
    }

    /// The schema of a column's cells.
    pub(crate) fn schema(&self, column: &str) -> FieldSchema {
        match self.kind(column) {
            CellType::Text => FieldSchema::new(&["string"]).nullable(self.csv.empty == Empty::Null),
            CellType::Number => FieldSchema::new(&["number"]).nullable(true),
            CellType::Boolean => FieldSchema::new(&["boolean"]).nullable(true),
            CellType::Json => FieldSchema::new(&[]),
        }
    }
}

/// Checks that a header row of these names can be read again.
pub(crate) fn named<'a>(
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

fn yes() -> bool {
    true
}
