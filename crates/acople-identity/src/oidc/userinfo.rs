//! The userinfo endpoint (OpenID Connect Core, 5.3).

use acople_core::{Context, Error, ErrorKind, Result, Secret};
use acople_http::{Call, Client};
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use url::Url;

use crate::json;
use crate::jwks::about_host;
use crate::jwt::refused;

const OPERATION: &str = "ask who the user is";

/// Claims of the protocol, which only the signed token says.
const SIGNED_ONLY: [&str; 11] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "nonce", "azp", "at_hash", "acr", "amr"];

/// An address and whether it is theirs belong together.
const EMAIL: [&str; 2] = ["email", "email_verified"];

/// Adds to the claims what is not among them.
///
/// # Errors
/// `Reauth` when the answer is about somebody else; otherwise what the request path says.
pub(crate) async fn complete(
    claims: &mut Map<String, Value>,
    client: &Client,
    url: &Url,
    tenant: &str,
    access_token: &Secret,
) -> Result<()> {
    let bearer = Secret::from(format!("Bearer {}", access_token.expose())).header_value()?;
    let call = Call::get(OPERATION).link(url.as_str()).header(AUTHORIZATION, bearer).uncached();
    let cx = Context::new().with_tenant(tenant);
    let answer = client.send(&cx, &call).await.map_err(|error| about_host(error, url))?;
    let said = json::object(answer.body()).map_err(|fault| {
        let text = format!("the userinfo answer {fault}: register the client for plain (unsigned) userinfo");
        Error::new(ErrorKind::Protocol, text).with_operation(OPERATION)
    })?;
    // 5.3.2: the access token may have been exchanged for another's.
    if said.get("sub").is_none_or(|sub| claims.get("sub") != Some(sub)) {
        return Err(refused(
            "userinfo_refused",
            "the userinfo answer is about somebody else than the id token",
        ));
    }
    merge(claims, said);
    Ok(())
}

fn merge(claims: &mut Map<String, Value>, said: Map<String, Value>) {
    let has_email = EMAIL.iter().any(|name| claims.contains_key(*name));
    for (name, value) in said {
        let is_fixed = SIGNED_ONLY.contains(&name.as_str()) || (has_email && EMAIL.contains(&name.as_str()));
        if !is_fixed && !claims.contains_key(&name) {
            claims.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(claims: Value, said: Value) -> Value {
        let (Value::Object(mut claims), Value::Object(said)) = (claims, said) else { panic!("no objects") };
        merge(&mut claims, said);
        Value::Object(claims)
    }

    #[test]
    fn userinfo_adds_and_replaces_nothing() {
        let claims = json!({"sub": "u", "name": "Signed", "email": "a@example.com"});
        let said = json!({"sub": "u", "name": "Other", "email": "b@example.com", "email_verified": true,
            "aud": "x", "acr": "high", "groups": ["ops"]});
        let expected = json!({"sub": "u", "name": "Signed", "email": "a@example.com", "groups": ["ops"]});
        assert_eq!(merged(claims, said), expected);
        let claims = json!({"sub": "u"});
        let said = json!({"email": "b@example.com", "email_verified": true});
        let expected = json!({"sub": "u", "email": "b@example.com", "email_verified": true});
        assert_eq!(merged(claims, said), expected);
    }
}
