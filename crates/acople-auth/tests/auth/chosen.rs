//! Providers that a config chooses.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use acople_auth::ClientStyle;
use acople_auth::config::{AnyAuth, AuthServer, Chosen};
use acople_core::{Context, ErrorKind, Request, Resources, Result};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use http::Method;
use serde_json::{Value, json};

use crate::vendor::{BASE, TOKEN_URL};

fn choose(auth: Value, transport: &ScriptedTransport) -> Result<Chosen> {
    let resources = resources(transport);
    let auth: AnyAuth = serde_json::from_value(auth).unwrap();
    let (connector, style) = ("example", ClientStyle::Body);
    auth.choose("auth", &AuthServer { connector, token_url: TOKEN_URL, style, resources: &resources })
}

fn resources(transport: &ScriptedTransport) -> Resources {
    Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(FakeClock::new()))
}

fn tokens() -> ScriptedTransport {
    ScriptedTransport::function(|_, _| {
        Reply::json(200, r#"{"access_token":"at-1","session":"s-1"}"#).header("x-csrf-token", "csrf-1")
    })
}

fn signing() -> Value {
    json!({"algorithm": "hmac_sha256", "rules": [
        {"text": "{body}", "put": [{"header": {"name": "x-key", "value": "{id}:{signature}"}}]}]})
}

#[tokio::test(start_paused = true)]
async fn each_kind_puts_its_credentials_on_the_request() {
    let oauth1 = json!({"consumer_key": "ck", "consumer_secret": "cs"});
    let aws = json!({"access_key_id": "AKID", "secret_access_key": "s"});
    for (auth, name, begin) in [
        (json!({"bearer": {"token": "t"}}), "authorization", "Bearer t"),
        (
            json!({"scheme": {"scheme": "Zoho-oauthtoken", "token": "t"}}),
            "authorization",
            "Zoho-oauthtoken t",
        ),
        (json!({"headers": {"X-Key": "k"}}), "x-key", "k"),
        (json!({"basic": {"user": "k3y"}}), "authorization", "Basic azN5Og=="),
        (json!({"key_as_user": {"key": "k3y"}}), "authorization", "Basic azN5Og=="),
        (json!({"email_token": {"email": "a@b", "token": "t"}}), "authorization", "Basic YUBiL3Rva2VuOnQ="),
        (json!({"json_body": {"pointer": "/key", "value": "v"}}), "content-type", "application/json"),
        (
            json!({"form_body": {"name": "key", "value": "v"}}),
            "content-type",
            "application/x-www-form-urlencoded",
        ),
        (json!({"refresh_token": {"client_id": "a", "refresh_token": "r"}}), "authorization", "Bearer at-1"),
        (
            json!({"client_credentials": {"client_id": "a", "client_secret": "s"}}),
            "authorization",
            "Bearer at-1",
        ),
        (
            json!({"aws": {"keys": aws, "region": "eu-west-1", "service": "s3"}}),
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/s3/",
        ),
        (
            json!({"oauth1": {"keys": oauth1, "method": "HMAC-SHA1", "realm": "R"}}),
            "authorization",
            "OAuth realm=\"R\", oauth_consumer_key=\"ck\"",
        ),
        (json!({"signing": {"id": "i", "secret": "s", "signing": signing()}}), "x-key", "i:"),
        (
            json!({"session": {"login_url": format!("{BASE}/login"), "fields": {"user": "u"},
                "take": {"json": "/session"}, "header": "x-key", "prefix": "S "}}),
            "x-key",
            "S s-1",
        ),
        (
            json!({"csrf": {"url": format!("{BASE}/odata/"), "auth": {"bearer": {"token": "t"}}}}),
            "x-csrf-token",
            "csrf-1",
        ),
        (
            json!({"app_secret_proof": {"app_secret": "s", "auth": {"bearer": {"token": "t"}}}}),
            "authorization",
            "Bearer t",
        ),
        (json!({"all": [{"bearer": {"token": "t"}}, {"headers": {"x-key": "k"}}]}), "x-key", "k"),
    ] {
        let chosen = choose(auth.clone(), &tokens()).unwrap();
        let mut request = Request::new(Method::POST, BASE.parse().unwrap());
        chosen.provider().authorize(&Context::new(), &mut request).await.unwrap();
        let value = request.headers()[name].to_str().unwrap();
        assert!(value.starts_with(begin), "{auth}: {value}");
    }
    let query = choose(json!({"query": {"name": "key", "value": "v"}}), &tokens()).unwrap();
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    query.provider().authorize(&Context::new(), &mut request).await.unwrap();
    assert_eq!(request.secret_query()[0].0, "key");
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    for (auth, field) in [
        (json!({"bearer": {"token": ""}}), "auth.bearer.token"),
        (json!({"headers": {"x y": "k"}}), "auth.headers.x y"),
        (
            json!({"refresh_token": {"client_id": "a", "refresh_token": ""}}),
            "auth.refresh_token.refresh_token",
        ),
        (json!({"service_account": {"key_file": "{}", "scopes": ["s"]}}), "auth.service_account.key_file"),
        (
            json!({"aws": {"keys": {"access_key_id": "a", "secret_access_key": "s"}, "region": "", "service": "s"}}),
            "auth.aws.region",
        ),
        (json!({"apns": {"team_id": "A", "key_id": "B", "private_key": "none"}}), "auth.apns.private_key"),
        (json!({"csrf": {"url": "http://x.example", "auth": {"bearer": {"token": "t"}}}}), "auth.csrf.url"),
        (
            json!({"all": [{"bearer": {"token": "t"}}, {"query": {"name": "k", "value": ""}}]}),
            "auth.all[1].query.value",
        ),
        (
            json!({"app_secret_proof": {"app_secret": "", "auth": {"bearer": {"token": "t"}}}}),
            "auth.app_secret_proof.app_secret",
        ),
        (
            json!({"signing": {"secret": "s", "signing": {"algorithm": "md5", "rules": [{"text": "{x}", "put": []}]}}}),
            "auth.signing.rules[0].text",
        ),
    ] {
        let error = choose(auth, &tokens()).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]));
    }
}

#[test]
fn every_secret_of_the_schema_is_marked_as_one() {
    let schema = serde_json::to_string(&schemars::schema_for!(AnyAuth)).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut found = 0;
    check(&schema, &mut found);
    assert_eq!(found, 15);
}

/// Looks at all properties that are named as secrets are.
fn check(schema: &Value, found: &mut usize) {
    let names = [
        "app_secret",
        "client_secret",
        "consumer_secret",
        "key_file",
        "password",
        "private_key",
        "secret",
        "secret_access_key",
        "session_token",
        "token",
        "token_secret",
    ];
    match schema {
        Value::Object(members) => {
            for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                // The public half of OAuth 1.0a is called a token as well, and is optional.
                let public = name == "token" && property.get("type") == Some(&json!(["string", "null"]));
                if names.contains(&name.as_str()) && !public {
                    assert_eq!(property["format"], "password", "{name}: {property}");
                    *found += 1;
                }
            }
            members.values().for_each(|member| check(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, found)),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn auth_11_the_classifier_of_a_choice_follows_the_vendors_clock() {
    let theirs = 1_767_225_600 + 86_400;
    let transport = ScriptedTransport::function(move |sent, _| {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(theirs));
        let good = sent.header("x-amz-date") == Some("20260102T000000Z");
        Reply::json(if good { 200 } else { 403 }, "{}").header("date", &date)
    });
    let aws = json!({"aws": {"keys": {"access_key_id": "a", "secret_access_key": "s"},
        "region": "r", "service": "s"}});
    let chosen = choose(json!({"all": [{"headers": {"x-k": "k"}}, aws]}), &transport).unwrap();
    let client = Client::with_resources(BASE, &resources(&transport))
        .unwrap()
        .auth(chosen.provider())
        .classifier(chosen.classifier(StatusClassifier))
        .build();
    client.send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(transport.sent().len(), 2);
}

#[test]
fn every_config_of_the_guide_is_one() {
    let guide = include_str!("../../../../docs/auth.md");
    let mut read = 0;
    for block in guide.split("```json\n").skip(1) {
        let text = block.split_once("```").unwrap().0;
        for auth in serde_json::Deserializer::from_str(text).into_iter::<AnyAuth>() {
            auth.unwrap_or_else(|error| panic!("{error}: {text}"));
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}
