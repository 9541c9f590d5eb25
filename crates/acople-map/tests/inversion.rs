//! One table for both directions.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use acople_core::json::FieldPath;
use acople_core::{Batch, ErrorKind, Mapper};
use acople_map::{Condition, Convert, Direction, Lookups, Nulls, Rule, Table, TimeFormat, TooLong};
use proptest::prelude::*;

fn map_one(table: &Table, record: &str) -> String {
    let mapper = table.compile(&Lookups::new()).unwrap();
    let mapped = mapper.map(&Batch::from_records("x", [record]).unwrap()).unwrap();
    assert!(mapped.refused.is_empty(), "{:?}", mapped.refused);
    mapped.batch.get(0).unwrap().raw().to_owned()
}

/// Maps forward and back and expects the record again.
fn there_and_back(table: &Table, record: &str) {
    let there = map_one(table, record);
    assert_eq!(map_one(&table.invert().unwrap(), &there), record, "by way of {there}");
}

#[test]
fn conversions_with_an_inverse_give_the_record_back() {
    let table = Table::from_yaml(
        "rules:
  - {from: amount, to: p.amount, convert: number_to_text}
  - {from: text, to: p.text, convert: text_to_number}
  - {from: flag, to: p.flag, convert: boolean_to_text}
  - {from: at, to: p.at, convert: {datetime: {from: iso_basic_offset, to: epoch_millis_text}}}
  - {from: on, to: p.on, convert: {datetime: {from: date, to: {pattern: '%d/%m/%Y'}}}}
  - {from: status, to: p.status, convert: {values: {map: {Open: NEW, Closed: DONE}}}}
  - {from: name, split: {to: [p.first, p.last], separator: ' '}}",
    )
    .unwrap();
    there_and_back(
        &table,
        concat!(
            r#"{"amount":123456789012345678901234567890.10,"text":"0.10","flag":false,"#,
            r#""at":"2026-01-02T03:04:05.678+0000","on":"2026-01-02","status":"Closed","name":"Ana María Pérez"}"#
        ),
    );
}

#[test]
fn an_inline_look_up_is_used_in_reverse() {
    let table = Table::new("t")
        .with_lookup("owners", [("005A", "12"), ("005B", "13")])
        .with_rule(Rule::rename("OwnerId", "owner").with_convert(Convert::lookup("owners")));
    there_and_back(&table, r#"{"OwnerId":"005B"}"#);
}

#[test]
fn empty_texts_and_nulls_are_each_others_inverse() {
    let table =
        Table::from_yaml("nulls: empty_text\nrules: [{from: a, to: p.a}, {from: b, to: p.b, nulls: omit}]")
            .unwrap();
    assert_eq!(map_one(&table, r#"{"a":null,"b":null}"#), r#"{"p":{"a":""}}"#);
    let back = table.invert().unwrap();
    assert!(back.empty_is_null);
    assert_eq!(map_one(&back, r#"{"p":{"a":"","b":""}}"#), r#"{"a":null,"b":""}"#);
    let forth = back.invert().unwrap();
    assert_eq!(forth.nulls, Nulls::EmptyText);
    assert_eq!(map_one(&forth, r#"{"a":null,"b":null}"#), r#"{"p":{"a":""}}"#);
}

#[test]
fn directions_say_which_rules_work_which_way() {
    let table = Table::from_yaml(
        "from_stream: Lead
to_stream: contacts
when: {field: a, exists: true}
when_back: {field: x, exists: true}
rules:
  - {from: a, to: x}
  - {from: b, to: y, direction: forward}
  - {from: z, to: c, direction: backward}",
    )
    .unwrap();
    assert_eq!(map_one(&table, r#"{"a":1,"b":2,"c":3,"z":4}"#), r#"{"x":1,"y":2}"#);
    let back = table.invert().unwrap();
    assert_eq!(map_one(&back, r#"{"x":1,"y":2,"z":3,"a":9}"#), r#"{"a":1,"c":3}"#);
    assert_eq!((back.from_stream.as_deref(), back.to_stream.as_deref()), (Some("contacts"), Some("Lead")));
    assert_eq!(back.when, [Condition::exists("x")]);
    assert_eq!(back.invert().unwrap(), table);
}

#[test]
fn rules_that_cannot_be_turned_round_are_listed_with_their_reasons() {
    let cannot = [
        Rule::constant("x", "a"),
        Rule::join(["b", "c"], " ", "d"),
        Rule::rename("e", "f").with_fallback("g"),
        Rule::rename("h", "i").with_condition(Condition::exists("j")),
        Rule::rename("k", "l").with_convert(Convert::Lower),
        Rule::rename("m", "n").with_convert(Convert::datetime(TimeFormat::Rfc3339, TimeFormat::Date)),
        Rule::rename("o", "p").with_convert(Convert::values([("a", "x"), ("b", "x")])),
        Rule::rename("q", "r").with_convert(Convert::values([("a", true)])),
    ];
    let mut table = Table::new("t").with_rule(Rule::rename("u", "v"));
    for rule in cannot.clone() {
        table = table.with_rule(rule);
    }
    let error = table.invert().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let places: Vec<String> = (1..=cannot.len()).map(|index| format!("rules[{index}]")).collect();
    assert_eq!(error.fields(), places);

    let inversion = table.invert_lossy();
    assert_eq!(inversion.dropped.len(), cannot.len());
    assert!(inversion.dropped.iter().all(|dropped| !dropped.reason.is_empty()));
    assert_eq!(map_one(&inversion.table, r#"{"v":1,"a":2,"d":"3"}"#), r#"{"u":1}"#);
    let forth = inversion.table.invert().unwrap();
    assert_eq!(map_one(&forth, r#"{"u":1}"#), map_one(&table, r#"{"u":1}"#), "nothing was lost");

    for rule in &mut table.rules[1..] {
        rule.direction = Direction::Forward;
    }
    table.invert().unwrap();
}

#[test]
fn two_rules_from_one_source_cannot_both_go_back() {
    let table = Table::new("t").with_rule(Rule::rename("a", "x")).with_rule(Rule::rename("a", "y"));
    table.compile(&Lookups::new()).unwrap();
    assert_eq!(table.invert().unwrap_err().fields(), ["rules[1].to"]);
}

#[test]
fn facts_about_one_side_alone_are_not_carried_over() {
    let rule = Rule::rename("a", "b")
        .with_default("x")
        .with_max_length(3, TooLong::Truncate)
        .with_direction(Direction::Both);
    let back =
        Table::new("t").with_rule(rule).with_rule(Rule::rename("c", "d").required().key()).invert().unwrap();
    assert_eq!(back.rules, [Rule::rename("b", "a"), Rule::rename("d", "c").required().key()]);
}

#[test]
fn a_value_table_may_have_its_own_way_back() {
    let table = Table::from_yaml(
        "rules:
  - from: s
    to: t
    convert:
      values: {map: {A: X, B: X}, back: {X: A, Y: B}, otherwise: {value: X}, otherwise_back: keep}",
    )
    .unwrap();
    let back = table.invert().unwrap();
    assert_eq!(map_one(&table, r#"{"s":"C"}"#), r#"{"t":"X"}"#);
    assert_eq!(map_one(&back, r#"{"t":"Y"}"#), r#"{"s":"B"}"#);
    assert_eq!(map_one(&back, r#"{"t":"Z"}"#), r#"{"s":"Z"}"#);
    assert_eq!(back.invert().unwrap(), table);
}

/// A JSON value as text, of the kinds that are easily damaged on the way.
fn raw_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        "-?(0|[1-9][0-9]{0,35})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\ud83d alone \u0000 \/ \u00e9""#.to_owned()),
        prop::collection::vec("[0-9]{1,3}", 0..4).prop_map(|items| {
            let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
            format!("[{}]", items.join(" ,"))
        }),
        Just(r#"{"a": {"b" :1.10}}"#.to_owned()),
    ]
}

/// Names for members, nested or not, none the beginning of another.
fn paths(prefix: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(0_usize..3, 1..12).prop_map(move |depths| {
        depths
            .into_iter()
            .enumerate()
            .map(|(index, depth)| {
                let above = ["", "group.", "deep.er."].get(depth).copied().unwrap_or_default();
                format!("{above}{prefix}{index}")
            })
            .collect()
    })
}

/// Paths that nest as an object's text.
fn record_of(fields: &BTreeMap<&str, &str>) -> String {
    let mut table = Table::new("build");
    let mut parts = Vec::new();
    for (index, (path, raw)) in fields.iter().enumerate() {
        table = table.with_rule(Rule::rename(format!("v{index}"), *path));
        parts.push(format!("\"v{index}\":{raw}"));
    }
    map_one(&table, &format!("{{{}}}", parts.join(",")))
}

proptest! {
    #[test]
    fn renaming_there_and_back_gives_every_value_back(
        from in paths("f"),
        to in paths("t"),
        raws in prop::collection::vec(raw_value(), 12),
    ) {
        let mut table = Table::new("renames");
        let mut fields = BTreeMap::new();
        for ((from, to), raw) in from.iter().zip(&to).zip(&raws) {
            table = table.with_rule(Rule::rename(from, to));
            fields.insert(from.as_str(), raw.as_str());
        }
        let record = record_of(&fields);
        let there = map_one(&table, &record);
        let back = map_one(&table.invert().unwrap(), &there);
        let batch = Batch::from_records("x", [back]).unwrap();
        for (path, raw) in &fields {
            let value = batch.get(0).unwrap().get(&FieldPath::parse(path).unwrap()).unwrap();
            prop_assert_eq!(value.raw(), *raw);
        }
        prop_assert_eq!(table.invert().unwrap().invert().unwrap(), table);
    }

    #[test]
    fn every_record_lands_in_exactly_one_place(
        values in prop::collection::vec((raw_value(), raw_value(), any::<bool>()), 0..20),
    ) {
        let table = Table::from_yaml(
            "when: {field: b, not_equals: true}
rules:
  - {from: a, to: x.id, key: true, convert: string}
  - {from: b, to: x.n, convert: decimal, max_length: 6}
  - {join: {from: [a, b], separator: '-'}, to: j}",
        )
        .unwrap();
        let records: Vec<String> = values.iter().map(|(a, b, _)| format!(r#"{{"a":{a},"b":{b}}}"#)).collect();
        let batch = Batch::from_records("x", &records).unwrap().with_deletions(values.iter().map(|(.., gone)| *gone));
        let mapped = table.compile(&Lookups::new()).unwrap().map(&batch).unwrap();
        let mut seen: Vec<usize> = mapped.origins.iter().copied().chain(mapped.refused.iter().map(|r| r.index)).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), mapped.batch.len() + mapped.refused.len());
        prop_assert_eq!(seen.len() + mapped.skipped, records.len());
        for (record, origin) in mapped.batch.iter().zip(&mapped.origins) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&record.raw().replace("\\ud83d", "")).is_ok());
            prop_assert_eq!(record.change(), batch.get(*origin).unwrap().change());
        }
        for refusal in &mapped.refused {
            prop_assert!(matches!(refusal.error.kind(), ErrorKind::Schema | ErrorKind::Invalid));
            prop_assert!(!refusal.error.fields().is_empty());
        }
    }
}
