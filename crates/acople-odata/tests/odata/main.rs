//! OData from outside: a small service in memory, and scripted oddities.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

mod changes;
mod errors;
mod fields;
mod imitation;
mod listing;
mod metadata;
mod oddities;
mod typed;

use acople_core::json::FieldPath;
use acople_core::{Batch, Context, Cursor, Event, ReadRequest, Result};
use acople_odata::Service;
use futures_util::StreamExt;

/// All events of a read, up to its first error.
pub(crate) async fn events(
    service: &Service,
    request: ReadRequest,
) -> (Vec<Event>, Option<acople_core::Error>) {
    let (mut events, mut error) = (Vec::new(), None);
    match service.read(&Context::new(), request) {
        Ok(mut stream) => {
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => events.push(event),
                    Err(e) => error = Some(e),
                }
            }
        }
        Err(e) => error = Some(e),
    }
    (events, error)
}

/// All events of a read that must succeed.
pub(crate) async fn read(service: &Service, request: ReadRequest) -> Vec<Event> {
    let (events, error) = events(service, request).await;
    assert!(error.is_none(), "{error:?}");
    events
}

pub(crate) fn batches(events: &[Event]) -> Vec<&Batch> {
    events.iter().filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None }).collect()
}

pub(crate) fn cursors(events: &[Event]) -> Vec<Cursor> {
    events.iter().filter_map(|e| if let Event::Checkpoint(c) = e { Some(c.clone()) } else { None }).collect()
}

pub(crate) fn field(batch: &Batch, name: &str) -> Vec<String> {
    let path = FieldPath::from_iter([name]);
    let text = |record: acople_core::Record<'_>| -> Result<String> {
        Ok(record.get(&path)?.scalar_text()?.unwrap_or_default().into_owned())
    };
    batch.iter().map(|record| text(record).unwrap()).collect()
}

/// The keys of all records, composite ones joined by a slash.
pub(crate) fn keys(events: &[Event], key_fields: usize) -> Vec<String> {
    let mut all = Vec::new();
    for batch in batches(events) {
        let columns: Vec<Vec<String>> = (0..key_fields).map(|i| field(batch, &format!("K{i}"))).collect();
        all.extend(
            (0..batch.len()).map(|row| columns.iter().map(|c| c[row].as_str()).collect::<Vec<_>>().join("/")),
        );
    }
    all
}
