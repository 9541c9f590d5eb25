//! Redirects, with credentials in every place where credentials can be.

use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, ErrorKind, Refresh, Request, Result, Secret};
use acople_http::{Call, Client, RetryPolicy};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};
use async_trait::async_trait;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};

use super::builder;

const CANARIES: [&str; 5] = ["canary-token", "canary-cookie", "canary-key", "canary-query", "canary-body"];

/// Credentials wherever vendors want them.
#[derive(Debug)]
struct Everywhere;

#[async_trait]
impl AuthProvider for Everywhere {
    async fn authorize(&self, _: &Context, request: &mut Request) -> Result<AuthStamp> {
        request.set_secret_header(AUTHORIZATION, "Bearer canary-token")?;
        request.set_secret_header(COOKIE, "session=canary-cookie")?;
        request.set_secret_header(HeaderName::from_static("x-api-key"), "canary-key")?;
        request.set_secret_query("api_key", Secret::from("canary-query".to_owned()));
        Ok(AuthStamp::default())
    }

    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<Refresh> {
        Ok(Refresh::Unsupported)
    }
}

fn client(server: &FaultServer) -> Client {
    builder(&server.url(), RetryPolicy::default()).auth(Arc::new(Everywhere)).build()
}

fn calls() -> [Call; 4] {
    let body = r#"{"password":"canary-body"}"#;
    [
        Call::get("read").path(["things"]),
        Call::post("create").path(["things"]).raw_json(body),
        Call::put("replace").path(["things", "7"]).raw_json(body),
        Call::delete("remove").path(["things", "7"]),
    ]
}

async fn redirecting(status: u16, to: &str) -> FaultServer {
    let answer = HttpAnswer::new(status).header("location", to);
    let once = Script::new().read_request().answer(answer);
    FaultServer::start(Script::new().repeat(100, once)).await.unwrap()
}

#[tokio::test]
async fn url_01_no_credential_follows_a_redirect() {
    let answer = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
    let other = FaultServer::start(answer).await.unwrap();
    let to_other = [other.url() + "/things?a=1", format!("//{}/things", other.addr()), other.url_as("https")];
    for status in [301, 302, 303, 307, 308] {
        for to in &to_other {
            let server = redirecting(status, to).await;
            let client = client(&server);
            for call in calls() {
                let error = client.send(&Context::new(), &call).await.unwrap_err();
                assert_eq!((error.kind(), error.status()), (ErrorKind::Protocol, Some(status)));
                let text = format!("{error:?} {error}");
                assert!(!CANARIES.iter().any(|canary| text.contains(canary)), "{text}");
                let download = client.download(&Context::new(), &call).await.unwrap_err();
                assert_eq!(download.kind(), ErrorKind::Protocol);
            }
            assert_eq!(server.requests().len(), 8, "each call is one request");
            let request = &server.requests()[2];
            let all = [request.head(), request.body()].concat();
            let all = String::from_utf8_lossy(&all);
            assert!(CANARIES.iter().all(|canary| all.contains(canary)), "{all}");
        }
    }
    assert_eq!(other.connections().len(), 0, "the second listener was not even asked");
}

#[tokio::test]
async fn url_02_a_loop_of_redirects_is_one_request() {
    for status in [301, 302, 303, 307, 308] {
        let server = redirecting(status, "/things").await;
        let error = client(&server).send(&Context::new(), &calls()[0]).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 1));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn url_02_a_write_is_not_sent_again_by_a_redirect() {
    for status in [307, 308] {
        for call in &calls()[1..] {
            let server = redirecting(status, "/v2/things").await;
            let error = client(&server).send(&Context::new(), call).await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 1));
            assert_eq!(server.requests().len(), 1, "exactly one");
        }
    }
}
