//! One record through a program, straight into text.

use std::borrow::Cow;

use acople_core::json::{Value, Writer};
use acople_core::{Change, Error, ErrorKind, Record, Result};

use crate::members::Members;
use crate::program::{Body, Check, Node, Pieces, Program, Row, Source, Test};
use crate::steps::{Fault, Scalar};
use crate::{Nulls, TooLong};

/// One record seen through a program.
pub(crate) struct View<'a, C> {
    program: &'a Program,
    cell: C,
    record: Record<'a>,
}

/// What a row gives.
enum Given<'a> {
    Nothing,
    Raw(&'a str),
    Made(Scalar<'a>),
}

/// What a source holds when it holds no value.
enum Absent {
    Missing,
    Null,
}

impl<'a, C: Fn(usize) -> Value<'a>> View<'a, C> {
    pub(crate) fn new(program: &'a Program, cell: C, record: Record<'a>) -> Self {
        Self { program, cell, record }
    }

    fn is_deletion(&self) -> bool {
        self.record.change() == Change::Delete
    }

    /// Deletions are never skipped: a record that was written once must go when it is gone.
    pub(crate) fn is_skipped(&self) -> bool {
        !self.is_deletion() && !self.holds(&self.program.when)
    }

    pub(crate) fn write(&self, writer: &mut Writer, members: &mut Members<'a>) -> Result<()> {
        if !self.record.raw().starts_with('{') {
            return Err(Error::new(ErrorKind::Schema, "the record is no object"));
        }
        if self.is_deletion() && !self.program.keyed {
            return Err(Error::new(
                ErrorKind::Config,
                "the table marks no key, so deletions cannot be mapped",
            ));
        }
        writer.begin_object();
        self.write_members(&self.program.nodes, writer)?;
        if let Some(known) = &self.program.pass_through
            && !self.is_deletion()
        {
            members.read(self.record.raw())?;
            for (name, value) in members.iter() {
                // A name that does not decode equals no name of a table.
                if !name.decode().is_ok_and(|name| known.contains(&*name)) {
                    writer.raw_key(name);
                    writer.raw(value.raw());
                }
            }
        }
        writer.end_object();
        Ok(())
    }

    /// Writes members and says whether there were any.
    fn write_members(&self, nodes: &[Node], writer: &mut Writer) -> Result<bool> {
        let mut any = false;
        for node in nodes.iter().filter(|node| node.key || !self.is_deletion()) {
            match &node.body {
                Body::Object(inner) => {
                    let mark = writer.mark();
                    writer.key(&node.name);
                    writer.begin_object();
                    if self.write_members(inner, writer)? {
                        writer.end_object();
                        any = true;
                    } else {
                        writer.rewind(mark);
                    }
                }
                Body::Value { row, piece, .. } => {
                    let Some(row) = self.program.rows.get(*row) else {
                        continue;
                    };
                    match self.evaluate(row, *piece).map_err(|fault| describe(row, &fault))? {
                        Given::Nothing => continue,
                        Given::Raw(raw) => {
                            writer.key(&node.name);
                            writer.raw(raw);
                        }
                        Given::Made(scalar) => {
                            writer.key(&node.name);
                            scalar.write(writer);
                        }
                    }
                    any = true;
                }
            }
        }
        Ok(any)
    }

    fn evaluate(&self, row: &'a Row, piece: usize) -> Result<Given<'a>, Fault> {
        if !self.is_deletion() && !self.holds(&row.when) {
            return Ok(Given::Nothing);
        }
        let value = match &row.source {
            Source::Constant(value) => return Ok(finish(row, value.borrowed())),
            Source::Join { columns, separator } => match self.join(columns, separator)? {
                Ok(text) => Scalar::Text(text),
                Err(absent) => return self.absent(row, &absent),
            },
            Source::Fields(columns) => match self.first(row, columns) {
                Ok(value) if row.steps.is_empty() && row.split.is_none() && fits(row, value) => {
                    return Ok(Given::Raw(value.raw()));
                }
                // A longest text says nothing about lists and objects.
                Ok(value @ (Value::Array(_) | Value::Object(_)))
                    if row.steps.is_empty() && row.split.is_none() =>
                {
                    return Ok(Given::Raw(value.raw()));
                }
                Ok(value) => Scalar::of(value)?,
                Err(absent) => return self.absent(row, &absent),
            },
        };
        let value = row.steps.iter().try_fold(value, |value, step| step.apply(value))?;
        let value = match &row.split {
            Some(pieces) => match value.into_text() {
                Some(text) => cut(text, pieces, piece),
                None => Scalar::Null,
            },
            None => value,
        };
        Ok(finish(row, shorten(row, value)?))
    }

    /// The first column with a value, or what stands in its place.
    fn first(&self, row: &Row, columns: &[usize]) -> Result<Value<'a>, Absent> {
        let mut absent = Absent::Missing;
        for column in columns {
            match (self.cell)(*column) {
                Value::Missing => {}
                Value::Null => absent = Absent::Null,
                value if row.empty_is_null && is_empty(value) => absent = Absent::Null,
                value => return Ok(value),
            }
        }
        Err(absent)
    }

    fn join(&self, columns: &[usize], separator: &str) -> Result<Result<Cow<'a, str>, Absent>, Fault> {
        let mut absent = Absent::Missing;
        let mut joined: Option<Cow<'a, str>> = None;
        for column in columns {
            let value = (self.cell)(*column);
            if value.is_missing() {
                continue;
            }
            absent = Absent::Null;
            let Some(text) = Scalar::of(value)?.into_text().filter(|text| !text.is_empty()) else {
                continue;
            };
            match &mut joined {
                None => joined = Some(text),
                Some(joined) => {
                    let joined = joined.to_mut();
                    joined.push_str(separator);
                    joined.push_str(&text);
                }
            }
        }
        Ok(joined.ok_or(absent))
    }

    fn absent(&self, row: &'a Row, absent: &Absent) -> Result<Given<'a>, Fault> {
        // Only key rows are evaluated for a deletion, and half a key finds the wrong record.
        if row.required || self.is_deletion() {
            let message = match absent {
                Absent::Missing => "is required and missing",
                Absent::Null => "is required and has no value",
            };
            return Err(Fault::new(ErrorKind::Invalid, message));
        }
        match (&row.default, absent) {
            (Some(default), _) => Ok(finish(row, Scalar::constant(default))),
            (None, Absent::Null) => Ok(finish(row, Scalar::Null)),
            (None, Absent::Missing) => Ok(Given::Nothing),
        }
    }

    fn holds(&self, tests: &[Test]) -> bool {
        tests.iter().all(|test| {
            let value = (self.cell)(test.column);
            match &test.check {
                Check::Exists(expected) => (value.is_missing() || value.is_null()) != *expected,
                Check::OneOf(texts) => texts.iter().any(|text| equals(value, text.as_deref())),
                Check::NoneOf(text) => !equals(value, text.as_deref()),
            }
        })
    }
}

/// Whether a value is this text; null and missing are `None`. Lists, objects and broken text are
/// no text at all.
fn equals(value: Value<'_>, text: Option<&str>) -> bool {
    match (value, text) {
        (Value::Missing | Value::Null, None) => true,
        (Value::Missing | Value::Null, Some(_)) | (_, None) => false,
        (value, Some(text)) => Scalar::of(value).is_ok_and(|scalar| scalar.as_text() == Some(text)),
    }
}

fn is_empty(value: Value<'_>) -> bool {
    matches!(value, Value::Text(_)) && value.raw() == "\"\""
}

/// Whether a value certainly keeps to the longest text without being decoded: escapes only make it
/// longer.
fn fits(row: &Row, value: Value<'_>) -> bool {
    let quotes = if matches!(value, Value::Text(_)) { 2 } else { 0 };
    row.max_length.is_none_or(|(longest, _)| value.raw().len().saturating_sub(quotes) <= longest)
}

fn shorten<'a>(row: &Row, value: Scalar<'a>) -> Result<Scalar<'a>, Fault> {
    let Some((longest, policy)) = row.max_length else {
        return Ok(value);
    };
    let Some(end) = value.as_text().and_then(|text| text.char_indices().nth(longest)).map(|(index, _)| index)
    else {
        return Ok(value);
    };
    match (policy, value) {
        (TooLong::Truncate, Scalar::Text(text)) => Ok(Scalar::Text(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or_default()),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        })),
        // Half a number is another number.
        (TooLong::Truncate | TooLong::Refuse, _) => {
            Err(Fault::new(ErrorKind::Invalid, format!("is longer than {longest} characters")))
        }
    }
}

/// Applies the row's way of writing null.
fn finish<'a>(row: &Row, value: Scalar<'a>) -> Given<'a> {
    match (&value, row.nulls) {
        (Scalar::Null, Nulls::Omit) => Given::Nothing,
        (Scalar::Null, Nulls::EmptyText) => Given::Made(Scalar::text("")),
        _ => Given::Made(value),
    }
}

/// A piece of a text, or null where there is none.
fn cut<'a>(text: Cow<'a, str>, pieces: &Pieces, piece: usize) -> Scalar<'a> {
    match text {
        Cow::Borrowed(text) => pieces.get(text, piece).map_or(Scalar::Null, Scalar::text),
        Cow::Owned(text) => {
            pieces.get(&text, piece).map_or(Scalar::Null, |part| Scalar::text(part.to_owned()))
        }
    }
}

/// The fault in the source's words; the value itself is the customer's and stays out.
fn describe(row: &Row, fault: &Fault) -> Error {
    let error = Error::new(fault.kind, format!("field {} {}", row.names.join(", "), fault.message));
    row.names.iter().fold(error, |error, name| error.with_field(name.clone()))
}
