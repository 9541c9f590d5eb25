//! Refusals and warnings in SAP's own way.

use std::time::Duration;

use acople_core::{Connector, Context, ErrorKind, Event, ReadRequest};
use acople_sap::Protocol;
use acople_testkit::{Reply, ScriptedTransport};

use crate::{config, connect, events, keys, last_cursor, page, read, script};

async fn refused(reply: Reply) -> acople_core::Error {
    let replies = std::iter::repeat_n(reply, 3);
    connect(config(Protocol::V4), &ScriptedTransport::new(replies)).check(&Context::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_refusal_tells_message_code_and_fields() {
    let error = refused(Reply::json(
        400,
        r#"{"error":{"code":"/IWBEP/CM_MGW_RT/020","message":{"lang":"en","value":"Resource not valid"},
        "innererror":{"transactionid":"5F1A","errordetails":[
        {"code":"A","message":"Country is missing","severity":"error","target":"Country"}]}}}"#,
    ))
    .await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some("/IWBEP/CM_MGW_RT/020")));
    assert_eq!(error.message(), "Resource not valid; Country is missing");
    assert_eq!((error.request_id(), error.fields()), (Some("5F1A"), &["Country".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn a_business_lock_goes_away_by_itself() {
    for (status, message, kind) in [
        (400, "Order 17 is locked by user MEIER", ErrorKind::Transient),
        (400, "Material 4711 is locked", ErrorKind::Transient),
        (400, "Order 17 is blocked", ErrorKind::Invalid),
        (403, "User MEIER is locked", ErrorKind::Permission),
    ] {
        let body = format!(r#"{{"error":{{"code":"R1/5","message":"{message}"}}}}"#);
        assert_eq!(refused(Reply::json(status, body)).await.kind(), kind, "{message}");
    }
    let locked =
        Reply::json(400, r#"{"error":{"code":"R1/5","message":"Order 17 is locked by user MEIER"}}"#);
    let transport =
        script(Protocol::V4, [locked, page(Protocol::V4, r#"{"K0":"a"}"#), page(Protocol::V4, "")]);
    let all = read(&connect(config(Protocol::V4), &transport), ReadRequest::full("Items")).await;
    assert_eq!(keys(&all), ["a"]);
    let sent = transport.sent();
    assert!(sent[2].at > Duration::ZERO && sent[2].path_and_query() == sent[1].path_and_query());
}

#[tokio::test]
async fn a_password_that_a_service_echoes_is_taken_out() {
    let error = refused(Reply::json(
        400,
        r#"{"error":{"code":"X","message":"bad header Basic cmVhZGVyOnMzY3JldC1wYXNz"}}"#,
    ))
    .await;
    assert!(!format!("{error} {error:?}").contains("cmVhZGVyOnMzY3JldC1wYXNz"));
}

#[tokio::test]
async fn credentials_that_end_in_mid_read_leave_the_last_checkpoint() {
    let transport = script(
        Protocol::V4,
        [
            page(Protocol::V4, r#"{"K0":"a"}"#),
            Reply::new(401, "Unauthorized").header("www-authenticate", "Basic realm=\"Users\""),
            page(Protocol::V4, r#"{"K0":"b"}"#),
            page(Protocol::V4, ""),
        ],
    );
    let sap = connect(config(Protocol::V4), &transport);
    let (all, error) = events(&sap, ReadRequest::full("Items")).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Reauth, Some(401)));
    assert_eq!(transport.sent().len(), 3, "a password that was refused is not tried again");
    let rest = read(&sap, ReadRequest::full("Items").with_cursor(last_cursor(&all))).await;
    assert_eq!(keys(&rest), ["b"]);
}

#[tokio::test]
async fn what_a_service_says_beside_a_success_becomes_a_warning_once() {
    let note = r#"{"code":"Z/1","message":"Data is from\tyesterday","severity":"warning","details":[]}"#;
    let info = r#"{"code":"Z/2","message":"hello","severity":"info"}"#;
    let transport = script(
        Protocol::V4,
        [
            page(Protocol::V4, r#"{"K0":"a"}"#).header("sap-message", note),
            page(Protocol::V4, r#"{"K0":"b"}"#).header("sap-message", note),
            page(Protocol::V4, r#"{"K0":"c"}"#).header("sap-message", "{broken"),
            page(Protocol::V4, "").header("sap-message", info),
        ],
    );
    let all = read(&connect(config(Protocol::V4), &transport), ReadRequest::full("Items")).await;
    let warnings: Vec<&String> =
        all.iter().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect();
    assert_eq!(warnings, [r"Data is from\u{9}yesterday"]);
}
