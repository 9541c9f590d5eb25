//! A wrong config is refused at start, with everything that is wrong, whatever the connector.

use std::sync::Arc;

use acople::{Error, ErrorKind, Resources};
use acople_testkit::ScriptedTransport;
use serde_json::{Value, json};

fn refused(vendor: &str, config: Value) -> Error {
    let transport = ScriptedTransport::new([]);
    let error = acople::connect(vendor, config.clone(), Resources::new(Arc::new(transport.clone())));
    assert!(transport.sent().is_empty(), "nothing is sent");
    error.err().unwrap_or_else(|| panic!("{vendor} takes {config}"))
}

#[test]
fn host_06_typos_unknown_fields_wrong_types_and_missing_secrets_are_named_at_once_by_every_connector() {
    let cases = [
        (
            "hubspot",
            json!({ "auth": { "tokn": "canary" }, "baseurl": "canary", "tier": 7 }),
            &["auth", "baseurl", "tier"][..],
        ),
        (
            "hubspot",
            json!({ "auth": { "refresh_token": { "client_id": 1 } }, "objects": "canary", "look_back_seconds": -1 }),
            &[
                "auth.refresh_token.client_id",
                "auth.refresh_token.refresh_token",
                "objects",
                "look_back_seconds",
            ],
        ),
        (
            "salesforce",
            json!({ "auth": { "jwt_bearer": { "client_id": "c", "audiance": "canary" } }, "deletions": "yes", "api_version": 67.0 }),
            &[
                "auth.jwt_bearer.audiance",
                "auth.jwt_bearer.username",
                "auth.jwt_bearer.private_key",
                "deletions",
                "api_version",
            ],
        ),
        (
            "sap",
            json!({ "auth": { "basic": { "user": "u" } }, "page_size": "canary", "change_fields": { "A": 1 } }),
            &["base_url", "auth.basic.password", "page_size", "change_fields.A"],
        ),
        ("file", json!({ "directry": "canary", "durable": 1 }), &["directry", "directory", "durable"]),
    ];
    for vendor in acople::vendors() {
        assert!(cases.iter().any(|(id, ..)| *id == vendor.id), "{} has no case", vendor.id);
    }
    for (vendor, config, fields) in cases {
        let error = refused(vendor, config.clone());
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{vendor} {config}");
        assert!(!shown.contains("canary"), "{shown}");
        let (mut named, mut wanted) = (error.fields().to_vec(), fields.to_vec());
        named.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(named, wanted, "{vendor} {config}: {shown}");
        assert!(fields.iter().all(|field| error.message().contains(field)), "{shown}");
    }
}

#[test]
fn host_06_a_config_of_another_shape_altogether_is_refused() {
    for vendor in acople::vendors() {
        for config in [json!(null), json!("canary"), json!([]), json!(7), json!({})] {
            let error = refused(vendor.id, config.clone());
            assert_eq!(error.kind(), ErrorKind::Config, "{} {config}", vendor.id);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}
