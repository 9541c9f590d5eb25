use std::time::Duration;

use acople_core::{BreakerState, ErrorKind, Monitor, Recorder, Signal, Watched};
use acople_monitor::{Builder, Collector, HealthConfig, Limits};

use crate::fixture::{call, calls, connection, connector, health, watch};

#[tokio::test(start_paused = true)]
async fn the_connection_that_was_idle_for_longest_is_forgotten_and_its_counts_stay_in_the_sum() {
    let collector = limited(|limits| limits.connections = 2);
    let (first, second) = (watch(&collector, "first"), watch(&collector, "second"));
    for (recorder, number) in [(&first, 3), (&second, 4)] {
        tokio::time::advance(Duration::from_secs(1)).await;
        calls(&**recorder, number, Some(ErrorKind::Timeout));
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let third = watch(&collector, "third");
    calls(&*third, 5, None);

    assert!(connection(&collector, "first").is_none());
    assert_eq!(connection(&collector, "second").unwrap().traffic.calls, 4);
    assert_eq!(collector.snapshot().forgotten, 1);
    let traffic = connector(&collector).traffic;
    assert_eq!((traffic.calls, traffic.failed, traffic.call_latency.count), (12, 7, 12));

    // It works again: back, from zero, and another makes room.
    tokio::time::advance(Duration::from_secs(1)).await;
    calls(&*first, 1, None);
    assert_eq!(connection(&collector, "first").unwrap().traffic.calls, 1);
    assert!(connection(&collector, "second").is_none());
    assert_eq!(connector(&collector).traffic.calls, 13);
}

#[test]
fn a_thousand_connections_leave_as_many_rows_as_are_kept() {
    let collector = limited(|limits| limits.connections = 100);
    let recorders: Vec<_> = (0..1_000).map(|number| watch(&collector, &format!("tenant {number}"))).collect();
    for _ in 0..2 {
        for recorder in &recorders {
            calls(&**recorder, 1, None);
        }
    }
    let snapshot = collector.snapshot();
    assert!(snapshot.connections.len() <= 100, "{}", snapshot.connections.len());
    assert_eq!(snapshot.connectors[0].traffic.calls, 2_000);
}

#[test]
fn operations_buckets_classes_and_connectors_beyond_their_limits_are_counted_as_other() {
    let collector = limited(|limits| {
        (limits.operations, limits.buckets, limits.breaker_classes, limits.connectors) = (2, 2, 1, 1);
    });
    let recorder = watch(&collector, "acme");
    for operation in ["a", "b", "c", "d", "other", "a"] {
        call(&*recorder, operation, None);
    }
    for (number, bucket) in ["user 1", "user 2", "user 3", "user 4"].into_iter().enumerate() {
        recorder.record(&Signal::Quota { bucket, remaining: number as u64 });
    }
    for class in ["search", "bulk", "files"] {
        recorder.record(&Signal::Breaker { class, state: BreakerState::HalfOpen });
    }
    for connector in ["sap", "salesforce"] {
        calls(&*collector.watch(&Watched::new(connector, "x.example")), 1, None);
    }

    let row = connection(&collector, "acme").unwrap();
    let operations: Vec<_> =
        row.traffic.operations.iter().map(|(name, o)| (name.as_str(), o.calls)).collect();
    assert_eq!(operations, [("a", 2), ("b", 1), ("other", 3)]);
    assert_eq!(row.traffic.calls, 6);
    let quotas: Vec<_> = row.quotas.iter().map(|(name, left)| (name.as_str(), *left)).collect();
    assert_eq!(quotas, [("other", 3), ("user 1", 0), ("user 2", 1)]);
    assert_eq!(row.breakers.keys().collect::<Vec<_>>(), ["other", "search"]);
    let snapshot = collector.snapshot();
    let connectors: Vec<_> =
        snapshot.connectors.iter().map(|c| (c.health.connector.as_str(), c.traffic.calls)).collect();
    assert_eq!(connectors, [("hubspot", 6), ("other", 2)]);
}

#[test]
fn a_name_of_any_length_takes_bounded_memory() {
    let collector = Collector::new();
    let long = "x".repeat(10_000);
    let recorder = watch(&collector, &long);
    recorder.record(&Signal::Quota { bucket: &long, remaining: 1 });
    let row = collector.snapshot().connections.remove(0);
    assert_eq!(row.quotas.keys().collect::<Vec<_>>(), ["other"]);
    assert!(row.health.tenant.len() < 140);
}

#[test]
fn a_setting_that_cannot_be_is_refused_by_name() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        Collector::builder().limits(limits)
    };
    let health = |change: fn(&mut HealthConfig)| {
        let mut health = HealthConfig::default();
        change(&mut health);
        Collector::builder().health(health)
    };
    let cases: [(Builder, &str); 9] = [
        (limits(|l| l.connectors = 0), "limits.connectors"),
        (limits(|l| l.connections = 0), "limits.connections"),
        (limits(|l| l.operations = 2_000_000), "limits.operations"),
        (limits(|l| l.buckets = 0), "limits.buckets"),
        (limits(|l| l.breaker_classes = 0), "limits.breaker_classes"),
        (health(|h| h.window = Duration::ZERO), "health.window"),
        (health(|h| h.degraded_below = f64::NAN), "health.degraded_below"),
        (health(|h| h.unhealthy_below = 0.99), "health.unhealthy_below"),
        (health(|h| h.probe_deadline = Duration::ZERO), "health.probe_deadline"),
    ];
    for (builder, field) in cases {
        let error = builder.build().unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]));
    }
}

#[test]
fn a_recorder_outlives_the_collector() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    let clone = collector.clone();
    drop(collector);
    call(&*recorder, "list contacts", None);
    assert_eq!(health(&clone, "acme").calls, 1);
    drop(clone);
    Recorder::record(&*recorder, &Signal::Quota { bucket: "daily", remaining: 1 });
}

fn limited(change: impl FnOnce(&mut Limits)) -> Collector {
    let mut limits = Limits::default();
    change(&mut limits);
    Collector::builder().limits(limits).build().unwrap()
}
