//! Writes records as the rows of a CSV file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use acople_core::csv::{Target, Writer};
use acople_core::json::{self, Value};
use acople_core::{Batch, Error, ErrorKind, Outcome, Record, Result};

use crate::config::{CellType, Layout, named};
use crate::fault::fault;
use crate::rows::Header;
use crate::writer::{accepted, writable};

/// The text that appends a batch to a file of so many bytes, and one outcome a record. The columns are those of the
/// file, else of the config, else of the first record that can be written.
///
/// # Errors
/// Those of reading the header row that is there.
pub(crate) fn render(
    file: &mut File,
    path: &Path,
    length: u64,
    batch: &Batch,
    layout: &Layout,
) -> Result<(String, Vec<Outcome>)> {
    let header = Header::read(file, path, length, layout, true)?;
    let mut table = None;
    let mut text = String::new();
    if length > header.offset || (length > 0 && !header.columns.is_empty()) {
        file.seek(SeekFrom::Start(length - 1)).map_err(|e| fault("read", path, e))?;
        let mut last = [0];
        file.read_exact(&mut last).map_err(|e| fault("read", path, e))?;
        // A row that ends without a line end was not written here.
        let open = !matches!(last, [b'\n' | b'\r']) && (layout.csv.header || length > header.offset);
        text.push_str(if open { "\r\n" } else { "" });
    }
    if !header.columns.is_empty() {
        let mut found = Table::new(header.columns, layout)?;
        // The names are there, or nowhere.
        found.writer.take();
        table = Some(found);
    } else if !layout.table.columns.is_empty() {
        table = Some(Table::new(layout.table.columns.clone(), layout)?);
    }
    let mut outcomes = Vec::with_capacity(batch.len());
    for record in batch.iter() {
        let written = writable(record).and_then(|()| {
            let mut fresh = if table.is_none() { Some(Table::of(record, layout)?) } else { None };
            if let Some(table) = table.as_mut().or(fresh.as_mut()) {
                table.row(record)?;
            }
            table = table.take().or(fresh);
            Ok(())
        });
        outcomes.push(written.map_or_else(Outcome::refused, |()| accepted()));
        if let Some(table) = &mut table {
            text.push_str(&table.writer.take());
        }
    }
    let any = outcomes.iter().any(Outcome::is_accepted);
    Ok((if any { text } else { String::new() }, outcomes))
}

struct Table<'a> {
    layout: &'a Layout,
    columns: Vec<(String, CellType)>,
    places: BTreeMap<String, usize>,
    writer: Writer,
}

impl<'a> Table<'a> {
    fn new(columns: Vec<String>, layout: &'a Layout) -> Result<Self> {
        let target = if layout.csv.spreadsheet { Target::Spreadsheet } else { Target::Data };
        let writer = Writer::with_delimiter(layout.csv.delimiter, &columns, target)?;
        let places = columns.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        let columns =
            columns.into_iter().map(|name| (layout.kind(&name), name)).map(|(kind, name)| (name, kind));
        Ok(Self { layout, columns: columns.collect(), places, writer })
    }

    /// A table whose columns are the fields of a record.
    fn of(record: Record<'_>, layout: &'a Layout) -> Result<Self> {
        let mut columns: Vec<String> = Vec::new();
        for member in json::members(record.raw()) {
            let name = member?.0.decode()?.into_owned();
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let invalid = |problem: &str| Error::new(ErrorKind::Invalid, problem);
        if columns.is_empty() {
            return Err(invalid("a record without fields names no columns"));
        }
        named(columns.iter().map(String::as_str), layout.csv.spreadsheet).map_err(|e| invalid(&e))?;
        let needed = layout.table.key.iter().chain(layout.table.types.keys());
        if let Some(missing) = needed.into_iter().find(|name| !columns.contains(name)) {
            let problem = format!("the first record names the columns, and has no `{missing}`");
            return Err(invalid(&problem).with_field(missing));
        }
        Self::new(columns, layout)
    }

    fn row(&mut self, record: Record<'_>) -> Result<()> {
        let mut values = vec![Value::Missing; self.columns.len()];
        for member in json::members(record.raw()) {
            let (name, value) = member?;
            let name = name.decode()?;
            let place = self.places.get(&*name).and_then(|place| values.get_mut(*place));
            *place.ok_or_else(|| schema("the file has no such column").with_field(&*name))? = value;
        }
        let mut cells = Vec::with_capacity(values.len());
        for (value, (name, kind)) in values.iter().zip(&self.columns) {
            cells.push(cell(value, *kind).map_err(|e| e.with_field(name))?);
        }
        let bytes: usize = cells.iter().map(|cell| cell.len()).sum();
        // Those of the guard against formulas are read, too.
        if bytes + cells.len() > self.layout.csv.record_bytes {
            let most = self.layout.csv.record_bytes;
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the record makes a row larger than {most} bytes"),
            ));
        }
        self.writer.row(cells)
    }
}

fn cell<'a>(value: &Value<'a>, kind: CellType) -> Result<Cow<'a, str>> {
    match value {
        Value::Missing | Value::Null => Ok(Cow::Borrowed("")),
        value if !kind.takes(value) => Err(schema(&format!("the column takes {} only", kind.as_str()))),
        Value::Text(text) if kind == CellType::Text => Ok(text.decode()?),
        value => Ok(Cow::Borrowed(value.raw())),
    }
}

fn schema(problem: &str) -> Error {
    Error::new(ErrorKind::Schema, problem)
}
