use std::sync::Arc;
use std::time::Duration;

use acople_auth::{ClientStyle, DeviceFlow, OAuth2, OAuthApp, OAuthClient};
use acople_core::{Progress, Resources, Result, TokenStore, WireFault};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{Reply, ScriptedTransport};

use crate::vendor::{TOKEN_URL, authorization};

const CODE: &str = r#"{"device_code":"dev-c0de","user_code":"WDJB-MJHT","verification_uri":"https://login.example.com/device",
    "verification_uri_complete":"https://login.example.com/device?user_code=WDJB-MJHT","expires_in":1800,"interval":5}"#;
const GRANTED: &str = r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600}"#;

fn says(code: &str) -> Reply {
    Reply::json(400, format!(r#"{{"error":"{code}"}}"#))
}

async fn run(replies: Vec<Reply>) -> (Result<OAuth2>, ScriptedTransport, Resources) {
    let transport = ScriptedTransport::new(replies);
    let resources = Resources::new(Arc::new(transport.clone())).with_tokens(Arc::new(MemoryStore::new()));
    let client = OAuthClient { id: "tv-app".into(), secret: None, style: ClientStyle::Body };
    let app = OAuthApp::new("example", TOKEN_URL, client, &resources).unwrap().scope("read");
    let flow = DeviceFlow::new(app, "https://login.example.com/device_authorization").unwrap();
    let code = flow.begin().await.unwrap();
    assert_eq!(code.user_code, "WDJB-MJHT");
    assert!(!format!("{code:?}").contains("dev-c0de"));
    (flow.wait(code).await, transport, resources)
}

/// Seconds between the polls, from the first answer on.
fn pauses(transport: &ScriptedTransport) -> Vec<u64> {
    let sent = transport.sent();
    sent.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn auth_15_the_interval_grows_by_five_seconds_at_each_slow_down() {
    let (auth, transport, resources) = run(vec![
        Reply::json(200, CODE),
        says("authorization_pending"),
        says("slow_down"),
        says("authorization_pending"),
        Reply::json(429, r#"{"error":"slow_down"}"#),
        says("authorization_pending"),
        Reply::json(200, GRANTED),
    ])
    .await;
    assert_eq!(pauses(&transport), [5, 5, 10, 10, 15, 15]);
    let sent = transport.sent();
    assert_eq!(sent[0].body(), "client_id=tv-app&scope=read");
    assert_eq!(
        sent[1].body(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=dev-c0de&client_id=tv-app"
    );
    assert_eq!(authorization(&auth.unwrap()).await.unwrap(), "Bearer at-1");
    let store = resources.tokens.clone().unwrap();
    let (tokens, _) = TokenStore::load(&*store, &resources.connection_key("example")).await.unwrap().unwrap();
    assert_eq!(tokens.refresh.unwrap().expose(), "rt-1");
}

#[tokio::test(start_paused = true)]
async fn auth_15_the_flow_stops_at_the_two_terminal_codes() {
    use acople_core::ErrorKind::{Permission, Reauth};
    for (code, kind) in [("expired_token", Reauth), ("access_denied", Permission)] {
        let replies = vec![Reply::json(200, CODE), says("authorization_pending"), says(code)];
        let (auth, transport, _) = run(replies).await;
        let error = auth.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
        assert!(!error.to_string().contains("dev-c0de"));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(transport.sent().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn auth_15_nothing_is_asked_after_the_end_of_the_code() {
    let transport = ScriptedTransport::function(|_, number| match number {
        0 => Reply::json(200, CODE.replace("1800", "62")),
        _ => says("authorization_pending"),
    });
    let resources = Resources::new(Arc::new(transport.clone()));
    let client = OAuthClient { id: "tv-app".into(), secret: None, style: ClientStyle::Body };
    let app = OAuthApp::new("example", TOKEN_URL, client, &resources).unwrap();
    let flow = DeviceFlow::new(app, "https://login.example.com/device_authorization").unwrap();
    let begun = tokio::time::Instant::now();
    let error = flow.wait(flow.begin().await.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Some("expired_token"));
    assert_eq!((begun.elapsed().as_secs(), transport.sent().len()), (62, 13));
}

#[tokio::test(start_paused = true)]
async fn auth_15_a_poll_that_is_lost_doubles_the_interval() {
    let (auth, transport, _) = run(vec![
        Reply::json(200, CODE),
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        says("authorization_pending"),
        Reply::json(200, GRANTED),
    ])
    .await;
    auth.unwrap();
    assert_eq!(pauses(&transport), [5, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_code_is_a_protocol_error_that_quotes_nothing() {
    for body in [
        "<html>dev-c0de</html>",
        r#"{"device_code":"dev-c0de"}"#,
        r#"{"device_code":"dev-c0de","device_code":"x"}"#,
    ] {
        let transport = ScriptedTransport::new([Reply::json(200, body)]);
        let resources = Resources::new(Arc::new(transport));
        let client = OAuthClient { id: "tv-app".into(), secret: None, style: ClientStyle::Body };
        let app = OAuthApp::new("example", TOKEN_URL, client, &resources).unwrap();
        let flow = DeviceFlow::new(app, "https://login.example.com/device_authorization").unwrap();
        let error = flow.begin().await.unwrap_err();
        assert_eq!(error.kind(), acople_core::ErrorKind::Protocol, "{body}");
        assert!(!error.to_string().contains("dev-c0de"), "{error}");
    }
}
