use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Catalog, Connector, ConnectorInfo, Context, Error, ErrorKind, Health, Result};
use acople_monitor::{Collector, Probes, Reason, Status};
use async_trait::async_trait;
use tokio::time::{Instant, advance, sleep};

use crate::fixture::{CONNECTOR, calls, health, key, watch};

#[tokio::test(start_paused = true)]
async fn a_probe_decides_where_nothing_else_is_known() {
    let collector = Collector::new();
    let cx = Context::new();
    let passing = Checked::new([Check::Pass]);
    let said = collector.probe(&key("acme"), &passing, &cx).await;
    assert_eq!((said.status, said.probe.unwrap().ok), (Status::Healthy, true));

    let failing = Checked::new([Check::Fail(ErrorKind::Permission)]);
    let said = collector.probe(&key("acme"), &failing, &cx).await;
    assert_eq!((said.status, said.reason), (Status::Unhealthy, Some(Reason::Probe)));
    assert_eq!(said.probe.unwrap().error, Some(ErrorKind::Permission));
    assert_eq!(said.last_error, Some(ErrorKind::Permission));

    // Asked too much: that says nothing, and the last word stands.
    let limited = Checked::new([Check::Fail(ErrorKind::RateLimited)]);
    assert_eq!(collector.probe(&key("acme"), &limited, &cx).await.status, Status::Unhealthy);

    // Old news does not count.
    advance(Duration::from_secs(301)).await;
    assert_eq!(health(&collector, "acme").status, Status::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_makes_a_connection_whose_calls_succeed_degraded() {
    let collector = Collector::new();
    calls(&*watch(&collector, "acme"), 100, None);
    let failing = Checked::new([Check::Fail(ErrorKind::Transient)]);
    let said = collector.probe(&key("acme"), &failing, &Context::new()).await;
    assert_eq!((said.status, said.reason), (Status::Degraded, Some(Reason::Probe)));
    assert_eq!(said.calls, 100);
}

#[tokio::test(start_paused = true)]
async fn a_probe_finds_finished_credentials_and_that_they_are_good_again() {
    let collector = Collector::new();
    let connector = Checked::new([Check::Fail(ErrorKind::Reauth), Check::Pass]);
    let said = collector.probe(&key("acme"), &connector, &Context::new()).await;
    assert_eq!((said.status, said.reason), (Status::Unhealthy, Some(Reason::Reauth)));
    let said = collector.probe(&key("acme"), &connector, &Context::new()).await;
    assert_eq!((said.status, said.reason), (Status::Healthy, None));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_ends_at_the_deadline_and_one_that_panics_is_contained() {
    let collector = Collector::new();
    let started = Instant::now();
    let hanging = Checked::new([Check::Hang]);
    let said = collector.probe(&key("acme"), &hanging, &Context::new()).await;
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert_eq!((said.status, said.last_error), (Status::Unhealthy, Some(ErrorKind::Timeout)));
    assert_eq!(hanging.deadline.lock().unwrap().unwrap(), Duration::from_secs(10));

    let said = collector.probe(&key("acme"), &Checked::new([Check::Panic]), &Context::new()).await;
    assert_eq!(said.last_error, Some(ErrorKind::Internal));
}

#[tokio::test(start_paused = true)]
async fn probes_come_again_after_the_interval_give_or_take_the_jitter() {
    let collector = Collector::new();
    let connector = Arc::new(Checked::new([]));
    let probes = Probes::new(&collector).interval(Duration::from_secs(60)).jitter(0.1).add(
        key("acme"),
        connector.clone(),
        Context::new(),
    );
    let task = tokio::spawn(probes.run());
    sleep(Duration::from_secs(3600)).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    let times = connector.times.lock().unwrap().clone();
    assert_eq!(times[0], Duration::ZERO);
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.iter().all(|gap| (53.9..=66.1).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| (gap - 60.0).abs() > 0.5), "no jitter: {gaps:?}");
    assert!((54..=66).contains(&gaps.len()), "{}", gaps.len());

    // Dropped, they are over.
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(connector.times.lock().unwrap().len(), times.len());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_probes_run_at_a_time_and_a_hanging_one_does_not_stop_the_rest() {
    let collector = Collector::new();
    let connector = Arc::new(Checked::new([Check::Hang, Check::Hang]));
    let targets = (0..20).map(|number| key(&format!("tenant {number}")));
    let probes = targets.fold(Probes::new(&collector).concurrency(3), |probes, key| {
        probes.add(key, connector.clone(), Context::new())
    });
    tokio::select! {
        () = probes.run() => panic!("probes do not end"),
        () = sleep(Duration::from_secs(50)) => {}
    }
    assert_eq!(connector.most.load(Ordering::SeqCst), 3);
    assert_eq!(connector.times.lock().unwrap().len(), 20);
    let counts = collector.health().connectors[0].connections;
    assert_eq!((counts.healthy, counts.unhealthy), (18, 2));
}

/// What a check does.
enum Check {
    Pass,
    Fail(ErrorKind),
    Hang,
    Panic,
}

/// A connector whose checks go by a script and pass when it is over; each takes a second.
#[derive(Debug)]
struct Checked {
    info: ConnectorInfo,
    script: Mutex<VecDeque<Check>>,
    started: Instant,
    times: Mutex<Vec<Duration>>,
    deadline: Mutex<Option<Duration>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check")
    }
}

impl Checked {
    fn new(script: impl IntoIterator<Item = Check>) -> Self {
        Self {
            info: ConnectorInfo::new(CONNECTOR, "HubSpot"),
            script: Mutex::new(script.into_iter().collect()),
            started: Instant::now(),
            times: Mutex::default(),
            deadline: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Connector for Checked {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.times.lock().unwrap().push(self.started.elapsed());
        *self.deadline.lock().unwrap() = cx.deadline().map(|at| at - Instant::now().into_std());
        let check = self.script.lock().unwrap().pop_front();
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.running);
        match check {
            None => sleep(Duration::from_millis(100)).await,
            Some(Check::Pass) => {}
            Some(Check::Fail(kind)) => return Err(Error::new(kind, "refused")),
            Some(Check::Hang) => std::future::pending().await,
            Some(Check::Panic) => panic!("a bug in the connector"),
        }
        Ok(Health::ok("fine"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
