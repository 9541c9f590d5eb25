//! Assertions, clients' assertions, service accounts and Apple's provider tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use acople::auth::{
    ClientAssertion, ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuthClient, ProviderToken, ServerClock,
    ServiceAccount,
};
use acople::{AuthProvider, Context, Request, Resources, Secret};
use acople_testkit::{Reply, ScriptedTransport};
use http::Method;
use serde_json::{Value, json};

use crate::checker::{agrees, notices};
use crate::keys::{p256, rsa};

const TOKEN_URL: &str = "https://login.example.com/oauth/token";
const ALGORITHMS: [(JwtAlgorithm, &str); 3] =
    [(JwtAlgorithm::Rs256, "RS256"), (JwtAlgorithm::Ps256, "PS256"), (JwtAlgorithm::Es256, "ES256")];

fn vendor() -> (ScriptedTransport, Resources) {
    let transport = ScriptedTransport::new([Reply::json(200, r#"{"access_token":"at-1","expires_in":60}"#)]);
    let resources = Resources::new(Arc::new(transport.clone()));
    (transport, resources)
}

async fn authorized(auth: &dyn AuthProvider) -> Request {
    let mut request = Request::new(Method::GET, "https://api.example.com/orders".parse().unwrap());
    auth.authorize(&Context::new(), &mut request).await.unwrap();
    request
}

/// A parameter of the form that a token call sent.
async fn sent(auth: &OAuth2, transport: &ScriptedTransport, name: &str) -> String {
    authorized(auth).await;
    let sent = transport.sent();
    let form: BTreeMap<String, String> =
        url::form_urlencoded::parse(sent[0].request.body()).into_owned().collect();
    form[name].clone()
}

fn key_of(algorithm: JwtAlgorithm) -> String {
    if algorithm == JwtAlgorithm::Es256 { p256() } else { rsa() }
}

/// Another signature: its first letter is another one.
fn forge(case: &mut Value) {
    let token = case["token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    case["token"] = json!(format!("{signed}.{other}{rest}"));
}

#[tokio::test]
async fn assertions_of_the_jwt_bearer_grant_verify_elsewhere() {
    let mut cases = Vec::new();
    for (algorithm, name) in ALGORITHMS {
        for key_id in [None, Some("k-7")] {
            let (transport, resources) = vendor();
            let key = key_of(algorithm);
            let grant = Grant::JwtBearer {
                issuer: "app".into(),
                subject: "jo@example.com".into(),
                audience: "https://login.example.com".into(),
                algorithm,
                private_key_pem: key.as_str().into(),
            };
            let nobody = OAuthClient { id: String::new(), secret: None, style: ClientStyle::Body };
            let auth = OAuth2::builder("example", TOKEN_URL, nobody, grant, &resources).unwrap();
            let auth = auth.key_id(key_id.unwrap_or_default()).build();
            cases.push(json!({
                "token": sent(&auth, &transport, "assertion").await, "private_key": key, "algorithm": name,
                "key_id": key_id, "issuer": "app", "audience": "https://login.example.com",
                "claims": {"sub": "jo@example.com"},
            }));
        }
    }
    agrees("jwt", &cases);
    notices("jwt", &cases, forge);
    notices("jwt", &cases, |case| case["audience"] = json!("https://other.example.com"));
}

#[tokio::test]
async fn the_assertions_of_clients_verify_elsewhere() {
    let mut cases = Vec::new();
    for (algorithm, name) in ALGORITHMS {
        let (transport, resources) = vendor();
        let key = key_of(algorithm);
        let assertion = ClientAssertion { algorithm, key_id: Some("k-7".into()), audience: None };
        let style = ClientStyle::PrivateKeyJwt(assertion);
        let app = OAuthClient { id: "app".into(), secret: Some(key.as_str().into()), style };
        let grant = Grant::ClientCredentials { scope: None };
        let auth = OAuth2::builder("example", TOKEN_URL, app, grant, &resources).unwrap().build();
        cases.push(json!({
            "token": sent(&auth, &transport, "client_assertion").await, "private_key": key, "algorithm": name,
            "key_id": "k-7", "issuer": "app", "audience": TOKEN_URL, "claims": {"sub": "app"},
        }));
    }
    agrees("jwt", &cases);
    notices("jwt", &cases, forge);
}

#[tokio::test]
async fn a_service_account_says_what_googles_own_library_says() {
    let mut cases = Vec::new();
    for user in [None, Some("jo@example.com")] {
        let (transport, resources) = vendor();
        let file = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "abc123", "private_key": rsa(),
            "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "17",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        let scopes = ["https://www.googleapis.com/auth/analytics.readonly", "openid"];
        let account = ServiceAccount::from_json(&Secret::from(file.to_string())).unwrap();
        let auth = account.oauth2("google-analytics-4", scopes, user, &resources).unwrap().build();
        let token = sent(&auth, &transport, "assertion").await;
        cases.push(json!({"token": token, "file": file, "scopes": scopes, "user": user}));
    }
    agrees("service_account", &cases);
    notices("service_account", &cases, forge);
}

#[tokio::test]
async fn apples_provider_tokens_verify_elsewhere() {
    let (_, resources) = vendor();
    let key = p256();
    let clock = ServerClock::new(&resources);
    let auth = ProviderToken::apns("DEF123GHIJ", "ABC123DEFG", &key.as_str().into(), &clock).unwrap();
    let request = authorized(&auth).await;
    let token = request.headers()["authorization"].to_str().unwrap().strip_prefix("bearer ").unwrap();
    let case = json!({
        "token": token, "private_key": key, "algorithm": "ES256", "key_id": "ABC123DEFG",
        "issuer": "DEF123GHIJ", "audience": null, "claims": {},
    });
    agrees("jwt", std::slice::from_ref(&case));
    notices("jwt", &[case], forge);
}
