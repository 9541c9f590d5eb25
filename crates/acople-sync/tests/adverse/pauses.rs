//! Runs that pause: for how long, at which checkpoint, and that the next one goes on as if nothing had been.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use acople_core::{
    Catalog, Clock, Connector, ConnectorInfo, Context, Error, ErrorKind, Event, EventStream, Health, Outcome,
    QuarantineStore, ReadRequest, Result, WriteMode,
};
use acople_sync::{End, PauseCause, Progress, Report};
use acople_testkit::FakeClock;
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;
use tokio::time::Instant;

use crate::world::{Sent, Source, Target, Version, batch, cursor, job, ok, version};

const RECORDS: [[&str; 2]; 4] = [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"]];

fn batches() -> Vec<Vec<Version>> {
    RECORDS.iter().map(|ids| ids.iter().map(|id| version(id, "a")).collect()).collect()
}

fn breaker_open() -> Error {
    Error::new(ErrorKind::Transient, "circuit breaker default is open")
        .with_code("breaker_open")
        .with_retry_after(Duration::from_secs(42))
}

fn in_five_hours(clock: &FakeClock) -> SystemTime {
    clock.now() + Duration::from_secs(5 * 3600)
}

/// Every error that pauses a run, what it says that it waits for, and how long.
fn pausing(clock: &FakeClock) -> Vec<(Error, PauseCause, Option<Duration>)> {
    let quota = || Error::new(ErrorKind::QuotaExhausted, "quota of calls-a-day is spent");
    let limited = |wait| Error::new(ErrorKind::RateLimited, "not now").with_retry_after(wait);
    let day = Duration::from_secs(24 * 3600);
    vec![
        (breaker_open(), PauseCause::Outage, Some(Duration::from_secs(42))),
        (quota().with_retry_at(in_five_hours(clock)), PauseCause::Quota, Some(Duration::from_secs(5 * 3600))),
        (quota().with_retry_after(day), PauseCause::Quota, Some(day)),
        (quota(), PauseCause::Quota, Some(Duration::from_secs(3600))),
        (limited(day), PauseCause::Limit, Some(day)),
        (Error::new(ErrorKind::Reauth, "the token was revoked"), PauseCause::Credentials, None),
    ]
}

/// Checks that a report says what it should of a pause.
fn assert_paused(report: &Report, clock: &FakeClock, expected: &(Error, PauseCause, Option<Duration>)) {
    let (error, cause, wait) = expected;
    let End::Paused { cause: found, until, error: said } = &report.end else {
        panic!("{error}: {:?}", report.end);
    };
    assert_eq!((found, *until), (cause, wait.map(|wait| clock.now() + wait)), "{error}");
    assert_eq!((report.resume_at(), said.retry_at()), (*until, *until), "{error}");
    assert_eq!((said.kind(), said.message()), (error.kind(), error.message()));
    assert!(!report.is_success());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_go_on_pauses_the_run_behind_its_last_batch_and_nothing_is_read_twice() {
    let clock = FakeClock::new();
    for expected in pausing(&clock) {
        let error = expected.0.copy();
        let reads = AtomicUsize::new(0);
        let source = Source::new(move |_, at| {
            let first = reads.fetch_add(1, Ordering::SeqCst) == 0;
            let mut events = Vec::new();
            for (n, versions) in batches().iter().enumerate().skip(at) {
                if first && n == 2 {
                    events.push(Err(error.copy()));
                    break;
                }
                events.push(Ok(Event::Batch(batch(versions))));
                events.push(Ok(Event::Checkpoint(cursor(n + 1))));
            }
            events
        });
        let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
        let job = job(&source, &target, &store).clock(Arc::new(clock.clone())).build().unwrap();
        let began = Instant::now();
        let paused = job.run(&Context::new(), &()).await.unwrap();
        assert_paused(&paused, &clock, &expected);
        assert_eq!((paused.totals.synced, began.elapsed()), (4, Duration::ZERO));
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert!(report.is_success() && report.resumed && report.run == paused.run);
        assert_eq!(report.totals.processed, 8);
        assert_eq!(target.calls(), ["1=a 2=a", "3=a 4=a", "5=a 6=a", "7=a 8=a"]);
    }
}

/// Accepts until its third call; of that one the first record alone, or nothing at all.
fn failing(error: Error, half: bool) -> impl Fn(usize, &Sent) -> Result<Vec<Outcome>> {
    move |call, sent| match (call, half) {
        (2, true) => {
            let mut outcomes = ok(sent);
            outcomes[1] = Outcome::from_call_error(&error);
            Ok(outcomes)
        }
        (2, false) => Err(error.copy()),
        _ => Ok(ok(sent)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_cannot_go_on_pauses_the_run_and_only_its_batch_comes_again() {
    let clock = FakeClock::new();
    for half in [true, false] {
        for expected in pausing(&clock) {
            let target = Target::new(failing(expected.0.copy(), half));
            let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
            let job = job(&source, &target, &store).clock(Arc::new(clock.clone())).build().unwrap();
            let began = Instant::now();
            let paused = job.run(&Context::new(), &()).await.unwrap();
            assert_paused(&paused, &clock, &expected);
            assert_eq!((paused.totals.processed, began.elapsed()), (4, Duration::ZERO), "it is not slept");
            assert_eq!(store.count(None).await.unwrap(), 0, "nothing is put aside");
            let report = job.run(&Context::new(), &()).await.unwrap();
            assert!(report.is_success() && report.resumed && report.run == paused.run);
            assert_eq!((report.totals.processed, report.totals.synced), (8, 8), "each is counted once");
            let calls = ["1=a 2=a", "3=a 4=a", "5=a 6=a", "5=a 6=a", "7=a 8=a"];
            assert_eq!(target.calls(), calls, "{}", expected.0);
            assert_eq!(target.kept.lock().unwrap().len(), 8);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_is_half_done_waits_for_the_breaker_so_that_nothing_is_inserted_twice() {
    for half in [true, false] {
        let target = Target::new(failing(breaker_open(), half));
        let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
        let job = job(&source, &target, &store).write(WriteMode::Insert).build().unwrap();
        let began = Instant::now();
        let report = job.run(&Context::new(), &()).await.unwrap();
        if half {
            assert!(report.is_success() && began.elapsed() >= Duration::from_secs(42));
            assert_eq!(target.calls(), ["1=a 2=a", "3=a 4=a", "5=a 6=a", "6=a", "7=a 8=a"]);
        } else {
            assert!(report.resume_at().is_some() && began.elapsed() == Duration::ZERO);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_down_pauses_the_run_also_when_nobody_says_for_how_long() {
    let clock = FakeClock::new();
    for kind in [ErrorKind::Transient, ErrorKind::Timeout] {
        let target = Target::new(move |_, _| Err(Error::new(kind, "down")));
        let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
        let job = job(&source, &target, &store).clock(Arc::new(clock.clone())).build().unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        let expected = (Error::new(kind, "down"), PauseCause::Outage, Some(Duration::from_secs(30)));
        assert_paused(&report, &clock, &expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_never_over_at_once() {
    let clock = FakeClock::new();
    let past = clock.now() - Duration::from_secs(60);
    let soon = [breaker_open().with_retry_after(Duration::ZERO), breaker_open().with_retry_at(past)];
    for error in soon {
        let target = Target::new(move |_, _| Err(error.copy()));
        let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
        let job = job(&source, &target, &store).clock(Arc::new(clock.clone())).build().unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert_eq!(report.resume_at(), Some(clock.now() + Duration::from_secs(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_to_mend_stops_the_run() {
    for kind in [ErrorKind::Permission, ErrorKind::Config, ErrorKind::CursorExpired, ErrorKind::Internal] {
        let source = Source::new(move |_, _| vec![Err(Error::new(kind, "no"))]);
        let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
        let report = job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
        assert!(matches!(report.end, End::Stopped { .. }), "{:?}", report.end);
        assert_eq!(report.resume_at(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_is_gone_on_with_by_another_process() {
    let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
    let target = Target::new(failing(breaker_open(), true));
    let first = job(&source, &target, &store).build().unwrap();
    first.run(&Context::new(), &()).await.unwrap();
    // Nothing of the first one is in its way: not even while that one is still there.
    let second = job(&source, &target, &store).build().unwrap();
    assert!(second.run(&Context::new(), &()).await.unwrap().is_success());
    assert_eq!(target.kept.lock().unwrap().len(), 8);
}

/// A system that cannot even be asked for its streams.
struct Unreachable {
    info: ConnectorInfo,
    error: Error,
}

impl fmt::Debug for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unreachable")
    }
}

#[async_trait]
impl Connector for Unreachable {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Err(self.error.copy())
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Err(self.error.copy())
    }
    fn read(&self, _: &Context, _: ReadRequest) -> Result<EventStream> {
        Err(self.error.copy())
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_that_is_down_before_the_run_begins_pauses_it_where_it_was() {
    let clock = FakeClock::new();
    for expected in pausing(&clock) {
        let target = Target::new(failing(breaker_open(), false));
        let (source, store) = (Source::of(batches()), Arc::new(MemoryStore::new()));
        let job = || job(&source, &target, &store).clock(Arc::new(clock.clone()));
        let first = job().build().unwrap().run(&Context::new(), &()).await.unwrap();

        let down = Unreachable { info: ConnectorInfo::new("source", "Source"), error: expected.0.copy() };
        let down = job().source(Arc::new(down), "things").build().unwrap();
        let silent = |progress: &Progress| panic!("nothing began: {progress:?}");
        let paused = down.run(&Context::new(), &silent).await.unwrap();
        assert_paused(&paused, &clock, &expected);
        assert_eq!((paused.run, paused.totals), (first.run, first.totals));
        assert!(job().build().unwrap().run(&Context::new(), &()).await.unwrap().is_success());
    }
    let unknown = Unreachable {
        info: ConnectorInfo::new("source", "Source"),
        error: Error::config("stream", "there is no such stream"),
    };
    let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
    let job =
        job(&Source::of(batches()), &target, &store).source(Arc::new(unknown), "things").build().unwrap();
    let error = job.run(&Context::new(), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
