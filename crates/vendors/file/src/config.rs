//! The connection's config.

use std::collections::BTreeMap;
use std::path::PathBuf;

use acople_core::csv::{Dialect, Table};
use acople_core::{Error, Result};
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
    pub csv: Dialect,
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

impl Config {
    /// The files of a folder, written durably.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durable: true,
            format: None,
            csv: Dialect::default(),
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::config("directory", "is empty"));
        }
        self.csv.validate("csv")?;
        for (stream, table) in &self.streams {
            table.validate(&format!("streams.{stream}"), &self.csv)?;
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}
