use super::names::Known;
use super::scan::{self, Kind, Next};
use super::walk::{Cell, Divider, Trie, Walk};
use super::{Error, FieldPath, Page, Span, Value};

/// Where the records are in a vendor's answer, and which other members of it matter.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The candidates for the records, then the extras.
    paths: Vec<FieldPath>,
    candidates: usize,
    trie: Trie,
}

/// An answer cut into records.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// The records in the order sent.
    pub records: Vec<Span>,
    extras: Vec<Cell>,
}

impl Envelope {
    /// Looks for the records at these paths, of which the first that is present counts. The root path means
    /// that the page itself is the array.
    pub fn new(records: &[FieldPath]) -> Self {
        Self { paths: records.to_vec(), candidates: records.len(), trie: Trie::new(records, records.len()) }
    }

    /// Captures another member, such as the next page's token, wherever it lies: before, behind or inside the
    /// records. [`Split::extra`] numbers them in the order of these calls.
    pub fn with(mut self, extra: FieldPath) -> Self {
        self.paths.push(extra);
        self.trie = Trie::new(&self.paths, self.candidates);
        self
    }

    /// Checks the whole page and finds its records, in one pass.
    ///
    /// `null` in the place of the records is an empty page; nothing there is [`Error::MissingRecords`], since
    /// taken for an empty page it would end a listing early. A page that is [broken](Page::is_broken) outside
    /// of its records is [`Error::InvalidUtf8`].
    pub fn split(&self, page: &Page) -> Result<Split, Error> {
        let text = page.as_str();
        let mut cells = vec![Cell::default(); self.paths.len()];
        let mut known = Known::default();
        let mut divider = Divider::new(self.candidates);
        let mut walk = Walk { text, trie: &self.trie, known: &mut known, divider: Some(&mut divider) };
        let start = scan::skip_space(text.as_bytes(), 0);
        let end = walk.root(start, &mut cells)?;
        scan::finish(text.as_bytes(), end)?;

        let extras = cells.split_off(self.candidates);
        let found = cells.iter().zip(&self.paths).find(|(cell, _)| cell.kind() != Kind::Missing);
        let records = match found {
            None => return Err(self.missing()),
            Some((cell, path)) => match cell.kind() {
                Kind::Null => Vec::new(),
                Kind::Array if divider.array.is_some_and(|(start, _)| start == cell.span().start) => {
                    divider.elements
                }
                Kind::Array => divide(text, cell.span())?,
                _ => {
                    let path = if path.is_root() { "the root".into() } else { path.to_string() };
                    return Err(Error::RecordsNotArray { path });
                }
            },
        };
        for place in page.broken() {
            let record = records.get(records.partition_point(|record| record.end <= place.start));
            if !record.is_some_and(|record| record.start <= place.start && place.end <= record.end) {
                return Err(Error::InvalidUtf8 { offset: place.start as usize });
            }
        }
        Ok(Split { records, extras })
    }

    fn missing(&self) -> Error {
        let names: Vec<String> = self.paths.iter().take(self.candidates).map(FieldPath::to_string).collect();
        Error::MissingRecords { path: names.join(", ") }
    }
}

impl Split {
    /// The extra member that the call `index` of [`Envelope::with`] asked for, in the page that was split.
    pub fn extra<'p>(&self, page: &'p Page, index: usize) -> Value<'p> {
        self.extras.get(index).map_or(Value::Missing, |cell| cell.value(page.as_str()))
    }
}

/// Cuts an array that the walk passed whole because another candidate seemed better at the time.
fn divide(text: &str, array: Span) -> Result<Vec<Span>, Error> {
    let bytes = text.as_bytes();
    let mut known = Known::default();
    let mut elements = Vec::new();
    let mut next = scan::first_element(bytes, scan::behind(array.start as usize));
    while let Next::Item(at) = next {
        let start = scan::skip_space(bytes, at);
        let (end, _) = scan::skip_value(bytes, start, 1, &mut known)?;
        elements.push(Span::new(start, end));
        next = scan::next_element(bytes, end)?;
    }
    Ok(elements)
}
