//! Matches the results of a call with its records where the vendor does not always say which is whose.

use acople_core::{Error, ErrorKind, Outcome};

/// Outcomes of an answer whose results and errors say, more or less, of which records of the call they are.
///
/// `results` are what was written, each with its place in the call, where that is known; `errors` what was
/// refused, each with the places that it is about, none where that is not known. The first outcome of a place
/// counts.
///
/// What has no place is given to the records that have no outcome only where it can be nobody else's:
///
/// - As many results as records, and no error: they were written. Their ids go along when it is one of each.
/// - As many errors as records, and no result: they were refused, for that reason when there is but one.
/// - Otherwise the records are unknown, for the first of the reasons.
pub fn match_placed(
    records: usize,
    results: impl IntoIterator<Item = (Option<usize>, Outcome)>,
    errors: impl IntoIterator<Item = (Vec<usize>, Error)>,
) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = (0..records).map(|_| None).collect();
    let (mut written, mut reasons) = (Vec::new(), Vec::new());
    for (place, outcome) in results {
        match place.and_then(|place| outcomes.get_mut(place)) {
            Some(place @ None) => *place = Some(outcome),
            _ => written.push(outcome),
        }
    }
    for (places, error) in errors {
        for place in &places {
            if let Some(place @ None) = outcomes.get_mut(*place) {
                *place = Some(Outcome::refused(error.copy()));
            }
        }
        if places.is_empty() {
            reasons.push(error);
        }
    }
    let open = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    let all_written = reasons.is_empty() && written.len() == open;
    let all_refused = written.is_empty() && reasons.len() == open;
    let created = same(written.iter().map(created));
    let mut only = if all_written && open == 1 { written.pop() } else { None };
    let mut rest = || match only.take() {
        Some(outcome) => outcome,
        None if all_written => Outcome::Accepted { id: None, created },
        None if all_refused => Outcome::refused(one_of(&reasons)),
        None => Outcome::Unknown { error: unmentioned(reasons.first()) },
    };
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(&mut rest)).collect()
}

fn created(outcome: &Outcome) -> Option<bool> {
    if let Outcome::Accepted { created, .. } = outcome { *created } else { None }
}

fn same(mut all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let first = all.next()?;
    first.filter(|_| all.all(|other| other == first))
}

/// The error of a record that was refused for one of several reasons.
fn one_of(reasons: &[Error]) -> Error {
    match reasons {
        [first, others @ ..]
            if others.iter().all(|o| o.kind() == first.kind() && o.message() == first.message()) =>
        {
            first.copy()
        }
        _ => Error::new(
            ErrorKind::Invalid,
            "refused: the vendor gives several reasons and not which is this record's",
        ),
    }
}

/// The error of a record that the answer does not mention.
pub(crate) fn unmentioned(reason: Option<&Error>) -> Error {
    match reason {
        Some(reason) => reason.copy().with_kind(ErrorKind::Ambiguous),
        None => Error::new(ErrorKind::Ambiguous, "the vendor's answer does not mention this record"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(id: &str) -> Outcome {
        Outcome::accepted(id, Some(true))
    }

    fn refusal(message: &str) -> Error {
        Error::new(ErrorKind::Conflict, message)
    }

    fn words(outcomes: &[Outcome]) -> Vec<String> {
        let word = |outcome: &Outcome| match outcome {
            Outcome::Accepted { id, created } => format!("{} {created:?}", id.as_deref().unwrap_or("?")),
            Outcome::Refused { error } => format!("refused {error}"),
            Outcome::Unknown { error } => format!("unknown {error}"),
            Outcome::Pending { .. } => "pending".to_owned(),
            other => format!("{other:?}"),
        };
        outcomes.iter().map(word).collect()
    }

    #[test]
    fn write_05_results_go_to_their_places_and_the_first_one_counts() {
        let results = [(Some(2), written("c")), (Some(0), written("a"))];
        let errors = [(vec![1, 2], refusal("no")), (vec![1], refusal("late"))];
        let outcomes = match_placed(3, results, errors);
        assert_eq!(words(&outcomes), ["a Some(true)", "refused conflict: no", "c Some(true)"]);
    }

    #[test]
    fn the_only_result_without_a_place_is_that_of_the_only_record_without_one() {
        let outcomes = match_placed(2, [(Some(0), written("a")), (Some(9), written("b"))], []);
        assert_eq!(words(&outcomes), ["a Some(true)", "b Some(true)"]);
        let outcomes = match_placed(2, [(None, written("a")), (None, written("b"))], []);
        assert_eq!(words(&outcomes), ["? Some(true)", "? Some(true)"], "nobody says whose id is whose");
        let results = [(None, written("a")), (None, Outcome::accepted("b", Some(false)))];
        assert_eq!(words(&match_placed(2, results, [])), ["? None", "? None"]);
    }

    #[test]
    fn an_error_for_each_record_refuses_them_although_nobody_says_whose_it_is() {
        for (second, reason) in [("one", "conflict: one"), ("two", "invalid: refused: the vendor gives")] {
            let errors = [(vec![], refusal("one")), (vec![], refusal(second))];
            let outcomes = match_placed(3, [(Some(1), written("b"))], errors);
            let words = words(&outcomes);
            assert_eq!(words[1], "b Some(true)");
            assert!(
                [0, 2].iter().all(|at| words[*at].starts_with(&format!("refused {reason}"))),
                "{words:?}"
            );
        }
    }

    #[test]
    fn write_05_what_could_be_anybodys_leaves_its_records_unknown() {
        let silence = match_placed(1, [], []);
        assert_eq!(words(&silence), ["unknown ambiguous: the vendor's answer does not mention this record"]);
        for (results, errors) in [
            (vec![], vec![(vec![], refusal("no"))]),
            (vec![(None, written("a"))], vec![(vec![], refusal("no"))]),
        ] {
            let outcomes = match_placed(2, results, errors);
            assert_eq!(words(&outcomes), ["unknown ambiguous: no", "unknown ambiguous: no"]);
        }
        let too_many = match_placed(1, [(None, written("a")), (None, written("b"))], []);
        assert!(matches!(too_many[..], [Outcome::Unknown { .. }]));
    }
}
