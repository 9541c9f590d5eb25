//! Reads a file batch by batch, up to where it ended when the read began.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acople_core::csv::Layout;
use acople_core::json::{self, Page, Span, Value};
use acople_core::{Batch, BatchBuilder, Change, Error, ErrorKind, ReadMode, ReadRequest, Result};
use serde::{Deserialize, Serialize};

use crate::fault::{fault, line_fault, name, open};
use crate::rows::{Header, Rows};
use crate::{LINE_LIMIT, journal, tail};

/// Bytes of a batch, unless one line is longer.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Records of a batch, unless the request says otherwise.
const BATCH_RECORDS: usize = 1000;

/// The version of cursors that this crate writes.
pub(crate) const VERSION: u16 = 1;

/// What a cursor keeps: how much of the file is read, and what stood there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) mode: ReadMode,
    pub(crate) offset: u64,
    /// Lines before the offset.
    pub(crate) line: u64,
    pub(crate) witness: u64,
    /// CSV: a number that stands for the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<u64>,
}

/// A part of the file.
pub(crate) struct Part {
    /// `None` at the end.
    pub(crate) batch: Option<Batch>,
    pub(crate) state: State,
    /// Whether the file ends within a line, which is left for a later read.
    pub(crate) cut_off: bool,
}

/// An open file and a place in it.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    path: PathBuf,
    pub(crate) stream: Arc<str>,
    pub(crate) mode: ReadMode,
    fields: Option<BTreeSet<String>>,
    pub(crate) offset: u64,
    pub(crate) line: u64,
    /// Where the file ended when the read began.
    pub(crate) end: u64,
    most: usize,
    pub(crate) remaining: u64,
    /// What is read behind the offset.
    pub(crate) ahead: Vec<u8>,
    columns: Option<u64>,
    /// `None` for JSON lines.
    rows: Option<Box<Rows>>,
}

impl Reader {
    /// Opens the file of a stream at the place of a cursor.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `CursorExpired` when it is not the one, or no longer as long,
    /// as when the cursor was made.
    pub(crate) fn open(
        path: &Path,
        layout: Option<&Layout>,
        request: &ReadRequest,
        state: Option<State>,
    ) -> Result<Self> {
        let mut file = open(path)?;
        let (mut end, mut header) = (file.metadata().map_err(|e| fault("read", path, e))?.len(), None);
        if let Some(layout) = layout {
            end = journal::committed(&file, path)?;
            let whole = request.mode() == ReadMode::Full;
            header = Some((Header::read(&mut file, path, end, layout, whole)?, layout));
        }
        let columns = header.as_ref().map(|(header, _)| header.number());
        let (mut offset, mut line) =
            header.as_ref().map_or((0, 0), |(header, _)| (header.offset, header.lines));
        // Before anything was read, there may have been no header row.
        if let Some(state) = state.filter(|state| state.offset > 0) {
            let expired =
                |what: &str| Err(Error::new(ErrorKind::CursorExpired, format!("{} {what}", name(path))));
            if state.offset > end {
                return expired("is shorter than when it was last read");
            }
            if tail::witness(&mut file, state.offset).map_err(|e| fault("read", path, e))? != state.witness {
                return expired("is another file than when it was last read");
            }
            if state.columns != columns {
                return expired("has other columns than when it was last read");
            }
            (offset, line) = (state.offset, state.line);
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| fault("read", path, e))?;
        // Paths into a record ask for their first member: the rest of the path lies within it.
        let first = |field: &String| {
            let path = json::FieldPath::parse(field).map_err(|e| Error::from(e).with_kind(ErrorKind::Config));
            Ok(path?.segments().first().map(ToString::to_string).unwrap_or_default())
        };
        let fields: Option<BTreeSet<String>> =
            request.fields().map(|fields| fields.iter().map(first).collect::<Result<_>>()).transpose()?;
        let rows = header.map(|(header, layout)| Box::new(header.rows(layout, fields.as_ref())));
        Ok(Self {
            file,
            path: path.to_owned(),
            stream: request.stream().into(),
            mode: request.mode(),
            fields,
            offset,
            line,
            end,
            most: request
                .page_size()
                .map_or(BATCH_RECORDS, |n| usize::try_from(n).unwrap_or(usize::MAX))
                .max(1),
            remaining: request.limit().unwrap_or(u64::MAX),
            ahead: Vec::new(),
            columns,
            rows,
        })
    }

    /// The next batch.
    ///
    /// # Errors
    /// `Schema` for a line that is no JSON object, `TooLarge` for one that is too long, each with file and
    /// line; `Protocol` when a full read meets a last line that is cut off.
    pub(crate) fn next(&mut self) -> Result<Part> {
        if let Some(mut rows) = self.rows.take() {
            let part = self.next_rows(&mut rows);
            self.rows = Some(rows);
            return part;
        }
        let most = self.most();
        loop {
            if most == 0 {
                return self.part(None, false);
            }
            self.fill()?;
            let mut bytes = std::mem::take(&mut self.ahead);
            let Found { spans, taken, lines, cut_off } = self.find(&bytes, most)?;
            self.ahead = bytes.split_off(taken);
            self.offset += taken as u64;
            self.line += lines;
            self.remaining -= spans.len() as u64;
            if spans.is_empty() && taken > 0 && !cut_off {
                // Nothing but blank lines.
                continue;
            }
            if spans.is_empty() {
                if cut_off && self.mode == ReadMode::Full {
                    return Err(self.about(0, ErrorKind::Protocol, "is cut off: the file ends within it"));
                }
                return self.part(None, cut_off);
            }
            let page = Page::from_bytes_marked(bytes)?;
            // The page skips a byte-order mark, and positions count behind it.
            let mark = taken - page.len();
            let spans = spans.into_iter().map(|s| moved(s, mark)).collect();
            let batch = self.pick(Batch::new(self.stream.clone(), page, spans))?;
            return self.part(Some(batch), false);
        }
    }

    /// Finds the records of at most `most` lines.
    fn find(&self, bytes: &[u8], most: usize) -> Result<Found> {
        let at_end = self.offset + bytes.len() as u64 == self.end;
        let mut found = Found::default();
        while found.spans.len() < most && found.taken < bytes.len() {
            let rest = bytes.get(found.taken..).unwrap_or_default();
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let length = newline.unwrap_or(rest.len());
            if length > LINE_LIMIT {
                return Err(self.about(found.lines, ErrorKind::TooLarge, "is longer than 16 MiB"));
            }
            if newline.is_none() && !at_end {
                break;
            }
            let text = rest.get(..length).unwrap_or_default();
            match record(text, self.offset + found.taken as u64 == 0) {
                Ok(None) => {}
                Ok(Some((from, to))) => found.spans.push(span(found.taken + from, found.taken + to)?),
                Err(_) if newline.is_none() => {
                    found.cut_off = true;
                    break;
                }
                Err(problem) if found.spans.is_empty() => {
                    return Err(self.about(found.lines, ErrorKind::Schema, problem));
                }
                // What stands before it is delivered first.
                Err(_) => break,
            }
            found.taken += length + usize::from(newline.is_some());
            // A line counts with its newline, which may come later.
            found.lines += u64::from(newline.is_some());
        }
        Ok(found)
    }

    /// Reads on until there is a batch's worth of bytes, with at least one whole line.
    fn fill(&mut self) -> Result<()> {
        loop {
            let have = self.ahead.len();
            let left = self.end.saturating_sub(self.offset + have as u64);
            let whole_line = || self.ahead.contains(&b'\n');
            if left == 0 || have > LINE_LIMIT + 1 || (have >= BATCH_BYTES && whole_line()) {
                return Ok(());
            }
            self.more(BATCH_BYTES as u64)?;
        }
    }

    /// Reads at most so many bytes on. There are some.
    pub(crate) fn more(&mut self, most: u64) -> Result<()> {
        let left = self.end.saturating_sub(self.offset + self.ahead.len() as u64);
        let got = (&mut self.file)
            .take(left.min(most))
            .read_to_end(&mut self.ahead)
            .map_err(|e| fault("read", &self.path, e))?;
        if got == 0 {
            let message = format!("{} became shorter while it was read", name(&self.path));
            return Err(Error::new(ErrorKind::CursorExpired, message));
        }
        Ok(())
    }

    /// Most records of the next batch.
    pub(crate) fn most(&self) -> usize {
        usize::try_from(self.remaining).unwrap_or(usize::MAX).min(self.most)
    }

    /// The fields asked for, of each record.
    fn pick(&self, batch: Batch) -> Result<Batch> {
        let Some(fields) = &self.fields else {
            return Ok(batch);
        };
        if batch.unreadable().is_some() {
            // Copied into another page, a record would pass for readable.
            return Ok(batch);
        }
        let mut picked = BatchBuilder::new(self.stream.clone());
        for record in batch.iter() {
            picked.push(Change::Upsert, |writer| {
                writer.begin_object();
                for member in json::members(record.raw()) {
                    let (key, value) = member?;
                    let key = key.decode()?;
                    if fields.contains(&*key) {
                        writer.key(&key);
                        writer.raw(value.raw());
                    }
                }
                writer.end_object();
                Ok(())
            })?;
        }
        picked.finish()
    }

    pub(crate) fn part(&mut self, batch: Option<Batch>, cut_off: bool) -> Result<Part> {
        let here = self.offset + self.ahead.len() as u64;
        let witness = tail::witness(&mut self.file, self.offset)
            .and_then(|witness| self.file.seek(SeekFrom::Start(here)).map(|_| witness))
            .map_err(|e| fault("read", &self.path, e))?;
        let state =
            State { mode: self.mode, offset: self.offset, line: self.line, witness, columns: self.columns };
        Ok(Part { batch, state, cut_off })
    }

    /// An error about the line behind `lines` more.
    pub(crate) fn about(&self, lines: u64, kind: ErrorKind, problem: &str) -> Error {
        line_fault(&self.path, self.line + lines + 1, kind, problem)
    }
}

/// Records found in some bytes of a file.
#[derive(Default)]
struct Found {
    spans: Vec<Span>,
    /// Bytes of whole lines.
    taken: usize,
    lines: u64,
    /// Whether the file ends within the next line.
    cut_off: bool,
}

/// Where in a line its record is; nothing for a blank line.
fn record(line: &[u8], first: bool) -> std::result::Result<Option<(usize, usize)>, &'static str> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        // The batch says which records those are: one that is no text is no reason to lose those behind it.
        Err(_) => Cow::Owned(
            Page::from_bytes_marked(line.to_vec()).map_err(|_| "is not UTF-8")?.as_str().to_owned(),
        ),
    };
    let marked = if first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
    let from = line.len() - marked.trim_ascii_start().len();
    let record = marked.trim_ascii();
    if record.is_empty() {
        return Ok(None);
    }
    match json::value(record) {
        Ok(Value::Object(_)) => Ok(Some((from, from + record.len()))),
        Ok(_) => Err("is JSON but not an object"),
        Err(_) => Err("is not valid JSON"),
    }
}

fn span(start: usize, end: usize) -> Result<Span> {
    let too_large = |_| Error::new(ErrorKind::TooLarge, "a batch holds at most 4 GiB");
    Ok(Span { start: u32::try_from(start).map_err(too_large)?, end: u32::try_from(end).map_err(too_large)? })
}

fn moved(span: Span, back: usize) -> Span {
    let back = u32::try_from(back).unwrap_or(0);
    Span { start: span.start.saturating_sub(back), end: span.end.saturating_sub(back) }
}
