//! Keys in an environment variable.

use std::env::VarError;

use async_trait::async_trait;

use acople_core::{Error, Result, Secret};

use crate::{KeySource, Keyring};

/// Master keys in an environment variable that the host names, as [`Keyring::parse`] reads them.
///
/// Other processes of the same user can read a process's environment; a file or a service shows less.
#[derive(Clone, Debug)]
pub struct EnvironmentKeys {
    variable: String,
}

impl EnvironmentKeys {
    /// Reads that variable whenever the keys are asked for.
    pub fn new(variable: impl Into<String>) -> Self {
        Self { variable: variable.into() }
    }
}

#[async_trait]
impl KeySource for EnvironmentKeys {
    #[allow(clippy::disallowed_methods)] // the host has named the variable
    async fn keyring(&self) -> Result<Keyring> {
        let name = &self.variable;
        let text = std::env::var(name).map_err(|error| {
            let what = match error {
                VarError::NotPresent => "is not set",
                VarError::NotUnicode(_) => "is not valid Unicode",
            };
            Error::config("master_key", format!("the environment variable {name} {what}"))
        })?;
        let keys = Keyring::parse(&Secret::from(text));
        keys.map_err(|e| {
            let message = format!("the environment variable {name}: {}", e.message());
            e.with_message(message)
        })
    }
}
