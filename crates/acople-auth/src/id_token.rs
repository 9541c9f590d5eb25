//! The claims of an id token that came straight from the token endpoint (OpenID Connect Core, 3.1.3.7).

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ErrorKind, Result, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::pending::equal;

/// How far the vendor's clock may be away from ours.
const SKEW: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Checks that the token is for this app and this flow, and gives its subject.
///
/// Whoever could forge it could forge the access token beside it: TLS vouches for both, so the signature is not
/// verified.
///
/// # Errors
/// `Protocol`, without a word of the token.
pub(crate) fn check_id_token(
    token: Option<&Secret>,
    client_id: &str,
    issuer: Option<&str>,
    nonce: &str,
    now: SystemTime,
) -> Result<String> {
    let token = token.ok_or_else(|| refused("is not there"))?;
    let payload = token.expose().split('.').nth(1).unwrap_or_default();
    let claims: Claims = URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| refused("cannot be read"))?;
    if issuer.is_some_and(|issuer| issuer != claims.iss) {
        return Err(refused("is from another issuer"));
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(one) => (one == client_id, false),
        Audience::Many(many) => (many.iter().any(|one| one == client_id), many.len() > 1),
    };
    let party = claims.azp.as_deref();
    if !is_for_us || party.is_some_and(|party| party != client_id) || (is_for_others && party.is_none()) {
        return Err(refused("is for another app"));
    }
    let ends = UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp)).and_then(|end| end.checked_add(SKEW));
    if ends.is_some_and(|end| now >= end) {
        return Err(refused("is over"));
    }
    if !claims.nonce.is_some_and(|theirs| equal(&theirs, nonce)) {
        return Err(refused("is not for this flow: its nonce differs"));
    }
    Ok(claims.sub)
}

fn refused(fault: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the id token {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &str) -> Result<String> {
        let token = Secret::from(format!("e30.{}.unsigned", URL_SAFE_NO_PAD.encode(claims)));
        let now = UNIX_EPOCH.checked_add(Duration::from_secs(1000)).unwrap();
        check_id_token(Some(&token), "app", Some("https://issuer"), "n-1", now)
    }

    #[test]
    fn an_id_token_for_this_app_and_flow_gives_its_subject() {
        for claims in [
            r#"{"iss":"https://issuer","sub":"u-1","aud":"app","exp":1001,"nonce":"n-1"}"#,
            r#"{"iss":"https://issuer","sub":"u-1","aud":["app"],"exp":701,"nonce":"n-1"}"#,
            r#"{"iss":"https://issuer","sub":"u-1","aud":["x","app"],"azp":"app","exp":2000,"nonce":"n-1"}"#,
        ] {
            assert_eq!(check(claims).unwrap(), "u-1", "{claims}");
        }
    }

    #[test]
    fn an_id_token_for_others_is_refused() {
        for (claims, why) in [
            (r#"{"iss":"https://evil","sub":"u","aud":"app","exp":1001,"nonce":"n-1"}"#, "issuer"),
            (r#"{"iss":"https://issuer","sub":"u","aud":"other","exp":1001,"nonce":"n-1"}"#, "app"),
            (r#"{"iss":"https://issuer","sub":"u","aud":["app","x"],"exp":1001,"nonce":"n-1"}"#, "app"),
            (r#"{"iss":"https://issuer","sub":"u","aud":"app","azp":"x","exp":1001,"nonce":"n-1"}"#, "app"),
            (r#"{"iss":"https://issuer","sub":"u","aud":"app","exp":700,"nonce":"n-1"}"#, "over"),
            (r#"{"iss":"https://issuer","sub":"u","aud":"app","exp":1001,"nonce":"n-2"}"#, "nonce"),
            (r#"{"iss":"https://issuer","sub":"u","aud":"app","exp":1001}"#, "nonce"),
            (r#"{"iss":"https://issuer","aud":"app","exp":1001,"nonce":"n-1"}"#, "read"),
            ("<html>", "read"),
        ] {
            let error = check(claims).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.message().contains(why), "{claims}: {error}");
        }
    }
}
