//! What arrives is what was asked for.

use acople_core::Context;
use acople_http::{Call, RetryPolicy};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};

use super::client;

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let script = Script::new().read_request().answer(HttpAnswer::json(200, r#"{"ok":true}"#));
    let server = FaultServer::start(script).await.unwrap();
    let call = Call::post("create").path(["v1", "things"]).query("dry", true).raw_json(r#"{"a":1}"#);
    let answer = client(&server.url(), RetryPolicy::default()).send(&Context::new(), &call).await.unwrap();
    assert_eq!(answer.body(), br#"{"ok":true}"#);
    let request = &server.requests()[0];
    assert_eq!((request.method(), request.target()), ("POST", "/v1/things?dry=true"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body(), br#"{"a":1}"#);
    assert!(request.header("user-agent").unwrap().starts_with("acople/"));
}

#[tokio::test]
async fn a_write_without_a_body_says_so() {
    // RFC 9110, 8.6: some servers answer 411 otherwise.
    let server = FaultServer::start(Script::new().read_request().answer(HttpAnswer::new(204))).await.unwrap();
    client(&server.url(), RetryPolicy::none()).send(&Context::new(), &Call::post("start")).await.unwrap();
    assert_eq!(server.requests()[0].header("content-length"), Some("0"));
}
