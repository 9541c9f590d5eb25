//! The engine against connectors that are told how to behave, on paused time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{
    Batch, CancelToken, Catalog, Change, CheckpointStore, Connector, ConnectorInfo, Context, Cursor, Error,
    ErrorKind, Event, EventStream, Generation, Health, Mapped, Mapper, Outcome, QuarantineStore, ReadMode,
    ReadRequest, Refusal, Result, StateKey, Stream, WriteMode, WriteReport, WriteRequest, json::FieldPath,
};
use acople_sync::{End, Job, JobBuilder, Progress};
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

/// Gives numbered records in pages of ten, with a checkpoint after each page.
#[derive(Debug)]
struct Source {
    info: ConnectorInfo,
    records: u64,
    /// Fails once the read reaches this record.
    fails_at: Option<(u64, ErrorKind)>,
    /// Checkpoints only after every so many pages.
    pages_a_checkpoint: u64,
    pulled: AtomicUsize,
    fields: Mutex<Option<Vec<String>>>,
}

impl Source {
    fn of(records: u64) -> Self {
        Self {
            info: ConnectorInfo::new("source", "Source"),
            records,
            fails_at: None,
            pages_a_checkpoint: 1,
            pulled: AtomicUsize::new(0),
            fields: Mutex::new(None),
        }
    }
}

fn record(n: u64) -> String {
    format!(r#"{{"id":"{n}","name":"name {n}"}}"#)
}

#[async_trait]
impl Connector for Source {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let stream = Stream::new("things").key(["id"]).reads([ReadMode::Full, ReadMode::Incremental]);
        Ok(Catalog { streams: vec![stream] })
    }
    fn read(&self, _: &Context, request: ReadRequest) -> Result<EventStream> {
        let mut next = match request.cursor() {
            Some(cursor) => cursor.state::<u64>("source", "things", 1)?,
            None => 0,
        };
        *self.fields.lock().unwrap() = request.fields().map(<[String]>::to_vec);
        let mut events = vec![Ok(Event::SnapshotBegin)];
        let mut pages = 0;
        while next < self.records {
            let end = (next + 10).min(self.records);
            if let Some((at, kind)) = self.fails_at
                && end > at
            {
                events.push(Err(Error::new(kind, "the source fails")));
                break;
            }
            events.push(Ok(Event::Batch(Batch::from_records("things", (next..end).map(record)).unwrap())));
            next = end;
            pages += 1;
            if pages % self.pages_a_checkpoint == 0 {
                events.push(Ok(Event::Checkpoint(Cursor::new("source", "things", 1, &next).unwrap())));
            }
        }
        self.pulled.store(0, Ordering::SeqCst);
        Ok(Box::pin(futures_util::stream::iter(events)))
    }
}

type Verdict = Box<dyn Fn(&str, usize) -> Outcome + Send + Sync>;

/// Keeps what it accepts by id.
struct Target {
    info: ConnectorInfo,
    kept: Mutex<BTreeMap<String, String>>,
    writes: Mutex<Vec<(WriteMode, usize)>>,
    /// What to say to a record, given its id and how often it came.
    verdict: Verdict,
    seen: Mutex<BTreeMap<String, usize>>,
    delay: Duration,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target")
    }
}

impl Target {
    fn new(verdict: impl Fn(&str, usize) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            info: ConnectorInfo::new("target", "Target"),
            kept: Mutex::default(),
            writes: Mutex::default(),
            verdict: Box::new(verdict),
            seen: Mutex::default(),
            delay: Duration::ZERO,
        })
    }
    fn willing() -> Arc<Self> {
        Self::new(|id, _| Outcome::accepted(id, Some(true)))
    }
    fn count(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait]
impl Connector for Target {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let stream = Stream::new("copies").key(["id"]).upsert_keys(["id"]).writes([
            WriteMode::Insert,
            WriteMode::Upsert,
            WriteMode::Delete,
        ]);
        Ok(Catalog { streams: vec![stream] })
    }
    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        tokio::time::sleep(self.delay).await;
        let batch = request.batch();
        self.writes.lock().unwrap().push((request.mode(), batch.len()));
        let id = FieldPath::parse("id").unwrap();
        let mut outcomes = Vec::new();
        for record in batch.iter() {
            let id = record.get(&id)?.scalar_text()?.unwrap().into_owned();
            let mut seen = self.seen.lock().unwrap();
            let times = seen.entry(id.clone()).or_default();
            *times += 1;
            let outcome = (self.verdict)(&id, *times);
            if outcome.is_accepted() {
                match record.change() {
                    Change::Delete => drop(self.kept.lock().unwrap().remove(&id)),
                    _ => drop(self.kept.lock().unwrap().insert(id, record.raw().to_owned())),
                }
            }
            outcomes.push(outcome);
        }
        WriteReport::new(batch.len(), outcomes)
    }
}

fn job(source: &Arc<Source>, target: &Arc<Target>, store: &Arc<MemoryStore>) -> JobBuilder {
    Job::builder("copy")
        .source(source.clone(), "things")
        .destination(target.clone(), "copies")
        .store(store.clone())
}

fn invalid() -> Outcome {
    Outcome::refused(Error::new(ErrorKind::Invalid, "no good").with_code("BAD").with_field("name"))
}

#[tokio::test(start_paused = true)]
async fn every_record_arrives_and_the_report_counts_them() {
    let (source, target, store) = (Arc::new(Source::of(95)), Target::willing(), Arc::new(MemoryStore::new()));
    let report = job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert!(report.is_success());
    assert_eq!((report.totals.processed, report.totals.synced, report.totals.created), (95, 95, 95));
    assert_eq!((target.count(), report.resumed, report.sync.as_str()), (95, false, "copy"));
}

#[tokio::test(start_paused = true)]
async fn refused_records_are_set_aside_with_their_reason_and_the_rest_goes_on() {
    let target = Target::new(|id, _| if id.ends_with('3') { invalid() } else { Outcome::accepted(id, None) });
    let (source, store) = (Arc::new(Source::of(40)), Arc::new(MemoryStore::new()));
    let report = job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert_eq!((report.totals.synced, report.totals.refused), (36, 4));
    assert!(!report.is_success(), "none are tolerated unless the host says so");
    let aside = store.list(Some("copy"), None, 10).await.unwrap();
    let mut positions: Vec<u64> = aside.iter().map(|q| q.position).collect();
    positions.sort_unstable();
    assert_eq!(positions, [3, 13, 23, 33]);
    assert!(aside.iter().all(|q| q.error.code() == Some("BAD") && q.error.fields() == ["name"]));
    assert!(aside.iter().any(|q| q.record == record(13)));
    let tolerant = job(&source, &target, &store).mode(ReadMode::Full).tolerate(4).build().unwrap();
    assert!(tolerant.run(&Context::new(), &()).await.unwrap().is_success());
    assert_eq!(store.count(Some("copy")).await.unwrap(), 4, "the same records are set aside once");
}

#[tokio::test(start_paused = true)]
async fn replayed_records_leave_the_quarantine_when_they_are_accepted() {
    let mended = Arc::new(AtomicUsize::new(0));
    let target = Target::new({
        let mended = mended.clone();
        move |id, _| {
            let bad = id == "3" || (id == "13" && mended.load(Ordering::SeqCst) == 0);
            if bad { invalid() } else { Outcome::accepted(id, None) }
        }
    });
    let (source, store) = (Arc::new(Source::of(20)), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).build().unwrap();
    job.run(&Context::new(), &()).await.unwrap();
    mended.store(1, Ordering::SeqCst);
    let replayed = job.replay(&Context::new(), &(), |_| true).await.unwrap();
    assert_eq!((replayed.tried, replayed.synced, replayed.refused), (2, 1, 1));
    let left = store.list(Some("copy"), None, 10).await.unwrap();
    assert_eq!((left.len(), left[0].position), (1, 3), "the original position is kept");
    assert_eq!(target.count(), 19);
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_that_is_accepted_takes_the_old_one_out_of_quarantine() {
    let mended = Arc::new(AtomicUsize::new(0));
    let target = Target::new({
        let mended = mended.clone();
        move |id, _| {
            if id == "3" && mended.load(Ordering::SeqCst) == 0 {
                invalid()
            } else {
                Outcome::accepted(id, None)
            }
        }
    });
    let (source, store) = (Arc::new(Source::of(10)), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).mode(ReadMode::Full).build().unwrap();
    job.run(&Context::new(), &()).await.unwrap();
    assert_eq!(store.count(None).await.unwrap(), 1);
    mended.store(1, Ordering::SeqCst);
    job.run(&Context::new(), &()).await.unwrap();
    assert_eq!(store.count(None).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_records_that_failed_for_the_moment_are_tried_again() {
    let target = Target::new(|id, times| {
        if id == "5" && times < 3 {
            Outcome::refused(Error::new(ErrorKind::Transient, "row is locked"))
        } else {
            Outcome::accepted(id, None)
        }
    });
    let (source, store) = (Arc::new(Source::of(10)), Arc::new(MemoryStore::new()));
    let report = job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert!(report.is_success());
    let sizes: Vec<usize> = target.writes.lock().unwrap().iter().map(|(_, n)| *n).collect();
    assert_eq!(sizes, [10, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn unknown_outcomes_are_written_again_where_that_is_harmless_and_set_aside_where_it_is_not() {
    let lost = || {
        Target::new(|id, times| {
            if id == "5" && times == 1 {
                Outcome::Unknown { error: Error::new(ErrorKind::Ambiguous, "the answer was lost") }
            } else {
                Outcome::accepted(id, None)
            }
        })
    };
    let (source, store, target) = (Arc::new(Source::of(10)), Arc::new(MemoryStore::new()), lost());
    let report = job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert!(report.is_success());
    assert_eq!(target.seen.lock().unwrap()["5"], 2);

    let (store, target) = (Arc::new(MemoryStore::new()), lost());
    let insert = job(&source, &target, &store).write(WriteMode::Insert).build().unwrap();
    let report = insert.run(&Context::new(), &()).await.unwrap();
    assert_eq!((report.totals.synced, report.totals.refused), (9, 1));
    assert_eq!(target.seen.lock().unwrap()["5"], 1);
    assert_eq!(store.list(None, None, 1).await.unwrap()[0].error.kind(), ErrorKind::Ambiguous);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_about_a_record_stops_the_run_before_its_checkpoint_and_the_next_goes_on() {
    let broken = Arc::new(AtomicUsize::new(1));
    let target = Target::new({
        let broken = broken.clone();
        move |id, _| {
            if id == "25" && broken.load(Ordering::SeqCst) == 1 {
                Outcome::refused(Error::new(ErrorKind::Reauth, "the token was revoked"))
            } else {
                Outcome::accepted(id, None)
            }
        }
    });
    let (source, store) = (Arc::new(Source::of(50)), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).build().unwrap();
    let stopped = job.run(&Context::new(), &()).await.unwrap();
    assert_eq!(stopped.error().unwrap().kind(), ErrorKind::Reauth);
    assert_eq!(stopped.totals.processed, 20, "only what is settled is counted");
    broken.store(0, Ordering::SeqCst);
    let resumed = job.run(&Context::new(), &()).await.unwrap();
    assert!(resumed.is_success() && resumed.resumed);
    assert_eq!((resumed.run == stopped.run, resumed.totals.processed), (true, 50));
    assert_eq!(target.count(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_loses_nothing() {
    let mut source = Source::of(50);
    source.fails_at = Some((30, ErrorKind::Transient));
    let (target, store) = (Target::willing(), Arc::new(MemoryStore::new()));
    let report =
        job(&Arc::new(source), &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert!(matches!(report.end, End::Paused { .. }));
    let report = job(&Arc::new(Source::of(50)), &target, &store)
        .build()
        .unwrap()
        .run(&Context::new(), &())
        .await
        .unwrap();
    assert!(report.is_success() && report.resumed);
    assert_eq!((target.count(), report.totals.processed), (50, 50));
}

#[tokio::test(start_paused = true)]
async fn an_incremental_run_begins_where_the_last_one_ended_and_a_full_one_at_the_start() {
    let (target, store) = (Target::willing(), Arc::new(MemoryStore::new()));
    job(&Arc::new(Source::of(30)), &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    let more = Arc::new(Source::of(45));
    let report = job(&more, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert_eq!((report.totals.processed, report.resumed), (15, false));
    let full = job(&more, &target, &store).mode(ReadMode::Full).build().unwrap();
    assert_eq!(full.run(&Context::new(), &()).await.unwrap().totals.processed, 45);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_finishes_and_commits_the_batch_at_work() {
    let mut target = Arc::into_inner(Target::willing()).unwrap();
    target.delay = Duration::from_secs(2);
    let (target, source, store) = (Arc::new(target), Arc::new(Source::of(100)), Arc::new(MemoryStore::new()));
    let cancel = CancelToken::new();
    let job = job(&source, &target, &store).build().unwrap();
    let cx = Context::new().with_cancel(cancel.clone());
    let stop = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(job.run(&cx, &()), stop);
    let report = report.unwrap();
    assert!(matches!(report.end, End::Cancelled));
    assert_eq!(target.count(), 30, "three batches of two seconds had begun");
    let rest = job.run(&Context::new(), &()).await.unwrap();
    assert!(rest.resumed);
    assert_eq!(target.count(), 100);
    assert!(
        target.seen.lock().unwrap().values().filter(|n| **n > 1).count() <= 10,
        "at most one batch twice"
    );
}

#[tokio::test(start_paused = true)]
async fn state_11_a_panic_in_a_mapper_fails_the_run_and_not_the_host() {
    #[derive(Debug)]
    struct Panics;
    impl Mapper for Panics {
        fn map(&self, _: &Batch) -> Result<Mapped> {
            panic!("canary-secret");
        }
    }
    let (source, target, store) = (Arc::new(Source::of(10)), Target::willing(), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).mapper(Arc::new(Panics)).build().unwrap();
    let report = job.run(&Context::new(), &()).await.unwrap();
    assert_eq!(report.error().unwrap().kind(), ErrorKind::Internal);
    assert!(!format!("{report:?}").contains("canary"));
}

/// Refuses, skips and passes by the last digit.
#[derive(Debug)]
struct Picky;

impl Mapper for Picky {
    fn map(&self, batch: &Batch) -> Result<Mapped> {
        let mut mapped = Mapped::unchanged(batch);
        mapped.refused =
            vec![Refusal { index: 0, error: Error::new(ErrorKind::Schema, "first of its page") }];
        mapped.skipped = 1;
        mapped.origins = (2..batch.len()).collect();
        mapped.batch = batch.select(mapped.origins.iter().copied());
        Ok(mapped)
    }
    fn fields(&self) -> Option<Vec<FieldPath>> {
        Some(vec![FieldPath::parse("name").unwrap()])
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_the_mapper_refuses_or_skips_are_accounted_for_and_only_its_fields_are_asked_for() {
    let (source, target, store) = (Arc::new(Source::of(30)), Target::willing(), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).mapper(Arc::new(Picky)).build().unwrap();
    let report = job.run(&Context::new(), &()).await.unwrap();
    assert_eq!((report.totals.synced, report.totals.refused, report.totals.skipped), (24, 3, 3));
    assert_eq!(source.fields.lock().unwrap().as_deref(), Some(&["id".to_owned(), "name".to_owned()][..]));
    let aside = store.list(None, None, 10).await.unwrap();
    assert_eq!(aside.iter().map(|q| q.stage).collect::<Vec<_>>(), [acople_core::Stage::Map; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_mapper_that_loses_count_stops_the_run() {
    #[derive(Debug)]
    struct Loses;
    impl Mapper for Loses {
        fn map(&self, batch: &Batch) -> Result<Mapped> {
            let mut mapped = Mapped::unchanged(batch);
            mapped.batch = batch.select(0..batch.len() - 1);
            mapped.origins.pop();
            Ok(mapped)
        }
    }
    let (source, target, store) = (Arc::new(Source::of(10)), Target::willing(), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).mapper(Arc::new(Loses)).build().unwrap();
    let report = job.run(&Context::new(), &()).await.unwrap();
    assert_eq!(report.error().unwrap().kind(), ErrorKind::Internal);
    assert!(store.load(&StateKey::new("copy", "things")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn dist_01_a_stale_worker_is_fenced_at_its_commit() {
    let mut target = Arc::into_inner(Target::willing()).unwrap();
    target.delay = Duration::from_secs(1);
    let (target, source, store) = (Arc::new(target), Arc::new(Source::of(50)), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).build().unwrap();
    let cx = Context::new();
    let late = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        job.run(&cx, &()).await
    };
    let (first, second) = tokio::join!(job.run(&cx, &()), late);
    let ends = [first.unwrap(), second.unwrap()];
    let fenced = ends.iter().filter(|r| r.error().is_some_and(|e| e.kind() == ErrorKind::Fenced)).count();
    assert_eq!(fenced, 1);
    assert_eq!(ends.iter().filter(|r| r.is_success()).count(), 1);
    assert_eq!(target.count(), 50);
}

#[tokio::test(start_paused = true)]
async fn unknown_streams_modes_and_keys_are_named_before_anything_is_read() {
    let (source, target, store) = (Arc::new(Source::of(10)), Target::willing(), Arc::new(MemoryStore::new()));
    let wrong = [
        job(&source, &target, &store).source(source.clone(), "nothing").build().unwrap(),
        job(&source, &target, &store).destination(target.clone(), "nowhere").build().unwrap(),
        job(&source, &target, &store).write(WriteMode::Update).build().unwrap(),
        job(&source, &target, &store).key("email").build().unwrap(),
    ];
    for job in wrong {
        let error = job.run(&Context::new(), &()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!error.fields().is_empty());
    }
    assert_eq!(target.count(), 0);
    assert_eq!(Job::builder("x").build().unwrap_err().fields(), ["source"]);
}

#[tokio::test(start_paused = true)]
async fn state_06_a_state_of_a_newer_version_and_a_damaged_one_are_refused() {
    let (source, target) = (Arc::new(Source::of(10)), Target::willing());
    for state in [&br#"{"version":99}"#[..], b"{", b"", b"null", br#"{"version":1}"#] {
        let store = Arc::new(MemoryStore::new());
        store.save(&StateKey::new("copy", "things"), Generation::default(), state).await.unwrap();
        let error =
            job(&source, &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, Some("state")));
    }
    assert_eq!(target.count(), 0, "never taken for an empty state");
}

#[tokio::test(start_paused = true)]
async fn a_run_tells_what_it_does() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (source, target, store) = (Arc::new(Source::of(20)), Target::willing(), Arc::new(MemoryStore::new()));
    let observer = {
        let told = told.clone();
        move |progress: &Progress| told.lock().unwrap().push(progress.clone())
    };
    job(&source, &target, &store).build().unwrap().run(&Context::new(), &observer).await.unwrap();
    let told = told.lock().unwrap();
    assert!(matches!(told[0], Progress::Started { resumed: false, .. }));
    assert!(told.iter().any(|p| matches!(p, Progress::Advanced { totals } if totals.synced == 10)));
    assert!(matches!(told.last(), Some(Progress::Checkpointed { totals }) if totals.processed == 20));
}

#[tokio::test(start_paused = true)]
async fn batches_between_two_checkpoints_are_covered_by_the_second() {
    let mut source = Source::of(55);
    source.pages_a_checkpoint = 3;
    source.fails_at = Some((50, ErrorKind::Transient));
    let (target, store) = (Target::willing(), Arc::new(MemoryStore::new()));
    let report =
        job(&Arc::new(source), &target, &store).build().unwrap().run(&Context::new(), &()).await.unwrap();
    assert_eq!(report.totals.processed, 30, "two batches after the checkpoint will be written again");
    let report = job(&Arc::new(Source::of(55)), &target, &store)
        .build()
        .unwrap()
        .run(&Context::new(), &())
        .await
        .unwrap();
    assert_eq!((report.totals.processed, target.count()), (55, 55));
}

#[test]
fn state_02_a_receipt_exists_only_when_every_record_is_accounted_for() {
    use acople_sync::Settlement;
    let accepted = Outcome::accepted("1", None);
    let mut short = Settlement::of(2);
    assert!(short.written(&accepted));
    assert!(!short.written(&invalid()), "a refusal accounts for nothing until it is in quarantine");
    assert_eq!(short.receipt().unwrap_err().kind(), ErrorKind::Internal);
    let mut twice = Settlement::of(1);
    twice.written(&accepted);
    twice.quarantined(1);
    assert!(twice.receipt().is_err());
    let mut exact = Settlement::of(3);
    exact.written(&accepted);
    exact.quarantined(1);
    exact.skipped(1);
    assert!(exact.receipt().is_ok());
}
