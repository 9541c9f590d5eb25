//! Records as the vendor sent them: a page of text and the position of each record.

#![deny(clippy::arithmetic_side_effects)]

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::json::{self, Cells, FieldPath, Page, Projection, Span, Value, Writer};
use crate::{Error, ErrorKind, Refusal, Result};

/// What happened to a record at its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// The record exists: created, updated, or simply listed.
    #[default]
    Upsert,
    /// The record is gone; the text holds at least its key.
    Delete,
}

/// A page of records: the vendor's text, untouched, and where each record lies in it.
///
/// No tree is built. Fields are read by path ([`Record::get`]), many at a time in one pass
/// ([`Batch::project`]), or through serde ([`Record::parse`]); a sink that passes records on takes
/// their raw text ([`Record::raw`]). Cloning shares the page.
///
/// ```
/// use acople_core::{Batch, json::FieldPath};
///
/// let batch = Batch::from_records("contacts", [r#"{"id":"7","balance":12.30}"#])?;
/// let record = batch.get(0).expect("one record");
/// let balance = record.get(&FieldPath::parse("balance")?)?;
/// assert_eq!(balance.raw(), "12.30"); // digits as the vendor sent them
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Batch {
    stream: Arc<str>,
    page: Page,
    records: Arc<[Span]>,
    /// Empty when every record is an upsert, which is the rule.
    deleted: Arc<[bool]>,
    /// The records that a check on the way has refused, by their index; `None` is the rule.
    refused: Option<Arc<[Refusal]>>,
}

impl Batch {
    /// A batch over a page that [`json::Envelope::split`] has cut into records.
    pub fn new(stream: impl Into<Arc<str>>, page: Page, records: Vec<Span>) -> Self {
        Self { stream: stream.into(), page, records: records.into(), deleted: Arc::from([]), refused: None }
    }

    /// A batch of single JSON texts, each checked. For hosts and tests; connectors split pages.
    pub fn from_records<S: AsRef<str>>(
        stream: impl Into<Arc<str>>,
        records: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let mut builder = BatchBuilder::new(stream);
        for record in records {
            builder.push_raw(record.as_ref())?;
        }
        builder.finish()
    }

    /// Marks which records are deletions, one flag a record in order.
    pub fn with_deletions(mut self, deleted: impl IntoIterator<Item = bool>) -> Self {
        let mut flags: Vec<bool> = deleted.into_iter().take(self.records.len()).collect();
        if flags.contains(&true) {
            flags.resize(self.records.len(), false);
            self.deleted = flags.into();
        } else {
            self.deleted = Arc::from([]);
        }
        self
    }

    /// Marks as deletions the records whose field at this path is `true`.
    pub fn with_deletions_by(self, path: &FieldPath) -> Self {
        let cells = self.project(&Projection::new([path.clone()]));
        self.with_deletions(cells.rows().map(|row| row.get(0).as_bool() == Some(true)))
    }

    /// Marks records as refused, each with its reason, in place of those marked before: they stay in the batch
    /// and come out of it through [`unreadable`](Self::unreadable), as records do that are no text. For checks
    /// between a source and what writes: a sync puts them into quarantine and passes the others on.
    pub fn with_refused(mut self, refused: impl IntoIterator<Item = Refusal>) -> Self {
        let mut refused: Vec<Refusal> =
            refused.into_iter().filter(|r| r.index < self.records.len()).collect();
        refused.sort_by_key(|r| r.index);
        refused.dedup_by_key(|r| r.index);
        self.refused = (!refused.is_empty()).then(|| refused.into());
        self
    }

    /// The stream that the records belong to.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the page that the batch keeps alive.
    pub fn bytes(&self) -> usize {
        self.page.len()
    }

    /// The record at an index.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.records.get(index).map(|span| self.record(index, *span))
    }

    /// The last record: where a list goes on.
    pub fn last(&self) -> Option<Record<'_>> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().enumerate().map(|(index, span)| self.record(index, *span))
    }

    /// The records with bytes that are no UTF-8, and those [refused](Self::with_refused) on the way, apart from
    /// the others; `None` when there are none, which is the rule. Whoever passes on the text of records asks this
    /// first: where bytes were no UTF-8, it holds `?`.
    pub fn unreadable(&self) -> Option<Unreadable> {
        if self.page.broken().is_empty() && self.refused.is_none() {
            return None;
        }
        let reason = |index: usize, span: &Span| {
            let refused = self.refusal(index);
            refused.map(Error::copy).or_else(|| self.page.is_broken(*span).then(|| not_text(index)))
        };
        let (mut refused, mut places) = (Vec::new(), Vec::new());
        for (index, span) in self.records.iter().enumerate() {
            match reason(index, span) {
                Some(error) => refused.push(Refusal { index, error }),
                None => places.push(index),
            }
        }
        if refused.is_empty() {
            return None;
        }
        Some(Unreadable { rest: self.select(places.iter().copied()), places, refused })
    }

    /// The named fields of every record, in one pass over the page.
    pub fn project(&self, projection: &Projection) -> Cells {
        Cells::project(&self.page, &self.records, projection)
    }

    /// As [`project`](Self::project), into cells of an earlier page whose memory is used again.
    pub fn project_into(&self, projection: &Projection, cells: &mut Cells) {
        cells.refill(&self.page, &self.records, projection);
    }

    /// Every record as a `T`. A record that does not fit is an error of its own.
    pub fn typed<'a, T: Deserialize<'a>>(&'a self) -> impl Iterator<Item = Result<T>> {
        self.iter()
            .enumerate()
            .map(|(index, record)| record.parse().map_err(|e| e.with_record(format!("#{index}"))))
    }

    /// The records at the given indices, in that order; indices out of range are left out.
    pub fn select(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let mut records = Vec::new();
        let mut deleted = Vec::new();
        let mut refused = Vec::new();
        for index in indices {
            if let Some(span) = self.records.get(index) {
                let marked = self.refusal(index);
                refused.extend(marked.map(|e| Refusal { index: records.len(), error: e.copy() }));
                records.push(*span);
                deleted.push(self.change(index) == Change::Delete);
            }
        }
        let selected = Self::new(self.stream.clone(), self.page.clone(), records);
        selected.with_deletions(deleted).with_refused(refused)
    }

    /// The same records under another stream's name.
    pub fn with_stream(mut self, stream: impl Into<Arc<str>>) -> Self {
        self.stream = stream.into();
        self
    }

    fn record(&self, index: usize, span: Span) -> Record<'_> {
        let broken = !self.page.broken().is_empty() && self.page.is_broken(span);
        Record { text: self.page.text(span), change: self.change(index), broken }
    }

    fn refusal(&self, index: usize) -> Option<&Error> {
        let refused = self.refused.as_deref()?;
        let at = refused.binary_search_by_key(&index, |r| r.index).ok()?;
        refused.get(at).map(|r| &r.error)
    }

    fn change(&self, index: usize) -> Change {
        if self.deleted.get(index).copied().unwrap_or(false) { Change::Delete } else { Change::Upsert }
    }
}

impl fmt::Debug for Batch {
    /// Names and sizes only: records are the customer's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("stream", &self.stream)
            .field("records", &self.records.len())
            .field("bytes", &self.page.len())
            .finish_non_exhaustive()
    }
}

/// A batch with records that are no text, or were refused: see [`Batch::unreadable`].
#[derive(Debug)]
pub struct Unreadable {
    /// The other records.
    pub rest: Batch,
    /// For each record of `rest`, its index in the batch.
    pub places: Vec<usize>,
    /// The unreadable ones by their index in the batch: [`ErrorKind::Schema`], unless a check says otherwise.
    pub refused: Vec<Refusal>,
}

/// One record of a batch: a view of the vendor's own JSON text.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    text: &'a str,
    change: Change,
    /// Whether it holds bytes that are no UTF-8, in whose place `?` stands.
    broken: bool,
}

impl<'a> Record<'a> {
    /// The record's JSON as the vendor sent it.
    pub fn raw(self) -> &'a str {
        self.text
    }

    /// Whether the record is there or gone.
    pub fn change(self) -> Change {
        self.change
    }

    /// One field. [`Value::Missing`] when the record has no such field; the last of several members
    /// with the same name counts.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] when the field may hold bytes that are no UTF-8: see [`Batch::unreadable`].
    pub fn get(self, path: &FieldPath) -> Result<Value<'a>> {
        let value = json::get(self.text, path)?;
        // A name may be what is broken: a field that is not there may be one whose name cannot be read.
        if self.broken && (value.is_missing() || value.raw().contains('?')) {
            return Err(Error::new(ErrorKind::Schema, NOT_TEXT).with_field(path.to_string()));
        }
        Ok(value)
    }

    /// The record as a `T` through serde; unknown fields are the type's business.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] with the path of the field that does not fit.
    pub fn parse<T: Deserialize<'a>>(self) -> Result<T> {
        if self.broken {
            return Err(Error::new(ErrorKind::Schema, NOT_TEXT));
        }
        // The plain parser first: tracking the path costs, and is needed only when it fails.
        serde_json::from_str(self.text).map_err(|error| {
            let mut track = serde_path_to_error::Track::new();
            let mut parser = serde_json::Deserializer::from_str(self.text);
            let _ = T::deserialize(serde_path_to_error::Deserializer::new(&mut parser, &mut track));
            Error::new(ErrorKind::Schema, format!("record does not fit its type: {}", category(&error)))
                .with_field(track.path().to_string())
        })
    }
}

const NOT_TEXT: &str = "the record holds bytes that are not UTF-8";

fn not_text(index: usize) -> Error {
    Error::new(ErrorKind::Schema, NOT_TEXT).with_record(format!("#{index}"))
}

/// What serde found wrong, without the value it names: that is the customer's data.
fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a field is missing or of another type",
        serde_json::error::Category::Syntax => "not valid JSON",
        serde_json::error::Category::Eof => "the text ends early",
        serde_json::error::Category::Io => "not readable",
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("bytes", &self.text.len()).field("change", &self.change).finish()
    }
}

/// Builds a batch record by record: for mappers, and for connectors whose answers are not JSON.
#[derive(Debug)]
pub struct BatchBuilder {
    stream: Arc<str>,
    writer: Writer,
    records: Vec<Span>,
    deleted: Vec<bool>,
}

impl BatchBuilder {
    /// An empty batch for a stream.
    pub fn new(stream: impl Into<Arc<str>>) -> Self {
        let mut writer = Writer::new();
        writer.begin_array();
        Self { stream: stream.into(), writer, records: Vec::new(), deleted: Vec::new() }
    }

    /// How many records so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of text so far.
    pub fn bytes(&self) -> usize {
        self.writer.len()
    }

    /// Appends one JSON text, checked.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] when it is not one JSON value; nothing is appended then.
    pub fn push_raw(&mut self, text: &str) -> Result<()> {
        let value = json::value(text).map_err(|e| Error::from(e).with_kind(ErrorKind::Schema))?;
        self.push(Change::Upsert, |writer| {
            writer.raw(value.raw());
            Ok(())
        })
    }

    /// Appends the record that `write` writes, which is one JSON value. When it fails, nothing is appended.
    ///
    /// # Errors
    /// Those of `write`; [`ErrorKind::TooLarge`] above 4 GiB; [`ErrorKind::Internal`] when it wrote nothing.
    pub fn push(&mut self, change: Change, write: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        let mark = self.writer.mark();
        // The page is one JSON array: the writer sets a comma before every record but the first.
        let start = self.writer.len().saturating_add(usize::from(!self.records.is_empty()));
        if let Err(error) = write(&mut self.writer) {
            self.writer.rewind(mark);
            return Err(error);
        }
        let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.writer.len())) else {
            self.writer.rewind(mark);
            return Err(Error::new(ErrorKind::TooLarge, "a batch holds at most 4 GiB"));
        };
        if end <= start {
            self.writer.rewind(mark);
            return Err(Error::new(ErrorKind::Internal, "a record without any text"));
        }
        self.records.push(Span { start, end });
        self.deleted.push(change == Change::Delete);
        Ok(())
    }

    /// The batch.
    pub fn finish(mut self) -> Result<Batch> {
        self.writer.end_array();
        let page = Page::from_string(self.writer.into_string())?;
        Ok(Batch::new(self.stream, page, self.records).with_deletions(self.deleted))
    }
}
