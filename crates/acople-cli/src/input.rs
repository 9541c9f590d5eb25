//! Lines of standard input, bounded in length and in how many are held.

use std::io::{self, Read};

use tokio::sync::mpsc;

/// The longest line, in bytes: more than any vendor takes for a record.
const LONGEST: usize = 16 << 20;

/// Bytes read at once, and how many such pieces wait.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// One line, without its end.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Text(Vec<u8>),
    /// Longer than [`LONGEST`]; its content was dropped.
    TooLong,
}

/// Lines with their numbers from 1. Lines of nothing but white space are left out, but counted.
#[derive(Debug)]
pub(crate) struct Lines {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    line: Vec<u8>,
    too_long: bool,
    longest: usize,
    number: u64,
}

impl Lines {
    /// The lines of `source`, which is read in a thread of its own: a blocked read of a pipe cannot be
    /// called off, and must not keep the process from ending.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        Self::bounded(source, LONGEST)
    }

    fn bounded(mut source: impl Read + Send + 'static, longest: usize) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = match source.read(&mut piece) {
                    Ok(0) => return,
                    Ok(read) => {
                        piece.truncate(read);
                        Ok(piece)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self { pieces, piece: Vec::new(), at: 0, line: Vec::new(), too_long: false, longest, number: 0 }
    }

    /// The next line; `None` at the end. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        loop {
            while self.reaches_end() {
                if let Some(line) = self.finish() {
                    return Ok(Some((self.number, line)));
                }
            }
            match self.pieces.recv().await {
                Some(piece) => (self.piece, self.at) = (piece?, 0),
                // The last line may have no end.
                None if self.line.is_empty() && !self.too_long => return Ok(None),
                None => {
                    if let Some(line) = self.finish() {
                        return Ok(Some((self.number, line)));
                    }
                }
            }
        }
    }

    /// Goes on to the end of the line or of the piece, and says whether it was the line's.
    fn reaches_end(&mut self) -> bool {
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if self.line.len() + part.len() > self.longest {
            self.too_long = true;
            self.line.clear();
        }
        if !self.too_long {
            self.line.extend_from_slice(part);
        }
        self.at += part.len() + usize::from(end.is_some());
        end.is_some()
    }

    fn finish(&mut self) -> Option<Line> {
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            return Some(Line::TooLong);
        }
        (!line.trim_ascii().is_empty()).then_some(Line::Text(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &'static [u8]) -> Vec<(u64, Line)> {
        let mut lines = Lines::bounded(text, 8);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    fn text(text: &str) -> Line {
        Line::Text(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_are_numbered_and_empty_ones_only_counted() {
        let found = lines(b"{}\n\n  \r\n[1]\r\nlast").await;
        assert_eq!(found, [(1, text("{}")), (4, text("[1]\r")), (5, text("last"))]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_one_line_and_the_rest_goes_on() {
        let found = lines(b"12345678\n123456789\nok\n123456789").await;
        assert_eq!(found, [(1, text("12345678")), (2, Line::TooLong), (3, text("ok")), (4, Line::TooLong)]);
    }

    #[tokio::test]
    async fn lines_go_across_pieces() {
        let long: &'static [u8] = Box::leak(vec![b'x'; 3 * PIECE].into_boxed_slice());
        let mut lines = Lines::of(long);
        let line = lines.next().await.unwrap();
        assert_eq!(line, Some((1, Line::Text(long.to_vec()))));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
