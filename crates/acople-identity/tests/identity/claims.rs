//! What a token says of somebody, and how exactly the times are taken.

use acople_core::{ErrorKind, Secret};
use acople_identity::{
    Identity, IdentityProvider, JwtAlgorithm, JwtConfig, JwtVerifier, KeySet, Proof, VerificationKey,
};
use serde_json::{Value, json};

use crate::issuer::{ISSUER, NOW, SHARED, SigningKey, changed, claims, clock_at, config, verifier};

const HS: JwtAlgorithm = JwtAlgorithm::Hs256;

fn keys() -> KeySet {
    KeySet::new([VerificationKey::secret(&Secret::from(SHARED)).unwrap()])
}

fn token(changes: &[(&str, Value)]) -> Secret {
    SigningKey::Shared(SHARED).token(HS, &json!({"typ": "at+jwt"}), &changed(changes))
}

fn taking(config: JwtConfig) -> JwtVerifier {
    verifier(config, keys())
}

async fn identity(changes: &[(&str, Value)]) -> Identity {
    taking(config(&[HS])).identity(&token(changes)).await.unwrap()
}

async fn code(verifier: &JwtVerifier, token: &Secret) -> Option<String> {
    verifier.verify(token).await.err().and_then(|error| error.code().map(str::to_owned))
}

#[tokio::test]
async fn a_token_counts_from_its_beginning_to_its_end_give_or_take_the_leeway() {
    let token = token(&[("nbf", json!(NOW)), ("exp", json!(NOW + 100))]);
    for (leeway, at, expected) in [
        (0, NOW - 1, Some("token_not_yet_valid")),
        (0, NOW, None),
        (0, NOW + 99, None),
        (0, NOW + 100, Some("token_expired")),
        (60, NOW - 61, Some("token_not_yet_valid")),
        (60, NOW - 60, None),
        (60, NOW + 159, None),
        (60, NOW + 160, Some("token_expired")),
    ] {
        let verifier = taking(config(&[HS]).leeway_seconds(leeway)).with_clock(clock_at(at));
        assert_eq!(code(&verifier, &token).await.as_deref(), expected, "leeway {leeway}, at {at}");
    }
}

#[tokio::test]
async fn times_with_fractions_are_taken() {
    let exact = taking(config(&[HS]).leeway_seconds(0));
    assert_eq!(code(&exact, &token(&[("exp", json!(1_767_225_600.5))])).await, None);
    assert_eq!(
        code(&exact, &token(&[("exp", json!(1_767_225_599.5))])).await.as_deref(),
        Some("token_expired")
    );
}

#[tokio::test]
async fn a_clock_that_is_off_by_hours_is_named_as_what_may_be_wrong() {
    for (at, code) in [(NOW - 7200, "token_not_yet_valid"), (NOW + 7800, "token_expired")] {
        let verifier = taking(config(&[HS])).with_clock(clock_at(at));
        let error = verifier.verify(&token(&[])).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.message().contains("7200 s") && error.message().contains("NTP"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_there_what_is_expected_and_what_to_do() {
    let verifier = taking(config(&[HS]));
    let error = verifier.verify(&token(&[("aud", json!(["billing", "mail"]))])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "reauth: verify the token: the token's aud is [\"billing\",\"mail\"], this service expects orders-api: ask \
         for a token for this service, or add the name to audiences if it is this service's too (audience_refused)"
    );
    let error = verifier.verify(&token(&[("iss", json!("https://login.example.com"))])).await.unwrap_err();
    assert!(error.message().contains(
        "the token's iss is https://login.example.com, and https://login.example.com/ is expected"
    ));
    let hostile = token(&[("aud", json!(format!("x\n\u{1b}[31m{}", "y".repeat(5000))))]);
    let error = verifier.verify(&hostile).await.unwrap_err();
    assert!(!error.message().contains(['\n', '\u{1b}']) && error.message().len() < 600, "{error}");
}

#[tokio::test]
async fn an_identity_has_what_the_issuer_says_and_vouches_for() {
    let full = identity(&[
        ("name", json!("Ann")),
        ("email", json!("ann@example.com")),
        ("email_verified", json!(true)),
        ("groups", json!(["ops", "dev", 7])),
        ("scope", json!("orders:read orders:write")),
        ("tenant", json!("t-1")),
    ])
    .await;
    assert_eq!((full.issuer.as_str(), full.subject.as_str()), (ISSUER, "u-17"));
    assert_eq!((full.name.as_deref(), full.email.as_deref()), (Some("Ann"), Some("ann@example.com")));
    assert_eq!(full.groups.iter().collect::<Vec<_>>(), ["dev", "ops"]);
    assert_eq!(full.claims["tenant"], "t-1");
    assert!(full.expires_at.is_some());
    full.require_scope("orders:read").unwrap();
    let error = full.require_scope("orders:delete").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("scope_missing")));
    assert!(error.message().contains("orders:delete"));

    for unvouched in [json!(null), json!(false), json!("false"), json!(1)] {
        let identity = identity(&[("email", json!("ann@example.com")), ("email_verified", unvouched)]).await;
        assert_eq!(identity.email, None);
    }
    let scp = identity(&[("scp", json!(["a", "b"]))]).await;
    assert_eq!(scp.scopes.iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn tokens_made_for_another_use_are_refused() {
    let typed = taking(config(&[HS]).typ("at+jwt"));
    assert_eq!(code(&typed, &token(&[])).await, None);
    let key = SigningKey::Shared(SHARED);
    assert_eq!(code(&typed, &key.token(HS, &json!({"typ": "application/AT+JWT"}), &claims())).await, None);
    for header in [json!({"typ": "JWT"}), json!({}), json!({"typ": "at+jwt "})] {
        let refused = code(&typed, &key.token(HS, &header, &claims())).await;
        assert_eq!(refused.as_deref(), Some("type_refused"), "{header}");
    }
    let strict = taking(config(&[HS]).claim("token_use", "access").require("tenant"));
    let access = ("token_use", json!("access"));
    assert_eq!(code(&strict, &token(&[access.clone(), ("tenant", json!("t"))])).await, None);
    for (changes, expected) in [
        (vec![access], "claim_missing"),
        (vec![("tenant", json!("t"))], "claim_missing"),
        (vec![("token_use", json!("id")), ("tenant", json!("t"))], "claim_refused"),
        (vec![("token_use", json!(["access"])), ("tenant", json!("t"))], "claim_refused"),
    ] {
        assert_eq!(code(&strict, &token(&changes)).await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn several_names_of_the_service_or_any_audience_are_taken_where_the_config_says_so() {
    let two = taking(config(&[HS]).audience("orders-v2"));
    assert_eq!(code(&two, &token(&[("aud", json!(["x", "orders-v2"]))])).await, None);
    let mut any = config(&[HS]).claim("client_id", "app");
    any.any_audience = true;
    let any = taking(any);
    assert_eq!(code(&any, &token(&[("aud", json!(null)), ("client_id", json!("app"))])).await, None);
    assert!(code(&any, &token(&[("aud", json!(null)), ("client_id", json!("other"))])).await.is_some());
}

#[test]
fn a_config_that_would_take_too_much_or_nothing_is_refused() {
    let fields = |change: fn(&mut JwtConfig)| {
        let mut config = config(&[HS]);
        change(&mut config);
        JwtVerifier::new(config, keys()).unwrap_err().fields().to_vec()
    };
    assert_eq!(fields(|c| c.issuer.clear()), ["issuer"]);
    assert_eq!(fields(|c| c.audiences.clear()), ["audiences"]);
    assert_eq!(fields(|c| c.audiences[0].clear()), ["audiences"]);
    assert_eq!(fields(|c| c.algorithms.clear()), ["algorithms"]);
    assert_eq!(fields(|c| c.leeway_seconds = 601), ["leeway_seconds"]);
    assert_eq!(fields(|c| c.max_bytes = 0), ["max_bytes"]);
    for algorithm in ["none", "None", "RS1", "ES512", "rs256"] {
        let text = json!({"issuer": "i", "audiences": ["a"], "algorithms": [algorithm]});
        assert!(serde_json::from_value::<JwtConfig>(text).is_err(), "{algorithm}");
    }
    for algorithm in JwtAlgorithm::ALL {
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
        assert_eq!(JwtAlgorithm::named(algorithm.as_str()), Some(algorithm));
    }
}

#[tokio::test]
async fn a_password_is_no_token() {
    let password = Secret::from("pw");
    let proof = Proof::Password { user: "ann", password: &password };
    let error = taking(config(&[HS])).identify(&proof).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let token = token(&[]);
    assert_eq!(taking(config(&[HS])).identify(&Proof::Token(&token)).await.unwrap().subject, "u-17");
}
