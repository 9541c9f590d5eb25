use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use acople_core::{ErrorKind, Signal, WaitCause};
use acople_monitor::{Collector, Limits};

use crate::fixture::{call, calls, connection, connector, health, watch};

const THREADS: usize = 8;
const CALLS: usize = 5_000;
const OPERATIONS: [&str; 5] = ["list contacts", "read contact", "update contact", "search", "describe"];

#[test]
fn no_signal_of_eight_threads_is_lost_or_counted_twice() {
    let collector = Collector::new();
    thread::scope(|scope| {
        for number in 0..THREADS {
            // Two connections, each of four threads; all operations are new to all threads at once.
            let recorder = watch(&collector, if number % 2 == 0 { "even" } else { "odd" });
            scope.spawn(move || {
                for i in 0..CALLS {
                    let error = (i % 10 == 0).then_some(ErrorKind::Timeout);
                    call(&*recorder, OPERATIONS[i % OPERATIONS.len()], error);
                    recorder
                        .record(&Signal::Waited { cause: WaitCause::Limit, wait: Duration::from_millis(1) });
                }
            });
        }
    });

    let all = (THREADS * CALLS) as u64;
    let traffic = connector(&collector).traffic;
    assert_eq!((traffic.requests, traffic.calls, traffic.failed), (all, all, all / 10));
    assert_eq!((traffic.request_errors["timeout"], traffic.call_errors["timeout"]), (all / 10, all / 10));
    assert_eq!((traffic.request_latency.count, traffic.call_latency.count), (all, all));
    assert_eq!((traffic.bytes_sent, traffic.bytes_received), (all * 10, all * 100));
    assert_eq!(traffic.limit_waits.count, all);
    assert_eq!(traffic.operations.len(), OPERATIONS.len());
    assert!(traffic.operations.values().all(|operation| operation.calls == all / 5));
    for tenant in ["even", "odd"] {
        assert_eq!(connection(&collector, tenant).unwrap().traffic.calls, all / 2);
        assert_eq!(health(&collector, tenant).calls, all / 2);
    }
}

#[test]
fn forgetting_and_snapshots_meanwhile_lose_nothing_of_the_sum() {
    let mut limits = Limits::default();
    limits.connections = 3;
    let collector = Collector::builder().limits(limits).build().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                let recorder = watch(&collector, &format!("tenant {number}"));
                scope.spawn(move || (0..500).for_each(|_| calls(&*recorder, 1, None)))
            })
            .collect();
        scope.spawn(|| {
            let mut before = 0;
            while !done.load(Ordering::Relaxed) {
                let snapshot = collector.snapshot();
                assert!(snapshot.connections.len() <= 3);
                let calls = snapshot.connectors[0].traffic.calls;
                assert!(calls + THREADS as u64 >= before, "{calls} after {before}");
                before = calls;
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(connector(&collector).traffic.calls, (THREADS * 500) as u64);
}
