//! Checks the claims of a token whose signature is good (RFC 7519, 4.1), and reads who it is about.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, Result};
use serde_json::{Map, Value};

use super::JwtConfig;
use super::refusal::{refused, shown};
use crate::Identity;

type Claims = Map<String, Value>;

/// Checks everything that the config asks for, and gives the token's end.
pub(crate) fn check(claims: &Claims, config: &JwtConfig, now: SystemTime) -> Result<SystemTime> {
    let issuer = needed(claims, "iss")?;
    if issuer.as_str() != Some(config.issuer.as_str()) {
        let text = format!(
            "the token's iss is {}, and {} is expected: is the issuer written letter by letter, the last slash included?",
            shown(issuer),
            config.issuer
        );
        return Err(refused("issuer_refused", text));
    }
    if !config.any_audience {
        check_audience(needed(claims, "aud")?, config)?;
    }
    let end = check_times(claims, config, now)?;
    for name in &config.required_claims {
        needed(claims, name)?;
    }
    for (name, expected) in &config.claims {
        let value = needed(claims, name)?;
        if value != expected {
            let text = format!(
                "the token's {name} is {}, and {} is expected: it was made for another use",
                shown(value),
                shown(expected)
            );
            return Err(refused("claim_refused", text));
        }
    }
    Ok(end)
}

/// Who a checked token is about.
pub(crate) fn identity(mut claims: Claims, config: &JwtConfig, end: SystemTime) -> Result<Identity> {
    if needed(&claims, "sub")?.as_str().is_none_or(str::is_empty) {
        return Err(refused("claim_invalid", "the token's sub is not a text with something in it"));
    }
    let mut take = |name: &str| match claims.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    take("iss");
    let mut identity = Identity::new(config.issuer.clone(), take("sub").unwrap_or_default());
    identity.name = take("name");
    identity.email = vouched_email(&claims);
    identity.groups = names(claims.get(&config.groups_claim));
    // `scope` is the standard's (RFC 8693, 4.2), `scp` Microsoft's and Okta's.
    identity.scopes = names(claims.get("scope").or_else(|| claims.get("scp")));
    identity.expires_at = Some(end);
    identity.claims = claims;
    Ok(identity)
}

/// The address, if the issuer says that it is theirs.
pub(crate) fn vouched_email(claims: &Claims) -> Option<String> {
    // Some issuers write the truth as a text.
    let is_theirs = claims.get("email_verified").is_some_and(|v| *v == Value::Bool(true) || v == "true");
    claims.get("email").filter(|_| is_theirs).and_then(Value::as_str).map(str::to_owned)
}

/// A list of texts, or a text with spaces between.
pub(crate) fn names(value: Option<&Value>) -> BTreeSet<String> {
    match value {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

/// A claim that must be there.
pub(crate) fn needed<'a>(claims: &'a Claims, name: &str) -> Result<&'a Value> {
    claims.get(name).filter(|value| !value.is_null()).ok_or_else(|| {
        refused("claim_missing", format!("the token has no {name}: configure the issuer to put it in"))
    })
}

fn check_audience(audience: &Value, config: &JwtConfig) -> Result<()> {
    let is_ours = |one: &Value| one.as_str().is_some_and(|one| config.audiences.iter().any(|our| our == one));
    let taken = match audience {
        Value::Array(many) => many.iter().any(is_ours),
        one => is_ours(one),
    };
    if taken {
        return Ok(());
    }
    let text = format!(
        "the token's aud is {}, this service expects {}: ask for a token for this service, or add the name to audiences if it is this service's too",
        shown(audience),
        config.audiences.join(" or ")
    );
    Err(refused("audience_refused", text))
}

fn check_times(claims: &Claims, config: &JwtConfig, now: SystemTime) -> Result<SystemTime> {
    let leeway = Duration::from_secs(config.leeway_seconds);
    let end = time("exp", needed(claims, "exp")?)?;
    if end.checked_add(leeway).is_some_and(|end| now >= end) {
        let ago = now.duration_since(end).unwrap_or_default().as_secs();
        let text = format!(
            "the token ended {ago} s ago by this host's clock: get a new one; if it is new, one of the two clocks is wrong (NTP)"
        );
        return Err(refused("token_expired", text));
    }
    if let Some(value) = claims.get("nbf").filter(|value| !value.is_null()) {
        let begin = time("nbf", value)?;
        if begin.checked_sub(leeway).is_some_and(|begin| now < begin) {
            let wait = begin.duration_since(now).unwrap_or_default().as_secs();
            let text = format!(
                "the token is good only in {wait} s by this host's clock: if it should be good now, one of the two clocks is wrong (NTP)"
            );
            return Err(refused("token_not_yet_valid", text));
        }
    }
    Ok(end)
}

/// A `NumericDate`: seconds since 1970, with or without a fraction.
fn time(name: &str, value: &Value) -> Result<SystemTime> {
    let seconds = match value.as_u64() {
        Some(whole) => Some(Duration::from_secs(whole)),
        None => value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds)).ok_or_else(|| invalid(name))
}

fn invalid(name: &str) -> Error {
    refused("claim_invalid", format!("the token's {name} is not a number of seconds since 1970"))
}
