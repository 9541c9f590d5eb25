//! Error bodies of both versions.

use acople_core::{Context, ErrorKind};
use acople_odata::Protocol;
use acople_testkit::{Reply, ScriptedTransport};

use crate::imitation::{connect, options};

async fn refused(reply: Reply) -> acople_core::Error {
    let replies = std::iter::repeat_n(reply, 3);
    connect(options(Protocol::V4), &ScriptedTransport::new(replies)).check(&Context::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_v4_error_tells_message_code_and_target() {
    let error = refused(Reply::json(400, r#"{"error":{"message":"Value x is not a valid Boolean","code":"ASSERT_DATA_TYPE",
        "target":"IsBlocked","@Common.numericSeverity":4,"details":[{"code":"A","message":"and more","target":"Other"}]}}"#)).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.message(), "Value x is not a valid Boolean; and more");
    assert_eq!(error.code(), Some("ASSERT_DATA_TYPE"));
    assert_eq!(error.fields(), ["IsBlocked", "Other"]);
    assert_eq!(error.status(), Some(400));
}

#[tokio::test]
async fn a_v2_error_has_its_message_in_an_object_and_its_details_inside() {
    let error = refused(Reply::json(
        400,
        r#"{"error":{"code":"/IWBEP/CM_MGW_RT/020","message":{"lang":"en","value":"Resource not valid"},
        "innererror":{"transactionid":"5F1A","timestamp":"2025","errordetails":[
        {"code":"A","message":"Country is missing","severity":"error","target":"Country"},
        {"code":"B","message":{"lang":"en","value":"Name is missing"},"target":"/#TRANSIENT#/Name"},
        {"code":"C","message":"Resource not valid","target":"/#TRANSIENT#"}]}}}"#,
    ))
    .await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.message(), "Resource not valid; Country is missing; Name is missing");
    assert_eq!(error.code(), Some("/IWBEP/CM_MGW_RT/020"));
    assert_eq!(error.request_id(), Some("5F1A"));
    assert_eq!(error.fields(), ["Country", "Name"]);
}

#[tokio::test]
async fn an_error_in_xml_is_read_too() {
    let body = r#"<?xml version="1.0"?><error xmlns="urn:m"><code>005056A509B11EE1</code><message xml:lang="en">No service found</message></error>"#;
    let error = refused(Reply::new(403, body).header("content-type", "application/xml")).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::Permission, "No service found"));
    assert_eq!(error.code(), Some("005056A509B11EE1"));
}

#[tokio::test(start_paused = true)]
async fn the_status_decides_where_the_body_says_nothing() {
    for (status, body, kind) in [
        (401, "Unauthorized", ErrorKind::Reauth),
        (403, "", ErrorKind::Permission),
        (404, r#"{"error":{"code":"404","message":"Not Found"}}"#, ErrorKind::NotFound),
        (400, r#"{"error":{"code":42}}"#, ErrorKind::Invalid),
        (400, "{broken", ErrorKind::Invalid),
        (412, "{}", ErrorKind::Conflict),
        (429, "{}", ErrorKind::RateLimited),
        (500, r#"{"error":{"code":"500","message":"dump"}}"#, ErrorKind::Transient),
        (501, r#"{"error":{"code":"501","message":"no $orderby"}}"#, ErrorKind::Invalid),
        (503, "", ErrorKind::Transient),
        (302, "", ErrorKind::Protocol),
    ] {
        assert_eq!(refused(Reply::new(status, body)).await.kind(), kind, "{status} {body}");
    }
}
