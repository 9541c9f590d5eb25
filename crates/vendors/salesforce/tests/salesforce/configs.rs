//! Configs: what is accepted, what is refused and how it is named.

use std::sync::Arc;

use acople_core::{Connector, Context, Error, ErrorKind, Resources, Result, Secret, parse_config};
use acople_salesforce::{Auth, ClientCredentials, Config, JwtBearer, RefreshToken, Salesforce, VENDOR};
use acople_testkit::{Reply, ScriptedTransport, sandbox};
use serde_json::{Value, json};

use super::wire;

fn nowhere() -> Resources {
    Resources::new(Arc::new(ScriptedTransport::new([])))
}

fn refused(config: Value) -> Error {
    (VENDOR.connect)(config, nowhere()).map(drop).unwrap_err()
}

fn with(part: Value) -> Value {
    let mut config = json!({"auth": {"access_token": {"token": "canary-token"}}, "base_url": "https://acme.my.salesforce.com"});
    for (name, value) in part.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn host_06_what_is_wrong_with_a_config_is_named_with_its_path() {
    for (config, field) in [
        (with(json!({"auth": {"access_token": {"token": ""}}})), "auth.access_token.token"),
        (json!({"auth": {"access_token": {"token": "canary-token"}}}), "base_url"),
        (with(json!({"base_url": "not a url"})), "base_url"),
        (with(json!({"base_url": "http://acme.my.salesforce.com"})), "base_url"),
        (with(json!({"base_url": "https://user:canary-token@acme.my.salesforce.com"})), "base_url"),
        (with(json!({"login_url": "http://login.salesforce.com"})), "login_url"),
        (with(json!({"login_url": "https://login.salesforce.com?x=canary-token"})), "login_url"),
        (with(json!({"api_version": "latest"})), "api_version"),
        (with(json!({"api_version": "67.0/../x"})), "api_version"),
        (with(json!({"api_version": 67.0})), "api_version"),
        (with(json!({"look_back_seconds": -1})), "look_back_seconds"),
        (with(json!({"objects": ["Lead", "Lead WHERE"]})), "objects"),
        (with(json!({"deletions": "canary-token"})), "deletions"),
        (
            json!({"auth": {"client_credentials": {"client_id": "id", "client_secret": "canary-token"}}}),
            "login_url",
        ),
        (
            json!({"auth": {"refresh_token": {"client_id": " ", "refresh_token": "canary-token"}}}),
            "auth.refresh_token.client_id",
        ),
        (
            json!({"auth": {"refresh_token": {"client_id": "id", "refresh_token": ""}}}),
            "auth.refresh_token.refresh_token",
        ),
        (
            json!({"auth": {"jwt_bearer": {"client_id": "id", "username": "u", "private_key": ""}}}),
            "auth.jwt_bearer.private_key",
        ),
        (
            json!({"auth": {"jwt_bearer": {"client_id": "id", "username": "u", "private_key": "canary-token"}}}),
            "auth.jwt_bearer.private_key",
        ),
    ] {
        let error = refused(config.clone());
        assert_eq!(error.kind(), ErrorKind::Config, "{config}");
        assert_eq!(error.fields(), [field], "{config}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn unknown_and_missing_fields_are_refused_by_name() {
    for (config, word) in [
        (with(json!({"instance": "x"})), "instance"),
        (
            json!({"auth": {"refresh_token": {"client_id": "id", "refresh_token": "t", "secret": "x"}}}),
            "secret",
        ),
        (json!({"auth": {"refresh_token": {"client_id": "id"}}}), "refresh_token"),
        (json!({}), "auth"),
        (json!({"auth": {"password": {}}}), "auth"),
    ] {
        let error = refused(config.clone());
        assert_eq!(error.kind(), ErrorKind::Config, "{config}");
        let text = format!("{} {}", error.message(), error.fields().join(" "));
        assert!(text.contains(word), "{config}: {text}");
    }
}

#[test]
fn a_version_may_be_written_with_or_without_its_v() {
    for version in ["67.0", "v67.0"] {
        let connector = (VENDOR.connect)(with(json!({"api_version": version})), nowhere()).unwrap();
        assert_eq!(connector.info().api_version.as_deref(), Some("v67.0"));
        assert_eq!(connector.info().id, VENDOR.id);
    }
}

#[test]
fn sec_01_secrets_are_in_no_debug_text() {
    let auths = [
        Auth::AccessToken { token: Secret::from("canary-token") },
        Auth::RefreshToken(RefreshToken::new("id", "canary-refresh").with_secret("canary-secret")),
        Auth::ClientCredentials(ClientCredentials::new("id", "canary-secret")),
    ];
    for auth in auths {
        let config = Config::new(auth)
            .with_base_url("https://acme.my.salesforce.com")
            .with_login_url("https://acme.my.salesforce.com");
        let connector = Salesforce::new(config.clone(), &nowhere()).unwrap();
        let text = format!("{config:?} {config:#?} {connector:?} {connector:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn the_schema_of_the_config_marks_its_secrets() {
    let schema = (VENDOR.config_schema)();
    let text = schema.to_string();
    assert_eq!(text.matches("\"password\"").count(), 5);
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn a_config_from_json_and_one_from_code_say_the_same() {
    let parsed: Config = parse_config(json!({
        "auth": {"jwt_bearer": {"client_id": "id", "username": "me", "private_key": "pem"}},
        "objects": ["Lead"],
        "look_back_seconds": 60,
        "deletions": false,
    }))
    .unwrap();
    let built = Config::new(Auth::JwtBearer(JwtBearer::new("id", "me", "pem")))
        .with_objects(["Lead"])
        .with_look_back(60)
        .with_deletions(false);
    assert_eq!(format!("{parsed:?}"), format!("{built:?}"));
}

async fn check(auth: Auth, org: &sandbox::Salesforce) -> Result<String> {
    let sf = Salesforce::new(Config::new(auth).with_login_url(org.url()), &wire())?;
    sf.check(&Context::new()).await.map(|health| health.summary)
}

#[tokio::test]
async fn client_credentials_log_in_and_the_answer_names_the_org() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let credentials = org.credentials();
    let app = ClientCredentials::new(credentials.client_id, credentials.client_secret);
    let summary = check(Auth::ClientCredentials(app), &org).await.unwrap();
    assert!(summary.contains("127.0.0.1") && summary.contains("API calls left"), "{summary}");
}

#[tokio::test]
async fn a_signed_assertion_logs_in_for_the_login_host_or_the_audience_of_the_config() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let key = private_key();
    let auth = |audience: Option<&str>| {
        let credentials = org.credentials();
        let app = JwtBearer::new(credentials.client_id, credentials.username, key.as_str());
        Auth::JwtBearer(audience.into_iter().fold(app, JwtBearer::with_audience))
    };
    check(auth(None), &org).await.unwrap();
    check(auth(Some("https://test.salesforce.com")), &org).await.unwrap();
    let error = check(auth(Some("https://elsewhere.example")), &org).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
}

/// An RSA key made for one test, as PEM.
fn private_key() -> String {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn auth_05_a_refresh_token_that_is_dead_means_connect_again() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let sf = super::connect(&org);
    org.revoke_grants();
    let error = sf.check(&Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
}

#[tokio::test]
async fn a_refresh_token_that_rotates_goes_on_working() {
    let org = sandbox::Salesforce::builder().rotate_refresh_tokens(true).token_uses(2).start().await.unwrap();
    let sf = super::connect(&org);
    for _ in 0..7 {
        sf.check(&Context::new()).await.unwrap();
    }
    assert!(org.stats().tokens_issued >= 3);
}

#[tokio::test]
async fn a_static_token_goes_to_the_address_of_the_config() {
    let transport = ScriptedTransport::new([Reply::json(200, "{}")]);
    super::scripted(&transport).check(&Context::new()).await.unwrap();
    let sent = &transport.sent()[0];
    assert_eq!(sent.request.url().as_str(), "https://acme.my.salesforce.com/services/data/v67.0/limits");
    assert_eq!(sent.header("authorization"), Some("Bearer 00Dtoken!secret"));
}
