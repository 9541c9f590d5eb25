use std::sync::Arc;
use std::time::Duration;

use acople_core::{BreakerState, CacheUse, ErrorKind, Monitor, Recorder, Signal, WaitCause, Watched};
use acople_monitor::{Collector, Limits};
use metrics::Unit;

use crate::fixture::{call, status, watch};
use crate::series::Series;

const OPERATIONS: [&str; 10] = [
    "check",
    "discover",
    "list contacts",
    "list companies",
    "read contact",
    "create contacts",
    "update contacts",
    "delete contacts",
    "search contacts",
    "send email",
];

#[test]
fn sec_14_ten_thousand_calls_of_a_thousand_tenants_leave_fewer_than_200_series() {
    let series = Arc::new(Series::default());
    let collector = Collector::builder().export_to(series.clone()).build().unwrap();
    let canaries = ["kanarie-tenant", "kanarie-connection", "kanarie-host", "kanarie-bucket"];
    for tenant in 0..1_000 {
        let name = |number: usize| format!("{}-{tenant}", canaries[number]);
        let watched = Watched::new("hubspot", format!("{}.example", name(2))).of(name(1), name(0));
        let recorder = collector.watch(&watched);
        for (number, operation) in OPERATIONS.into_iter().enumerate() {
            // Every operation meets every kind of error sooner or later.
            let error = ErrorKind::ALL.get((tenant + number) % (ErrorKind::ALL.len() * 2)).copied();
            whole_call(&*recorder, operation, error);
        }
        recorder.record(&Signal::Quota { bucket: &name(3), remaining: 7 });
    }

    let names = series.names();
    assert!((100..200).contains(&names.len()), "{} series: {names:#?}", names.len());
    for canary in canaries.into_iter().chain(["kanarie", "example", "tenant"]) {
        assert!(names.iter().all(|name| !name.contains(canary)), "{canary} in {names:#?}");
    }
    // Handles are asked for once, not at each of 10,000 calls.
    assert_eq!(series.asked(), names.len());
    let calls: usize = OPERATIONS.iter().map(|operation| series.get(&call_series(operation)).1).sum();
    assert_eq!(calls, 10_000);
}

#[test]
fn sec_14_names_that_a_connector_makes_up_are_bounded_as_well() {
    let series = Arc::new(Series::default());
    let mut limits = Limits::default();
    (limits.operations, limits.connectors, limits.breaker_classes) = (3, 2, 2);
    let collector = Collector::builder().limits(limits).export_to(series.clone()).build().unwrap();
    for number in 0..100 {
        let recorder = collector.watch(&Watched::new(format!("connector {number}"), "x.example"));
        for operation in 0..10 {
            call(&*recorder, format!("operation {number} {operation}").leak(), None);
        }
        let class = format!("class {number}").leak();
        recorder.record(&Signal::Breaker { class, state: BreakerState::Open });
    }
    // Three connectors with four operations of two series each; bytes; breakers.
    assert!(series.names().len() <= 3 * (4 * 2 + 2 + 3 * 2), "{:#?}", series.names());
}

#[test]
fn metrics_say_what_the_snapshot_says() {
    let series = Arc::new(Series::default());
    let collector = Collector::builder().export_to(series.clone()).build().unwrap();
    let recorder = watch(&collector, "acme");
    whole_call(&*recorder, "list contacts", None);
    whole_call(&*recorder, "list contacts", Some(ErrorKind::NotFound));
    let operation = "{acople.connector=hubspot,acople.operation=list contacts}";
    let request = |class| {
        let name = "http.client.request.duration{acople.connector=hubspot,acople.operation=list contacts";
        series.get(&format!("{name},http.response.status_class={class}}}"))
    };
    assert_eq!(request("5xx"), (0.02, 2));
    assert_eq!(request("2xx"), (0.01, 1));
    assert_eq!(request("4xx"), (0.01, 1));
    let expected = [
        ("acople.client.call.duration", operation, 4.0),
        ("acople.client.call.failures", operation, 1.0),
        ("acople.client.call.errors", "{acople.connector=hubspot,error.type=not_found}", 1.0),
        ("acople.client.request.retries", operation, 2.0),
        ("acople.client.request.errors", "{acople.connector=hubspot,error.type=transient}", 2.0),
        ("acople.client.sent", "{acople.connector=hubspot}", 40.0),
        ("acople.client.received", "{acople.connector=hubspot}", 400.0),
        ("acople.client.wait.duration", "{acople.connector=hubspot,acople.wait.cause=backoff}", 1.0),
        ("acople.client.wait.duration", "{acople.connector=hubspot,acople.wait.cause=limit}", 0.5),
        ("acople.cache.hits", operation, 2.0),
        ("acople.cache.misses", operation, 2.0),
        ("acople.cache.revalidations", operation, 2.0),
    ];
    for (name, labels, value) in expected {
        let told = series.get(&format!("{name}{labels}")).0;
        assert!((told - value).abs() < 1e-9, "{name}{labels} is {told}, not {value}");
    }
    let described = series.described();
    assert_eq!(described["http.client.request.duration"], Some(Unit::Seconds));
    let metric = |name: &String| name.split('{').next().unwrap().to_owned();
    assert!(series.names().iter().all(|name| described.contains_key(&metric(name))), "{described:?}");
}

#[test]
fn open_breakers_are_counted_over_connections_and_forgotten_with_them() {
    let series = Arc::new(Series::default());
    let mut limits = Limits::default();
    limits.connections = 2;
    let collector = Collector::builder().limits(limits).export_to(series.clone()).build().unwrap();
    let labels = "{acople.connector=hubspot,acople.breaker.class=search}";
    let open = || series.get(&format!("acople.breaker.open{labels}")).0 as i64;
    let tell = |recorder: &dyn Recorder, state| recorder.record(&Signal::Breaker { class: "search", state });
    let (one, two) = (watch(&collector, "one"), watch(&collector, "two"));
    tell(&*one, BreakerState::Open);
    tell(&*two, BreakerState::Open);
    tell(&*two, BreakerState::Open);
    assert_eq!(open(), 2);
    tell(&*two, BreakerState::HalfOpen);
    assert_eq!(open(), 1);
    tell(&*two, BreakerState::Open);
    assert_eq!(open(), 2);
    assert_eq!(series.get(&format!("acople.breaker.openings{labels}")).0 as i64, 3);
    let (_three, _four) = (watch(&collector, "three"), watch(&collector, "four"));
    assert_eq!(open(), 0);
}

#[test]
fn nothing_is_exported_unless_it_was_asked_for() {
    let series = Series::default();
    metrics::with_local_recorder(&series, || {
        call(&*watch(&Collector::new(), "acme"), "check", None);
        assert_eq!(series.asked(), 0);
        call(&*watch(&Collector::builder().export().build().unwrap(), "acme"), "check", None);
        assert!(series.asked() > 0);
    });
}

/// A call of two attempts, with all that goes with it.
fn whole_call(recorder: &dyn Recorder, operation: &'static str, error: Option<ErrorKind>) {
    let took = Duration::from_millis(10);
    for found in [CacheUse::Hit, CacheUse::Miss, CacheUse::Revalidated] {
        recorder.record(&Signal::Cache { operation, found });
    }
    recorder.record(&Signal::Waited { cause: WaitCause::Limit, wait: Duration::from_millis(250) });
    let first = Some(ErrorKind::Transient);
    for (number, error) in [(1, first), (2, error)] {
        let status = status(error);
        recorder.record(&Signal::Attempt { operation, status, error, number, took, sent: 10, received: 100 });
    }
    recorder.record(&Signal::Waited { cause: WaitCause::Backoff, wait: Duration::from_millis(500) });
    recorder.record(&Signal::Call { operation, error, attempts: 2, took: Duration::from_secs(2) });
    for state in [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed] {
        recorder.record(&Signal::Breaker { class: "search", state });
    }
}

fn call_series(operation: &str) -> String {
    format!("acople.client.call.duration{{acople.connector=hubspot,acople.operation={operation}}}")
}
