//! Nothing blocks the host's runtime, not even a runtime with one thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use acople::store_redb::RedbStore;
use acople::sync::{End, Job};
use acople::{Context, ReadMode, Resources, WriteMode};
use acople_testkit::ScriptedTransport;
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Records of the sync.
const RECORDS: usize = 10_000;

/// What a poll may take in a build without optimisation, on a machine that builds other things: a call that blocks on
/// a disk's sync, a lock or a socket takes longer in one of hundreds of polls. An optimised build stays near 1 ms.
const LONGEST_POLL: Duration = Duration::from_millis(250);

/// Notes how long each poll of a future takes.
struct Watched<F> {
    inner: Pin<Box<F>>,
    longest: Duration,
    polls: u64,
}

impl<F: Future> Future for Watched<F> {
    type Output = (F::Output, Duration, u64);

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let begun = Instant::now();
        let result = self.inner.as_mut().poll(task);
        self.longest = self.longest.max(begun.elapsed());
        self.polls += 1;
        result.map(|output| (output, self.longest, self.polls))
    }
}

fn watched<F: Future>(inner: F) -> Watched<F> {
    Watched { inner: Box::pin(inner), longest: Duration::ZERO, polls: 0 }
}

#[tokio::test(flavor = "current_thread")]
async fn host_02_a_sync_to_disk_does_not_block_the_one_thread_of_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let line = |n| format!(r#"{{"Id":"{n}","Email":"lead.{n}@example.com"}}"#);
    let lines: Vec<String> = (0..RECORDS).map(line).collect();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/leads.jsonl"), lines.join("\n") + "\n").unwrap();
    let resources = Resources::new(Arc::new(ScriptedTransport::new([])));
    let files = |name: &str| {
        acople::connect("file", json!({ "directory": folder.path().join(name) }), resources.clone()).unwrap()
    };

    // A task that wants to run every few milliseconds, beside the sync.
    let beats = Arc::new(AtomicU64::new(0));
    let longest_gap = Arc::new(AtomicU64::new(0));
    let heart = tokio::spawn({
        let (beats, longest_gap) = (beats.clone(), longest_gap.clone());
        async move {
            loop {
                let begun = Instant::now();
                sleep(Duration::from_millis(2)).await;
                beats.fetch_add(1, Ordering::Relaxed);
                let gap = u64::try_from(begun.elapsed().as_micros()).unwrap();
                longest_gap.fetch_max(gap, Ordering::Relaxed);
            }
        }
    });
    let begun = Instant::now();
    let (opened, open_poll, _) = watched(RedbStore::open(folder.path().join("state.redb"))).await;
    let job = Job::builder("leads")
        .source(files("in"), "leads")
        .destination(files("out"), "leads")
        .mode(ReadMode::Full)
        .write(WriteMode::Insert)
        .store(Arc::new(opened.unwrap()))
        .build()
        .unwrap();
    let cx = Context::new();
    let (report, longest, polls) = watched(job.run(&cx, &())).await;
    let took = begun.elapsed();
    heart.abort();

    let report = report.unwrap();
    assert!(matches!(report.end, End::Complete), "{:?}", report.end);
    assert_eq!(report.totals.synced, RECORDS as u64);
    let written = std::fs::read_to_string(folder.path().join("out/leads.jsonl")).unwrap();
    assert_eq!(written.lines().count(), RECORDS);
    let (beats, gap) =
        (beats.load(Ordering::Relaxed), Duration::from_micros(longest_gap.load(Ordering::Relaxed)));
    println!("longest poll {longest:?} of {polls} in {took:?}, {beats} beats, longest gap {gap:?}");
    assert!(
        longest < LONGEST_POLL && open_poll < LONGEST_POLL,
        "a poll took {longest:?}, opening {open_poll:?}"
    );
    assert!(polls > 10, "{polls} polls: the work was not given away");
    assert!(beats > 0 && gap < 2 * LONGEST_POLL, "the runtime stood still for {gap:?}");
}
