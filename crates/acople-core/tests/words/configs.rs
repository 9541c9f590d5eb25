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
