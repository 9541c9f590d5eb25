//! Events that wait for an assessment: in memory first, then in a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use acople_core::json::{Page, Span};
use acople_core::{Batch, Change, Cursor, Error, ErrorKind, Event, Refusal, Result};
use serde::{Deserialize, Serialize};

use crate::gate::Spill;

/// Largest frame that is read back: a page has at most 4 GiB, and its header less.
const FRAME: u64 = 5 << 30;

/// Events in order, bounded.
pub(crate) struct Held {
    memory: VecDeque<Event>,
    bytes: usize,
    limit: usize,
    spill: Option<Spill>,
    file: Option<SpillFile>,
}

/// Whether an event was taken, and whether there is room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Left,
    /// The event was taken, and it is the last.
    Full,
}

struct SpillFile {
    file: File,
    written: u64,
    /// Frames that are not read back yet.
    frames: u64,
    rewound: bool,
}

impl Held {
    pub(crate) fn new(limit: usize, spill: Option<Spill>) -> Self {
        Self { memory: VecDeque::new(), bytes: 0, limit, spill, file: None }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the file cannot be written.
    pub(crate) async fn push(&mut self, event: Event) -> Result<Room> {
        if self.file.is_none() && self.bytes < self.limit {
            self.bytes += match &event {
                Event::Batch(batch) => batch.bytes(),
                _ => 64,
            };
            self.memory.push_back(event);
            let full = self.bytes >= self.limit && self.spill.is_none();
            return Ok(if full { Room::Full } else { Room::Left });
        }
        let Some(spill) = self.spill.clone() else {
            self.memory.push_back(event);
            return Ok(Room::Full);
        };
        let (file, most) = (self.file.take(), spill.bytes);
        let file = blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => SpillFile::create(&spill)?,
            };
            file.write(&event)?;
            Ok(file)
        })
        .await?;
        let full = file.written >= most;
        self.file = Some(file);
        Ok(if full { Room::Full } else { Room::Left })
    }

    /// Gives the events back in order.
    pub(crate) async fn pop(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.memory.pop_front() {
            return Ok(Some(event));
        }
        let Some(mut file) = self.file.take().filter(|file| file.frames > 0) else { return Ok(None) };
        let (file, event) = blocking(move || {
            let event = file.read()?;
            Ok((file, event))
        })
        .await?;
        self.file = Some(file);
        Ok(Some(event))
    }
}

/// Files are slow now and then: not on a thread that others wait for.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the assessment's file task ended early")))
}

/// What stands before the text of a frame.
#[derive(Serialize, Deserialize)]
enum Header {
    SnapshotBegin,
    SnapshotEnd,
    Checkpoint(Cursor),
    Warning(String),
    Batch { stream: String, lengths: Vec<u32>, deleted: Vec<bool>, refused: Vec<(usize, Error)> },
}

impl SpillFile {
    fn create(spill: &Spill) -> Result<Self> {
        let file = tempfile::tempfile_in(&spill.folder).map_err(|error| {
            Error::config("spill", format!("no temporary file can be made: {}", error.kind()))
        })?;
        Ok(Self { file, written: 0, frames: 0, rewound: false })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let mut body = String::new();
        let header = match event {
            Event::SnapshotBegin => Header::SnapshotBegin,
            Event::SnapshotEnd => Header::SnapshotEnd,
            Event::Checkpoint(cursor) => Header::Checkpoint(cursor.clone()),
            Event::Warning(text) => Header::Warning(text.clone()),
            Event::Batch(batch) => header_of(batch, &mut body),
            _ => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "an event of a kind that cannot be kept in a file",
                ));
            }
        };
        let header = serde_json::to_vec(&header)
            .map_err(|e| Error::new(ErrorKind::Internal, "an event cannot be written").with_source(e))?;
        let mut lengths = Vec::with_capacity(16);
        lengths.extend((header.len() as u64).to_le_bytes());
        lengths.extend((body.len() as u64).to_le_bytes());
        let written = self.file.write_all(&lengths).and_then(|()| self.file.write_all(&header));
        written.and_then(|()| self.file.write_all(body.as_bytes())).map_err(|error| broken(&error))?;
        self.written += lengths.len() as u64 + header.len() as u64 + body.len() as u64;
        self.frames += 1;
        Ok(())
    }

    fn read(&mut self) -> Result<Event> {
        if !self.rewound {
            self.file.seek(SeekFrom::Start(0)).map_err(|error| broken(&error))?;
            self.rewound = true;
        }
        let header: Header = {
            let (header, body) = (self.length()?, self.length()?);
            let header = self.bytes(header)?;
            let header = serde_json::from_slice(&header)
                .map_err(|e| Error::new(ErrorKind::Internal, "the spill file is damaged").with_source(e))?;
            self.frames -= 1;
            if let Header::Batch { stream, lengths, deleted, refused } = header {
                return self.batch(stream, &lengths, deleted, refused, body).map(Event::Batch);
            }
            header
        };
        Ok(match header {
            Header::SnapshotBegin => Event::SnapshotBegin,
            Header::SnapshotEnd => Event::SnapshotEnd,
            Header::Checkpoint(cursor) => Event::Checkpoint(cursor),
            Header::Warning(text) => Event::Warning(text),
            Header::Batch { .. } => return Err(Error::new(ErrorKind::Internal, "a batch without its text")),
        })
    }

    fn batch(
        &mut self,
        stream: String,
        lengths: &[u32],
        deleted: Vec<bool>,
        refused: Vec<(usize, Error)>,
        body: u64,
    ) -> Result<Batch> {
        let text = String::from_utf8(self.bytes(body)?)
            .map_err(|_| Error::new(ErrorKind::Internal, "the spill file is damaged"))?;
        let mut start = 0_u32;
        let mut spans = Vec::with_capacity(lengths.len());
        for length in lengths {
            let end = start.saturating_add(*length);
            spans.push(Span { start, end });
            // The line break between two records.
            start = end.saturating_add(1);
        }
        let batch = Batch::new(stream, Page::from_string(text)?, spans).with_deletions(deleted);
        Ok(batch.with_refused(refused.into_iter().map(|(index, error)| Refusal { index, error })))
    }

    fn length(&mut self) -> Result<u64> {
        let mut length = [0; 8];
        self.file.read_exact(&mut length).map_err(|error| broken(&error))?;
        Ok(u64::from_le_bytes(length))
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let damaged = || Error::new(ErrorKind::Internal, "the spill file is damaged");
        let length = Some(length).filter(|length| *length <= FRAME).and_then(|n| usize::try_from(n).ok());
        let mut bytes = vec![0; length.ok_or_else(damaged)?];
        self.file.read_exact(&mut bytes).map_err(|error| broken(&error))?;
        Ok(bytes)
    }
}

fn header_of(batch: &Batch, body: &mut String) -> Header {
    let mut lengths = Vec::with_capacity(batch.len());
    for record in batch.iter() {
        if !lengths.is_empty() {
            body.push('\n');
        }
        body.push_str(record.raw());
        lengths.push(u32::try_from(record.raw().len()).unwrap_or(u32::MAX));
    }
    let refused = batch.unreadable().map(|unreadable| unreadable.refused).unwrap_or_default();
    Header::Batch {
        stream: batch.stream().to_owned(),
        lengths,
        deleted: batch.iter().map(|record| record.change() == Change::Delete).collect(),
        refused: refused.into_iter().map(|refusal| (refusal.index, refusal.error)).collect(),
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the spill file cannot be used: {}", error.kind()))
}
