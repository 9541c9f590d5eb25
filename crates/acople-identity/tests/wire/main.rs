//! Key sets over real sockets that behave badly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use acople_core::{ErrorKind, Resources, Secret};
use acople_http::{HttpTransport, Settings, Timeouts, TransportConfig};
use acople_identity::{Jwks, JwksConfig, JwtAlgorithm, JwtConfig, JwtVerifier};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};

/// RFC 8037, A.2, and a token of it (A.4) whose payload is no claims: that is found when its signature is good.
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn verifier(url: &str, times: Duration) -> JwtVerifier {
    let transport = HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap();
    let settings = Settings::default().with_timeouts(Timeouts::new(times, times));
    let resources = Resources::new(Arc::new(transport)).with_extension(settings);
    let keys = Jwks::new(JwksConfig::new(format!("{url}/keys")), &resources).unwrap();
    JwtVerifier::new(JwtConfig::new("joe", "us", [JwtAlgorithm::EdDsa]), keys).unwrap()
}

async fn kind_and_message(scripts: Vec<Script>) -> (ErrorKind, String, usize) {
    let server = FaultServer::start(scripts).await.unwrap();
    let verifier = verifier(server.url().as_str().trim_end_matches('/'), Duration::from_secs(3));
    let error = verifier.verify(&Secret::from(TOKEN)).await.unwrap_err();
    (error.kind(), error.message().to_owned(), server.requests().len())
}

fn answer(answer: HttpAnswer) -> Script {
    Script::new().read_request().answer(answer)
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let scripts = vec![
        Script::new().read_request().reset(),
        answer(HttpAnswer::json(200, KEYS).announce(5000)),
        answer(HttpAnswer::json(200, KEYS)),
    ];
    let (kind, message, requests) = kind_and_message(scripts).await;
    assert_eq!((kind, message.as_str(), requests), (ErrorKind::Reauth, "the token's payload is not JSON", 3));
}

#[tokio::test]
async fn a_set_without_an_end_is_cut_off() {
    let endless = HttpAnswer::json(200, format!("{{\"pad\":\"{}", "x".repeat(2 << 20)));
    let (kind, _, requests) = kind_and_message(vec![answer(endless)]).await;
    assert_eq!((kind, requests), (ErrorKind::TooLarge, 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FaultServer::start([answer(HttpAnswer::json(200, KEYS))]).await.unwrap();
    let redirect = HttpAnswer::new(302).header("location", elsewhere.url().as_str());
    let (kind, _, _) = kind_and_message(vec![answer(redirect)]).await;
    assert!(matches!(kind, ErrorKind::Protocol | ErrorKind::Config), "{kind}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_nobody_up_for_long() {
    let server =
        FaultServer::start([Script::new().read_request().stall(Duration::from_secs(20))]).await.unwrap();
    let verifier = verifier(server.url().as_str().trim_end_matches('/'), Duration::from_millis(300));
    let token = Secret::from(TOKEN);
    let waiting = verifier.verify(&token);
    let error = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Transient), "{error}");
}
