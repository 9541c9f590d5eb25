//! The connector against the sandbox over real sockets, and against scripts for what no sandbox does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod catalog;
mod changes;
mod commits;
mod configs;
mod full;
mod oddities;
mod queries;
mod typed;
mod writes;

use std::sync::Arc;

use acople_core::{
    Batch, Change, Clock, Connector, Context, Cursor, Event, ReadRequest, Resources, Result, Secret,
    SystemClock,
};
use acople_http::{HttpTransport, TransportConfig};
use acople_salesforce::{Auth, Config, RefreshToken, Salesforce};
use acople_testkit::{FakeClock, ScriptedTransport, sandbox};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// Resources on real sockets.
fn wire() -> Resources {
    Resources::new(Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap()))
}

/// A config that logs in at the sandbox with its refresh token.
fn config(org: &sandbox::Salesforce) -> Config {
    let credentials = org.credentials();
    let app = RefreshToken::new(credentials.client_id, credentials.refresh_token);
    Config::new(Auth::RefreshToken(app.with_secret(credentials.client_secret))).with_login_url(org.url())
}

fn connect(org: &sandbox::Salesforce) -> Salesforce {
    Salesforce::new(config(org), &wire()).unwrap()
}

/// A connector with a static token on a script.
fn scripted(transport: &ScriptedTransport) -> Salesforce {
    let config = Config::new(Auth::AccessToken { token: Secret::from("00Dtoken!secret") })
        .with_base_url("https://acme.my.salesforce.com");
    // Time stands still: how long a test's run lasts does not move where the next one begins.
    let clock = FakeClock::at(SystemClock.now());
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock));
    Salesforce::new(config, &resources).unwrap()
}

/// Everything that a read said, up to its end or its error.
struct Heard {
    events: Vec<Event>,
    result: Result<()>,
}

async fn hear(sf: &Salesforce, request: ReadRequest) -> Heard {
    hear_with(sf, &Context::new(), request).await
}

async fn hear_with(sf: &Salesforce, cx: &Context, request: ReadRequest) -> Heard {
    let mut events = Vec::new();
    let mut stream = match sf.read(cx, request) {
        Ok(stream) => stream,
        Err(error) => {
            return Heard { events, result: Err(error) };
        }
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                return Heard { events, result: Err(error) };
            }
        }
    }
    Heard { events, result: Ok(()) }
}

impl Heard {
    fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.events.iter().filter_map(|event| match event {
            Event::Batch(batch) => Some(batch),
            _ => None,
        })
    }

    fn checkpoints(&self) -> Vec<Cursor> {
        let cursor = |event: &Event| match event {
            Event::Checkpoint(cursor) => Some(cursor.clone()),
            _ => None,
        };
        self.events.iter().filter_map(cursor).collect()
    }

    fn last_checkpoint(&self) -> Option<Cursor> {
        self.checkpoints().pop()
    }

    /// The ids in the order in which they came.
    fn ids(&self) -> Vec<String> {
        self.batches().flat_map(|batch| batch.iter().map(|record| field(record.raw(), "Id"))).collect()
    }

    fn deleted(&self) -> Vec<String> {
        let records = self.batches().flat_map(Batch::iter);
        records
            .filter(|record| record.change() == Change::Delete)
            .map(|record| field(record.raw(), "Id"))
            .collect()
    }

    /// `B`egin, `b`atch, `c`heckpoint, `E`nd.
    fn shape(&self) -> String {
        let letter = |event: &Event| match event {
            Event::SnapshotBegin => 'B',
            Event::Batch(_) => 'b',
            Event::Checkpoint(_) => 'c',
            Event::SnapshotEnd => 'E',
            _ => '?',
        };
        self.events.iter().map(letter).collect()
    }
}

/// A text field of a record.
fn field(record: &str, name: &str) -> String {
    let record: Value = serde_json::from_str(record).unwrap();
    record[name].as_str().unwrap_or_default().to_owned()
}

/// A record for the sandbox.
fn record(value: Value) -> sandbox::Record {
    match value {
        Value::Object(record) => record,
        _ => panic!("a record is an object"),
    }
}

fn lead(number: usize) -> sandbox::Record {
    record(
        json!({"LastName": format!("Lead {number}"), "Company": "Acme", "HubSpot_Id__c": format!("hs-{number}")}),
    )
}

fn leads(count: usize) -> impl Iterator<Item = sandbox::Record> {
    (0..count).map(lead)
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// A describe answer for scripts.
fn described() -> String {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "nillable": true});
    let fields = [
        field("Id", "id"),
        field("Name", "string"),
        field("SystemModstamp", "datetime"),
        field("IsDeleted", "boolean"),
    ];
    json!({"name": "Lead", "label": "Lead", "queryable": true, "fields": fields}).to_string()
}

/// A page of records with these numbers as ids.
fn page(ids: std::ops::Range<usize>, next: Option<&str>) -> String {
    let record = |n: usize| {
        json!({
            "attributes": {"type": "Lead"},
            "Id": format!("00Q{n:015}"),
            "Name": format!("Lead {n}"),
            "SystemModstamp": format!("2026-01-02T03:04:{n:02}.000+0000"),
            "IsDeleted": false,
        })
    };
    let records: Vec<Value> = ids.map(record).collect();
    let mut page = json!({"totalSize": 1, "done": next.is_none(), "records": records});
    if let Some(next) = next {
        page["nextRecordsUrl"] = json!(next);
    }
    page.to_string()
}
