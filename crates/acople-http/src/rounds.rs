//! Writes to vendors that refuse a call in which a record comes twice.

use std::collections::HashMap;
use std::future::Future;

use acople_core::{Batch, BatchLimits, Error, ErrorKind, Outcome, Result, WriteReport};

use crate::write_chunks;

/// Writes a batch as [`write_chunks`] does, in rounds: records of one key never share a call, and go in the
/// order of the batch, so that the last one wins.
///
/// `keys` has an item for each record: by what the vendor knows it, in one spelling; `None` for a record that
/// is new whatever it holds; an error for one that is known beforehand to be unfit. Such a record is refused
/// with that error and never sent.
///
/// When a record may have to be sent again later (its outcome is open, or the vendor was too busy), nothing
/// of the later rounds is sent: an older record would overwrite a newer one otherwise.
///
/// # Errors
/// As [`write_chunks`]: `Err` only when nothing was written.
pub async fn write_keyed<F, Fut>(
    batch: &Batch,
    limits: BatchLimits,
    keys: impl IntoIterator<Item = Result<Option<String>>>,
    send: F,
) -> Result<WriteReport>
where
    F: Fn(Batch) -> Fut,
    Fut: Future<Output = Result<Vec<Outcome>>>,
{
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(batch.len());
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, key) in keys.into_iter().enumerate() {
        let round = match key {
            Ok(None) => 0,
            Ok(Some(key)) => *seen.entry(key).and_modify(|times| *times += 1).or_default(),
            Err(error) => {
                outcomes.push(Some(Outcome::refused(error)));
                continue;
            }
        };
        outcomes.push(None);
        if rounds.len() <= round {
            rounds.resize_with(round + 1, Vec::new);
        }
        if let Some(round) = rounds.get_mut(round) {
            round.push(index);
        }
    }
    let (mut sent, mut stopped) = (false, None::<Error>);
    for round in rounds {
        let written = match &stopped {
            Some(error) => Err(error.copy()),
            None => write_chunks(&batch.select(round.iter().copied()), limits, &send).await,
        };
        let results = match written {
            Ok(report) => report.into_outcomes(),
            Err(error) if !sent => return Err(error),
            Err(error) => {
                let results = round.iter().map(|_| Outcome::from_call_error(&error)).collect();
                stopped = Some(error);
                results
            }
        };
        sent = true;
        stopped = stopped.or_else(|| results.iter().filter_map(Outcome::error).find_map(unsettled));
        for (index, outcome) in round.into_iter().zip(results) {
            if let Some(place) = outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        }
    }
    WriteReport::new(batch.len(), outcomes.into_iter().flatten().collect())
}

/// The error for what comes after a record whose own error leaves open whether it will be sent again.
fn unsettled(error: &Error) -> Option<Error> {
    match error.kind() {
        // With its kind anew: what comes after is known not to have been sent.
        kind if error.is_retryable() => Some(error.copy().with_kind(kind)),
        _ if !error.outcome_known() => Some(error.copy().with_kind(ErrorKind::Transient)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits { records: 3, bytes: 1 << 20 };

    fn records(texts: &[&str]) -> Batch {
        Batch::from_records("things", texts).unwrap()
    }

    /// `"a1"` has the key `a`, `"-1"` none, and `"!"` is unfit.
    fn keys(batch: &Batch) -> Vec<Result<Option<String>>> {
        let key = |text: &str| match text.trim_matches('"').chars().next() {
            Some('!') => Err(Error::new(ErrorKind::Invalid, "unfit")),
            Some('-') => Ok(None),
            first => Ok(first.map(String::from)),
        };
        batch.iter().map(|record| key(record.raw())).collect()
    }

    /// The calls of a write, and its report; `answer` says what becomes of a record.
    async fn write(
        texts: &[&str],
        answer: impl Fn(&str) -> Result<Outcome>,
    ) -> (Vec<String>, Result<WriteReport>) {
        let (batch, calls) = (records(texts), Mutex::new(Vec::new()));
        let report = write_keyed(&batch, LIMITS, keys(&batch), |part| {
            let texts: Vec<String> = part.iter().map(|r| r.raw().trim_matches('"').to_owned()).collect();
            calls.lock().unwrap().push(texts.join(" "));
            let outcomes: Result<Vec<Outcome>> = texts.iter().map(|text| answer(text)).collect();
            async move { outcomes }
        })
        .await;
        (calls.into_inner().unwrap(), report)
    }

    fn accept(text: &str) -> Outcome {
        Outcome::accepted(text, None)
    }

    #[tokio::test]
    async fn a_key_that_comes_again_goes_into_a_later_call() {
        let texts = [r#""a1""#, r#""b1""#, r#""a2""#, r#""!""#, r#""-1""#, r#""a3""#, r#""-2""#];
        let (calls, report) = write(&texts, |text| Ok(accept(text))).await;
        assert_eq!(calls, ["a1 b1 -1", "-2", "a2", "a3"]);
        let report = report.unwrap();
        for (text, outcome) in texts.iter().zip(report.outcomes()) {
            match outcome {
                Outcome::Accepted { id, .. } => assert_eq!(id.as_deref(), Some(text.trim_matches('"'))),
                other => assert_eq!((*text, other.error().unwrap().kind()), (r#""!""#, ErrorKind::Invalid)),
            }
        }
    }

    #[tokio::test]
    async fn a_record_that_may_have_to_be_sent_again_holds_its_successors_back() {
        let no = |kind| Error::new(kind, "no");
        for (error, then) in [
            (no(ErrorKind::Ambiguous), Some(ErrorKind::Transient)),
            (no(ErrorKind::RateLimited), Some(ErrorKind::RateLimited)),
            (no(ErrorKind::Timeout).with_unknown_outcome(), Some(ErrorKind::Timeout)),
            (no(ErrorKind::TooLarge).with_unknown_outcome(), Some(ErrorKind::Transient)),
            (no(ErrorKind::Conflict), None),
        ] {
            let (calls, report) = write(&[r#""a1""#, r#""a2""#], |text| {
                if text == "a2" { Ok(accept(text)) } else { Ok(Outcome::from_call_error(&error)) }
            })
            .await;
            assert_eq!(calls.len(), if then.is_some() { 1 } else { 2 });
            let report = report.unwrap();
            let second = report.outcomes().last().unwrap();
            assert_eq!(second.error().map(Error::kind), then);
            assert!(!matches!(second, Outcome::Unknown { .. }));
        }
    }

    #[tokio::test]
    async fn what_stops_a_later_round_leaves_the_earlier_outcomes_and_what_stops_the_first_is_an_error() {
        let spent = |text: &str| {
            if text == "a1" { Ok(accept(text)) } else { Err(Error::new(ErrorKind::QuotaExhausted, "spent")) }
        };
        let (calls, report) = write(&[r#""a1""#, r#""a2""#, r#""a3""#], spent).await;
        assert_eq!(calls, ["a1", "a2"]);
        assert_eq!(report.unwrap().accepted(), 1);
        let (_, report) = write(&[r#""a2""#], spent).await;
        assert_eq!(report.unwrap_err().kind(), ErrorKind::QuotaExhausted);
    }

    #[tokio::test]
    async fn a_batch_of_nothing_calls_nobody() {
        let (calls, report) = write(&[], |text| Ok(accept(text))).await;
        assert!(calls.is_empty() && report.unwrap().outcomes().is_empty());
    }
}
