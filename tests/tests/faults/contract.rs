//! Reads the tables of the contract.

use std::collections::{BTreeMap, BTreeSet};

/// The section that lists what is not proven yet.
const OPEN: &str = "## 14. Open";

/// How far an open row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No test at all.
    Open,
    /// Tests for a part of the row.
    Partly,
}

/// The rows, and those of them that are open.
#[derive(Debug)]
pub struct Contract {
    pub rows: BTreeSet<String>,
    pub open: BTreeMap<String, State>,
}

impl Contract {
    /// Reads the whole file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tables, list) = text.split_once(OPEN).ok_or("there is no section of open rows")?;
        let mut open = BTreeMap::new();
        for cells in table_rows(list) {
            let [id, state, why] = cells.as_slice() else {
                return Err(format!("an open row has an id, a state and a reason: {cells:?}"));
            };
            let state = match *state {
                "open" => State::Open,
                "partly" => State::Partly,
                other => return Err(format!("{id}: {other} is neither open nor partly")),
            };
            if why.is_empty() {
                return Err(format!("{id} is open without a reason"));
            }
            if open.insert((*id).to_owned(), state).is_some() {
                return Err(format!("{id} is listed as open twice"));
            }
        }
        Ok(Self { rows: rows(tables)?, open })
    }
}

/// The ids of all rows.
pub fn rows(text: &str) -> Result<BTreeSet<String>, String> {
    let mut rows = BTreeSet::new();
    for cells in table_rows(text) {
        if let Some(id) = cells.first()
            && !rows.insert((*id).to_owned())
        {
            return Err(format!("{id} has two rows"));
        }
    }
    Ok(rows)
}

/// The cells of each table row that begins with an id.
fn table_rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter_map(|line| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        cells.first().is_some_and(|id| is_id(id)).then_some(cells)
    })
}

/// `RATE-01`.
fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(section, number)| {
        !section.is_empty()
            && section.bytes().all(|b| b.is_ascii_uppercase())
            && number.len() == 2
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}
