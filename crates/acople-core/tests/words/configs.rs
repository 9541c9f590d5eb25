//! Errors in a config name the field and never its value.

use acople_core::{ErrorKind, Secret, parse_config};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by serde alone
struct Config {
    key: Secret,
    #[serde(default)]
    limits: Option<Limits>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Limits {
    rate: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Fast,
    Careful,
}

fn wrong(config: Value) -> (Vec<String>, String) {
    let error = parse_config::<Config>(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    (error.fields().to_vec(), error.message().to_owned())
}

#[test]
fn the_field_is_named_by_its_path() {
    let good = json!({ "key": "k", "limits": { "rate": 3 }, "mode": "careful" });
    assert!(parse_config::<Config>(good).is_ok());
    for (config, field) in [
        (json!({}), "key"),
        (json!({ "key": 7 }), "key"),
        (json!({ "key": "k", "nope": 1 }), "nope"),
        (json!({ "key": "k", "limits": {} }), "limits.rate"),
        (json!({ "key": "k", "limits": { "rate": 300 } }), "limits.rate"),
        (json!({ "key": "k", "limits": { "rate": 3, "per": 1 } }), "limits.per"),
        (json!({ "key": "k", "mode": "slow" }), "mode"),
    ] {
        let (fields, message) = wrong(config.clone());
        assert_eq!(fields, [field], "{config}: {message}");
    }
    assert!(wrong(json!({ "key": "k", "mode": "slow" })).1.contains("careful"), "says what is allowed");
}

#[test]
fn sec_01_a_value_in_the_wrong_place_is_not_repeated() {
    for value in [
        json!("canary-secret"),
        json!("canary, expected canary"),
        json!("a, expected canary, expected canary"),
        json!(["canary"]),
        json!({ "rate": "canary" }),
        json!({ "rate": "x\", expected canary" }),
    ] {
        wrong(json!({ "key": "k", "limits": value }));
    }
    wrong(json!({ "key": "k", "mode": "canary`, expected `canary" }));
    wrong(json!({ "key": { "canary": "canary" } }));
    wrong(json!("canary"));
    wrong(json!(["k", "canary"]));
}

#[test]
fn a_configs_schema_has_its_docs_without_code_and_marks_its_secrets() {
    /// A connection.
    ///
    /// ```
    /// let code = "for readers of Rust";
    /// ```
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Documented {
        /// The key.
        #[allow(dead_code)]
        key: acople_core::Secret,
    }
    let schema = acople_core::config_schema::<Documented>();
    assert_eq!(schema["description"], "A connection.");
    assert_eq!(schema["properties"]["key"]["writeOnly"], true);
    assert_eq!(schema["additionalProperties"], false);
}

/// The same with a schema, and an enum of each kind that serde writes.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Whole {
    auth: Auth,
    #[serde(default)]
    pages: Option<Pages>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    fields: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    wait: u32,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    tier: Tier,
    #[serde(default)]
    sink: Option<Sink>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Auth {
    Token(Secret),
    Basic { user: String, password: Secret },
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Pages {
    size: u8,
}

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)]
enum Tier {
    #[default]
    Free,
    Paid,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Sink {
    File { path: String },
    Null,
}

#[test]
fn host_06_everything_that_is_wrong_with_a_vendors_config_is_told_at_once() {
    for (config, fields) in [
        (json!({}), &["auth"][..]),
        (json!({ "auth": { "tokn": "canary" } }), &["auth"]),
        (json!({ "auth": "canary" }), &["auth"]),
        (
            json!({ "auth": { "basic": { "usr": "canary" } } }),
            &["auth.basic.usr", "auth.basic.password", "auth.basic.user"],
        ),
        (
            json!({ "auth": { "token": ["canary"] }, "wait": -1, "nope": "canary" }),
            &["auth.token", "nope", "wait"],
        ),
        (
            json!({ "pages": {}, "names": ["a", 7, null], "fields": { "a": 1 } }),
            &["fields.a", "names[1]", "names[2]", "pages.size", "auth"],
        ),
        (
            json!({ "auth": { "token": "k" }, "pages": { "size": 256 }, "wait": 4_294_967_296_u64 }),
            &["pages.size", "wait"],
        ),
        (
            json!({ "auth": { "token": "k" }, "wait": 1.5, "share": "canary", "tier": "canary" }),
            &["share", "tier", "wait"],
        ),
        (json!({ "auth": { "token": "k" }, "sink": { "kind": "file" }, "tier": 3 }), &["sink.path", "tier"]),
        (json!({ "auth": { "token": "k" }, "sink": { "kind": "canary" } }), &["sink"]),
        (json!("canary"), &[]),
        (json!(["canary"]), &[]),
    ] {
        let error = acople_core::parse_vendor_config::<Whole>(config.clone()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{config}");
        assert!(!shown.contains("canary"), "{shown}");
        let mut named: Vec<&str> = error.fields().iter().map(String::as_str).collect();
        let mut wanted = fields.to_vec();
        named.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(named, wanted, "{config}: {shown}");
        let told = wanted.iter().all(|field| wanted.len() < 2 || error.message().contains(field));
        assert!(told, "the message names all: {shown}");
    }
}

#[test]
fn a_config_that_serde_accepts_is_not_refused_for_its_shape() {
    for config in [
        json!({ "auth": { "token": "k" } }),
        json!({ "auth": { "basic": { "user": "u", "password": "p" } }, "pages": null, "share": 1 }),
        json!({ "auth": { "token": "k" }, "pages": { "size": 255 }, "names": [], "fields": { "x": "y" } }),
        json!({ "auth": { "token": "k" }, "wait": u32::MAX, "share": 1e-3, "tier": "paid" }),
        json!({ "auth": { "token": "k" }, "sink": { "kind": "null" } }),
        json!({ "auth": { "token": "k" }, "sink": { "kind": "file", "path": "p" } }),
    ] {
        acople_core::parse_vendor_config::<Whole>(config.clone()).unwrap_or_else(|e| panic!("{config}: {e}"));
    }
}
