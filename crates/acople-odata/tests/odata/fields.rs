//! Change fields of every kind: days, decimals, none.

use std::collections::BTreeMap;

use acople_core::{ErrorKind, ReadMode, ReadRequest};
use acople_odata::{Protocol, Service};
use acople_testkit::{Reply, ScriptedTransport};

use crate::imitation::{connect, options};
use crate::{cursors, events, keys, read};

/// A service whose change field shows days only.
fn days(protocol: Protocol, replies: Vec<Reply>) -> (Service, ScriptedTransport) {
    let (version, kind) = match protocol {
        Protocol::V2 => ("1.0", r#"Type="Edm.DateTime" Precision="0" sap:display-format="Date""#),
        _ => ("4.0", r#"Type="Edm.Date""#),
    };
    let metadata = format!(
        r#"<Edmx Version="{version}" xmlns:sap="urn:s"><DataServices><Schema Namespace="S"><EntityType Name="T"><Key>
        <PropertyRef Name="K0"/></Key><Property Name="K0" Type="Edm.String"/>
        <Property Name="LastChangeDate" Nullable="false" {kind}/></EntityType>
        <EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.T"/></EntityContainer></Schema></DataServices></Edmx>"#
    );
    let metadata = Reply::new(200, metadata).header("content-type", "application/xml");
    let transport = ScriptedTransport::new(std::iter::once(metadata).chain(replies));
    (connect(options(protocol), &transport), transport)
}

#[tokio::test]
async fn a_field_that_shows_days_only_goes_back_a_day() {
    let v2 = |records: &str| Reply::json(200, format!(r#"{{"d":{{"results":[{records}]}}}}"#));
    let v4 = |records: &str| Reply::json(200, format!(r#"{{"value":[{records}]}}"#));
    let cases = [
        (
            Protocol::V2,
            vec![v2(r#"{"K0":"1","LastChangeDate":"\/Date(1744243200000)\/"}"#), v2(""), v2(""), v2("")],
            "LastChangeDate ge datetime'2025-04-09T00:00:00'",
        ),
        (
            Protocol::V4,
            vec![v4(r#"{"K0":"1","LastChangeDate":"2025-04-10"}"#), v4(""), v4("")],
            "LastChangeDate ge 2025-04-09",
        ),
    ];
    for (protocol, replies, expected) in cases {
        let (service, transport) = days(protocol, replies);
        let catalog = service.discover(&acople_core::Context::new()).await.unwrap();
        let stream = catalog.stream("Items").unwrap();
        assert!(stream.can_read(ReadMode::Incremental));
        assert_eq!(stream.look_back.as_secs(), 24 * 60 * 60);
        let first = read(&service, ReadRequest::incremental("Items")).await;
        assert_eq!(keys(&first, 1), ["1"]);
        let before = transport.sent().len();
        let (_, _) =
            events(&service, ReadRequest::incremental("Items").with_cursor(cursors(&first).pop())).await;
        let query: BTreeMap<String, String> =
            transport.sent()[before].request.url().query_pairs().into_owned().collect();
        assert_eq!(query["$filter"], expected);
    }
}

/// A service whose change field is a decimal, as SAP's long time stamps are.
fn decimals(replies: impl IntoIterator<Item = &'static str>) -> (Service, ScriptedTransport) {
    let metadata = r#"<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EntityType Name="T"><Key>
        <PropertyRef Name="K0"/></Key><Property Name="K0" Type="Edm.String"/>
        <Property Name="Stamp" Type="Edm.Decimal" Precision="21" Scale="7" Nullable="false"/></EntityType>
        <EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.T"/></EntityContainer></Schema></DataServices></Edmx>"#;
    let pages = replies.into_iter().map(|records| Reply::json(200, format!(r#"{{"value":[{records}]}}"#)));
    let transport = ScriptedTransport::new(std::iter::once(Reply::new(200, metadata)).chain(pages));
    let mut options = options(Protocol::V4);
    options.change_fields.insert("Items".into(), "Stamp".into());
    (connect(options, &transport), transport)
}

#[tokio::test]
async fn page_07_decimals_are_counted_by_their_value() {
    let page = r#"{"K0":"1","Stamp":"99.5"},{"K0":"2","Stamp":"20250101120000.1234567"}"#;
    let (service, transport) = decimals([page, "", ""]);
    let first = read(&service, ReadRequest::incremental("Items")).await;
    read(&service, ReadRequest::incremental("Items").with_cursor(cursors(&first).pop())).await;
    let last = transport.sent().pop().unwrap();
    let query: BTreeMap<String, String> = last.request.url().query_pairs().into_owned().collect();
    assert_eq!(
        query["$filter"], "Stamp ge 20250101120000.1234567",
        "and not of 99.5, which is greater as text"
    );

    let (service, _) = decimals([r#"{"K0":"1","Stamp":"100"},{"K0":"2","Stamp":"99.5"}"#]);
    let (_, error) = events(&service, ReadRequest::incremental("Items")).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_cursor_whose_field_has_another_type_now_has_expired() {
    let (service, _) = decimals([r#"{"K0":"1","Stamp":"99.5"}"#, ""]);
    let cursor = cursors(&read(&service, ReadRequest::incremental("Items")).await).pop();
    let metadata = r#"<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EntityType Name="T"><Key>
        <PropertyRef Name="K0"/></Key><Property Name="K0" Type="Edm.String"/><Property Name="Stamp" Type="Edm.Int64"/>
        </EntityType><EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.T"/></EntityContainer></Schema></DataServices></Edmx>"#;
    let mut options = options(Protocol::V4);
    options.change_fields.insert("Items".into(), "Stamp".into());
    let transport = ScriptedTransport::new([Reply::new(200, metadata)]);
    let request = ReadRequest::incremental("Items").with_cursor(cursor);
    let (_, error) = events(&connect(options, &transport), request).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::CursorExpired);
}

#[tokio::test]
async fn a_set_without_a_change_field_asks_for_one() {
    let metadata = r#"<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EntityType Name="T"><Key><PropertyRef Name="K0"/></Key>
        <Property Name="K0" Type="Edm.String"/></EntityType><EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.T"/>
        </EntityContainer></Schema></DataServices></Edmx>"#;
    let transport = ScriptedTransport::new([Reply::new(200, metadata)]);
    let service = connect(options(Protocol::V4), &transport);
    let (_, error) = events(&service, ReadRequest::incremental("Items")).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["change_fields.Items".to_owned()][..]));
}
