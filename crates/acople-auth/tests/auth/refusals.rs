use std::sync::Arc;
use std::time::Duration;

use acople_auth::{Grant, OAuth2, OAuthClient};
use acople_core::{ErrorKind, Generation, Secret, TokenSet, TokenStore};
use acople_testkit::Reply;
use acople_testkit::memory::MemoryStore;
use tokio::time::sleep;

use crate::vendor::{TOKEN_URL, Vendor, app, authorization, client, read, refreshing};

#[tokio::test(start_paused = true)]
async fn auth_05_a_finished_grant_is_parked_without_further_token_calls() {
    let vendor = Vendor::new().with(|rules| rules.refresh = "another".into());
    let auth = refreshing(&vendor.resources(), "rt-0").seed("worn-out".into()).build();
    let client = client(&vendor, &auth);
    let error = read(&client, 0).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Reauth, Some("invalid_grant")));
    for minute in 0..60 {
        let error = read(&client, minute).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reauth);
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(vendor.token_calls().len(), 1);
    assert_eq!(vendor.resource_calls().len(), 1, "a token that is known to be worthless is not sent again");
}

#[tokio::test(start_paused = true)]
async fn auth_05_new_credentials_in_the_store_end_the_parking() {
    let vendor = Vendor::new().with(|rules| rules.refresh = "rt-new".into());
    let store = MemoryStore::new();
    let resources = vendor.resources().with_tokens(Arc::new(store.clone()));
    let auth = refreshing(&resources, "rt-0").build();
    assert_eq!(authorization(&auth).await.unwrap_err().kind(), ErrorKind::Reauth);

    let connected = TokenSet {
        access: Secret::default(),
        refresh: Some("rt-new".into()),
        expires_at: None,
        endpoint: None,
        extra: std::collections::BTreeMap::new(),
    };
    TokenStore::save(&store, &resources.connection_key("example"), Generation(0), &connected).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

#[tokio::test(start_paused = true)]
async fn a_finished_grant_leaves_a_good_access_token_in_use() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let client = client(&vendor, &auth);
    read(&client, 1).await.unwrap();
    vendor.change(|rules| rules.refresh = "revoked".into());
    sleep(Duration::from_secs(3590)).await;
    read(&client, 2).await.unwrap();
    read(&client, 3).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 2);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(read(&client, 4).await.unwrap_err().kind(), ErrorKind::Reauth);
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_refusal_says_what_the_host_has_to_do() {
    use ErrorKind::{Config, Permission, Protocol, Reauth, Transient};
    let refusals = [
        (400, r#"{"error":"invalid_grant"}"#, Reauth),
        (500, r#"{"error":"invalid_grant"}"#, Reauth),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, Reauth),
        (400, r#"{"status":"BAD_HUB","error":"access_denied"}"#, Reauth),
        (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown"}"#, Reauth),
        (400, "", Reauth),
        (401, r#"{"error":"invalid_client"}"#, Config),
        (400, r#"{"error":"unauthorized_client"}"#, Config),
        (401, "", Config),
        (404, "not here", Config),
        (400, r#"{"error":"unsupported_grant_type"}"#, Config),
        (400, r#"{"error":"invalid_scope"}"#, Permission),
        (403, "{}", Permission),
        (400, r#"{"error":"temporarily_unavailable"}"#, Transient),
        (200, r#"{"token":"x"}"#, Protocol),
    ];
    for (status, body, kind) in refusals {
        let vendor = Vendor::new();
        vendor.change(|rules| rules.instead = vec![Reply::json(status, body)]);
        let auth = refreshing(&vendor.resources(), "rt-0").build();
        let error = authorization(&auth).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert_eq!(error.operation(), Some("get an access token"), "{status} {body}");
        // Whatever it was, nobody hammers the token endpoint.
        authorization(&auth).await.unwrap_err();
        assert_eq!(vendor.token_calls().len(), 1, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_vendors_code_and_words_are_in_the_error() {
    let vendor = Vendor::new();
    let body = r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#;
    vendor.change(|rules| rules.instead = vec![Reply::json(400, body).header("x-request-id", "req-7")]);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "reauth: get an access token: the grant is no longer valid: expired access/refresh token (invalid_grant, http 400)"
    );
    assert_eq!(error.request_id(), Some("req-7"));
}

#[tokio::test(start_paused = true)]
async fn auth_18_answers_that_are_no_token_answers_are_refused_and_never_quoted() {
    use ErrorKind::{Protocol, TooLarge};
    let huge = format!(r#"{{"access_token":"leaked-1","padding":"{}"}}"#, "x".repeat(5 << 20));
    let replies = [
        (Reply::new(200, "<html>leaked-1</html>").header("content-type", "text/html"), Protocol),
        (Reply::json(200, "<html>leaked-1</html>"), Protocol),
        (Reply::json(200, huge), TooLarge),
        (Reply::json(200, r#"{"access_token":"leaked-1","access_token":"leaked-2"}"#), Protocol),
        (Reply::json(200, r#"{"access_token":"leaked-1","access_token":"leaked-1"}"#), Protocol),
        (Reply::json(200, r#"{"access_token":"leaked-1\nX: y"}"#), Protocol),
        (Reply::json(200, r#"{"access_token":["leaked-1"]}"#), Protocol),
        (Reply::json(200, r#""leaked-1""#), Protocol),
        (Reply::json(302, "leaked-1").header("location", "https://evil.example/leaked-1"), Protocol),
        (Reply::json(307, "leaked-1").header("location", "https://login.example.com/leaked-1"), Protocol),
    ];
    for (number, (reply, kind)) in replies.into_iter().enumerate() {
        for rotating in [true, false] {
            let vendor = Vendor::new();
            vendor.change(|rules| rules.instead = vec![reply.clone(), reply.clone(), reply.clone()]);
            let resources = vendor.resources();
            let auth = if rotating {
                refreshing(&resources, "rt-0").build()
            } else {
                let grant = Grant::ClientCredentials { scope: None };
                OAuth2::builder("example", TOKEN_URL, app(), grant, &resources).unwrap().build()
            };
            let error = authorization(&auth).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{number}: {error}");
            assert!(!format!("{error} {error:?}").contains("leaked"), "{number}: {error:?}");
            let hosts = vendor.transport.sent();
            assert!(hosts.iter().all(|s| s.request.url().as_str() == TOKEN_URL), "{number}");
            if rotating {
                assert_eq!(hosts.len(), 1, "{number}: a refresh token is not spent on a second answer");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_refused_after_an_unreadable_answer_says_so() {
    let vendor = Vendor::new();
    vendor.change(|rules| rules.instead = vec![Reply::json(200, "<html>")]);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    assert_eq!(authorization(&auth).await.unwrap_err().kind(), ErrorKind::Protocol);
    vendor.change(|rules| rules.refresh = "rotated unseen".into());
    sleep(Duration::from_secs(60)).await;
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(error.message().contains("lost"), "{error}");
}

#[test]
fn what_is_missing_from_the_config_is_named() {
    let vendor = Vendor::new();
    let resources = vendor.resources();
    let refresh = |token: &str| Grant::RefreshToken { refresh_token: token.into() };
    let nobody = OAuthClient { id: String::new(), ..app() };
    let public = OAuthClient { secret: None, ..app() };
    let cases = [
        ("http://login.example.com/token", app(), refresh("rt"), "token_url"),
        ("https://u:p@login.example.com/token", app(), refresh("rt"), "token_url"),
        ("login", app(), refresh("rt"), "token_url"),
        (TOKEN_URL, app(), refresh(""), "refresh_token"),
        (TOKEN_URL, nobody, refresh("rt"), "client_id"),
        (TOKEN_URL, public, Grant::ClientCredentials { scope: None }, "client_secret"),
    ];
    for (url, client, grant, field) in cases {
        let error = OAuth2::builder("example", url, client, grant, &resources).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]));
    }
}
