//! Lines of a body that is read as it comes.

#![deny(clippy::arithmetic_side_effects)]

use acople_core::json::{self, Value};
use acople_core::{Error, ErrorKind, Result};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use crate::Download;

/// Longest line unless told otherwise, in bytes.
const LONGEST: usize = 16 << 20;

/// The lines of a download: of newline-delimited JSON, say. Holds one line and one piece of the body.
///
/// ```
/// use acople_core::Context;
/// use acople_http::{Call, Client, Lines};
///
/// # async fn example(client: Client) -> acople_core::Result<()> {
/// let call = Call::get("export orders").path(["orders.jsonl"]).any_content();
/// let mut lines = Lines::new(client.download(&Context::new(), &call).await?);
/// while let Some(order) = lines.next_json().await? {
///     println!("{} bytes", order.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Lines {
    download: Download,
    longest: usize,
    /// What came and belongs to no line yet that was handed out.
    piece: Bytes,
    /// The beginning of a line whose end has not come.
    begun: BytesMut,
    number: u64,
    ended: bool,
    /// The body came whole and its last line has no end.
    unended: bool,
}

impl Lines {
    /// The lines of a download.
    pub fn new(download: Download) -> Self {
        let (piece, begun) = (Bytes::new(), BytesMut::new());
        Self { download, longest: LONGEST, piece, begun, number: 0, ended: false, unended: false }
    }

    /// Sets the longest line, in bytes; 16 MiB unless told otherwise.
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// The number of the line that was handed out last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end (`\n` or `\r\n`), blank ones included; `None` at the end. The first
    /// one comes without a byte-order mark.
    ///
    /// # Errors
    /// `TooLarge` for a line above the limit. `Protocol` when the body ends within a line: that line is
    /// dropped, because nothing says how much of it is missing. And what [`Download::chunk`] says. After any
    /// of them the lines end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let line = self.line().await;
        self.ended |= !matches!(line, Ok(Some(_)));
        line
    }

    /// The next line that is not blank, as the text of one JSON value.
    ///
    /// # Errors
    /// `Schema`, naming the line, for one that is no JSON, or no UTF-8: the lines behind it can still be read.
    /// And those of [`next`](Self::next), but for the last line: one without an end that is a complete
    /// object or array is taken, because many writers leave the last end out.
    pub async fn next_json(&mut self) -> Result<Option<String>> {
        loop {
            let line = match self.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(error) => {
                    let rest = std::mem::take(&mut self.begun).freeze();
                    let rest = self.without_mark(rest);
                    let whole = std::mem::take(&mut self.unended) && is_container(&rest);
                    return if whole { Ok(String::from_utf8(rest.into()).ok()) } else { Err(error) };
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let line = String::from_utf8(line.into()).map_err(|_| self.refused("is not UTF-8"))?;
            return match json::value(&line) {
                Ok(_) => Ok(Some(line)),
                Err(_) => Err(self.refused("is not JSON")),
            };
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>> {
        while !self.ended {
            if let Some(end) = memchr(b'\n', &self.piece) {
                let mut line = self.piece.split_to(end);
                self.piece.advance(1);
                self.bounded(line.len())?;
                if !self.begun.is_empty() {
                    self.begun.extend_from_slice(&line);
                    line = self.begun.split().freeze();
                }
                self.number = self.number.saturating_add(1);
                if let Some((b'\r', kept)) = line.split_last() {
                    line.truncate(kept.len());
                }
                return Ok(Some(self.without_mark(line)));
            }
            self.bounded(self.piece.len())?;
            self.begun.extend_from_slice(&std::mem::take(&mut self.piece));
            match self.download.chunk().await? {
                Some(piece) => self.piece = piece,
                None if self.begun.is_empty() => return Ok(None),
                None => {
                    self.unended = true;
                    self.number = self.number.saturating_add(1);
                    let message = format!("the body ends within line {}", self.number);
                    return Err(Error::new(ErrorKind::Protocol, message));
                }
            }
        }
        Ok(None)
    }

    fn without_mark(&self, mut line: Bytes) -> Bytes {
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.advance(3);
        }
        line
    }

    fn bounded(&self, more: usize) -> Result<()> {
        if self.begun.len().saturating_add(more) > self.longest {
            let number = self.number.saturating_add(1);
            let message = format!("line {number} is longer than {} bytes", self.longest);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    fn refused(&self, problem: &str) -> Error {
        let number = self.number;
        Error::new(ErrorKind::Schema, format!("line {number} {problem}")).with_record(format!("#{number}"))
    }
}

/// Whether a text is a whole object or array: of a number cut short nobody could tell.
fn is_container(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| matches!(json::value(text), Ok(Value::Object(_) | Value::Array(_))))
}
