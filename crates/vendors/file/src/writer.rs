//! Appends records to a file, and mends what a crash left.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use acople_core::csv::Layout;
use acople_core::json::{self, Value};
use acople_core::{Batch, Change, Error, ErrorKind, Outcome, Record, Result};

use crate::fault::{fault, plain, same};
use crate::{LINE_LIMIT, journal, table, tail};

/// Appends a batch and gives one outcome a record; nothing while another process writes the file.
///
/// # Errors
/// When nothing was written.
pub(crate) fn append(
    path: &Path,
    layout: Option<&Layout>,
    batch: &Batch,
    durable: bool,
) -> Result<Option<Vec<Outcome>>> {
    let (mut file, new) = open(path)?;
    // The lock ends with the file.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Some network drives have no locks: there is one writer there, or none is safe.
        Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(e)) => return Err(fault("lock", path, e)),
    }
    let (length, written) = if let Some(layout) = layout {
        let length = journal::recover(&file, path)?;
        let (text, outcomes) = table::render(&mut file, path, length, batch, layout)?;
        if text.is_empty() {
            return Ok(Some(outcomes));
        }
        journal::begin(path, length, length + text.len() as u64, durable)?;
        let put = file.seek(SeekFrom::Start(length)).and_then(|_| file.write_all(text.as_bytes()));
        (length, put.map(|()| (outcomes, true)))
    } else {
        let length = mend(&mut file, path)?;
        (length, write(&mut file, batch))
    };
    let noted = layout.is_some();
    let (outcomes, wrote) = match written {
        Ok(done) => done,
        Err(error) => {
            // Half a batch must not stay behind an error that says that nothing was written.
            let error = fault("write", path, error);
            let back =
                file.set_len(length).and_then(|()| if noted { journal::end(path, durable) } else { Ok(()) });
            return if back.is_ok() { Err(error) } else { Ok(Some(unknown(batch.len(), &error))) };
        }
    };
    let mut kept = Ok(());
    if durable && wrote {
        kept = persist(&file, path, new);
    }
    if noted && kept.is_ok() {
        kept = journal::end(path, durable);
    }
    // After a failed sync nobody knows what is on the disk.
    Ok(Some(kept.map_or_else(|e| unknown(batch.len(), &fault("sync", path, e)), |()| outcomes)))
}

/// Refuses records that no format can append.
pub(crate) fn writable(record: Record<'_>) -> Result<()> {
    if record.change() == Change::Delete {
        Err(Error::new(ErrorKind::Invalid, "a deletion cannot be appended"))
    } else if !record.raw().starts_with('{') {
        Err(Error::new(ErrorKind::Schema, "a record is a JSON object"))
    } else {
        Ok(())
    }
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Accepted { id: None, created: Some(true) }
}

fn open(path: &Path) -> Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match plain(path) {
        Ok(seen) => {
            let file = options.open(path).map_err(|e| fault("open", path, e))?;
            same(path, &seen, &file)?;
            Ok((file, false))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| fault("make", folder, e))?;
            }
            // A link that appeared meanwhile is not followed: the name must be new.
            match options.create_new(true).open(path) {
                Ok(file) => Ok((file, true)),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    let seen = plain(path)?;
                    let file = options.create_new(false).open(path).map_err(|e| fault("open", path, e))?;
                    same(path, &seen, &file)?;
                    Ok((file, false))
                }
                Err(e) => Err(fault("make", path, e)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes the file end in a newline and stands behind it: a whole last line gets its newline, the part of one
/// that a crash left is cut off. Gives the length.
fn mend(file: &mut File, path: &Path) -> Result<u64> {
    let wrong = |e| fault("mend", path, e);
    let length = file.metadata().map_err(wrong)?.len();
    let Some((start, line)) = tail::last_line(file, length, LINE_LIMIT as u64).map_err(wrong)? else {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "the file ends in a line longer than 16 MiB: not ours to cut off",
        ));
    };
    if line.is_empty() {
        return file.seek(SeekFrom::Start(length)).map_err(wrong);
    }
    let whole =
        std::str::from_utf8(&line).is_ok_and(|text| matches!(json::value(text), Ok(Value::Object(_))));
    if whole {
        file.seek(SeekFrom::Start(length)).map_err(wrong)?;
        file.write_all(b"\n").map_err(wrong)?;
        return Ok(length + 1);
    }
    file.set_len(start).map_err(wrong)?;
    file.seek(SeekFrom::Start(start)).map_err(wrong)
}

fn write(file: &mut File, batch: &Batch) -> std::io::Result<(Vec<Outcome>, bool)> {
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut wrote = false;
    for record in batch.iter() {
        let text = record.raw();
        let mut refusal = writable(record).err();
        if refusal.is_none() && text.len() > LINE_LIMIT {
            refusal = Some(Error::new(ErrorKind::TooLarge, "the record makes a line longer than 16 MiB"));
        }
        if let Some(error) = refusal {
            outcomes.push(Outcome::refused(error));
            continue;
        }
        // Within JSON's texts a line break is escaped: what is left is white space.
        for (index, piece) in text.split(['\n', '\r']).enumerate() {
            if index > 0 {
                out.write_all(b" ")?;
            }
            out.write_all(piece.as_bytes())?;
        }
        out.write_all(b"\n")?;
        wrote = true;
        outcomes.push(accepted());
    }
    out.flush()?;
    Ok((outcomes, wrote))
}

fn persist(file: &File, path: &Path, new: bool) -> std::io::Result<()> {
    file.sync_data()?;
    // A new name is an entry of the folder, and that is on no disk yet.
    if new { journal::sync_folder(path) } else { Ok(()) }
}

fn unknown(records: usize, error: &Error) -> Vec<Outcome> {
    let error = error.copy().with_kind(ErrorKind::Ambiguous);
    (0..records).map(|_| Outcome::Unknown { error: error.copy() }).collect()
}
