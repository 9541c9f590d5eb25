//! Cursors that expire, resets, and states that travel.

use std::sync::Arc;

use acople_core::{CancelToken, CheckpointStore, Context, Error, ErrorKind, Generation, ReadMode, StateKey};
use acople_sync::{DeleteLimit, End, SchemaPolicy, export, import, state};
use acople_testkit::memory::MemoryStore;
use futures_util::future::poll_immediate;

use crate::world::{System, job, mirror, run};

#[tokio::test(start_paused = true)]
async fn page_05_an_expired_cursor_reads_anew_and_finds_what_was_deleted_meanwhile() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..10);
    let limit = DeleteLimit { share: 0.5, floor: 0 };
    let job = job(&from, &to, &store).delete_vanished(limit).build().unwrap();
    run(&job).await;
    from.data().set("001", "changed");
    from.data().remove("002");
    from.data().expire();
    from.data().set("003", "late");
    let report = run(&job).await;
    assert!(report.is_success(), "{report:?}");
    assert!(report.warnings.iter().any(|w| w.contains("cursor")), "{:?}", report.warnings);
    assert_eq!(report.totals.deleted, 1);
    assert_eq!(to.shows(), from.shows());
    assert_eq!(run(&job).await.totals.processed, 0, "and then it goes on from where it is");
}

#[tokio::test(start_paused = true)]
async fn page_05_without_an_identity_map_the_report_says_what_it_cannot_know() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..4);
    let job = job(&from, &to, &store).build().unwrap();
    run(&job).await;
    from.data().remove("002");
    from.data().expire();
    let report = run(&job).await;
    assert!(report.is_success());
    assert!(report.warnings.iter().any(|w| w.contains("deletions since")), "{:?}", report.warnings);
    assert_eq!(to.shows().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn page_05_a_source_that_always_says_expired_is_not_asked_for_ever() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..4);
    let job = job(&from, &to, &store).build().unwrap();
    run(&job).await;
    from.before_page(|_| Err(Error::new(ErrorKind::CursorExpired, "410")));
    let report = run(&job).await;
    assert!(matches!(&report.end, End::Stopped { error } if error.kind() == ErrorKind::CursorExpired));
    assert!(from.data().reads.len() <= 3);
}

/// One random life of a sync: edits between and during runs, cursors that expire, processes that die, saves that
/// fail or whose answers are lost. In the end nothing may be missing, old or left over.
async fn life(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..random.u32(0..12));
    let mode = if random.bool() { ReadMode::Incremental } else { ReadMode::Full };
    let job = job(&from, &to, &store).mode(mode).delete_vanished(DeleteLimit::NONE).build().unwrap();
    let edit = |data: &mut crate::world::Data, random: &mut fastrand::Rng| {
        let id = format!("{:03}", random.u32(0..14));
        match random.u32(0..10) {
            0..3 => data.remove(&id),
            3 if random.bool() => data.expire(),
            _ => data.set(&id, &random.u32(0..1_000).to_string()),
        }
    };
    let mut within = random.fork();
    from.before_page(move |data| {
        if within.u32(0..3) == 0 {
            edit(data, &mut within);
        }
        Ok(())
    });
    for _ in 0..random.usize(1..6) {
        for _ in 0..random.usize(0..6) {
            edit(&mut from.data(), &mut random);
        }
        if random.u32(0..4) == 0 {
            store.fail_next_saves(random.usize(0..3));
        }
        if random.u32(0..4) == 0 {
            store.lose_next_answers(random.usize(0..3));
        }
        let cancel = CancelToken::new();
        let cx = Context::new().with_cancel(cancel.clone());
        let mut work = Box::pin(job.run(&cx, &()));
        for polls in 0..random.usize(0..300) {
            if poll_immediate(&mut work).await.is_some() {
                break;
            }
            if polls == 150 && random.bool() {
                cancel.cancel();
            }
            tokio::time::advance(std::time::Duration::from_millis(100)).await;
        }
        // Dropped where it stands: the process is dead.
    }
    from.before_page(|_| Ok(()));
    store.fail_next_saves(0);
    store.lose_next_answers(0);
    // The first finishes what was left, the second is one in one piece.
    for _ in 0..2 {
        let report = run(&job).await;
        assert!(matches!(report.end, End::Complete), "seed {seed}: {report:?}");
    }
    if mode == ReadMode::Incremental {
        run(&job.key_scan()).await;
    }
    assert_eq!(to.shows(), from.shows(), "seed {seed}, {mode:?}");
}

#[tokio::test(start_paused = true)]
async fn state_13_a_change_never_loses_to_an_older_row_whatever_expires_dies_and_fails() {
    for seed in 0..1_000 {
        life(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn state_09_a_reset_forgets_one_stream_and_fences_the_run_at_work() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..9);
    let job = job(&from, &to, &store).build().unwrap();
    let neighbour = StateKey::new("copy", "others");
    store.save(&neighbour, Generation(0), b"theirs").await.unwrap();
    let mut reset = false;
    let mut work = Box::pin(run(&job));
    let report = loop {
        match poll_immediate(&mut work).await {
            Some(report) => break report,
            None => {
                if !reset && job.state(&Context::new()).await.unwrap().is_some() {
                    reset = true;
                    job.reset(&Context::new()).await.unwrap();
                }
            }
        }
    };
    assert_eq!(report.error().unwrap().kind(), ErrorKind::Fenced);
    assert!(job.state(&Context::new()).await.unwrap().is_none());
    assert!(store.load(&neighbour).await.unwrap().is_some());
    let anew = run(&job).await;
    assert_eq!((anew.totals.processed, anew.resumed), (9, false));
}

#[tokio::test(start_paused = true)]
async fn states_travel_to_another_store_and_go_on_there() {
    let (from, to) = (System::keyed("a"), System::keyed("b"));
    let (here, there) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    from.fill(0..9);
    run(&job(&from, &to, &here).build().unwrap()).await;
    let document = export(here.as_ref(), Some("copy")).await.unwrap();
    assert_eq!(document.keys().map(|key| key.stream.as_str()).collect::<Vec<_>>(), ["things"]);
    assert!(export(here.as_ref(), Some("other")).await.unwrap().keys().next().is_none());
    let text = serde_json::to_string(&document).unwrap();

    let document = serde_json::from_str(&text).unwrap();
    assert_eq!(import(there.as_ref(), &document, false, |_| true).await.unwrap(), 1);
    from.data().set("new", "x");
    let report = run(&job(&from, &to, &there).build().unwrap()).await;
    assert_eq!(report.totals.processed, 1, "it goes on where the other store was");
    let again = import(there.as_ref(), &document, false, |_| true).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(import(there.as_ref(), &document, true, |_| false).await.unwrap(), 0);
    assert_eq!(import(there.as_ref(), &document, true, |_| true).await.unwrap(), 1);
    assert_eq!(run(&job(&from, &to, &there).build().unwrap()).await.totals.processed, 1);
}

#[tokio::test(start_paused = true)]
async fn state_06_documents_that_are_newer_or_hold_no_state_are_refused_whole() {
    let store = Arc::new(MemoryStore::new());
    let (from, to) = (System::keyed("a"), System::keyed("b"));
    from.fill(0..3);
    run(&job(&from, &to, &store).build().unwrap()).await;
    let mut document = serde_json::to_value(export(store.as_ref(), None).await.unwrap()).unwrap();
    let target = Arc::new(MemoryStore::new());
    let into = async |document: &serde_json::Value| {
        let document = serde_json::from_value(document.clone()).unwrap();
        import(target.as_ref(), &document, false, |_| true).await.unwrap_err().kind()
    };
    let mut bad = document["states"][0].clone();
    bad["stream"] = "broken".into();
    bad["state"] = serde_json::json!({"version": 99});
    document["states"].as_array_mut().unwrap().push(bad);
    assert_eq!(into(&document).await, ErrorKind::Config);
    document["version"] = 2.into();
    assert_eq!(into(&document).await, ErrorKind::Config);
    assert!(target.keys(None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_state_says_what_it_is_and_has_a_hard_limit() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..3);
    let job = mirror(&from, &to, &store).schema_policy(SchemaPolicy::Evolve).build().unwrap();
    run(&job).await;
    let key = StateKey::new("copy", "things");
    let summary = state(store.as_ref(), &key).await.unwrap().unwrap();
    assert_eq!((summary.complete, summary.has_cursor, summary.mode), (true, true, ReadMode::Full));
    assert_eq!((summary.totals.processed, summary.schema_version), (3, Some(1)));
    assert!(summary.bytes < 2_000);
    assert!(state(store.as_ref(), &StateKey::new("copy", "nothing")).await.unwrap().is_none());

    // Field names that are longer than all that a state may hold.
    for n in 0..2_000 {
        let long = format!("{n}{}", "x".repeat(600));
        from.data().edit("000", &long, "1");
    }
    let report = run(&job).await;
    assert_eq!(report.error().unwrap().kind(), ErrorKind::TooLarge);
    let after = state(store.as_ref(), &key).await.unwrap().unwrap();
    assert_eq!(after.generation, summary.generation, "what was there before is whole");
}
