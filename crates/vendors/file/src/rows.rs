//! Reads a CSV file batch by batch: the rows that cannot be read are told, and are no end of the read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use acople_core::csv::{self, Columns, Layout};
use acople_core::{BatchBuilder, Change, Error, ErrorKind, ReadMode, Refusal, Result};
use memchr::memchr2;

use crate::fault::{fault, line_fault, open};
use crate::reader::{BATCH_BYTES, Part, Reader};
use crate::{journal, tail};

/// Bytes read at once.
const STEP: u64 = 256 << 10;

/// The columns of a file and where its rows begin.
#[derive(Debug)]
pub(crate) struct Header {
    parser: csv::Reader,
    /// None when the file has no header row yet.
    pub(crate) columns: Vec<String>,
    pub(crate) offset: u64,
    pub(crate) lines: u64,
    cut_off: bool,
}

/// What reading rows needs besides the file.
#[derive(Debug)]
pub(crate) struct Rows {
    parser: csv::Reader,
    columns: Columns,
    /// How the read ends once the batch before is delivered: within a row or not, or with an error.
    last: Option<Result<bool>>,
}

impl Header {
    /// Reads the header row of a file that ends at `end`, or takes the names of the config. A header row without
    /// a line end counts if the file is `whole`, and may else still grow.
    ///
    /// # Errors
    /// `Protocol` for a header row that is none, or text that is not UTF-8; `Schema` when it lacks a column that
    /// the config names; `Config` when nobody names the columns.
    pub(crate) fn read(file: &mut File, path: &Path, end: u64, layout: &Layout, whole: bool) -> Result<Self> {
        let wrong = |e| fault("read", path, e);
        let mut parser = layout.reader()?;
        let (mut seen, mut at, mut lines) = (Vec::new(), 0, 0);
        file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        let mut file = file.take(end);
        file.by_ref().take(3).read_to_end(&mut seen).map_err(wrong)?;
        if seen.starts_with(b"\xff\xfe") || seen.starts_with(b"\xfe\xff") {
            return Err(line_fault(path, 1, ErrorKind::Protocol, "is UTF-16: convert the file to UTF-8"));
        }
        if !layout.dialect.header {
            let offset = if seen == b"\xef\xbb\xbf" { 3 } else { 0 };
            return Ok(Self { columns: names(&parser), parser, offset, lines: 0, cut_off: false });
        }
        while parser.columns().is_empty() {
            let at_end = seen.len() as u64 == end;
            let (length, line) = piece(seen.get(at..).unwrap_or_default(), at_end);
            let fed = match seen.get(at..at + length).unwrap_or_default() {
                [] if at_end && whole => b"\n".as_slice(),
                fed => fed,
            };
            parser.feed(fed, &mut |_| Ok(())).map_err(|e| {
                line_fault(path, lines + 1, e.kind(), &format!("is no header: {}", e.message()))
            })?;
            (at, lines) = (at + length, lines + u64::from(line));
            if length == 0 && (at_end || file.by_ref().take(STEP).read_to_end(&mut seen).map_err(wrong)? == 0)
            {
                break;
            }
        }
        let columns = names(&parser);
        let rest = seen.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&seen);
        let cut_off = columns.is_empty() && rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        if cut_off && whole {
            return Err(line_fault(path, 1, ErrorKind::Protocol, "is a header row that is cut off"));
        }
        if let Some(missing) = layout.table.missing(&columns).filter(|_| !columns.is_empty()) {
            let problem = format!("is a header row without the column `{missing}`");
            return Err(line_fault(path, lines, ErrorKind::Schema, &problem).with_field(missing));
        }
        let offset = if columns.is_empty() { 0 } else { at as u64 };
        Ok(Self { parser, lines: if offset == 0 { 0 } else { lines }, offset, columns, cut_off })
    }

    /// A number that stands for the columns and their order.
    pub(crate) fn number(&self) -> u64 {
        tail::hash(self.columns.iter().flat_map(|name| name.bytes().chain([0xff])))
    }

    pub(crate) fn rows(self, layout: &Layout, fields: Option<&BTreeSet<String>>) -> Rows {
        let last = self.columns.is_empty().then_some(Ok(self.cut_off));
        Rows { columns: Columns::new(&self.columns, layout, fields), parser: self.parser, last }
    }
}

/// The columns of a stream's file: those of the config when there is no file yet.
///
/// # Errors
/// As [`Header::read`].
pub(crate) fn columns(path: &Path, layout: &Layout) -> Result<Vec<String>> {
    let mut file = match open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(layout.table.columns.clone()),
        Err(e) => return Err(e),
    };
    let end = journal::committed(&file, path)?;
    let found = Header::read(&mut file, path, end, layout, true)?.columns;
    Ok(if found.is_empty() { layout.table.columns.clone() } else { found })
}

impl Reader {
    /// The next batch of rows.
    ///
    /// # Errors
    /// `TooLarge` for a row above the limits, `Protocol` when a full read meets the end of the file within quotes,
    /// each with file and line, when what stands before is delivered.
    pub(crate) fn next_rows(&mut self, rows: &mut Rows) -> Result<Part> {
        let most = self.most();
        if most == 0 {
            return self.part(None, false);
        }
        let mut batch = BatchBuilder::new(self.stream.clone());
        let mut refused = Vec::new();
        // Whole rows, and what was handed to the parser: bytes and lines.
        let (mut taken, mut lines) = (0, 0);
        let (mut at, mut lines_at) = (0, 0);
        while rows.last.is_none() && batch.len() < most && batch.bytes() < BATCH_BYTES {
            let at_end = self.offset + self.ahead.len() as u64 == self.end;
            let (length, line) = piece(self.ahead.get(at..).unwrap_or_default(), at_end);
            if length == 0 && !at_end {
                self.more(STEP)?;
                continue;
            }
            if length == 0 && (at == taken || self.mode == ReadMode::Incremental) {
                // Behind the last line end, a row may still grow.
                rows.last = Some(Ok(at > taken));
                break;
            }
            let bytes = self.ahead.get(at..at + length).unwrap_or_default();
            let mut row = None;
            let fed = rows.parser.feed(if length == 0 { b"\n" } else { bytes }, &mut |found| {
                row = Some(found.and_then(|found| {
                    batch.push(Change::Upsert, |writer| rows.columns.write(found, writer))
                }));
                Ok(())
            });
            if let Err(error) = fed {
                rows.last = Some(Err(self.about(lines, error.kind(), behind_number(&error))));
                break;
            }
            let blank = at == taken && line && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            (at, lines_at) = (at + length, lines_at + u64::from(line));
            if let Some(Err(error)) = &row {
                let text = String::from_utf8_lossy(self.ahead.get(taken..at).unwrap_or_default());
                let mut problem = behind_number(error).to_owned();
                problem.extend(error.fields().first().map(|column| format!(" (column `{column}`)")));
                let told = self.about(lines, error.kind(), &problem);
                let told = error.fields().iter().fold(told, Error::with_field);
                refused.push(Refusal { index: batch.len(), error: told });
                batch.push(Change::Upsert, |writer| {
                    writer.begin_object();
                    writer.key("line");
                    writer.number_text(&(self.line + lines + 1).to_string());
                    writer.key("row");
                    writer.text(text.trim_end_matches(['\r', '\n']));
                    writer.end_object();
                    Ok(())
                })?;
            } else if row.is_none() && length == 0 {
                let problem = "is cut off: the file ends within quotes";
                rows.last = Some(Err(self.about(lines, ErrorKind::Protocol, problem)));
            }
            if row.is_some() || blank {
                (taken, lines) = (at, lines_at);
            }
        }
        self.ahead.drain(..taken.min(self.ahead.len()));
        self.offset += taken as u64;
        self.line += lines;
        self.remaining -= batch.len() as u64;
        if batch.is_empty() {
            let cut_off = rows.last.take().unwrap_or(Ok(false))?;
            return self.part(None, cut_off);
        }
        self.part(Some(batch.finish()?.with_refused(refused)), false)
    }
}

fn names(parser: &csv::Reader) -> Vec<String> {
    parser.columns().iter().map(ToString::to_string).collect()
}

/// How many bytes go to the parser next, and whether they end a line: up to the first line end, or all there is.
fn piece(bytes: &[u8], at_end: bool) -> (usize, bool) {
    let Some(at) = memchr2(b'\n', b'\r', bytes) else { return (bytes.len(), false) };
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => (at + 2, true),
        // Whether a newline follows is not known yet.
        (Some(b'\r'), None) if !at_end => (at, false),
        _ => (at + 1, true),
    }
}

/// What the parser says of a row, without the number: it counts from where this read began.
fn behind_number(error: &Error) -> &str {
    let message = error.message();
    message.strip_prefix("row ").and_then(|rest| Some(rest.split_once(' ')?.1)).unwrap_or(message)
}
