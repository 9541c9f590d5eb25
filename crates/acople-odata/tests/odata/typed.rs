//! The typed API.

use acople_core::{Context, ErrorKind};
use acople_odata::{Compare, Protocol, Service};
use acople_testkit::{Reply, ScriptedTransport};
use futures_util::StreamExt;
use serde::Deserialize;

use crate::imitation::{Habits, connect, metadata, options};

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    #[serde(rename = "K0")]
    key: String,
    #[serde(rename = "Version")]
    version: u32,
}

fn service(protocol: Protocol, key_fields: usize, replies: Vec<Reply>) -> (Service, ScriptedTransport) {
    let metadata = Reply::new(200, metadata(&Habits { key_fields, ..Habits::new(protocol) }));
    let transport = ScriptedTransport::new(std::iter::once(metadata).chain(replies));
    (connect(options(protocol), &transport), transport)
}

#[tokio::test]
async fn a_record_is_found_by_its_key_whatever_is_in_it() {
    let v2 = Reply::json(200, r#"{"d":{"K0":"x","Version":3,"__metadata":{"uri":"y"}}}"#);
    let v4 = Reply::json(200, r#"{"@odata.context":"z","K0":"x","Version":3}"#);
    for (protocol, reply) in [(Protocol::V2, v2), (Protocol::V4, v4)] {
        let (service, transport) = service(protocol, 1, vec![reply]);
        let item: Item = service.entity_set("Items").get(&Context::new(), "A'B/ C%?#ü").await.unwrap();
        assert_eq!(item, Item { key: "x".into(), version: 3 });
        assert_eq!(transport.sent()[1].path_and_query(), "/odata/SRV/Items('A''B%2F%20C%25%3F%23%C3%BC')");
    }
}

#[tokio::test]
async fn a_composite_key_names_its_fields_in_any_order() {
    let (service, transport) = service(Protocol::V4, 2, vec![Reply::json(200, r#"{"K0":"x","Version":3}"#)]);
    let items = service.entity_set("Items");
    let _: Item = items.get(&Context::new(), [("K1", "2"), ("K0", "1")]).await.unwrap();
    assert_eq!(transport.sent()[1].path_and_query(), "/odata/SRV/Items(K0='1',K1='2')");
    for key in [[("K0", "1"), ("K9", "2")], [("K1", "1"), ("K1", "2")]] {
        assert_eq!(items.get::<Item>(&Context::new(), key).await.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(items.get::<Item>(&Context::new(), "1").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test]
async fn a_missing_record_is_not_found_and_one_that_does_not_fit_is_a_schema_error() {
    let missing = Reply::json(404, r#"{"error":{"code":"404","message":"Not Found"}}"#);
    let (service, _) = service(Protocol::V4, 1, vec![missing, Reply::json(200, r#"{"K0":1}"#)]);
    let items = service.entity_set("Items");
    assert_eq!(items.get::<Item>(&Context::new(), "1").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(items.get::<Item>(&Context::new(), "1").await.unwrap_err().kind(), ErrorKind::Schema);
}

#[tokio::test]
async fn records_come_as_a_type_and_a_bad_one_does_not_end_the_stream() {
    let page = r#"{"value":[{"K0":"a","Version":1},{"K0":"b","Version":"x"},{"K0":"c","Version":3}]}"#;
    let (service, transport) =
        service(Protocol::V4, 1, vec![Reply::json(200, page), Reply::json(200, r#"{"value":[]}"#)]);
    let items = service.entity_set("Items").select(["Version"]).filter("K0", Compare::Ne, "it's").filter(
        "Version",
        Compare::Le,
        "9",
    );
    let found: Vec<_> = items.read::<Item>(&Context::new()).collect().await;
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].as_ref().unwrap().version, 1);
    let error = found[1].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Schema, &["Version".to_owned()][..]));
    assert_eq!(found[2].as_ref().unwrap().key, "c");
    let query = |n: usize| transport.sent()[n].request.url().query_pairs().into_owned().collect::<Vec<_>>();
    assert!(query(1).contains(&("$filter".into(), "K0 ne 'it''s' and Version le 9".into())));
    assert!(query(2).contains(&("$filter".into(), "K0 ne 'it''s' and Version le 9 and K0 gt 'c'".into())));
}

#[tokio::test]
async fn records_are_counted_by_the_service() {
    let (service, transport) =
        service(Protocol::V2, 1, vec![Reply::new(200, "\u{feff}2530"), Reply::new(200, "many")]);
    let items = service.entity_set("Items");
    let changed = items.clone().filter("LastChangeDateTime", Compare::Ge, "2025-01-01T02:00:00+02:00");
    assert_eq!(changed.count(&Context::new()).await.unwrap(), 2530);
    assert!(transport.sent()[1].path_and_query().starts_with(
        "/odata/SRV/Items/$count?$filter=LastChangeDateTime%20ge%20datetimeoffset%272025-01-01T00:00:00Z%27"
    ));
    assert_eq!(items.count(&Context::new()).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn url_07_conditions_take_known_fields_and_values_of_their_type() {
    let (service, transport) = service(Protocol::V4, 1, vec![]);
    for (field, value) in [("Version", "1 or true"), ("K0 eq K0 or K0", "x"), ("LastChangeDateTime", "now()")]
    {
        let items = service.entity_set("Items").filter(field, Compare::Eq, value);
        assert_eq!(items.count(&Context::new()).await.unwrap_err().kind(), ErrorKind::Config);
        let first = items.read::<Item>(&Context::new()).next().await.unwrap();
        assert_eq!(first.unwrap_err().fields(), [field]);
    }
    assert!(transport.sent().iter().all(|sent| sent.path_and_query().ends_with("/$metadata")));
}
