//! The store that keeps checkpoints, refused records and, with a key, tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use acople::store_redb::{MasterKey, RedbStore};
use acople::{Result, Secret, TokenStore};
use serde::Deserialize;

use crate::environment;

/// Where the store is, and its key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSpec {
    pub(crate) path: PathBuf,
    /// The variable that holds the key; without it tokens are not stored and refused records are plain.
    #[serde(default)]
    pub(crate) key_env: Option<String>,
    /// The key's name within the store.
    #[serde(default = "key_id")]
    pub(crate) key_id: String,
}

fn key_id() -> String {
    "default".to_owned()
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) redb: Arc<RedbStore>,
    /// The store again, if it has the key that tokens need.
    pub(crate) tokens: Option<Arc<dyn TokenStore>>,
}

impl StoreSpec {
    /// A store of tokens.
    pub(crate) fn keyed(path: PathBuf, key_env: String) -> Self {
        Self { path, key_env: Some(key_env), key_id: key_id() }
    }

    /// Opens the store; a relative path is one of `folder`.
    ///
    /// # Errors
    /// `Config` when the key's variable is not set or no key, or another process has the store open.
    pub(crate) async fn open(&self, folder: &Path) -> Result<Store> {
        let mut builder = RedbStore::builder();
        if let Some(name) = &self.key_env {
            let key = Secret::from(environment::variable(name, "key_env")?);
            builder = builder.master_key(MasterKey::from_base64(&self.key_id, &key)?);
        }
        let redb = Arc::new(builder.open(folder.join(&self.path)).await?);
        let tokens = self.key_env.is_some().then(|| redb.clone() as Arc<dyn TokenStore>);
        Ok(Store { redb, tokens })
    }
}
