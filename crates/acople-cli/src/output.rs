//! The only place that prints: standard output for what was asked for, standard error for the rest.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Standard output, held for the whole run.
#[derive(Debug)]
pub(crate) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// A line for people: control characters are escaped.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(&printable(text))
    }

    /// A record as one line. White space between its tokens may hold line breaks; nothing else of a JSON
    /// text can.
    pub(crate) fn record(&mut self, json: &str) -> Result<(), Failure> {
        if json.contains(['\n', '\r']) { self.raw(&json.replace(['\n', '\r'], " ")) } else { self.raw(json) }
    }

    /// A value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.0, value).map_err(|e| Failure::stdout(&e.into()))?;
        self.raw("")
    }

    /// A value as JSON that people can read.
    pub(crate) fn pretty(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.0, value).map_err(|e| Failure::stdout(&e.into()))?;
        self.raw("")
    }

    /// Rows in columns; the last column is as wide as it likes.
    pub(crate) fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: &[[String; N]],
    ) -> Result<(), Failure> {
        let head = head.map(str::to_owned);
        let mut widths = [0; N];
        let rows: Vec<[String; N]> = std::iter::once(&head)
            .chain(rows)
            .map(|row| row.each_ref().map(|cell| printable(cell)))
            .collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
            }
            self.raw(line.trim_end())?;
        }
        Ok(())
    }

    /// Hands everything to whoever reads. Nothing counts as delivered before.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|e| Failure::stdout(&e))
    }

    fn raw(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.0.write_all(line.as_bytes()).and_then(|()| self.0.write_all(b"\n"));
        written.map_err(|e| Failure::stdout(&e))
    }
}

/// Tells people something on standard error: one or more lines, other control characters escaped.
pub(crate) fn note(text: &str) {
    let lines: Vec<String> = text.lines().map(printable).collect();
    // There is nowhere left to complain to.
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// `1 record`, `2 records`.
pub(crate) fn records(count: u64) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} record{end}")
}

/// A text of others, fit for a terminal.
pub(crate) fn printable(text: &str) -> String {
    acople::printable(text, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_codes_and_bidirectional_overrides_are_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\r\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{202e}c");
    }
}
