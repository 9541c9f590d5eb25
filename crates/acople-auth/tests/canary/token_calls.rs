//! No secret of a token call in any text, whatever a token endpoint does.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::{ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuthClient, StaticAuth};
use acople_core::{Progress, Resources, Secret, WireFault};
use acople_http::{Call, Client};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{Reply, ScriptedTransport, Sent};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderName;

use crate::capture::Capture;
use crate::echo::{BASE, TOKEN_URL};
use crate::private_keys::TestKey;
use crate::search::texts;

const REFRESH: &str = "CANARY+rt/0123=";
const ROTATED: &str = "CANARY+rt/4567=";
const ACCESS: &str = "CANARY-at-0123";
const NEW_ACCESS: &str = "CANARY-at-4567";
const CLIENT_SECRET: &str = "CANARY cs&0123";
const PARAM: &str = "CANARY-pw-0123";
const KEY: &str = "CANARY-key-0123";

fn assert_clean(text: &str, what: &str) {
    let lower = text.to_lowercase();
    for canary in [REFRESH, ROTATED, ACCESS, NEW_ACCESS, CLIENT_SECRET, PARAM, KEY] {
        let form: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
        let percent = form.replace('+', "%20");
        let hex: String = canary.bytes().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        let forms =
            [canary.to_owned(), form, percent, STANDARD.encode(canary), URL_SAFE_NO_PAD.encode(canary), hex];
        for form in forms {
            assert!(!lower.contains(&form.to_lowercase()), "{what}: {canary} as {form} in {text}");
        }
    }
    assert!(!lower.contains("canary"), "{what}: part of a canary in {text}");
}

/// What a vendor may do to a token call; all of it echoes the whole request.
fn answers(sent: &Sent) -> Vec<Reply> {
    let form: Vec<_> = url::form_urlencoded::parse(sent.request.body()).into_owned().collect();
    let decoded: Vec<_> = form.iter().map(|(_, value)| value.as_str()).collect();
    let refresh = decoded.iter().find(|value| value.contains("rt")).copied().unwrap_or("none");
    let echo = format!(
        "you sent {} with {}, that is {} or {} or {}",
        sent.body(),
        sent.header("authorization").unwrap_or_default(),
        decoded.join(" "),
        decoded.iter().map(|value| STANDARD.encode(value)).collect::<Vec<_>>().join(" "),
        decoded.iter().map(|value| URL_SAFE_NO_PAD.encode(value)).collect::<Vec<_>>().join(" "),
    );
    let error = |code: &str| serde_json::json!({"error": code, "error_description": echo}).to_string();
    vec![
        Reply::json(
            200,
            format!(r#"{{"access_token":"{NEW_ACCESS}","refresh_token":"{ROTATED}","expires_in":60}}"#),
        ),
        Reply::json(400, error("invalid_grant")),
        Reply::json(401, error("invalid_client")),
        Reply::json(400, error("invalid_scope")),
        Reply::json(400, error(refresh)),
        Reply::json(429, error("slow_down")),
        Reply::json(400, error("temporarily_unavailable")),
        Reply::json(403, format!(r#"{{"message":"{echo}"}}"#)),
        Reply::json(500, error("whatever")),
        Reply::json(500, echo.clone()),
        Reply::json(400, echo.clone()),
        Reply::json(200, echo.clone()),
        Reply::json(200, format!(r#"{{"access_token":"{NEW_ACCESS} {echo}"}}"#)),
        Reply::json(200, format!(r#"{{"access_token":"{NEW_ACCESS}","access_token":"{ROTATED}"}}"#)),
        Reply::json(200, format!(r#"{{"access_token":"{NEW_ACCESS}","refresh_token":"{ROTATED}"#)),
        Reply::json(200, format!(r#"{{"access_token":"{NEW_ACCESS}","refresh_token":"{ROTATED}"}}"#))
            .truncated(),
        Reply::new(200, format!("<html>{echo}</html>")).header("content-type", "text/html"),
        Reply::json(302, "").header("location", &format!("https://evil.example/?{refresh}")),
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        Reply::fail(Progress::NotSent, WireFault::Tls),
        Reply::hang(),
    ]
}

fn provider(resources: &Resources, kind: usize, key: &TestKey) -> OAuth2 {
    let style = if kind == 0 { ClientStyle::Basic } else { ClientStyle::Body };
    let client = OAuthClient { id: "app".into(), secret: Some(CLIENT_SECRET.into()), style };
    let grant = match kind {
        0 | 1 => Grant::RefreshToken { refresh_token: REFRESH.into() },
        2 => Grant::ClientCredentials { scope: None },
        _ => Grant::JwtBearer {
            issuer: "app".into(),
            subject: "user".into(),
            audience: "login".into(),
            algorithm: JwtAlgorithm::Rs256,
            private_key_pem: Secret::from(key.pkcs8_pem()),
        },
    };
    assert_clean(&format!("{client:?} {grant:?} {grant:#?}"), "config");
    let builder = OAuth2::builder("example", TOKEN_URL, client, grant, resources)
        .unwrap()
        .param("password", PARAM)
        .endpoint_member("instance_url")
        .seed(ACCESS.into());
    assert_clean(&format!("{builder:?} {builder:#?}"), "builder");
    builder.build()
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_no_secret_is_in_any_text_whatever_the_vendor_echoes() {
    let capture = Capture::begin();
    let key = TestKey::new();
    let pem_line = key.pkcs8_pem().lines().nth(5).unwrap().to_owned();
    let scenarios = 21;
    for kind in 0..4 {
        for scenario in 0..scenarios {
            let assertions = Arc::new(Mutex::new(Vec::new()));
            let seen = assertions.clone();
            let transport = ScriptedTransport::function(move |sent, _| {
                if sent.request.url().path() != "/oauth/token" {
                    return Reply::json(401, format!(r#"{{"message":"{ACCESS}"}}"#));
                }
                let body = sent.body();
                seen.lock().unwrap().extend(body.split_once("assertion=").map(|(_, a)| a.to_owned()));
                let all = answers(sent);
                assert_eq!(all.len(), scenarios);
                all[scenario].clone()
            });
            let store = MemoryStore::new();
            store.fail_next_saves(usize::from(scenario == 0));
            let resources = Resources::new(Arc::new(transport)).with_tokens(Arc::new(store));
            let auth = provider(&resources, kind, &key);
            let client =
                Client::with_resources(BASE, &resources).unwrap().auth(Arc::new(auth.clone())).build();
            let what = format!("grant {kind}, answer {scenario}");
            let mut said = String::new();
            for _ in 0..2 {
                if let Err(error) = client.send(&acople_core::Context::new(), &Call::get("read")).await {
                    said.push_str(&texts(&error));
                }
                tokio::time::sleep(Duration::from_secs(301)).await;
            }
            // The vendor names no account URL, so no scenario ends well.
            assert!(!said.is_empty(), "{what}");
            write!(said, "{auth:?} {auth:#?} {client:?}").unwrap();
            assert_clean(&said, &what);
            for assertion in assertions.lock().unwrap().iter() {
                assert!(
                    !said.contains(assertion.split('.').nth(1).unwrap()),
                    "{what}: an assertion in {said}"
                );
            }
            assert!(!said.contains(&pem_line), "{what}");
        }
    }
    let heard = capture.take();
    let log = format!("{}{}", heard.events, heard.spans);
    assert!(heard.events.contains("could not be stored"), "events were heard");
    assert!(heard.span_names["acople.call"] > 100, "spans were heard");
    assert_clean(&log, "log");
    assert!(!log.contains(&pem_line));
}

#[tokio::test(start_paused = true)]
async fn sec_01_static_credentials_are_in_no_text() {
    let providers = [
        StaticAuth::bearer(KEY.into()),
        StaticAuth::scheme("Token", KEY.into()),
        StaticAuth::header(HeaderName::from_static("x-api-key"), KEY.into()),
        StaticAuth::basic(KEY, &Secret::from(KEY)),
        StaticAuth::query("api_key", KEY.into()),
    ];
    for auth in providers {
        assert_clean(&format!("{auth:?} {auth:#?}"), "debug");
        let transport = ScriptedTransport::function(|sent, _| {
            let echo = format!(
                "{} {} {}",
                sent.header("authorization").unwrap_or_default(),
                sent.header("x-api-key").unwrap_or_default(),
                sent.request.clone().into_parts().1,
            );
            assert!(
                echo.to_lowercase().contains("canary")
                    || echo.contains(&STANDARD.encode(format!("{KEY}:{KEY}")))
            );
            Reply::json(403, echo)
        });
        let client = Client::builder(BASE, Arc::new(transport)).unwrap().auth(Arc::new(auth.clone())).build();
        let error = client.send(&acople_core::Context::new(), &Call::get("read")).await.unwrap_err();
        assert_clean(&texts(&error), "error");
        assert!(authorization_is_marked(&auth).await);
    }
}

/// Whatever header the provider sets is marked sensitive.
async fn authorization_is_marked(auth: &StaticAuth) -> bool {
    let mut request = acople_core::Request::new(http::Method::GET, BASE.parse().unwrap());
    acople_core::AuthProvider::authorize(auth, &acople_core::Context::new(), &mut request).await.unwrap();
    request.headers().values().all(http::HeaderValue::is_sensitive)
}
