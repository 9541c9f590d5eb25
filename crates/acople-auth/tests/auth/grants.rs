use std::time::{Duration, UNIX_EPOCH};

use acople_auth::{ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuthClient};
use acople_core::{Clock, ErrorKind, Secret};
use acople_testkit::Reply;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::private_keys::{TestKey, pem};
use crate::vendor::{TOKEN_URL, Vendor, app, authorization};

fn form(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn client_credentials(vendor: &Vendor, client: OAuthClient) -> OAuth2 {
    let grant = Grant::ClientCredentials { scope: Some("read write".into()) };
    OAuth2::builder("example", TOKEN_URL, client, grant, &vendor.resources()).unwrap().build()
}

fn jwt(vendor: &Vendor, key: &str) -> acople_core::Result<OAuth2> {
    let grant = Grant::JwtBearer {
        issuer: "consumer-key".into(),
        subject: "user@example.com".into(),
        audience: "https://login.example.com".into(),
        algorithm: JwtAlgorithm::Rs256,
        private_key_pem: key.into(),
    };
    let nobody = OAuthClient { id: String::new(), secret: None, style: ClientStyle::Body };
    Ok(OAuth2::builder("example", TOKEN_URL, nobody, grant, &vendor.resources())?.build())
}

#[tokio::test(start_paused = true)]
async fn client_credentials_go_into_the_body_or_into_basic_authorization() {
    let vendor = Vendor::new();
    authorization(&client_credentials(&vendor, app())).await.unwrap();
    let body = form(&vendor.token_calls()[0].body());
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("client_id", "app"),
        ("client_secret", "app-s3cret"),
    ];
    assert_eq!(body, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));

    // Both parts are form-encoded before they are joined: RFC 6749, 2.3.1.
    let basic = OAuthClient { id: "a:p".into(), secret: Some("s/3".into()), style: ClientStyle::Basic };
    authorization(&client_credentials(&vendor, basic)).await.unwrap();
    let sent = &vendor.token_calls()[1];
    let expected = base64::engine::general_purpose::STANDARD.encode("a%3Ap:s%2F3");
    assert_eq!(sent.header("authorization"), Some(format!("Basic {expected}").as_str()));
    assert!(sent.request.headers()["authorization"].is_sensitive());
    assert!(form(&sent.body()).iter().all(|(name, _)| !name.starts_with("client_")));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_refresh_token_ignores_one_and_is_asked_again_after_faults() {
    let vendor = Vendor::new();
    vendor.change(|rules| rules.instead = vec![Reply::json(500, "{}"), Reply::json(502, "{}")]);
    let auth = client_credentials(&vendor, app());
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    tokio::time::sleep(Duration::from_secs(3700)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    assert!(vendor.token_calls().iter().all(|sent| !sent.body().contains("rt-")));
}

#[tokio::test(start_paused = true)]
async fn parameters_scheme_and_the_query_of_the_token_url_are_kept() {
    let vendor = Vendor::new();
    let grant = Grant::RefreshToken { refresh_token: "rt-0".into() };
    let url = "https://login.example.com/oauth/token?tenant=7";
    let public = OAuthClient { secret: None, ..app() };
    let auth = OAuth2::builder("example", url, public, grant, &vendor.resources())
        .unwrap()
        .param("account_id", "A1")
        .scheme("Zoho-oauthtoken")
        .build();
    assert_eq!(authorization(&auth).await.unwrap(), "Zoho-oauthtoken at-1");
    let sent = &vendor.token_calls()[0];
    assert_eq!(sent.request.url().as_str(), url);
    assert_eq!(sent.body(), "grant_type=refresh_token&refresh_token=rt-0&client_id=app&account_id=A1");
}

/// The claims of an assertion whose signature and header are right.
fn verified(assertion: &str, key: &TestKey) -> serde_json::Value {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public)
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the signature is right");
    let (header, claims) = signed.split_once('.').unwrap();
    let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header, serde_json::json!({"alg": "RS256", "typ": "JWT"}));
    serde_json::from_slice(&decode(claims)).unwrap()
}

fn assertion(body: &str) -> String {
    let form = form(body);
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(form.len(), 2, "a client without id and secret sends neither");
    form[1].1.clone()
}

#[tokio::test(start_paused = true)]
async fn auth_12_an_assertion_is_backdated_and_ends_in_three_minutes() {
    let (vendor, key) = (Vendor::new(), TestKey::new());
    assert_eq!(authorization(&jwt(&vendor, &key.pkcs8_pem()).unwrap()).await.unwrap(), "Bearer at-1");
    let claims = verified(&assertion(&vendor.token_calls()[0].body()), &key);
    let now = vendor.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expected = serde_json::json!({
        "iss": "consumer-key",
        "sub": "user@example.com",
        "aud": "https://login.example.com",
        "iat": now - 30,
        "nbf": now - 30,
        "exp": now + 180,
    });
    assert_eq!(claims, expected);
}

#[tokio::test(start_paused = true)]
async fn auth_12_each_token_call_has_an_assertion_of_its_own_time() {
    let (vendor, key) = (Vendor::new(), TestKey::new());
    let auth = jwt(&vendor, &key.pkcs8_pem()).unwrap();
    authorization(&auth).await.unwrap();
    let later = Duration::from_secs(3700);
    vendor.clock.advance(later);
    tokio::time::sleep(later).await;
    authorization(&auth).await.unwrap();
    let iat =
        |call: usize| verified(&assertion(&vendor.token_calls()[call].body()), &key)["iat"].as_u64().unwrap();
    assert_eq!(iat(1) - iat(0), 3700);
}

#[tokio::test(start_paused = true)]
async fn auth_11_assertions_follow_the_vendors_clock_after_a_refusal() {
    for (date, ahead) in
        [("Fri, 02 Jan 2026 00:00:00 GMT", 86_400), ("Wed, 31 Dec 2025 00:00:00 GMT", -86_400)]
    {
        let (vendor, key) = (Vendor::new(), TestKey::new());
        let refused =
            Reply::json(400, r#"{"error":"invalid_grant","error_description":"assertion is not yet valid"}"#);
        vendor.change(|rules| rules.instead = vec![refused.header("date", date)]);
        let auth = jwt(&vendor, &key.pkcs8_pem()).unwrap();
        authorization(&auth).await.unwrap();
        let calls = vendor.token_calls();
        assert_eq!(calls.len(), 2);
        let iat = |call: usize| verified(&assertion(&calls[call].body()), &key)["iat"].as_i64().unwrap();
        assert_eq!(iat(1) - iat(0), ahead);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_assertion_is_not_signed_again_when_the_clocks_agree() {
    let (vendor, key) = (Vendor::new(), TestKey::new());
    let refused = || {
        Reply::json(
            400,
            r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
        )
        .header("date", "Thu, 01 Jan 2026 00:00:10 GMT")
    };
    vendor.change(|rules| rules.instead = vec![refused()]);
    let auth = jwt(&vendor, &key.pkcs8_pem()).unwrap();
    assert_eq!(authorization(&auth).await.unwrap_err().kind(), ErrorKind::Reauth);
    assert_eq!(vendor.token_calls().len(), 1);
    // Somebody approves it at the vendor's: no new credentials are needed here.
    tokio::time::sleep(Duration::from_secs(300)).await;
    authorization(&auth).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_come_as_pkcs8_or_pkcs1_with_real_or_written_line_breaks() {
    let key = TestKey::new();
    let escaped = key.pkcs8_pem().replace('\n', "\\n");
    let crlf = format!("# comment\r\n{}", key.pkcs1_pem().replace('\n', "\r\n"));
    let after_certificate = format!("{}{}", pem("CERTIFICATE", b"whatever"), key.pkcs8_pem());
    for text in [key.pkcs1_pem(), escaped, crlf, after_certificate] {
        let vendor = Vendor::new();
        authorization(&jwt(&vendor, &text).unwrap()).await.unwrap();
        verified(&assertion(&vendor.token_calls()[0].body()), &key);
    }
}

#[test]
fn a_wrong_key_is_a_config_error_that_names_the_field_and_never_the_key() {
    let vendor = Vendor::new();
    let key = TestKey::new();
    let body: String = key.pkcs8_pem().lines().nth(3).unwrap().to_owned();
    let cut = key.pkcs8_pem().replace(&body, "");
    let damaged = key.pkcs8_pem().replace(&body, "!!!!");
    let cases = [
        ("", "not PEM"),
        (&body, "not PEM"),
        (&cut, "damaged"),
        (&damaged, "base64"),
        (&pem("CERTIFICATE", b"abc"), "no private key"),
        (&pem("ENCRYPTED PRIVATE KEY", b"abc"), "encrypted"),
        (&pem("EC PRIVATE KEY", b"abc"), "not an RSA key"),
        (&pem("RSA PRIVATE KEY", &key.pkcs8), "not an RSA key"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----",
            "encrypted",
        ),
        ("-----BEGIN PRIVATE KEY-----\nAAAA", "not PEM"),
    ];
    for (text, says) in cases {
        let error = jwt(&vendor, text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.fields(), ["private_key_pem"]);
        assert!(error.message().contains(says), "{says}: {error}");
        assert!(!format!("{error:?}").contains(&body));
    }
}

#[test]
fn an_incomplete_assertion_names_the_field() {
    let vendor = Vendor::new();
    let key = TestKey::new();
    let grant = Grant::JwtBearer {
        issuer: "consumer-key".into(),
        subject: String::new(),
        audience: "https://login.example.com".into(),
        algorithm: JwtAlgorithm::Rs256,
        private_key_pem: Secret::from(key.pkcs8_pem()),
    };
    let error = OAuth2::builder("example", TOKEN_URL, app(), grant, &vendor.resources()).unwrap_err();
    assert_eq!(error.fields(), ["subject"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_exchanged_for_another() {
    let vendor = Vendor::new();
    let exchange = |subject: &str, actor: Option<(Secret, String)>| {
        let grant = Grant::TokenExchange {
            subject_token: subject.into(),
            subject_token_type: "urn:ietf:params:oauth:token-type:jwt".into(),
            actor,
            audience: Some("api".into()),
            scope: Some("read".into()),
        };
        OAuth2::builder("example", TOKEN_URL, app(), grant, &vendor.resources())
    };
    let actor =
        Some((Secret::from("actor-token"), "urn:ietf:params:oauth:token-type:access_token".to_owned()));
    let auth = exchange("subject-token", actor).unwrap().param("resource", "https://api.example.com").build();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "subject-token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("actor_token", "actor-token"),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", "api"),
        ("scope", "read"),
        ("client_id", "app"),
        ("client_secret", "app-s3cret"),
        ("resource", "https://api.example.com"),
    ];
    assert_eq!(form(&vendor.token_calls()[0].body()), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    // Nothing is used up: asked again, and after a fault too.
    vendor.change(|rules| rules.instead = vec![Reply::json(503, "{}")]);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    let body = r#"{"error":"invalid_request","error_description":"subject-token is over"}"#;
    vendor.change(|rules| rules.instead = vec![Reply::json(400, body)]);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.to_string().contains("subject-token"), "{error}");
    assert_eq!(exchange("", None).unwrap_err().fields(), &["subject_token".to_owned()][..]);
}

#[tokio::test(start_paused = true)]
async fn a_password_is_sent_where_a_vendor_has_nothing_else() {
    let vendor = Vendor::new();
    let password = |password: &str| {
        let grant = Grant::DeprecatedPassword {
            username: "jo@example.com".into(),
            password: password.into(),
            scope: None,
        };
        OAuth2::builder("example", TOKEN_URL, app(), grant, &vendor.resources())
    };
    let auth = password("pass-w0rd").unwrap().build();
    for _ in 0..2 {
        authorization(&auth).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let body = vendor.token_calls()[1].body();
    assert!(
        body.starts_with("grant_type=password&username=jo%40example.com&password=pass-w0rd&client_id"),
        "{body}"
    );
    let refusal = r#"{"error":"invalid_grant","error_description":"wrong: pass-w0rd"}"#;
    vendor.change(|rules| rules.instead = vec![Reply::json(400, refusal)]);
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(!error.to_string().contains("pass-w0rd"), "{error}");
    assert_eq!(password("").unwrap_err().fields(), &["password".to_owned()][..]);
}
