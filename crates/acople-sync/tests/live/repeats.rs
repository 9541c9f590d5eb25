//! Records and pages that come twice, and totals that are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use acople_core::{
    Batch, Catalog, Connector, ConnectorInfo, Context, Cursor, ErrorKind, Event, EventStream, Health,
    QuarantineStore, ReadMode, ReadRequest, Result, Stream, WriteMode,
};
use acople_sync::{End, Job};
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

use crate::world::{System, mirror, run};

/// Says what it was made with: batches of `id=value`, `id!` being a deletion. Each batch has a checkpoint.
#[derive(Debug)]
struct Says {
    info: ConnectorInfo,
    batches: Vec<&'static [&'static str]>,
    /// The cursors begin anew after so many.
    circle: usize,
}

impl Says {
    fn new(batches: &[&'static [&'static str]]) -> Self {
        Self { info: ConnectorInfo::new("says", "Says"), batches: batches.to_vec(), circle: usize::MAX }
    }
}

fn batch(records: &[&str]) -> Batch {
    let text = |record: &&str| {
        let (id, value) =
            record.trim_end_matches('!').split_once('=').unwrap_or((record.trim_end_matches('!'), ""));
        format!(r#"{{"id":"{id}","value":"{value}"}}"#)
    };
    let texts: Vec<String> = records.iter().map(text).collect();
    Batch::from_records("things", texts).unwrap().with_deletions(records.iter().map(|r| r.ends_with('!')))
}

#[async_trait]
impl Connector for Says {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog { streams: vec![Stream::new("things").key(["id"]).reads([ReadMode::Full])] })
    }
    fn read(&self, _: &Context, _: ReadRequest) -> Result<EventStream> {
        let (batches, circle) = (self.batches.clone(), self.circle);
        let count = batches.len();
        let events =
            (0..).take_while(move |n| circle < usize::MAX || *n < count).flat_map(move |n: usize| {
                let place = n % circle.min(count);
                let cursor = Cursor::new("says", "things", 1, &place).unwrap();
                [Ok(Event::Batch(batch(batches[place]))), Ok(Event::Checkpoint(cursor))]
            });
        Ok(Box::pin(futures_util::stream::iter(events)))
    }
}

fn job(says: Says, to: &System, store: &Arc<MemoryStore>) -> acople_sync::JobBuilder {
    Job::builder("copy")
        .source(Arc::new(says), "things")
        .destination(Arc::new(to.clone()), "things")
        .store(store.clone())
        .mode(ReadMode::Full)
}

#[tokio::test(start_paused = true)]
async fn page_03_a_record_that_moved_to_the_next_page_is_counted_and_not_written_twice() {
    let (to, store) = (System::new("log", &[WriteMode::Insert]).with_own_ids(), Arc::new(MemoryStore::new()));
    let says = Says::new(&[&["1=a", "2=b"], &["2=b", "3=c"], &["3=c", "2=b"]]);
    let report = run(&job(says, &to, &store).write(WriteMode::Insert).build().unwrap()).await;
    assert!(report.is_success());
    assert_eq!((report.totals.processed, report.totals.synced, report.totals.repeated), (6, 3, 3));
    assert_eq!(to.shows(), ["a", "b", "c"]);
    // Not asked for, it is written as often as it comes.
    let to = System::new("log", &[WriteMode::Insert]).with_own_ids();
    let says = Says::new(&[&["1=a", "2=b"], &["2=b", "3=c"]]);
    let all = job(says, &to, &Arc::new(MemoryStore::new())).write(WriteMode::Insert).remember(0);
    assert_eq!(run(&all.build().unwrap()).await.totals.repeated, 0);
    assert_eq!(to.shows(), ["a", "b", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn page_03_another_version_of_a_record_is_no_repetition() {
    let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
    let says = Says::new(&[&["1=a", "1=b", "1=a"], &["2=x"], &["2=x!"], &["2=x"], &["2=x", "2=x!", "2=x!"]]);
    let report = run(&job(says, &to, &store).build().unwrap()).await;
    assert_eq!((report.totals.repeated, report.totals.synced), (2, 7));
    assert_eq!(to.shows(), ["1=a"]);
}

#[tokio::test(start_paused = true)]
async fn page_03_the_repetition_of_a_refused_record_leaves_it_in_quarantine() {
    let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
    to.data().bad.push("1".to_owned());
    let report = run(&job(Says::new(&[&["1=a", "1=a"], &["1=a"]]), &to, &store).build().unwrap()).await;
    assert_eq!((report.totals.refused, report.totals.repeated), (1, 2));
    assert_eq!(store.count(None).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn page_01_a_source_that_turns_in_a_circle_is_stopped() {
    for circle in [1, 2, 50] {
        let pages: Vec<&'static [&'static str]> =
            (0..50).map(|n| if n % 2 == 0 { &["1=a", "2=b"][..] } else { &["3=c"][..] }).collect();
        let mut says = Says::new(&pages);
        says.circle = circle;
        let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
        let report = run(&job(says, &to, &store).build().unwrap()).await;
        let error = report.error().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Protocol, Some("repeated_page")));
        assert!(to.data().calls <= circle as u64 + 1, "after one turn");
    }
    // Pages that look alike at other places are no circle.
    let pages: Vec<&'static [&'static str]> = vec![&["1=a"]; 20];
    let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
    assert!(run(&job(Says::new(&pages), &to, &store).build().unwrap()).await.is_success());
}

#[tokio::test(start_paused = true)]
async fn page_08_a_total_is_compared_and_never_decides_the_end() {
    for (total, warns) in [(0, true), (1, true), (7, false), (1_000_000, true)] {
        let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
        from.fill(0..7);
        from.data().total = Some(total);
        let report = run(&mirror(&from, &to, &store).build().unwrap()).await;
        assert!(matches!(report.end, End::Complete));
        assert_eq!((report.expected, report.totals.processed), (Some(total), 7));
        assert_eq!(report.warnings.iter().any(|w| w.contains("7 were read")), warns, "{total}");
        assert_eq!(to.shows(), from.shows());
    }
}

#[tokio::test(start_paused = true)]
async fn page_03_pages_that_shift_between_requests_repeat_and_the_destination_has_each_once() {
    // Records are put in front of what is read while it is read: keyset pages do not repeat, so the feed does it.
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..20);
    let touched = AtomicU32::new(0);
    from.before_page(move |data| {
        let n = touched.fetch_add(1, Ordering::SeqCst);
        if n < 10 {
            // Touched without a change: it comes again, as it was.
            data.set(&format!("{n:03}"), "new");
        }
        Ok(())
    });
    let job = crate::world::job(&from, &to, &store).build().unwrap();
    let report = run(&job).await;
    assert!(report.is_success() && report.totals.repeated > 0, "{:?}", report.totals);
    assert_eq!(report.totals.processed, report.totals.synced + report.totals.repeated);
    assert_eq!(to.shows(), from.shows());
}
