use std::fmt;
use std::sync::Arc;

use super::Error;

/// A page of vendor text, checked once to be UTF-8, cheap to clone.
///
/// `Debug` prints its length only: what a vendor sends is not logged.
#[derive(Clone, Eq)]
pub struct Page {
    /// The `String` keeps the allocation in which the page arrived: no copy.
    text: Arc<String>,
    /// Length of the byte-order mark, which is skipped instead of moving the page.
    start: usize,
}

/// A range of bytes in a [`Page`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Page {
    /// Takes the bytes of an answer, strips a UTF-8 byte-order mark and checks the rest, without a copy.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::InvalidUtf8 { offset: error.utf8_error().valid_up_to() })?;
        Self::from_string(text)
    }

    /// Takes text that is known to be UTF-8, and strips a byte-order mark.
    pub fn from_string(text: String) -> Result<Self, Error> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::TooLarge { len: text.len() });
        }
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Ok(Self { text: Arc::new(text), start })
    }

    /// The whole text, without its byte-order mark.
    pub fn as_str(&self) -> &str {
        self.text.get(self.start..).unwrap_or_default()
    }

    /// Size in bytes, without the byte-order mark.
    pub fn len(&self) -> usize {
        self.text.len() - self.start
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a range; empty when the range does not lie in this page.
    pub fn text(&self, span: Span) -> &str {
        span.of(self.as_str())
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({} bytes)", self.len())
    }
}

impl Span {
    /// Positions past `u32::MAX` do not occur: a page refuses to be that long.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: position(start), end: position(end) }
    }

    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
