//! HubSpot: tokens and rate limits.

use std::time::Duration;

use acople_testkit::sandbox::HubSpot;
use serde_json::json;

use crate::client::{Client, Reply};

const CONTACTS: &str = "/crm/objects/2026-03/contacts";

async fn refresh(vendor: &HubSpot, path: &str, token: &str) -> Reply {
    let known = vendor.credentials();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", known.client_id.as_str()),
        ("client_secret", known.client_secret.as_str()),
    ];
    Client::new(vendor.url(), "").form(path, &form).await
}

#[tokio::test]
async fn tokens_expire_and_are_refreshed_on_both_paths() {
    let vendor = HubSpot::builder().token_uses(2).start().await.unwrap();
    for path in ["/oauth/2026-03/token", "/oauth/v1/token"] {
        let token = vendor.credentials().refresh_token;
        let answer = refresh(&vendor, path, &token).await.with_status(200);
        assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(1_800), &json!("bearer")));
        assert_eq!(answer["refresh_token"], token, "the answer carries the refresh token");
        let client = Client::new(vendor.url(), answer["access_token"].as_str().unwrap());
        client.get(CONTACTS).await.with_status(200);
        client.get(CONTACTS).await.with_status(200);
        let refused = client.get(CONTACTS).await.with_status(401);
        assert_eq!(
            (&refused["status"], &refused["category"]),
            (&json!("error"), &json!("EXPIRED_AUTHENTICATION"))
        );
    }
    let timed = Client::new(vendor.url(), vendor.access_token());
    vendor.advance(Duration::from_secs(1_800));
    timed.get(CONTACTS).await.with_status(401);
    let ended = Client::new(vendor.url(), vendor.access_token());
    vendor.expire_tokens();
    ended.get(CONTACTS).await.with_status(401);
    for token in ["never-issued", ""] {
        let refused = Client::new(vendor.url(), token).get(CONTACTS).await.with_status(401);
        assert_eq!(refused["category"], "INVALID_AUTHENTICATION");
    }
    Client::hubspot(&vendor).get(CONTACTS).await.with_status(200);
    assert_eq!(vendor.stats().tokens_issued, 2);
}

#[tokio::test]
async fn dead_grants_and_dead_portals_are_told_apart() {
    let vendor = HubSpot::builder().rotate_refresh_tokens(true).start().await.unwrap();
    let path = "/oauth/2026-03/token";
    let first = vendor.credentials().refresh_token;
    let answer = refresh(&vendor, path, &first).await.with_status(200);
    assert_ne!(answer["refresh_token"], first);
    let refused = refresh(&vendor, path, &first).await.with_status(400);
    assert_eq!(
        (&refused["status"], &refused["error"]),
        (&json!("BAD_REFRESH_TOKEN"), &json!("invalid_grant"))
    );
    vendor.revoke_grants();
    refresh(&vendor, path, &vendor.credentials().refresh_token).await.with_status(400);
    vendor.delete_portal();
    let gone = refresh(&vendor, path, &first).await.with_status(400);
    assert_eq!((&gone["status"], &gone["error"]), (&json!("BAD_HUB"), &json!("access_denied")));
    let known = vendor.credentials();
    let query = format!("{path}?client_id={}&client_secret={}", known.client_id, known.client_secret);
    let refused = Client::new(vendor.url(), "").form(&query, &[("grant_type", "refresh_token")]).await;
    assert_eq!(refused.with_status(400)["error"], "invalid_client", "credentials belong in the body");
}

#[tokio::test]
async fn a_burst_beyond_the_limit_is_429_until_the_window_has_passed() {
    let vendor = HubSpot::builder().rate_limit(2, Duration::from_millis(80)).start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let first = client.get(CONTACTS).await;
    assert_eq!(first.header("x-hubspot-ratelimit-max"), "2");
    assert_eq!(first.header("x-hubspot-ratelimit-remaining"), "1");
    assert_eq!(first.header("x-hubspot-ratelimit-interval-milliseconds"), "80");
    // However slow the machine, three quick calls in a row are soon within one window.
    let refused = loop {
        let reply = client.get(CONTACTS).await;
        if reply.status == 429 {
            break reply;
        }
    };
    assert_eq!(refused.header("x-hubspot-ratelimit-remaining"), "0");
    let body = refused.json();
    assert_eq!(
        (&body["errorType"], &body["policyName"]),
        (&json!("RATE_LIMIT"), &json!("TEN_SECONDLY_ROLLING"))
    );
    assert!(vendor.stats().throttled >= 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.get(CONTACTS).await.with_status(200);
}

#[tokio::test]
async fn search_has_a_limit_of_its_own_and_tells_nothing_about_it() {
    let vendor =
        HubSpot::builder().search_limit(1).rate_limit(1_000, Duration::from_secs(10)).start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let refused = loop {
        let reply = client.post(&format!("{CONTACTS}/search"), &json!({})).await;
        assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("x-hubspot")));
        if reply.status == 429 {
            break reply.json();
        }
    };
    assert_eq!(refused["message"], "You have reached your secondly limit.");
    client.get(CONTACTS).await.with_status(200);
}

#[tokio::test]
async fn a_spent_day_is_a_policy_of_its_own() {
    let vendor = HubSpot::builder().daily_limit(1).start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let first = client.get(CONTACTS).await;
    assert_eq!(first.header("x-hubspot-ratelimit-daily"), "1");
    assert_eq!(first.header("x-hubspot-ratelimit-daily-remaining"), "0");
    let refused = client.get(CONTACTS).await.with_status(429);
    assert_eq!(refused["policyName"], "DAILY");
    vendor.set_daily_limit(None);
    let oauth = Client::new(vendor.url(), vendor.access_token());
    oauth.get(CONTACTS).await.with_status(200);
}
