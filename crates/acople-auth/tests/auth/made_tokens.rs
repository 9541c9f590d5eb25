//! Provider tokens, service accounts, and several providers as one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use acople_auth::{Composite, OAuth2, ProviderToken, ServerClock, ServiceAccount};
use acople_core::{AuthProvider, AuthStamp, Context, ErrorKind, Refresh, Request, Resources, Secret};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::private_keys::{TestKey, pem};
use crate::vendor::{BASE, authorization};

fn resources(transport: &ScriptedTransport) -> Resources {
    Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(FakeClock::new()))
}

fn apns_key() -> (Secret, Vec<u8>) {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    (Secret::from(pem("PRIVATE KEY", document.as_ref())), pair.public_key().as_ref().to_vec())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_provider_token_is_es256_and_serves_for_fifty_minutes() {
    let (key, public) = apns_key();
    let clock = ServerClock::new(&resources(&ScriptedTransport::new([])));
    let auth = ProviderToken::apns("DEF123GHIJ", "ABC123DEFG", &key, &clock).unwrap();
    let first = authorization(&auth).await.unwrap();
    let token = first.strip_prefix("bearer ").unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "kid": "ABC123DEFG"}));
    assert_eq!(claims(token), json!({"iss": "DEF123GHIJ", "iat": 1_767_225_570}));
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
        .verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    sleep(Duration::from_secs(49 * 60 + 59)).await;
    assert_eq!(authorization(&auth.clone()).await.unwrap(), first);
    sleep(Duration::from_secs(1)).await;
    assert_ne!(authorization(&auth).await.unwrap(), first);
    assert!(!format!("{auth:?}").contains("PRIVATE"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_provider_token_is_renewed_no_sooner_than_after_twenty_minutes() {
    let (key, _) = apns_key();
    let clock = ServerClock::new(&resources(&ScriptedTransport::new([])));
    let auth = ProviderToken::apns("DEF123GHIJ", "ABC123DEFG", &key, &clock).unwrap();
    let first = authorization(&auth).await.unwrap();
    sleep(Duration::from_secs(20 * 60 - 1)).await;
    assert_eq!(auth.refresh(&Context::new(), AuthStamp(1)).await.unwrap(), Refresh::Unsupported);
    assert_eq!(authorization(&auth).await.unwrap(), first);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(auth.refresh(&Context::new(), AuthStamp(1)).await.unwrap(), Refresh::Renewed);
    let second = authorization(&auth).await.unwrap();
    assert_ne!(second, first);
    // A late refusal of the first changes nothing.
    assert_eq!(auth.refresh(&Context::new(), AuthStamp(1)).await.unwrap(), Refresh::Renewed);
    assert_eq!(authorization(&auth).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn auth_11_a_provider_token_of_the_wrong_time_is_made_anew_at_once() {
    let theirs = 1_767_225_600 + 86_400;
    let transport = ScriptedTransport::function(move |sent, _| {
        let issued = claims(sent.header("authorization").unwrap())["iat"].as_u64().unwrap();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(theirs));
        let status = if issued.abs_diff(theirs) < 3600 { 200 } else { 403 };
        Reply::json(status, r#"{"reason":"ExpiredProviderToken"}"#).header("date", &date)
    });
    let resources = resources(&transport);
    let clock = ServerClock::new(&resources);
    let (key, _) = apns_key();
    let auth = ProviderToken::apns("DEF123GHIJ", "ABC123DEFG", &key, &clock).unwrap();
    let client = Client::with_resources(BASE, &resources)
        .unwrap()
        .auth(Arc::new(auth))
        .classifier(clock.classifier(StatusClassifier))
        .build();
    for _ in 0..2 {
        client.send(&Context::new(), &Call::post("push").raw_json("{}")).await.unwrap();
    }
    assert_eq!(transport.sent().len(), 3);
}

#[test]
fn a_provider_token_names_what_is_wrong_with_its_parts() {
    let clock = ServerClock::new(&resources(&ScriptedTransport::new([])));
    let (key, rsa) = (apns_key().0, Secret::from(TestKey::new().pkcs8_pem()));
    for (team, id, key, field) in [
        ("", "ABC", &key, "team_id"),
        ("DEF", "A\"C", &key, "key_id"),
        ("DEF", "ABC", &rsa, "private_key_pem"),
        ("DEF", "ABC", &Secret::from("canary"), "private_key_pem"),
    ] {
        let error = ProviderToken::apns(team, id, key, &clock).unwrap_err();
        assert_eq!(error.fields(), [field]);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

fn key_file(changes: &[(&str, Value)]) -> Secret {
    let mut file = json!({
        "type": "service_account",
        "project_id": "p",
        "client_email": "bot@p.iam.gserviceaccount.com",
        "private_key": TestKey::new().pkcs8_pem(),
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    for (name, value) in changes {
        file[*name] = value.clone();
    }
    Secret::from(file.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_service_account_asks_google_for_its_scopes_for_itself_or_for_a_user() {
    for user in [None, Some("ann@example.com")] {
        let transport = ScriptedTransport::function(|_, _| {
            Reply::json(200, r#"{"access_token":"ya29","expires_in":3599,"token_type":"Bearer"}"#)
        });
        let account = ServiceAccount::from_json(&key_file(&[])).unwrap();
        assert_eq!(account.email(), "bot@p.iam.gserviceaccount.com");
        let auth: OAuth2 =
            account.oauth2("ga4", ["scope-a", "scope-b"], user, &resources(&transport)).unwrap().build();
        assert_eq!(authorization(&auth).await.unwrap(), "Bearer ya29");
        let sent = transport.sent().remove(0);
        assert_eq!(sent.request.url().as_str(), "https://oauth2.googleapis.com/token");
        let body = sent.body();
        assert!(body.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"));
        let claims = claims(body.split_once("assertion=").unwrap().1);
        assert_eq!(claims["iss"], "bot@p.iam.gserviceaccount.com");
        assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
        assert_eq!(claims["scope"], "scope-a scope-b");
        assert_eq!(claims.get("sub").and_then(Value::as_str), user);
    }
}

#[test]
fn a_key_file_that_is_none_or_points_elsewhere_is_refused() {
    for file in [
        Secret::from("{\"private_key\": canary"),
        key_file(&[("type", json!("authorized_user"))]),
        key_file(&[("client_email", json!(""))]),
        key_file(&[("token_uri", json!("https://evil.example/token"))]),
        key_file(&[("token_uri", json!("https://googleapis.com.evil.example/token"))]),
        key_file(&[("token_uri", json!("http://oauth2.googleapis.com/token"))]),
    ] {
        let error = ServiceAccount::from_json(&file).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["service_account".to_owned()][..]));
        assert!(!format!("{error:?}").contains("canary"));
    }
    let account = ServiceAccount::from_json(&key_file(&[])).unwrap();
    assert!(!format!("{account:?}").contains("PRIVATE"));
}

/// Counts what it is told, and renews if it can.
#[derive(Debug)]
struct Part {
    header: &'static str,
    renews: bool,
    stamp: AtomicUsize,
    told: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

#[async_trait::async_trait]
impl AuthProvider for Part {
    async fn authorize(&self, _: &Context, request: &mut Request) -> acople_core::Result<AuthStamp> {
        let stamp = self.stamp.load(Ordering::SeqCst);
        let name = http::HeaderName::from_static(self.header);
        request.set_secret_header(name, &stamp.to_string())?;
        Ok(AuthStamp(stamp as u64))
    }

    async fn refresh(&self, _: &Context, refused: AuthStamp) -> acople_core::Result<Refresh> {
        self.told.lock().unwrap().push((self.header, refused.0));
        if !self.renews {
            return Ok(Refresh::Unsupported);
        }
        let _ = self.stamp.compare_exchange(
            usize::try_from(refused.0).unwrap(),
            usize::try_from(refused.0).unwrap() + 1,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        Ok(Refresh::Renewed)
    }

    fn endpoint<'a>(&'a self, _: &'a Context) -> Option<acople_core::Endpoint<'a>> {
        let url = format!("https://{}.example.com/", self.header).parse().unwrap();
        self.renews.then(|| -> acople_core::Endpoint<'a> { Box::pin(async { Ok(url) }) })
    }
}

#[tokio::test]
async fn a_composite_tells_each_of_the_stamp_that_it_gave_and_takes_the_first_address() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let part = |header, renews, stamp: usize| -> Arc<dyn AuthProvider> {
        Arc::new(Part { header, renews, stamp: stamp.into(), told: told.clone() })
    };
    let auth = Composite::new([part("x-a", false, 0), part("x-b", true, 7), part("x-c", true, 3)]);
    let cx = Context::new();
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    let old = auth.authorize(&cx, &mut request).await.unwrap();
    assert_eq!(auth.authorize(&cx, &mut request).await.unwrap(), old, "the same credentials, the same stamp");
    assert_eq!(auth.refresh(&cx, old).await.unwrap(), Refresh::Renewed);
    assert_eq!(*told.lock().unwrap(), [("x-a", 0), ("x-b", 7), ("x-c", 3)]);
    let new = auth.authorize(&cx, &mut request).await.unwrap();
    assert!(new > old);
    assert_eq!(
        (&request.headers()["x-b"], &request.headers()["x-c"]),
        (&"8".parse().unwrap(), &"4".parse().unwrap())
    );
    // Stale: told again, and nobody renews twice.
    auth.refresh(&cx, old).await.unwrap();
    assert_eq!(auth.authorize(&cx, &mut request).await.unwrap(), new);
    assert_eq!(auth.endpoint(&cx).unwrap().await.unwrap().as_str(), "https://x-b.example.com/");

    let fixed = Composite::new([part("x-a", false, 0)]);
    let stamp = fixed.authorize(&cx, &mut request).await.unwrap();
    assert_eq!(fixed.refresh(&cx, stamp).await.unwrap(), Refresh::Unsupported);
    assert!(fixed.endpoint(&cx).is_none());
}
