//! The cursor of a read in a file of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use acople::{Cursor, Error};

use crate::failure::Failure;

const FIELD: &str = "--state";

/// A file that holds one cursor, the old one or the new one, never half of one.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    folder: PathBuf,
    /// What is written first and renamed then.
    draft: PathBuf,
}

impl StateFile {
    /// Does not touch the file, but finds out what would fail only after the first page.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::from(Error::config(FIELD, format!("{} {what}", path.display())));
        let name = path.file_name().ok_or_else(|| wrong("names no file"))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folder.is_dir() {
            return Err(wrong("is in a folder that does not exist"));
        }
        // Renaming over a device or folder would replace it.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(wrong("is not a file"));
        }
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.tmp", std::process::id()));
        let draft = folder.join(draft);
        Ok(Self { path: path.to_owned(), folder, draft })
    }

    /// The cursor; `None` when there is no file.
    pub(crate) fn load(&self) -> Result<Option<Cursor>, Failure> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", self.path.display());
                return Err(Error::config(FIELD, message).into());
            }
        };
        let cursor = Cursor::from_json(&text).map_err(|error| {
            let hint = format!("remove {} to start the stream over", self.path.display());
            Failure::from(error.with_field(FIELD)).with_hint(hint)
        })?;
        Ok(Some(cursor))
    }

    /// Replaces the cursor. It would survive a crash of the machine when this returns.
    pub(crate) fn save(&self, cursor: &Cursor) -> Result<(), Failure> {
        let text = cursor.to_json()?;
        let written = self.replace(text.as_bytes());
        written.map_err(|error| {
            let _ = fs::remove_file(&self.draft);
            Failure::machine(format!("the state file {} cannot be written", self.path.display()), &error)
        })
    }

    /// Removes the cursor: the next read starts anew.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("the state file {} cannot be removed", self.path.display());
                Err(Failure::machine(what, &error))
            }
            _ => Ok(()),
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut draft = File::create(&self.draft)?;
        draft.write_all(text)?;
        draft.write_all(b"\n")?;
        draft.sync_all()?;
        drop(draft);
        fs::rename(&self.draft, &self.path)?;
        self.sync_folder()
    }

    /// Makes the new name durable, where folders can be opened.
    #[cfg(unix)]
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self)]
    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(at: u64) -> Cursor {
        Cursor::new("here", "things", 1, &at).unwrap()
    }

    #[test]
    fn what_was_saved_last_is_loaded_and_no_draft_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let file = StateFile::new(&path).unwrap();
        assert!(file.load().unwrap().is_none());
        file.save(&cursor(1)).unwrap();
        file.save(&cursor(2)).unwrap();
        assert_eq!(StateFile::new(&path).unwrap().load().unwrap(), Some(cursor(2)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        file.clear().unwrap();
        file.clear().unwrap();
        assert!(file.load().unwrap().is_none());
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(StateFile::new(folder.path()).is_err());
        assert!(StateFile::new(&folder.path().join("no/such/state.json")).is_err());
    }
}
