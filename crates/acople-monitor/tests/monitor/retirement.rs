use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Recorder, Signal};
use acople_monitor::{Collector, Limits, Status};

use crate::fixture::{calls, connection, connector, health, watch};

fn announce(recorder: &dyn Recorder, class: &'static str, ends: Option<SystemTime>) {
    recorder.record(&Signal::Retiring { class, operation: "list contacts", ends });
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn page_13_health_and_snapshot_show_what_the_vendor_is_going_to_retire() {
    let collector = Collector::new();
    let (told, other) = (watch(&collector, "told"), watch(&collector, "other"));
    calls(&*told, 20, None);
    assert_eq!(health(&collector, "told").retirement, None);
    announce(&*told, "default", None);
    let known = health(&collector, "told").retirement.unwrap();
    assert_eq!((known.ends, health(&collector, "told").status), (None, Status::Healthy));

    // The earliest date stands, whatever comes after it.
    for ends in [Some(at(2_000_000_000)), Some(at(1_900_000_000)), Some(at(1_950_000_000)), None] {
        announce(&*told, "search", ends);
    }
    assert_eq!(health(&collector, "told").retirement.unwrap().ends, Some(1_900_000_000));
    let row = connection(&collector, "told").unwrap();
    let classes: Vec<_> = row.retirements.iter().map(|(class, what)| (class.as_str(), what.ends)).collect();
    assert_eq!(classes, [("default", None), ("search", Some(1_900_000_000))]);

    // Another connection may call something else; their connector shows what concerns any of them.
    announce(&*other, "default", Some(at(1_800_000_000)));
    assert_eq!(health(&collector, "told").retirement.unwrap().ends, Some(1_900_000_000));
    assert_eq!(connector(&collector).health.retirement.unwrap().ends, Some(1_800_000_000));
    let text = serde_json::to_string(&collector.snapshot()).unwrap();
    assert!(
        text.contains(r#""retirements":{"default":{"ends":null},"search":{"ends":1900000000}}"#),
        "{text}"
    );
}

#[test]
fn page_13_what_was_announced_to_a_forgotten_connection_stays_with_its_connector() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let collector = Collector::builder().limits(limits).build().unwrap();
    announce(&*watch(&collector, "first"), "default", Some(at(0)));
    calls(&*watch(&collector, "second"), 1, None);
    assert!(connection(&collector, "first").is_none());
    assert_eq!(connector(&collector).health.retirement.unwrap().ends, Some(0));
}

#[test]
fn classes_beyond_the_limit_share_a_row() {
    let mut limits = Limits::default();
    limits.breaker_classes = 2;
    let collector = Collector::builder().limits(limits).build().unwrap();
    let recorder = watch(&collector, "acme");
    for (class, ends) in [("a", 5), ("b", 4), ("c", 3), ("d", 2), ("e", 9)] {
        announce(&*recorder, class, Some(at(ends)));
    }
    let row = connection(&collector, "acme").unwrap();
    let classes: Vec<_> = row.retirements.iter().map(|(class, what)| (class.as_str(), what.ends)).collect();
    assert_eq!(classes, [("a", Some(5)), ("b", Some(4)), ("other", Some(2))]);
}
