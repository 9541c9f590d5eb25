//! The store that keeps checkpoints, refused records and, with a key, tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use acople::seal::{FileKeys, KeySource, Keyring, MasterKey};
use acople::store_redb::RedbStore;
use acople::{Error, Result, Secret, TokenStore};
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
    /// The file that holds the keys, instead of a variable.
    #[serde(default)]
    pub(crate) key_file: Option<PathBuf>,
    /// The name of a key that comes without one.
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
    /// A store of tokens, whose key is in a variable or a file.
    pub(crate) fn keyed(path: PathBuf, key_env: Option<String>, key_file: Option<PathBuf>) -> Self {
        Self { path, key_env, key_file, key_id: key_id() }
    }

    /// Opens the store; a relative path is one of `folder`.
    ///
    /// # Errors
    /// `Config` when the key's variable is not set or no key, or another process has the store open.
    pub(crate) async fn open(&self, folder: &Path) -> Result<Store> {
        let keys = self.keys(folder).await?;
        let mut builder = RedbStore::builder();
        if let Some(keys) = &keys {
            builder = builder.keys(keys.clone());
        }
        let redb = Arc::new(builder.open(folder.join(&self.path)).await?);
        let tokens = keys.is_some().then(|| redb.clone() as Arc<dyn TokenStore>);
        Ok(Store { redb, tokens })
    }

    async fn keys(&self, folder: &Path) -> Result<Option<Keyring>> {
        match (&self.key_env, &self.key_file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Error::config("key_file", "give `key_env` or `key_file`, not both")),
            (None, Some(path)) => {
                let keys = FileKeys::new(folder.join(path)).keyring().await;
                keys.map(Some).map_err(|e| Error::config("key_file", e.message()))
            }
            (Some(name), None) => {
                let text = Secret::from(environment::variable(name, "key_env")?);
                // One key alone has the name that is configured; several name themselves.
                if text.expose().trim().contains([' ', '\t', '\n', ',']) {
                    return Keyring::parse(&text).map(Some);
                }
                Ok(Some(Keyring::new(MasterKey::from_base64(&self.key_id, &text)?)))
            }
        }
    }
}
