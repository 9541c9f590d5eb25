//! Runs: when they begin, what they are told, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{CancelToken, Context, ErrorKind, Priority, Result};
use acople_schedule::{CatchUp, Entry, Next, Schedule, Task};
use async_trait::async_trait;

use super::fixture::{Heard, START, Together, Work, builder, failure, run_for};

fn every(seconds: u64) -> Schedule {
    Schedule::every(Duration::from_secs(seconds)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_entry_runs_each_time_it_is_due() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let (quarterly, nightly, at_once) = (Work::new(&clock, 1), Work::new(&clock, 1), Work::new(&clock, 1));
    scheduler.add(Entry::new("quarterly", Schedule::default(), quarterly.clone())).await.unwrap();
    let midnight = Schedule::cron("0 1 * * *", "UTC").unwrap();
    scheduler.add(Entry::new("nightly", midnight, nightly.clone())).await.unwrap();
    scheduler.add(Entry::new("at once", every(3600), at_once.clone()).at_once()).await.unwrap();
    run_for(&scheduler, 3601).await;
    assert_eq!(quarterly.began(), [900.0, 1800.0, 2700.0, 3600.0]);
    assert_eq!(nightly.began(), [3600.0]);
    assert_eq!(at_once.began(), [0.0, 3600.0]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_never_overlaps_with_itself_and_its_rule_says_what_becomes_of_missed_runs() {
    // Each run takes two and a half periods.
    for (rule, expected, missed) in [
        (CatchUp::Skip, vec![100.0, 400.0, 700.0], vec![2, 2]),
        (CatchUp::Once, vec![100.0, 350.0, 600.0, 850.0], vec![]),
        (CatchUp::Each(1), vec![100.0, 350.0, 600.0, 850.0], vec![1, 2, 1]),
        (CatchUp::Each(9), vec![100.0, 350.0, 600.0, 850.0], vec![]),
    ] {
        let clock = Together::new();
        let heard = Arc::new(Heard::default());
        let scheduler = builder(&clock).observer(heard.clone()).build();
        let work = Work::new(&clock, 250);
        scheduler.add(Entry::new("slow", every(100), work.clone()).catch_up(rule)).await.unwrap();
        run_for(&scheduler, 940).await;
        assert_eq!(work.began(), expected, "{rule:?}");
        let told: Vec<_> = heard
            .0
            .lock()
            .unwrap()
            .iter()
            .filter_map(|line| line.split("missed ").nth(1)?.parse::<u32>().ok())
            .collect();
        assert_eq!(told, missed, "{rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_delays_within_its_bound_and_is_the_same_each_time() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let clock = Together::new();
        let scheduler = builder(&clock).build();
        let works: Vec<_> = (0..20).map(|_| Work::new(&clock, 0)).collect();
        for (n, work) in works.iter().enumerate() {
            let entry = Entry::new(format!("entry {n}"), every(600), work.clone());
            scheduler.add(entry.jitter(Duration::from_secs(60))).await.unwrap();
        }
        run_for(&scheduler, 1300).await;
        runs.push(works.iter().map(|work| work.began()).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
    let firsts: Vec<_> = runs[0].iter().map(|began| began[0]).collect();
    assert!(firsts.iter().all(|first| (600.0..660.0).contains(first)), "{firsts:?}");
    let spread = firsts.iter().filter(|first| (615.0..645.0).contains(*first)).count();
    assert!((4..=16).contains(&spread), "{firsts:?}");
    assert!(runs[0].iter().all(|began| began.len() == 2), "each due time once");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_told_for_whom_and_until_when_it_runs() {
    #[derive(Debug)]
    struct Looks;
    #[async_trait]
    impl Task for Looks {
        async fn run(&self, cx: &Context) -> Result<Next> {
            assert_eq!((cx.tenant(), cx.priority()), (Some("acme"), Priority::Batch));
            let left = cx.deadline().unwrap() - tokio::time::Instant::now().into_std();
            assert_eq!(left, Duration::from_secs(30));
            Ok(Next::Never)
        }
    }
    let clock = Together::new();
    let heard = Arc::new(Heard::default());
    let scheduler = builder(&clock).observer(heard.clone()).build();
    let entry = Entry::new("looks", every(10), Arc::new(Looks)).tenant("acme");
    scheduler.add(entry.time_limit(Duration::from_secs(30))).await.unwrap();
    run_for(&scheduler, 100).await;
    assert_eq!(*heard.0.lock().unwrap(), ["acme/looks started after 0", "acme/looks finished"]);
    assert!(scheduler.trigger("acme", "looks"));
    run_for(&scheduler, 1).await;
    assert_eq!(heard.count("finished"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_say_when_it_wants_to_run_again() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    // It pauses once, for 50 seconds.
    let work = Work::with(&clock, 1, |_, now| {
        let first = super::fixture::at(now) < 150.0;
        Ok(if first { Next::At(now + Duration::from_secs(50)) } else { Next::AsScheduled })
    });
    scheduler.add(Entry::new("pauses", every(100), work.clone())).await.unwrap();
    run_for(&scheduler, 350).await;
    assert_eq!(work.began(), [100.0, 151.0, 200.0, 300.0]);
}

#[tokio::test(start_paused = true)]
async fn failures_panics_and_endless_runs_are_told_and_harm_nobody_else() {
    #[derive(Debug)]
    struct Panics;
    #[async_trait]
    impl Task for Panics {
        async fn run(&self, _: &Context) -> Result<Next> {
            panic!("as it is meant to")
        }
    }
    let clock = Together::new();
    let heard = Arc::new(Heard::default());
    let scheduler = builder(&clock).observer(heard.clone()).build();
    let good = Work::new(&clock, 0);
    let fails = Work::with(&clock, 0, |_, _| Err(failure()));
    let waits = Work::with(&clock, 0, |_, _| Err(failure().with_retry_after(Duration::from_secs(250))));
    let endless = Work::new(&clock, 1_000_000);
    scheduler.add(Entry::new("good", every(100), good.clone())).await.unwrap();
    scheduler.add(Entry::new("fails", every(100), fails.clone())).await.unwrap();
    scheduler.add(Entry::new("waits", every(100), waits.clone())).await.unwrap();
    scheduler.add(Entry::new("panics", every(100), Arc::new(Panics))).await.unwrap();
    let entry = Entry::new("endless", every(100), endless.clone()).time_limit(Duration::from_secs(90));
    scheduler.add(entry).await.unwrap();
    run_for(&scheduler, 450).await;
    assert_eq!(good.began(), [100.0, 200.0, 300.0, 400.0]);
    assert_eq!(fails.began(), [100.0, 200.0, 300.0, 400.0]);
    assert_eq!(waits.began(), [100.0, 350.0]);
    assert_eq!(endless.began(), [100.0, 250.0, 400.0]);
    assert_eq!(heard.count("/panics failed: the task panicked"), 4);
    assert_eq!(heard.count("/endless failed: the task ran over its time limit"), 2);
    assert_eq!(heard.count("/fails failed: the vendor is down"), 4);
}

#[tokio::test(start_paused = true)]
async fn entries_come_and_go_while_the_scheduler_runs() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let (first, second) = (Work::new(&clock, 60), Work::new(&clock, 1));
    let handle = scheduler.clone();
    let change = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        handle.add(Entry::new("job", every(100), first.clone())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(110)).await;
        // It is running: the new one does not wait for it, its run goes on, and it does not come again.
        handle.add(Entry::new("job", every(50), second.clone())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(handle.remove("", "job").await.unwrap());
        assert!(!handle.remove("", "job").await.unwrap());
        assert!(!handle.trigger("", "job"));
    };
    tokio::join!(run_for(&scheduler, 500), change);
    assert_eq!(first.began(), [100.0]);
    assert_eq!(second.began(), [150.0, 200.0]);
}

#[tokio::test(start_paused = true)]
async fn triggering_a_running_entry_runs_it_once_more_afterwards() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let work = Work::new(&clock, 40);
    scheduler.add(Entry::new("job", Schedule::by_hand(), work.clone())).await.unwrap();
    let handle = scheduler.clone();
    let change = async {
        for _ in 0..3 {
            handle.trigger("", "job");
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    tokio::join!(run_for(&scheduler, 500), change);
    assert_eq!(work.began(), [0.0, 40.0]);
}

#[tokio::test(start_paused = true)]
async fn cancelling_lets_runs_end_and_begins_none() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let work = Work::with(&clock, 60, |cx, _| cx.ensure_live().map(|()| Next::AsScheduled));
    scheduler.add(Entry::new("job", every(100), work.clone())).await.unwrap();
    scheduler.add(Entry::new("later", every(120), work.clone())).await.unwrap();
    let cancel = CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let stop = async {
        tokio::time::sleep(Duration::from_secs(105)).await;
        cancel.cancel();
    };
    let before = tokio::time::Instant::now();
    let (ended, ()) = tokio::join!(scheduler.run(&cx), stop);
    ended.unwrap();
    assert_eq!(before.elapsed().as_secs(), 160);
    assert_eq!(work.began(), [100.0]);
}

#[tokio::test(start_paused = true)]
async fn a_host_with_a_scheduler_of_its_own_asks_for_what_is_due() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let work = Work::new(&clock, 5);
    scheduler.add(Entry::new("job", every(100), work.clone())).await.unwrap();
    let cx = Context::new();
    let next = scheduler.run_due(&cx).await.unwrap().unwrap();
    assert!(work.began().is_empty());
    assert_eq!(vec![super::fixture::at(next)], [100.0]);
    tokio::time::sleep(Duration::from_secs(130)).await;
    let next = scheduler.run_due(&cx).await.unwrap().unwrap();
    assert_eq!((work.began(), super::fixture::at(next)), (vec![130.0], 200.0));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_runs_once_at_a_time() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let cx = Context::new();
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scheduler.clone().run(&cx).await.unwrap_err()
    };
    let ((), error) = tokio::join!(run_for(&scheduler, 10), second);
    assert_eq!(error.kind(), ErrorKind::Config);
    // The first was dropped: there may be another.
    run_for(&scheduler, 10).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_dropped_is_due_again() {
    let clock = Together::new();
    let scheduler = builder(&clock).build();
    let work = Work::new(&clock, 50);
    scheduler.add(Entry::new("job", every(100), work.clone())).await.unwrap();
    run_for(&scheduler, 120).await;
    run_for(&scheduler, 60).await;
    assert_eq!(work.began(), [100.0, 120.0]);
    assert_eq!(START % 100, 0, "the periods of these tests begin at the start");
}

#[tokio::test(start_paused = true)]
async fn within_a_tenant_priority_goes_first_and_nothing_starves() {
    let clock = Together::new();
    let scheduler = builder(&clock).slots(1).patience(Duration::from_secs(100)).build();
    let (urgent, humble) = (Work::new(&clock, 10), Work::new(&clock, 10));
    // Urgent work fills the only slot.
    for n in 0..4 {
        let entry = Entry::new(format!("urgent {n}"), every(40), urgent.clone());
        scheduler.add(entry.priority(2)).await.unwrap();
    }
    scheduler.add(Entry::new("humble", every(40), humble.clone())).await.unwrap();
    run_for(&scheduler, 1000).await;
    let began = humble.began();
    assert!((240.0..=290.0).contains(&began[0]), "two steps of 100 s after it was due: {began:?}");
    assert!(began.len() >= 3, "{began:?}");
}
