//! Which place follows a page.

use acople_core::{Batch, Error, ErrorKind, Result};

use super::{Change, Plan, lost_change_field, next_milli};
use crate::Protocol;
use crate::mark::Mark;
use crate::place::{Place, Spot};

/// What follows a page.
#[derive(Debug)]
pub(crate) struct Turn {
    /// How many records of the page are delivered, from the first.
    pub(crate) keep: usize,
    /// The greatest change value of the page.
    pub(crate) newest: Option<Mark>,
    /// Where to go on.
    pub(crate) next: Spot,
}

impl Plan {
    /// What follows a page, given its records and the service's own next link.
    ///
    /// # Errors
    /// `Protocol` when a record lacks its key or change value, or when the service ignored the filter or the
    /// order that it was asked for: going on would lose records.
    pub(crate) fn turn(&self, at: &Spot, batch: &Batch, link: Option<String>) -> Result<Turn> {
        let go = |next: Spot| Turn { keep: batch.len(), newest: None, next };
        // An empty page with a link is not the end, whoever counts the pages.
        if let Some(link) = link
            && (batch.is_empty() || !self.asks_for_pages(&at.place))
        {
            return Ok(go(at.followed(link)));
        }
        if batch.is_empty() || !self.asks_for_pages(&at.place) {
            return Ok(go(Spot::at(self.behind(&at.place)?)));
        }
        if at.place.is_by_change() {
            return self.turn_by_change(at, batch);
        }
        let after = self.last_keys(batch)?;
        Ok(go(Spot::at(match &at.place {
            Place::Nulls { .. } => Place::Nulls { after: Some(after) },
            Place::Within { value, .. } => Place::Within { value: value.clone(), after: Some(after) },
            _ => Place::Keys { after },
        })))
    }

    /// The place behind a listing that has come to its end.
    fn behind(&self, place: &Place) -> Result<Place> {
        Ok(match place {
            Place::Nulls { .. } => Place::From { value: None },
            Place::Within { value, .. } if self.is_exact() => Place::Above { value: value.clone() },
            Place::Within { value, .. } => Place::From { value: Some(next_milli(value)?) },
            _ => Place::End,
        })
    }

    fn turn_by_change(&self, at: &Spot, batch: &Batch) -> Result<Turn> {
        let values = self.change_values(at, batch)?;
        let (Some(change), Some(last)) = (&self.change, values.last()) else {
            return Err(lost_change_field());
        };
        let go = |keep: usize, place: Place| {
            let newest = Mark::new(change.field.primitive, last.clone());
            Ok(Turn { keep, newest: Some(newest), next: Spot::at(place) })
        };
        if self.protocol == Protocol::V4 && self.keyset {
            return go(batch.len(), Place::After { value: last.clone(), keys: self.last_keys(batch)? });
        }
        // The last group may go on behind this page: it is left to the next one.
        let group = values.iter().position(|value| value == last).unwrap_or(0);
        if group > 0 {
            return go(group, Place::From { value: Some(last.clone()) });
        }
        if self.is_exact() && self.keyset {
            let after = Some(self.last_keys(batch)?);
            return go(batch.len(), Place::Within { value: last.clone(), after });
        }
        // In what order its records came cannot be seen: they are read again, by key.
        go(0, Place::Within { value: last.clone(), after: None })
    }

    /// The change value of every record, checked to be in order and not before what was asked for.
    fn change_values(&self, at: &Spot, batch: &Batch) -> Result<Vec<String>> {
        let Some(Change { field, .. }) = &self.change else {
            return Err(lost_change_field());
        };
        let mut before = match &at.place {
            Place::From { value: Some(value) } | Place::Above { value } | Place::After { value, .. } => {
                field.primitive.ticks(value)
            }
            _ => None,
        };
        let mut values = Vec::with_capacity(batch.len());
        for row in batch.project(&self.projection).rows() {
            let Some(text) = row.get(0).scalar_text()? else {
                return Err(missing(&field.name));
            };
            let value = field.primitive.normal(&text).map_err(|e| e.with_field(&field.name))?;
            let rank = field.primitive.ticks(&value);
            // Texts have an order of the service's own.
            if rank.is_some() && rank < before {
                let message = "the service does not sort and filter by the change field";
                return Err(Error::new(ErrorKind::Protocol, message).with_field(&field.name));
            }
            before = rank;
            values.push(value);
        }
        Ok(values)
    }

    fn last_keys(&self, batch: &Batch) -> Result<Vec<String>> {
        let last = batch.select([batch.len().saturating_sub(1)]);
        let cells = last.project(&self.projection);
        let Some(row) = cells.row(0) else {
            return Err(Error::new(ErrorKind::Internal, "no last record"));
        };
        let values = row.values().skip(usize::from(self.change.is_some()));
        let mut keys = Vec::with_capacity(self.keys.len());
        for (key, value) in self.keys.iter().zip(values) {
            let Some(text) = value.scalar_text()? else {
                return Err(missing(&key.name));
            };
            keys.push(key.primitive.normal(&text).map_err(|e| e.with_field(&key.name))?);
        }
        Ok(keys)
    }
}

fn missing(field: &str) -> Error {
    Error::new(ErrorKind::Protocol, "a record lacks the field that the listing is ordered by")
        .with_field(field)
}
