//! Configs, good and bad.

use std::sync::Arc;

use acople_core::{ErrorKind, Resources};
use acople_sap::VENDOR;
use acople_testkit::ScriptedTransport;
use serde_json::{Value, json};

fn connect(config: Value) -> Result<Arc<dyn acople_core::Connector>, acople_core::Error> {
    (VENDOR.connect)(config, Resources::new(Arc::new(ScriptedTransport::new([]))))
}

fn good() -> Value {
    json!({ "base_url": "https://s4.example.com/sap/opu/odata/sap/SRV/",
            "auth": { "basic": { "user": "u", "password": "p4ssword-1" } } })
}

fn with(change: &Value) -> Value {
    let mut config = good();
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn a_config_may_be_short_or_full() {
    let sap = connect(good()).unwrap();
    assert_eq!((sap.info().id.as_ref(), sap.info().api_version.as_deref()), ("sap", Some("4.0")));
    for change in [
        json!({ "protocol": "v2", "client": "100", "language": "EN", "page_size": 50, "look_back_seconds": 0,
                "change_fields": { "A": "B" }, "keyset": false, "swap_next_origin": true }),
        json!({ "auth": { "bearer": { "token": "t0ken-123" } } }),
        json!({ "auth": { "api_key": { "key": "k3y-12345" } } }),
        json!({ "auth": { "api_key": { "header": "X-Key", "key": "k3y-12345" } } }),
    ] {
        connect(with(&change)).unwrap();
    }
}

#[test]
fn a_bad_config_names_the_field_and_never_its_value() {
    for (change, field) in [
        (json!({ "base_url": "ftp://x" }), "base_url"),
        (json!({ "base_url": "http://s4.example.com/x" }), "base_url"),
        (json!({ "base_url": "https://u:p4ssword-1@s4.example.com/x" }), "base_url"),
        (json!({ "base_url": "https://s4.example.com/x?sap-client=100" }), "base_url"),
        (json!({ "protocol": "v3" }), "protocol"),
        (json!({ "client": "1" }), "client"),
        (json!({ "client": 100 }), "client"),
        (json!({ "language": "EN&x=1" }), "language"),
        (json!({ "page_size": 0 }), "page_size"),
        (json!({ "page_size": "p4ssword-1" }), "page_size"),
        (json!({ "pagesize": 1 }), "pagesize"),
        (json!({ "auth": { "basic": { "user": "u" } } }), "auth.basic.password"),
        (json!({ "auth": { "basic": { "user": "u", "password": "" } } }), "auth.basic.password"),
        (json!({ "auth": { "basic": { "user": "u:x", "password": "p4ssword-1" } } }), "auth.basic.user"),
        (
            json!({ "auth": { "basic": { "user": "u", "password": { "p4ssword-1": 1 } } } }),
            "auth.basic.password",
        ),
        (json!({ "auth": { "bearer": { "token": "" } } }), "auth.bearer.token"),
        (json!({ "auth": { "api_key": { "header": "a b", "key": "p4ssword-1" } } }), "auth.api_key.header"),
        (json!({ "auth": "p4ssword-1" }), "auth"),
    ] {
        let error = connect(with(&change)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{change}");
        let named =
            error.fields().iter().any(|f| f == field) || error.message().contains(&format!("`{field}`"));
        assert!(named, "{change}: {error:?}");
        assert!(!format!("{error:?}").contains("p4ssword-1"), "{error:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for field in ["base_url", "auth"] {
        let mut config = good();
        config.as_object_mut().unwrap().remove(field);
        assert!(connect(config).unwrap_err().message().contains(field));
    }
}

#[test]
fn secrets_are_printed_nowhere_and_marked_in_the_schema() {
    let config: acople_sap::Config = serde_json::from_value(good()).unwrap();
    let sap =
        acople_sap::Sap::new(config.clone(), &Resources::new(Arc::new(ScriptedTransport::new([])))).unwrap();
    let shown = format!("{config:?} {sap:?} {:?} {VENDOR:?}", sap.entity_set("A"));
    assert!(!shown.contains("p4ssword-1"), "{shown}");
    let schema = (VENDOR.config_schema)().to_string();
    assert_eq!(schema.matches(r#""writeOnly":true"#).count(), 3);
}
