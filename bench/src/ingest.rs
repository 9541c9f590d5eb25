//! Events: made, serialized, batched, sent.

use acople_core::Context;
use acople_http::{Call, Client};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use crate::{Failure, Host, Tally};

/// Events of one request.
const BATCH: u64 = 2_000;

/// Requests in flight.
const IN_FLIGHT: usize = 4;

/// Room for one event, so that a batch is allocated once.
const EVENT_BYTES: usize = 330;

#[derive(Serialize)]
struct Event<'a> {
    event: &'a str,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Properties<'a> {
    token: &'a str,
    time: u64,
    distinct_id: &'a str,
    #[serde(rename = "$insert_id")]
    insert_id: &'a str,
    plan: &'a str,
    page: &'a str,
    referrer: &'a str,
    amount: f64,
    items: u64,
    country: &'a str,
    mobile: bool,
}

/// What the vendor answers to a batch.
#[derive(Deserialize)]
struct Imported {
    num_records_imported: u64,
}

/// Sends `units` events in batches, several at once.
pub(crate) async fn ingest(host: &Host, units: u64) -> Result<Tally, Failure> {
    let client = host.client()?;
    let cx = Context::new();
    let mut tally = Tally::default();
    let mut flying = FuturesUnordered::new();
    let mut sent = 0;
    while sent < units {
        let end = units.min(sent + BATCH);
        flying.push(tokio::spawn(import(client.clone(), cx.clone(), events(sent, end)?)));
        sent = end;
        if flying.len() >= IN_FLIGHT
            && let Some(done) = flying.next().await
        {
            tally.records += done??;
        }
    }
    while let Some(done) = flying.next().await {
        tally.records += done??;
    }
    tally.bytes = cx.meter().usage().bytes_received;
    Ok(tally)
}

async fn import(client: Client, cx: Context, body: Vec<u8>) -> acople_core::Result<u64> {
    let call = Call::post("import events").path(["import"]).raw_json(body);
    let imported: Imported = client.send(&cx, &call).await?.json()?;
    Ok(imported.num_records_imported)
}

/// A batch as a JSON array.
fn events(start: u64, end: u64) -> Result<Vec<u8>, Failure> {
    let room = usize::try_from(end - start)? * EVENT_BYTES;
    let mut body = Vec::with_capacity(room);
    let (mut id, mut insert) = (String::new(), String::new());
    body.push(b'[');
    for i in start..end {
        use std::fmt::Write as _;
        id.clear();
        insert.clear();
        write!(id, "user-{}", i % 50_000)?;
        write!(insert, "evt-{i:012}")?;
        if i > start {
            body.push(b',');
        }
        #[allow(clippy::cast_precision_loss)] // below 10,000
        let amount = (i % 10_000) as f64 / 100.0;
        let properties = Properties {
            token: "0123456789abcdef0123456789abcdef",
            time: 1_704_067_200 + i,
            distinct_id: &id,
            insert_id: &insert,
            plan: "business",
            page: "https://shop.example.com/cart/review",
            referrer: "https://search.example.com/",
            amount,
            items: i % 7,
            country: "MX",
            mobile: i % 3 == 0,
        };
        let event = Event { event: "checkout completed", properties };
        serde_json::to_writer(&mut body, &event)?;
    }
    body.push(b']');
    Ok(body)
}
