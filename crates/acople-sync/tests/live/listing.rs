//! What is gone at the source: told by a complete listing and by no other, and deleted within a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::{
    CheckpointStore, Context, Deletes, Error, ErrorKind, Listing, Mapped, Mapper, QuarantineStore, ReadMode,
    Result, StateKey, WriteMode,
};
use acople_sync::{DeleteLimit, End, PauseCause};
use acople_testkit::memory::MemoryStore;

use crate::world::{System, job, mirror, run};

fn invisible(id: &'static str) -> System {
    System::keyed(id).with_stream(|stream| stream.deletes(Deletes::Invisible))
}

#[tokio::test(start_paused = true)]
async fn page_10_what_a_complete_listing_does_not_have_any_longer_is_deleted() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..10);
    to.data().set("theirs", "own");
    let job = mirror(&from, &to, &store).build().unwrap();
    assert!(run(&job).await.is_success());
    for id in ["002", "005", "009"] {
        from.data().remove(id);
    }
    from.data().set("010", "late");
    let report = run(&job).await;
    assert!(report.is_success(), "{report:?}");
    let deletions = report.deletions.unwrap();
    assert_eq!((deletions.gone, deletions.known, report.totals.deleted), (3, 11, 3));
    from.data().set("theirs", "own");
    assert_eq!(to.shows(), from.shows(), "what others have put there stays");
    // One that comes back is there again, and the next listing finds nothing gone.
    from.data().set("002", "again");
    from.data().remove("theirs");
    to.data().remove("theirs");
    let report = run(&job).await;
    assert_eq!((report.totals.deleted, report.deletions.unwrap().gone), (0, 0));
    assert_eq!(to.shows(), from.shows());
}

#[tokio::test(start_paused = true)]
async fn page_10_a_listing_that_breaks_off_deletes_nothing_and_neither_does_its_second_half() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..12);
    let job = mirror(&from, &to, &store).build().unwrap();
    run(&job).await;
    from.data().remove("001");
    let pages = Arc::new(AtomicUsize::new(0));
    from.before_page(move |_| match pages.fetch_add(1, Ordering::SeqCst) {
        2 => Err(Error::new(ErrorKind::Transient, "gone")),
        _ => Ok(()),
    });
    let broken = run(&job).await;
    assert!(
        matches!(broken.end, End::Paused { cause: PauseCause::Outage, .. }) && broken.deletions.is_none()
    );
    let rest = run(&job).await;
    assert!(rest.is_success() && rest.resumed && rest.deletions.is_none());
    assert!(rest.warnings.iter().any(|w| w.contains("not proven")), "{:?}", rest.warnings);
    assert!(to.shows().contains(&"001=new".to_owned()));
    assert_eq!(run(&job).await.totals.deleted, 1, "the next listing in one piece tells");
    assert_eq!(to.shows(), from.shows());
}

/// Leaves out and refuses by value.
#[derive(Debug)]
struct Picky;

impl Mapper for Picky {
    fn map(&self, batch: &acople_core::Batch) -> Result<Mapped> {
        let mut mapped = Mapped::unchanged(batch);
        mapped.origins.clear();
        for (index, record) in batch.iter().enumerate() {
            if record.raw().contains("skip") {
                mapped.skipped += 1;
            } else if record.raw().contains("refuse") {
                let error = Error::new(ErrorKind::Schema, "no");
                mapped.refused.push(acople_core::Refusal { index, error });
            } else {
                mapped.origins.push(index);
            }
        }
        mapped.batch = batch.select(mapped.origins.iter().copied());
        Ok(mapped)
    }
}

#[tokio::test(start_paused = true)]
async fn page_10_a_record_that_is_listed_and_refused_or_left_out_is_not_gone() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..6);
    let job = mirror(&from, &to, &store).mapper(Arc::new(Picky)).tolerate(9).build().unwrap();
    run(&job).await;
    from.data().set("001", "refuse");
    from.data().set("002", "skip");
    let report = run(&job).await;
    assert_eq!((report.totals.refused, report.totals.skipped, report.totals.deleted), (1, 1, 0));
    assert_eq!(to.shows(), ["000=new", "001=new", "002=new", "003=new", "004=new", "005=new"]);
    // One that was only ever refused and is gone leaves the quarantine, or a replay would bring it back.
    from.data().set("new", "refuse");
    run(&job).await;
    from.data().remove("new");
    from.data().remove("001");
    assert_eq!(store.count(None).await.unwrap(), 2);
    let report = run(&job).await;
    assert_eq!((report.totals.deleted, store.count(None).await.unwrap()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn page_10_more_than_the_limit_pauses_with_counts_until_somebody_approves() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..10);
    let limit = DeleteLimit { share: 0.3, floor: 0 };
    let job = mirror(&from, &to, &store).delete_vanished(limit).build().unwrap();
    run(&job).await;
    assert_eq!(job.approve(&Context::new()).await.unwrap_err().kind(), ErrorKind::Conflict, "nothing waits");
    for id in ["000", "001", "002", "003"] {
        from.data().remove(id);
    }
    let asks = run(&job).await;
    let End::Paused { cause: PauseCause::Approval, until: None, error } = &asks.end else {
        panic!("{asks:?}")
    };
    assert!(error.message().contains("4 of 10 records (40 %)"), "{error}");
    assert_eq!((error.code(), to.shows().len()), (Some("delete_limit"), 10));
    let state = job.state(&Context::new()).await.unwrap().unwrap();
    assert_eq!(state.deletions.map(|d| (d.gone, d.known, d.approved)), Some((4, 10, false)));

    // Asked again without an answer it lists anew: the source may have been mended.
    from.data().set("000", "back");
    assert!(matches!(run(&job).await.end, End::Complete), "3 of 10 are within the limit");
    assert_eq!(to.shows(), from.shows());

    for id in ["004", "005", "006"] {
        from.data().remove(id);
    }
    assert!(matches!(run(&job).await.end, End::Paused { cause: PauseCause::Approval, .. }));
    let reads = from.data().reads.len();
    job.approve(&Context::new()).await.unwrap();
    let goes_on = run(&job).await;
    assert!(goes_on.is_success() && goes_on.resumed);
    assert_eq!((goes_on.totals.deleted, from.data().reads.len()), (3, reads), "nothing is read again");
    assert_eq!(to.shows(), from.shows());
}

#[tokio::test(start_paused = true)]
async fn state_01_deletions_that_were_interrupted_go_on_where_they_were() {
    for dies_after in 0..12 {
        let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
        from.fill(0..20);
        let job = mirror(&from, &to, &store).delete_vanished(DeleteLimit::NONE).build().unwrap();
        run(&job).await;
        for id in 0..15 {
            from.data().remove(&format!("{id:03}"));
        }
        // Every write to the store may be the last one of a process: its answer is lost, or it never happened.
        let writes = store.saves();
        let mut runs = 0;
        loop {
            runs += 1;
            let mut work = Box::pin(run(&job));
            let died = loop {
                match futures_util::future::poll_immediate(&mut work).await {
                    Some(report) => break !report.is_success(),
                    None if runs == 1 && store.saves() >= writes + dies_after => break true,
                    None => tokio::time::advance(std::time::Duration::from_millis(1)).await,
                }
            };
            drop(work);
            if !died {
                break;
            }
            assert!(runs < 5, "it comes to an end");
        }
        // A listing that was interrupted proves nothing: the one after it does.
        run(&job).await;
        assert_eq!(to.shows(), from.shows(), "after {dies_after} writes");
        assert_eq!(store.count(None).await.unwrap(), 0, "deleting twice is no failure");
    }
}

#[tokio::test(start_paused = true)]
async fn page_10_keys_are_scanned_for_deletions_that_are_not_visible_and_the_cursor_stays() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..10);
    let limit = DeleteLimit { share: 0.5, floor: 0 };
    let job = job(&from, &to, &store).delete_vanished(limit).build().unwrap();
    run(&job).await;
    from.data().remove("003");
    from.data().set("004", "changed");
    from.data().set("new", "not here yet");
    let scan = run(&job.key_scan()).await;
    assert!(scan.is_success(), "{scan:?}");
    assert_eq!((scan.totals.deleted, scan.totals.synced, scan.mode), (1, 1, ReadMode::Full));
    assert!(!to.shows().contains(&"004=changed".to_owned()), "a scan brings nothing");
    let report = run(&job).await;
    assert_eq!(report.totals.processed, 2, "the incremental run goes on where it was");
    assert_eq!(to.shows(), from.shows());
    // The limit holds for scans, too, and the approval of a scan does not outlive a run that reads.
    for id in 4..10 {
        from.data().remove(&format!("{id:03}"));
    }
    assert!(matches!(run(&job.key_scan()).await.end, End::Paused { cause: PauseCause::Approval, .. }));
    run(&job).await;
    assert!(job.approve(&Context::new()).await.is_err(), "what it asked about is another thing by now");
    run(&job.key_scan()).await;
    job.key_scan().approve(&Context::new()).await.unwrap();
    assert!(run(&job.key_scan()).await.is_success());
    assert_eq!(to.shows(), from.shows());
}

#[tokio::test(start_paused = true)]
async fn state_09_a_scan_beside_a_run_is_fenced_before_it_deletes() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..10);
    let job = job(&from, &to, &store).delete_vanished(DeleteLimit::NONE).build().unwrap();
    run(&job).await;
    from.data().remove("001");
    let beside = job.clone();
    let started = AtomicUsize::new(0);
    let other = Arc::new(std::sync::Mutex::new(None));
    // Between two pages of the scan another process runs the job and commits.
    let scan = job.key_scan();
    let mut work = Box::pin(run(&scan));
    let report = loop {
        match futures_util::future::poll_immediate(&mut work).await {
            Some(report) => break report,
            None if started.fetch_add(1, Ordering::SeqCst) == 2 => {
                from.data().set("late", "listed by nobody");
                *other.lock().unwrap() = Some(run(&beside).await);
            }
            None => tokio::task::yield_now().await,
        }
    };
    assert!(other.lock().unwrap().take().unwrap().is_success());
    assert_eq!(report.error().unwrap().kind(), ErrorKind::Fenced);
    assert_eq!(to.shows().len(), 11, "nothing is deleted");
    assert!(run(&scan).await.is_success());
    assert_eq!(to.shows(), from.shows());
}

#[tokio::test(start_paused = true)]
async fn page_10_an_interrupted_run_comes_to_its_end_before_keys_are_scanned() {
    let (from, to, store) = (invisible("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..9);
    to.before_write(|data| match data.calls {
        2 => Err(Error::new(ErrorKind::Reauth, "connect again")),
        _ => Ok(()),
    });
    let job = job(&from, &to, &store).delete_vanished(DeleteLimit::NONE).build().unwrap();
    run(&job).await;
    let refused = job.key_scan().run(&Context::new(), &()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(run(&job).await.resumed);
    assert!(run(&job.key_scan()).await.is_success());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_tell_deletions_is_named_before_anything_is_read() {
    let store = Arc::new(MemoryStore::new());
    let to = System::keyed("b");
    let full = |from: &System, to: &System| mirror(from, to, &store).build().unwrap();
    let cannot = [
        full(&System::keyed("a").with_stream(|s| s.key([])), &to),
        full(&System::keyed("a").with_stream(|s| s.listing(Listing::Shifting)), &to),
        full(&System::keyed("a"), &System::new("b", &[WriteMode::Upsert])),
    ];
    for job in cannot {
        let error = job.run(&Context::new(), &()).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["delete_vanished".to_owned()][..]));
    }
    let without = acople_sync::Job::builder("x")
        .source(Arc::new(to.clone()), "things")
        .destination(Arc::new(to.clone()), "things")
        .store(store.clone())
        .delete_vanished(DeleteLimit::default())
        .build();
    assert_eq!(without.unwrap_err().fields(), ["links"]);
    assert!(store.load(&StateKey::new("copy", "things")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn page_10_tombstones_undeletions_and_merges_arrive_and_are_counted() {
    let from = System::keyed("a").with_stream(|stream| stream.merged_into("master"));
    let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..6);
    let job = job(&from, &to, &store).build().unwrap();
    run(&job).await;
    from.data().remove("001");
    from.data().remove("002");
    assert_eq!(run(&job).await.totals.deleted, 2);
    from.data().set("001", "undeleted");
    let report = run(&job).await;
    assert_eq!((report.totals.deleted, report.totals.synced), (0, 1));
    assert_eq!(to.shows(), from.shows());
    // A tombstone that names its successor.
    from.data().merge("003", "004");
    let report = run(&job).await;
    assert_eq!((report.totals.deleted, report.totals.merged), (1, 1));
    assert_eq!(to.shows(), from.shows());
}

#[tokio::test(start_paused = true)]
async fn the_four_modes_of_a_stream() {
    // Append: a second full run adds everything again.
    let log = System::new("log", &[WriteMode::Insert]).with_own_ids();
    let (from, store) = (invisible("a"), Arc::new(MemoryStore::new()));
    from.fill(0..4);
    let append = acople_sync::Job::builder("append")
        .source(Arc::new(from.clone()), "things")
        .destination(Arc::new(log.clone()), "things")
        .store(store.clone())
        .mode(ReadMode::Full)
        .write(WriteMode::Insert)
        .build()
        .unwrap();
    run(&append).await;
    run(&append).await;
    assert_eq!(log.shows().len(), 8);

    // Full without deletions, with them, and incremental.
    let to = System::keyed("b");
    let refresh = job(&from, &to, &store).mode(ReadMode::Full).build().unwrap();
    run(&refresh).await;
    from.data().remove("001");
    from.data().set("002", "changed");
    run(&refresh).await;
    assert_eq!(to.shows(), ["000=new", "001=new", "002=changed", "003=new"]);
    let snapshot = job(&from, &to, &store).mode(ReadMode::Full).delete_vanished(DeleteLimit::default());
    run(&snapshot.build().unwrap()).await;
    assert_eq!(to.shows(), from.shows());
    let changes = job(&from, &to, &store).build().unwrap();
    run(&changes).await;
    from.data().set("003", "changed");
    assert_eq!(run(&changes).await.totals.processed, 1);
    assert_eq!(to.shows(), from.shows());
}
