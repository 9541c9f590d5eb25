//! Options, and the ways to open a store.

use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use acople_core::{Error, ErrorKind, Result};
use acople_seal::{Keyring, MAX_WRAPS, MasterKey, Sealer};

use crate::fault::{Failure, Fault};
use crate::file::{self, Opened};
use crate::rewrap::check_keys;
use crate::store::{Opener, RedbStore, Settings};

/// Options of a [`RedbStore`].
#[derive(Clone, Debug)]
pub struct RedbStoreBuilder {
    newest: Option<MasterKey>,
    old: Vec<MasterKey>,
    sealer: Option<Sealer>,
    max_state: usize,
    cache: usize,
    wrap_limit: u64,
}

impl Default for RedbStoreBuilder {
    fn default() -> Self {
        Self {
            newest: None,
            old: Vec::new(),
            sealer: None,
            max_state: 1 << 20,
            cache: 8 << 20,
            wrap_limit: MAX_WRAPS,
        }
    }
}

impl RedbStoreBuilder {
    /// The key that encrypts from now on. Without one, tokens are refused.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.newest = Some(key);
        self
    }

    /// A key that only decrypts: records under it move to the newest one with
    /// [`RedbStore::rewrap`] or when they are next written.
    pub fn old_key(mut self, key: MasterKey) -> Self {
        self.old.push(key);
        self
    }

    /// The keys in one piece, instead of [`master_key`](Self::master_key) and [`old_key`](Self::old_key): from a
    /// source, or of a key management service.
    pub fn keys(mut self, keys: impl Into<Sealer>) -> Self {
        self.sealer = Some(keys.into());
        self
    }

    /// Largest state of one stream, in bytes. Default 1 MiB.
    pub fn max_state_size(mut self, bytes: usize) -> Self {
        self.max_state = bytes;
        self
    }

    /// Memory for cached pages, in bytes. Default 8 MiB.
    pub fn cache_size(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Records that one master key may encrypt before a newer one is demanded. Default, and at most,
    /// 2^32: the bound for random nonces.
    pub fn wrap_limit(mut self, records: u64) -> Self {
        self.wrap_limit = records.min(MAX_WRAPS);
        self
    }

    /// Opens the store at `path`, or makes it. Its folder must exist.
    ///
    /// All checksums of the file are verified, which reads it once. A damaged file is rebuilt from its
    /// whole records and kept beside as `<path>.damaged-<n>`; see [`RedbStore::damage`].
    ///
    /// # Errors
    /// `Config` when another process (or this one) has it open, the path is not usable, the file is
    /// not an acople store or one of a newer version, or a master key is not the one of that id.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<RedbStore> {
        let path = path.as_ref().to_owned();
        in_background(move || self.open_file(path)).await
    }

    /// Opens a store on storage that the host brings, and that `storage` opens each time it is asked:
    /// for file systems of the host's own, and for tests of faults. redb checks what it can, but a
    /// damaged store is not rebuilt, and excluding a second process is up to the storage.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_storage<S: StorageBackend>(
        self,
        name: impl Into<String>,
        storage: impl Fn() -> io::Result<S> + Send + Sync + 'static,
    ) -> Result<RedbStore> {
        let name = name.into();
        in_background(move || {
            let cache = self.cache;
            let settings = self.settings(name.clone())?;
            let opener: Opener = Box::new(move || {
                let backend = storage().map_err(|e| {
                    Error::new(ErrorKind::Config, format!("storage of store {name} does not open: {e}"))
                })?;
                file::open_backend(&name, backend, cache)
            });
            let opened = opener()?;
            finish(settings, Some(opener), opened, None)
        })
        .await
    }

    /// A store that is gone when its last clone is dropped: for tests, and for hosts that keep no state.
    ///
    /// # Errors
    /// `Config` when two master keys have the same id.
    pub fn in_memory(self) -> Result<RedbStore> {
        let settings = self.settings("in memory".to_owned())?;
        let opened = file::open_backend(&settings.name, InMemoryBackend::new(), self.cache)?;
        finish(settings, None, opened, None)
    }

    fn open_file(self, path: PathBuf) -> Result<RedbStore> {
        let cache = self.cache;
        let settings = self.settings(path.display().to_string())?;
        let lock = file::lock(&path)?;
        let opened = file::open(&path, cache, true)?;
        let opener: Opener = Box::new(move || file::open(&path, cache, false));
        finish(settings, Some(opener), opened, Some(lock))
    }

    fn settings(&self, name: String) -> Result<Settings> {
        let keys = self.newest.clone().map_or_else(Keyring::default, Keyring::new);
        let keys = self.old.iter().cloned().try_fold(keys, Keyring::with_old)?;
        let sealer = match &self.sealer {
            None => keys.into(),
            Some(sealer) if keys.keys().next().is_none() => sealer.clone(),
            Some(_) => {
                let message = "give a store its keys in one piece or one by one, not both";
                return Err(Error::config("master_key", message));
            }
        };
        Ok(Settings { name, max_state: self.max_state, wrap_limit: self.wrap_limit, sealer })
    }
}

fn finish(
    settings: Settings,
    opener: Option<Opener>,
    opened: Opened,
    lock: Option<std::fs::File>,
) -> Result<RedbStore> {
    check_keys(&opened.db, &settings.name, &settings.sealer).map_err(|fault| match fault {
        Fault::Own(error) => error,
        Fault::Redb(e) | Fault::Commit(e) => Failure::new(e.to_string()).error(&settings.name),
    })?;
    Ok(RedbStore::new(settings, opener, opened, lock))
}

async fn in_background(open: impl FnOnce() -> Result<RedbStore> + Send + 'static) -> Result<RedbStore> {
    tokio::task::spawn_blocking(open).await.unwrap_or_else(|e| {
        let kind = if e.is_panic() { ErrorKind::Internal } else { ErrorKind::Cancelled };
        Err(Error::new(kind, "opening the store was interrupted"))
    })
}
