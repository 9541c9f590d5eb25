//! A config for every way to log in that a connector's schema offers, with a canary in each field for a secret.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::canary::Canary;

/// Where all vendors answer.
pub const ORIGIN: &str = "https://acme.example.com";

/// One config, and the secrets in it.
#[derive(Clone, Debug)]
pub struct Variant {
    pub config: Json,
    pub canaries: Vec<Canary>,
}

/// All variants of a schema: `oneOf` gives one each, and optional secrets are filled in too.
pub fn variants(schema: &Json) -> Vec<Variant> {
    of(schema, "")
}

fn of(schema: &Json, name: &str) -> Vec<Variant> {
    if let Some(branches) = schema.get("oneOf").and_then(Json::as_array) {
        return branches.iter().flat_map(|branch| of(branch, name)).collect();
    }
    if schema["writeOnly"] == true {
        let canary = if name == "private_key" { key() } else { Canary::new() };
        let text = canary.text.clone();
        return vec![Variant { config: json!(text), canaries: vec![canary] }];
    }
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
        let text = match name {
            "base_url" | "login_url" => ORIGIN,
            "directory" => concat!(env!("CARGO_TARGET_TMPDIR"), "/secrets"),
            _ => "someone",
        };
        return vec![Variant { config: json!(text), canaries: Vec::new() }];
    };
    let required = schema.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
    let mut all = vec![Variant { config: Json::Object(Map::new()), canaries: Vec::new() }];
    for (name, schema) in properties {
        let wanted = required.contains(&json!(name))
            || name.ends_with("_url")
            || schema.to_string().contains("writeOnly");
        if !wanted {
            continue;
        }
        let values = of(schema, name);
        all = all
            .iter()
            .flat_map(|variant| {
                values.iter().map(|value| {
                    let mut variant = variant.clone();
                    variant.config[name] = value.config.clone();
                    variant.canaries.extend(value.canaries.clone());
                    variant
                })
            })
            .collect();
    }
    all
}

/// A key that signs.
fn key() -> Canary {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let lines: Vec<String> = STANDARD
        .encode(der.as_ref())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    Canary::of(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}
