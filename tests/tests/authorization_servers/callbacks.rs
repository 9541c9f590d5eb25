//! Callbacks that must not be believed, and requests that the server does not take.

use acople::ErrorKind;
use acople::auth::Connect;
use url::Url;

use crate::connection::{REDIRECT, SESSION, app, basic, connect, resources, stored};
use crate::server::Server;
use crate::user::{Manners, User};

/// The address with one parameter changed, or taken out.
fn with(callback: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(callback).unwrap();
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(n, _)| n != name).collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}

#[tokio::test]
async fn auth_14_wrong_state_wrong_issuer_and_wrong_session_are_refused_before_the_server_is_asked() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &resources);
    let changes: [(&str, Option<&str>); 4] = [
        ("state", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("state", None),
        ("iss", Some("https://evil.example")),
        ("iss", None),
    ];
    for (name, value) in changes {
        let (url, pending) = connect.begin(SESSION).unwrap();
        let callback = User::new(Manners::default()).visit(&url, REDIRECT).await;
        assert!(callback.contains("iss="), "the server names itself: {callback}");
        let error = connect.complete(SESSION, pending, &with(&callback, name, value)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name} {value:?}: {error}");
    }
    let (url, pending) = connect.begin(SESSION).unwrap();
    let callback = User::new(Manners::default()).visit(&url, REDIRECT).await;
    let error = connect.complete("the session of another", pending, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(server.token_calls("authorization_code").await, Vec::<u64>::new());
    assert!(stored(&resources).await.is_none());
}

#[tokio::test]
async fn auth_14_a_code_is_good_once_here_and_at_the_server() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &resources);
    let (url, pending) = connect.begin(SESSION).unwrap();
    let kept = serde_json::to_string(&pending).unwrap();
    let callback = User::new(Manners::default()).visit(&url, REDIRECT).await;
    connect.complete(SESSION, pending, &callback).await.unwrap();
    let replayed = connect.complete(SESSION, serde_json::from_str(&kept).unwrap(), &callback).await;
    assert_eq!(replayed.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(server.token_calls("authorization_code").await, [200]);
    // Another process, with a store of its own, has not seen it: the server has.
    let elsewhere = self::resources();
    let connect = self::connect(&server, basic("web-basic", "s3cret-basic"), &elsewhere);
    let replayed = connect.complete(SESSION, serde_json::from_str(&kept).unwrap(), &callback).await;
    let error = replayed.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    assert_eq!(server.token_calls("authorization_code").await, [200, 400]);
}

#[tokio::test]
async fn auth_14_a_code_without_its_verifier_is_worth_nothing() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-basic"), &resources);
    let (url, pending) = connect.begin(SESSION).unwrap();
    assert!(url.query_pairs().any(|(n, v)| n == "code_challenge_method" && v == "S256"));
    let callback = User::new(Manners::default()).visit(&url, REDIRECT).await;
    let mut kept = serde_json::to_value(&pending).unwrap();
    kept["verifier"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into();
    let forged = serde_json::from_value(kept).unwrap();
    let error = connect.complete(SESSION, forged, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    // The server wants PKCE, and S256 at that.
    for name in ["code_challenge", "code_challenge_method"] {
        let (url, _) = connect.begin(SESSION).unwrap();
        let url = Url::parse(&with(url.as_str(), name, None)).unwrap();
        let refused = User::new(Manners::default()).visit(&url, REDIRECT).await;
        assert!(refused.contains("error=invalid_request"), "{refused}");
    }
}

#[tokio::test]
async fn a_redirect_url_that_is_not_registered_never_gets_a_code() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    for wrong in
        ["http://127.0.0.1:9/callback/", "http://127.0.0.1:9/callback?x=1", "https://evil.example/callback"]
    {
        let app = app(&server, basic("web-basic", "s3cret-basic"), &resources);
        let connect = Connect::new(app, &server.url("/auth"), wrong).unwrap();
        let (url, _) = connect.begin(SESSION).unwrap();
        let page = User::new(Manners::default()).visit(&url, wrong).await;
        assert!(page.contains("redirect_uri") && !page.contains("code="), "{wrong}: {page}");
    }
}

#[tokio::test]
async fn a_wrong_client_secret_names_the_client_and_is_not_repeated() {
    let server = Server::start(&[REDIRECT]);
    let resources = resources();
    let connect = connect(&server, basic("web-basic", "s3cret-wrong"), &resources);
    let (url, pending) = connect.begin(SESSION).unwrap();
    let callback = User::new(Manners::default()).visit(&url, REDIRECT).await;
    let error = connect.complete(SESSION, pending, &callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("invalid_client")));
    assert_eq!(error.fields(), ["client_id"]);
    assert!(error.message().contains("check its id and secret"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret-wrong"));
}
