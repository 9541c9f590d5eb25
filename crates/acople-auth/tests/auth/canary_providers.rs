//! No secret of any provider in any text: errors, logs with spans, signals of monitors, panics.

use std::any::Any;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use acople_auth::config::{AnyAuth, AuthServer};
use acople_auth::{ClientAssertion, ClientStyle, Composite};
use acople_core::{Context, Monitor, Progress, Recorder, Resources, Signal, Watched, WireFault};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::private_keys::{TestKey, p256};
use crate::vendor::{BASE, TOKEN_URL};

/// Each secret is one of these, so that one look finds them all.
const CANARY: &str = "c4nary+s3cret/0123=";
const OTHER: &str = "c4nary-oth3r-4567&";

/// Everything that this thread's log, and every monitor, was told.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Monitor for Heard {
    fn watch(&self, watched: &Watched) -> Arc<dyn Recorder> {
        writeln!(self.clone(), "{watched:?}").unwrap();
        Arc::new(self.clone())
    }
}

impl Recorder for Heard {
    fn record(&self, signal: &Signal<'_>) {
        writeln!(self.clone(), "{signal:?}").unwrap();
    }
}

/// All kinds of credentials, with the keys that have no fixed text.
fn kinds(rsa: &str, es256: &str) -> Vec<Value> {
    let oauth1 =
        json!({"consumer_key": "ck", "consumer_secret": CANARY, "token": "tk", "token_secret": OTHER});
    let aws = json!({"access_key_id": "AKID", "secret_access_key": CANARY, "session_token": OTHER});
    let file = json!({"type": "service_account", "client_email": "r@p.example", "private_key": rsa,
        "private_key_id": "k", "token_uri": "https://oauth2.googleapis.com/token"});
    let put = json!([
        {"header": {"name": "x-key", "value": "{secret}:{signature}"}},
        {"query": {"name": "sign", "value": "{signature}"}},
        {"json": {"pointer": "/sign", "value": "{secret}"}},
    ]);
    let bearer = json!({"bearer": {"token": CANARY}});
    vec![
        bearer.clone(),
        json!({"scheme": {"scheme": "Token", "token": CANARY}}),
        json!({"headers": {"x-key": CANARY, "x-other": OTHER}}),
        json!({"basic": {"user": "u", "password": CANARY}}),
        json!({"key_as_user": {"key": CANARY}}),
        json!({"email_token": {"email": "a@b.example", "token": CANARY}}),
        json!({"query": {"name": "key", "value": CANARY}}),
        json!({"json_body": {"pointer": "/key", "value": CANARY}}),
        json!({"form_body": {"name": "key", "value": CANARY}}),
        json!({"refresh_token": {"client_id": "a", "client_secret": OTHER, "refresh_token": CANARY}}),
        json!({"client_credentials": {"client_id": "a", "client_secret": CANARY}}),
        json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": rsa, "algorithm": "PS256"}}),
        json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": es256, "algorithm": "ES256"}}),
        json!({"service_account": {"key_file": file.to_string(), "scopes": ["s"]}}),
        json!({"aws": {"keys": aws, "region": "eu-west-1", "service": "s3"}}),
        json!({"oauth1": {"keys": oauth1}}),
        json!({"oauth1": {"keys": oauth1, "in_query": true}}),
        json!({"signing": {"id": "i", "secret": CANARY, "signing":
            {"algorithm": "hmac_sha256", "rules": [{"text": "{secret}{body}", "put": put}]}}}),
        json!({"apns": {"team_id": "DEF123GHIJ", "key_id": "ABC123DEFG", "private_key": es256}}),
        json!({"session": {"login_url": format!("{BASE}/login"), "fields": {"user": "u", "password": CANARY},
            "take": {"json": "/session"}, "header": "x-key", "prefix": "S "}}),
        json!({"app_secret_proof": {"app_secret": OTHER, "auth": bearer}}),
        json!({"csrf": {"url": format!("{BASE}/odata/"), "auth": {"basic": {"user": "u", "password": CANARY}}}}),
        json!({"all": [bearer, {"headers": {"x-key": OTHER}}]}),
    ]
}

fn assert_clean(text: &str, keys: &[&str], what: &str) {
    let lower = text.to_lowercase();
    for secret in [CANARY, OTHER].iter().chain(keys) {
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let hex: String = secret.bytes().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        let base64 = STANDARD.encode(secret);
        let forms = [
            (*secret).to_owned(),
            form.replace('+', "%20"),
            form,
            base64.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(secret),
            hex,
        ];
        for form in forms {
            assert!(!lower.contains(&form.to_lowercase()), "{what}: {form} in {text}");
        }
    }
    assert!(!lower.contains("c4nary"), "{what}: part of a secret in {text}");
}

/// Everything of the request that a vendor could echo.
fn echo(sent: &Sent) -> String {
    let (_, url, headers, body) = sent.request.clone().into_parts();
    let headers: Vec<_> =
        headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let form: Vec<_> = url::form_urlencoded::parse(&body).map(|(_, value)| value.into_owned()).collect();
    let basic: Vec<_> = headers
        .iter()
        .filter_map(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok())
        .map(|pair| String::from_utf8_lossy(&pair).into_owned())
        .collect();
    let said =
        [url.to_string(), headers.join(" "), String::from_utf8_lossy(&body).into_owned(), form.join(" ")];
    format!("{} {}", said.join(" "), basic.join(" "))
}

/// What a vendor may answer, echoes of the request in it.
fn answers(sent: &Sent) -> Vec<Reply> {
    let echo = echo(sent);
    let error = json!({"error": "invalid_grant", "error_description": echo, "message": echo}).to_string();
    vec![
        Reply::json(200, format!(r#"{{"access_token":"{OTHER}","session":"{OTHER}","expires_in":60}}"#))
            .header("x-csrf-token", OTHER),
        Reply::json(400, error.clone()),
        Reply::json(401, error.clone()),
        Reply::json(403, error.clone()).header("www-authenticate", &format!(r#"Bearer scope="{CANARY}""#)),
        Reply::json(404, error.clone()),
        Reply::json(429, error.clone()),
        Reply::json(500, error),
        Reply::new(200, format!("<html>{echo}")).header("content-type", "text/html"),
        Reply::json(200, echo),
        Reply::json(302, "").header("location", &format!("https://evil.example/?{OTHER}")),
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        Reply::fail(Progress::NotSent, WireFault::Tls),
        Reply::hang(),
    ]
}

/// The answers to everything but the last request, which is the host's own: tokens, sessions, CSRF.
fn transport(scenario: usize) -> ScriptedTransport {
    ScriptedTransport::function(move |sent, _| {
        let is_own = sent.request.url().path() == "/records";
        // Every second provider gets as far as its own request with a good token.
        let good = !is_own && scenario.is_multiple_of(2);
        answers(sent)[if good { 0 } else { scenario / 2 }].clone()
    })
}

fn texts(error: &acople_core::Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}\n", serde_json::to_string(error).unwrap());
    let mut source = error.source();
    while let Some(cause) = source {
        writeln!(text, "{cause}\n{cause:?}").unwrap();
        source = cause.source();
    }
    text
}

fn said(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_no_provider_shows_a_secret_in_errors_logs_spans_signals_or_panics() {
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (rsa, (es256, _)) = (TestKey::new().pkcs8_pem(), p256());
    let lines: Vec<&str> = [&rsa, &es256].map(|pem| pem.lines().nth(1).unwrap()).into();
    let (mut failed, mut kinds_seen) = (0, 0);
    for auth in kinds(&rsa, &es256) {
        kinds_seen += 1;
        let what = auth.as_object().unwrap().keys().next().unwrap().clone();
        let config: AnyAuth = serde_json::from_value(auth).unwrap();
        assert_clean(&format!("{config:?} {config:#?}"), &lines, &what);
        for scenario in (1..26).step_by(2).chain([0, 4, 6]) {
            let resources =
                Resources::new(Arc::new(transport(scenario))).with_monitor(Arc::new(heard.clone()));
            let style = ClientStyle::Body;
            let server =
                AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
            let chosen = config.choose("auth", &server).unwrap();
            let client = Client::with_resources(BASE, &resources)
                .unwrap()
                .auth(chosen.provider())
                .classifier(chosen.classifier(StatusClassifier))
                .build();
            let mut text = format!("{chosen:?} {chosen:#?} {client:?} {client:#?} {server:?}");
            let call = Call::post("write").path(["records"]);
            if let Err(error) = client.send(&Context::new(), &call).await {
                failed += 1;
                text.push_str(&texts(&error));
            }
            assert_clean(&text, &lines, &format!("{what}, answer {scenario}"));
        }
        // A host that unwraps: the panic says what the error says.
        let resources = Resources::new(Arc::new(transport(3)));
        let style = ClientStyle::Body;
        let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
        let client = Client::with_resources(BASE, &resources)
            .unwrap()
            .auth(config.choose("auth", &server).unwrap().provider())
            .build();
        let error = client.send(&Context::new(), &Call::post("write").path(["records"])).await.unwrap_err();
        let unwrapped = move || -> () { panic!("called `Result::unwrap()` on an `Err` value: {error:?}") };
        let panic = std::panic::catch_unwind(AssertUnwindSafe(unwrapped)).unwrap_err();
        let panic = said(&*panic);
        assert!(panic.contains("Error"), "{panic}");
        assert_clean(&panic, &lines, &what);
    }
    assert_eq!(kinds_seen, 23);
    assert!(failed > 300, "{failed} failures are too few to say anything");
    let heard = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    for told in ["Attempt", "Watched"] {
        assert!(heard.contains(told), "{told} was not heard");
    }
    assert_clean(&heard, &lines, "logs, spans and signals");
}

#[tokio::test(start_paused = true)]
async fn sec_01_a_clients_key_and_a_panic_in_the_middle_of_a_token_call_show_nothing() {
    let (es256, _) = p256();
    let line = es256.lines().nth(1).unwrap().to_owned();
    for panics in [false, true] {
        let transport = ScriptedTransport::function(move |sent, _| {
            assert!(!panics, "the transport panics, with nothing of the request");
            answers(sent)[1].clone()
        });
        let resources = Resources::new(Arc::new(transport));
        let assertion =
            ClientAssertion { algorithm: acople_auth::JwtAlgorithm::Es256, ..ClientAssertion::default() };
        let style = ClientStyle::PrivateKeyJwt(assertion);
        let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
        let config: AnyAuth =
            serde_json::from_value(json!({"client_credentials": {"client_id": "a", "client_secret": es256}}))
                .unwrap();
        let chosen = config.choose("auth", &server).unwrap();
        let auth = Composite::new([chosen.provider()]);
        let client = Client::with_resources(BASE, &resources).unwrap().auth(Arc::new(auth)).build();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        let text = format!("{} {server:?} {client:?}", texts(&error));
        assert_clean(&text, &[&line], "a client's key");
        assert!(!text.contains("eyJhbGci"), "an assertion in {text}");
    }
}
