//! The token endpoint.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        call::{Answer, Call},
        encoding::base64_decode,
        stats::Tally,
    },
    org::Org,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// An assertion may live this long, in seconds.
const MAX_ASSERTION: i64 = 600;

/// `POST /services/oauth2/token`
pub(crate) fn token(org: &mut Org, call: &Call, tally: &mut Tally) -> Answer {
    let mut form = call.form();
    if let Some((id, secret)) = call.basic() {
        form.insert("client_id".into(), id);
        form.insert("client_secret".into(), secret);
    }
    let get = |name: &str| form.get(name).map(String::as_str);
    let refresh = match get("grant_type") {
        Some("refresh_token") => match refresh(org, &form) {
            Ok(refresh) => refresh,
            Err(answer) => return answer,
        },
        Some("client_credentials") => {
            if let Err(answer) = client(org, &form, true) {
                return answer;
            }
            None
        }
        Some(JWT_BEARER) => match assertion(org, get("assertion").unwrap_or_default()) {
            Ok(()) => None,
            Err(message) => return refusal("invalid_grant", message),
        },
        Some(_) => return refusal("unsupported_grant_type", "grant type not supported"),
        None => return refusal("invalid_request", "missing required parameter: grant_type"),
    };
    let now = org.clock.now();
    let access = org.tokens.issue(now);
    tally.tokens_issued += 1;
    let mut body = json!({
        "access_token": access,
        "instance_url": org.url,
        "id": format!("{}/id/00D5g0000000001EAA/{}", org.url, super::USER_ID),
        "token_type": "Bearer",
        "issued_at": now.to_string(),
        "signature": "c2FuZGJveA==",
        "scope": "api refresh_token",
    });
    if let (Some(refresh), Some(map)) = (refresh, body.as_object_mut()) {
        map.insert("refresh_token".into(), Value::String(refresh));
    }
    Answer::json(StatusCode::OK, &body)
}

/// `POST /services/oauth2/revoke`
pub(crate) fn revoke(org: &mut Org, call: &Call) -> Answer {
    let token = call.form().remove("token").unwrap_or_default();
    if org.tokens.revoke(&token) {
        Answer::empty(StatusCode::OK)
    } else {
        refusal("unsupported_token_type", "this token type is not supported")
    }
}

/// Redeems a refresh token; gives a new one only where the org rotates them.
fn refresh(org: &mut Org, form: &HashMap<String, String>) -> Result<Option<String>, Answer> {
    client(org, form, false)?;
    let given = form.get("refresh_token").map(String::as_str).unwrap_or_default();
    match org.tokens.redeem(given) {
        Some(next) => Ok(org.tokens.rotates().then_some(next)),
        None => Err(refusal("invalid_grant", "expired access/refresh token")),
    }
}

fn client(org: &Org, form: &HashMap<String, String>, secret_needed: bool) -> Result<(), Answer> {
    if form.get("client_id") != Some(&org.credentials.client_id) {
        return Err(refusal("invalid_client_id", "client identifier invalid"));
    }
    match form.get("client_secret") {
        Some(secret) if *secret == org.credentials.client_secret => Ok(()),
        None if !secret_needed => Ok(()),
        _ => Err(refusal("invalid_client", "invalid client credentials")),
    }
}

/// Checks the shape and the claims of an assertion. The signature is there, but nobody has the key to check it.
fn assertion(org: &Org, text: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err("invalid assertion");
    };
    let part = |part: &str| -> Option<Value> { serde_json::from_slice(&base64_decode(part)?).ok() };
    let (Some(header), Some(claims)) = (part(header), part(claims)) else {
        return Err("invalid assertion");
    };
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err("algorithm not supported");
    }
    if base64_decode(signature).is_none_or(|bytes| bytes.is_empty()) {
        return Err("invalid assertion");
    }
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if claim("iss") != org.credentials.client_id {
        return Err("client identifier invalid");
    }
    if claim("sub") != org.credentials.username {
        return Err("user hasn't approved this consumer");
    }
    let audiences = ["https://login.salesforce.com", "https://test.salesforce.com", org.url.as_str()];
    if !audiences.contains(&claim("aud").trim_end_matches('/')) {
        return Err("audience is invalid");
    }
    // One published client sends it as a text.
    let expiry = claims.get("exp").and_then(|exp| exp.as_i64().or_else(|| exp.as_str()?.parse().ok()));
    let now = org.assertion_now.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    match expiry {
        Some(expiry) if expiry > now && expiry <= now + MAX_ASSERTION => Ok(()),
        _ => Err("token expired or expiry too far in the future"),
    }
}

fn refusal(error: &str, description: &str) -> Answer {
    let body = json!({"error": error, "error_description": description});
    Answer::json(StatusCode::BAD_REQUEST, &body)
}
