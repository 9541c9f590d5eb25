//! The connector from outside, on a scripted transport. What OData itself is about is tested where it is read, in
//! `acople-odata`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod configs;
mod reading;
mod said;

use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{Connector, Context, Cursor, Error, Event, ReadRequest, Resources};
use acople_sap::{Auth, Config, Protocol, Sap};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use futures_util::StreamExt;

pub(crate) const BASE: &str = "https://sap.example.com/odata/SRV";

pub(crate) const BOTH: [Protocol; 2] = [Protocol::V2, Protocol::V4];

pub(crate) fn config(protocol: Protocol) -> Config {
    let auth = Auth::Basic { user: "reader".into(), password: "s3cret-pass".into() };
    Config::new(BASE, auth).with_protocol(protocol)
}

pub(crate) fn connect(config: Config, transport: &ScriptedTransport) -> Sap {
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(FakeClock::new()));
    Sap::new(config, &resources).unwrap()
}

/// The description of one set `Items` with the key `K0`, beside fields of these names.
pub(crate) fn metadata(protocol: Protocol, fields: &[&str]) -> Reply {
    let edmx = if protocol == Protocol::V2 { "1.0" } else { "4.0" };
    let fields = fields.iter().map(|name| format!(r#"<Property Name="{name}" Type="Edm.DateTimeOffset"/>"#));
    let xml = format!(
        r#"<Edmx Version="{edmx}"><DataServices><Schema Namespace="S"><EntityType Name="Item"><Key><PropertyRef Name="K0"/></Key>
        <Property Name="K0" Type="Edm.String" Nullable="false"/>{}</EntityType>
        <EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer></Schema></DataServices></Edmx>"#,
        fields.collect::<String>()
    );
    Reply::new(200, xml).header("content-type", "application/xml")
}

/// One page of records.
pub(crate) fn page(protocol: Protocol, records: &str) -> Reply {
    Reply::json(
        200,
        match protocol {
            Protocol::V2 => format!(r#"{{"d":{{"results":[{records}]}}}}"#),
            _ => format!(r#"{{"value":[{records}]}}"#),
        },
    )
}

/// A transport that first describes the service, with a field `LastChangeDateTime`.
pub(crate) fn script(protocol: Protocol, replies: impl IntoIterator<Item = Reply>) -> ScriptedTransport {
    ScriptedTransport::new(std::iter::once(metadata(protocol, &["LastChangeDateTime"])).chain(replies))
}

/// All events of a read, up to its error.
pub(crate) async fn events(sap: &Sap, request: ReadRequest) -> (Vec<Event>, Option<Error>) {
    let (mut events, mut error) = (Vec::new(), None);
    let mut stream = sap.read(&Context::new(), request).unwrap();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(e) => error = Some(e),
        }
    }
    (events, error)
}

/// All events of a read that must succeed.
pub(crate) async fn read(sap: &Sap, request: ReadRequest) -> Vec<Event> {
    let (events, error) = events(sap, request).await;
    assert!(error.is_none(), "{error:?}");
    events
}

pub(crate) fn keys(events: &[Event]) -> Vec<String> {
    let path = FieldPath::from_iter(["K0"]);
    let batches = events.iter().filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None });
    batches
        .flat_map(|batch| {
            batch.iter().map(|record| record.get(&path).unwrap().scalar_text().unwrap().unwrap().into_owned())
        })
        .collect()
}

pub(crate) fn last_cursor(events: &[Event]) -> Option<Cursor> {
    events
        .iter()
        .rev()
        .find_map(|e| if let Event::Checkpoint(cursor) = e { Some(cursor.clone()) } else { None })
}
