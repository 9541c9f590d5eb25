//! The store itself: one open database, its turn-taking, and what a failure does to it.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use acople_core::{Error, ErrorKind, Result};
use acople_seal::Sealer;

use crate::RedbStoreBuilder;
use crate::fault::{Failure, Fault};
use crate::file::Opened;
use crate::leases::Leases;
use crate::rewrap::check_keys;
use crate::tables::{META, META_RECOVERED};

/// Checkpoints, tokens and quarantine in one file.
///
/// Cheap to clone: clones share the open file, and the last one to be dropped closes it. All calls need
/// a tokio runtime; the work runs on its blocking threads, one writer at a time. A call whose future
/// is dropped may still take effect. Dropping the last clone writes to the disk on the dropping thread;
/// [`close`](Self::close) does so in the background.
#[derive(Clone)]
pub struct RedbStore(pub(crate) Arc<Inner>);

/// What damage a store has met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// How often, since the store was opened, a state was read with one of its two copies damaged. The
    /// other copy was used; if it is the older one, the sync repeats the work in between.
    pub fallbacks: u64,
    /// The damaged original, if the file was rebuilt and
    /// [`accept_losses`](RedbStore::accept_losses) has not been called since.
    pub recovered_from: Option<PathBuf>,
}

impl RedbStore {
    /// Opens the store at `path` without keys, or makes it: for checkpoints and plain quarantine.
    ///
    /// # Errors
    /// See [`RedbStoreBuilder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path).await
    }

    /// A store that is gone when the last clone is dropped, without keys.
    ///
    /// # Errors
    /// None in practice.
    pub fn in_memory() -> Result<Self> {
        Self::builder().in_memory()
    }

    /// Starts from the default options.
    pub fn builder() -> RedbStoreBuilder {
        RedbStoreBuilder::default()
    }

    /// What damage was met. A host does well to alert on a change.
    pub fn damage(&self) -> Damage {
        Damage {
            fallbacks: self.0.fallbacks.load(Ordering::Relaxed),
            recovered_from: lock(&self.0.recovered_from).clone(),
        }
    }

    /// After a damaged file was rebuilt: takes states that are not there as "never existed" again.
    ///
    /// Until then such a state is an error, because it may have been lost. A single one is reset by
    /// `CheckpointStore::remove`.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn accept_losses(&self) -> Result<()> {
        self.write(|_, tx| {
            tx.open_table(META)?.remove(META_RECOVERED)?;
            Ok(())
        })
        .await?;
        *lock(&self.0.recovered_from) = None;
        Ok(())
    }

    /// Makes the file as small as its content; true when it shrank. Readers and writers wait meanwhile.
    ///
    /// Removed records are gone from the file's bytes only after this.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn compact(&self) -> Result<bool> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.blocking(move |inner| {
            let _turn = turn;
            inner.ready()?;
            let (result, epoch) = {
                let mut open = inner.open.write().unwrap_or_else(PoisonError::into_inner);
                let db = open.db.as_mut().ok_or_else(|| inner.closed())?;
                (db.compact().map_err(Fault::from), inner.epoch.load(Ordering::Acquire))
            };
            result.map_err(|fault| inner.judge(fault, epoch))
        })
        .await
    }

    /// Goes over to other keys while the store is in use: the newest of them seals what is written from now on.
    /// Bring those that are still needed as old ones, then call [`rewrap`](Self::rewrap).
    ///
    /// # Errors
    /// `Config` when a master key is not the one that the store knows by its id: the keys stay as they were.
    pub async fn use_keys(&self, keys: impl Into<Sealer>) -> Result<()> {
        let sealer = keys.into();
        // Writers would count uses of the old key after the new one is in place.
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.blocking(move |inner| {
            let _turn = turn;
            inner.with(|db| check_keys(db, &inner.name, &sealer))?;
            *inner.sealer.write().unwrap_or_else(PoisonError::into_inner) = sealer;
            Ok(())
        })
        .await
    }

    /// Opens the file anew: the way back after a failed write made the store refuse work.
    ///
    /// # Errors
    /// `Config` for a store without a file; those of [`RedbStoreBuilder::open`].
    pub async fn reopen(&self) -> Result<()> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.blocking(move |inner| {
            let _turn = turn;
            inner.reopen(&mut lock(&inner.failure))
        })
        .await
    }

    /// Closes the file for all clones and releases its lock. Later calls fail with `Config`.
    ///
    /// # Errors
    /// When the last bytes cannot be written. What was acknowledged is safe all the same.
    pub async fn close(&self) -> Result<()> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.blocking(move |inner| {
            let _turn = turn;
            let mut open = inner.open.write().unwrap_or_else(PoisonError::into_inner);
            let closed = open.db.take().map_or(Ok(()), Database::close);
            open.lock = None;
            open.closed = true;
            closed.map_err(|e| {
                Error::new(ErrorKind::Internal, format!("store {} did not close cleanly: {e}", inner.name))
            })
        })
        .await
    }

    pub(crate) fn new(
        settings: Settings,
        opener: Option<Opener>,
        opened: Opened,
        lock: Option<File>,
    ) -> Self {
        Self(Arc::new(Inner {
            name: settings.name,
            max_state: settings.max_state,
            wrap_limit: settings.wrap_limit,
            sealer: RwLock::new(settings.sealer),
            leases: Leases::default(),
            opener,
            open: RwLock::new(Open { db: Some(opened.db), lock, closed: false }),
            epoch: AtomicU64::new(0),
            failure: Mutex::new(None),
            turn: Arc::default(),
            recovered_from: Mutex::new(opened.recovered_from),
            fallbacks: AtomicU64::new(0),
        }))
    }

    /// Runs `work` on a snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |inner| inner.with(|db| work(inner, &db.begin_read()?))).await
    }

    /// Runs `work` in a transaction and returns when it is on the disk; nothing of it stays on an error.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &WriteTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        // Writers queue here and not on blocking threads, of which the host has a limited number.
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.blocking(move |inner| {
            let _turn = turn;
            inner.with(|db| {
                let mut tx = db.begin_write()?;
                tx.set_durability(Durability::Immediate)?;
                // Otherwise a damaged newest commit makes redb fall back to the one before in silence.
                tx.set_two_phase_commit(true);
                let value = work(inner, &tx)?;
                tx.commit()?;
                Ok(value)
            })
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(e) if e.is_panic() => {
                let failure = Failure::new("a call panicked");
                self.0.fail(failure.clone(), self.0.epoch.load(Ordering::Acquire));
                Err(failure.error(&self.0.name))
            }
            Err(_) => Err(Error::new(
                ErrorKind::Cancelled,
                format!("store {}: the runtime is shutting down", self.0.name),
            )),
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("name", &self.0.name)
            .field("keys", &self.0.sealer())
            .field("damage", &self.damage())
            .finish_non_exhaustive()
    }
}

/// What a store is opened with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) max_state: usize,
    pub(crate) wrap_limit: u64,
    pub(crate) sealer: Sealer,
}

/// Opens the same storage again.
pub(crate) type Opener = Box<dyn Fn() -> Result<Opened> + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) max_state: usize,
    pub(crate) wrap_limit: u64,
    sealer: RwLock<Sealer>,
    pub(crate) leases: Leases,
    /// `None`: storage that is gone once closed.
    opener: Option<Opener>,
    open: RwLock<Open>,
    /// Counts openings: a late failure of an earlier one says nothing about this one.
    epoch: AtomicU64,
    /// Locked before `open`, never after it.
    failure: Mutex<Option<Failure>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    recovered_from: Mutex<Option<PathBuf>>,
    pub(crate) fallbacks: AtomicU64,
}

/// The fields are dropped in this order: the lock goes last.
struct Open {
    db: Option<Database>,
    lock: Option<File>,
    /// By the host: not to be opened again, because the lock is gone.
    closed: bool,
}

impl Inner {
    /// Whether states may be missing because a damaged file was rebuilt.
    pub(crate) fn has_losses(&self) -> bool {
        lock(&self.recovered_from).is_some()
    }

    pub(crate) fn sealer(&self) -> Sealer {
        self.sealer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What seals, or the error that says that a key is needed.
    pub(crate) fn required_sealer(&self) -> Result<Sealer> {
        let sealer = self.sealer();
        if sealer.seals() {
            return Ok(sealer);
        }
        let message = format!("store {} keeps secrets only encrypted: open it with a master key", self.name);
        Err(Error::config("master_key", message))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T> {
        self.ready()?;
        let (result, epoch) = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            let epoch = self.epoch.load(Ordering::Acquire);
            (work(open.db.as_ref().ok_or_else(|| self.closed())?), epoch)
        };
        result.map_err(|fault| self.judge(fault, epoch))
    }

    /// Refuses work after a failure. A full disk is tried again, so that room on it is all it takes.
    fn ready(&self) -> Result<()> {
        let mut failure = lock(&self.failure);
        match &*failure {
            None => Ok(()),
            Some(f) if f.full && self.opener.is_some() => {
                let error = f.error(&self.name);
                self.reopen(&mut failure).map_err(|e| error.with_source(e))
            }
            Some(f) => Err(f.error(&self.name)),
        }
    }

    fn reopen(&self, failure: &mut Option<Failure>) -> Result<()> {
        let opener = self.opener.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("store {} has no file to reopen", self.name))
        })?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.closed {
            return Err(self.closed());
        }
        // The old handle must let go of the file first.
        drop(open.db.take());
        let opened = match opener() {
            Ok(opened) => opened,
            Err(error) => {
                failure.get_or_insert_with(|| Failure::new(error.message()));
                return Err(error);
            }
        };
        open.db = Some(opened.db);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        *lock(&self.recovered_from) = opened.recovered_from;
        *failure = None;
        Ok(())
    }

    /// Turns a fault into the caller's error, and ends the store's work when it must end.
    fn judge(&self, fault: Fault, epoch: u64) -> Error {
        let failure = match fault {
            Fault::Own(error) => return error,
            Fault::Redb(e) => match Failure::of(&e) {
                Some(failure) => failure,
                None => return Error::new(ErrorKind::Internal, format!("store {}: {e}", self.name)),
            },
            Fault::Commit(e) => Failure::of(&e).unwrap_or_else(|| Failure::new(e.to_string())),
        };
        let error = failure.error(&self.name);
        self.fail(failure, epoch);
        error
    }

    fn fail(&self, failure: Failure, epoch: u64) {
        let mut current = lock(&self.failure);
        let explains_more = current.as_ref().is_none_or(|known| known.echo && !failure.echo);
        if explains_more && self.epoch.load(Ordering::Acquire) == epoch {
            tracing::error!(store = %self.name, "store failed and refuses work: {}", failure.error(&self.name));
            *current = Some(failure);
        }
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Config, format!("store {} is closed", self.name))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these, and the data would be whole if it did.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
