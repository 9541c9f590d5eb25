//! The file on disk: its lock, its creation, opening it with every checksum verified.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableError};

use acople_core::{Error, ErrorKind, Result};

use crate::fault::{Failure, Fault};
use crate::recover;
use crate::tables::{FORMAT, META, META_FORMAT, META_RECOVERED, SECRETS, create_all, get_meta};

/// An open database and what is known about it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) db: Database,
    /// The damaged original, when the file was rebuilt and the losses are not accepted yet.
    pub(crate) recovered_from: Option<PathBuf>,
}

/// Why a file did not open.
enum Refusal {
    /// Its bytes are not as they were written: what is whole can be saved.
    Damaged(String),
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Takes the lock that keeps other processes (and other stores of this one) away.
///
/// It lies in a file of its own, because the store's file may have to be replaced under it.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let lock_path = beside(path, ".lock");
    let file =
        private().create(true).open(&lock_path).map_err(|e| io_error(&lock_path, "cannot be opened", &e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(in_use(&path.display().to_string())),
        // A file system without locks: redb's own lock may still work.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(io_error(&lock_path, "cannot be locked", &e)),
        Ok(()) => Ok(file),
    }
}

/// Opens the store's file, whose lock the caller holds; makes it when `create` and it is missing;
/// rebuilds it when it is damaged.
pub(crate) fn open(path: &Path, cache: usize, create: bool) -> Result<Opened> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && create => replace(path, cache, |_| Ok(()))?,
        Err(e) => return Err(io_error(path, "cannot be opened", &e)),
        Ok(about) if !about.is_file() => {
            return Err(Error::config("path", format!("store {} is not a file", path.display())));
        }
        // A new store appears under its name only when it is complete, so this one was cut off.
        Ok(about) if about.len() == 0 => {
            return Err(Error::config(
                "path",
                format!(
                    "store {} is an empty file: it was cut off or is not a store; \
                     restore it from a backup, or delete it to start over",
                    path.display()
                ),
            ));
        }
        Ok(_) => {}
    }
    match existing(path, cache) {
        Ok(opened) => Ok(opened),
        Err(Refusal::Other(error)) => Err(error),
        Err(Refusal::Damaged(why)) => {
            recover::rebuild(path, cache, &why)?;
            existing(path, cache).map_err(|refusal| match refusal {
                Refusal::Damaged(why) => failed(path, &why),
                Refusal::Other(error) => error,
            })
        }
    }
}

/// Writes a whole new file and puts it in the place of `path` at once.
pub(crate) fn replace(
    path: &Path,
    cache: usize,
    fill: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>,
) -> Result<()> {
    let fresh = beside(path, ".new");
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&fresh, "cannot be removed", &e));
        }
        _ => {}
    }
    let file = private().create_new(true).open(&fresh).map_err(|e| io_error(&fresh, "cannot be made", &e))?;
    let written = (|| {
        let db = database(FileBackend::new(file)?, cache)?;
        let mut tx = db.begin_write()?;
        tx.set_two_phase_commit(true);
        create_all(&tx)?;
        fill(&tx)?;
        tx.commit()?;
        db.close()?;
        Ok(())
    })();
    written.map_err(|fault: Fault| match fault {
        Fault::Own(error) => error,
        Fault::Redb(e) | Fault::Commit(e) => {
            Failure::of(&e).unwrap_or_else(|| Failure::new(e.to_string())).error(&fresh.display().to_string())
        }
    })?;
    fs::rename(&fresh, path).map_err(|e| io_error(path, "cannot be put in place", &e))?;
    sync_folder(path)
}

/// Opens storage that redb gives or a host brings; makes the tables when it is new.
pub(crate) fn open_backend(name: &str, backend: impl StorageBackend, cache: usize) -> Result<Opened> {
    let opened = caught(name, || {
        let new = matches!(backend.len(), Ok(0));
        let db = database(backend, cache)?;
        if new {
            create_tables(&db)?;
        }
        let recovered_from = check_format(name, &db)?;
        complete(&db)?;
        Ok(Opened { db, recovered_from })
    });
    opened.map_err(|refusal| match refusal {
        Refusal::Other(error) => error,
        Refusal::Damaged(why) => Error::new(
            ErrorKind::Internal,
            format!("store {name} is damaged: {why}; restore it from a backup"),
        ),
    })
}

/// `path` with a suffix after its whole name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

/// An I/O error that names the file.
pub(crate) fn io_error(path: &Path, what: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Config,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Transient,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("file {} of the store {what}: {error}", path.display())).with_field("path")
}

/// The format of a file that this version cannot read.
pub(crate) fn newer(store: &str, format: u64) -> Error {
    Error::config(
        "path",
        format!(
            "store {store} has format {format}, this version of acople reads up to {FORMAT}: use the newer version"
        ),
    )
}

fn existing(path: &Path, cache: usize) -> Result<Opened, Refusal> {
    let name = path.display().to_string();
    caught(&name, || {
        let file = private().open(path).map_err(|e| io_error(path, "cannot be opened", &e))?;
        let db = database(FileBackend::new(file)?, cache)?;
        let recovered_from = check_format(&name, &db)?;
        complete(&db)?;
        Ok(Opened { db, recovered_from })
    })
}

/// Runs redb on bytes that may be anything: it promises errors, and where it panics, that is one too.
fn caught(name: &str, open: impl FnOnce() -> Result<Opened, Fault>) -> Result<Opened, Refusal> {
    let fault = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(opened)) => return Ok(opened),
        Ok(Err(fault)) => fault,
        Err(_) => return Err(Refusal::Damaged("it cannot be made sense of".to_owned())),
    };
    Err(match fault {
        Fault::Own(error) => Refusal::Other(error),
        Fault::Redb(e) | Fault::Commit(e) => match *e {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Refusal::Other(in_use(name))
            }
            redb::Error::Io(e)
                if !matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Refusal::Other(io_error(Path::new(name), "cannot be read", &e))
            }
            e => Refusal::Damaged(e.to_string()),
        },
    })
}

fn database(backend: impl StorageBackend, cache: usize) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(cache)
        // Without it redb trusts the file, and a flipped bit may surface as a panic much later.
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
}

fn create_tables(db: &Database) -> Result<(), Fault> {
    let mut tx = db.begin_write()?;
    tx.set_two_phase_commit(true);
    create_all(&tx)?;
    tx.commit()?;
    Ok(())
}

/// Makes the tables that a store of an earlier version lacks.
fn complete(db: &Database) -> Result<(), Fault> {
    match db.begin_read()?.open_table(SECRETS) {
        Err(TableError::TableDoesNotExist(_)) => create_tables(db),
        Err(e) => Err(e.into()),
        Ok(_) => Ok(()),
    }
}

fn check_format(name: &str, db: &Database) -> Result<Option<PathBuf>, Fault> {
    let tx = db.begin_read()?;
    let foreign = || {
        Error::config(
            "path",
            format!("{name} is a redb database, but not an acople store: give the store another path"),
        )
    };
    let meta = match tx.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(e)) => return Err(e.into()),
        Err(_) => return Err(foreign().into()),
    };
    let damaged = |fault| match fault {
        Fault::Own(error) => StorageError::Corrupted(error.message().to_owned()).into(),
        fault => fault,
    };
    match get_meta(&meta, META_FORMAT).map_err(damaged)? {
        None => return Err(foreign().into()),
        Some((FORMAT, _)) => {}
        Some((format, _)) => return Err(newer(name, format).into()),
    }
    let recovered = get_meta(&meta, META_RECOVERED).map_err(damaged)?;
    Ok(recovered.map(|(_, path)| PathBuf::from(String::from_utf8_lossy(&path).into_owned())))
}

fn in_use(name: &str) -> Error {
    Error::config(
        "path",
        format!("store {name} is open elsewhere: one process at a time, and one store in it"),
    )
}

fn failed(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "store {} was rebuilt and still does not open: {why}; restore it from a backup",
            path.display()
        ),
    )
}

/// Files that only their owner may read: checkpoints are not encrypted.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a rename durable, where folders can be synced.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| io_error(folder, "cannot be synced", &e))?;
    }
    Ok(())
}
