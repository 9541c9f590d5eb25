//! Reads rows out of bytes that come in pieces.

use memchr::{memchr, memchr3};

use crate::json;
use crate::{Error, ErrorKind, Result};

/// Largest row unless told otherwise, in bytes.
pub(super) const LARGEST: usize = 16 << 20;

/// Most columns unless told otherwise.
pub(super) const COLUMNS: usize = 10_000;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads CSV piece by piece: see the [module](super).
///
/// Rows end with `\n`, `\r\n` or `\r`; blank rows are passed over. A field in quotes may hold the delimiter and line
/// ends, and a quote that is written twice. A quote within a field without quotes is a character like any other.
#[derive(Debug)]
pub struct Reader {
    delimiter: u8,
    largest: usize,
    most_columns: usize,
    /// The names of the header row; `None` before it.
    columns: Option<Vec<Box<str>>>,
    /// What may be the beginning of a byte-order mark; `None` once that is known.
    start: Option<Vec<u8>>,
    state: State,
    /// The fields of the row one behind the other, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// Whether the row has a field in quotes: an empty one in quotes is no blank row.
    quoted: bool,
    /// Whether characters stand behind a closing quote.
    untidy: bool,
    /// Rows behind the header.
    rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RowStart,
    /// Behind `\r`, which `\n` may follow.
    AfterReturn,
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end of the field, or the first half of a quote.
    QuoteSeen,
}

/// One row behind the header.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [Box<str>],
    fields: &'a str,
    ends: &'a [usize],
    number: u64,
}

impl Reader {
    /// A reader of fields with commas between them.
    pub fn new() -> Self {
        Self {
            delimiter: b',',
            largest: LARGEST,
            most_columns: COLUMNS,
            columns: None,
            start: Some(Vec::new()),
            state: State::RowStart,
            fields: Vec::new(),
            ends: Vec::new(),
            quoted: false,
            untidy: false,
            rows: 0,
        }
    }

    /// Sets what stands between two fields: an ASCII character, such as `;` or a tab.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Sets the largest row in bytes, and the most columns; 16 MiB and 10,000 unless told otherwise.
    pub fn limits(mut self, row: usize, columns: usize) -> Self {
        (self.largest, self.most_columns) = (row, columns);
        self
    }

    /// The names of the header row; nothing before it was read.
    pub fn columns(&self) -> &[Box<str>] {
        self.columns.as_deref().unwrap_or_default()
    }

    /// Reads a piece, and hands each row that ends in it to `each`: `Schema` with the row's number for one that
    /// has more or fewer fields than the header, is not UTF-8, or has characters behind a closing quote; its field
    /// is the column that is missing or no text.
    ///
    /// # Errors
    /// Those that `each` gives back. `TooLarge` above the limits. `Protocol` for a header that is not UTF-8, or
    /// names a column twice or not at all: nobody could tell which field is which.
    pub fn feed(&mut self, piece: &[u8], each: &mut dyn FnMut(Result<Row<'_>>) -> Result<()>) -> Result<()> {
        let Some(mut start) = self.start.take() else { return self.read(piece, each) };
        start.extend_from_slice(piece);
        if start.len() < MARK.len() && MARK.starts_with(&start) {
            self.start = Some(start);
            return Ok(());
        }
        self.read(start.strip_prefix(MARK).unwrap_or(&start), each)
    }

    /// Reads the end: the last row may have no line end.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), and `Protocol` when the text ends within quotes: it was cut off, and the row that
    /// was begun is dropped.
    pub fn finish(mut self, each: &mut dyn FnMut(Result<Row<'_>>) -> Result<()>) -> Result<()> {
        if let Some(start) = self.start.take() {
            self.read(&start, each)?;
        }
        match self.state {
            State::RowStart | State::AfterReturn => Ok(()),
            State::Quoted => Err(self.about(ErrorKind::Protocol, "is cut off: the text ends within quotes")),
            State::FieldStart | State::Plain | State::QuoteSeen => self.row_ends(each),
        }
    }

    fn read(&mut self, mut rest: &[u8], each: &mut dyn FnMut(Result<Row<'_>>) -> Result<()>) -> Result<()> {
        while let Some(byte) = rest.first().copied() {
            let behind = rest.get(1..).unwrap_or_default();
            match self.state {
                State::AfterReturn => {
                    self.state = State::RowStart;
                    if byte == b'\n' {
                        rest = behind;
                    }
                }
                State::RowStart | State::FieldStart if byte == b'"' => {
                    (self.state, self.quoted) = (State::Quoted, true);
                    rest = behind;
                }
                State::Quoted => {
                    let end = memchr(b'"', rest).unwrap_or(rest.len());
                    rest = self.take(rest, end)?;
                    if let Some(behind) = rest.strip_prefix(b"\"") {
                        self.state = State::QuoteSeen;
                        rest = behind;
                    }
                }
                State::QuoteSeen if byte == b'"' => {
                    rest = self.take(rest, 1)?;
                    self.state = State::Quoted;
                }
                State::RowStart | State::FieldStart | State::Plain | State::QuoteSeen => {
                    if byte == self.delimiter {
                        self.field_ends()?;
                        self.state = State::FieldStart;
                        rest = behind;
                    } else if byte == b'\n' || byte == b'\r' {
                        self.row_ends(each)?;
                        self.state = if byte == b'\r' { State::AfterReturn } else { State::RowStart };
                        rest = behind;
                    } else {
                        self.untidy |= self.state == State::QuoteSeen;
                        self.state = State::Plain;
                        let end = memchr3(self.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
                        rest = self.take(rest, end)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes so many bytes into the field, and gives those behind them.
    fn take<'b>(&mut self, bytes: &'b [u8], end: usize) -> Result<&'b [u8]> {
        let (field, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        if self.fields.len().saturating_add(field.len()) > self.largest {
            let message = format!("is larger than {} bytes", self.largest);
            return Err(self.about(ErrorKind::TooLarge, &message));
        }
        self.fields.extend_from_slice(field);
        Ok(rest)
    }

    fn field_ends(&mut self) -> Result<()> {
        if self.ends.len() >= self.most_columns {
            let message = format!("has more than {} columns", self.most_columns);
            return Err(self.about(ErrorKind::TooLarge, &message));
        }
        self.ends.push(self.fields.len());
        Ok(())
    }

    fn row_ends(&mut self, each: &mut dyn FnMut(Result<Row<'_>>) -> Result<()>) -> Result<()> {
        self.field_ends()?;
        let blank = self.ends.len() == 1 && self.fields.is_empty() && !self.quoted;
        let told = match &self.columns {
            _ if blank => Ok(()),
            None => self.header().map(|columns| self.columns = Some(columns)),
            Some(columns) => {
                self.rows = self.rows.saturating_add(1);
                each(self.row(columns))
            }
        };
        self.fields.clear();
        self.ends.clear();
        (self.quoted, self.untidy) = (false, false);
        told
    }

    fn row<'a>(&'a self, columns: &'a [Box<str>]) -> Result<Row<'a>> {
        if self.ends.len() != columns.len() {
            let error =
                self.refused(&format!("has {} fields, the header has {}", self.ends.len(), columns.len()));
            return Err(match columns.get(self.ends.len()) {
                Some(missing) => error.with_field(&**missing),
                None => error,
            });
        }
        if self.untidy {
            return Err(self.refused("has characters behind a closing quote"));
        }
        // Two halves of a letter in two fields are no letter.
        match str::from_utf8(&self.fields) {
            Ok(fields) if self.ends.iter().all(|end| fields.is_char_boundary(*end)) => {
                Ok(Row { columns, fields, ends: &self.ends, number: self.rows })
            }
            _ => {
                let mut start = 0;
                let broken = self.ends.iter().zip(columns).find(|(end, _)| {
                    let field = self.fields.get(start..**end).unwrap_or_default();
                    start = **end;
                    str::from_utf8(field).is_err()
                });
                let error = self.refused("is not UTF-8");
                Err(broken.map_or(error.copy(), |(_, column)| error.with_field(&**column)))
            }
        }
    }

    fn header(&self) -> Result<Vec<Box<str>>> {
        let wrong = |problem: &str| Error::new(ErrorKind::Protocol, format!("the header row {problem}"));
        let text = str::from_utf8(&self.fields).map_err(|_| wrong("is not UTF-8"))?;
        let mut columns: Vec<Box<str>> = Vec::with_capacity(self.ends.len());
        let mut start = 0;
        for end in &self.ends {
            columns.push(text.get(start..*end).ok_or_else(|| wrong("is not UTF-8"))?.into());
            start = *end;
        }
        let mut sorted: Vec<&Box<str>> = columns.iter().collect();
        sorted.sort_unstable();
        if sorted.iter().any(|name| name.is_empty()) {
            return Err(wrong("has a column without a name"));
        }
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(wrong("names a column twice"));
        }
        Ok(columns)
    }

    fn refused(&self, problem: &str) -> Error {
        let record = format!("#{}", self.rows);
        Error::new(ErrorKind::Schema, format!("row {} {problem}", self.rows)).with_record(record)
    }

    /// An error about the row that is being read.
    fn about(&self, kind: ErrorKind, problem: &str) -> Error {
        match self.columns {
            Some(_) => Error::new(kind, format!("row {} {problem}", self.rows.saturating_add(1))),
            None => Error::new(kind, format!("the header row {problem}")),
        }
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Row<'a> {
    /// The row's number behind the header, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A field by its column's name; `None` when there is no such column.
    pub fn get(&self, column: &str) -> Option<&'a str> {
        self.field(self.columns.iter().position(|name| **name == *column)?)
    }

    /// Columns and fields, in the order of the header.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let row = *self;
        row.columns.iter().enumerate().filter_map(move |(index, name)| Some((&**name, row.field(index)?)))
    }

    /// Writes the row as a JSON object of texts: CSV knows no other types, and null no better than empty.
    pub fn write(&self, writer: &mut json::Writer) {
        writer.begin_object();
        for (column, field) in self.iter() {
            writer.key(column);
            writer.text(field);
        }
        writer.end_object();
    }

    fn field(&self, index: usize) -> Option<&'a str> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.fields.get(start..*self.ends.get(index)?)
    }
}

impl std::fmt::Debug for Row<'_> {
    /// Sizes only: rows are the customer's data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row")
            .field("number", &self.number)
            .field("bytes", &self.fields.len())
            .finish_non_exhaustive()
    }
}
