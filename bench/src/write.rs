//! Batch upserts through the HubSpot connector.

use std::fmt::{Arguments, Write as _};

use acople_core::json::Writer;
use acople_core::{BatchBuilder, Change, Connector, Context, Outcome, WriteMode, WriteRequest};

use crate::{Failure, Host, Tally};

/// Records that the host hands over at once; the connector makes calls of 100 of them.
const AT_ONCE: u64 = 1_000;

/// Upserts contacts by e-mail address and reads what became of each.
pub(crate) async fn hubspot(host: &Host, units: u64) -> Result<Tally, Failure> {
    let account = host.hubspot()?;
    let cx = Context::new();
    let mut tally = Tally::default();
    let mut text = String::new();
    let mut sent = 0;
    while sent < units {
        let end = units.min(sent + AT_ONCE);
        let mut batch = BatchBuilder::new("contacts");
        for i in sent..end {
            batch.push(Change::Upsert, |record| {
                contact(record, &mut text, i);
                Ok(())
            })?;
        }
        let request = WriteRequest::new(WriteMode::Upsert, batch.finish()?);
        let report = account.write(&cx, request).await?;
        for outcome in report.outcomes() {
            match outcome {
                Outcome::Accepted { id: Some(id), .. } if !id.is_empty() => tally.records += 1,
                other => return Err(format!("not accepted: {other:?}").into()),
            }
        }
        sent = end;
    }
    tally.bytes = cx.meter().usage().bytes_received;
    Ok(tally)
}

fn contact(record: &mut Writer, text: &mut String, i: u64) {
    record.begin_object();
    record.key("properties");
    record.begin_object();
    let mut property = |name: &str, value: Arguments<'_>| {
        text.clear();
        // Writing to a String does not fail.
        let _ = text.write_fmt(value);
        record.key(name);
        record.text(text);
    };
    property("email", format_args!("person{i}@example.com"));
    property("firstname", format_args!("First{i}"));
    property("lastname", format_args!("Last{i}"));
    property("phone", format_args!("+1 555 {i:07}"));
    property("company", format_args!("Company {}", i % 1000));
    property("city", format_args!("Guadalajara"));
    property("lifecyclestage", format_args!("lead"));
    record.end_object();
    record.end_object();
}
