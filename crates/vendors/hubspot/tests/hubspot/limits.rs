use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use acople_core::{Connector, Context, ErrorKind, Priority, Resources};
use acople_hubspot::{HubSpot, Search};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};

use crate::*;

const OK: &str = r#"{"results":[]}"#;

fn throttle(policy: &str, message: &str) -> Reply {
    let body = format!(
        r#"{{"status":"error","message":"{message}","errorType":"RATE_LIMIT","correlationId":"c-1","policyName":"{policy}"}}"#
    );
    Reply::json(429, body)
}

/// How long a call waited after a throttle.
async fn wait_after(reply: Reply) -> f64 {
    let transport = ScriptedTransport::new([reply, Reply::json(200, OK)]);
    let hubspot = scripted(&transport);
    hubspot.contacts().search(&Context::new(), &Search::new()).await.unwrap();
    let sent = transport.sent();
    between(&sent[0], &sent[1]).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn rate_01_a_throttle_waits_as_long_as_its_policy_or_its_header_says() {
    // Full jitter of at most a second may come on top of one second.
    for (reply, least, most) in [
        (throttle("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit."), 10.0, 10.1),
        (throttle("", "You have reached your ten_secondly_rolling limit."), 10.0, 10.1),
        (throttle("SECONDLY", "You have reached your secondly limit."), 1.0, 1.1),
        (throttle("", "You have reached your secondly limit."), 1.0, 1.1),
        (throttle("", "slow down"), 3.0, 3.1),
        (Reply::new(429, ""), 3.0, 3.1),
        (throttle("TEN_SECONDLY_ROLLING", "no").header("retry-after", "7"), 7.0, 7.1),
    ] {
        let waited = wait_after(reply).await;
        assert!((least..most).contains(&waited), "waited {waited} s instead of {least} s");
    }
}

fn at_noon(transport: &ScriptedTransport, utc_offset_minutes: i16) -> HubSpot {
    // 2026-01-01T12:00:00Z
    let clock = FakeClock::new();
    clock.advance(Duration::from_secs(12 * 3600));
    let config = acople_core::parse_config(serde_json::json!({
        "auth": { "token": "pat-na1-secret" },
        "utc_offset_minutes": utc_offset_minutes,
    }));
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock));
    HubSpot::new(config.unwrap(), &resources).unwrap()
}

#[tokio::test(start_paused = true)]
async fn rate_07_a_spent_day_parks_until_the_accounts_midnight_and_nothing_is_sent_meanwhile() {
    for (offset, hours) in [(0, 12), (-300, 17), (120, 10), (780, 23)] {
        let transport = always(throttle("DAILY", "You have reached your daily limit."));
        let hubspot = at_noon(&transport, offset);
        let error = hubspot.check(&Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
        let midnight = UNIX_EPOCH + Duration::from_secs(1_767_225_600 + (12 + hours) * 3600);
        assert_eq!(error.retry_at(), Some(midnight), "offset {offset}");
        let again = hubspot.check(&Context::new().with_priority(Priority::Batch)).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::QuotaExhausted);
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn rate_05_what_the_headers_say_is_left_is_heeded_before_it_is_gone() {
    let last = Reply::json(200, r#"{"id":"1","properties":{}}"#)
        .header("x-hubspot-ratelimit-max", "100")
        .header("x-hubspot-ratelimit-remaining", "0")
        .header("x-hubspot-ratelimit-interval-milliseconds", "10000");
    let transport = always(last);
    let hubspot = scripted(&transport);
    for _ in 0..2 {
        hubspot.contacts().get(&Context::new(), "1").await.unwrap();
    }
    let sent = transport.sent();
    assert_eq!(between(&sent[0], &sent[1]), Duration::from_secs(10));

    let last =
        Reply::json(200, r#"{"id":"1","properties":{}}"#).header("x-hubspot-ratelimit-daily-remaining", "0");
    let transport = always(last);
    let hubspot = at_noon(&transport, 0);
    hubspot.contacts().get(&Context::new(), "1").await.unwrap();
    let error = hubspot.contacts().get(&Context::new(), "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn searches_leave_at_most_five_a_second() {
    let transport = always(Reply::json(200, OK));
    let hubspot = scripted(&transport);
    for _ in 0..20 {
        hubspot.contacts().search(&Context::new(), &Search::new()).await.unwrap();
    }
    let at: Vec<Duration> = transport.sent().iter().map(|s| s.at).collect();
    for (index, start) in at.iter().enumerate() {
        let in_second = at[index..].iter().filter(|t| **t < *start + Duration::from_secs(1)).count();
        assert!(in_second <= 5, "{in_second} searches in a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_decides_how_many_requests_leave_in_ten_seconds() {
    for (tier, limit) in [("free", 100), ("professional", 190), ("enterprise", 190), ("increased", 250)] {
        let transport = always(Reply::json(200, r#"{"id":"1","properties":{}}"#));
        let config = serde_json::json!({ "auth": { "token": "pat-na1-secret" }, "tier": tier });
        let resources = Resources::new(Arc::new(transport.clone()));
        let hubspot = HubSpot::new(acople_core::parse_config(config).unwrap(), &resources).unwrap();
        for _ in 0..limit + 50 {
            hubspot.contacts().get(&Context::new(), "1").await.unwrap();
        }
        let at: Vec<Duration> = transport.sent().iter().map(|s| s.at).collect();
        let first = at.iter().filter(|t| **t < at[0] + Duration::from_secs(10)).count();
        assert!((limit * 8 / 10..=limit).contains(&first), "{tier}: {first} requests in ten seconds");
    }
}
