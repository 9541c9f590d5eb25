//! Random failures and deaths, over many seeds: nothing is lost, and no more is repeated than what lies behind
//! the last checkpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{CancelToken, Context, Error, ErrorKind, Event, Outcome, QuarantineStore};
use acople_testkit::memory::MemoryStore;
use futures_util::future::poll_immediate;

use crate::world::{Source, Target, batch, cursor, job, ok};

const IDS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const VALUES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "bad"];

type Record = (&'static str, &'static str, bool);

/// A history: batches, and after which of them there is a checkpoint.
fn history(random: &mut fastrand::Rng) -> Vec<(Vec<Record>, bool)> {
    (0..random.usize(1..12))
        .map(|_| {
            let records = (0..random.usize(0..8))
                .map(|_| {
                    let gone = random.u32(0..5) == 0;
                    (IDS[random.usize(..IDS.len())], VALUES[random.usize(..VALUES.len())], gone)
                })
                .collect();
            (records, random.u32(0..4) > 0)
        })
        .collect()
}

/// What must be at the destination in the end, and what in quarantine: the last good version of each record,
/// and the last version where that is a bad one.
fn expected(history: &[(Vec<Record>, bool)]) -> (BTreeMap<String, String>, u64) {
    let (mut kept, mut bad) = (BTreeMap::new(), BTreeMap::new());
    for (id, value, gone) in history.iter().flat_map(|(records, _)| records) {
        bad.insert(*id, !gone && *value == "bad");
        if *gone {
            kept.remove(*id);
        } else if *value != "bad" {
            kept.insert((*id).to_owned(), (*value).to_owned());
        }
    }
    (kept, bad.values().map(|bad| u64::from(*bad)).sum())
}

fn source(history: Vec<(Vec<Record>, bool)>) -> Arc<Source> {
    Source::new(move |_, at| {
        let mut events = Vec::new();
        for (n, (records, checkpoint)) in history.iter().enumerate().skip(at) {
            events.push(Ok(Event::Batch(batch(records))));
            if *checkpoint {
                events.push(Ok(Event::Checkpoint(cursor(n + 1))));
            }
        }
        events
    })
}

/// Fails at random: whole calls, single records, lost answers. A bad value is always refused.
fn target(random: &Arc<Mutex<fastrand::Rng>>, trouble: u32) -> Arc<Target> {
    let random = random.clone();
    Target::new(move |_, sent| {
        let mut random = random.lock().unwrap();
        let fault = if random.u32(0..10) < trouble { random.u32(0..4) } else { 9 };
        let transient = || Error::new(ErrorKind::Transient, "not now");
        if fault == 0 {
            return Err(transient());
        }
        if fault == 1 && random.u32(0..3) == 0 {
            return Err(Error::new(ErrorKind::Reauth, "connect again"));
        }
        let mut outcomes = ok(sent);
        for (record, outcome) in sent.iter().zip(&mut outcomes) {
            if record.ends_with("=bad") {
                *outcome = Outcome::refused(Error::new(ErrorKind::Invalid, "bad"));
            } else if fault == 2 && random.bool() {
                *outcome = Outcome::refused(transient());
            } else if fault == 3 && random.bool() {
                *outcome = Outcome::Unknown { error: Error::new(ErrorKind::Ambiguous, "lost") };
            }
        }
        Ok(outcomes)
    })
}

#[tokio::test(start_paused = true)]
async fn state_01_nothing_is_lost_and_little_repeated_whatever_dies_and_fails() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let history = history(&mut random);
        let (trouble, deaths) = (random.u32(0..5), random.usize(0..6));
        let shared = Arc::new(Mutex::new(random.fork()));
        let (source, target) = (source(history.clone()), target(&shared, trouble));
        let store = Arc::new(MemoryStore::new());
        // Enough tries, so that a record that fails for the moment is not set aside by bad luck.
        let job = job(&source, &target, &store).attempts(50).build().unwrap();
        for _ in 0..deaths {
            if random.u32(0..4) == 0 {
                store.fail_next_saves(random.usize(0..2));
            }
            if random.u32(0..4) == 0 {
                store.lose_next_answers(random.usize(0..2));
            }
            let cancel = CancelToken::new();
            let cx = Context::new().with_cancel(cancel.clone());
            let mut work = Box::pin(job.run(&cx, &()));
            // Killed after so many polls, or cancelled.
            let (polls, cancels) = (random.usize(0..60), random.u32(0..4) == 0);
            for n in 0..polls {
                if poll_immediate(work.as_mut()).await.is_some() {
                    break;
                }
                if cancels && n == polls / 2 {
                    cancel.cancel();
                }
                tokio::time::sleep(Duration::from_millis(random.u64(0..3000))).await;
            }
        }
        store.fail_next_saves(0);
        store.lose_next_answers(0);
        let mut report = job.run(&Context::new(), &()).await.unwrap();
        for _ in 0..200 {
            if report.error().is_none() {
                break;
            }
            report = job.run(&Context::new(), &()).await.unwrap();
        }
        assert!(report.error().is_none(), "seed {seed}: {:?}", report.error());
        let (kept, bad) = expected(&history);
        assert_eq!(*target.kept.lock().unwrap(), kept, "seed {seed}: {history:?}");
        assert_eq!(store.count(None).await.unwrap(), bad, "seed {seed}: {history:?}");
        let records: u64 = history.iter().map(|(records, _)| records.len() as u64).sum();
        if report.resumed || deaths == 0 {
            assert_eq!(report.totals.processed, records, "seed {seed}: each is counted once");
        }
        // No read began before the last checkpoint that was committed.
        let asked = source.asked.lock().unwrap();
        assert!(asked.windows(2).all(|pair| pair[0].1 <= pair[1].1), "seed {seed}: {asked:?}");
    }
}
