use std::time::Duration;

use acople_core::{Connector, Context, ErrorKind};
use acople_hubspot::HubSpot;
use acople_testkit::sandbox;
use acople_testkit::{Reply, ScriptedTransport};

use crate::*;

async fn get_error(reply: Reply) -> (acople_core::Error, ScriptedTransport) {
    let transport = always(reply);
    let error = scripted(&transport).contacts().get(&Context::new(), "1").await.unwrap_err();
    (error, transport)
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_what_to_do_and_is_sent_once() {
    for (status, body, kind, code) in [
        (
            400,
            r#"{"category":"VALIDATION_ERROR","message":"no"}"#,
            ErrorKind::Invalid,
            Some("VALIDATION_ERROR"),
        ),
        (
            401,
            r#"{"category":"INVALID_AUTHENTICATION","message":"no"}"#,
            ErrorKind::Reauth,
            Some("INVALID_AUTHENTICATION"),
        ),
        (401, "", ErrorKind::Reauth, None),
        (
            403,
            r#"{"category":"MISSING_SCOPES","message":"no"}"#,
            ErrorKind::Permission,
            Some("MISSING_SCOPES"),
        ),
        (403, "<html>", ErrorKind::Permission, None),
        (
            404,
            r#"{"category":"OBJECT_NOT_FOUND","message":"no"}"#,
            ErrorKind::NotFound,
            Some("OBJECT_NOT_FOUND"),
        ),
        (404, "", ErrorKind::NotFound, None),
        (
            409,
            r#"{"category":"CONFLICT","message":"Contact already exists. Existing ID: 7"}"#,
            ErrorKind::Conflict,
            Some("CONFLICT"),
        ),
        (414, "", ErrorKind::TooLarge, None),
        (400, r#"{"status":"BAD_HUB","error":"access_denied"}"#, ErrorKind::Reauth, Some("BAD_HUB")),
        (400, "[1]", ErrorKind::Invalid, None),
    ] {
        let (error, transport) = get_error(Reply::json(status, body)).await;
        assert_eq!(
            (error.kind(), error.code(), error.status()),
            (kind, code, Some(status)),
            "{status} {body}"
        );
        assert_eq!(error.operation(), Some("get object"));
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_that_pass_are_tried_again() {
    for (status, least) in [(423, 2), (500, 0), (502, 2), (503, 0), (504, 2), (521, 0), (522, 0), (524, 0)] {
        let ok = r#"{"id":"1","properties":{}}"#;
        let transport =
            ScriptedTransport::new([Reply::new(status, "<html>sorry</html>"), Reply::json(200, ok)]);
        scripted(&transport).contacts().get(&Context::new(), "1").await.unwrap();
        let sent = transport.sent();
        assert!(between(&sent[0], &sent[1]) >= Duration::from_secs(least), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_being_moved_is_transient_and_says_when_to_come_back() {
    let (error, transport) = get_error(Reply::json(477, "{}").header("retry-after", "86400")).await;
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn write_10_a_validation_error_names_its_fields_code_and_request() {
    let body = r#"{"status":"error","message":"Property values were not valid: [{\"isValid\":false,\"message\":\"bad\",\"error\":\"INVALID_EMAIL\",\"name\":\"email\"}]",
        "correlationId":"c-17","category":"VALIDATION_ERROR","errors":[{"message":"x","code":"INVALID_EMAIL","in":"y","context":{"propertyName":["email"]}}]}"#;
    let (error, _) = get_error(Reply::json(400, body)).await;
    assert_eq!(error.code(), Some("INVALID_EMAIL"));
    assert_eq!(error.request_id(), Some("c-17"));
    assert_eq!(error.fields(), ["properties.email"]);
    // The same, where only the text has it.
    let body = r#"{"message":"Property values were not valid: [{\"error\":\"PROPERTY_DOESNT_EXIST\",\"name\":\"emial\"},{\"name\":\"x\"}] (2)","category":"VALIDATION_ERROR"}"#;
    let (error, _) = get_error(Reply::json(400, body)).await;
    assert_eq!(error.code(), Some("PROPERTY_DOESNT_EXIST"));
    assert_eq!(error.fields(), ["properties.emial", "properties.x"]);
}

#[tokio::test(start_paused = true)]
async fn auth_16_a_missing_scope_is_named() {
    let body = r#"{"status":"error","message":"This app hasn't been granted all required scopes","category":"MISSING_SCOPES",
        "errors":[{"message":"one of","context":{"requiredGranularScopes":["crm.objects.deals.read","deals"]}}]}"#;
    let (error, _) = get_error(Reply::json(403, body)).await;
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.message().ends_with("(scopes: crm.objects.deals.read, deals)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_vendor_echoes_is_taken_out_of_the_error() {
    let body = r#"{"message":"the token pat-na1-secret is not valid","category":"INVALID_AUTHENTICATION"}"#;
    let (error, _) = get_error(Reply::json(401, body)).await;
    assert!(!format!("{error:?}").contains("pat-na1-secret"));
}

#[tokio::test]
async fn a_deleted_account_and_a_revoked_grant_ask_for_a_new_connection() {
    for delete in [true, false] {
        let portal = sandbox::HubSpot::start().await.unwrap();
        let hubspot = HubSpot::new(oauth(&portal), &resources()).unwrap();
        hubspot.check(&Context::new()).await.unwrap();
        if delete {
            portal.delete_portal();
        } else {
            portal.revoke_grants();
        }
        portal.expire_tokens();
        let error = hubspot.check(&Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reauth, "{error:?}");
    }
}

#[tokio::test]
async fn auth_04_a_static_token_that_is_refused_is_not_tried_again() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let config = Config::new(Auth::Token(Secret::from("pat-na1-wrong-token"))).with_base_url(portal.url());
    let error = HubSpot::new(config, &resources()).unwrap().check(&Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert_eq!(portal.stats().requests_total(), 1);
}
