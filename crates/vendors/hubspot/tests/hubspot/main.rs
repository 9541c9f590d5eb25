//! The HubSpot connector against the sandbox portal, and against scripted answers for what the portal never says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod config;
mod discover;
mod full;
mod incremental;
mod limits;
mod typed;
mod write;

use std::sync::Arc;
use std::time::Duration;

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Clock, Connector, Context, Cursor, Event, ReadRequest, Resources, Result, Secret, SystemClock,
};
use acople_http::{HttpTransport, Limits, LocalLimiter, TransportConfig};
use acople_hubspot::{Auth, Config, HubSpot};
use acople_testkit::sandbox::{self, Record};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use futures_util::StreamExt;
use serde_json::json;

/// What a host lends, without limits of its own: the sandbox has none unless told so.
fn resources() -> Resources {
    let transport = Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap());
    Resources::new(transport).with_limiter(Arc::new(LocalLimiter::new(Limits::new())))
}

fn config(portal: &sandbox::HubSpot) -> Config {
    Config::new(Auth::Token(Secret::from(portal.credentials().private_token))).with_base_url(portal.url())
}

fn oauth(portal: &sandbox::HubSpot) -> Config {
    let credentials = portal.credentials();
    let auth = json!({ "refresh_token": {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "refresh_token": credentials.refresh_token,
    }});
    acople_core::parse_config(json!({ "auth": auth, "base_url": portal.url() })).unwrap()
}

fn connect(portal: &sandbox::HubSpot) -> HubSpot {
    HubSpot::new(config(portal), &resources()).unwrap()
}

/// A connector that talks to a script, with the limits of its tier.
fn scripted(transport: &ScriptedTransport) -> HubSpot {
    let config = Config::new(Auth::Token(Secret::from("pat-na1-secret")));
    // Time stands still: how long a test's run lasts does not move where the next one begins.
    let clock = FakeClock::at(SystemClock.now());
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock));
    HubSpot::new(config, &resources).unwrap()
}

/// A transport that gives the same answer always.
fn always(reply: Reply) -> ScriptedTransport {
    ScriptedTransport::function(move |_, _| reply.clone())
}

/// `n` contacts with the e-mail addresses `p0@example.com` and so on.
fn people(n: usize) -> Vec<Record> {
    (0..n)
        .map(|i| record(json!({ "email": format!("p{i}@example.com"), "lastname": format!("P{i}") })))
        .collect()
}

fn record(value: serde_json::Value) -> Record {
    let serde_json::Value::Object(record) = value else { panic!("a record is an object") };
    record
}

/// The events of a read, and the error that ended it.
async fn events(hubspot: &HubSpot, request: ReadRequest) -> (Vec<Event>, Option<acople_core::Error>) {
    let mut stream = hubspot.read(&Context::new(), request).unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

async fn read(hubspot: &HubSpot, request: ReadRequest) -> Vec<Event> {
    let (events, error) = events(hubspot, request).await;
    assert!(error.is_none(), "{error:?}");
    events
}

async fn read_error(hubspot: &HubSpot, request: ReadRequest) -> acople_core::Error {
    events(hubspot, request).await.1.expect("the read fails")
}

fn batches(events: &[Event]) -> impl Iterator<Item = &Batch> {
    events.iter().filter_map(|event| if let Event::Batch(batch) = event { Some(batch) } else { None })
}

fn cursors(events: &[Event]) -> Vec<Cursor> {
    let cursor = |event: &Event| {
        if let Event::Checkpoint(cursor) = event { Some(cursor.clone()) } else { None }
    };
    events.iter().filter_map(cursor).collect()
}

fn ids(events: &[Event]) -> Vec<String> {
    values(events, "id")
}

fn values(events: &[Event], path: &str) -> Vec<String> {
    let path = FieldPath::parse(path).unwrap();
    let value = |r: acople_core::Record<'_>| {
        r.get(&path).unwrap().scalar_text().unwrap().unwrap_or_default().into_owned()
    };
    batches(events).flat_map(|batch| batch.iter().map(value).collect::<Vec<_>>()).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn batch(stream: &str, records: impl IntoIterator<Item = serde_json::Value>) -> Batch {
    Batch::from_records(stream, records.into_iter().map(|r| r.to_string())).unwrap()
}

/// The time between two requests.
fn between(first: &Sent, second: &Sent) -> Duration {
    second.at.checked_sub(first.at).unwrap()
}

/// A cursor as it comes back from a store.
fn stored(cursor: &Cursor) -> Result<Option<Cursor>> {
    Cursor::from_json(&cursor.to_json()?).map(Some)
}
