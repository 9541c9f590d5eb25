//! Token answers that are odd, by a server that is not ours.

use std::time::Duration;

use acople::auth::{Grant, OAuth2};
use acople::{AuthProvider, AuthStamp, Context, ErrorKind, Request, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::connection::{basic, resources};
use crate::server::Odd;

fn auth(odd: &Odd) -> OAuth2 {
    let grant = Grant::RefreshToken { refresh_token: "rt-0".into() };
    let url = format!("{}/token", odd.issuer);
    OAuth2::builder("example", &url, basic("app", "s3cret"), grant, &resources()).unwrap().build()
}

async fn token(auth: &OAuth2) -> Result<(String, AuthStamp)> {
    let mut request = Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
    let stamp =
        timeout(Duration::from_secs(30), auth.authorize(&Context::new(), &mut request)).await.unwrap()?;
    Ok((request.headers()["authorization"].to_str().unwrap().to_owned(), stamp))
}

#[tokio::test]
async fn auth_10_lifetimes_in_every_spelling_give_a_token_and_no_storm() {
    let server = Odd::start();
    let spellings = [
        json!({"set": {"expires_in": "3600"}}),
        json!({"set": {"expires_in": " 1800.5 "}}),
        json!({"drop": ["expires_in"]}),
        json!({"set": {"expires_in": null}}),
        json!({"set": {"expires_in": 315_360_000}}),
        json!({"set": {"expires_in": "soon"}}),
        json!({"set": {"expires_in": [1]}}),
        json!({"set": {"expires_in": {"seconds": 1}}}),
    ];
    for mut odd in spellings {
        odd["times"] = json!(100);
        server.next(&odd).await;
        let auth = auth(&server);
        let (first, _) = token(&auth).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        for _ in 0..20 {
            assert_eq!(token(&auth).await.unwrap().0, first, "{odd}");
        }
        assert_eq!(server.calls().await, 1, "{odd}: used until it is refused");
    }
    for expired in [json!(0), json!(-1), json!("-3600"), json!(-1e300)] {
        server.next(&json!({"set": {"expires_in": expired}, "times": 100})).await;
        let auth = auth(&server);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500) {
            token(&auth).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let most = 2 + begun.elapsed().as_secs();
        let calls = server.calls().await;
        assert!((1..=most).contains(&calls), "{expired}: {calls} token calls, at most one a second");
    }
}

#[tokio::test]
async fn what_is_added_or_left_out_does_no_harm() {
    let server = Odd::start();
    let odd = [
        json!({"drop": ["refresh_token"]}),
        json!({"set": {"refresh_token": ""}}),
        json!({"set": {"refresh_token": null}}),
        json!({"drop": ["token_type"]}),
        json!({"set": {"token_type": "bearer", "scope": ["a", "b"], "x": {"y": [1, 2, {"z": null}]}}}),
        json!({"set": {"error": null}}),
        json!({"status": 201}),
        json!({"ms": 1500}),
    ];
    for odd in odd {
        server.next(&odd).await;
        let auth = auth(&server);
        let (header, stamp) = token(&auth).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        assert!(header.starts_with("Bearer ey"), "{odd}");
        // Without a new refresh token the old one stays.
        auth.refresh(&Context::new(), stamp).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
    }
}

#[tokio::test]
async fn auth_18_what_is_no_token_answer_is_refused_and_never_quoted() {
    let server = Odd::start();
    let cases: [(Value, &[ErrorKind]); 10] = [
        (json!({"text": "<html>c4nary</html>", "type": "text/html"}), &[ErrorKind::Protocol]),
        (json!({"text": "c4nary-0123456789", "repeat": 400_000}), &[ErrorKind::TooLarge]),
        (json!({"text": r#"{"access_token":"c4nary","access_token":"c4nary-2"}"#}), &[ErrorKind::Protocol]),
        (json!({"text": r#"{"access_token":"c4nary""#}), &[ErrorKind::Protocol]),
        (json!({"text": r#"["c4nary"]"#}), &[ErrorKind::Protocol]),
        (json!({"drop": ["access_token"]}), &[ErrorKind::Protocol]),
        (json!({"set": {"access_token": 17}}), &[ErrorKind::Protocol]),
        (json!({"set": {"access_token": "c4nary\r\nx: y"}}), &[ErrorKind::Protocol]),
        (json!({"status": 302, "text": "c4nary"}), &[ErrorKind::Protocol]),
        (json!({"status": 400, "text": "c4nary", "type": "text/plain"}), &[ErrorKind::Reauth]),
    ];
    for (odd, kinds) in cases {
        let mut many = odd.clone();
        many["times"] = json!(100);
        server.next(&many).await;
        let error = token(&auth(&server)).await.unwrap_err();
        assert!(kinds.contains(&error.kind()), "{odd}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("c4nary"), "{odd}: {error:?}");
    }
}

#[tokio::test]
async fn refusals_in_a_servers_own_words_say_what_to_do() {
    let server = Odd::start();
    let refusal = |status: u16, error: &str| json!({"status": status, "set": {"error": error}, "times": 100});
    let cases = [
        (refusal(400, "invalid_grant"), ErrorKind::Reauth, "no longer valid"),
        (refusal(401, "invalid_client"), ErrorKind::Config, "check its id and secret"),
        (refusal(400, "unauthorized_client"), ErrorKind::Config, "may use this grant"),
        (refusal(400, "invalid_scope"), ErrorKind::Permission, "scope"),
        (refusal(400, "unsupported_grant_type"), ErrorKind::Config, "does not take this request"),
        (refusal(200, "invalid_grant"), ErrorKind::Reauth, "no longer valid"),
    ];
    for (odd, kind, says) in cases {
        server.next(&odd).await;
        let error = token(&auth(&server)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{odd}: {error:?}");
        assert!(error.message().contains(says), "{odd}: {error}");
    }
}
