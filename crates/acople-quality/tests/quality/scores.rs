//! The numbers.

use acople_core::Batch;
use acople_core::json::{Page, Span};
use acople_quality::{Part, Score};
use proptest::prelude::*;

use crate::fixture::{batch, inspector};

#[test]
fn the_score_is_the_weighted_share_of_passed_checks_with_parts() {
    let mut inspector = inspector(
        r"
rules:
  - { field: id, check: [required, { unique: {} }] }
  - { field: age, check: { range: { min: 0 } }, weight: 3 }
  - { field: a, check: { compare: { is: at_most, to: b } }, severity: warning }
",
    );
    let records = [r#"{"id":1,"age":-1,"a":2,"b":1}"#, r#"{"id":1,"age":5}"#, "{}"];
    let score = inspector.inspect(&batch(records)).unwrap().score;
    // Passed: id, id; unique 1 of 2 is not known of the refused first, so both; range 3 of 6; compare 0 of 1.
    assert_eq!(score.part(Part::Completeness), 2.0 / 3.0);
    assert_eq!(score.part(Part::Validity), 0.5);
    assert_eq!(score.part(Part::Uniqueness), 1.0);
    assert_eq!(score.part(Part::Consistency), 0.0);
    assert_eq!(score.value(), (2.0 + 2.0 + 3.0) / (3.0 + 2.0 + 6.0 + 1.0));
    assert_eq!((score.records(), score.refused(), score.warned()), (3, 2, 1));
    assert_eq!(score.accepted(), 1.0 / 3.0);
    let json = serde_json::to_value(&score).unwrap();
    assert_eq!((json["validity"].as_f64(), json["refused"].as_u64()), (Some(0.5), Some(2)));
}

#[test]
fn nothing_checked_is_perfect() {
    assert_eq!((Score::default().value(), Score::default().accepted()), (1.0, 1.0));
}

#[test]
fn deletions_pass_and_records_that_are_no_text_count_as_invalid() {
    let mut inspector = inspector("rules: [{ field: v, check: required }]");
    let deleted = batch([r#"{"id":1}"#, r#"{"v":1}"#]).with_deletions([true, false]);
    let inspection = inspector.inspect(&deleted).unwrap();
    assert_eq!((inspection.passed().len(), inspection.score.records()), (2, 1));

    let page = Page::from_bytes_marked(b"{\"v\":\"\xff\"} {\"v\":\"a\"} {}".to_vec()).unwrap();
    let spans = vec![Span { start: 0, end: 9 }, Span { start: 10, end: 19 }, Span { start: 20, end: 22 }];
    let inspection = inspector.inspect(&Batch::new("s", page, spans)).unwrap();
    let refused: Vec<usize> = inspection.refused().iter().map(|r| r.index).collect();
    assert_eq!((refused, inspection.score.records()), (vec![0, 2], 3));
    assert_eq!(inspection.score.part(Part::Validity), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Scores stay between 0 and 1, and that of a run is the sum of its batches however it is cut.
    #[test]
    fn scores_are_bounded_and_add_up(
        values in prop::collection::vec(prop::option::of(-50_i64..50), 0..80),
        size in 1_usize..30,
        weight in 1_u32..=1_000,
    ) {
        let yaml = format!(
            "rules: [{{ field: v, check: [required, {{ range: {{ min: 0 }} }}], weight: {weight} }}, \
             {{ field: v, check: {{ type: integer }}, severity: warning }}]"
        );
        let record = |value: &Option<i64>| value.map_or("{}".to_owned(), |v| format!(r#"{{"v":{v}}}"#));
        let whole = inspector(&yaml).inspect(&batch(values.iter().map(record))).unwrap().score;
        let mut parts = inspector(&yaml);
        let mut sum = Score::default();
        for part in values.chunks(size) {
            let score = parts.inspect(&batch(part.iter().map(record))).unwrap().score;
            for value in Part::ALL.map(|part| score.part(part)).into_iter().chain([score.value(), score.accepted()]) {
                prop_assert!((0.0..=1.0).contains(&value));
            }
            sum.merge(&score);
        }
        prop_assert_eq!(&sum, &whole);
        prop_assert_eq!(parts.score(), &whole);
        prop_assert_eq!(whole.value() == 1.0, values.iter().all(|v| v.is_some_and(|v| v >= 0)));
    }
}
