use std::time::Duration;

use acople_core::{BreakerState, CacheUse, ErrorKind, Monitor, Signal, WaitCause, Watched};
use acople_monitor::Collector;
use serde_json::json;

use crate::fixture::{call, calls, connection, connector, watch};

#[test]
fn a_retried_call_is_one_call_of_several_requests() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    let operation = "read contact";
    for number in 1..=3 {
        let error = (number < 3).then_some(ErrorKind::Transient);
        let status = Some(if number < 3 { 503 } else { 200 });
        let took = Duration::from_millis(20);
        recorder.record(&Signal::Attempt { operation, status, error, number, took, sent: 7, received: 50 });
    }
    recorder.record(&Signal::Waited { cause: WaitCause::Limit, wait: Duration::from_millis(500) });
    recorder.record(&Signal::Waited { cause: WaitCause::Backoff, wait: Duration::from_millis(250) });
    recorder.record(&Signal::Waited { cause: WaitCause::Backoff, wait: Duration::from_millis(750) });
    recorder.record(&Signal::Call { operation, error: None, attempts: 3, took: Duration::from_secs(2) });

    let traffic = connection(&collector, "acme").unwrap().traffic;
    assert_eq!((traffic.requests, traffic.retries, traffic.calls), (3, 2, 1));
    assert_eq!((traffic.succeeded, traffic.failed), (1, 0));
    assert_eq!(json!(traffic.request_errors), json!({ "transient": 2 }));
    assert_eq!(json!(traffic.responses), json!({ "2xx": 1, "5xx": 2 }));
    assert_eq!(json!(traffic.call_errors), json!({}));
    assert_eq!((traffic.limit_waits.count, traffic.backoff_waits.count), (1, 2));
    assert_eq!(json!([traffic.limit_waits.seconds, traffic.backoff_waits.seconds]), json!([0.5, 1.0]));
    assert_eq!((traffic.bytes_sent, traffic.bytes_received), (21, 150));
    assert_eq!(json!([traffic.call_latency.mean, traffic.request_latency.mean]), json!([2.0, 0.02]));
    assert_eq!(traffic.request_latency.count, 3);
}

#[test]
fn a_connector_is_the_sum_of_its_connections_and_of_their_operations() {
    let collector = Collector::new();
    let (acme, other) = (watch(&collector, "acme"), watch(&collector, "other"));
    call(&*acme, "list contacts", None);
    call(&*acme, "update contact", Some(ErrorKind::Conflict));
    call(&*other, "list contacts", Some(ErrorKind::Timeout));

    let traffic = connector(&collector).traffic;
    assert_eq!((traffic.calls, traffic.succeeded, traffic.failed), (3, 1, 2));
    assert_eq!(json!(traffic.call_errors), json!({ "conflict": 1, "timeout": 1 }));
    let list = traffic.operations["list contacts"];
    assert_eq!((list.requests, list.calls, list.failed), (2, 2, 1));
    assert_eq!(traffic.operations["update contact"].failed, 1);
    assert_eq!(connection(&collector, "other").unwrap().traffic.calls, 1);
}

#[test]
fn two_clients_of_one_connection_are_one_row_and_a_nameless_one_goes_by_its_host() {
    let collector = Collector::new();
    let (one, two) = (watch(&collector, "acme"), watch(&collector, "acme"));
    calls(&*one, 2, None);
    calls(&*two, 3, None);
    for host in ["a.example", "b.example"] {
        calls(&*collector.watch(&Watched::new("sap", host)), 1, None);
    }
    assert_eq!(connection(&collector, "acme").unwrap().traffic.calls, 5);
    let rows = collector.snapshot().connections;
    let names: Vec<_> = rows.iter().map(|row| row.health.connection.as_str()).collect();
    assert_eq!(names, ["main", "a.example", "b.example"]);
    assert_eq!(rows[0].host.as_deref(), Some("api.hubapi.com"));
}

#[test]
fn the_hit_rate_counts_neither_misses_nor_confirmed_answers_as_hits() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    assert_eq!(connection(&collector, "acme").unwrap().traffic.cache.hit_rate, None);
    let uses = [CacheUse::Hit, CacheUse::Hit, CacheUse::Revalidated, CacheUse::Miss];
    for found in uses {
        recorder.record(&Signal::Cache { operation: "describe", found });
    }

    let traffic = connection(&collector, "acme").unwrap().traffic;
    assert_eq!((traffic.cache.hits, traffic.cache.revalidated, traffic.cache.misses), (2, 1, 1));
    assert_eq!(traffic.cache.hit_rate, Some(0.5));
    assert_eq!(traffic.operations["describe"].cache, traffic.cache);
}

#[tokio::test(start_paused = true)]
async fn breakers_and_quotas_show_what_they_last_said() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    for state in [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Open, BreakerState::Open] {
        recorder.record(&Signal::Breaker { class: "search", state });
    }
    recorder.record(&Signal::Breaker { class: "bulk", state: BreakerState::Closed });
    recorder.record(&Signal::Quota { bucket: "daily", remaining: 900 });
    recorder.record(&Signal::Quota { bucket: "daily", remaining: 0 });
    tokio::time::advance(Duration::from_secs(3)).await;

    let row = json!(connection(&collector, "acme").unwrap());
    assert_eq!(row["breakers"]["search"], json!({ "state": "open", "opened": 2, "seconds_ago": 3.0 }));
    assert_eq!(row["breakers"]["bulk"]["state"], "closed");
    assert_eq!(row["quotas"], json!({ "daily": 0 }));
    assert_eq!(row["health"]["breaker"], "open");
    assert_eq!(collector.snapshot().uptime_seconds.to_string(), "3");
}
