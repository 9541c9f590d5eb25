//! Several versions of one record in one batch: the last one counts, whatever happens to the others.

use std::sync::Arc;

use acople_core::{
    Batch, Context, Error, ErrorKind, Mapped, Mapper, Outcome, QuarantineStore, Refusal, Result, WriteMode,
};
use acople_testkit::memory::MemoryStore;

use crate::world::{Source, Target, gone, job, ok, run, version};

fn invalid() -> Outcome {
    Outcome::refused(Error::new(ErrorKind::Invalid, "no good"))
}

fn locked() -> Outcome {
    Outcome::refused(Error::new(ErrorKind::Transient, "row is locked"))
}

#[tokio::test(start_paused = true)]
async fn an_old_version_that_is_late_does_not_undo_a_newer_one() {
    let source = Source::of(vec![vec![version("1", "old"), version("2", "x"), version("1", "new")]]);
    let target = Target::new(|call, sent| {
        let mut outcomes = ok(sent);
        if call == 0 {
            outcomes[0] = locked();
        }
        Ok(outcomes)
    });
    let report = run(&source, &target, &Arc::new(MemoryStore::new())).await;
    assert!(report.is_success());
    assert_eq!(target.kept("1").as_deref(), Some("new"));
    assert_eq!(target.calls(), ["1=old 2=x 1=new", "1=old 1=new"], "the newer one goes along");
    assert_eq!((report.totals.processed, report.totals.synced), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn inserts_are_not_sent_along() {
    let source = Source::of(vec![vec![version("1", "a"), version("1", "b")]]);
    let target = Target::new(|call, sent| {
        let mut outcomes = ok(sent);
        if call == 0 {
            outcomes[0] = locked();
        }
        Ok(outcomes)
    });
    let store = Arc::new(MemoryStore::new());
    let job = job(&source, &target, &store).write(WriteMode::Insert).build().unwrap();
    assert!(job.run(&Context::new(), &()).await.unwrap().is_success());
    assert_eq!(target.calls(), ["1=a 1=b", "1=a"]);
}

#[tokio::test(start_paused = true)]
async fn upserts_and_deletions_of_one_record_keep_their_order() {
    let versions = vec![
        version("1", "a"),
        gone("1"),
        version("1", "b"),
        version("2", "a"),
        version("2", "b"),
        gone("2"),
    ];
    let source = Source::of(vec![versions]);
    // The first call of each kind fails for the moment.
    let target =
        Target::new(
            |call, sent| {
                if call % 2 == 0 { Ok(sent.iter().map(|_| locked()).collect()) } else { Ok(ok(sent)) }
            },
        );
    let report = run(&source, &target, &Arc::new(MemoryStore::new())).await;
    assert!(report.is_success());
    assert_eq!((target.kept("1").as_deref(), target.kept("2")), (Some("b"), None));
}

#[tokio::test(start_paused = true)]
async fn a_refused_version_with_an_accepted_one_behind_it_in_the_batch_is_not_left_to_be_replayed() {
    let source = Source::of(vec![vec![version("1", "bad"), version("1", "good")]]);
    let target = Target::new(|_, sent| {
        Ok(sent.iter().map(|s| if s == "1=bad" { invalid() } else { ok(sent).remove(0) }).collect())
    });
    let store = Arc::new(MemoryStore::new());
    let report = run(&source, &target, &store).await;
    assert_eq!((report.totals.synced, report.totals.refused), (1, 1));
    assert_eq!(store.count(None).await.unwrap(), 0, "replaying it would undo the newer one");

    let source = Source::of(vec![vec![version("1", "good"), version("1", "bad")]]);
    run(&source, &target, &Arc::new(MemoryStore::new())).await;
    let store = Arc::new(MemoryStore::new());
    run(&source, &target, &store).await;
    assert!(
        store.list(None, None, 9).await.unwrap()[0].record.contains("bad"),
        "the newer one is the refused one"
    );
}

/// Refuses what says so.
#[derive(Debug)]
struct Picky;

impl Mapper for Picky {
    fn map(&self, batch: &Batch) -> Result<Mapped> {
        let bad = |index: &usize| batch.get(*index).unwrap().raw().contains("unfit");
        let (refused, origins): (Vec<_>, Vec<_>) = (0..batch.len()).partition(bad);
        let refusal = |index| Refusal { index, error: Error::new(ErrorKind::Schema, "unfit") };
        let mut mapped = Mapped::unchanged(batch);
        mapped.batch = batch.select(origins.iter().copied());
        mapped.origins = origins;
        mapped.refused = refused.into_iter().map(refusal).collect();
        Ok(mapped)
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_refused_versions_the_later_one_is_kept_wherever_each_was_refused() {
    for (first, second) in [("unfit", "bad"), ("bad", "unfit")] {
        let source = Source::of(vec![vec![version("1", first), version("1", second)]]);
        let target = Target::new(|_, sent| Ok(sent.iter().map(|_| invalid()).collect()));
        let store = Arc::new(MemoryStore::new());
        let job = job(&source, &target, &store).mapper(Arc::new(Picky)).build().unwrap();
        let report = job.run(&Context::new(), &()).await.unwrap();
        assert_eq!(report.totals.refused, 2);
        let aside = store.list(None, None, 9).await.unwrap();
        assert_eq!(aside.len(), 1);
        assert!(aside[0].record.contains(second), "{first}, {second}: kept {}", aside[0].record);
        assert_eq!(aside[0].position, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn deletions_that_the_destination_cannot_do_are_set_aside_and_do_not_stop_the_run() {
    let source = Source::of(vec![vec![version("1", "a"), gone("2")], vec![version("3", "a")]]);
    let target = Target::able([WriteMode::Upsert], |_, sent| Ok(ok(sent)));
    let store = Arc::new(MemoryStore::new());
    let report = run(&source, &target, &store).await;
    assert!(report.error().is_none());
    assert_eq!((report.totals.synced, report.totals.refused), (2, 1));
    let aside = store.list(None, None, 9).await.unwrap();
    assert!(aside[0].deleted);
    assert_eq!(target.calls(), ["1=a", "3=a"]);
}

#[tokio::test(start_paused = true)]
async fn a_replayed_record_that_is_refused_again_keeps_its_run_and_position() {
    let bad = |sent: &Vec<String>| Ok(sent.iter().map(|_| invalid()).collect());
    let target = Target::new(move |_, sent| bad(sent));
    let store = Arc::new(MemoryStore::new());
    let first = run(&Source::of(vec![vec![version("1", "a")]]), &target, &store).await;
    let source = Source::of(vec![vec![version("1", "a")], vec![version("2", "b"), version("3", "c")]]);
    let second = run(&source, &target, &store).await;
    let job = job(&source, &target, &store).build().unwrap();
    assert_eq!(job.replay(&Context::new(), &(), |_| true).await.unwrap().refused, 3);
    let mut aside: Vec<_> = store.list(None, None, 9).await.unwrap();
    aside.sort_by(|a, b| a.record.cmp(&b.record));
    let places: Vec<_> = aside.iter().map(|q| (q.run.as_str(), q.position)).collect();
    assert_eq!(places, [(first.run.as_str(), 0), (second.run.as_str(), 0), (second.run.as_str(), 1)]);
}
