//! Panics, broken mappers and failing stores.

use std::sync::Arc;

use acople_core::{
    Batch, Catalog, CheckpointStore, Connector, ConnectorInfo, Context, Error, ErrorKind, Health, Mapped,
    Mapper, Outcome, QuarantineStore, Refusal, Result, StateKey,
};
use acople_sync::Job;
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

use crate::world::{Source, Target, batch, cursor, job, ok, run, version};

#[derive(Debug)]
struct Explodes(ConnectorInfo);

#[async_trait]
impl Connector for Explodes {
    fn info(&self) -> &ConnectorInfo {
        &self.0
    }
    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("fine"))
    }
    async fn discover(&self, _: &Context) -> Result<Catalog> {
        panic!("canary-secret");
    }
}

#[derive(Debug)]
struct Panics;

impl Mapper for Panics {
    fn map(&self, _: &Batch) -> Result<Mapped> {
        panic!("canary-secret");
    }
}

#[tokio::test(start_paused = true)]
async fn state_11_a_panic_before_the_run_began_and_in_a_replay_is_an_error_too() {
    let (source, target, store) = (
        Source::of(vec![vec![version("1", "a")]]),
        Target::new(|_, sent| {
            Ok(sent.iter().map(|_| Outcome::refused(Error::new(ErrorKind::Invalid, "no"))).collect())
        }),
        Arc::new(MemoryStore::new()),
    );
    let broken = Job::builder("copy")
        .source(Arc::new(Explodes(ConnectorInfo::new("x", "X"))), "things")
        .destination(target.clone(), "copies")
        .store(store.clone())
        .build()
        .unwrap();
    let error = broken.run(&Context::new(), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!format!("{error:?}").contains("canary"));

    run(&source, &target, &store).await;
    let replays = job(&source, &target, &store).mapper(Arc::new(Panics)).build().unwrap();
    let error = replays.replay(&Context::new(), &(), |_| true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(store.count(None).await.unwrap(), 1, "it stays where it was");
}

/// Answers with what it was made with.
struct Answers(fn(&Batch) -> Mapped);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

impl Mapper for Answers {
    fn map(&self, batch: &Batch) -> Result<Mapped> {
        Ok(self.0(batch))
    }
}

#[tokio::test(start_paused = true)]
async fn a_mapper_whose_counts_are_right_but_that_loses_a_record_stops_the_run() {
    fn refusal(index: usize) -> Refusal {
        Refusal { index, error: Error::new(ErrorKind::Schema, "no") }
    }
    let wrong: [fn(&Batch) -> Mapped; 4] = [
        // Twice the first, the second never.
        |batch| Mapped { batch: batch.select([0, 0]), origins: vec![0, 0], refused: vec![], skipped: 0 },
        |batch| Mapped { batch: batch.select([0]), origins: vec![0], refused: vec![refusal(0)], skipped: 0 },
        |batch| Mapped { batch: batch.select([0]), origins: vec![0], refused: vec![refusal(7)], skipped: 0 },
        |batch| Mapped { batch: batch.select([0, 1]), origins: vec![0, 9], refused: vec![], skipped: 0 },
    ];
    for answer in wrong {
        let source = Source::of(vec![vec![version("1", "a"), version("2", "b")]]);
        let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
        let job = job(&source, &target, &store).mapper(Arc::new(Answers(answer))).build().unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert_eq!(report.error().unwrap().kind(), ErrorKind::Internal);
        assert!(store.load(&StateKey::new("copy", "things")).await.unwrap().is_none());
        assert!(target.calls().is_empty(), "nothing is written from such a mapping");
    }
}

#[tokio::test(start_paused = true)]
async fn state_04_a_quarantine_that_cannot_be_written_stops_the_run_before_its_checkpoint() {
    let source =
        Source::of(vec![vec![version("1", "bad"), version("2", "good")], vec![version("3", "good")]]);
    let target = Target::new(|_, sent| {
        let answer = |s: &String| {
            if s.ends_with("bad") {
                Outcome::refused(Error::new(ErrorKind::Invalid, "no"))
            } else {
                Outcome::accepted("x", None)
            }
        };
        Ok(sent.iter().map(answer).collect())
    });
    for lose in [false, true] {
        let store = Arc::new(MemoryStore::new());
        if lose {
            store.lose_next_answers(1);
        } else {
            store.fail_next_saves(1);
        }
        let report = run(&source, &target, &store).await;
        assert_eq!(report.error().unwrap().kind(), ErrorKind::Transient);
        assert!(store.load(&StateKey::new("copy", "things")).await.unwrap().is_none());
        let report = run(&source, &target, &store).await;
        assert!(report.error().is_none());
        assert_eq!((report.totals.processed, store.count(None).await.unwrap()), (3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn state_04_a_checkpoint_that_cannot_be_written_stops_the_run_and_the_next_one_repeats_a_batch() {
    let batches = || vec![vec![version("1", "a")], vec![version("2", "b")], vec![version("3", "c")]];
    for lose in [false, true] {
        let target = Target::new(|_, sent| Ok(ok(sent)));
        let store = Arc::new(MemoryStore::new());
        if lose {
            store.lose_next_answers(1);
        } else {
            store.fail_next_saves(1);
        }
        let report = run(&Source::of(batches()), &target, &store).await;
        assert_eq!(report.error().unwrap().kind(), ErrorKind::Transient);
        let report = run(&Source::of(batches()), &target, &store).await;
        assert!(report.is_success());
        assert_eq!(report.totals.processed, 3);
        let calls = target.calls();
        let expected: &[&str] = if lose { &["1=a", "2=b", "3=c"] } else { &["1=a", "1=a", "2=b", "3=c"] };
        assert_eq!(calls, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_source_behind_a_checkpoint_does_not_undo_it() {
    let source = Source::new(|_, at| match at {
        0 => vec![
            Ok(acople_core::Event::Batch(batch(&[version("1", "a")]))),
            Ok(acople_core::Event::Checkpoint(cursor(1))),
            Err(Error::new(ErrorKind::Transient, "gone")),
        ],
        _ => vec![
            Ok(acople_core::Event::Batch(batch(&[version("2", "b")]))),
            Ok(acople_core::Event::Checkpoint(cursor(2))),
        ],
    });
    let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
    assert!(run(&source, &target, &store).await.error().is_some());
    let report = run(&source, &target, &store).await;
    assert!(report.is_success() && report.resumed);
    assert_eq!(target.calls(), ["1=a", "2=b"]);
}
