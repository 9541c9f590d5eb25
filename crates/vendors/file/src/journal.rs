//! A note beside a CSV file while rows are appended to it. A row that a crash cut off may look whole (`1,Ana` of
//! `1,Anastasia`), so the file cannot tell by itself where the last append began.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as Io, Write};
use std::path::{Path, PathBuf};

use acople_core::{Error, ErrorKind, Result};

use crate::fault::{fault, name, plain};

/// How often a read looks again at a file that grows meanwhile.
const ATTEMPTS: u32 = 100;

/// An append that has not ended: where the file ended before it, and where it will end.
#[derive(Clone, Copy)]
struct Pending {
    from: u64,
    to: u64,
}

/// Where the rows end that are there for good.
///
/// # Errors
/// `Conflict` when somebody else wrote behind an append that has not ended.
pub(crate) fn committed(file: &File, path: &Path) -> Result<u64> {
    let length = || file.metadata().map(|found| found.len()).map_err(|e| fault("read", path, e));
    for _ in 0..ATTEMPTS {
        let seen: u64 = length()?;
        match pending(path)? {
            Some(pending) if seen > pending.to => {
                let message = format!("{} grew behind an append that did not end", name(path));
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Some(pending) => return Ok(seen.min(pending.from)),
            // The same length before and after: no append was under way between.
            None if length()? == seen => return Ok(seen),
            None => {}
        }
    }
    Err(Error::new(ErrorKind::Transient, format!("{} is written all the time", name(path))))
}

/// Takes back what an append left that has not ended, and gives the length. The file's lock is held.
///
/// # Errors
/// As [`committed`].
pub(crate) fn recover(file: &File, path: &Path) -> Result<u64> {
    let length = committed(file, path)?;
    if pending(path)?.is_some() {
        file.set_len(length).and_then(|()| file.sync_all()).map_err(|e| fault("mend", path, e))?;
        end(path, true).map_err(|e| fault("mend", path, e))?;
    }
    Ok(length)
}

/// Notes that an append begins.
///
/// # Errors
/// Those of the file system; nothing is noted then, or something that is taken for nothing.
pub(crate) fn begin(path: &Path, from: u64, to: u64, durable: bool) -> Result<()> {
    let note = beside(path);
    let wrong = |e| fault("make", &note, e);
    match plain(&note) {
        Ok(_) => std::fs::remove_file(&note).map_err(wrong)?,
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(&note).map_err(wrong)?;
    file.write_all(format!("{from} {to}\n").as_bytes()).map_err(wrong)?;
    if durable {
        file.sync_all().and_then(|()| sync_folder(path)).map_err(wrong)?;
    }
    Ok(())
}

/// Notes that it ended.
///
/// # Errors
/// Those of the file system: the append may be taken back later.
pub(crate) fn end(path: &Path, durable: bool) -> std::io::Result<()> {
    std::fs::remove_file(beside(path))?;
    if durable { sync_folder(path) } else { Ok(()) }
}

/// Puts the entry of a file in its folder on the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders cannot be opened as files there, and entries are journaled.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn pending(path: &Path) -> Result<Option<Pending>> {
    let note = beside(path);
    match plain(&note) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    }
    let text = match std::fs::read_to_string(&note) {
        Ok(text) => text,
        Err(e) if e.kind() == Io::NotFound => return Ok(None),
        Err(e) => return Err(fault("read", &note, e)),
    };
    // A note that is not whole was never followed by an append.
    let numbers = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
    Ok(numbers.and_then(|(from, to)| Some(Pending { from: from.parse().ok()?, to: to.parse().ok()? })))
}

/// No stream has a file whose name starts with a dot.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.append", name(path)))
}
