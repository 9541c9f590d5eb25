//! Where master keys come from.

mod environment;
mod file;
#[cfg(feature = "keyring")]
mod os_keyring;

use std::fmt;

use async_trait::async_trait;

use acople_core::Result;

use crate::Keyring;

pub use environment::EnvironmentKeys;
pub use file::FileKeys;
#[cfg(feature = "keyring")]
pub use os_keyring::KeyringKeys;

/// A place that has the master keys: the newest, and the old ones that are still needed.
///
/// Implemented by [`EnvironmentKeys`](crate::EnvironmentKeys), [`FileKeys`](crate::FileKeys) and, with the feature
/// `keyring`, `KeyringKeys`; a host implements it for its secret manager. A key that must
/// not enter the process is behind a [`KeyService`](crate::KeyService) instead.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug + 'static {
    /// The keys as they are now.
    ///
    /// # Errors
    /// `Config` when they are not there or not keys, never with anything of their text.
    async fn keyring(&self) -> Result<Keyring>;
}
