use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_auth::{ClientStyle, Connect, OAuthApp, OAuthClient, PendingConnect};
use acople_core::{Error, ErrorKind, Generation, Resources, Secret, TokenSet, TokenStore};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::sleep;
use url::Url;

use crate::vendor::authorization;

const AUTHORIZE: &str = "https://login.example.com/authorize?audience=api";
const TOKEN: &str = "https://login.example.com/oauth/token";
const REDIRECT: &str = "https://host.example/oauth/callback?from=vendor";
const SESSION: &str = "session-cookie-17";
const GRANTED: &str =
    r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600,"scope":"read","hub_id":42}"#;

struct Site {
    transport: ScriptedTransport,
    store: Arc<MemoryStore>,
    clock: FakeClock,
    resources: Resources,
}

impl Site {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let transport = ScriptedTransport::new(replies);
        let (store, clock) = (Arc::new(MemoryStore::new()), FakeClock::new());
        let resources = Resources::new(Arc::new(transport.clone()))
            .with_tokens(store.clone())
            .with_clock(Arc::new(clock.clone()));
        Self { transport, store, clock, resources }
    }

    fn app(&self) -> OAuthApp {
        let client =
            OAuthClient { id: "app".into(), secret: Some("app-s3cret".into()), style: ClientStyle::Body };
        OAuthApp::new("example", TOKEN, client, &self.resources).unwrap().keep(&["hub_id"])
    }

    fn connect(&self) -> Connect {
        Connect::new(self.app().scope("read write"), AUTHORIZE, REDIRECT).unwrap()
    }

    async fn stored(&self) -> Option<(String, Option<String>, BTreeMap<String, String>)> {
        let (tokens, _) =
            TokenStore::load(&*self.store, &self.resources.connection_key("example")).await.unwrap()?;
        let refresh = tokens.refresh.map(|token| token.expose().to_owned());
        Some((tokens.access.expose().to_owned(), refresh, tokens.extra))
    }

    fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.transport.sent().iter().map(form).collect()
    }
}

fn form(sent: &Sent) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(sent.body().as_bytes()).into_owned().collect()
}

fn query(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let query: BTreeMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(query.len(), pairs.len(), "no parameter is there twice: {url}");
    query
}

type Make = Box<dyn Fn(&PendingConnect) -> String>;

/// The session's value, as a host keeps it.
fn through_the_session(pending: &PendingConnect) -> PendingConnect {
    serde_json::from_str(&serde_json::to_string(pending).unwrap()).unwrap()
}

fn back(pending: &PendingConnect, more: &str) -> String {
    format!("{REDIRECT}&state={}{more}", pending.state())
}

#[tokio::test(start_paused = true)]
async fn an_account_is_connected_stored_and_ready() {
    let site = Site::new([Reply::json(200, GRANTED)]);
    let connect = site.connect().param("prompt", "consent").unwrap();
    let (url, pending) = connect.begin(SESSION).unwrap();
    let asked = query(&url);
    assert!(url.as_str().starts_with("https://login.example.com/authorize?audience=api&"));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
        ("state", pending.state()),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert!(!asked.contains_key("nonce"));

    let pending = through_the_session(&pending);
    let callback = back(&pending, "&code=c0de-1");
    let auth = connect.complete(SESSION, pending, &callback).await.unwrap();
    let sent = &site.forms()[0];
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "c0de-1"),
        ("redirect_uri", REDIRECT),
        ("client_id", "app"),
        ("client_secret", "app-s3cret"),
    ];
    for (name, value) in expected {
        assert_eq!(sent[name], value, "{name}");
    }
    assert_eq!(sent.len(), expected.len() + 1);
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, sent["code_verifier"].as_bytes());
    assert_eq!(asked["code_challenge"], URL_SAFE_NO_PAD.encode(challenge));

    // Stored when it returns, and in use without another token call; after a restart, too.
    let (access, refresh, extra) = site.stored().await.unwrap();
    assert_eq!((access.as_str(), refresh.as_deref()), ("at-1", Some("rt-1")));
    assert_eq!((extra["hub_id"].as_str(), extra["scope"].as_str()), ("42", "read"));
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(auth.kept("scope").await.unwrap().as_deref(), Some("read"));
    let restarted = site.app().provider().unwrap();
    assert_eq!(authorization(&restarted).await.unwrap(), "Bearer at-1");
    assert_eq!(site.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connected_account_renews_by_the_refresh_token_in_the_store() {
    let renewed = r#"{"access_token":"at-2","refresh_token":"rt-2","expires_in":3600}"#;
    let site = Site::new([Reply::json(200, GRANTED), Reply::json(200, renewed)]);
    let connect = site.connect();
    let (_, pending) = connect.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c0de-1");
    let auth = connect.complete(SESSION, pending, &callback).await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    assert_eq!(site.forms()[1]["refresh_token"], "rt-1");
    let (access, refresh, extra) = site.stored().await.unwrap();
    assert_eq!((access.as_str(), refresh.as_deref()), ("at-2", Some("rt-2")));
    assert_eq!(extra["hub_id"], "42");
}

#[tokio::test(start_paused = true)]
async fn auth_14_callbacks_that_are_not_of_this_flow_are_refused_and_nothing_is_sent() {
    let site = Site::new([]);
    let app = site.app().issuer("https://login.example.com");
    let connect = Connect::new(app, AUTHORIZE, REDIRECT).unwrap().require_issuer().unwrap();
    let (_, other) = connect.begin(SESSION).unwrap();
    let iss = "&iss=https%3A%2F%2Flogin.example.com";
    let other_state = other.state().to_owned();
    let table: Vec<(&str, &str, Make)> = vec![
        ("no state", SESSION, Box::new(move |_| format!("code=c{iss}"))),
        ("an empty state", SESSION, Box::new(move |_| format!("code=c&state={iss}"))),
        ("another flow's state", SESSION, Box::new(move |_| format!("code=c&state={other_state}{iss}"))),
        (
            "a state that begins right",
            SESSION,
            Box::new(move |p| format!("code=c&state={}{iss}", p.state().get(..42).unwrap())),
        ),
        ("a state that goes on", SESSION, Box::new(move |p| format!("code=c&state={}A{iss}", p.state()))),
        ("another session", "session-cookie-18", Box::new(move |p| back(p, &format!("&code=c{iss}")))),
        ("no session", "", Box::new(move |p| back(p, &format!("&code=c{iss}")))),
        ("no iss", SESSION, Box::new(|p| back(p, "&code=c"))),
        ("another iss", SESSION, Box::new(|p| back(p, "&code=c&iss=https%3A%2F%2Fevil.example"))),
        ("an iss with a slash more", SESSION, Box::new(move |p| back(p, &format!("&code=c{iss}%2F")))),
        ("two states", SESSION, Box::new(move |p| back(p, &format!("&state=x&code=c{iss}")))),
        ("two codes", SESSION, Box::new(move |p| back(p, &format!("&code=c&code=d{iss}")))),
        ("no code", SESSION, Box::new(move |p| back(p, iss))),
        ("an empty code", SESSION, Box::new(move |p| back(p, &format!("&code={iss}")))),
        ("nothing", SESSION, Box::new(|_| String::new())),
    ];
    for (what, session, make) in table {
        let (_, pending) = connect.begin(SESSION).unwrap();
        let callback = make(&pending);
        let error = connect.complete(session, pending, &callback).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        assert_eq!(error.operation(), Some("connect the account"), "{what}");
    }
    assert!(site.transport.sent().is_empty());
    assert!(site.stored().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn auth_14_the_issuer_is_checked_where_the_server_sends_it() {
    let site = Site::new([Reply::json(200, GRANTED), Reply::json(200, GRANTED)]);
    let app = site.app().issuer("https://login.example.com");
    let strict = Connect::new(app.clone(), AUTHORIZE, REDIRECT).unwrap().require_issuer().unwrap();
    let (_, pending) = strict.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c&iss=https%3A%2F%2Flogin.example.com");
    strict.complete(SESSION, pending, &callback).await.unwrap();
    // One that does not say it always: taken without, refused with another.
    let lenient = Connect::new(app, AUTHORIZE, REDIRECT).unwrap();
    let (_, pending) = lenient.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c&iss=https%3A%2F%2Fevil.example");
    let error = lenient.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let (_, pending) = lenient.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c");
    lenient.complete(SESSION, pending, &callback).await.unwrap();
    let nameless = Connect::new(site.app(), AUTHORIZE, REDIRECT).unwrap().require_issuer().unwrap_err();
    assert_eq!((nameless.kind(), nameless.fields()), (ErrorKind::Config, &["issuer".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn auth_14_a_callback_counts_once_here_and_in_other_processes() {
    let site = Site::new([Reply::json(200, GRANTED)]);
    let connect = site.connect();
    let (_, pending) = connect.begin(SESSION).unwrap();
    let (second, third) = (through_the_session(&pending), through_the_session(&pending));
    let callback = back(&pending, "&code=c0de-1");
    connect.complete(SESSION, pending, &callback).await.unwrap();
    let error = connect.clone().complete(SESSION, second, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // Another process has the session's value too, and knows the flow by what is stored.
    let error = site.connect().complete(SESSION, third, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(site.transport.sent().len(), 1);
    assert_eq!(site.stored().await.unwrap().0, "at-1");
}

#[tokio::test(start_paused = true)]
async fn auth_14_a_flow_that_failed_cannot_be_tried_again_with_the_same_state() {
    let site = Site::new([Reply::json(400, r#"{"error":"invalid_grant"}"#), Reply::json(200, GRANTED)]);
    let connect = site.connect();
    let (_, pending) = connect.begin(SESSION).unwrap();
    let again = through_the_session(&pending);
    let callback = back(&pending, "&code=c0de-1");
    let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    assert_eq!(connect.complete(SESSION, again, &callback).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(site.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn auth_14_pkce_cannot_be_weakened() {
    let site = Site::new([]);
    for name in
        ["code_challenge", "code_challenge_method", "state", "redirect_uri", "response_type", "request"]
    {
        let error = site.connect().param(name, "plain").unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[name.to_owned()][..]));
        let url = format!("https://login.example.com/authorize?{name}=plain");
        let error = Connect::new(site.app(), &url, REDIRECT).unwrap_err();
        assert_eq!(error.fields(), &["authorize_url".to_owned()][..]);
    }
    for name in ["code_verifier", "code", "grant_type", "client_secret"] {
        assert_eq!(site.app().token_param(name, "x").unwrap_err().kind(), ErrorKind::Config);
    }
    // A value from the session without a proper verifier is none.
    let connect = site.connect();
    for verifier in ["", "short", "plain-text-that-is-43-characters-long-but-!!"] {
        let (_, pending) = connect.begin(SESSION).unwrap();
        let callback = back(&pending, "&code=c");
        let mut value = serde_json::to_value(&pending).unwrap();
        value["verifier"] = verifier.into();
        let pending = serde_json::from_value(value).unwrap();
        let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{verifier}");
    }
    assert!(site.transport.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn auth_14_each_flow_has_a_state_and_a_verifier_of_its_own_and_shows_neither() {
    let site = Site::new([]);
    let connect = site.connect();
    let mut states = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let (url, pending) = connect.begin(SESSION).unwrap();
        assert!(states.insert(pending.state().to_owned()));
        assert!(states.insert(query(&url)["code_challenge"].clone()));
        let shown = format!("{pending:?} {connect:?}");
        let value = serde_json::to_value(&pending).unwrap();
        let verifier = value["verifier"].as_str().unwrap();
        assert!(!shown.contains(verifier) && !shown.contains(pending.state()));
        assert!(!shown.contains("s3cret") && !url.as_str().contains(verifier));
        assert!(!value.to_string().contains(SESSION), "the session's name is hashed");
    }
    assert_eq!(connect.begin("").unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_says_instead_of_a_code_is_told() {
    use ErrorKind::{Config, Permission, Reauth, Transient};
    let site = Site::new([]);
    let connect = site.connect();
    for (code, kind) in [
        ("access_denied", Permission),
        ("invalid_scope", Permission),
        ("unauthorized_client", Config),
        ("unsupported_response_type", Config),
        ("server_error", Transient),
        ("temporarily_unavailable", Transient),
        ("login_required", Reauth),
    ] {
        let (_, pending) = connect.begin(SESSION).unwrap();
        let callback = back(&pending, &format!("&error={code}&error_description=The+user%0Asaid+no"));
        let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
        assert!(error.message().ends_with(": The usersaid no"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_takes_too_long_begins_again() {
    let site = Site::new([Reply::json(200, GRANTED)]);
    let connect = site.connect();
    let (_, pending) = connect.begin(SESSION).unwrap();
    site.clock.advance(Duration::from_secs(601));
    let callback = back(&pending, "&code=c");
    assert_eq!(connect.complete(SESSION, pending, &callback).await.unwrap_err().kind(), ErrorKind::Reauth);
    let (_, pending) = connect.begin(SESSION).unwrap();
    site.clock.advance(Duration::from_secs(599));
    let callback = back(&pending, "&code=c");
    connect.complete(SESSION, pending, &callback).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_id_token_is_checked_and_its_subject_kept() {
    let id_token = |nonce: &str, clock: &FakeClock| {
        use acople_core::Clock;
        let exp = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
        let claims = format!(
            r#"{{"iss":"https://login.example.com","sub":"user-9","aud":"app","exp":{exp},"nonce":"{nonce}"}}"#
        );
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    };
    for right in [true, false] {
        let nonce = Arc::new(std::sync::Mutex::new(String::new()));
        let (said, clock) = (nonce.clone(), FakeClock::new());
        let transport = ScriptedTransport::function({
            let clock = clock.clone();
            move |_, _| {
                let token = id_token(&said.lock().unwrap(), &clock);
                Reply::json(
                    200,
                    format!(r#"{{"access_token":"at","refresh_token":"rt","id_token":"{token}"}}"#),
                )
            }
        });
        let store = Arc::new(MemoryStore::new());
        let resources = Resources::new(Arc::new(transport))
            .with_tokens(store.clone())
            .with_clock(Arc::new(clock.clone()));
        let client = OAuthClient { id: "app".into(), secret: None, style: ClientStyle::Body };
        let app =
            OAuthApp::new("example", TOKEN, client, &resources).unwrap().issuer("https://login.example.com");
        let connect = Connect::new(app, AUTHORIZE, REDIRECT).unwrap().openid();
        let (url, pending) = connect.begin(SESSION).unwrap();
        let asked = query(&url);
        assert_eq!(asked["scope"], "openid");
        *nonce.lock().unwrap() = if right { asked["nonce"].clone() } else { "another".into() };
        let callback = back(&pending, "&code=c");
        let result = connect.complete(SESSION, pending, &callback).await;
        if right {
            assert_eq!(result.unwrap().kept("sub").await.unwrap().as_deref(), Some("user-9"));
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Protocol);
            assert_eq!(store.saves(), 0, "and nothing is stored");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_connected_again_keeps_its_tokens_until_the_new_ones_are_there() {
    let second = r#"{"access_token":"at-2","refresh_token":"rt-2","expires_in":3600}"#;
    let site = Site::new([
        Reply::json(200, GRANTED),
        Reply::json(400, r#"{"error":"invalid_grant"}"#),
        Reply::json(200, second),
        Reply::json(200, r#"{"access_token":"at-3","refresh_token":"rt-3"}"#),
    ]);
    let connect = site.connect();
    let go = async || {
        let (_, pending) = connect.begin(SESSION).unwrap();
        let callback = back(&pending, "&code=c");
        connect.complete(SESSION, pending, &callback).await
    };
    let running = go().await.unwrap();
    go().await.unwrap_err();
    assert_eq!(site.stored().await.unwrap().0, "at-1");
    assert_eq!(authorization(&running).await.unwrap(), "Bearer at-1");
    assert!(!running.reload().await.unwrap());
    // The store is away for a moment: the code is spent, and the tokens are not given up.
    site.store.fail_next_saves(2);
    go().await.unwrap();
    assert_eq!(site.stored().await.unwrap().1.as_deref(), Some("rt-2"));
    assert!(running.reload().await.unwrap());
    assert_eq!(authorization(&running).await.unwrap(), "Bearer at-2");
    // A store that stays away is an error, and what was there is still there.
    site.store.fail_next_saves(usize::MAX);
    let error = go().await.unwrap_err();
    assert!(error.message().contains("could not be stored"), "{error}");
    assert_eq!(site.stored().await.unwrap().1.as_deref(), Some("rt-2"));
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_gives_up_takes_no_tokens_with_it() {
    let site = Site::new([Reply::json(200, GRANTED).after(Duration::from_secs(3))]);
    let connect = site.connect();
    let (_, pending) = connect.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c");
    let impatient = connect.complete(SESSION, pending, &callback);
    tokio::time::timeout(Duration::from_secs(1), impatient).await.unwrap_err();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(authorization(&site.app().provider().unwrap()).await.unwrap(), "Bearer at-1");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_never_connected_is_reauth_without_a_token_call() {
    let site = Site::new([]);
    let auth = site.app().provider().unwrap();
    for _ in 0..3 {
        let error = authorization(&auth).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reauth);
        assert!(error.message().contains("not connected"), "{error}");
    }
    assert!(site.transport.sent().is_empty());
    // Connected by another process: seen within a minute, or at once when told.
    let tokens = TokenSet {
        access: "at-9".into(),
        refresh: None,
        expires_at: None,
        endpoint: None,
        extra: BTreeMap::new(),
    };
    let key = site.resources.connection_key("example");
    TokenStore::save(&*site.store, &key, Generation(0), &tokens).await.unwrap();
    assert!(auth.reload().await.unwrap());
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-9");
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_new_connection_lives_in_memory() {
    let transport = ScriptedTransport::new([Reply::json(200, GRANTED)]);
    let resources = Resources::new(Arc::new(transport));
    let client = OAuthClient { id: "app".into(), secret: None, style: ClientStyle::Body };
    let app = OAuthApp::new("example", TOKEN, client, &resources).unwrap();
    let connect = Connect::new(app, AUTHORIZE, "com.example.app:/callback").unwrap();
    let (_, pending) = connect.begin(SESSION).unwrap();
    let callback = format!("code=c&state={}", pending.state());
    let auth = connect.complete(SESSION, pending, &callback).await.unwrap();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

#[test]
fn urls_that_credentials_may_not_travel_to_are_named() {
    let site = Site::new([]);
    let fields = |error: Error| error.fields().to_vec();
    let connect =
        |authorize: &str, redirect: &str| fields(Connect::new(site.app(), authorize, redirect).unwrap_err());
    assert_eq!(connect("http://login.example.com/a", REDIRECT), ["authorize_url"]);
    assert_eq!(connect(AUTHORIZE, "http://host.example/cb"), ["redirect_url"]);
    assert_eq!(connect(AUTHORIZE, "https://host.example/cb#x"), ["redirect_url"]);
    assert_eq!(connect(AUTHORIZE, "javascript:alert(1)"), ["redirect_url"]);
    assert!(Connect::new(site.app(), AUTHORIZE, "http://127.0.0.1:8080/cb").is_ok());
    let client =
        |id: &str| OAuthClient { id: id.into(), secret: Some(Secret::from("s")), style: ClientStyle::Basic };
    assert_eq!(fields(OAuthApp::new("e", "login", client("a"), &site.resources).unwrap_err()), ["token_url"]);
    assert_eq!(fields(OAuthApp::new("e", TOKEN, client(""), &site.resources).unwrap_err()), ["client_id"]);
    assert_eq!(fields(site.app().revocation_url("http://x.example").unwrap_err()), ["revocation_url"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_its_tokens_unverified_once_and_stores_none() {
    let tokens = r#"{"access_token":"at-1","id_token":"CANARY.id.token"}"#;
    let site = Site::new([Reply::json(200, tokens), Reply::json(200, GRANTED)]);
    let connect = site.connect().openid();
    let (url, pending) = connect.begin(SESSION).unwrap();
    let (again, callback) = (through_the_session(&pending), back(&pending, "&code=c0de-1"));
    let login = connect.redeem(SESSION, pending, &callback).await.unwrap();
    assert_eq!((login.access_token.expose(), login.id_token.expose()), ("at-1", "CANARY.id.token"));
    assert_eq!(login.nonce, query(&url)["nonce"]);
    assert!(!format!("{login:?}").contains("CANARY") && !format!("{login:?}").contains(&login.nonce));
    assert_eq!(connect.redeem(SESSION, again, &callback).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(site.stored().await.is_none());

    // Without an id token nobody is known.
    let (_, pending) = connect.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c0de-2");
    assert_eq!(connect.redeem(SESSION, pending, &callback).await.unwrap_err().kind(), ErrorKind::Protocol);
    let plain = site.connect();
    let (_, pending) = plain.begin(SESSION).unwrap();
    let callback = back(&pending, "&code=c0de-3");
    let error = plain.redeem(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!(error.fields(), ["openid"]);
    assert_eq!(site.transport.sent().len(), 2);
}
