//! Wrong key, wrong algorithm, missing scope, a clock that is off by hours: the error says what to do, or nothing is left to
//! do.

use std::sync::Arc;
use std::time::Duration;

use acople_auth::ClientStyle;
use acople_auth::config::{AnyAuth, AuthServer};
use acople_core::{Context, Error, ErrorKind, Resources, Result};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use serde_json::{Value, json};

use crate::private_keys::{TestKey, p256};
use crate::vendor::{BASE, TOKEN_URL};

/// The fake clock says 2026-01-01; the vendor's is hours ahead.
const HOURS_AHEAD: &str = "Thu, 01 Jan 2026 07:00:00 GMT";

async fn outcome(
    auth: &Value,
    vendor: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static,
) -> Result<usize> {
    let transport = ScriptedTransport::function(vendor);
    let clock = Arc::new(FakeClock::new());
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(clock);
    let config: AnyAuth = serde_json::from_value(auth.clone()).unwrap();
    let style = ClientStyle::Body;
    let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
    let chosen = config.choose("auth", &server)?;
    let client = Client::with_resources(BASE, &resources)?
        .auth(chosen.provider())
        .classifier(chosen.classifier(StatusClassifier))
        .build();
    client.send(&Context::new(), &Call::post("write").path(["records"]).raw_json("{}")).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(transport.sent().len())
}

/// Providers that ask somebody for a token or session first, and those that sign or show a key.
fn providers(rsa: &str, es256: &str) -> (Vec<Value>, Vec<Value>) {
    let file = json!({"type": "service_account", "client_email": "r@p.example", "private_key": rsa,
        "token_uri": "https://oauth2.googleapis.com/token"});
    let asking = vec![
        json!({"refresh_token": {"client_id": "a", "client_secret": "s", "refresh_token": "r"}}),
        json!({"client_credentials": {"client_id": "a", "client_secret": "s"}}),
        json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": rsa}}),
        json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": es256, "algorithm": "ES256"}}),
        json!({"service_account": {"key_file": file.to_string(), "scopes": ["s"]}}),
    ];
    let signing = vec![
        json!({"aws": {"keys": {"access_key_id": "AKID", "secret_access_key": "s"}, "region": "r", "service": "ses"}}),
        json!({"oauth1": {"keys": {"consumer_key": "ck", "consumer_secret": "cs"}}}),
        json!({"signing": {"secret": "s", "signing": {"algorithm": "hmac_sha256", "rules": [{"text": "{timestamp}",
            "put": [{"header": {"name": "x-key", "value": "{timestamp}:{signature}"}}]}]}}}),
        json!({"apns": {"team_id": "DEF123GHIJ", "key_id": "ABC123DEFG", "private_key": es256}}),
    ];
    (asking, signing)
}

fn says(error: &Error, kind: ErrorKind, what_to_do: &str, auth: &Value) {
    assert_eq!(error.kind(), kind, "{auth}: {error:?}");
    assert!(error.message().contains(what_to_do), "{auth}: {error} does not say {what_to_do:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_or_scope_says_what_to_do_whatever_the_provider() {
    let (rsa, (es256, _)) = (TestKey::new().pkcs8_pem(), p256());
    let (asking, signing) = providers(&rsa, &es256);
    let refusals = [
        (401, "invalid_client", ErrorKind::Config, "check its id and secret"),
        (400, "unauthorized_client", ErrorKind::Config, "may use this grant"),
        (400, "invalid_grant", ErrorKind::Reauth, "no longer valid"),
        (400, "invalid_scope", ErrorKind::Permission, "the scope is refused"),
    ];
    for auth in &asking {
        for (status, code, kind, what_to_do) in refusals {
            let body = json!({"error": code}).to_string();
            let error = outcome(auth, move |_, _| Reply::json(status, body.clone())).await.unwrap_err();
            says(&error, kind, what_to_do, auth);
            assert_eq!(error.code(), Some(code));
        }
    }
    let challenge = r#"Bearer error="insufficient_scope", scope="orders""#;
    for auth in asking.iter().chain(&signing) {
        let is_own = |sent: &Sent| sent.request.url().path() == "/records";
        let token = || Reply::json(200, r#"{"access_token":"at-1"}"#);
        let missing = move |sent: &Sent, _| {
            if is_own(sent) { Reply::json(403, "{}").header("www-authenticate", challenge) } else { token() }
        };
        says(
            &outcome(auth, missing).await.unwrap_err(),
            ErrorKind::Permission,
            "lack the scope orders",
            auth,
        );
        let refused = move |sent: &Sent, _| if is_own(sent) { Reply::json(401, "{}") } else { token() };
        says(&outcome(auth, refused).await.unwrap_err(), ErrorKind::Reauth, "check them, or connect", auth);
    }
    let login = json!({"session": {"login_url": format!("{BASE}/login"), "fields": {"user": "u"},
        "take": {"json": "/session"}, "header": "x-key"}});
    let error = outcome(&login, |_, _| Reply::json(401, "{}")).await.unwrap_err();
    says(&error, ErrorKind::Reauth, "check user and password", &login);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_algorithm_is_named_when_the_config_is_read() {
    let (rsa, (es256, _)) = (TestKey::new().pkcs8_pem(), p256());
    let jwt = |key: &str, algorithm: &str| json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": key, "algorithm": algorithm}});
    let apns = json!({"apns": {"team_id": "DEF123GHIJ", "key_id": "ABC123DEFG", "private_key": rsa}});
    let cases = [
        (jwt(&rsa, "ES256"), "P-256 key, which ES256 needs", "auth.jwt_bearer.private_key"),
        (jwt(&es256, "RS256"), "not an RSA key", "auth.jwt_bearer.private_key"),
        (jwt(&es256, "PS256"), "not an RSA key", "auth.jwt_bearer.private_key"),
        (apns, "P-256 key", "auth.apns.private_key"),
    ];
    for (auth, what_to_do, field) in cases {
        let error = outcome(&auth, |_, _| Reply::json(200, "{}")).await.unwrap_err();
        says(&error, ErrorKind::Config, what_to_do, &auth);
        assert_eq!(error.fields(), [field]);
    }
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_clock_that_is_off_by_hours_costs_one_refusal_whatever_the_provider() {
    let (rsa, (es256, _)) = (TestKey::new().pkcs8_pem(), p256());
    let (asking, signing) = providers(&rsa, &es256);
    let refused = || Reply::json(401, r#"{"error":"invalid_client"}"#).header("date", HOURS_AHEAD);
    for auth in asking.iter().filter(|auth| auth.to_string().contains("PRIVATE KEY")) {
        let vendor = move |sent: &Sent, number: usize| match sent.request.url().path() {
            "/records" => Reply::json(200, "{}"),
            _ if number == 0 => refused(),
            _ => Reply::json(200, r#"{"access_token":"at-1"}"#),
        };
        assert_eq!(outcome(auth, vendor).await.unwrap(), 3, "{auth}: refused, signed again, and used");
    }
    for auth in &signing {
        let vendor =
            move |_: &Sent, number: usize| if number == 0 { refused() } else { Reply::json(200, "{}") };
        assert_eq!(outcome(auth, vendor).await.unwrap(), 2, "{auth}: refused, and signed again");
    }
}
