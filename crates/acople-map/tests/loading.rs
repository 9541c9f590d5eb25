//! What is wrong with a table is said at once, with its place.
#![allow(clippy::unwrap_used)]

use acople_core::ErrorKind;
use acople_map::{Direction, Lookups, Rule, Table};

/// Places and message of the error that a YAML table gives.
fn fault(yaml: &str) -> (Vec<String>, String) {
    let error = Table::from_yaml(yaml).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    (error.fields().to_vec(), error.message().to_owned())
}

/// Asserts that a list of rules has exactly this fault.
fn rule_fault(rules: &str, place: &str, says: &str) {
    let (places, message) = fault(&format!("rules: {rules}"));
    assert_eq!(places, [place], "{message}");
    assert!(message.contains(place) && message.contains(says), "{message}");
}

#[test]
fn an_unknown_attribute_is_named_with_its_rule() {
    let (places, message) = fault("rules:\n  - {from: a, to: b}\n  - {from: c, too: d}");
    assert!(places.first().is_some_and(|place| place.starts_with("rules[1]")), "{places:?}");
    assert!(message.contains("too") && message.contains("line 3"), "{message}");
    let (_, message) = fault("rulez: []");
    assert!(message.contains("rulez"), "{message}");

    let error = Table::from_json(r#"{"rules": [{"from": "a", "to": "b", "covert": "lower"}]}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.fields().first().is_some_and(|place| place.starts_with("rules[0]")), "{error:?}");
    assert!(error.message().contains("covert"), "{error}");
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let (places, message) = fault("rules: [{from: a, to: b, convert: [lower, loud]}]");
    assert!(places.first().is_some_and(|place| place.starts_with("rules[0].convert")), "{places:?}");
    assert!(message.contains("loud"), "{message}");
    let (places, _) = fault("rules: [{from: a, to: b, convert: {datetime: {from: iso, to: date}}}]");
    assert!(places.first().is_some_and(|place| place.starts_with("rules[0].convert")), "{places:?}");
    let (_, message) = fault("rules: [{constant: 1.5, to: b}]");
    assert!(message.contains("decimal"), "{message}");
    let (_, message) = fault("rules: [{constant: 99999999999999999999, to: b}]");
    assert!(message.contains("text"), "{message}");
}

#[test]
fn text_that_is_no_yaml_or_json_is_an_error() {
    fault("rules: [");
    fault("rules: {from: a}");
    fault("- 1");
    fault("name: a\nname: b");
    for json in ["", "{", "{} {}", "[]", r#"{"name": 1}"#] {
        assert_eq!(Table::from_json(json).unwrap_err().kind(), ErrorKind::Config, "{json}");
    }
}

#[test]
fn words_that_old_yaml_took_for_truth_values_stay_words() {
    let table = Table::from_yaml("rules: [{constant: no, to: a}, {constant: on, to: b}]").unwrap();
    assert_eq!(table.rules, [Rule::constant("no", "a"), Rule::constant("on", "b")]);
}

#[test]
fn wrong_paths_are_named() {
    rule_fault("[{from: a..b, to: x}]", "rules[0].from", "no path");
    rule_fault("[{from: a, to: ''}]", "rules[0].to", "empty");
    rule_fault("[{from: a, to: /x~2}]", "rules[0].to", "no path");
    rule_fault("[{from: a, fallback: [b, .c], to: x}]", "rules[0].fallback[1]", "no path");
    rule_fault("[{join: {from: [a, b.], separator: ' '}, to: x}]", "rules[0].join.from[1]", "no path");
    rule_fault("[{from: a, split: {to: [x, .y], separator: ' '}}]", "rules[0].split.to[1]", "no path");
    rule_fault("[{from: a, to: list.0.x}]", "rules[0].to", "element of a list");
    rule_fault("[{from: a, to: b, when: {field: c., exists: true}}]", "rules[0].when[0].field", "no path");
    rule_fault("[{from: a., to: b, direction: backward}]", "rules[0].from", "no path");
}

#[test]
fn two_rules_with_one_target_are_refused() {
    rule_fault("[{from: a, to: x}, {from: b, to: x}]", "rules[1].to", "rules[0]");
    rule_fault("[{from: a, to: x.y}, {from: b, to: /x/y}]", "rules[1].to", "rules[0]");
    rule_fault("[{from: a, to: x}, {from: b, to: x, read_only: true}]", "rules[1].to", "rules[0]");
    rule_fault("[{from: a, split: {to: [x, x], separator: ' '}}]", "rules[0].split.to[1]", "rules[0]");
    Table::from_yaml("rules: [{from: a, to: x, direction: forward}, {from: b, to: x, direction: backward}]")
        .unwrap();
}

#[test]
fn a_target_is_not_both_a_value_and_an_object() {
    rule_fault("[{from: a, to: x}, {from: b, to: x.y}]", "rules[1].to", "rules[0]");
    rule_fault("[{from: a, to: x.y.z}, {from: b, to: x}]", "rules[1].to", "rules[0]");
}

#[test]
fn attributes_that_do_not_go_together_are_named() {
    rule_fault("[{to: x}]", "rules[0]", "exactly one source");
    rule_fault("[{from: a, constant: 1, to: x}]", "rules[0]", "exactly one source");
    rule_fault("[{from: a}]", "rules[0]", "exactly one target");
    rule_fault("[{constant: a, to: b, required: true}]", "rules[0].required", "constant");
    rule_fault("[{from: a, to: b, required: true, default: c}]", "rules[0].default", "never used");
    rule_fault("[{from: a, to: b, key: true, read_only: true}]", "rules[0].read_only", "key");
    rule_fault("[{from: a, to: b, max_length: 0}]", "rules[0].max_length", "0");
    rule_fault("[{from: a, to: b, too_long: truncate}]", "rules[0].too_long", "max_length");
    rule_fault("[{from: a, to: b, default: abc, max_length: 2}]", "rules[0].default", "max_length");
    rule_fault("[{from: a, split: {to: [x, y], separator: ''}}]", "rules[0].split.separator", "empty");
    rule_fault("[{from: a, split: {to: [], separator: ' '}}]", "rules[0].split.to", "empty");
    rule_fault("[{join: {from: [], separator: ' '}, to: b}]", "rules[0].join.from", "empty");
    rule_fault("[{constant: abc, to: b, convert: decimal}]", "rules[0].constant", "no number");
    rule_fault("[{from: a, to: b, when: {field: c}}]", "rules[0].when[0]", "exactly one test");
    rule_fault(
        "[{from: a, to: b, when: {field: c, equals: 1, exists: true}}]",
        "rules[0].when[0]",
        "exactly one test",
    );
}

#[test]
fn zones_and_patterns_are_checked_when_the_table_is_loaded() {
    let with = |inner: &str| format!("[{{from: a, to: b, convert: {{datetime: {{{inner}}}}}}}]");
    rule_fault(
        &with("from: date, to: date, zone: Mars/Olympus"),
        "rules[0].convert[0].datetime.zone",
        "no time zone",
    );
    rule_fault(
        &with("from: date, to: date, zone: '+25:00:00'"),
        "rules[0].convert[0].datetime.zone",
        "no time zone",
    );
    rule_fault(&with("from: {pattern: '%!'}, to: date"), "rules[0].convert[0].datetime.from", "pattern");
    rule_fault(&with("from: {pattern: '%Q'}, to: date"), "rules[0].convert[0].datetime.from", "full date");
    rule_fault(&with("from: {pattern: '%H:%M'}, to: date"), "rules[0].convert[0].datetime.from", "full date");
    Table::from_yaml(&format!(
        "rules: {}",
        with("from: {pattern: '%d/%m/%Y %H:%M'}, to: date, zone: America/Lima")
    ))
    .unwrap();
}

#[test]
fn all_faults_are_told_at_once() {
    let (places, _) =
        fault("when: {field: ''}\nrules: [{to: x}, {from: a., to: y}, {from: b, to: y}, {from: c, to: y}]");
    assert_eq!(
        places,
        ["when[0].field", "when[0]", "rules[0]", "rules[1].from", "rules[2].to", "rules[3].to"]
    );
}

#[test]
fn dropped_fields_are_checked() {
    let (places, _) = fault("drop: [a]\nrules: [{from: a, to: x}]");
    assert_eq!(places, ["drop[0]"]);
    let (places, _) = fault("pass_through: true\ndrop: [a.b]");
    assert_eq!(places, ["drop[0]"]);
}

#[test]
fn a_look_up_that_cannot_be_reversed_does_not_compile_in_reverse() {
    let table = Table::new("t").with_lookup("l", [("a", "x"), ("b", "x")]);
    let mut back = acople_map::Convert::lookup("l");
    if let acople_map::Convert::Lookup(lookup) = &mut back {
        lookup.reverse = true;
    }
    let table = table.with_rule(Rule::rename("f", "t").with_convert(back));
    let error = table.compile(&Lookups::new()).unwrap_err();
    assert_eq!(error.fields(), ["rules[0].convert[0].lookup.table"]);
}

#[test]
fn the_schema_describes_the_format() {
    let schema = Table::json_schema();
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    assert!(properties.contains_key("rules") && properties.contains_key("pass_through"));
    assert_eq!(schema.get("additionalProperties"), Some(&false.into()));
    let text = schema.to_string();
    for word in ["iso_basic_offset", "otherwise_back", "read_only", "backward", "as_null", "from_end"] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn the_schema_names_every_attribute_that_is_written() {
    let rule = Rule::rename("a", "b").key().with_default("c").with_direction(Direction::Forward);
    let table = serde_json::to_value(Table::new("t").with_rule(rule)).unwrap();
    let schema = Table::json_schema();
    let attributes = schema.pointer("/$defs/Rule/properties").unwrap();
    for attribute in table.pointer("/rules/0").unwrap().as_object().unwrap().keys() {
        assert!(attributes.get(attribute).is_some(), "{attribute}");
    }
}
