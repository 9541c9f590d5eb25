//! The connection's config.

use std::path::PathBuf;

use acople_core::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the files are and how writes are kept.
///
/// ```
/// let config: acople_file::Config = serde_json::from_value(serde_json::json!({ "directory": "./out" }))?;
/// assert!(config.durable);
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
}

impl Config {
    /// The files of a folder, written durably.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), durable: true }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::config("directory", "is empty"));
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}
