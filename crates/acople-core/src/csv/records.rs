//! Records as rows, and rows as records, with the types that a layout names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::layout::named;
use super::read::COLUMNS;
use super::{CellType, Empty, Layout, Row, Target, Writer};
use crate::json::{self, Value};
use crate::{Error, ErrorKind, Record, Result};

/// The columns of a header row and what is read of them.
#[derive(Debug)]
pub struct Columns {
    columns: Vec<(CellType, bool)>,
    empty: Empty,
}

impl Columns {
    /// The columns of these names, of which `fields` are wanted; all of them when it is `None`.
    pub fn new(names: &[String], layout: &Layout, fields: Option<&BTreeSet<String>>) -> Self {
        let wanted = |name: &String| fields.is_none_or(|fields| fields.contains(name));
        let columns = names.iter().map(|name| (layout.kind(name), wanted(name)));
        Self { columns: columns.collect(), empty: layout.dialect.empty }
    }

    /// Writes a row as a JSON object: text as text, other types as they stand in the cell.
    ///
    /// # Errors
    /// `Schema` with the column whose cell is not of its type; something may be written then.
    pub fn write(&self, row: Row<'_>, writer: &mut json::Writer) -> Result<()> {
        writer.begin_object();
        for ((name, cell), (kind, wanted)) in row.iter().zip(&self.columns) {
            let none = cell.is_empty() && (self.empty == Empty::Null || *kind != CellType::Text);
            let value = match kind {
                CellType::Text => None,
                _ if none => None,
                kind => {
                    let value = json::value(cell).ok().filter(|value| kind.takes(value));
                    let problem =
                        || Error::new(ErrorKind::Schema, format!("has a cell that is no {}", kind.as_str()));
                    Some(value.ok_or_else(|| problem().with_field(name))?)
                }
            };
            if !wanted {
                continue;
            }
            writer.key(name);
            match value {
                Some(value) => writer.raw(value.raw()),
                None if none => writer.null(),
                None => writer.text(cell),
            }
        }
        writer.end_object();
        Ok(())
    }
}

/// Writes records as the rows of a table: a row of column names first, then one row a record.
///
/// A record's fields go to the columns of their names, and to none else: a field without a column refuses its
/// record. Values of text columns that are no texts are written as JSON.
///
/// ```
/// use acople_core::{Batch, csv::{Layout, RecordWriter}};
///
/// let layout = Layout::default();
/// let batch = Batch::from_records("s", [r#"{"id":"1","n":[1,2]}"#, r#"{"n":7}"#, r#"{"x":1}"#])?;
/// let mut writer = RecordWriter::of(batch.get(0).unwrap(), &layout)?;
/// let written: Vec<bool> = batch.iter().map(|record| writer.record(record).is_ok()).collect();
/// assert_eq!(written, [true, true, false]);
/// assert_eq!(writer.take(), "id,n\r\n1,\"[1,2]\"\r\n,7\r\n");
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordWriter<'a> {
    layout: &'a Layout,
    columns: Vec<(String, CellType)>,
    places: BTreeMap<String, usize>,
    writer: Writer,
}

impl<'a> RecordWriter<'a> {
    /// A writer of these columns.
    ///
    /// # Errors
    /// `Invalid` when there is none.
    pub fn new(columns: Vec<String>, layout: &'a Layout) -> Result<Self> {
        let target = if layout.dialect.spreadsheet { Target::Spreadsheet } else { Target::Data };
        let writer = Writer::with_delimiter(layout.dialect.delimiter, &columns, target)?;
        let places = columns.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        let columns =
            columns.into_iter().map(|name| (layout.kind(&name), name)).map(|(kind, name)| (name, kind));
        Ok(Self { layout, columns: columns.collect(), places, writer })
    }

    /// A writer whose columns are the fields of a record.
    ///
    /// # Errors
    /// `Invalid` when they make no header row, or lack a column that the layout names; `TooLarge` for
    /// more than 10,000.
    pub fn of(record: Record<'_>, layout: &'a Layout) -> Result<Self> {
        let mut columns: Vec<String> = Vec::new();
        for member in json::members(record.raw()) {
            let name = member?.0.decode()?.into_owned();
            if !columns.contains(&name) {
                columns.push(name);
            }
            if columns.len() > COLUMNS {
                return Err(Error::new(ErrorKind::TooLarge, format!("more than {COLUMNS} columns")));
            }
        }
        let invalid = |problem: &str| Error::new(ErrorKind::Invalid, problem);
        if columns.is_empty() {
            return Err(invalid("a record without fields names no columns"));
        }
        named(columns.iter().map(String::as_str), layout.dialect.spreadsheet).map_err(|e| invalid(&e))?;
        if let Some(missing) = layout.table.missing(&columns) {
            let problem = format!("the first record names the columns, and has no `{missing}`");
            return Err(invalid(&problem).with_field(missing));
        }
        Self::new(columns, layout)
    }

    /// Writes a record, which is a JSON object.
    ///
    /// # Errors
    /// `Schema` with the field that has no column, or whose value is not of its type; `TooLarge` above the limit.
    /// Nothing is written then.
    pub fn record(&mut self, record: Record<'_>) -> Result<()> {
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
        // Those of the guard against formulas count, too.
        let bytes = cells.iter().fold(cells.len(), |sum, cell| sum.saturating_add(cell.len()));
        let most = self.layout.dialect.record_bytes;
        if bytes > most {
            let problem = format!("the record makes a row larger than {most} bytes");
            return Err(Error::new(ErrorKind::TooLarge, problem));
        }
        self.writer.row(cells)
    }

    /// What was written since this was asked last.
    pub fn take(&mut self) -> String {
        self.writer.take()
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
