//! No secret and no token in any text that leaves the crate.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;

use acople_core::{Error, Resources, Secret};
use acople_identity::{
    ApiKeyRequest, ApiKeys, JwtAlgorithm, KeySet, MemoryApiKeys, OidcConfig, OidcLogin, Proof,
    VerificationKey,
};
use acople_testkit::{Reply, ScriptedTransport};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use url::Url;

use crate::issuer::{NOW, SigningKey, b64, changed, config, verifier};

const SHARED: &str = "CANARY-shared-secret-of-32-bytes!";
const CLIENT: &str = "CANARY+client/0123=";
const CODE: &str = "CANARY-code-0123";
const ACCESS: &str = "CANARY-access-0123";
const REFRESH: &str = "CANARY-refresh-0123";

fn texts(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}\n", serde_json::to_string(error).unwrap());
    let mut source = error.source();
    while let Some(cause) = source {
        writeln!(text, "{cause}\n{cause:?}").unwrap();
        source = cause.source();
    }
    text
}

fn assert_clean(text: &str, what: &str) {
    let lower = text.to_lowercase();
    for canary in [SHARED, CLIENT, CODE, ACCESS, REFRESH] {
        let percent: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
        let hex: String = canary.bytes().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        for form in [canary.to_owned(), percent, STANDARD.encode(canary), URL_SAFE_NO_PAD.encode(canary), hex]
        {
            assert!(!lower.contains(&form.to_lowercase()), "{what}: {canary} as {form} in {text}");
        }
    }
    assert!(!lower.contains("canary"), "{what}: part of a canary in {text}");
}

#[tokio::test]
async fn sec_01_no_token_and_no_key_is_in_any_text() {
    let key = VerificationKey::secret(&Secret::from(SHARED)).unwrap();
    let signing = SigningKey::Shared(SHARED);
    let verifier = verifier(config(&[JwtAlgorithm::Hs256]), KeySet::new([key.clone()]));
    let mut said = format!("{key:?} {verifier:?} {verifier:#?}");
    let hs = JwtAlgorithm::Hs256;
    // A name that is secret to the host, in claims that no message is about.
    let private = |changes: &[(&str, serde_json::Value)]| {
        let mut claims = changed(changes);
        claims["jti"] = "CANARY-jti".into();
        claims["phone_number"] = "CANARY-phone".into();
        signing.token(hs, &json!({}), &claims)
    };
    let mut tokens = vec![
        private(&[("aud", json!("x"))]),
        private(&[("iss", json!("x"))]),
        private(&[("exp", json!(NOW - 600))]),
        private(&[("exp", json!("CANARY"))]),
        private(&[("nbf", json!(NOW + 600))]),
        private(&[("sub", json!(null))]),
        signing.compact(hs, r#"{"alg":"HS256"}"#, "CANARY"),
        signing.compact(hs, r#"{"alg":"HS256","CANARY":1,"CANARY":2}"#, "{}"),
        signing.compact(hs, r#"{"alg":"HS256","crit":["CANARY"]}"#, "{}"),
        signing.compact(hs, r#"{"alg":"HS256","jku":"https://CANARY/"}"#, "{}"),
        SigningKey::Shared("CANARY-another-secret-of-32-bytes").token(hs, &json!({}), &changed(&[])),
    ];
    for text in ["CANARY", "CANARY.CANARY.CANARY", "Basic CANARY", "a.b.CANARY"] {
        tokens.push(Secret::from(text));
    }
    for token in &tokens {
        let error = verifier.identity(token).await.unwrap_err();
        writeln!(said, "{} {:?}", texts(&error), Proof::Token(token)).unwrap();
        let parts: Vec<&str> = token.expose().split('.').filter(|part| part.len() > 12).collect();
        assert!(parts.iter().all(|part| !said.contains(part)), "part of a token in {said}");
    }
    assert_clean(&said, "tokens");

    let keys = ApiKeys::new("acme", MemoryApiKeys::new()).unwrap();
    let issued = keys.issue(ApiKeyRequest::new("owner")).await.unwrap();
    let secret = issued.key.expose().rsplit_once('_').unwrap().1.to_owned();
    let mut said = format!("{issued:?} {issued:#?} {keys:?} {:?}", issued.record);
    keys.revoke(&issued.record.id).await.unwrap();
    let elsewhere = ApiKeys::new("acme", MemoryApiKeys::new()).unwrap();
    for text in [issued.key.expose().to_owned(), format!("{}x", issued.key.expose()), format!("x{secret}")] {
        for keys in [&keys, &elsewhere] {
            said.push_str(&texts(&keys.verify(&Secret::from(text.clone())).await.unwrap_err()));
        }
    }
    assert!(!said.contains(secret.get(..20).unwrap()) && !said.contains(secret.get(20..).unwrap()), "{said}");
}

#[tokio::test(start_paused = true)]
async fn sec_01_no_secret_of_a_login_is_in_any_text_whatever_the_provider_echoes() {
    let key = SigningKey::new_ed();
    let set = json!({"keys": [key.jwk("k-1")]}).to_string();
    for scenario in 0..8 {
        let (set, id_token) = (
            set.clone(),
            key.token(
                JwtAlgorithm::EdDsa,
                &json!({"kid": "k-1"}),
                &changed(&[("nonce", json!("CANARY-nonce"))]),
            ),
        );
        let signature = id_token.expose().rsplit_once('.').unwrap().1.to_owned();
        let transport = ScriptedTransport::function(move |sent, _| {
            let echo = format!(
                "CANARY {} {} {}",
                sent.body(),
                sent.header("authorization").unwrap_or_default(),
                sent.request.clone().into_parts().1
            );
            let echoed =
                json!({"error": "invalid_grant", "error_description": echo, "message": echo}).to_string();
            let good =
                json!({"access_token": ACCESS, "refresh_token": REFRESH, "id_token": id_token.expose()});
            match (sent.request.url().path(), scenario) {
                ("/.well-known/openid-configuration", 0) | ("/token", 2) => Reply::json(500, echoed),
                ("/.well-known/openid-configuration", _) => Reply::json(
                    200,
                    json!({
                        "issuer": "https://login.example.com/",
                        "authorization_endpoint": "https://login.example.com/authorize",
                        "token_endpoint": "https://login.example.com/token",
                        "jwks_uri": "https://login.example.com/keys",
                    })
                    .to_string(),
                ),
                ("/token", 1) => Reply::json(401, echoed),
                ("/token", 3) => Reply::json(200, echoed),
                ("/token", 4) => Reply::new(200, echo).header("content-type", "text/html"),
                ("/token", 5) => {
                    Reply::json(200, json!({"access_token": ACCESS, "id_token": "CANARY.a.b"}).to_string())
                }
                ("/keys", 6) => Reply::json(404, echoed),
                ("/token", _) => Reply::json(200, good.to_string()),
                _ => Reply::json(200, set.clone()),
            }
        });
        let resources = Resources::new(Arc::new(transport)).with_clock(crate::issuer::clock_at(NOW));
        let oidc = OidcConfig::new(
            "https://login.example.com/",
            "orders-api",
            Secret::from(CLIENT),
            "https://orders.example.com/cb",
        )
        .algorithms([JwtAlgorithm::EdDsa]);
        let mut said = format!("{oidc:?} {oidc:#?}");
        let login = OidcLogin::new(oidc, &resources).unwrap();
        let error = match login.begin("CANARY-session").await {
            Err(error) => error,
            Ok((url, pending)) => {
                let url: Url = url;
                let state = pending.state().to_owned();
                write!(said, "{pending:?}").unwrap();
                assert!(!url.as_str().contains("CANARY"));
                login
                    .complete("CANARY-session", pending, &format!("state={state}&code={CODE}"))
                    .await
                    .unwrap_err()
            }
        };
        write!(said, "{} {login:?} {login:#?}", texts(&error)).unwrap();
        for canary in [
            CLIENT,
            CODE,
            ACCESS,
            REFRESH,
            "CANARY-session",
            "CANARY-nonce",
            signature.as_str(),
            &b64(CLIENT),
        ] {
            assert!(!said.contains(canary), "scenario {scenario}: {canary} in {said}");
        }
    }
}
