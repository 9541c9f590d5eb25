use std::fmt;

use super::names::Known;
use super::walk::{Cell, Walk};
use super::{Page, Projection, Span, Value};

/// The cells of a page's records: one row per record, one column per path, each cell a place in the page.
///
/// A cell is twelve bytes; nothing is decoded or copied before it is asked for.
#[derive(Clone)]
pub struct Cells {
    page: Page,
    rows: usize,
    columns: usize,
    places: Vec<Cell>,
    known: Known,
}

impl Cells {
    /// Finds the fields of each record. The records are spans that
    /// [`Envelope::split`](super::Envelope::split) found in this page; a span that is no JSON value makes a
    /// row of missing values.
    pub fn project(page: &Page, records: &[Span], projection: &Projection) -> Self {
        let mut cells =
            Self { page: page.clone(), rows: 0, columns: 0, places: Vec::new(), known: Known::default() };
        cells.refill(page, records, projection);
        cells
    }

    /// Starts over with another page and projection, keeping the allocations.
    pub fn refill(&mut self, page: &Page, records: &[Span], projection: &Projection) {
        self.page = page.clone();
        self.rows = records.len();
        self.columns = projection.len();
        self.places.clear();
        self.places.resize(self.rows.saturating_mul(self.columns), Cell::default());
        if self.columns == 0 {
            return;
        }
        self.known.reset();
        let trie = projection.trie();
        let mut walk = Walk { text: page.as_str(), trie, known: &mut self.known, divider: None };
        for (record, row) in records.iter().zip(self.places.chunks_exact_mut(self.columns)) {
            if walk.root(record.start as usize, row).ok() != Some(record.end as usize) {
                row.fill(Cell::default());
            }
        }
    }

    /// The page that the cells point into.
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The row of record `i`.
    pub fn row(&self, i: usize) -> Option<Row<'_>> {
        if i >= self.rows {
            return None;
        }
        let start = i.checked_mul(self.columns)?;
        let cells = self.places.get(start..)?.get(..self.columns)?;
        Some(Row { text: self.page.as_str(), cells })
    }

    /// All rows in the order of the records.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.rows).map(|i| self.row(i).unwrap_or(Row { text: "", cells: &[] }))
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cells({} rows of {} columns)", self.rows, self.columns)
    }
}

/// The fields of one record.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    text: &'a str,
    cells: &'a [Cell],
}

impl<'a> Row<'a> {
    /// The field of a column; [`Value::Missing`] also when there is no such column.
    pub fn get(&self, column: usize) -> Value<'a> {
        self.cells.get(column).map_or(Value::Missing, |cell| cell.value(self.text))
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The fields in the order of the columns.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a> {
        let text = self.text;
        self.cells.iter().map(move |cell| cell.value(text))
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}
