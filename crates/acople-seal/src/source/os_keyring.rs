//! Keys in the operating system's keyring.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use keyring_core::{CredentialStore, Entry, Error as StoreError};

use acople_core::{Error, ErrorKind, Result, Secret};

use crate::{KeySource, Keyring};

/// Master keys in one entry of the operating system's keyring, as [`Keyring::parse`] reads them.
///
/// The host brings the keyring, from one of the stores for the crate `keyring-core`, such as
/// `linux-keyutils-keyring-store`, `apple-native-keyring-store` or `windows-native-keyring-store`: so nothing
/// global is installed, and what a platform needs is linked only by who uses it.
#[derive(Clone)]
pub struct KeyringKeys {
    store: Arc<CredentialStore>,
    service: String,
    user: String,
}

impl KeyringKeys {
    /// Reads the entry of that service and user whenever the keys are asked for.
    pub fn new(store: Arc<CredentialStore>, service: impl Into<String>, user: impl Into<String>) -> Self {
        Self { store, service: service.into(), user: user.into() }
    }

    fn read(&self) -> Result<Keyring> {
        let entry = Entry::new_in_store(&self.store, &self.service, &self.user);
        let text = entry.and_then(|entry| entry.get_password()).map_err(|error| self.wrong(&error))?;
        Keyring::parse(&Secret::from(text)).map_err(|e| {
            let message = format!("{}: {}", self.name(), e.message());
            e.with_message(message)
        })
    }

    fn name(&self) -> String {
        format!("the keyring's entry of service {:?} and user {:?}", self.service, self.user)
    }

    /// The cause is dropped on purpose: some carry the entry's bytes.
    fn wrong(&self, error: &StoreError) -> Error {
        let (kind, what) = match error {
            StoreError::NoEntry => (ErrorKind::Config, "is not there"),
            StoreError::NoStorageAccess(_) => (ErrorKind::Config, "cannot be read: is the keyring locked?"),
            StoreError::BadEncoding(_) | StoreError::BadDataFormat(..) => (ErrorKind::Config, "is not text"),
            StoreError::Ambiguous(_) => (ErrorKind::Config, "is there more than once"),
            StoreError::PlatformFailure(_) => (ErrorKind::Transient, "cannot be read: the keyring failed"),
            _ => (ErrorKind::Config, "is not supported by the keyring"),
        };
        Error::new(kind, format!("{} {what}", self.name())).with_field("master_key")
    }
}

#[async_trait]
impl KeySource for KeyringKeys {
    async fn keyring(&self) -> Result<Keyring> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.read())
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "reading the keys was interrupted")))
    }
}

impl fmt::Debug for KeyringKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringKeys")
            .field("service", &self.service)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
