//! What an id token must say besides what every token must (OpenID Connect Core, 3.1.3.6 and 3.1.3.7).

use acople_core::{Result, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::VerifiedToken;
use crate::jwt::{refused, shown};

/// Checks nonce, authorized party and the hash of the access token.
pub(crate) fn check(
    token: &VerifiedToken,
    client_id: &str,
    nonce: &str,
    access_token: &Secret,
) -> Result<()> {
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str);
    let is_ours = text("nonce")
        .is_some_and(|theirs| verify_slices_are_equal(theirs.as_bytes(), nonce.as_bytes()).is_ok());
    if !is_ours {
        return Err(refused(
            "nonce_refused",
            "the id token is not for this login: its nonce differs; begin again",
        ));
    }
    let is_for_others = token.claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
    match token.claims.get("azp") {
        Some(party) if party != client_id => {
            let text = format!("the id token's azp is {}, and {client_id} is expected", shown(party));
            return Err(refused("azp_refused", text));
        }
        None if is_for_others => {
            return Err(refused(
                "azp_refused",
                "the id token is for several clients and does not say for which (azp)",
            ));
        }
        _ => {}
    }
    match token.claims.get("at_hash") {
        Some(hash) if hash.as_str() != Some(&left_half(token, access_token)) => {
            Err(refused("at_hash_refused", "the id token is not for the access token beside it (at_hash)"))
        }
        _ => Ok(()),
    }
}

fn left_half(token: &VerifiedToken, access_token: &Secret) -> String {
    let hash = digest(token.algorithm.hash(), access_token.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default())
}
