//! The lines of several files, with a look at the next.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use acople_core::Result;

use crate::Record;
use crate::chain::MAX_LINE;
use crate::files::io_error;

/// A line of a log.
pub(crate) struct Line {
    pub(crate) file: String,
    /// From 1.
    pub(crate) number: u64,
    /// Without the line's end.
    pub(crate) text: Vec<u8>,
    /// Whether it has its end. A line that is too long has none, wherever it is cut.
    pub(crate) complete: bool,
}

pub(crate) struct Lines<I, R> {
    files: I,
    current: Option<(String, BufReader<R>, u64)>,
    /// The next line, if somebody has looked at it.
    ahead: Option<Line>,
}

impl<R: Read, I: Iterator<Item = (String, R)>> Lines<I, R> {
    pub(crate) fn new(files: I) -> Self {
        Self { files, current: None, ahead: None }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        match self.ahead.take() {
            Some(line) => Ok(Some(line)),
            None => self.read(),
        }
    }

    pub(crate) fn peek(&mut self) -> Result<Option<&Line>> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        Ok(self.ahead.as_ref())
    }

    /// Which of two numbers records have that are still to come. Reads to the end.
    pub(crate) fn rest_has(&mut self, one: u64, other: u64) -> Result<(bool, bool)> {
        let mut has = (false, false);
        while let Some(line) = self.next()? {
            if let Some(record) = Record::of(&line.text) {
                has.0 |= record.seq == one;
                has.1 |= record.seq == other;
            }
        }
        Ok(has)
    }

    fn read(&mut self) -> Result<Option<Line>> {
        loop {
            let (file, reader, number) = match &mut self.current {
                Some(current) => current,
                None => match self.files.next() {
                    Some((file, source)) => self.current.insert((file, BufReader::new(source), 0)),
                    None => return Ok(None),
                },
            };
            let mut text = Vec::new();
            reader
                .take(MAX_LINE as u64 + 1)
                .read_until(b'\n', &mut text)
                .map_err(|e| io_error(Path::new(file.as_str()), "cannot be read", &e))?;
            if text.is_empty() {
                self.current = None;
                continue;
            }
            *number += 1;
            let complete = text.last() == Some(&b'\n');
            if complete {
                text.pop();
            }
            return Ok(Some(Line { file: file.clone(), number: *number, text, complete }));
        }
    }
}
