//! What a scheduler remembers when its process ends.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{CheckpointStore, Generation, StateKey};
use acople_schedule::{CatchUp, Entry, Schedule};
use acople_testkit::memory::MemoryStore;

use super::fixture::{Heard, Together, Work, builder, run_for};

fn every(seconds: u64) -> Schedule {
    Schedule::every(Duration::from_secs(seconds)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn runs_that_were_missed_between_two_processes_are_made_up_for_by_rule() {
    for (rule, expected) in [
        (CatchUp::Skip, vec![100.0, 200.0, 1000.0]),
        (CatchUp::Once, vec![100.0, 200.0, 950.0, 1000.0]),
        (CatchUp::Each(2), vec![100.0, 200.0, 950.0, 951.0, 1000.0]),
    ] {
        let clock = Together::new();
        let store = Arc::new(MemoryStore::new());
        let work = Work::new(&clock, 1);
        let entry = || Entry::new("job", every(100), work.clone()).tenant("acme").catch_up(rule).at_once();
        let first = builder(&clock).store(store.clone()).build();
        // It is no new entry to the second process: nothing runs at once.
        first.add(Entry::new("job", every(100), work.clone()).tenant("acme")).await.unwrap();
        run_for(&first, 250).await;
        drop(first);
        tokio::time::sleep(Duration::from_secs(700)).await;
        let second = builder(&clock).store(store.clone()).build();
        second.add(entry()).await.unwrap();
        run_for(&second, 100).await;
        assert_eq!(work.began(), expected, "{rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_and_the_runs_go_on() {
    let clock = Together::new();
    let (store, heard) = (Arc::new(MemoryStore::new()), Arc::new(Heard::default()));
    let scheduler = builder(&clock).store(store.clone()).observer(heard.clone()).build();
    let work = Work::new(&clock, 1);
    scheduler.add(Entry::new("job", every(100), work.clone())).await.unwrap();
    store.fail_next_saves(1);
    run_for(&scheduler, 150).await;
    store.lose_next_answers(1);
    run_for(&scheduler, 200).await;
    assert_eq!(work.began(), [100.0, 200.0, 300.0]);
    assert_eq!(heard.count("not remembered: transient"), 2);
    let keys = store.keys(None).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert!(scheduler.remove("", "job").await.unwrap());
    assert!(store.keys(None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_memory_is_an_error_and_no_new_beginning() {
    let clock = Together::new();
    let store = Arc::new(MemoryStore::new());
    let key = StateKey::new("acople.schedule", "job");
    store.save(&key, Generation(0), b"{\"v\":1,\"last\":").await.unwrap();
    let scheduler = builder(&clock).store(store).build();
    let error = scheduler.add(Entry::new("job", every(100), Work::new(&clock, 1))).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(scheduler.next_due(), None);
}
