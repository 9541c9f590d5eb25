//! Keys that an issuer publishes: kept, renewed, given up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{ErrorKind, Progress, Resources, Secret, WireFault};
use acople_identity::{Jwks, JwksConfig, JwtAlgorithm, JwtVerifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::issuer::{SHARED, SigningKey, b64, changed, config, rsa};

const URL: &str = "https://login.example.com/tenant/keys?policy=b2c_1";
const ED: JwtAlgorithm = JwtAlgorithm::EdDsa;

/// An issuer on a scripted network; what it answers can be changed.
struct Site {
    transport: ScriptedTransport,
    answer: Arc<Mutex<Reply>>,
    verifier: JwtVerifier,
}

fn set(keys: &[Value]) -> Reply {
    Reply::json(200, json!({ "keys": keys }).to_string())
}

fn down() -> Reply {
    Reply::fail(Progress::NotSent, WireFault::Connect)
}

impl Site {
    fn new(answer: Reply) -> Self {
        Self::with(answer, JwksConfig::new(URL))
    }

    fn with(answer: Reply, keys: JwksConfig) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let said = answer.clone();
        let transport = ScriptedTransport::function(move |_, _| said.lock().unwrap().clone());
        let resources = Resources::new(Arc::new(transport.clone()));
        let keys = Jwks::new(keys, &resources).unwrap();
        let algorithms: Vec<JwtAlgorithm> = JwtAlgorithm::ALL.into();
        let verifier =
            JwtVerifier::new(config(&algorithms), keys).unwrap().with_clock(Arc::new(FakeClock::new()));
        Self { transport, answer, verifier }
    }

    fn says(&self, reply: Reply) {
        *self.answer.lock().unwrap() = reply;
    }

    fn fetches(&self) -> usize {
        self.transport.sent().len()
    }

    async fn refusal(&self, token: &Secret) -> (ErrorKind, Option<String>) {
        let error = self.verifier.verify(token).await.unwrap_err();
        (error.kind(), error.code().map(str::to_owned))
    }
}

fn token(key: &SigningKey, kid: &str) -> Secret {
    key.token(ED, &json!({ "kid": kid }), &changed(&[]))
}

fn unknown() -> (ErrorKind, Option<String>) {
    (ErrorKind::Reauth, Some("key_unknown".into()))
}

#[tokio::test(start_paused = true)]
async fn five_hundred_first_tokens_fetch_the_keys_once() {
    let key = SigningKey::new_ed();
    let site = Site::new(set(&[key.jwk("k-1")]).after(Duration::from_millis(300)));
    let token = token(&key, "k-1");
    let all: Vec<_> = (0..500)
        .map(|_| {
            let (verifier, token) = (site.verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.verify(&token).await.map(|_| ()) })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(site.fetches(), 1);
    let sent: &Sent = &site.transport.sent()[0];
    assert_eq!(sent.request.url().as_str(), URL);
    assert!(sent.header("authorization").is_none());
}

#[tokio::test(start_paused = true)]
async fn auth_13_unknown_kids_fetch_the_keys_at_most_once_a_minute() {
    let key = SigningKey::new_ed();
    let site = Site::new(set(&[key.jwk("k-1")]));
    site.verifier.verify(&token(&key, "k-1")).await.unwrap();
    assert_eq!(site.fetches(), 1);
    // Ten minutes, ten tokens a second, each with a name of its own, 25 at a time.
    let attacker = SigningKey::new_ed();
    for second in 0..600 {
        let mut all = Vec::new();
        for one in 0..10 {
            let (verifier, token) = (site.verifier.clone(), token(&attacker, &format!("k-{second}-{one}")));
            all.push(tokio::spawn(async move { verifier.verify(&token).await.unwrap_err() }));
        }
        for one in all {
            assert_eq!(one.await.unwrap().code(), Some("key_unknown"));
        }
        sleep(Duration::from_secs(1)).await;
    }
    let times: Vec<Duration> = site.transport.sent().iter().map(|sent| sent.at).collect();
    assert_eq!(times.len(), 10, "{times:?}");
    assert!(times.windows(2).all(|two| two[1] >= two[0] + Duration::from_secs(60)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_issuer_is_found_by_its_name() {
    let (old, new) = (SigningKey::new_ed(), SigningKey::new_ed());
    let site = Site::new(set(&[old.jwk("k-1")]));
    site.verifier.verify(&token(&old, "k-1")).await.unwrap();
    sleep(Duration::from_secs(61)).await;
    site.says(set(&[old.jwk("k-1"), new.jwk("k-2")]));
    site.verifier.verify(&token(&new, "k-2")).await.unwrap();
    site.verifier.verify(&token(&old, "k-1")).await.unwrap();
    assert_eq!(site.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn auth_13_a_key_that_is_no_longer_published_ends_when_the_set_is_no_longer_fresh() {
    let (old, new) = (SigningKey::new_ed(), SigningKey::new_ed());
    let site = Site::new(set(&[old.jwk("k-1")]));
    site.verifier.verify(&token(&old, "k-1")).await.unwrap();
    site.says(set(&[new.jwk("k-2")]));
    sleep(Duration::from_secs(599)).await;
    site.verifier.verify(&token(&old, "k-1")).await.unwrap();
    assert_eq!(site.fetches(), 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(site.refusal(&token(&old, "k-1")).await, unknown());
    assert_eq!(site.fetches(), 2);
    site.verifier.verify(&token(&new, "k-2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn auth_13_keys_that_cannot_be_fetched_count_for_a_bounded_time() {
    let key = SigningKey::new_ed();
    let keys = JwksConfig::new(URL).fresh_seconds(600).stale_seconds(1800);
    let site = Site::with(set(&[key.jwk("k-1")]), keys);
    let good = token(&key, "k-1");
    site.verifier.verify(&good).await.unwrap();
    site.says(down());
    let mut used = 0;
    while site.verifier.verify(&good).await.is_ok() {
        used += 1;
        sleep(Duration::from_secs(1)).await;
        assert!(used <= 2400, "keys without an end");
    }
    assert!(used >= 2390, "given up after {used} s");
    // Nobody knows whether the key still counts: the proof is not refused, the call is.
    let (kind, code) = site.refusal(&good).await;
    assert_eq!((kind, code.as_deref()), (ErrorKind::Transient, Some("connect")));
    // Once a minute, and each fetch with the client's own retries, which are three attempts at most.
    assert!(site.fetches() <= 1 + 3 * 32, "{}", site.fetches());
    site.says(set(&[key.jwk("k-1")]));
    sleep(Duration::from_secs(10)).await;
    site.verifier.verify(&good).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kid_while_the_issuer_is_down_is_not_called_a_bad_token() {
    let key = SigningKey::new_ed();
    let site = Site::new(set(&[key.jwk("k-1")]));
    site.verifier.verify(&token(&key, "k-1")).await.unwrap();
    site.says(down());
    sleep(Duration::from_secs(61)).await;
    for _ in 0..3 {
        assert_eq!(site.refusal(&token(&key, "k-2")).await.0, ErrorKind::Transient);
    }
    site.verifier.verify(&token(&key, "k-1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_one_caller_renews_the_others_go_on() {
    let key = SigningKey::new_ed();
    let site = Site::new(set(&[key.jwk("k-1")]));
    let good = token(&key, "k-1");
    site.verifier.verify(&good).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    site.says(set(&[key.jwk("k-1")]).after(Duration::from_secs(4)));
    let (verifier, first) = (site.verifier.clone(), good.clone());
    let renewing = tokio::spawn(async move { verifier.verify(&first).await.map(|_| ()) });
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    for _ in 0..50 {
        site.verifier.verify(&good).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    renewing.await.unwrap().unwrap();
    assert_eq!(site.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_hold_up_the_next() {
    let key = SigningKey::new_ed();
    let site = Site::new(Reply::hang());
    let good = token(&key, "k-1");
    let gave_up = tokio::time::timeout(Duration::from_secs(1), site.verifier.verify(&good)).await;
    assert!(gave_up.is_err());
    site.says(set(&[key.jwk("k-1")]));
    site.verifier.verify(&good).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_not_there_soon_is_not_there_and_is_not_asked_for_by_everybody() {
    let key = SigningKey::new_ed();
    let site = Site::new(Reply::hang());
    let good = token(&key, "k-1");
    let begun = tokio::time::Instant::now();
    let (kind, _) = site.refusal(&good).await;
    assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Transient), "{kind}");
    assert!(begun.elapsed() <= Duration::from_secs(10));
    let fetches = site.fetches();
    for _ in 0..100 {
        site.refusal(&good).await;
    }
    assert_eq!(site.fetches(), fetches);
    sleep(Duration::from_secs(10)).await;
    site.says(set(&[key.jwk("k-1")]));
    site.verifier.verify(&good).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_set_is_refused_and_told_apart() {
    let key = SigningKey::new_ed();
    let many: Vec<Value> = (0..101).map(|n| key.jwk(&format!("k-{n}"))).collect();
    let weak = json!({"kty": "RSA", "kid": "k-1", "n": b64([0xC1; 128]), "e": "AQAB"});
    let enc = {
        let mut jwk = rsa().jwk("k-1");
        jwk["use"] = "enc".into();
        jwk
    };
    let twice = format!(r#"{{"keys":[],"keys":[{}]}}"#, key.jwk("k-1"));
    let long = format!(r#"{{"keys":[{}],"pad":"{}"}}"#, key.jwk("k-1"), "x".repeat(256 << 10));
    for (reply, kind, why) in [
        (Reply::json(200, "{}"), ErrorKind::Protocol, "no list of keys"),
        (Reply::json(200, "[]"), ErrorKind::Protocol, "not a JSON object"),
        (Reply::json(200, r#"{"keys":{}}"#), ErrorKind::Protocol, "no list of keys"),
        (Reply::json(200, r#"{"keys":["#), ErrorKind::Protocol, "not JSON"),
        (Reply::json(200, twice), ErrorKind::Protocol, "twice"),
        (Reply::new(200, "<html>log in</html>").header("content-type", "text/html"), ErrorKind::Protocol, ""),
        (set(&[]), ErrorKind::Protocol, "no key that verifies"),
        (set(&[weak]), ErrorKind::Protocol, "1024 bits"),
        (set(&[enc]), ErrorKind::Protocol, "encryption"),
        (set(&[SigningKey::Shared(SHARED).jwk("k-1")]), ErrorKind::Protocol, "secret"),
        (set(&many), ErrorKind::TooLarge, "max_keys"),
        (Reply::json(200, long), ErrorKind::TooLarge, ""),
        (Reply::json(404, "{}"), ErrorKind::Config, "login.example.com"),
        (Reply::json(401, "{}"), ErrorKind::Config, "login.example.com"),
        (Reply::json(403, "{}"), ErrorKind::Config, "login.example.com"),
        (Reply::json(302, "").header("location", "https://evil.example/"), ErrorKind::Protocol, ""),
        (Reply::json(503, "{}"), ErrorKind::Transient, ""),
        (Reply::json(429, "{}"), ErrorKind::Transient, ""),
    ] {
        let site = Site::new(reply);
        let error = site.verifier.verify(&token(&key, "k-1")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{why}: {error}");
        assert!(error.message().contains(why), "{why}: {error}");
        let hosts: Vec<Sent> = site.transport.sent();
        assert!(hosts.iter().all(|sent| sent.request.url().host_str() == Some("login.example.com")));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_fit_are_passed_over_and_the_others_count() {
    let key = SigningKey::new_ed();
    let mut for_es = SigningKey::new_p256().jwk("k-2");
    for_es["alg"] = "ES256".into();
    let odd = [json!(17), json!({"kty": "LATER"}), SigningKey::Shared(SHARED).jwk("k-3"), for_es];
    let site = Site::new(set(&[&odd[..], &[key.jwk("k-1")]].concat()));
    site.verifier.verify(&token(&key, "k-1")).await.unwrap();
    // A published secret is known to everybody, so it signs nothing.
    let shared = SigningKey::Shared(SHARED).token(JwtAlgorithm::Hs256, &json!({"kid": "k-3"}), &changed(&[]));
    assert_eq!(site.refusal(&shared).await, unknown());
    // Two keys of one name, of different kinds (RFC 7517, 4.5).
    let other = SigningKey::new_p256();
    let site = Site::new(set(&[other.jwk("k-1"), key.jwk("k-1")]));
    site.verifier.verify(&token(&key, "k-1")).await.unwrap();
    let es = other.token(JwtAlgorithm::Es256, &json!({"kid": "k-1"}), &changed(&[]));
    site.verifier.verify(&es).await.unwrap();
}

#[test]
fn an_address_that_keys_may_not_come_from_is_refused() {
    let resources = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { Resources::new(Arc::new(ScriptedTransport::new([]))) });
    for url in ["http://login.example.com/keys", "ftp://x/", "keys", "https://u:p@login.example.com/keys"] {
        let error = Jwks::new(JwksConfig::new(url), &resources).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["url".to_owned()][..]));
        assert!(!error.to_string().contains("u:p"));
    }
    for (config, field) in [
        (JwksConfig::new(URL).fresh_seconds(0), "fresh_seconds"),
        (JwksConfig::new(URL).max_bytes(0), "max_bytes"),
        (JwksConfig::new(URL).max_keys(0), "max_keys"),
    ] {
        assert_eq!(Jwks::new(config, &resources).unwrap_err().fields(), [field]);
    }
    let config: JwksConfig = serde_json::from_value(json!({ "url": URL })).unwrap();
    assert_eq!(config, JwksConfig::new(URL));
}
