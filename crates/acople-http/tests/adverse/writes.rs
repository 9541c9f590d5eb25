//! Batches whose calls fail in every way.

use std::collections::HashSet;
use std::sync::Mutex;

use acople_core::{Batch, BatchLimits, Error, ErrorKind, Outcome};
use acople_http::{match_by_id, write_chunks};

fn batch(records: usize) -> Batch {
    Batch::from_records("things", (0..records).map(|n| format!(r#"{{"n":{n}}}"#))).unwrap()
}

fn accepted(part: &Batch) -> Vec<Outcome> {
    part.iter().map(|r| Outcome::accepted(r.raw(), None)).collect()
}

/// What the vendor made of the records, by their text.
#[derive(Default)]
struct World {
    written: HashSet<String>,
    perhaps: HashSet<String>,
}

#[tokio::test]
async fn write_04_every_record_has_one_honest_outcome_whatever_the_calls_do() {
    const KINDS: [ErrorKind; 10] = [
        ErrorKind::TooLarge,
        ErrorKind::Invalid,
        ErrorKind::Conflict,
        ErrorKind::NotFound,
        ErrorKind::Ambiguous,
        ErrorKind::Transient,
        ErrorKind::Reauth,
        ErrorKind::Permission,
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
    ];
    for seed in 0..3000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let records = random.usize(0..40);
        let batch = batch(records);
        let limits = BatchLimits { records: random.usize(0..12), bytes: random.usize(0..200) };
        let failures = random.u32(0..5);
        let (random, world) = (Mutex::new(random), Mutex::new(World::default()));
        let send = |part: Batch| {
            let (mut random, mut world) = (random.lock().unwrap(), world.lock().unwrap());
            assert!(!part.is_empty() && part.len() <= limits.records.max(1));
            let texts = || part.iter().map(|r| r.raw().to_owned());
            let result = if random.u32(0..8) < failures {
                let error = Error::new(KINDS[random.usize(..KINDS.len())], "no");
                // A call can fail for the moment, or with an answer that is too large, and yet have taken effect.
                let may =
                    [ErrorKind::Transient, ErrorKind::Timeout, ErrorKind::TooLarge, ErrorKind::Conflict];
                let open = may.contains(&error.kind()) && random.bool();
                let error = if open { error.with_unknown_outcome() } else { error };
                if !error.outcome_known() {
                    world.perhaps.extend(texts());
                }
                Err(error)
            } else if random.u32(0..12) == 0 {
                // An answer that lost count: all were written.
                world.perhaps.extend(texts());
                Ok(accepted(&part).into_iter().skip(1).collect())
            } else {
                world.written.extend(texts());
                Ok(accepted(&part))
            };
            async move { result }
        };
        let result = write_chunks(&batch, limits, send).await;
        let world = world.into_inner().unwrap();
        match result {
            Err(error) => {
                assert!(error.outcome_known(), "seed {seed}: {error:?}");
                assert!(
                    world.written.is_empty() && world.perhaps.is_empty(),
                    "seed {seed}: Err, yet written"
                );
            }
            Ok(report) => {
                assert_eq!(report.outcomes().len(), records, "seed {seed}");
                for (record, outcome) in batch.iter().zip(report.outcomes()) {
                    let (written, perhaps) =
                        (world.written.contains(record.raw()), world.perhaps.contains(record.raw()));
                    match outcome {
                        Outcome::Accepted { id, .. } => {
                            assert_eq!(id.as_deref(), Some(record.raw()), "seed {seed}: out of order");
                            assert!(written, "seed {seed}");
                        }
                        Outcome::Refused { .. } => assert!(!written && !perhaps, "seed {seed}: {outcome:?}"),
                        Outcome::Unknown { .. } => assert!(perhaps, "seed {seed}: {outcome:?}"),
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_first_call_that_may_have_taken_effect_is_not_reported_as_nothing_written() {
    let send = |_: Batch| async { Err(Error::new(ErrorKind::Timeout, "no answer").with_unknown_outcome()) };
    let limits = BatchLimits { records: 2, bytes: 1 << 20 };
    let report = write_chunks(&batch(5), limits, send).await.unwrap();
    let unknown = report.outcomes().iter().filter(|o| matches!(o, Outcome::Unknown { .. })).count();
    assert_eq!(unknown, 2, "those of the call; the others were not sent");
    assert!(report.outcomes().iter().all(|o| o.error().unwrap().kind() == ErrorKind::Timeout));
}

#[tokio::test]
async fn a_part_whose_answer_could_not_be_read_is_not_halved_and_sent_again() {
    let calls = Mutex::new(0);
    let send = |_: Batch| {
        *calls.lock().unwrap() += 1;
        async { Err(Error::new(ErrorKind::TooLarge, "the answer is too large").with_unknown_outcome()) }
    };
    let limits = BatchLimits { records: 4, bytes: 1 << 20 };
    let report = write_chunks(&batch(8), limits, send).await.unwrap();
    assert!(report.outcomes().iter().all(|o| matches!(o, Outcome::Unknown { .. })));
    assert_eq!(calls.into_inner().unwrap(), 2);
}

#[test]
fn write_05_results_of_a_key_that_was_sent_twice_go_to_its_records_in_turn() {
    let results = || {
        [
            ("a", Outcome::accepted("1", None)),
            ("b", Outcome::accepted("2", None)),
            ("a", Outcome::refused(Error::new(ErrorKind::Conflict, "was just changed"))),
        ]
    };
    let outcomes = match_by_id(&["a", "a", "b"], results());
    assert!(outcomes[0].is_accepted() && outcomes[2].is_accepted());
    assert!(matches!(&outcomes[1], Outcome::Refused { .. }));
    let outcomes = match_by_id(&["a", "b", "b"], results());
    assert!(matches!(&outcomes[2], Outcome::Unknown { .. }), "one result is not two");
}
