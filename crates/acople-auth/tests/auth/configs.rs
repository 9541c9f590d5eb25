use acople_auth::config::{AuthServer, ClientCredentials, JwtBearer, RefreshToken};
use acople_auth::{ClientStyle, OAuth2Builder};
use acople_core::{Error, ErrorKind, Result, config_schema, parse_config};
use serde_json::{Value, json};

use crate::private_keys::TestKey;
use crate::vendor::{TOKEN_URL, Vendor, authorization};

#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    auth: Auth,
}

#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Auth {
    RefreshToken(RefreshToken),
    ClientCredentials(ClientCredentials),
    JwtBearer(JwtBearer),
}

fn builder(vendor: &Vendor, auth: Value, style: ClientStyle) -> Result<OAuth2Builder> {
    let config: Config = parse_config(json!({"auth": auth}))?;
    let resources = vendor.resources();
    let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
    match &config.auth {
        Auth::RefreshToken(app) => app.oauth2("auth.refresh_token", &server),
        Auth::ClientCredentials(app) => app.oauth2("auth.client_credentials", &server),
        Auth::JwtBearer(app) => app.oauth2("auth.jwt_bearer", "https://login.example.com", &server),
    }
}

fn refused(auth: &Value) -> Error {
    builder(&Vendor::new(), auth.clone(), ClientStyle::Body).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn what_a_config_says_is_what_the_token_endpoint_is_asked() {
    let key = TestKey::new();
    for (auth, style, members) in [
        (
            json!({"refresh_token": {"client_id": "app", "client_secret": "s-3", "refresh_token": "rt-0"}}),
            ClientStyle::Body,
            &["grant_type=refresh_token", "refresh_token=rt-0", "client_id=app", "client_secret=s-3"][..],
        ),
        (
            json!({"refresh_token": {"client_id": "app", "client_secret": "", "refresh_token": "rt-0"}}),
            ClientStyle::Body,
            &["grant_type=refresh_token", "refresh_token=rt-0", "client_id=app"],
        ),
        (
            json!({"client_credentials": {"client_id": "app", "client_secret": "s-3"}}),
            ClientStyle::Basic,
            &["grant_type=client_credentials"],
        ),
    ] {
        let vendor = Vendor::new();
        authorization(&builder(&vendor, auth, style).unwrap().build()).await.unwrap();
        assert_eq!(vendor.token_calls()[0].body(), members.join("&"));
    }
    let vendor = Vendor::new();
    let app = JwtBearer::new("app", "me", key.pkcs8_pem());
    let other = "https://other.example.com";
    for (app, audience) in [(app.clone().with_audience(other), other), (app, TOKEN_URL)] {
        let resources = vendor.resources();
        let server = AuthServer {
            connector: "example",
            token_url: TOKEN_URL,
            style: ClientStyle::Body,
            resources: &resources,
        };
        authorization(&app.oauth2("auth", TOKEN_URL, &server).unwrap().build()).await.unwrap();
        let sent = vendor.token_calls().pop().unwrap().body();
        let (_, assertion) = sent.split_once("assertion=").unwrap();
        let claims = assertion.split('.').nth(1).unwrap();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("app"), &json!("me"), &json!(audience))
        );
    }
}

#[test]
fn host_06_what_is_wrong_is_named_with_its_path_and_never_repeated() {
    for (auth, field) in [
        (
            json!({"refresh_token": {"client_id": " ", "refresh_token": "canary-1"}}),
            "refresh_token.client_id",
        ),
        (
            json!({"refresh_token": {"client_id": "app", "refresh_token": "\n"}}),
            "refresh_token.refresh_token",
        ),
        (
            json!({"client_credentials": {"client_id": "", "client_secret": "canary-1"}}),
            "client_credentials.client_id",
        ),
        (
            json!({"client_credentials": {"client_id": "app", "client_secret": ""}}),
            "client_credentials.client_secret",
        ),
        (
            json!({"jwt_bearer": {"client_id": "", "username": "u", "private_key": "canary-1"}}),
            "jwt_bearer.client_id",
        ),
        (
            json!({"jwt_bearer": {"client_id": "a", "username": "", "private_key": "canary-1"}}),
            "jwt_bearer.username",
        ),
        (
            json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": ""}}),
            "jwt_bearer.private_key",
        ),
        (
            json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": "canary-1"}}),
            "jwt_bearer.private_key",
        ),
        (
            json!({"jwt_bearer": {"client_id": "a", "username": "u", "private_key": "canary-1", "audience": ""}}),
            "jwt_bearer.audience",
        ),
    ] {
        let error = refused(&auth);
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &[format!("auth.{field}")][..]),
            "{auth}"
        );
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    for unknown in [
        json!({"refresh_token": {"client_id": "app", "refresh_token": "canary-1", "scope": "canary-2"}}),
        json!({"client_credentials": {"client_id": "app", "client_secret": "canary-1", "scope": "canary-2"}}),
    ] {
        let error = refused(&unknown);
        assert!(error.message().starts_with("unknown field `scope`"), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[test]
fn sec_01_configs_show_no_secret_and_their_schema_marks_them() {
    let auths = [
        Auth::RefreshToken(RefreshToken::new("app", "canary-1").with_secret("canary-2")),
        Auth::ClientCredentials(ClientCredentials::new("app", "canary-3")),
        Auth::JwtBearer(JwtBearer::new("app", "me", "canary-4")),
    ];
    assert!(!format!("{auths:?}").contains("canary"));
    let schema = config_schema::<Config>().to_string();
    assert_eq!(schema.matches("\"password\"").count(), 4, "{schema}");
    assert_eq!(schema.matches("\"additionalProperties\":false").count(), 7, "{schema}");
}
