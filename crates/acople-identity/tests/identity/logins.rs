//! Logins at an identity provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{ErrorKind, Progress, Resources, Secret, WireFault};
use acople_identity::{Identity, JwtAlgorithm, OidcConfig, OidcLogin, PendingConnect};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use crate::issuer::{NOW, SigningKey, b64};

const ISSUER: &str = "https://login.example.com/tenant-1";
const REDIRECT: &str = "https://orders.example.com/login/example";
const SESSION: &str = "session-17";
const ACCESS: &str = "at-for-userinfo";
const ED: JwtAlgorithm = JwtAlgorithm::EdDsa;

type Make = Box<dyn Fn(&str) -> String>;

/// What the provider says; tests change it.
struct Says {
    key: SigningKey,
    metadata: Value,
    claims: Value,
    userinfo: Value,
    /// What comes instead of the answer to a path.
    instead: BTreeMap<&'static str, Reply>,
    codes: Vec<String>,
}

#[derive(Clone)]
struct Provider {
    says: Arc<Mutex<Says>>,
    transport: ScriptedTransport,
    clock: FakeClock,
}

impl Provider {
    fn new() -> Self {
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example.com/tenant-1/authorize",
            "token_endpoint": "https://login.example.com/tenant-1/token",
            "jwks_uri": "https://keys.example.com/tenant-1",
            "userinfo_endpoint": "https://login.example.com/tenant-1/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
            "authorization_response_iss_parameter_supported": true,
        });
        let claims = json!({"iss": ISSUER, "aud": "orders", "sub": "u-17", "exp": NOW + 600, "iat": NOW});
        let says = Arc::new(Mutex::new(Says {
            key: SigningKey::new_ed(),
            metadata,
            claims,
            userinfo: json!({"sub": "u-17", "name": "Ann"}),
            instead: BTreeMap::new(),
            codes: Vec::new(),
        }));
        let shared = says.clone();
        let transport = ScriptedTransport::function(move |sent, _| shared.lock().unwrap().answer(sent));
        Self { says, transport, clock: FakeClock::new() }
    }

    fn change(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    fn config() -> OidcConfig {
        OidcConfig::new(ISSUER, "orders", Secret::from("client-s3cret"), REDIRECT).algorithms([ED])
    }

    fn login(&self, config: OidcConfig) -> OidcLogin {
        let resources =
            Resources::new(Arc::new(self.transport.clone())).with_clock(Arc::new(self.clock.clone()));
        OidcLogin::new(config, &resources).unwrap()
    }

    fn paths(&self) -> Vec<String> {
        self.transport.sent().iter().map(|sent| sent.request.url().path().to_owned()).collect()
    }

    /// The user goes there and comes back: the provider notes the nonce and gives a code.
    fn visit(&self, url: &Url) -> String {
        let asked = query(url);
        self.change(|says| {
            says.claims["nonce"] = asked["nonce"].as_str().into();
            says.codes.push(asked["code_challenge"].clone());
        });
        let iss: String = url::form_urlencoded::byte_serialize(ISSUER.as_bytes()).collect();
        format!("{REDIRECT}?state={}&iss={iss}&code=c0de", asked["state"])
    }

    async fn log_in(&self, login: &OidcLogin) -> acople_core::Result<Identity> {
        let (url, pending) = login.begin(SESSION).await?;
        let callback = self.visit(&url);
        login.complete(SESSION, pending, &callback).await
    }
}

impl Says {
    fn answer(&mut self, sent: &Sent) -> Reply {
        let path = sent.request.url().path();
        if let Some(reply) = self.instead.get(path) {
            return reply.clone();
        }
        match path {
            "/tenant-1/.well-known/openid-configuration" => Reply::json(200, self.metadata.to_string()),
            "/tenant-1" => Reply::json(200, json!({"keys": [self.key.jwk("k-1")]}).to_string()),
            "/tenant-1/token" => self.token(sent),
            "/tenant-1/userinfo" => {
                assert_eq!(sent.header("authorization"), Some("Bearer at-for-userinfo"));
                Reply::json(200, self.userinfo.to_string())
            }
            other => panic!("nothing is at {other}"),
        }
    }

    /// Gives tokens for a code whose PKCE verifier fits, once.
    fn token(&mut self, sent: &Sent) -> Reply {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(sent.body().as_bytes()).into_owned().collect();
        let verifier = form.get("code_verifier").map(String::as_str).unwrap_or_default();
        let challenge = b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()));
        if self.codes.pop() != Some(challenge) {
            return Reply::json(400, r#"{"error":"invalid_grant"}"#);
        }
        let id_token = self.key.token(ED, &json!({"kid": "k-1"}), &self.claims);
        let body = json!({"access_token": ACCESS, "token_type": "Bearer", "id_token": id_token.expose()});
        Reply::json(200, body.to_string())
    }
}

fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

fn again(pending: &PendingConnect) -> PendingConnect {
    serde_json::from_str(&serde_json::to_string(pending).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_user_logs_in_and_is_known() {
    let provider = Provider::new();
    let login = provider.login(Provider::config().param("prompt", "login"));
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let asked = query(&url);
    assert!(url.as_str().starts_with("https://login.example.com/tenant-1/authorize?"));
    assert_eq!((asked["scope"].as_str(), asked["prompt"].as_str()), ("openid profile email", "login"));
    assert_eq!((asked["client_id"].as_str(), asked["redirect_uri"].as_str()), ("orders", REDIRECT));
    provider.change(|says| {
        says.claims["email"] = "ann@example.com".into();
        says.claims["email_verified"] = true.into();
        says.claims["groups"] = json!(["ops"]);
    });
    let callback = provider.visit(&url);
    let identity = login.complete(SESSION, again(&pending), &callback).await.unwrap();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (ISSUER, "u-17"));
    assert_eq!(identity.email.as_deref(), Some("ann@example.com"));
    assert!(identity.groups.contains("ops") && identity.name.is_none());
    // Metadata and keys once, whoever comes after.
    for _ in 0..3 {
        provider.log_in(&login).await.unwrap();
    }
    let paths = provider.paths();
    let count = |path: &str| paths.iter().filter(|one| *one == path).count();
    assert_eq!((count("/tenant-1/.well-known/openid-configuration"), count("/tenant-1")), (1, 1));
    assert_eq!((count("/tenant-1/token"), count("/tenant-1/userinfo")), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn auth_14_callbacks_of_other_logins_sessions_and_servers_are_refused() {
    let provider = Provider::new();
    let login = provider.login(Provider::config());
    let (url, _) = login.begin(SESSION).await.unwrap();
    let other = provider.visit(&url);
    let iss = "&iss=https%3A%2F%2Flogin.example.com%2Ftenant-1";
    let table: Vec<(&str, &str, Make)> = vec![
        ("another login's state", SESSION, Box::new(move |_| other.clone())),
        ("no state", SESSION, Box::new(|back| back.replacen("state=", "stat=", 1))),
        ("a state that begins right", SESSION, Box::new(|back| back.replacen("&iss", "A&iss", 1))),
        ("another session", "session-18", Box::new(str::to_owned)),
        ("no session", "", Box::new(str::to_owned)),
        ("no iss", SESSION, Box::new(move |back| back.replace(iss, ""))),
        ("another iss", SESSION, Box::new(move |back| back.replace(iss, "&iss=https%3A%2F%2Fevil.example"))),
        ("an iss with a slash more", SESSION, Box::new(move |back| back.replace(iss, &format!("{iss}%2F")))),
        ("two states", SESSION, Box::new(|back| format!("{back}&state=x"))),
        ("two codes", SESSION, Box::new(|back| format!("{back}&code=x"))),
        ("no code", SESSION, Box::new(|back| back.replace("&code=c0de", ""))),
    ];
    let before = provider.paths().len();
    for (what, session, make) in table {
        let (url, pending) = login.begin(SESSION).await.unwrap();
        let callback = make(&provider.visit(&url));
        let error = login.complete(session, pending, &callback).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
    }
    assert_eq!(provider.paths().len(), before, "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn auth_14_a_callback_counts_once() {
    let provider = Provider::new();
    let login = provider.login(Provider::config());
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let (second, third) = (again(&pending), again(&pending));
    let callback = provider.visit(&url);
    login.complete(SESSION, pending, &callback).await.unwrap();
    let error = login.clone().complete(SESSION, second, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // In another process the provider is asked, which takes a code once.
    let elsewhere = provider.login(Provider::config());
    let error = elsewhere.complete(SESSION, third, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    // The memory outlives metadata that are fetched anew.
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let replayed = again(&pending);
    let callback = provider.visit(&url);
    login.complete(SESSION, pending, &callback).await.unwrap();
    sleep(Duration::from_secs(25 * 3600)).await;
    let error = login.complete(SESSION, replayed, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test(start_paused = true)]
async fn auth_14_pkce_is_part_of_every_login_whatever_the_provider_says_it_can() {
    for methods in [json!(["plain"]), json!([]), json!(null)] {
        let provider = Provider::new();
        provider.change(|says| says.metadata["code_challenge_methods_supported"] = methods);
        let login = provider.login(Provider::config());
        let (url, pending) = login.begin(SESSION).await.unwrap();
        let asked = query(&url);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["code_challenge"].len(), 43);
        assert!(!format!("{pending:?}{login:?}").contains(pending.state()));
        // A code that began elsewhere, injected: the provider refuses the verifier.
        let injected = provider.visit(&login.begin("victim").await.unwrap().0);
        let mine = injected.replacen(&query(&injected.parse().unwrap())["state"], pending.state(), 1);
        let error = login.complete(SESSION, pending, &mine).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    }
    for name in ["code_challenge", "code_challenge_method", "state", "nonce", "redirect_uri", "request"] {
        let provider = Provider::new();
        let login = provider.login(Provider::config().param(name, "x"));
        let error = login.begin(SESSION).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[name.to_owned()][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn auth_13_id_tokens_of_others_are_refused() {
    let at_hash = |token: &str| {
        b64(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, token.as_bytes()).as_ref()[..32])
    };
    for (name, value, code) in [
        ("iss", json!("https://login.example.com/tenant-2"), "issuer_refused"),
        ("aud", json!("billing"), "audience_refused"),
        ("aud", json!(["orders", "billing"]), "azp_refused"),
        ("azp", json!("billing"), "azp_refused"),
        ("exp", json!(NOW - 61), "token_expired"),
        ("nbf", json!(NOW + 61), "token_not_yet_valid"),
        ("sub", json!(null), "claim_missing"),
        ("sub", json!(""), "claim_invalid"),
        ("at_hash", json!(at_hash("another token")), "at_hash_refused"),
        (
            "at_hash",
            json!(b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, ACCESS.as_bytes()))),
            "at_hash_refused",
        ),
        ("at_hash", json!(null), "at_hash_refused"),
        ("tid", json!("t-2"), "claim_refused"),
    ] {
        let provider = Provider::new();
        provider.change(|says| {
            says.claims["tid"] = "t-1".into();
            says.claims[name] = value.clone();
        });
        let login = provider.login(Provider::config().claim("tid", "t-1"));
        let error = provider.log_in(&login).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some(code)), "{name} {value}: {error}");
    }
    let provider = Provider::new();
    let login = provider.login(Provider::config());
    provider.change(|says| {
        says.claims["at_hash"] = at_hash(ACCESS).into();
        says.claims["aud"] = json!(["orders", "billing"]);
        says.claims["azp"] = "orders".into();
    });
    provider.log_in(&login).await.unwrap();
    // Another login's nonce, and none.
    for nonce in [json!("n-other"), json!(null), json!(7)] {
        let (url, pending) = login.begin(SESSION).await.unwrap();
        let callback = provider.visit(&url);
        provider.change(|says| says.claims["nonce"] = nonce);
        let error = login.complete(SESSION, pending, &callback).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("nonce_refused")));
    }
    // Signed by somebody else, after the keys were fetched.
    provider.change(|says| says.key = SigningKey::new_ed());
    let error = provider.log_in(&login).await.unwrap_err();
    assert_eq!(error.code(), Some("signature_invalid"));
    // Not signed at all.
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let callback = provider.visit(&url);
    provider.change(|says| {
        let token = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(says.claims.to_string()));
        let body = json!({"access_token": ACCESS, "id_token": token}).to_string();
        says.instead.insert("/tenant-1/token", Reply::json(200, body));
    });
    let error = login.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!(error.code(), Some("algorithm_refused"));
    // And not there.
    let (url, pending) = login.begin(SESSION).await.unwrap();
    let callback = provider.visit(&url);
    provider.change(|says| {
        says.instead.insert("/tenant-1/token", Reply::json(200, r#"{"access_token":"a"}"#));
    });
    let error = login.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test(start_paused = true)]
async fn userinfo_adds_to_the_token_and_must_be_about_the_same_user() {
    let provider = Provider::new();
    let login = provider.login(Provider::config().userinfo());
    let identity = provider.log_in(&login).await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("u-17", Some("Ann")));
    for userinfo in
        [json!({"sub": "u-18"}), json!({"name": "Ann"}), json!({"sub": null}), json!({"sub": ["u-17"]})]
    {
        provider.change(|says| says.userinfo = userinfo.clone());
        let error = provider.log_in(&login).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("userinfo_refused")), "{userinfo}");
    }
    for (reply, kind) in [
        (Reply::new(200, "eyJ.e30.x").header("content-type", "application/jwt"), ErrorKind::Protocol),
        (Reply::json(200, r#"{"sub":"u-18","sub":"u-17"}"#), ErrorKind::Protocol),
        (Reply::json(401, "{}"), ErrorKind::Config),
        (Reply::json(503, "{}"), ErrorKind::Transient),
    ] {
        provider.change(|says| {
            says.instead.insert("/tenant-1/userinfo", reply);
        });
        let error = provider.log_in(&login).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_that_do_not_fit_are_refused_and_say_what_to_change() {
    for (name, value, kind, why) in [
        ("issuer", json!("https://login.example.com/tenant-1/"), ErrorKind::Config, "letter by letter"),
        ("issuer", json!("https://login.example.com/{tenantid}"), ErrorKind::Config, "name the tenant"),
        ("issuer", json!("https://evil.example"), ErrorKind::Config, "letter by letter"),
        ("issuer", json!(null), ErrorKind::Config, "letter by letter"),
        ("token_endpoint", json!("http://login.example.com/token"), ErrorKind::Protocol, "plain http"),
        (
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            ErrorKind::Protocol,
            "authorization_endpoint",
        ),
        ("jwks_uri", json!(null), ErrorKind::Protocol, "no jwks_uri"),
        ("jwks_uri", json!("https://u:p@login.example.com/"), ErrorKind::Protocol, "credentials"),
        ("userinfo_endpoint", json!("userinfo"), ErrorKind::Protocol, "userinfo_endpoint"),
        (
            "id_token_signing_alg_values_supported",
            json!(["RS256"]),
            ErrorKind::Config,
            "signs id tokens with RS256",
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!(["private_key_jwt"]),
            ErrorKind::Config,
            "client secret",
        ),
    ] {
        let provider = Provider::new();
        provider.change(|says| says.metadata[name] = value.clone());
        let error = provider.login(Provider::config().userinfo()).begin(SESSION).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name} {value}: {error}");
        assert!(error.message().contains(why), "{why}: {error}");
    }
    let provider = Provider::new();
    let twice = format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}"}}"#);
    provider.change(|says| {
        says.instead.insert("/tenant-1/.well-known/openid-configuration", Reply::json(200, twice));
    });
    let error = provider.login(Provider::config()).begin(SESSION).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Protocol && error.message().contains("twice"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_clients_secret_goes_where_the_provider_takes_it() {
    for (methods, in_form) in [(json!(null), false), (json!(["client_secret_post"]), true)] {
        let provider = Provider::new();
        provider.change(|says| says.metadata["token_endpoint_auth_methods_supported"] = methods);
        provider.log_in(&provider.login(Provider::config())).await.unwrap();
        let sent = provider.transport.sent();
        let call = sent.iter().find(|sent| sent.request.url().path() == "/tenant-1/token").unwrap();
        assert_eq!(call.body().contains("client_secret=client-s3cret"), in_form);
        assert_eq!(call.header("authorization").is_some(), !in_form);
    }
    let provider = Provider::new();
    provider.log_in(&provider.login(Provider::config().public())).await.unwrap();
    assert!(provider.transport.sent().iter().all(|sent| !sent.body().contains("s3cret")));
}

#[tokio::test(start_paused = true)]
async fn metadata_at_hand_are_used_on_while_they_cannot_be_fetched() {
    let path = "/tenant-1/.well-known/openid-configuration";
    let provider = Provider::new();
    let login = provider.login(Provider::config());
    let down = || Reply::fail(Progress::NotSent, WireFault::Connect);
    provider.change(|says| {
        says.instead.insert(path, down());
    });
    let count = |provider: &Provider| provider.paths().iter().filter(|one| *one == path).count();
    assert_eq!(login.begin(SESSION).await.unwrap_err().kind(), ErrorKind::Transient);
    let asked = count(&provider);
    for _ in 0..20 {
        assert_eq!(login.begin(SESSION).await.unwrap_err().kind(), ErrorKind::Transient);
    }
    assert_eq!(count(&provider), asked, "not everybody asks");
    sleep(Duration::from_secs(10)).await;
    provider.change(|says| {
        says.instead.clear();
    });
    provider.log_in(&login).await.unwrap();
    provider.change(|says| {
        says.instead.insert(path, down());
    });
    sleep(Duration::from_secs(24 * 3600)).await;
    let asked = count(&provider);
    for _ in 0..20 {
        provider.log_in(&login).await.unwrap();
    }
    assert!(count(&provider) > asked && count(&provider) <= asked + 3);
}

#[test]
fn a_config_that_cannot_work_is_refused_before_anybody_is_asked() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let resources = runtime.block_on(async { Resources::new(Arc::new(ScriptedTransport::new([]))) });
    let field = |change: fn(&mut OidcConfig)| {
        let mut config = Provider::config();
        change(&mut config);
        OidcLogin::new(config, &resources).unwrap_err().fields().to_vec()
    };
    assert_eq!(field(|c| c.issuer = "http://login.example.com".into()), ["issuer"]);
    assert_eq!(field(|c| c.issuer = "https://login.example.com?x".into()), ["issuer"]);
    assert_eq!(field(|c| c.issuer.clear()), ["issuer"]);
    assert_eq!(field(|c| c.client_id.clear()), ["client_id"]);
    assert_eq!(field(|c| c.algorithms.clear()), ["algorithms"]);
    assert_eq!(field(|c| c.algorithms = vec![JwtAlgorithm::Hs256]), ["algorithms"]);
}
