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
    /// Where bytes stood that are no UTF-8, in order; `None` is the rule.
    broken: Option<Arc<[Span]>>,
}

/// Most places of a page whose bytes are no UTF-8: with more of them it is no text at all.
const BROKEN_PLACES: usize = 10_000;

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

    /// As [`from_bytes`](Self::from_bytes), for pages of records: bytes that are no UTF-8 spoil the records in
    /// which they stand, not the page. Each is replaced by `?` and its place remembered: see
    /// [`is_broken`](Self::is_broken). A page that is UTF-8 costs what it costs there.
    ///
    /// [`Envelope::split`](super::Envelope::split) refuses a page that is broken outside of its records.
    ///
    /// # Errors
    /// [`Error::InvalidUtf8`] for more than 10,000 such places.
    pub fn from_bytes_marked(bytes: Vec<u8>) -> Result<Self, Error> {
        let mut bytes = match String::from_utf8(bytes) {
            Ok(text) => return Self::from_string(text),
            Err(error) => error.into_bytes(),
        };
        let mut broken = broken_places(&bytes)?;
        for place in &broken {
            if let Some(bytes) = bytes.get_mut(place.start as usize..place.end as usize) {
                bytes.fill(b'?');
            }
        }
        let mut page = Self::from_bytes(bytes)?;
        let mark = position(page.start);
        for place in &mut broken {
            *place = Span { start: place.start.saturating_sub(mark), end: place.end.saturating_sub(mark) };
        }
        page.broken = Some(broken.into());
        Ok(page)
    }

    /// Takes text that is known to be UTF-8, and strips a byte-order mark.
    pub fn from_string(text: String) -> Result<Self, Error> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::TooLarge { len: text.len() });
        }
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Ok(Self { text: Arc::new(text), start, broken: None })
    }

    /// The whole text, without its byte-order mark.
    pub fn as_str(&self) -> &str {
        self.text.get(self.start..).unwrap_or_default()
    }

    /// Size in bytes, without the byte-order mark.
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a range; empty when the range does not lie in this page.
    pub fn text(&self, span: Span) -> &str {
        span.of(self.as_str())
    }

    /// Where bytes stood that are no UTF-8, in order: only in pages of
    /// [`from_bytes_marked`](Self::from_bytes_marked).
    pub fn broken(&self) -> &[Span] {
        self.broken.as_deref().unwrap_or_default()
    }

    /// Whether bytes stood in this range that are no UTF-8.
    pub fn is_broken(&self, span: Span) -> bool {
        let broken = self.broken();
        let first = broken.partition_point(|place| place.end <= span.start);
        broken.get(first).is_some_and(|place| place.start < span.end)
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

fn broken_places(bytes: &[u8]) -> Result<Vec<Span>, Error> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error::TooLarge { len: bytes.len() });
    }
    let mut places: Vec<Span> = Vec::new();
    let mut at: usize = 0;
    for chunk in bytes.utf8_chunks() {
        let start = at.saturating_add(chunk.valid().len());
        at = start.saturating_add(chunk.invalid().len());
        if at == start {
            continue;
        }
        let place = Span::new(start, at);
        if let Some(last) = places.last_mut().filter(|last| last.end == place.start) {
            last.end = place.end;
        } else if places.len() == BROKEN_PLACES {
            return Err(Error::InvalidUtf8 { offset: start });
        } else {
            places.push(place);
        }
    }
    Ok(places)
}

fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
