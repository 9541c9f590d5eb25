//! The token endpoint.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        call::{Answer, Call},
        stats::Tally,
    },
    PORTAL_ID,
    portal::Portal,
};

/// `POST /oauth/{ver}/token`; credentials count only in the body.
pub(crate) fn token(portal: &mut Portal, call: &Call, tally: &mut Tally) -> Answer {
    let form = call.form();
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if get("client_id") != portal.credentials.client_id
        || get("client_secret") != portal.credentials.client_secret
    {
        return refusal(portal, "BAD_CLIENT_ID", "invalid_client", "missing or invalid client id or secret");
    }
    if portal.deleted {
        // The one dead grant that does not call itself invalid.
        return refusal(portal, "BAD_HUB", "access_denied", "the hub is not accessible");
    }
    let refresh = match get("grant_type") {
        "refresh_token" => match portal.tokens.redeem(get("refresh_token")) {
            Some(refresh) => Some(refresh),
            None => {
                return refusal(
                    portal,
                    "BAD_REFRESH_TOKEN",
                    "invalid_grant",
                    "missing or invalid refresh token",
                );
            }
        },
        "client_credentials" => None,
        _ => {
            return refusal(
                portal,
                "BAD_GRANT_TYPE",
                "unsupported_grant_type",
                "missing or unknown grant type",
            );
        }
    };
    let now = portal.clock.now();
    let access = portal.tokens.issue(now);
    tally.tokens_issued += 1;
    let mut body = json!({
        "token_type": "bearer",
        "access_token": access,
        "expires_in": portal.token_seconds,
        "hub_id": PORTAL_ID,
        "user_id": 123,
        "token_use": "access_token",
        "scopes": ["oauth", "crm.objects.contacts.read", "crm.objects.contacts.write"],
    });
    if let (Some(refresh), Some(map)) = (refresh, body.as_object_mut()) {
        map.insert("refresh_token".into(), Value::String(refresh));
    }
    Answer::json(StatusCode::OK, &body)
}

fn refusal(portal: &mut Portal, status: &str, error: &str, message: &str) -> Answer {
    let body = json!({
        "status": status,
        "error": error,
        "error_description": message,
        "message": message,
        "correlationId": portal.correlation(),
    });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}
