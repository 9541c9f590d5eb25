//! What a failure of the file system means.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use acople_core::{Error, ErrorKind, Result};

/// The error of an operation on a file, which is named without its folder.
pub(crate) fn fault(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Permission,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            ErrorKind::Config
        }
        // A full disk, a lost network drive: somebody may mend it meanwhile.
        _ => ErrorKind::Transient,
    };
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Error::new(kind, format!("cannot {what} {name}: {}", error.kind())).with_source(error)
}

/// The error of a line of a file, from 1.
pub(crate) fn line_fault(path: &Path, line: u64, kind: ErrorKind, problem: &str) -> Error {
    let name = name(path);
    Error::new(kind, format!("line {line} of {name} {problem}")).with_record(format!("{name}:{line}"))
}

/// Opens a plain file to be read.
///
/// # Errors
/// `NotFound` when there is none, `Config` when it is something else.
pub(crate) fn open(path: &Path) -> Result<File> {
    let seen = plain(path)?;
    let file = File::open(path).map_err(|e| fault("open", path, e))?;
    same(path, &seen, &file)?;
    Ok(file)
}

/// The name of a file, for people.
pub(crate) fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Refuses what is no plain file: a link may lead out of the folder, a pipe may never end.
pub(crate) fn plain(path: &Path) -> Result<Metadata> {
    let found = std::fs::symlink_metadata(path).map_err(|e| fault("open", path, e))?;
    if found.is_file() { Ok(found) } else { Err(not_plain(path)) }
}

/// Refuses a file that is not the one that was looked at.
pub(crate) fn same(path: &Path, seen: &Metadata, file: &File) -> Result<()> {
    let opened = file.metadata().map_err(|e| fault("open", path, e))?;
    if is_same(seen, &opened) { Ok(()) } else { Err(not_plain(path)) }
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, b: &Metadata) -> bool {
    b.is_file()
}

fn not_plain(path: &Path) -> Error {
    let name = name(path);
    Error::new(ErrorKind::Config, format!("{name} is not a plain file: links and devices are not followed"))
}
