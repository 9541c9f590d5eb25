//! Records that fail: alone, and for the calls that they are in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_core::{
    Clock, Context, Error, ErrorKind, QuarantineStore, Quarantined, ReadMode, Stage, StateKey,
};
use acople_sync::{End, QuarantineFilter, StopRule};
use acople_testkit::FakeClock;
use acople_testkit::memory::MemoryStore;

use crate::world::whole_calls;
use crate::world::{System, job, run};

fn error_500() -> Error {
    Error::new(ErrorKind::Transient, "internal server error").with_status(500)
}

#[tokio::test(start_paused = true)]
async fn page_14_a_record_that_fails_its_whole_call_is_found_in_few_calls_and_set_aside() {
    for (poison, why) in [(1, error_500 as fn() -> Error), (1, || Error::new(ErrorKind::Invalid, "400"))]
        .into_iter()
        .chain([(3, error_500 as fn() -> Error)])
    {
        for at in [0, 1, 77, 98] {
            let (from, to, store) =
                (System::keyed("a").paged(100), System::keyed("b"), Arc::new(MemoryStore::new()));
            from.fill(0..100);
            let bad: Vec<String> = (0..poison).map(|n| format!("{:03}", (at + 33 * n) % 100)).collect();
            whole_calls(&to, bad.clone(), why);
            let job = job(&from, &to, &store).mode(ReadMode::Full).tolerate(3).build().unwrap();
            let report = run(&job).await;
            assert!(report.is_success(), "{report:?}");
            assert_eq!((report.totals.refused, report.totals.synced), (poison, 100 - poison));
            let aside: Vec<String> =
                store.list(None, None, 9).await.unwrap().into_iter().map(|q| q.record).collect();
            assert!(bad.iter().all(|id| aside.iter().any(|record| record.contains(id))), "{aside:?}");
            assert!(to.data().calls <= 3 + poison * 16, "{} calls for {poison}", to.data().calls);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn page_14_a_destination_that_fails_for_all_is_an_outage_and_costs_few_calls() {
    let (from, to, store) =
        (System::keyed("a").paged(1_000), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..1_000);
    to.before_write(|_| Err(error_500()));
    let job = job(&from, &to, &store).build().unwrap();
    let report = run(&job).await;
    assert!(matches!(report.end, End::Paused { .. }), "{report:?}");
    assert_eq!(store.count(None).await.unwrap(), 0, "no record is to blame");
    assert!(to.data().calls <= 3 + 13, "{} calls", to.data().calls);
}

#[tokio::test(start_paused = true)]
async fn page_14_many_bad_records_end_the_search_and_do_not_block_the_others() {
    let (from, to, store) = (System::keyed("a").paged(500), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..1_000);
    let bad: Vec<String> = (0..500).filter(|n| n % 2 == 1).map(|n| format!("{n:03}")).collect();
    whole_calls(&to, bad, error_500);
    let report = run(&job(&from, &to, &store).build().unwrap()).await;
    assert!(matches!(report.end, End::Complete));
    assert!(report.totals.refused >= 250 && report.totals.synced >= 500, "{:?}", report.totals);
    assert_eq!(
        report.totals.refused,
        store.count(None).await.unwrap(),
        "what was not reached can be replayed"
    );
    assert!(to.data().calls <= 3 + 64 + 1, "{} calls", to.data().calls);
}

#[tokio::test(start_paused = true)]
async fn write_04_an_older_version_is_never_written_after_a_newer_one_while_a_bad_record_is_searched() {
    // The feed of the source has one version a record; the batch here has two of some, through two ids of one.
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let versions: Vec<(String, String)> =
            (0..random.usize(2..40)).map(|n| (format!("{}", random.u32(0..8)), n.to_string())).collect();
        let poison = random.usize(..versions.len());
        let source = crate::world::fixed(&versions);
        let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
        crate::world::whole_calls_with(&to, versions[poison].1.clone(), error_500);
        let job = acople_sync::Job::builder("copy")
            .source(source, "things")
            .destination(Arc::new(to.clone()), "things")
            .store(store.clone())
            .mode(ReadMode::Full)
            .tolerate(1)
            .build()
            .unwrap();
        let report = run(&job).await;
        if versions.len() > 2 && report.is_success() {
            let mut newest = std::collections::BTreeMap::new();
            for (n, (id, value)) in versions.iter().enumerate() {
                if n != poison {
                    newest.insert(id.clone(), value.clone());
                }
            }
            let wanted: Vec<String> = newest.into_iter().map(|(id, value)| format!("{id}={value}")).collect();
            assert_eq!(to.shows(), wanted, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn page_14_too_many_refusals_in_a_row_stop_the_run_at_its_checkpoint() {
    let (from, to, store) = (System::keyed("a").paged(10), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..300);
    to.data().bad = (100..200).map(|n| format!("{n:03}")).collect();
    let rule = StopRule { window: 40, refused: 20 };
    let job = job(&from, &to, &store).mode(ReadMode::Full).stop_rule(rule).build().unwrap();
    let report = run(&job).await;
    let error = report.error().unwrap();
    assert!(matches!(report.end, End::Stopped { .. }));
    assert_eq!(error.code(), Some("too_many_refused"));
    assert!(error.message().contains("of 40 records"), "{error}");
    assert_eq!(
        (report.totals.processed, report.totals.refused),
        (130, 30),
        "at the checkpoint after the 21st"
    );
    assert_eq!(store.count(None).await.unwrap(), 30);
    // Mended, it goes on behind the checkpoint, and a replay brings the rest.
    to.data().bad.clear();
    let rest = run(&job).await;
    assert!(rest.resumed && matches!(rest.end, End::Complete));
    assert_eq!(job.replay(&Context::new(), &(), |_| true).await.unwrap().synced, 30);
    assert_eq!(to.shows().len(), 300);
}

#[tokio::test(start_paused = true)]
async fn page_14_refusals_that_are_rare_enough_stop_nothing() {
    let (from, to, store) = (System::keyed("a").paged(7), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..300);
    // Every tenth: 50 of the last 200 is never reached.
    to.data().bad = (0..30).map(|n| format!("{:03}", n * 10)).collect();
    let job = job(&from, &to, &store).stop_rule(StopRule::default()).build().unwrap();
    let report = run(&job).await;
    assert!(matches!(report.end, End::Complete));
    assert_eq!(report.totals.refused, 30);
}

#[tokio::test(start_paused = true)]
async fn page_14_attempts_are_counted_over_replays_and_a_filter_chooses() {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    let clock = Arc::new(FakeClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)));
    from.fill(0..6);
    to.data().bad = vec!["001".to_owned(), "004".to_owned()];
    let job = job(&from, &to, &store).clock(clock.clone()).build().unwrap();
    run(&job).await;
    let attempts = async || -> Vec<u32> {
        store.list(None, None, 9).await.unwrap().iter().map(|q| q.attempts).collect()
    };
    assert_eq!(attempts().await, [1, 1]);
    let code = |code: &str| QuarantineFilter { code: Some(code.to_owned()), ..Default::default() };
    let replay = async |filter: QuarantineFilter| {
        job.replay(&Context::new(), &(), |record| filter.matches(record)).await.unwrap().tried
    };
    assert_eq!(replay(code("OTHER")).await, 0);
    assert_eq!(replay(code("BAD")).await, 2);
    assert_eq!(attempts().await, [2, 2]);
    to.data().bad.pop();
    assert_eq!(replay(QuarantineFilter { max_attempts: Some(1), ..Default::default() }).await, 0);
    assert_eq!(replay(QuarantineFilter { stage: Some(Stage::Write), ..Default::default() }).await, 2);
    assert_eq!(attempts().await, [3]);
    assert_eq!(to.shows().len(), 5);
}

#[test]
fn a_filter_takes_what_all_of_it_says() {
    let clock = FakeClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(100));
    let record = Quarantined {
        id: "1".to_owned(),
        key: StateKey::new("copy", "things"),
        run: "run".to_owned(),
        position: 0,
        stage: Stage::Map,
        error: Error::new(ErrorKind::Schema, "no").with_code("E1"),
        record: "{}".to_owned(),
        deleted: false,
        attempts: 2,
        at: clock.now(),
    };
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let all = QuarantineFilter {
        stage: Some(Stage::Map),
        kind: Some(ErrorKind::Schema),
        code: Some("E1".to_owned()),
        stream: Some("things".to_owned()),
        since: at(100),
        before: at(101),
        max_attempts: Some(2),
    };
    assert!(QuarantineFilter::default().matches(&record) && all.matches(&record));
    let wrong = [
        QuarantineFilter { stage: Some(Stage::Write), ..all.clone() },
        QuarantineFilter { kind: Some(ErrorKind::Invalid), ..all.clone() },
        QuarantineFilter { code: Some("E2".to_owned()), ..all.clone() },
        QuarantineFilter { stream: Some("thing".to_owned()), ..all.clone() },
        QuarantineFilter { since: at(101), ..all.clone() },
        QuarantineFilter { before: at(100), ..all.clone() },
        QuarantineFilter { max_attempts: Some(1), ..all },
    ];
    assert!(wrong.iter().all(|filter| !filter.matches(&record)));
}
