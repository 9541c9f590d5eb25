//! How long a run waits, for what, and when it gives up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use acople_core::{CancelToken, Context, Error, ErrorKind, Event, Outcome, QuarantineStore};
use acople_sync::End;
use acople_testkit::memory::MemoryStore;
use tokio::time::Instant;

use crate::world::{Source, Target, batch, cursor, job, ok, run, version};

fn one() -> Arc<Source> {
    Source::of(vec![vec![version("1", "a"), version("2", "b")]])
}

#[tokio::test(start_paused = true)]
async fn rate_04_a_wait_of_days_is_not_slept_but_told() {
    for report in [true, false] {
        let target = Target::new(move |_, sent| {
            let error = || {
                Error::new(ErrorKind::RateLimited, "not now").with_retry_after(Duration::from_secs(864_000))
            };
            if report { Ok(sent.iter().map(|_| Outcome::refused(error())).collect()) } else { Err(error()) }
        });
        let began = Instant::now();
        let report = run(&one(), &target, &Arc::new(MemoryStore::new())).await;
        let error = report.error().unwrap();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::RateLimited, Some(Duration::from_secs(864_000)))
        );
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_minutes_is_slept_unless_the_hosts_deadline_comes_first() {
    let busy = || {
        Target::new(|call, sent| match call {
            0 => {
                Err(Error::new(ErrorKind::RateLimited, "not now").with_retry_after(Duration::from_secs(300)))
            }
            _ => Ok(ok(sent)),
        })
    };
    let target = busy();
    assert!(run(&one(), &target, &Arc::new(MemoryStore::new())).await.is_success());
    let began = Instant::now();
    let store = Arc::new(MemoryStore::new());
    let job = job(&one(), &busy(), &store).build().unwrap();
    let deadline = began + Duration::from_secs(60);
    let report = job.run(&Context::new().with_deadline(deadline.into_std()), &()).await.unwrap();
    assert_eq!(report.error().unwrap().kind(), ErrorKind::RateLimited);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn page_14_a_record_that_never_gets_through_is_set_aside_when_others_do() {
    let target = Target::new(|_, sent| {
        let locked = |s: &String| {
            if s.starts_with("2=") {
                Outcome::refused(Error::new(ErrorKind::Transient, "row is locked"))
            } else {
                Outcome::accepted("x", None)
            }
        };
        Ok(sent.iter().map(locked).collect())
    });
    let store = Arc::new(MemoryStore::new());
    let source = Source::of(vec![
        vec![version("1", "a"), version("2", "b"), version("3", "c")],
        vec![version("4", "d"), version("2", "e")],
    ]);
    let report = run(&source, &target, &store).await;
    assert!(matches!(report.end, End::Complete), "{:?}", report.end);
    assert_eq!((report.totals.synced, report.totals.refused), (3, 2));
    assert_eq!(store.list(None, None, 9).await.unwrap()[0].error.kind(), ErrorKind::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_pauses_the_run_and_puts_nothing_aside() {
    let down = || Error::new(ErrorKind::Transient, "down");
    let unknown = || Error::new(ErrorKind::Timeout, "no answer").with_unknown_outcome();
    for (nth, fails) in [down(), unknown()].into_iter().enumerate() {
        // Whole calls fail; or the first record gets through, and then it goes down.
        for first in [true, false] {
            let error = fails.copy();
            let target = Target::new(move |call, sent| match (call, first) {
                (0, true) => Ok(sent
                    .iter()
                    .enumerate()
                    .map(|(n, _)| match n {
                        0 => Outcome::accepted("x", None),
                        _ => Outcome::from_call_error(&error),
                    })
                    .collect()),
                _ => Err(error.copy()),
            });
            let store = Arc::new(MemoryStore::new());
            let report = run(&one(), &target, &store).await;
            let kind = [ErrorKind::Transient, ErrorKind::Timeout][nth];
            assert_eq!(report.error().unwrap().kind(), kind);
            assert_eq!((target.calls().len(), store.count(None).await.unwrap()), (3, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_call_that_is_not_allowed_stops_the_run_and_puts_nothing_aside() {
    for kind in [ErrorKind::Permission, ErrorKind::NotFound, ErrorKind::Reauth, ErrorKind::Config] {
        let target = Target::new(move |_, _| Err(Error::new(kind, "no")));
        let store = Arc::new(MemoryStore::new());
        let report = run(&one(), &target, &store).await;
        assert_eq!(report.error().unwrap().kind(), kind);
        assert_eq!((target.calls().len(), store.count(None).await.unwrap()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn state_12_a_batch_that_outlasts_the_grace_is_given_up_and_the_run_is_cancelled() {
    let target = Target::new(|_, _| {
        Err(Error::new(ErrorKind::RateLimited, "not now").with_retry_after(Duration::from_secs(600)))
    });
    let (source, store) = (one(), Arc::new(MemoryStore::new()));
    let job = job(&source, &target, &store).grace(Duration::from_secs(5)).build().unwrap();
    let cancel = CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let began = Instant::now();
    let (report, ()) = tokio::join!(job.run(&cx, &()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    let report = report.unwrap();
    assert!(matches!(report.end, End::Cancelled), "{:?}", report.end);
    assert_eq!((began.elapsed(), report.warnings.len()), (Duration::from_secs(6), 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_before_it_began_asks_for_nothing() {
    let (source, target, store) = (one(), Target::new(|_, sent| Ok(ok(sent))), Arc::new(MemoryStore::new()));
    let cancel = CancelToken::new();
    cancel.cancel();
    let job = job(&source, &target, &store).build().unwrap();
    let report = job.run(&Context::new().with_cancel(cancel), &()).await.unwrap();
    assert!(matches!(report.end, End::Cancelled));
    assert_eq!((source.pulled.load(Ordering::SeqCst), target.calls().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_source_of_checkpoints_without_records_is_not_read_ahead_without_end() {
    let source = Source::new(|_, _| {
        let mut events = vec![Ok(Event::Batch(batch(&[version("1", "a")])))];
        events.extend((1..5000).map(|n| Ok(Event::Checkpoint(cursor(n)))));
        events
    });
    // While the one batch is written, for a minute, the source has five thousand events to tell.
    let pulled = source.pulled.clone();
    let target = Target::new(move |call, sent| {
        if call == 0 {
            return Err(
                Error::new(ErrorKind::RateLimited, "not now").with_retry_after(Duration::from_secs(60))
            );
        }
        let pulled = pulled.load(Ordering::SeqCst);
        assert!(pulled < 50, "{pulled} events were read ahead");
        Ok(ok(sent))
    });
    let store = Arc::new(MemoryStore::new());
    assert!(run(&source, &target, &store).await.is_success());
    assert_eq!(store.saves(), 5000, "each is committed all the same, in order");
}
