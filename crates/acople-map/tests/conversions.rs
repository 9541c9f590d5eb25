//! Conversions of single values, through YAML and the mapper.
#![allow(clippy::unwrap_used)]

use acople_core::{Batch, ErrorKind, Mapper};
use acople_map::{Lookups, Table, TableMapper};

fn compile(yaml: &str) -> TableMapper {
    Table::from_yaml(yaml).unwrap().compile(&Lookups::new()).unwrap()
}

fn convert(step: &str) -> TableMapper {
    compile(&format!("rules: [{{from: a, to: b, convert: {step}}}]"))
}

/// The one record that passed.
fn one(mapper: &TableMapper, record: &str) -> String {
    let mapped = mapper.map(&Batch::from_records("things", [record]).unwrap()).unwrap();
    assert!(mapped.refused.is_empty(), "{:?}", mapped.refused);
    mapped.batch.get(0).unwrap().raw().to_owned()
}

/// Kind, fields and message of the one record that was refused.
fn refusal(mapper: &TableMapper, record: &str) -> (ErrorKind, Vec<String>, String) {
    let mut mapped = mapper.map(&Batch::from_records("things", [record]).unwrap()).unwrap();
    assert!(mapped.batch.is_empty());
    let error = mapped.refused.pop().unwrap().error;
    (error.kind(), error.fields().to_vec(), error.message().to_owned())
}

#[test]
fn scalars_become_text_with_their_digits() {
    let mapper = convert("string");
    for (raw, expected) in [
        ("1234567890123456789012345678901234567890", r#""1234567890123456789012345678901234567890""#),
        ("1.10", r#""1.10""#),
        ("true", r#""true""#),
        (r#""x\ny""#, r#""x\ny""#),
        ("null", "null"),
    ] {
        assert_eq!(one(&mapper, &format!(r#"{{"a":{raw}}}"#)), format!(r#"{{"b":{expected}}}"#));
    }
    assert_eq!(refusal(&mapper, r#"{"a":[1]}"#).0, ErrorKind::Schema);
    assert_eq!(refusal(&mapper, r#"{"a":{"secret":1}}"#).1, ["a"]);
}

#[test]
fn numbers_convert_without_losing_a_digit() {
    let decimal = convert("decimal");
    assert_eq!(
        one(&decimal, r#"{"a":" 123456789012345678901234567890.120 "}"#),
        r#"{"b":123456789012345678901234567890.120}"#
    );
    assert_eq!(one(&decimal, r#"{"a":1.50}"#), r#"{"b":1.50}"#);
    assert_eq!(refusal(&decimal, r#"{"a":"1,5"}"#).0, ErrorKind::Schema);

    let integer = convert("integer");
    assert_eq!(one(&integer, r#"{"a":"18446744073709551616"}"#), r#"{"b":18446744073709551616}"#);
    assert_eq!(one(&integer, r#"{"a":12.00}"#), r#"{"b":12}"#);
    assert_eq!(refusal(&integer, r#"{"a":12.5}"#).0, ErrorKind::Schema);
    assert_eq!(refusal(&integer, r#"{"a":true}"#).0, ErrorKind::Schema);

    assert_eq!(one(&convert("number_to_text"), r#"{"a":0.10}"#), r#"{"b":"0.10"}"#);
    assert_eq!(one(&convert("text_to_number"), r#"{"a":"0.10"}"#), r#"{"b":0.10}"#);
}

#[test]
fn truth_values_are_read_in_the_usual_spellings() {
    let mapper = convert("boolean");
    for raw in ["true", "1", r#""Yes""#, r#""TRUE""#, r#""y""#, r#""1""#] {
        assert_eq!(one(&mapper, &format!(r#"{{"a":{raw}}}"#)), r#"{"b":true}"#, "{raw}");
    }
    for raw in ["false", "0", r#""no""#, r#""False""#] {
        assert_eq!(one(&mapper, &format!(r#"{{"a":{raw}}}"#)), r#"{"b":false}"#, "{raw}");
    }
    assert_eq!(refusal(&mapper, r#"{"a":"perhaps"}"#).0, ErrorKind::Schema);
    assert_eq!(one(&convert("boolean_to_text"), r#"{"a":true}"#), r#"{"b":"true"}"#);
    assert_eq!(one(&convert("text_to_boolean"), r#"{"a":"false"}"#), r#"{"b":false}"#);
    assert_eq!(refusal(&convert("text_to_boolean"), r#"{"a":"no"}"#).0, ErrorKind::Schema);
}

#[test]
fn texts_are_trimmed_and_change_case_in_the_order_of_the_list() {
    assert_eq!(one(&convert("[trim, lower]"), r#"{"a":"  Ána É\t"}"#), r#"{"b":"ána é"}"#);
    assert_eq!(one(&convert("upper"), r#"{"a":"straße"}"#), r#"{"b":"STRASSE"}"#);
    assert_eq!(one(&convert("upper"), r#"{"a":7}"#), r#"{"b":7}"#);
}

#[test]
fn a_value_table_refuses_keeps_or_replaces_what_it_does_not_list() {
    let with = |otherwise: &str| {
        convert(&format!("{{values: {{map: {{Hot: A, '1': B}}, otherwise: {otherwise}}}}}"))
    };
    assert_eq!(one(&with("refuse"), r#"{"a":"Hot"}"#), r#"{"b":"A"}"#);
    assert_eq!(one(&with("refuse"), r#"{"a":1}"#), r#"{"b":"B"}"#);
    let (kind, fields, message) = refusal(&with("refuse"), r#"{"a":"Lukewarm"}"#);
    assert_eq!((kind, fields), (ErrorKind::Invalid, vec!["a".to_owned()]));
    assert!(!message.contains("Lukewarm"), "{message}");
    assert_eq!(one(&with("keep"), r#"{"a":"Cold"}"#), r#"{"b":"Cold"}"#);
    assert_eq!(one(&with("as_null"), r#"{"a":"Cold"}"#), r#"{"b":null}"#);
    assert_eq!(one(&with("{value: C}"), r#"{"a":"Cold"}"#), r#"{"b":"C"}"#);
    assert_eq!(one(&with("refuse"), r#"{"a":null}"#), r#"{"b":null}"#);
}

#[test]
fn too_long_a_text_is_refused_or_cut_between_characters() {
    let mapper = compile("rules: [{from: a, to: b, max_length: 3}]");
    assert_eq!(one(&mapper, r#"{"a":"é😀x"}"#), r#"{"b":"é😀x"}"#);
    assert_eq!(one(&mapper, r#"{"a":"\u00e9\u00e9\u00e9"}"#), r#"{"b":"ééé"}"#);
    let (kind, fields, message) = refusal(&mapper, r#"{"a":"secret"}"#);
    assert_eq!((kind, fields), (ErrorKind::Invalid, vec!["a".to_owned()]));
    assert!(!message.contains("secret"));
    assert_eq!(refusal(&mapper, r#"{"a":12345}"#).0, ErrorKind::Invalid);
    assert_eq!(one(&mapper, r#"{"a":[1,2,3,4]}"#), r#"{"b":[1,2,3,4]}"#);

    let mapper = compile("rules: [{from: a, to: b, max_length: 3, too_long: truncate}]");
    assert_eq!(one(&mapper, r#"{"a":"😀😀😀😀"}"#), r#"{"b":"😀😀😀"}"#);
    assert_eq!(refusal(&mapper, r#"{"a":1234}"#).0, ErrorKind::Invalid, "half a number is another number");
}

#[test]
fn broken_unicode_is_refused_where_it_must_be_decoded() {
    let (kind, fields, _) = refusal(&convert("lower"), r#"{"a":"\ud800"}"#);
    assert_eq!((kind, fields), (ErrorKind::Schema, vec!["a".to_owned()]));
}
