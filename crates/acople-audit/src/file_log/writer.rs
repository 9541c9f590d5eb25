//! The one who writes: its lock, its files, and what a crash has left in them.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use acople_core::{ConnectionKey, Error, ErrorKind, Result};

use crate::chain::first_prev;
use crate::files::{LogFile, file_of, io_error, log_files, private, sync_folder};
use crate::{Action, Chain, Entry, Record};

/// Who opens and repairs a log: the log itself.
const ACTOR: &str = "acople:log";

pub(crate) struct Writer {
    folder: PathBuf,
    max_file: u64,
    chain: Chain,
    path: PathBuf,
    /// `None`: closed, or to be made with the next record.
    file: Option<File>,
    /// Bytes of the file that are whole records.
    len: u64,
    /// Why nothing can be written any more.
    broken: Option<Error>,
    lock: Option<File>,
}

impl Writer {
    /// Opens the log, or begins one, and records that. With the bytes of a torn record that was cut off.
    pub(crate) fn open(folder: PathBuf, max_file: u64, now: SystemTime) -> Result<(Self, Option<u64>)> {
        fs::create_dir_all(&folder).map_err(|e| io_error(&folder, "cannot be made", &e))?;
        let lock = lock(&folder)?;
        let files = log_files(&folder)?;
        let torn = match files.last() {
            Some(newest) => cut_torn(&newest.path)?,
            None => 0,
        };
        let chain = match end_of(&files)? {
            Some(chain) => chain,
            None => Chain::begin()?,
        };
        let path = files.last().map_or_else(|| file_of(&folder, 1), |newest| newest.path.clone());
        let (file, len) = open_file(&path)?;
        sync_folder(&folder)?;
        let mut writer =
            Self { folder, max_file, chain, path, file: Some(file), len, broken: None, lock: Some(lock) };
        let mut entries = Vec::new();
        let nobody = ConnectionKey::new("", "");
        if torn > 0 {
            tracing::warn!(folder = %writer.folder.display(), torn, "a torn audit record was cut off");
            let detail = format!("{torn} bytes of a torn record were cut off");
            entries.push(Entry::new(now, ACTOR, Action::REPAIR_LOG, &nobody).with_detail(&detail));
        }
        entries.push(Entry::new(now, ACTOR, Action::OPEN_LOG, &nobody));
        writer.write(entries.iter()).into_iter().collect::<Result<Vec<()>>>()?;
        Ok((writer, (torn > 0).then_some(torn)))
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Writes entries with one sync. What an error answers is not in the log.
    pub(crate) fn write<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> Vec<Result<()>> {
        let mut chain = self.chain.clone();
        let mut text = String::new();
        let mut results: Vec<Result<()>> = Vec::new();
        for entry in entries {
            results.push(chain.push(entry).map(|line| {
                text.push_str(&line);
                text.push('\n');
            }));
        }
        if text.is_empty() {
            return results;
        }
        match self.write_text(&text) {
            Ok(()) => {
                self.chain = chain;
                results
            }
            Err(error) => results.into_iter().map(|result| result.and(Err(error.copy()))).collect(),
        }
    }

    pub(crate) fn close(&mut self) {
        self.file = None;
        self.lock = None;
        self.broken.get_or_insert_with(|| Error::new(ErrorKind::Config, "the audit log is closed"));
    }

    fn write_text(&mut self, text: &str) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.copy());
        }
        if self.len > 0 && self.len.saturating_add(text.len() as u64) > self.max_file {
            self.path = file_of(&self.folder, self.chain.seq() + 1);
            self.file = None;
        }
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let (file, len) = open_file(&self.path)?;
            sync_folder(&self.folder)?;
            self.len = len;
            self.file.insert(file)
        };
        if let Err(error) = file.write_all(text.as_bytes()) {
            // Part of it may be there: away with it, or the next record would be joined to a torn one.
            if file.set_len(self.len).and_then(|()| file.sync_data()).is_err() {
                self.broken = Some(refused(&self.path, &error));
            }
            return Err(io_error(&self.path, "cannot be written", &error));
        }
        if let Err(error) = file.sync_data() {
            // What a failed sync has left on the disk is not known.
            self.broken = Some(refused(&self.path, &error));
            return Err(io_error(&self.path, "cannot be synced", &error));
        }
        self.len += text.len() as u64;
        Ok(())
    }
}

fn refused(path: &Path, error: &io::Error) -> Error {
    let message = format!("the audit log takes nothing until it is opened anew: {}: {error}", path.display());
    Error::new(ErrorKind::Internal, message)
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = private().create(true).open(&path).map_err(|e| io_error(&path, "cannot be opened", &e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let message =
                format!("the audit log {} is open elsewhere: one process at a time", folder.display());
            Err(Error::config("log", message))
        }
        // A file system without locks.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(io_error(&path, "cannot be locked", &e)),
        Ok(()) => Ok(file),
    }
}

fn open_file(path: &Path) -> Result<(File, u64)> {
    let file = private().create(true).open(path).map_err(|e| io_error(path, "cannot be opened", &e))?;
    let len = file.metadata().map_err(|e| io_error(path, "cannot be read", &e))?.len();
    Ok((file, len))
}

/// Cuts off what follows the last line's end: a record that was never acknowledged.
fn cut_torn(path: &Path) -> Result<u64> {
    let bytes = read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (bytes.len() - whole) as u64;
    if torn > 0 {
        let (file, _) = open_file(path)?;
        file.set_len(whole as u64)
            .and_then(|()| file.sync_data())
            .map_err(|e| io_error(path, "cannot be repaired", &e))?;
    }
    Ok(torn)
}

/// The end of the log by its newest file that has a record.
fn end_of(files: &[LogFile]) -> Result<Option<Chain>> {
    for file in files.iter().rev() {
        let bytes = read(&file.path)?;
        let mut chain: Option<Chain> = None;
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let record = line.strip_suffix(b"\n").and_then(Record::of).filter(|record| match &chain {
                Some(chain) => record.follows(chain),
                None => record.seq == file.first && (record.seq > 1 || record.prev == first_prev()),
            });
            let record = record.ok_or_else(|| damaged(&file.path, number + 1))?;
            chain = Some(Chain::after(&record));
        }
        if chain.is_some() {
            return Ok(chain);
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|e| io_error(path, "cannot be read", &e))?;
    Ok(bytes)
}

fn damaged(path: &Path, line: usize) -> Error {
    let message = format!(
        "line {line} of {} is not as it was written: keep the log for whoever looks into it (`acople audit verify`), \
         and begin another in a new folder",
        path.display()
    );
    Error::new(ErrorKind::Internal, message)
}
