use std::sync::Arc;

use acople_auth::StaticAuth;
use acople_core::{AuthProvider, AuthStamp, Context, ErrorKind, Refresh, Request, Secret};
use acople_http::{Call, Client};
use acople_testkit::{Reply, ScriptedTransport};
use http::{HeaderName, Method};

use crate::vendor::{BASE, authorization};

fn secret() -> Secret {
    Secret::from("k3y-0123456789")
}

async fn signed(auth: &StaticAuth) -> Request {
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    request
}

#[tokio::test]
async fn each_family_puts_its_credentials_where_they_belong() {
    assert_eq!(authorization(&StaticAuth::bearer(secret())).await.unwrap(), "Bearer k3y-0123456789");
    assert_eq!(authorization(&StaticAuth::scheme("Token", secret())).await.unwrap(), "Token k3y-0123456789");
    // RFC 7617, section 2.1: "test" and "123£" in UTF-8.
    let basic = StaticAuth::basic("test", &Secret::from("123£"));
    assert_eq!(authorization(&basic).await.unwrap(), "Basic dGVzdDoxMjPCow==");
    let key_as_user = StaticAuth::basic("k3y", &Secret::default());
    assert_eq!(authorization(&key_as_user).await.unwrap(), "Basic azN5Og==");

    let header = signed(&StaticAuth::header(HeaderName::from_static("x-api-key"), secret())).await;
    assert_eq!(header.headers()["x-api-key"], "k3y-0123456789");
    assert!(header.headers()["x-api-key"].is_sensitive());
}

#[tokio::test]
async fn sec_02_a_key_in_the_query_is_on_the_wire_only() {
    let request = signed(&StaticAuth::query("api key", secret())).await;
    assert_eq!(request.url().query(), None);
    assert!(!format!("{request:?}").contains("k3y"));
    let (_, on_the_wire, _, _) = request.into_parts();
    assert_eq!(on_the_wire.query(), Some("api+key=k3y-0123456789"));
}

#[tokio::test]
async fn signing_again_replaces_what_the_attempt_before_had() {
    let auth = StaticAuth::bearer(secret());
    let mut request = signed(&auth).await;
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    assert_eq!(request.headers().get_all("authorization").iter().count(), 1);
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(401, "{}"));
    let auth = StaticAuth::bearer(secret());
    assert_eq!(auth.refresh(&Context::new(), AuthStamp(0)).await.unwrap(), Refresh::Unsupported);
    let client = Client::builder(BASE, Arc::new(transport.clone())).unwrap().auth(Arc::new(auth)).build();
    let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test]
async fn credentials_that_cannot_be_sent_are_config_errors_that_do_not_repeat_them() {
    for auth in [
        StaticAuth::bearer(Secret::default()),
        StaticAuth::bearer(Secret::from("k3y\r\nX-Evil: 1")),
        StaticAuth::header(HeaderName::from_static("x-api-key"), Secret::default()),
        StaticAuth::query("key", Secret::default()),
        StaticAuth::basic("us:er", &Secret::from("k3y")),
        StaticAuth::basic("user", &Secret::from("k3y\n")),
    ] {
        let mut request = Request::new(Method::GET, BASE.parse().unwrap());
        let error = auth.authorize(&Context::new(), &mut request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.fields().is_empty());
        assert!(!format!("{error} {error:?} {auth:?}").contains("k3y"));
    }
}
