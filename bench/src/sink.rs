//! Where records go.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};

use acople_core::Batch;
use acople_core::json::{Cells, Row, Value};
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::Failure;

/// What kind of sink, and its file.
pub(crate) enum Kind {
    Null,
    Jsonl(String),
    Sqlite(String),
}

/// An open sink.
pub(crate) enum Sink {
    Null,
    Jsonl(BufWriter<File>),
    Sqlite { db: Connection, insert: String, columns: usize },
}

impl Kind {
    pub(crate) fn parse(name: &str, out: &str) -> Result<Self, Failure> {
        match name {
            "null" => Ok(Self::Null),
            "jsonl" => Ok(Self::Jsonl(out.to_owned())),
            "sqlite" => Ok(Self::Sqlite(out.to_owned())),
            other => Err(format!("no such sink: {other}").into()),
        }
    }

    /// Whether the sink stores single fields.
    pub(crate) fn has_columns(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Opens the sink. `columns` are the names of the fields that a database stores.
    pub(crate) fn open(&self, columns: &[String]) -> Result<Sink, Failure> {
        Ok(match self {
            Self::Null => Sink::Null,
            Self::Jsonl(path) => Sink::Jsonl(BufWriter::with_capacity(1 << 20, File::create(path)?)),
            Self::Sqlite(path) => {
                for left_over in ["", "-wal", "-shm", "-journal"] {
                    match std::fs::remove_file(format!("{path}{left_over}")) {
                        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                        _ => {}
                    }
                }
                let db = Connection::open(path)?;
                let names: Vec<String> = columns
                    .iter()
                    .map(|name| match name.as_str() {
                        "Id" => "\"Id\" text primary key".to_owned(),
                        name => format!("\"{name}\""),
                    })
                    .collect();
                let places = vec!["?"; columns.len()].join(",");
                db.execute_batch(&format!(
                    "pragma journal_mode=wal; pragma synchronous=normal; create table contact ({})",
                    names.join(",")
                ))?;
                Sink::Sqlite {
                    db,
                    insert: format!("insert or replace into contact values ({places})"),
                    columns: columns.len(),
                }
            }
        })
    }
}

impl Sink {
    /// Stores a page: its records as they came, or the first columns of their cells.
    pub(crate) fn write(&mut self, batch: &Batch, cells: &Cells) -> Result<(), Failure> {
        match self {
            Self::Null => {}
            Self::Jsonl(file) => {
                for record in batch.iter() {
                    file.write_all(record.raw().as_bytes())?;
                    file.write_all(b"\n")?;
                }
            }
            Self::Sqlite { db, insert, columns } => {
                let transaction = db.transaction()?;
                {
                    let mut insert = transaction.prepare_cached(insert)?;
                    for row in cells.rows() {
                        insert.execute(params_from_iter(fields(&row, *columns)))?;
                    }
                }
                transaction.commit()?;
            }
        }
        Ok(())
    }

    /// Everything is stored when this returns.
    pub(crate) fn close(self) -> Result<(), Failure> {
        match self {
            Self::Null => {}
            Self::Jsonl(mut file) => file.flush()?,
            Self::Sqlite { db, .. } => {
                // The file stands alone then: whoever reads it needs no log beside it.
                db.execute_batch("pragma journal_mode=delete")?;
                db.close().map_err(|(_, error)| error)?;
            }
        }
        Ok(())
    }
}

fn fields<'a>(row: &Row<'a>, columns: usize) -> impl Iterator<Item = Field<'a>> {
    row.values().take(columns).map(Field)
}

/// A field as SQLite stores it: texts without a copy unless they have escapes, containers as JSON.
struct Field<'a>(Value<'a>);

impl ToSql for Field<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let wrong = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        Ok(match &self.0 {
            Value::Missing | Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer((*truth).into())),
            Value::Number(number) => match (number.as_str().parse(), number.to_f64()) {
                (Ok(whole), _) => ToSqlOutput::Borrowed(ValueRef::Integer(whole)),
                (_, Some(real)) => ToSqlOutput::Borrowed(ValueRef::Real(real)),
                _ => ToSqlOutput::Borrowed(ValueRef::Text(number.as_str().as_bytes())),
            },
            Value::Text(text) if text.has_escapes() => {
                ToSqlOutput::Owned(Stored::Text(text.decode().map_err(wrong)?.into_owned()))
            }
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.raw().as_bytes())),
            Value::Array(json) | Value::Object(json) => {
                ToSqlOutput::Borrowed(ValueRef::Text(json.as_bytes()))
            }
        })
    }
}
