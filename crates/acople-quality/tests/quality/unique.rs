//! Values that may occur once.

use acople_core::ErrorKind;
use proptest::prelude::*;

use crate::fixture::{batch, inspector, refusals};

#[test]
fn a_value_is_unique_across_the_batches_of_a_run_or_within_one() {
    for (scope, second) in [("run", vec![0, 1]), ("batch", vec![1])] {
        let mut inspector =
            inspector(&format!("rules: [{{ field: id, check: {{ unique: {{ scope: {scope} }} }} }}]"));
        let first =
            inspector.inspect(&batch([r#"{"id":1}"#, r#"{"id":"1"}"#, r#"{"id":null}"#, "{}"])).unwrap();
        assert_eq!(refusals(&first), [], "a number is no text, and nothing is no value");
        let again = inspector.inspect(&batch([r#"{"id":1.0}"#, r#"{"id":10e-1}"#, r#"{"id":2}"#])).unwrap();
        assert_eq!(refusals(&again).iter().map(|r| r.0).collect::<Vec<_>>(), second, "{scope}");
    }
}

#[test]
fn several_fields_make_one_key() {
    let mut inspector = inspector("rules: [{ field: a, check: { unique: { with: [b] } } }]");
    let records =
        [r#"{"a":"x","b":"yz"}"#, r#"{"a":"xy","b":"z"}"#, r#"{"a":"x","b":"\u0079z"}"#, r#"{"a":"x"}"#];
    assert_eq!(refusals(&inspector.inspect(&batch(records)).unwrap())[0].0, 2);
}

#[test]
fn a_record_that_is_refused_does_not_take_the_key_of_the_next() {
    let mut inspector =
        inspector("rules: [{ field: id, check: { unique: {} } }, { field: mail, check: required }]");
    let inspection =
        inspector.inspect(&batch([r#"{"id":1}"#, r#"{"id":1,"mail":"a"}"#, r#"{"id":1,"mail":"b"}"#]));
    assert_eq!(refusals(&inspection.unwrap()).iter().map(|r| r.0).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn beyond_its_keys_a_check_says_that_it_does_not_know_or_stops() {
    let records = batch([r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":3}"#, r#"{"id":1}"#]);
    let mut unchecked = inspector("rules: [{ field: id, check: { unique: { keys: 2 } } }]");
    let inspection = unchecked.inspect(&records).unwrap();
    assert_eq!(refusals(&inspection).iter().map(|r| r.0).collect::<Vec<_>>(), [4]);
    assert_eq!(inspection.score.unchecked(), 2);

    let mut stops = inspector("rules: [{ field: id, check: { unique: { keys: 2, beyond: stop } } }]");
    assert_eq!(stops.inspect(&records).unwrap_err().kind(), ErrorKind::TooLarge);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a run is cut into batches, exactly the later occurrences of a value are refused.
    #[test]
    fn uniqueness_does_not_depend_on_batches(ids in prop::collection::vec(0_u8..40, 0..120), size in 1_usize..50) {
        let mut inspector = inspector("rules: [{ field: id, check: { unique: {} } }]");
        let mut refused = Vec::new();
        for (nth, part) in ids.chunks(size).enumerate() {
            let records: Vec<String> = part.iter().map(|id| format!(r#"{{"id":{id}}}"#)).collect();
            let inspection = inspector.inspect(&batch(records)).unwrap();
            refused.extend(refusals(&inspection).into_iter().map(|(index, _)| nth * size + index));
        }
        let expected: Vec<usize> = (0..ids.len()).filter(|at| ids[..*at].contains(&ids[*at])).collect();
        prop_assert_eq!(refused, expected);
    }
}
