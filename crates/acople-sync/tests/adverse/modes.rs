//! Full and incremental runs of one job.

use std::sync::Arc;

use acople_core::ReadMode::{Full, Incremental};
use acople_core::{Context, Error, ErrorKind, Event, ReadMode};
use acople_sync::Report;
use acople_testkit::memory::MemoryStore;

use crate::world::{Source, Target, batch, cursor, job, ok, version};

async fn run(source: &Arc<Source>, target: &Arc<Target>, store: &Arc<MemoryStore>, mode: ReadMode) -> Report {
    job(source, target, store).mode(mode).build().unwrap().run(&Context::new(), &()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_full_run_does_not_make_the_incremental_ones_start_over() {
    // Deletions are seen by incremental reads only: one that started over would never bring those that
    // happened in between.
    let source = Source::of(vec![vec![version("1", "a")], vec![version("2", "b")]]);
    let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
    for mode in [Incremental, Full, Full, Incremental, Full, Incremental] {
        assert!(run(&source, &target, &store, mode).await.is_success());
    }
    let asked = source.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [(Incremental, 0), (Full, 0), (Full, 0), (Incremental, 2), (Full, 0), (Incremental, 2)]
    );
}

#[tokio::test(start_paused = true)]
async fn state_14_a_full_run_that_was_interrupted_goes_on_and_keeps_its_counts() {
    let breaks = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let source = Source::new({
        let breaks = breaks.clone();
        move |_, at| {
            let mut events: Vec<_> = (at..4)
                .flat_map(|n| {
                    let page = Event::Batch(batch(&[version(["1", "2", "3", "4"][n], "x")]));
                    [Ok(page), Ok(Event::Checkpoint(cursor(n + 1)))]
                })
                .collect();
            if breaks.load(std::sync::atomic::Ordering::SeqCst) {
                events.truncate(5);
                events.push(Err(Error::new(ErrorKind::Transient, "gone")));
            }
            events
        }
    });
    let (target, store) = (Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
    run(&source, &target, &store, Incremental).await;
    let interrupted = run(&source, &target, &store, Full).await;
    assert!(interrupted.error().is_some() && !interrupted.resumed);
    breaks.store(false, std::sync::atomic::Ordering::SeqCst);
    let resumed = run(&source, &target, &store, Full).await;
    assert!(resumed.is_success() && resumed.resumed);
    assert_eq!(
        (resumed.run == interrupted.run, resumed.totals.processed, resumed.totals.synced),
        (true, 4, 4)
    );
    let again = run(&source, &target, &store, Full).await;
    assert_eq!((again.resumed, again.totals.processed, again.run == resumed.run), (false, 4, false));
    let asked = source.asked.lock().unwrap().clone();
    assert_eq!(asked, [(Incremental, 0), (Full, 0), (Full, 2), (Full, 0)]);
}
