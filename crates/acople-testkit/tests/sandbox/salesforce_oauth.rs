//! Salesforce: the token endpoint and the life of sessions.

use std::time::Duration;

use acople_testkit::sandbox::Salesforce;
use serde_json::{Value, json};

use crate::client::Client;

const TOKEN: &str = "/services/oauth2/token";
const LIMITS: &str = "/services/data/v67.0/limits";

async fn refresh(vendor: &Salesforce, token: &str) -> crate::client::Reply {
    let known = vendor.credentials();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", known.client_id.as_str()),
        ("client_secret", known.client_secret.as_str()),
    ];
    Client::new(vendor.url(), "").form(TOKEN, &form).await
}

#[tokio::test]
async fn a_refresh_gives_a_session_without_an_expiry() {
    let vendor = Salesforce::start().await.unwrap();
    let known = vendor.credentials();
    let answer = refresh(&vendor, &known.refresh_token).await.with_status(200);
    assert_eq!(answer["instance_url"], vendor.url());
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["issued_at"], "1767323045000");
    assert!(answer.get("expires_in").is_none());
    assert!(answer.get("refresh_token").is_none(), "the token stays the same unless rotation is on");
    let client = Client::new(vendor.url(), answer["access_token"].as_str().unwrap());
    client.get(LIMITS).await.with_status(200);
    assert_eq!(vendor.stats().tokens_issued, 1);
    // The same refresh token is good again.
    refresh(&vendor, &known.refresh_token).await.with_status(200);
}

#[tokio::test]
async fn rotation_kills_the_old_refresh_token() {
    let vendor = Salesforce::builder().rotate_refresh_tokens(true).start().await.unwrap();
    let first = vendor.credentials().refresh_token;
    let answer = refresh(&vendor, &first).await.with_status(200);
    let second = answer["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    assert_eq!(vendor.credentials().refresh_token, second);
    let refused = refresh(&vendor, &first).await.with_status(400);
    assert_eq!(refused["error"], "invalid_grant");
    refresh(&vendor, second).await.with_status(200);
}

#[tokio::test]
async fn a_revoked_grant_is_invalid_until_the_user_grants_again() {
    let vendor = Salesforce::start().await.unwrap();
    let old = vendor.credentials().refresh_token;
    vendor.revoke_grants();
    let refused = refresh(&vendor, &old).await.with_status(400);
    assert_eq!(
        refused,
        json!({"error": "invalid_grant", "error_description": "expired access/refresh token"})
    );
    vendor.grant();
    refresh(&vendor, &vendor.credentials().refresh_token).await.with_status(200);
    let client = Client::new(vendor.url(), "");
    let token = vendor.access_token();
    client.form("/services/oauth2/revoke", &[("token", &token)]).await.with_status(200);
    Client::new(vendor.url(), token).get(LIMITS).await.with_status(401);
}

#[tokio::test]
async fn client_credentials_come_in_the_header_or_in_the_body() {
    let vendor = Salesforce::start().await.unwrap();
    let known = vendor.credentials();
    let client = Client::new(vendor.url(), "");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", known.client_id.as_str()),
        ("client_secret", known.client_secret.as_str()),
    ];
    let answer = client.form(TOKEN, &form).await.with_status(200);
    assert!(answer.get("refresh_token").is_none());
    let basic = base64(format!("{}:{}", known.client_id, known.client_secret).as_bytes());
    let headers = [("authorization", format!("Basic {basic}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = client.send("POST", TOKEN, &headers, "grant_type=client_credentials").await.unwrap();
    reply.with_status(200);
    for (id, secret, error) in
        [("x", known.client_secret.as_str(), "invalid_client_id"), (&known.client_id, "x", "invalid_client")]
    {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        assert_eq!(client.form(TOKEN, &form).await.with_status(400)["error"], error);
    }
    let password = [("grant_type", "password"), ("username", "u"), ("password", "p")];
    assert_eq!(client.form(TOKEN, &password).await.with_status(400)["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn a_jwt_assertion_is_judged_by_its_claims() {
    let now = 1_800_000_000;
    let vendor = Salesforce::builder().assertions_judged_at(now).start().await.unwrap();
    let known = vendor.credentials();
    let client = Client::new(vendor.url(), "");
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({
            "iss": known.client_id,
            "sub": known.username,
            "aud": "https://login.salesforce.com",
            "exp": now + 180,
        });
        change(&mut claims);
        assertion(&json!({"alg": "RS256"}), &claims)
    };
    let send = async |assertion: String| {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        client.form(TOKEN, &form).await
    };
    send(claims(&|_| {})).await.with_status(200);
    send(claims(&|c| c["aud"] = vendor.url().into())).await.with_status(200);
    send(claims(&|c| c["exp"] = (now + 180).to_string().into())).await.with_status(200);
    let bad: [&dyn Fn(&mut Value); 5] = [
        &|c| c["iss"] = "someone".into(),
        &|c| c["sub"] = "someone".into(),
        &|c| c["aud"] = "https://evil.example".into(),
        &|c| c["exp"] = (now - 1).into(),
        &|c| c["exp"] = (now + 86_400).into(),
    ];
    for change in bad {
        assert_eq!(send(claims(change)).await.with_status(400)["error"], "invalid_grant");
    }
    let unsigned = assertion(&json!({"alg": "none"}), &json!({"iss": known.client_id}));
    for text in [unsigned, "a.b".to_owned(), "!.!.!".to_owned()] {
        assert_eq!(send(text).await.with_status(400)["error"], "invalid_grant");
    }
    assert_eq!(vendor.stats().tokens_issued, 3);
}

#[tokio::test]
async fn a_session_ends_after_its_uses_or_its_time_or_on_demand() {
    let vendor =
        Salesforce::builder().token_uses(3).token_lifetime(Duration::from_secs(3_600)).start().await.unwrap();
    let worn = Client::salesforce(&vendor);
    for _ in 0..3 {
        worn.get(LIMITS).await.with_status(200);
    }
    let refused = worn.get(LIMITS).await.with_status(401);
    assert_eq!(
        refused,
        json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    );

    let sliding = Client::salesforce(&vendor);
    vendor.advance(Duration::from_secs(3_599));
    sliding.get(LIMITS).await.with_status(200);
    vendor.advance(Duration::from_secs(3_599));
    sliding.get(LIMITS).await.with_status(200);
    vendor.advance(Duration::from_secs(3_600));
    sliding.get(LIMITS).await.with_status(401);

    let ended = Client::salesforce(&vendor);
    vendor.expire_tokens();
    ended.get(LIMITS).await.with_status(401);
    Client::new(vendor.url(), "never-issued").get(LIMITS).await.with_status(401);
    Client::new(vendor.url(), "").get(LIMITS).await.with_status(401);
    assert_eq!(vendor.stats().answers_with(401), 5);
    assert_eq!(vendor.api_usage(), 5, "refused sessions use up nothing");
}

fn assertion(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| {
        base64(value.to_string().as_bytes()).replace('+', "-").replace('/', "_").replace('=', "")
    };
    format!("{}.{}.c2lnbmF0dXJl", part(header), part(claims))
}

/// Base64 by hand: three bytes are four digits.
fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_usize, |group, at| group << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            out.push(if at > chunk.len() { '=' } else { char::from(digits[group >> (18 - 6 * at) & 63]) });
        }
    }
    out
}
