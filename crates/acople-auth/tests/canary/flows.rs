//! Connecting, the code for another screen, revoking: the flows around a provider, against a vendor that echoes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use acople_auth::{ClientStyle, Connect, DeviceFlow, OAuthApp, OAuthClient, PendingConnect};
use acople_core::{ErrorKind, Resources, Result};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::capture::{Capture, Heard};
use crate::echo::{ANSWERS, TOKEN_URL, answer, echo};
use crate::kinds::{Keys, store};
use crate::search::{CANARY, Canaries, OTHER, texts};
use crate::watched::Host;

const AUTHORIZE: &str = "https://login.example.com/authorize";
const REDIRECT: &str = "https://host.example/oauth/callback";
const SESSION: &str = "c4nary-s3ssion-of-the-user";
const DEVICE_URL: &str = "https://login.example.com/device_authorization";

/// The authorization code and the device's code.
const CODE: &str = "c4nary-c0de+89/ab=";

/// How a client says who it is.
const STYLES: [ClientStyle; 2] = [ClientStyle::Body, ClientStyle::Basic];

fn app(style: ClientStyle, resources: &Resources) -> OAuthApp {
    let client = OAuthClient { id: "app".into(), secret: Some(CANARY.into()), style };
    OAuthApp::new("example", TOKEN_URL, client, resources)
        .unwrap()
        .scope("read")
        .token_param("pin", OTHER)
        .unwrap()
        .revocation_url("https://login.example.com/oauth/revoke")
        .unwrap()
}

fn canaries() -> Canaries {
    Canaries::with([CODE, SESSION])
}

fn resources(host: &Host, reply: impl Fn(&Sent) -> Reply + Send + Sync + 'static) -> Resources {
    let transport = ScriptedTransport::function(move |sent, _| reply(sent));
    host.watching(Resources::new(Arc::new(transport)).with_tokens(store()))
}

#[track_caller]
fn assert_none(canaries: &Canaries, what: &str, said: &str, heard: &Heard, host: &Host) {
    let (signals, metrics, snapshot) = (host.take_signals(), host.metered.text(), host.snapshot());
    canaries.assert_none(
        what,
        &[
            ("texts", said),
            ("spans", &heard.spans),
            ("events", &heard.events),
            ("panics", &heard.panics),
            ("signals", &signals),
            ("metrics", &metrics),
            ("snapshot", &snapshot),
        ],
    );
}

/// The member of what the session keeps: the verifier, the state.
fn kept(pending: &PendingConnect, member: &str) -> String {
    serde_json::to_value(pending).unwrap()[member].as_str().unwrap().to_owned()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A token answer with an id token whose every claim is a canary.
fn with_id_token() -> Reply {
    let claims = json!({"iss": CANARY, "sub": OTHER, "aud": CANARY, "exp": 1, "nonce": OTHER}).to_string();
    let id_token = format!("e30.{}.{OTHER}", URL_SAFE_NO_PAD.encode(claims));
    Reply::json(
        200,
        json!({"access_token": OTHER, "refresh_token": CANARY, "id_token": id_token}).to_string(),
    )
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_connecting_an_account_shows_no_code_verifier_or_token() {
    let capture = Capture::begin();
    let host = Host::new();
    let (mut connected, mut failed) = (0, 0);
    for number in 0..=ANSWERS {
        for style in STYLES {
            for login in [false, true] {
                let reply = move |sent: &Sent| {
                    if number == ANSWERS { with_id_token() } else { answer(number, sent) }
                };
                let connect = Connect::new(app(style.clone(), &resources(&host, reply)), AUTHORIZE, REDIRECT);
                let mut connect = connect.unwrap();
                if login {
                    connect = connect.openid();
                }
                let (url, pending) = connect.begin(SESSION).unwrap();
                let mut canaries = canaries();
                canaries.add(&kept(&pending, "verifier"));
                let mut said =
                    format!("{url} {connect:?} {connect:#?} {pending:?} {pending:#?} {:?}", connect.app());
                let callback = format!("{REDIRECT}?state={}&code={}", pending.state(), encoded(CODE));
                let outcome: Result<String> = if login && number % 2 == 0 {
                    connect
                        .redeem(SESSION, pending, &callback)
                        .await
                        .map(|tokens| format!("{tokens:?} {tokens:#?}"))
                } else {
                    connect
                        .complete(SESSION, pending, &callback)
                        .await
                        .map(|auth| format!("{auth:?} {auth:#?}"))
                };
                match outcome {
                    Ok(text) => {
                        connected += 1;
                        said.push_str(&text);
                    }
                    Err(error) => {
                        failed += 1;
                        said.push_str(&texts(&error));
                    }
                }
                let heard = capture.take();
                assert_none(&canaries, &format!("answer {number}, login: {login}"), &said, &heard, &host);
                assert!(heard.span_names["acople.call"] >= 1, "{heard:?}");
            }
        }
    }
    // The good answer without an id token, and the one with an id token that nobody asked for or that is kept as it is.
    assert!(connected >= 4 && failed > 100, "{connected} and {failed}");
}

#[tokio::test(start_paused = true)]
async fn sec_03_a_callback_that_echoes_is_quoted_without_secrets() {
    let capture = Capture::begin();
    let host = Host::new();
    let mut quoted = 0;
    let codes = ["access_denied", "invalid_scope", "server_error", "login_required", "other", CANARY, CODE];
    for code in codes {
        for damaged in [false, true] {
            let connect = Connect::new(
                app(ClientStyle::Body, &resources(&host, |sent| answer(1, sent))),
                AUTHORIZE,
                REDIRECT,
            )
            .unwrap();
            let (_, pending) = connect.begin(SESSION).unwrap();
            let mut canaries = canaries();
            canaries.add(&kept(&pending, "verifier"));
            let said = format!("sent {CODE} with {CANARY} and {OTHER} and {}", kept(&pending, "verifier"));
            let mut callback = format!(
                "{REDIRECT}?state={}&code={}&error={}&error_description={}",
                pending.state(),
                encoded(CODE),
                encoded(code),
                encoded(&said),
            );
            if damaged {
                write!(callback, "&code={}", encoded(CODE)).unwrap();
            }
            let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
            quoted += usize::from(error.message().contains("sent "));
            assert_none(&canaries, &format!("{code}, {damaged}"), &texts(&error), &capture.take(), &host);
        }
    }
    assert_eq!(quoted, codes.len(), "the vendor's words are quoted");
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_the_device_flow_shows_no_code_or_token() {
    let capture = Capture::begin();
    let (host, canaries) = (Host::new(), canaries());
    let (mut begun, mut failed) = (0, 0);
    for number in 0..ANSWERS {
        for style in STYLES {
            // The same answer to the first request, or to the polls after a good one.
            for begins in [false, true] {
                let reply = move |sent: &Sent| {
                    if sent.request.url().path() == "/device_authorization" && begins {
                        let code = json!({"device_code": CODE, "user_code": "WDJB-MJHT", "interval": 5, "expires_in": 60,
                            "verification_uri": "https://login.example.com/device"});
                        return Reply::json(200, code.to_string());
                    }
                    answer(number, sent)
                };
                let flow = DeviceFlow::new(app(style.clone(), &resources(&host, reply)), DEVICE_URL).unwrap();
                let mut said = format!("{flow:?} {flow:#?}");
                let outcome = match flow.begin().await {
                    Ok(code) => {
                        begun += 1;
                        write!(said, "{code:?} {code:#?}").unwrap();
                        flow.wait(code).await.map(|auth| format!("{auth:?} {auth:#?}"))
                    }
                    Err(error) => Err(error),
                };
                failed += usize::from(outcome.is_err());
                said.push_str(&outcome.unwrap_or_else(|error| texts(&error)));
                let heard = capture.take();
                assert_none(&canaries, &format!("answer {number}, {begins}"), &said, &heard, &host);
                assert!(heard.span_names["acople.call"] >= 1, "{heard:?}");
            }
        }
    }
    assert_eq!(begun, ANSWERS * STYLES.len(), "the good ones");
    assert!(failed > begun, "{failed}");
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_revoking_shows_no_token() {
    let capture = Capture::begin();
    let (host, keys) = (Host::new(), Keys::new());
    let canaries = keys.canaries();
    let (mut revoked, mut refused) = (0, 0);
    for (name, make) in keys.providers() {
        for number in 0..=ANSWERS {
            let reply = move |sent: &Sent| match sent.request.url().path() {
                // Then the other token is tried.
                "/oauth/revoke" if number == ANSWERS => {
                    let error = json!({"error": "unsupported_token_type", "error_description": echo(sent)});
                    Reply::json(400, error.to_string())
                }
                "/oauth/revoke" => answer(number, sent),
                _ => answer(0, sent),
            };
            let resources = resources(&host, reply);
            let Some(auth) = make(&resources).oauth2 else { break };
            let token = auth.kept("none").await;
            assert!(token.is_ok(), "{name}: {token:?}");
            capture.take();
            let outcome = auth.revoke().await;
            match &outcome {
                Ok(()) => revoked += 1,
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}");
                    refused += 1;
                }
            }
            let said = format!("{auth:?} {}", outcome.as_ref().err().map(texts).unwrap_or_default());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let heard = capture.take();
            assert_none(&canaries, &format!("{name}, answer {number}"), &said, &heard, &host);
            assert!(heard.span_names["acople.call"] >= 1, "{heard:?}");
        }
    }
    assert!(revoked >= 8 && refused > 100, "{revoked} and {refused}");
}
