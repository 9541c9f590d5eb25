//! What the connector hands on to OData, and with which words of its own.

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Connector, Context, ErrorKind, Event, ReadMode, ReadRequest, WriteMode, WriteRequest,
};
use acople_sap::{Compare, Protocol};
use acople_testkit::{Reply, ScriptedTransport};
use futures_util::StreamExt;
use serde::Deserialize;

use crate::{BASE, BOTH, config, connect, events, keys, last_cursor, metadata, page, read, script};

#[tokio::test]
async fn check_counts_entity_sets_and_shows_the_user() {
    let v2 = || Reply::json(200, r#"{"d":{"EntitySets":["A","B"]}}"#);
    let v4 = || Reply::json(200, r#"{"@odata.context":"$metadata","value":[{"name":"A","url":"A"}]}"#);
    let cx = Context::new();
    for (protocol, reply, expected) in
        [(Protocol::V2, v2(), "2 entity sets"), (Protocol::V4, v4(), "1 entity sets")]
    {
        let transport = ScriptedTransport::new([reply]);
        let health = connect(config(protocol), &transport).check(&cx).await.unwrap();
        assert!(health.summary.starts_with(expected), "{}", health.summary);
        assert_eq!(transport.sent()[0].request.url().as_str(), format!("{BASE}/"));
        assert_eq!(transport.sent()[0].header("authorization"), Some("Basic cmVhZGVyOnMzY3JldC1wYXNz"));
    }
    for (protocol, reply) in [(Protocol::V2, v4()), (Protocol::V4, v2())] {
        let error = connect(config(protocol), &ScriptedTransport::new([reply])).check(&cx).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["protocol".to_owned()][..]));
    }
}

#[tokio::test]
async fn change_fields_have_the_names_that_sap_gives_them() {
    for (fields, expected) in [
        (&["CreationDateTime"][..], None),
        (&["LastChangeDate", "LastChangeDateTime"], Some("LastChangeDateTime")),
        (&["createdAt", "modifiedAt"], Some("modifiedAt")),
        (&["lastModifiedDateTime"], Some("lastModifiedDateTime")),
        (&["ChangedOn", "LastChangedAt"], Some("LastChangedAt")),
    ] {
        let transport = ScriptedTransport::new([metadata(Protocol::V4, fields)]);
        let catalog = connect(config(Protocol::V4), &transport).discover(&Context::new()).await.unwrap();
        let stream = catalog.stream("Items").unwrap();
        assert_eq!(stream.cursor, expected.map(|name| FieldPath::from_iter([name])), "{fields:?}");
        assert_eq!(stream.can_read(ReadMode::Incremental), expected.is_some());
    }
    let mut named = config(Protocol::V4);
    named.change_fields.insert("Items".into(), "CreationDateTime".into());
    let transport = ScriptedTransport::new([metadata(Protocol::V4, &["ModifiedAt", "CreationDateTime"])]);
    let stream = connect(named, &transport).describe(&Context::new(), "Items").await.unwrap();
    assert_eq!(stream.cursor, Some(FieldPath::from_iter(["CreationDateTime"])));
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_a_mistake_in_the_configuration() {
    for protocol in BOTH {
        let transport = script(protocol, []);
        let error =
            connect(config(protocol), &transport).describe(&Context::new(), "Item").await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]));
        let (_, error) =
            events(&connect(config(protocol), &script(protocol, [])), ReadRequest::full("Item")).await;
        assert_eq!(error.unwrap().fields(), ["stream"]);
    }
}

#[tokio::test]
async fn everything_and_then_what_changed_is_read_in_both_versions() {
    for (protocol, at, earlier) in [
        (Protocol::V2, r"\/Date(1735689600000+0000)\/", "datetimeoffset'2024-12-31T23:55:00Z'"),
        (Protocol::V4, "2025-01-01T00:00:00Z", "2024-12-31T23:55:00Z"),
    ] {
        let record = |key: &str| format!(r#"{{"K0":"{key}","LastChangeDateTime":"{at}"}}"#);
        let two = || page(protocol, &format!("{},{}", record("0001"), record("0002")));
        let mut config = config(protocol);
        config.page_size = 2;
        config.look_back_seconds = 300;

        let transport = script(protocol, [two(), page(protocol, &record("0003")), page(protocol, "")]);
        let sap = connect(config.clone(), &transport);
        let all = read(&sap, ReadRequest::full("Items")).await;
        assert_eq!(keys(&all), ["0001", "0002", "0003"]);
        assert!(matches!(all.first(), Some(Event::SnapshotBegin)));
        assert!(matches!(all.last(), Some(Event::SnapshotEnd)));
        let query = |transport: &ScriptedTransport, n: usize, name: &str| {
            let sent = transport.sent().remove(n);
            sent.request.url().query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(query(&transport, 1, "$top").as_deref(), Some("2"));
        assert_eq!(query(&transport, 2, "$filter").as_deref(), Some("K0 gt '0002'"));

        // One record, whose time and key nothing lies behind.
        let one = record("0001");
        let transport = ScriptedTransport::function(move |sent, _| {
            let url = sent.request.url();
            if url.path().ends_with("/$metadata") {
                return metadata(protocol, &["LastChangeDateTime"]);
            }
            let filter = url.query_pairs().find(|(name, _)| name == "$filter").unwrap().1;
            let behind = ["eq null", " gt ", "ge datetimeoffset'2025-01-01T00:00:00.001Z'"]
                .iter()
                .any(|part| filter.contains(part));
            page(protocol, if behind { "" } else { &one })
        });
        let sap = connect(config, &transport);
        let first = read(&sap, ReadRequest::incremental("Items")).await;
        assert_eq!(keys(&first), ["0001"]);
        let asked = transport.sent().len();
        let again = read(&sap, ReadRequest::incremental("Items").with_cursor(last_cursor(&first))).await;
        assert_eq!(keys(&again), ["0001"], "it may have been committed late");
        assert_eq!(query(&transport, asked, "$filter").unwrap(), format!("LastChangeDateTime ge {earlier}"));
    }
}

#[tokio::test]
async fn every_request_carries_client_and_language_once() {
    let next = |token: u8, extra: &str| {
        Reply::json(
            200,
            format!(r#"{{"value":[{{"K0":"a"}}],"@odata.nextLink":"Items?$skiptoken={token}{extra}"}}"#),
        )
    };
    let transport = script(Protocol::V4, [next(1, "&sap-client=100"), next(2, ""), page(Protocol::V4, "")]);
    let mut config = config(Protocol::V4);
    config.keyset = false;
    config.client = Some("100".into());
    config.language = Some("EN".into());
    read(&connect(config, &transport), ReadRequest::full("Items")).await;
    assert_eq!(transport.sent().len(), 4);
    for sent in transport.sent() {
        let url = sent.path_and_query();
        assert_eq!(url.matches("sap-client=100").count(), 1, "{url}");
        assert_eq!(url.matches("sap-language=EN").count(), 1, "{url}");
    }
}

#[tokio::test]
async fn a_next_link_is_moved_to_our_origin_where_the_config_says_so() {
    let link = "http://internal:8000/odata/SRV/Items?$skiptoken=1%2C2";
    let first = Reply::json(200, format!(r#"{{"d":{{"results":[{{"K0":"a"}}],"__next":"{link}"}}}}"#));
    for swap in [true, false] {
        let transport = script(Protocol::V2, [first.clone(), page(Protocol::V2, r#"{"K0":"b"}"#)]);
        let mut config = config(Protocol::V2);
        config.keyset = false;
        config.swap_next_origin = swap;
        let (all, error) = events(&connect(config, &transport), ReadRequest::full("Items")).await;
        let sent = transport.sent();
        if swap {
            assert_eq!(keys(&all), ["a", "b"]);
            assert_eq!(sent[2].request.url().as_str(), format!("{BASE}/Items?$skiptoken=1%2C2"));
        } else {
            assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
            assert_eq!(sent.len(), 2, "credentials go nowhere else");
        }
    }
}

#[tokio::test]
async fn records_come_as_a_type_of_the_hosts() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Item {
        #[serde(rename = "K0")]
        key: String,
    }
    let one = Reply::json(200, r#"{"d":{"K0":"0001","__metadata":{"uri":"y"}}}"#);
    let transport = script(
        Protocol::V2,
        [one, page(Protocol::V2, r#"{"K0":"0002"}"#), page(Protocol::V2, ""), Reply::new(200, "7")],
    );
    let (sap, cx) = (connect(config(Protocol::V2), &transport), Context::new());
    let items = sap.entity_set("Items");
    assert_eq!(items.get::<Item>(&cx, "0001").await.unwrap(), Item { key: "0001".into() });
    let found: Vec<_> = items.clone().filter("K0", Compare::Gt, "0001").read::<Item>(&cx).collect().await;
    assert_eq!(found.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Item { key: "0002".into() }]);
    assert_eq!(items.count(&cx).await.unwrap(), 7);
}

#[tokio::test]
async fn writing_says_that_it_cannot() {
    let sap = connect(config(Protocol::V4), &ScriptedTransport::new([]));
    let batch = Batch::from_records("Items", ["{}"]).unwrap();
    let request = WriteRequest::new(WriteMode::Upsert, batch);
    let error = sap.write(&Context::new(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
