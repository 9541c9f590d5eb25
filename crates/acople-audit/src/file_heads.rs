//! Heads in a file.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use async_trait::async_trait;

use acople_core::{Error, ErrorKind, Result};

use crate::files::{io_error, private};
use crate::{Head, HeadSink};

/// Heads in a file, one a line, each synced.
///
/// Beside the log it proves only that nobody without the signing key has changed what it speaks of; whoever can cut
/// off the log can cut off this file as well. Keep it on another machine, or copy it there.
#[derive(Clone, Debug)]
pub struct FileHeads {
    path: PathBuf,
}

impl FileHeads {
    /// Keeps heads in that file, which is made with the first.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn write(&self, head: &Head) -> Result<()> {
        let path = &self.path;
        let mut file =
            private().create(true).open(path).map_err(|e| io_error(path, "cannot be opened", &e))?;
        // A line that a crash has torn would spoil the next.
        let mut last = [b'\n'];
        let mut text = head.line() + "\n";
        if file.seek(SeekFrom::End(-1)).is_ok() && file.read_exact(&mut last).is_ok() && last != *b"\n" {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|e| io_error(path, "cannot be written", &e))
    }
}

#[async_trait]
impl HeadSink for FileHeads {
    async fn keep(&self, head: &Head) -> Result<()> {
        let (this, head) = (self.clone(), head.clone());
        tokio::task::spawn_blocking(move || this.write(&head))
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "keeping the head was interrupted")))
    }
}
