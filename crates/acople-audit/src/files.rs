//! The files of a log: one folder, each file named after its first record's number.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use acople_core::{Error, ErrorKind, Result};

const PREFIX: &str = "audit.";
const SUFFIX: &str = ".jsonl";

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its first record, by its name; 0 when the name does not say.
    pub first: u64,
}

/// The files of a log in the order of their records: those of a folder, or the one that is named.
///
/// # Errors
/// `Config` when there is no such folder or file.
pub fn log_files(path: impl AsRef<Path>) -> Result<Vec<LogFile>> {
    let path = path.as_ref();
    let about = fs::metadata(path).map_err(|e| io_error(path, "cannot be read", &e))?;
    if about.is_file() {
        return Ok(vec![LogFile { path: path.to_owned(), first: first_of(path).unwrap_or(0) }]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| io_error(path, "cannot be read", &e))? {
        let path = entry.map_err(|e| io_error(path, "cannot be read", &e))?.path();
        if let Some(first) = first_of(&path) {
            files.push(LogFile { path, first });
        }
    }
    files.sort_by_key(|file| file.first);
    Ok(files)
}

/// The path of the file that begins with a record.
pub(crate) fn file_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{first:020}{SUFFIX}"))
}

/// Files that only their owner may read: they name customers.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a new file's name durable, where folders can be synced.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| io_error(folder, "cannot be synced", &e))?;
    }
    Ok(())
}

/// An I/O error that names the file.
pub(crate) fn io_error(path: &Path, what: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Config,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Transient,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("{} of the audit log {what}: {error}", path.display())).with_field("log")
}

fn first_of(path: &Path) -> Option<u64> {
    let number = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    if number.len() == 20 { number.parse().ok() } else { None }
}
