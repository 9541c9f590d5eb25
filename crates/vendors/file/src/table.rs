//! Writes records as the rows of a CSV file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use acople_core::csv::{Layout, RecordWriter};
use acople_core::{Batch, Outcome, Result};

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
        let open = !matches!(last, [b'\n' | b'\r']) && (layout.dialect.header || length > header.offset);
        text.push_str(if open { "\r\n" } else { "" });
    }
    if !header.columns.is_empty() {
        let mut found = RecordWriter::new(header.columns, layout)?;
        // The names are there, or nowhere.
        found.take();
        table = Some(found);
    } else if !layout.table.columns.is_empty() {
        table = Some(RecordWriter::new(layout.table.columns.clone(), layout)?);
    }
    let mut outcomes = Vec::with_capacity(batch.len());
    for record in batch.iter() {
        let written = writable(record).and_then(|()| {
            let mut fresh = if table.is_none() { Some(RecordWriter::of(record, layout)?) } else { None };
            if let Some(table) = table.as_mut().or(fresh.as_mut()) {
                table.record(record)?;
            }
            table = table.take().or(fresh);
            Ok(())
        });
        outcomes.push(written.map_or_else(Outcome::refused, |()| accepted()));
        if let Some(table) = &mut table {
            text.push_str(&table.take());
        }
    }
    let any = outcomes.iter().any(Outcome::is_accepted);
    Ok((if any { text } else { String::new() }, outcomes))
}
