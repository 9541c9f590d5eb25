//! What the vendor says is not shown as it is: it may hold credentials.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, Error, ErrorKind, Refresh, Request, Result};
use acople_http::{Answer, Call, Classifier, Client, ClientBuilder};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use http::header::AUTHORIZATION;

#[derive(Debug)]
struct Token;

#[async_trait]
impl AuthProvider for Token {
    async fn authorize(&self, _: &Context, request: &mut Request) -> Result<AuthStamp> {
        request.set_secret_header(AUTHORIZATION, "Bearer secret-token-0")?;
        Ok(AuthStamp::default())
    }

    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<Refresh> {
        Ok(Refresh::Unsupported)
    }
}

/// Quotes the vendor.
#[derive(Debug)]
struct Quotes;

impl Classifier for Quotes {
    fn classify(&self, answer: &Answer) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, String::from_utf8_lossy(answer.body())))
    }
}

fn builder(transport: &ScriptedTransport) -> ClientBuilder {
    Client::builder("https://api.example.com/base/", Arc::new(transport.clone())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sec_03_a_vendor_that_echoes_the_token_as_base64_or_hex_does_not_get_it_into_the_error_either() {
    for encoded in ["c2VjcmV0LXRva2VuLTA", "7365637265742d746f6b656e2d30"] {
        let transport =
            ScriptedTransport::new([Reply::json(200, format!(r#"{{"error":"bad {encoded} here"}}"#))]);
        let client = builder(&transport).classifier(Quotes).auth(Arc::new(Token)).build();
        let error = client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap_err();
        assert!(error.message().contains("bad [redacted]"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec_01_an_answer_is_shown_without_the_vendors_words() {
    let reply = || Reply::json(200, r#"{"access_token":"canary-1"}"#).header("set-cookie", "canary-2");
    let transport = ScriptedTransport::new([reply(), reply()]);
    let (client, call) = (builder(&transport).build(), Call::get("read").path(["x"]));
    let answer = client.send(&Context::new(), &call).await.unwrap();
    let download = client.download(&Context::new(), &call).await.unwrap();
    let shown = format!("{answer:?} {answer:#?} {download:?} {download:#?}");
    assert!(shown.contains("status: 200") && shown.contains("body: 27"), "{shown}");
    assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
}
