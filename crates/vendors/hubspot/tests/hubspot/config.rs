use acople_core::{ErrorKind, Resources};
use acople_hubspot::{RefreshToken, VENDOR};
use acople_testkit::Reply;
use serde_json::{Value, json};

use crate::*;

fn connect_with(config: Value) -> Result<Arc<dyn Connector>> {
    (VENDOR.connect)(config, Resources::new(Arc::new(always(Reply::json(200, "{}")))))
}

#[test]
fn a_wrong_config_names_the_field_and_never_its_value() {
    let grant = |id: &str, secret: &str, token: &str| json!({ "auth": { "refresh_token": { "client_id": id, "client_secret": secret, "refresh_token": token } } });
    for (config, field) in [
        (json!({ "auth": { "token": "s3cr3t-token" }, "baseurl": "x" }), "baseurl"),
        (json!({ "auth": { "token": 4711 } }), "auth.token"),
        (json!({ "auth": { "token": "" } }), "auth.token"),
        (json!({ "auth": { "tokn": "s3cr3t-token" } }), "auth"),
        (
            json!({ "auth": { "refresh_token": { "client_id": "c", "client_secret": "s3cr3t-x" } } }),
            "auth.refresh_token",
        ),
        (grant("", "s3cr3t-x", "s3cr3t-y"), "auth.refresh_token.client_id"),
        (grant("c", "", "s3cr3t-y"), "auth.refresh_token.client_secret"),
        (grant("c", "s3cr3t-x", ""), "auth.refresh_token.refresh_token"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "api_version": "v4" }), "api_version"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "tier": "gold" }), "tier"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "look_back_seconds": "10" }), "look_back_seconds"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "utc_offset_minutes": 9000 }), "utc_offset_minutes"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "objects": ["a/b"] }), "objects"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "base_url": "http://api.hubapi.com" }), "base_url"),
        (json!({ "auth": { "token": "s3cr3t-token" }, "base_url": "ftp://x" }), "base_url"),
    ] {
        let error = connect_with(config.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{config}");
        let named = error.fields().iter().any(|f| f.starts_with(field)) || error.message().contains(field);
        assert!(named, "{config}: {error:?}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
    assert!(connect_with(json!({})).unwrap_err().message().contains("auth"));
}

#[test]
fn a_version_of_neither_style_is_a_config_error_that_names_the_field() {
    for version in ["", "v4", "2026", "2026-3", "2026-033", "2026_03", "2026-03/..", "latest"] {
        let config = json!({ "auth": { "token": "pat-na1-x" }, "api_version": version });
        let error = connect_with(config).unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["api_version".to_owned()][..]),
            "{version}"
        );
    }
    for version in ["v3", "2026-09", "2026-09-beta"] {
        connect_with(json!({ "auth": { "token": "pat-na1-x" }, "api_version": version })).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn both_styles_of_paths_name_the_same_things() {
    for (version, paths) in [
        (
            "2026-09-beta",
            [
                "/oauth/2026-09-beta/token",
                "/crm-object-schemas/2026-09-beta/schemas",
                "/crm/properties/2026-09-beta/contacts",
                "/crm/objects/2026-09-beta/deals/7",
            ],
        ),
        (
            "v3",
            ["/oauth/v3/token", "/crm/v3/schemas", "/crm/v3/properties/contacts", "/crm/v3/objects/deals/7"],
        ),
    ] {
        let transport = ScriptedTransport::function(|sent, _| {
            Reply::json(
                200,
                if sent.request.url().path().starts_with("/oauth") {
                    r#"{"access_token":"s3cr3t-access","expires_in":1800}"#
                } else {
                    r#"{"id":"7","properties":{},"results":[]}"#
                },
            )
        });
        let auth = RefreshToken::new("client-1", "s3cr3t-refresh").with_secret("s3cr3t-client");
        let config = Config::new(Auth::RefreshToken(auth)).with_api_version(version);
        let hubspot = HubSpot::new(config, &Resources::new(Arc::new(transport.clone()))).unwrap();
        hubspot.discover(&Context::new()).await.unwrap();
        hubspot.deals().get(&Context::new(), "7").await.unwrap();
        let sent: Vec<_> = transport.sent().iter().map(|s| s.request.url().path().to_owned()).collect();
        assert!(paths.iter().all(|path| sent.iter().any(|sent| sent == path)), "{sent:?}");
        assert_eq!(sent.len(), 7, "a token, the schemas, four objects, a deal: {sent:?}");
    }
}

#[test]
fn every_setting_has_a_default_but_the_credentials() {
    let connector = connect_with(json!({ "auth": { "token": "pat-na1-x" } })).unwrap();
    assert_eq!(connector.info().id, "hubspot");
    assert_eq!(connector.info().api_version.as_deref(), Some("2026-03"));
    assert_eq!(connector.info().actions[0].name, "search");
}

#[test]
fn the_schema_of_the_config_marks_its_secrets() {
    let schema = (VENDOR.config_schema)();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["auth"]));
    let text = schema.to_string();
    assert_eq!(text.matches(r#""format":"password""#).count(), 3, "{text}");
}

#[test]
fn secrets_are_not_in_debug() {
    let config = json!({ "auth": { "refresh_token": {
        "client_id": "client-1", "client_secret": "s3cr3t-x", "refresh_token": "s3cr3t-y" } } });
    let parsed: Config = acople_core::parse_config(config.clone()).unwrap();
    assert!(!format!("{parsed:?}").contains("s3cr3t"));
    let connector = connect_with(config).unwrap();
    assert!(!format!("{connector:?}").contains("s3cr3t"));
    let hubspot = scripted(&always(Reply::json(200, "{}")));
    assert!(!format!("{hubspot:?} {:?}", hubspot.contacts()).contains("pat-na1-secret"));
}
