//! One test a feature of the table, through YAML and the mapper.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::borrow::Cow;

use acople_core::{Batch, ErrorKind, Mapped, Mapper};
use acople_map::{Condition, Convert, Lookup, Lookups, Nulls, Rule, Table, TableMapper, TooLong};

fn compile(yaml: &str) -> TableMapper {
    Table::from_yaml(yaml).unwrap().compile(&Lookups::new()).unwrap()
}

fn map(mapper: &TableMapper, records: &[&str]) -> Mapped {
    let mapped = mapper.map(&Batch::from_records("things", records).unwrap()).unwrap();
    let mut indices: Vec<usize> = mapped.origins.clone();
    indices.extend(mapped.refused.iter().map(|refusal| refusal.index));
    let distinct: std::collections::BTreeSet<usize> = indices.iter().copied().collect();
    assert_eq!(distinct.len() + mapped.skipped, records.len(), "every record lands in exactly one place");
    assert_eq!(indices.len(), distinct.len());
    assert_eq!(mapped.batch.len(), mapped.origins.len());
    mapped
}

fn texts(mapped: &Mapped) -> Vec<String> {
    mapped.batch.iter().map(|record| record.raw().to_owned()).collect()
}

/// The one record that passed.
fn one(mapper: &TableMapper, record: &str) -> String {
    let mapped = map(mapper, &[record]);
    assert!(mapped.refused.is_empty(), "{:?}", mapped.refused);
    texts(&mapped).pop().unwrap()
}

/// Kind, fields and message of the one record that was refused.
fn refusal(mapper: &TableMapper, record: &str) -> (ErrorKind, Vec<String>, String) {
    let mut mapped = map(mapper, &[record]);
    let error = mapped.refused.pop().unwrap().error;
    (error.kind(), error.fields().to_vec(), error.message().to_owned())
}

#[test]
fn a_renamed_value_is_copied_byte_for_byte() {
    let mapper = compile("rules: [{from: a, to: b}]");
    for raw in [
        "123456789012345678901234567890.10",
        "18446744073709551616",
        "1e400",
        "-0",
        r#""\u00e9\/ \"quoted\" 😀 \u0000""#,
        r#""\ud800 alone""#,
        r#"{"x": [1,  2]}"#,
        "[]",
        "true",
        "null",
    ] {
        assert_eq!(one(&mapper, &format!(r#"{{"a": {raw}}}"#)), format!(r#"{{"b":{raw}}}"#));
    }
}

#[test]
fn every_object_of_the_target_is_opened_once() {
    let mapper = compile(
        "rules:
  - {from: a, to: properties.x}
  - {from: b, to: id}
  - {from: c, to: properties.deep.y}
  - {from: d, to: properties.z}
  - {from: e, to: properties.deep.w}",
    );
    assert_eq!(
        one(&mapper, r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#),
        r#"{"properties":{"x":1,"deep":{"y":3,"w":5},"z":4},"id":2}"#
    );
}

#[test]
fn a_missing_field_writes_nothing_and_leaves_no_empty_object() {
    let mapper =
        compile("rules: [{from: a, to: properties.deep.x}, {from: b, to: properties.y}, {from: c, to: z}]");
    assert_eq!(one(&mapper, r#"{"c":1}"#), r#"{"z":1}"#);
    assert_eq!(one(&mapper, r#"{"b":1}"#), r#"{"properties":{"y":1}}"#);
    assert_eq!(one(&mapper, "{}"), "{}");
}

#[test]
fn nested_sources_and_names_with_dots_are_read() {
    let mapper = compile("rules: [{from: a.b.c, to: x}, {from: /odata.id, to: /y.z}]");
    assert_eq!(one(&mapper, r#"{"a":{"b":{"c":7}},"odata.id":"u"}"#), r#"{"x":7,"y.z":"u"}"#);
    assert_eq!(one(&mapper, r#"{"a":{"b":null}}"#), "{}");
    assert_eq!(one(&mapper, r#"{"a":"text"}"#), "{}");
}

#[test]
fn the_last_of_several_members_with_one_name_counts() {
    let mapper = compile("rules: [{from: a, to: b}]");
    assert_eq!(one(&mapper, r#"{"a":1,"a":2}"#), r#"{"b":2}"#);
}

#[test]
fn a_constant_may_be_any_scalar_and_is_converted_once() {
    let mapper = compile(
        r#"
rules:
  - {constant: Lead, to: attributes.type}
  - {constant: 7, to: n}
  - {constant: true, to: t}
  - {constant: null, to: nothing}
  - {constant: "12.30", to: price, convert: decimal}"#,
    );
    assert_eq!(
        one(&mapper, "{}"),
        r#"{"attributes":{"type":"Lead"},"n":7,"t":true,"nothing":null,"price":12.30}"#
    );
}

#[test]
fn a_default_stands_for_missing_and_null_and_where_asked_for_empty() {
    let mapper = compile(
        "rules: [{from: a, to: b, default: none}, {from: c, to: d, default: 0, empty_is_null: true}]",
    );
    assert_eq!(one(&mapper, r#"{"c":null}"#), r#"{"b":"none","d":0}"#);
    assert_eq!(one(&mapper, r#"{"a":"","c":""}"#), r#"{"b":"","d":0}"#);
    assert_eq!(one(&mapper, r#"{"a":"x","c":"y"}"#), r#"{"b":"x","d":"y"}"#);
}

#[test]
fn nulls_are_kept_or_left_out_or_written_as_empty_text() {
    let mapper = compile(
        "nulls: empty_text
rules: [{from: a, to: a}, {from: b, to: b, nulls: omit}, {from: c, to: c, nulls: keep}]",
    );
    assert_eq!(one(&mapper, r#"{"a":null,"b":null,"c":null}"#), r#"{"a":"","c":null}"#);
    assert_eq!(one(&mapper, "{}"), "{}");
}

#[test]
fn a_fallback_is_taken_when_the_first_field_has_no_value() {
    let mapper = compile("rules: [{from: a, fallback: [b, c.d], to: x, empty_is_null: true}]");
    assert_eq!(one(&mapper, r#"{"a":"A","b":"B"}"#), r#"{"x":"A"}"#);
    assert_eq!(one(&mapper, r#"{"a":"","b":"B"}"#), r#"{"x":"B"}"#);
    assert_eq!(one(&mapper, r#"{"a":null,"c":{"d":1}}"#), r#"{"x":1}"#);
    assert_eq!(one(&mapper, r#"{"b":null}"#), r#"{"x":null}"#);
    assert_eq!(one(&mapper, "{}"), "{}");
}

#[test]
fn a_text_is_split_from_its_start_or_its_end() {
    let mapper = compile("rules: [{from: n, split: {to: [p.first, p.last], separator: ' '}}]");
    assert_eq!(one(&mapper, r#"{"n":"Ana María Pérez"}"#), r#"{"p":{"first":"Ana","last":"María Pérez"}}"#);
    assert_eq!(one(&mapper, r#"{"n":"Madonna"}"#), r#"{"p":{"first":"Madonna","last":null}}"#);
    assert_eq!(one(&mapper, "{}"), "{}");
    let mapper = compile(
        "rules: [{from: n, split: {to: [first, last], separator: ' ', from_end: true}, nulls: omit}]",
    );
    assert_eq!(one(&mapper, r#"{"n":"Ana María Pérez"}"#), r#"{"first":"Ana María","last":"Pérez"}"#);
    assert_eq!(one(&mapper, r#"{"n":"Madonna"}"#), r#"{"last":"Madonna"}"#);
}

#[test]
fn a_converted_text_can_be_split() {
    let mapper = compile("rules: [{from: n, convert: [trim, upper], split: {to: [a, b], separator: ', '}}]");
    assert_eq!(one(&mapper, r#"{"n":" pérez, ana "}"#), r#"{"a":"PÉREZ","b":"ANA"}"#);
}

#[test]
fn joined_fields_skip_the_empty_ones() {
    let mapper = compile("rules: [{join: {from: [a, b, c.d], separator: ', '}, to: x}]");
    assert_eq!(one(&mapper, r#"{"a":"A","b":2,"c":{"d":true}}"#), r#"{"x":"A, 2, true"}"#);
    assert_eq!(one(&mapper, r#"{"a":"","b":null,"c":{"d":"D"}}"#), r#"{"x":"D"}"#);
    assert_eq!(one(&mapper, r#"{"a":""}"#), r#"{"x":null}"#);
    assert_eq!(one(&mapper, "{}"), "{}");
    let (kind, fields, _) = refusal(&mapper, r#"{"a":[]}"#);
    assert_eq!((kind, fields.len()), (ErrorKind::Schema, 3));
}

#[derive(Debug)]
struct Doubling;

impl Lookup for Doubling {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        (!key.is_empty()).then(|| Cow::Owned(format!("{key}{key}")))
    }
}

#[test]
fn look_ups_come_from_the_table_or_the_host() {
    let table = Table::from_yaml(
        "lookups: {owners: {'005A': '12'}}
rules:
  - {from: owner, to: o, convert: {lookup: {table: owners, otherwise: keep}}}
  - {from: text, to: t, convert: {lookup: {table: doubling}}}",
    )
    .unwrap();
    let mapper = table.compile(&Lookups::new().with("doubling", Doubling)).unwrap();
    assert_eq!(one(&mapper, r#"{"owner":"005A","text":"ab"}"#), r#"{"o":"12","t":"abab"}"#);
    assert_eq!(one(&mapper, r#"{"owner":"005B"}"#), r#"{"o":"005B"}"#);
    assert_eq!(refusal(&mapper, r#"{"text":""}"#).0, ErrorKind::Invalid);
    assert!(table.compile(&Lookups::new()).unwrap_err().message().contains("doubling"));
}

#[test]
fn unmentioned_members_pass_through_untouched() {
    let mapper = compile(
        "pass_through: true
drop: [attributes]
rules: [{from: Id, to: key.id}, {from: when.x, to: y}]",
    );
    assert_eq!(
        one(
            &mapper,
            r#"{"attributes":{"type":"Lead"},"Id":"1","n":1.10,"o":{"a":[1]},"y":"taken","when":{"x":1,"z":2},"é\n":"\ud800"}"#
        ),
        r#"{"key":{"id":"1"},"y":1,"n":1.10,"o":{"a":[1]},"é\n":"\ud800"}"#
    );
    assert_eq!(one(&mapper, r#"{"n":1,"m":0,"n":2}"#), r#"{"m":0,"n":2}"#);
    assert!(mapper.fields().is_none());
}

#[test]
fn a_rule_with_a_condition_writes_only_where_it_holds() {
    let with = |test: &str| compile(&format!("rules: [{{from: a, to: b, when: {{field: c, {test}}}}}]"));
    let written = |test: &str, c: &str| one(&with(test), &format!(r#"{{"a":1{c}}}"#)) == r#"{"b":1}"#;
    assert!(written("equals: x", r#","c":"x""#));
    assert!(!written("equals: x", r#","c":"y""#));
    assert!(written("equals: true", r#","c":"true""#), "compared as text");
    assert!(written("equals: 5", r#","c":"5""#));
    assert!(written("equals: null", ""));
    assert!(!written("equals: null", r#","c":0"#));
    assert!(written("not_equals: x", ""));
    assert!(!written("not_equals: x", r#","c":"x""#));
    assert!(written("one_of: [x, null]", r#","c":null"#));
    assert!(!written("one_of: [x, y]", r#","c":"z""#));
    assert!(written("exists: true", r#","c":"""#));
    assert!(!written("exists: true", r#","c":null"#));
    assert!(written("missing: true", ""));
    assert!(!written("missing: true", r#","c":[]"#));
}

#[test]
fn records_that_fail_the_tables_condition_are_skipped() {
    let mapper = compile(
        "when: [{field: IsConverted, equals: false}, {field: Email, exists: true}]
rules: [{from: Email, to: email}]",
    );
    let mapped = map(
        &mapper,
        &[
            r#"{"IsConverted":false,"Email":"a"}"#,
            r#"{"IsConverted":true,"Email":"b"}"#,
            r#"{"IsConverted":false}"#,
            r#"{"IsConverted":"false","Email":"c"}"#,
        ],
    );
    assert_eq!(mapped.skipped, 2);
    assert_eq!(mapped.origins, [0, 3]);
}

#[test]
fn a_required_field_without_a_value_refuses_its_record_alone() {
    let mapper = compile("rules: [{from: person.email, to: email, required: true, empty_is_null: true}]");
    let mapped = map(
        &mapper,
        &[r#"{"person":{"email":"a"}}"#, "{}", r#"{"person":{"email":null}}"#, r#"{"person":{"email":""}}"#],
    );
    assert_eq!(mapped.origins, [0]);
    assert_eq!(mapped.refused.len(), 3);
    for refusal in &mapped.refused {
        assert_eq!(refusal.error.kind(), ErrorKind::Invalid);
        assert_eq!(refusal.error.fields(), ["person.email"]);
        assert!(refusal.error.message().contains("person.email is required"), "{}", refusal.error);
    }
}

#[test]
fn deletions_are_mapped_by_the_key_alone_and_never_skipped() {
    let mapper = compile(
        "when: {field: Email, exists: true}
rules:
  - {from: Id, to: properties.sf_id, key: true}
  - {from: Email, to: properties.email, required: true}
  - {constant: x, to: source}",
    );
    let batch = Batch::from_records("Lead", [r#"{"Id":"1","Email":"a"}"#, r#"{"Id":"2"}"#, r#"{"id":"3"}"#])
        .unwrap()
        .with_deletions([false, true, true]);
    let mapped = mapper.map(&batch).unwrap();
    assert_eq!(
        texts(&mapped),
        [r#"{"properties":{"sf_id":"1","email":"a"},"source":"x"}"#, r#"{"properties":{"sf_id":"2"}}"#]
    );
    assert_eq!(mapped.batch.get(1).unwrap().change(), acople_core::Change::Delete);
    assert_eq!(mapped.batch.get(0).unwrap().change(), acople_core::Change::Upsert);
    assert_eq!(mapped.refused[0].index, 2);
    assert_eq!(mapped.refused[0].error.fields(), ["Id"]);
}

#[test]
fn a_table_without_a_key_refuses_deletions() {
    let mapper = compile("rules: [{from: a, to: b}]");
    let batch = Batch::from_records("x", [r#"{"a":1}"#]).unwrap().with_deletions([true]);
    let mapped = mapper.map(&batch).unwrap();
    assert!(mapped.batch.is_empty());
    assert_eq!(mapped.refused[0].error.kind(), ErrorKind::Config);
}

#[test]
fn read_only_rows_are_written_only_on_request() {
    let mapper = compile("rules: [{from: a, to: b}, {from: c, to: d, read_only: true}]");
    assert_eq!(one(&mapper, r#"{"a":1,"c":2}"#), r#"{"b":1}"#);
    assert_eq!(mapper.fields().unwrap().len(), 1);
    let mapper = mapper.with_read_only_fields(true);
    assert_eq!(one(&mapper, r#"{"a":1,"c":2}"#), r#"{"b":1,"d":2}"#);
    assert_eq!(mapper.fields().unwrap().len(), 2);
}

#[test]
fn read_only_fields_do_not_slip_through_a_pass_through() {
    let mapper = compile("pass_through: true\nrules: [{from: c, to: d, read_only: true}]");
    assert_eq!(one(&mapper, r#"{"a":1,"c":2,"d":3}"#), r#"{"a":1}"#);
}

#[test]
fn the_fields_that_are_read_are_listed_once_each() {
    let mapper = compile(
        "when: {field: w, exists: true}
rules:
  - {from: a, fallback: [b], to: x, when: {field: c.d, missing: true}}
  - {join: {from: [a, e], separator: ' '}, to: y}
  - {constant: 1, to: z}
  - {from: back, to: f, direction: backward}",
    );
    let fields: Vec<String> = mapper.fields().unwrap().iter().map(ToString::to_string).collect();
    let distinct: std::collections::BTreeSet<&str> = fields.iter().map(String::as_str).collect();
    assert_eq!(distinct, ["w", "a", "b", "c.d", "e"].into());
    assert_eq!(fields.len(), 5);
}

#[test]
fn a_refusal_of_the_target_is_told_in_the_sources_fields() {
    let mapper = compile(
        "rules: [{from: Email, to: properties.email}, {join: {from: [a, b], separator: ' '}, to: n}]",
    );
    assert_eq!(mapper.sources_of("properties.email"), ["Email"]);
    assert_eq!(mapper.sources_of("email"), ["Email"]);
    assert_eq!(mapper.sources_of("n"), ["a", "b"]);
    assert!(mapper.sources_of("mail").is_empty());
}

#[test]
fn records_that_are_no_objects_are_refused() {
    let mapper = compile("rules: [{from: a, to: b}]");
    for record in ["[]", "7", r#""{""#, "null"] {
        assert_eq!(refusal(&mapper, record).0, ErrorKind::Schema);
    }
}

#[test]
fn the_stream_is_the_tables_or_the_batchs() {
    assert_eq!(map(&compile("rules: [{from: a, to: b}]"), &["{}"]).batch.stream(), "things");
    assert_eq!(map(&compile("to_stream: t\nrules: [{from: a, to: b}]"), &["{}"]).batch.stream(), "t");
}

#[test]
fn an_empty_batch_maps_to_an_empty_batch() {
    assert!(map(&compile("rules: [{from: a, to: b}]"), &[]).batch.is_empty());
}

#[test]
fn a_table_built_in_code_says_the_same_as_one_in_yaml_or_json() {
    let built = Table::new("t")
        .with_streams("a", "b")
        .with_condition(Condition::one_of("s", ["x", "y"]))
        .with_drop("d")
        .with_lookup("l", [("k", "v")])
        .with_rule(
            Rule::rename("a", "b").with_convert(Convert::Lower).with_max_length(5, TooLong::Truncate).key(),
        )
        .with_rule(Rule::split("c", ";", ["e", "f"]).with_nulls(Nulls::Omit))
        .with_rule(Rule::constant(7, "g").with_condition(Condition::missing("h")));
    let yaml = Table::from_yaml(
        "name: t
from_stream: a
to_stream: b
when: {field: s, one_of: [x, y]}
drop: [d]
lookups: {l: {k: v}}
rules:
  - {from: a, to: b, convert: lower, max_length: 5, too_long: truncate, key: true}
  - {from: c, split: {to: [e, f], separator: ;}, nulls: omit}
  - {constant: 7, to: g, when: [{field: h, missing: true}]}",
    )
    .unwrap();
    assert_eq!(built, yaml);
    let json = serde_json::to_string(&built).unwrap();
    assert_eq!(Table::from_json(&json).unwrap(), built);
}
