use std::time::Duration;

use acople_core::{BreakerState, ErrorKind, Signal};
use acople_monitor::{Collector, HealthConfig, Reason, Status};
use tokio::time::advance;

use crate::fixture::{calls, connector, health, watch};

#[tokio::test(start_paused = true)]
async fn the_success_rate_decides_once_there_are_enough_calls() {
    let cases = [
        (9, 0, Status::Unknown),
        (10, 0, Status::Healthy),
        (95, 5, Status::Healthy),
        (94, 6, Status::Degraded),
        (50, 50, Status::Degraded),
        (49, 51, Status::Unhealthy),
        (0, 9, Status::Unknown),
        (0, 10, Status::Unhealthy),
    ];
    for (good, bad, status) in cases {
        let collector = Collector::new();
        let recorder = watch(&collector, "acme");
        calls(&*recorder, good, None);
        calls(&*recorder, bad, Some(ErrorKind::Transient));
        let health = health(&collector, "acme");
        assert_eq!(health.status, status, "{good} good, {bad} bad");
        assert_eq!(health.success_rate, Some(good as f64 / (good + bad) as f64));
        assert_eq!(health.calls, (good + bad) as u64);
        let reason = matches!(status, Status::Degraded | Status::Unhealthy).then_some(Reason::SuccessRate);
        assert_eq!(health.reason, reason);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_refuses_is_no_failure_of_the_vendor() {
    use ErrorKind as K;
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    let refused = [K::Invalid, K::NotFound, K::Permission, K::Conflict, K::CursorExpired];
    for kind in refused {
        calls(&*recorder, 4, Some(kind));
    }
    let said = health(&collector, "acme");
    assert_eq!((said.status, said.success_rate, said.calls), (Status::Healthy, Some(1.0), 20));
    assert_eq!(said.last_error, Some(K::CursorExpired));

    // Neither for nor against.
    let ours =
        [K::Cancelled, K::RateLimited, K::QuotaExhausted, K::TooLarge, K::Schema, K::Fenced, K::Config];
    for kind in ours {
        calls(&*recorder, 50, Some(kind));
    }
    assert_eq!((health(&collector, "acme").status, health(&collector, "acme").calls), (Status::Healthy, 20));

    let failures = [K::Transient, K::Timeout, K::Ambiguous, K::Protocol, K::Internal];
    for kind in failures {
        calls(&*recorder, 1, Some(kind));
    }
    let said = health(&collector, "acme");
    assert_eq!((said.status, said.success_rate, said.calls), (Status::Degraded, Some(0.8), 25));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_sent_nothing_says_nothing_about_the_vendor() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    for error in [Some(ErrorKind::Transient), None] {
        for _ in 0..50 {
            let (operation, took) = ("list contacts", Duration::ZERO);
            recorder.record(&Signal::Call { operation, error, attempts: 0, took });
        }
    }
    let health = health(&collector, "acme");
    assert_eq!((health.status, health.calls, health.success_rate), (Status::Unknown, 0, None));
    assert_eq!(health.last_request_seconds_ago, None);
    assert_eq!(health.last_error, Some(ErrorKind::Transient));
}

#[tokio::test(start_paused = true)]
async fn failures_are_forgiven_when_the_window_has_passed_them() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    calls(&*recorder, 20, Some(ErrorKind::Timeout));
    advance(Duration::from_secs(280)).await;
    assert_eq!(health(&collector, "acme").status, Status::Unhealthy);
    calls(&*recorder, 20, None);
    assert_eq!(health(&collector, "acme").status, Status::Degraded);
    advance(Duration::from_secs(30)).await;
    let said = health(&collector, "acme");
    assert_eq!((said.status, said.calls), (Status::Healthy, 20));
    assert_eq!(said.last_request_seconds_ago, Some(30.0));
    assert_eq!((said.last_error, said.last_error_seconds_ago), (Some(ErrorKind::Timeout), Some(310.0)));
    advance(Duration::from_secs(3570)).await;
    let said = health(&collector, "acme");
    assert_eq!((said.status, said.calls, said.success_rate), (Status::Unknown, 0, None));
    // A whole number of windows after the calls of second 280: their slot is used again.
    calls(&*recorder, 10, None);
    assert_eq!((health(&collector, "acme").status, health(&collector, "acme").calls), (Status::Healthy, 10));
}

#[tokio::test(start_paused = true)]
async fn finished_credentials_are_unhealthy_until_a_call_succeeds() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    calls(&*recorder, 100, None);
    calls(&*recorder, 1, Some(ErrorKind::Reauth));
    advance(Duration::from_secs(86_400)).await;
    calls(&*recorder, 5, Some(ErrorKind::NotFound));
    let said = health(&collector, "acme");
    assert_eq!((said.status, said.reason), (Status::Unhealthy, Some(Reason::Reauth)));
    calls(&*recorder, 10, None);
    assert_eq!(
        (health(&collector, "acme").status, health(&collector, "acme").reason),
        (Status::Healthy, None)
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_unhealthy_and_a_half_open_one_degraded() {
    let collector = Collector::new();
    let recorder = watch(&collector, "acme");
    calls(&*recorder, 100, None);
    let tell = |class, state| {
        recorder.record(&Signal::Breaker { class, state });
        (health(&collector, "acme").status, health(&collector, "acme").reason)
    };
    let open = (Status::Unhealthy, Some(Reason::BreakerOpen));
    assert_eq!(tell("search", BreakerState::Open), open);
    assert_eq!(tell("bulk", BreakerState::Closed), open);
    assert_eq!(tell("search", BreakerState::HalfOpen), (Status::Degraded, Some(Reason::BreakerHalfOpen)));
    assert_eq!(tell("search", BreakerState::Closed), (Status::Healthy, None));

    // One that opened and was not heard of again: another connection may have closed it.
    assert_eq!(tell("search", BreakerState::Open), open);
    advance(Duration::from_secs(299)).await;
    assert_eq!(health(&collector, "acme").status, Status::Unhealthy);
    advance(Duration::from_secs(2)).await;
    calls(&*recorder, 10, None);
    assert_eq!(
        (health(&collector, "acme").status, health(&collector, "acme").breaker),
        (Status::Healthy, None)
    );
}

#[tokio::test(start_paused = true)]
async fn one_customer_does_not_make_a_connector_degraded_and_many_do() {
    let collector = Collector::new();
    let recorders: Vec<_> = (0..40).map(|number| watch(&collector, &format!("tenant {number}"))).collect();
    for recorder in &recorders {
        calls(&**recorder, 10, None);
    }
    let state = || {
        let health = connector(&collector).health;
        (health.status, health.reason, health.connections.unhealthy)
    };
    calls(&*recorders[0], 1, Some(ErrorKind::Reauth));
    calls(&*recorders[1], 1, Some(ErrorKind::Reauth));
    assert_eq!(state(), (Status::Healthy, None, 2));
    calls(&*recorders[2], 1, Some(ErrorKind::Reauth));
    assert_eq!(state(), (Status::Degraded, Some(Reason::Connections), 3));
    for recorder in &recorders {
        calls(&**recorder, 1, Some(ErrorKind::Reauth));
    }
    assert_eq!(state(), (Status::Unhealthy, Some(Reason::Connections), 40));
    for recorder in &recorders {
        calls(&**recorder, 1, None);
    }
    for recorder in &recorders {
        calls(&**recorder, 1, Some(ErrorKind::Timeout));
    }
    assert_eq!(state(), (Status::Degraded, Some(Reason::SuccessRate), 0));
    assert_eq!(connector(&collector).health.connections.degraded, 40);
}

#[tokio::test(start_paused = true)]
async fn thresholds_minimum_and_window_are_the_hosts_to_choose() {
    let mut config = HealthConfig::default();
    (config.window, config.minimum) = (Duration::from_secs(60), 2);
    (config.degraded_below, config.unhealthy_below) = (0.6, 0.2);
    let collector = Collector::builder().health(config).build().unwrap();
    let recorder = watch(&collector, "acme");
    calls(&*recorder, 6, None);
    calls(&*recorder, 4, Some(ErrorKind::Timeout));
    assert_eq!(health(&collector, "acme").status, Status::Healthy);
    calls(&*recorder, 1, Some(ErrorKind::Timeout));
    assert_eq!(health(&collector, "acme").status, Status::Degraded);
    advance(Duration::from_secs(62)).await;
    calls(&*recorder, 2, None);
    assert_eq!((health(&collector, "acme").status, health(&collector, "acme").calls), (Status::Healthy, 2));
}
