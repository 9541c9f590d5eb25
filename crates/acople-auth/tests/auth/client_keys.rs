//! Assertions in all algorithms, and clients that show themselves by a key.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use acople_auth::config::{AuthServer, JwtBearer};
use acople_auth::{ClientAssertion, ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuthApp, OAuthClient};
use acople_core::{Clock, ErrorKind};
use acople_testkit::Reply;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::private_keys::{TestKey, p256};
use crate::vendor::{TOKEN_URL, Vendor, authorization};

/// Each algorithm: its name, a key for it, and how its signatures are verified.
fn keys() -> Vec<(JwtAlgorithm, String, Vec<u8>, &'static dyn VerificationAlgorithm)> {
    let rsa = TestKey::new();
    let (es256, public) = p256();
    vec![
        (JwtAlgorithm::Rs256, rsa.pkcs8_pem(), rsa.public.clone(), &RSA_PKCS1_2048_8192_SHA256),
        (JwtAlgorithm::Ps256, rsa.pkcs8_pem(), rsa.public, &RSA_PSS_2048_8192_SHA256),
        (JwtAlgorithm::Es256, es256, public, &ECDSA_P256_SHA256_FIXED),
    ]
}

/// Header and claims of a token whose signature is right.
fn verified(token: &str, public: &[u8], by: &'static dyn VerificationAlgorithm) -> (Value, Value) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    UnparsedPublicKey::new(by, public).verify(signed.as_bytes(), &decode(signature)).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    (serde_json::from_slice(&decode(header)).unwrap(), serde_json::from_slice(&decode(claims)).unwrap())
}

fn last_form(vendor: &Vendor) -> BTreeMap<String, String> {
    let calls = vendor.token_calls();
    url::form_urlencoded::parse(calls.last().unwrap().request.body()).into_owned().collect()
}

fn keyed(pem: &str, assertion: ClientAssertion) -> OAuthClient {
    OAuthClient { id: "app".into(), secret: Some(pem.into()), style: ClientStyle::PrivateKeyJwt(assertion) }
}

fn client_credentials(vendor: &Vendor, client: OAuthClient) -> acople_core::Result<OAuth2> {
    let grant = Grant::ClientCredentials { scope: None };
    Ok(OAuth2::builder("example", TOKEN_URL, client, grant, &vendor.resources())?.build())
}

#[tokio::test(start_paused = true)]
async fn assertions_are_signed_by_the_configured_algorithm_and_name_their_key() {
    for (algorithm, pem, public, by) in keys() {
        let vendor = Vendor::new();
        let resources = vendor.resources();
        let style = ClientStyle::Body;
        let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
        let app = JwtBearer::new("app", "user", pem.as_str()).with_algorithm(algorithm).with_key_id("k-7");
        let auth = app.oauth2("auth.jwt_bearer", "https://login.example.com", &server).unwrap().build();
        authorization(&auth).await.unwrap();
        let (header, claims) = verified(&last_form(&vendor)["assertion"], &public, by);
        let name = format!("{algorithm:?}").to_uppercase();
        assert_eq!(header, json!({"alg": name, "typ": "JWT", "kid": "k-7"}));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app"), &json!("user")));
    }
    let read: JwtBearer = serde_json::from_value(
        json!({"client_id": "a", "username": "u", "private_key": "k", "algorithm": "PS256", "key_id": "k-7"}),
    )
    .unwrap();
    assert_eq!((read.algorithm, read.key_id.as_deref()), (JwtAlgorithm::Ps256, Some("k-7")));
}

#[tokio::test(start_paused = true)]
async fn a_client_shows_itself_by_a_key_that_is_never_sent() {
    for (algorithm, pem, public, by) in keys() {
        let vendor = Vendor::new();
        let assertion = ClientAssertion { algorithm, ..ClientAssertion::default() };
        let auth = client_credentials(&vendor, keyed(&pem, assertion)).unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            authorization(&auth).await.unwrap();
            let form = last_form(&vendor);
            assert_eq!(form["client_id"], "app");
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            assert!(!form.contains_key("client_secret"), "{:?}", form.keys());
            let (_, claims) = verified(&form["client_assertion"], &public, by);
            let now = vendor.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app"), &json!("app")));
            assert_eq!(claims["aud"], TOKEN_URL);
            assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now - 30), &json!(now + 180)));
            ids.push(claims["jti"].as_str().unwrap().to_owned());
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        assert_ne!(ids[0], ids[1], "a server takes each assertion once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_assertion_is_for_whom_the_vendor_says_and_names_its_key() {
    let (vendor, key) = (Vendor::new(), TestKey::new());
    let assertion = ClientAssertion {
        key_id: Some("k-7".into()),
        audience: Some("https://login.example.com".into()),
        ..ClientAssertion::default()
    };
    authorization(&client_credentials(&vendor, keyed(&key.pkcs8_pem(), assertion)).unwrap()).await.unwrap();
    let (header, claims) =
        verified(&last_form(&vendor)["client_assertion"], &key.public, &RSA_PKCS1_2048_8192_SHA256);
    assert_eq!((&header["kid"], &claims["aud"]), (&json!("k-7"), &json!("https://login.example.com")));
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_client_assertion_follows_the_vendors_clock_after_a_refusal() {
    let (vendor, key) = (Vendor::new(), TestKey::new());
    // 2026-01-01 00:00:00 here, a day later there.
    let refusal = Reply::json(401, r#"{"error":"invalid_client","error_description":"exp is in the past"}"#)
        .header("date", "Fri, 02 Jan 2026 00:00:00 GMT");
    vendor.change(|rules| rules.instead = vec![refusal]);
    let client = keyed(&key.pkcs8_pem(), ClientAssertion::default());
    let grant = Grant::RefreshToken { refresh_token: "rt-0".into() };
    let auth = OAuth2::builder("example", TOKEN_URL, client, grant, &vendor.resources()).unwrap().build();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(vendor.token_calls().len(), 2);
    let (_, claims) =
        verified(&last_form(&vendor)["client_assertion"], &key.public, &RSA_PKCS1_2048_8192_SHA256);
    let now = vendor.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(claims["iat"].as_u64().unwrap().abs_diff(now + 86_400 - 30) <= 2, "{claims}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_fit_its_algorithm_is_refused_before_anything_is_sent() {
    let (rsa, (es256, _)) = (TestKey::new().pkcs8_pem(), p256());
    let cases = [
        (JwtAlgorithm::Es256, rsa.as_str(), "P-256"),
        (JwtAlgorithm::Rs256, es256.as_str(), "RSA"),
        (JwtAlgorithm::Ps256, es256.as_str(), "RSA"),
        (JwtAlgorithm::Rs256, "s3cret-text", "not PEM"),
        (JwtAlgorithm::Rs256, "", "is empty"),
    ];
    let vendor = Vendor::new();
    for (algorithm, pem, says) in cases {
        let client = keyed(pem, ClientAssertion { algorithm, ..ClientAssertion::default() });
        let errors = [
            client_credentials(&vendor, client.clone()).unwrap_err(),
            OAuthApp::new("example", TOKEN_URL, client, &vendor.resources()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.fields(), ["client_secret"]);
            assert!(error.message().contains(says), "{says}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
    assert!(vendor.token_calls().is_empty());
}
