//! Writes rows.

use crate::{Error, ErrorKind, Result};

/// Who will read what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A program: every field is read as it was written.
    Data,
    /// A person with a spreadsheet: fields that it would take for formulas (`=`, `+`, `-`, `@`, tab or carriage
    /// return at the start) get a `'` before them (OWASP, CSV injection). Negative numbers do, too: nobody can
    /// tell `-5` from the start of `-5+cmd`.
    Spreadsheet,
}

/// Writes CSV row by row: see the [module](super). Rows end with `\r\n`.
#[derive(Debug)]
pub struct Writer {
    delimiter: char,
    target: Target,
    columns: usize,
    out: String,
}

impl Writer {
    /// A writer with a header row, and commas between fields.
    ///
    /// # Errors
    /// `Invalid` when there is no column.
    pub fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>, target: Target) -> Result<Self> {
        Self::with_delimiter(',', columns, target)
    }

    /// As [`new`](Self::new), with another character between fields, such as `;` or a tab.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_delimiter<S: AsRef<str>>(
        delimiter: char,
        columns: impl IntoIterator<Item = S>,
        target: Target,
    ) -> Result<Self> {
        let mut writer = Self { delimiter, target, columns: 0, out: String::new() };
        writer.columns = writer.write(columns);
        if writer.columns == 0 {
            return Err(Error::new(ErrorKind::Invalid, "a table without columns"));
        }
        Ok(writer)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// `Invalid` when it has more or fewer fields than there are columns; nothing is written then.
    pub fn row<S: AsRef<str>>(&mut self, fields: impl IntoIterator<Item = S>) -> Result<()> {
        let before = self.out.len();
        let written = self.write(fields);
        if written != self.columns {
            self.out.truncate(before);
            let message = format!("a row of {written} fields in a table of {} columns", self.columns);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// What was written since this was asked last: for whoever sends it on in pieces.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn write<S: AsRef<str>>(&mut self, fields: impl IntoIterator<Item = S>) -> usize {
        let mut written: usize = 0;
        let start = self.out.len();
        for field in fields {
            if written > 0 {
                self.out.push(self.delimiter);
            }
            self.field(field.as_ref());
            written = written.saturating_add(1);
        }
        if written == 1 && self.out.len() == start {
            // Without quotes it would be a blank line.
            self.out.push_str("\"\"");
        }
        self.out.push_str("\r\n");
        written
    }

    fn field(&mut self, field: &str) {
        let formula =
            self.target == Target::Spreadsheet && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let escape = if formula { "'" } else { "" };
        let spaced = field.starts_with(char::is_whitespace) || field.ends_with(char::is_whitespace);
        // A byte-order mark at the start of a file would be taken for one.
        if spaced || field.contains(['"', '\n', '\r', self.delimiter]) || field.starts_with('\u{feff}') {
            self.out.push('"');
            self.out.push_str(escape);
            for (index, part) in field.split('"').enumerate() {
                if index > 0 {
                    self.out.push_str("\"\"");
                }
                self.out.push_str(part);
            }
            self.out.push('"');
        } else {
            self.out.push_str(escape);
            self.out.push_str(field);
        }
    }
}
