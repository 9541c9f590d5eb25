//! Providers that fetch what they put on requests: sessions and CSRF tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acople_auth::{Csrf, SessionConfig, SessionFrom, SessionLogin, StaticAuth};
use acople_core::{AuthProvider, Context, ErrorKind, Refresh, Request, Resources, Secret};
use acople_http::{Call, Client, StatusClassifier};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use http::Method;
use tokio::time::sleep;

use crate::vendor::BASE;

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
