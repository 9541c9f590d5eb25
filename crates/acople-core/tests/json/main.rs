//! JSON that stays text, through the public API.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod agreement;
mod limits;
mod pages;
mod values;

use acople_core::json::{Cells, Envelope, Error, FieldPath, Page, Projection};

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

fn page(text: &str) -> Page {
    Page::from_string(text.into()).unwrap()
}

/// The raw records of a page.
fn records<'p>(page: &'p Page, at: &[&str]) -> Result<Vec<&'p str>, Error> {
    let paths: Vec<FieldPath> = at.iter().map(|text| path(text)).collect();
    let split = Envelope::new(&paths).split(page)?;
    Ok(split.records.iter().map(|span| page.text(*span)).collect())
}

/// The raw cells of records at the root, one row per record.
fn table(text: &str, paths: &[&str]) -> Vec<Vec<String>> {
    let page = page(text);
    let split = Envelope::new(&[FieldPath::default()]).split(&page).unwrap();
    let projection = Projection::new(paths.iter().map(|text| path(text)));
    let cells = Cells::project(&page, &split.records, &projection);
    cells.rows().map(|row| row.values().map(|value| value.raw().to_owned()).collect()).collect()
}
