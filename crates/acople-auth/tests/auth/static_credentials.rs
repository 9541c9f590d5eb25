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

#[tokio::test]
async fn vendors_words_for_the_scheme_are_taken_as_they_are() {
    for scheme in ["Zoho-oauthtoken", "Token", "JWT", "OAuth"] {
        let header = authorization(&StaticAuth::scheme(scheme, secret())).await.unwrap();
        assert_eq!(header, format!("{scheme} k3y-0123456789"));
    }
}

#[tokio::test]
async fn two_keys_go_into_two_headers() {
    let pair = [
        (HeaderName::from_static("dd-api-key"), Secret::from("one")),
        (HeaderName::from_static("dd-application-key"), Secret::from("two")),
    ];
    let request = signed(&StaticAuth::headers(pair)).await;
    assert_eq!(request.headers()["dd-api-key"], "one");
    assert_eq!(request.headers()["dd-application-key"], "two");
    let one_empty = [
        (HeaderName::from_static("dd-api-key"), Secret::from("one")),
        (HeaderName::from_static("dd-application-key"), Secret::default()),
    ];
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    let error = StaticAuth::headers(one_empty).authorize(&Context::new(), &mut request).await.unwrap_err();
    assert_eq!(error.fields(), ["dd-application-key"]);
    assert!(request.headers().is_empty(), "half of the credentials is none");
}

#[tokio::test]
async fn basic_takes_a_key_as_user_and_an_email_with_its_token() {
    assert_eq!(
        authorization(&StaticAuth::key_as_user(&Secret::from("k3y"))).await.unwrap(),
        "Basic azN5Og=="
    );
    // jdoe@example.com/token:6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv, the vendor's own example.
    let token = Secret::from("6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv");
    assert_eq!(
        authorization(&StaticAuth::email_token("jdoe@example.com", &token)).await.unwrap(),
        "Basic amRvZUBleGFtcGxlLmNvbS90b2tlbjo2d2lJQldiR2tCTW8xbVJETXVWd2t3MUVQc05rZVVqOTVQSXoyYWt2"
    );
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    for auth in [StaticAuth::key_as_user(&Secret::default()), StaticAuth::email_token("", &token)] {
        let error = auth.authorize(&Context::new(), &mut request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_key_in_the_body_leaves_the_rest_of_the_body_alone() {
    let sign = |auth: StaticAuth, kind: &'static str, body: &'static str| async move {
        let mut request = Request::new(Method::POST, BASE.parse().unwrap());
        if !kind.is_empty() {
            request.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
        }
        request.set_body(body);
        for _ in 0..2 {
            auth.authorize(&Context::new(), &mut request).await?;
        }
        let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
        Ok::<_, acople_core::Error>((kind, String::from_utf8(request.body().to_vec()).unwrap()))
    };
    let json = || StaticAuth::json("/key", secret());
    let form = || StaticAuth::form("api key", secret());
    let (_, body) = sign(json(), "application/json", r#"{"amount": 10.00}"#).await.unwrap();
    assert_eq!(body, r#"{"key":"k3y-0123456789","amount": 10.00}"#);
    let (kind, body) = sign(json(), "", "").await.unwrap();
    assert_eq!((kind.as_str(), body.as_str()), ("application/json", r#"{"key":"k3y-0123456789"}"#));
    let (_, body) = sign(form(), "application/x-www-form-urlencoded", "a=b+c").await.unwrap();
    assert_eq!(body, "a=b+c&api+key=k3y-0123456789");
    let (kind, _) = sign(form(), "", "").await.unwrap();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    for (auth, body) in [(json(), "[1]"), (StaticAuth::json("/a/key", secret()), "{}"), (form(), "{}")] {
        let error = sign(auth, "application/json", body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
    }
}
