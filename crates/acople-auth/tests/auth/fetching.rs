//! Providers that fetch or make what they put on requests: sessions, CSRF tokens, provider tokens, service accounts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use acople_auth::{
    Composite, Csrf, OAuth2, ProviderToken, ServerClock, ServiceAccount, SessionConfig, SessionFrom,
    SessionLogin, StaticAuth,
};
use acople_core::{AuthProvider, AuthStamp, Context, ErrorKind, Refresh, Request, Resources, Secret};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
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

fn count(transport: &ScriptedTransport, path: &str) -> usize {
    transport.sent().iter().filter(|sent| sent.request.url().path() == path).count()
}

/// A vendor with sessions: the newest is good, all others are refused.
fn with_sessions() -> (ScriptedTransport, Arc<AtomicUsize>) {
    let session = Arc::new(AtomicUsize::new(0));
    let shared = session.clone();
    let transport = ScriptedTransport::function(move |sent, _| {
        if sent.request.url().path() == "/login" {
            let number = shared.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::json(200, format!(r#"{{"data":{{"token":"s-{number}"}}}}"#))
                .header("x-session", &format!("s-{number}"))
                .header("set-cookie", &format!("SID=s-{number}; Path=/; HttpOnly"))
                .header("set-cookie", "ROUTE=node1; Secure")
                .header("set-cookie", "OLD=; Max-Age=0")
                .after(Duration::from_millis(300));
        }
        let good = format!("s-{}", shared.load(Ordering::SeqCst));
        let carried = ["cookie", "x-auth"].iter().filter_map(|name| sent.header(name)).collect::<String>();
        let status = if carried.contains(&good) { 200 } else { 401 };
        Reply::json(status, "{}").after(Duration::from_millis(50))
    });
    (transport, session)
}

fn login() -> SessionConfig {
    SessionConfig::new(format!("{BASE}/login"), [("user", "me"), ("password", "canary-password")])
}

fn client(resources: &Resources, auth: impl AuthProvider) -> Client {
    Client::with_resources(BASE, resources).unwrap().auth(Arc::new(auth)).build()
}

#[tokio::test(start_paused = true)]
async fn auth_01_any_number_of_callers_log_in_once_and_renew_once() {
    let (transport, session) = with_sessions();
    let resources = resources(&transport);
    let client = client(&resources, SessionLogin::new(&login(), &resources).unwrap());
    for round in 1..=2 {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(
                    async move { client.send(&Context::new(), &Call::get("read").path(["r"])).await },
                )
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(count(&transport, "/login"), round);
        // The vendor forgets the session: all callers are refused.
        if round == 1 {
            session.fetch_add(100, Ordering::SeqCst);
        }
    }
    assert_eq!(count(&transport, "/r"), 50 + 100);
    let first = &transport.sent()[0];
    assert_eq!(first.body(), r#"{"password":"canary-password","user":"me"}"#);
    let last = transport.sent().pop().unwrap();
    assert_eq!(last.header("cookie"), Some("SID=s-102; ROUTE=node1"));
}

#[tokio::test(start_paused = true)]
async fn auth_03_a_stale_refusal_of_a_session_causes_no_login() {
    let (transport, _) = with_sessions();
    let resources = resources(&transport);
    let auth = SessionLogin::new(&login(), &resources).unwrap();
    let mut request = Request::new(Method::GET, BASE.parse().unwrap());
    let old = auth.authorize(&Context::new(), &mut request).await.unwrap();
    for _ in 0..2 {
        assert_eq!(auth.refresh(&Context::new(), old).await.unwrap(), Refresh::Renewed);
    }
    assert_eq!(count(&transport, "/login"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_comes_from_cookie_header_or_body_and_goes_where_the_config_says() {
    for (take, name, value) in [
        (SessionFrom::Header("x-session".into()), "x-auth", "Session s-1"),
        (SessionFrom::Json("/data/token".into()), "x-auth", "Session s-1"),
        (SessionFrom::Cookies(vec!["SID".into()]), "cookie", "SID=s-1"),
    ] {
        let (transport, _) = with_sessions();
        let resources = resources(&transport);
        let config = login().form().take(take);
        let config = if name == "cookie" { config } else { config.header("X-Auth", "Session ") };
        let auth = SessionLogin::new(&config, &resources).unwrap();
        let mut request = Request::new(Method::GET, BASE.parse().unwrap());
        request.headers_mut().insert("cookie", http::HeaderValue::from_static("SID=old"));
        for _ in 0..2 {
            auth.authorize(&Context::new(), &mut request).await.unwrap();
        }
        assert_eq!(request.headers()[name], value);
        assert!(request.headers()[name].is_sensitive());
        assert_eq!(transport.sent()[0].body(), "password=canary-password&user=me");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_lifetime_is_replaced_at_its_end() {
    let (transport, _) = with_sessions();
    let resources = resources(&transport);
    let config = login().lifetime(Duration::from_secs(1500));
    let client = client(&resources, SessionLogin::new(&config, &resources).unwrap());
    for (wait, logins) in [(0, 1), (1499, 1), (2, 2)] {
        sleep(Duration::from_secs(wait)).await;
        client.send(&Context::new(), &Call::get("read").path(["r"])).await.unwrap();
        assert_eq!(count(&transport, "/login"), logins);
    }
    assert_eq!(count(&transport, "/r"), 3, "nothing was refused");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_not_tried_again_for_five_minutes_and_says_what_to_do() {
    let transport = ScriptedTransport::function(|sent, _| {
        Reply::json(401, format!(r#"{{"message":"wrong: {}"}}"#, sent.body().replace('"', "'")))
    });
    let resources = resources(&transport);
    let auth = SessionLogin::new(&login(), &resources).unwrap();
    let client = client(&resources, auth.clone());
    for _ in 0..20 {
        let error = client.send(&Context::new(), &Call::get("read").path(["r"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reauth);
        assert!(error.message().contains("check user and password"), "{error}");
        assert!(!format!("{error:?} {auth:?} {client:?} {:?}", login()).contains("canary"), "{error:?}");
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(count(&transport, "/login"), 1);
    sleep(Duration::from_secs(101)).await;
    client.send(&Context::new(), &Call::get("read").path(["r"])).await.unwrap_err();
    assert_eq!(count(&transport, "/login"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_login_answered_without_a_session_is_a_protocol_error() {
    let transport =
        ScriptedTransport::function(|_, _| Reply::new(200, "<html>").header("content-type", "text/html"));
    let resources = resources(&transport);
    let client = client(&resources, SessionLogin::new(&login(), &resources).unwrap());
    let error = client.send(&Context::new(), &Call::get("read").path(["r"])).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Protocol, &["take".to_owned()][..]));
}

#[test]
fn a_login_that_cannot_work_names_its_field() {
    let resources = resources(&ScriptedTransport::new([]));
    let nothing: [(&str, &str); 0] = [];
    for (config, field) in [
        (SessionConfig::new("http://api.example.com/login", [("user", "me")]), "login_url"),
        (SessionConfig::new(BASE, nothing), "fields"),
        (login().take(SessionFrom::Header("x".into())), "header"),
        (login().header("x y", ""), "header"),
        (login().header("x", "").take(SessionFrom::Json("token".into())), "take"),
    ] {
        assert_eq!(SessionLogin::new(&config, &resources).unwrap_err().fields(), [field]);
    }
}

/// A service of SAP's: the newest token with its cookie is good.
fn sap() -> (ScriptedTransport, Arc<AtomicUsize>) {
    let token = Arc::new(AtomicUsize::new(0));
    let shared = token.clone();
    let transport = ScriptedTransport::function(move |sent: &Sent, _| {
        if !sent.header("authorization").is_some_and(|value| value.starts_with("Basic ")) {
            return Reply::json(401, "{}");
        }
        if sent.header("x-csrf-token") == Some("Fetch") {
            let number = shared.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::json(200, "{}")
                .header("x-csrf-token", &format!("csrf-{number}=="))
                .header("set-cookie", &format!("SAP_SESSIONID_S4_100=c{number}; path=/; secure"))
                .header("set-cookie", "sap-usercontext=sap-client=100; path=/")
                .after(Duration::from_millis(200));
        }
        let number = shared.load(Ordering::SeqCst);
        let cookies = format!("SAP_SESSIONID_S4_100=c{number}; sap-usercontext=sap-client=100");
        let good = sent.header("x-csrf-token") == Some(&format!("csrf-{number}=="))
            && sent.header("cookie") == Some(&cookies);
        let reply = match (sent.request.method(), good) {
            (&Method::GET, _) => Reply::json(200, "{}"),
            (_, true) if sent.request.url().path().ends_with("/forbidden") => Reply::json(403, "{}"),
            (_, true) => Reply::json(201, "{}"),
            _ => Reply::json(403, "CSRF token validation failed").header("x-csrf-token", "Required"),
        };
        reply.after(Duration::from_millis(50))
    });
    (transport, token)
}

fn sap_client(transport: &ScriptedTransport) -> Client {
    let resources = resources(transport);
    let user = StaticAuth::basic("ACOPLE", &Secret::from("canary-password"));
    let csrf = Csrf::new(Arc::new(user), &format!("{BASE}/odata/"), &resources).unwrap();
    assert!(!format!("{csrf:?}").contains("canary"));
    Client::with_resources(BASE, &resources)
        .unwrap()
        .classifier(csrf.classifier(StatusClassifier))
        .auth(Arc::new(csrf))
        .build()
}

fn fetches(transport: &ScriptedTransport) -> usize {
    transport.sent().iter().filter(|sent| sent.header("x-csrf-token") == Some("Fetch")).count()
}

#[tokio::test(start_paused = true)]
async fn writes_carry_a_token_with_its_cookies_and_reads_need_none() {
    let (transport, _) = sap();
    let client = sap_client(&transport);
    client.send(&Context::new(), &Call::get("read").path(["odata", "A"])).await.unwrap();
    assert_eq!((fetches(&transport), transport.sent().len()), (0, 1));
    for _ in 0..3 {
        client
            .send(&Context::new(), &Call::post("create").path(["odata", "A"]).raw_json("{}"))
            .await
            .unwrap();
    }
    assert_eq!((fetches(&transport), transport.sent().len()), (1, 5));
    assert_eq!(transport.sent()[1].request.url().path(), "/odata/");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_required_anew_is_fetched_once_for_all_writes() {
    let (transport, token) = sap();
    let client = sap_client(&transport);
    let write = |client: Client| async move {
        client.send(&Context::new(), &Call::post("create").path(["odata", "A"]).raw_json("{}")).await
    };
    write(client.clone()).await.unwrap();
    token.fetch_add(50, Ordering::SeqCst);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(write(client.clone()))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fetches(&transport), 2);
    assert_eq!(transport.sent().len(), 2 + 1 + 40);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_forbidden_for_another_reason_fetches_nothing() {
    let (transport, _) = sap();
    let client = sap_client(&transport);
    let call = Call::post("create").path(["odata", "forbidden"]).raw_json("{}");
    let error = client.send(&Context::new(), &call).await.unwrap_err();
    assert_eq!((error.kind(), fetches(&transport)), (ErrorKind::Permission, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_without_tokens_is_named_and_not_asked_by_every_write() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let client = sap_client(&transport);
    for _ in 0..3 {
        let call = Call::post("create").path(["odata", "A"]).raw_json("{}");
        let error = client.send(&Context::new(), &call).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Protocol, &["csrf_url".to_owned()][..]));
    }
    assert_eq!(transport.sent().len(), 1);
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
