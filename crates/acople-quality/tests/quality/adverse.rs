//! Rules, schemas and records of somebody who means harm.

use std::fmt::Write as _;

use acople_core::ErrorKind;
use acople_quality::{Checks, Inspector, Lookups, Rules, Schema};
use serde_json::{Value, json};

use crate::fixture::{batch, inspector, refusals};

#[test]
fn a_pattern_that_explodes_elsewhere_takes_linear_time() {
    for pattern in ["^(a+)+$", "^(a|aa)+$", "(.*)*x$", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let mut rules = inspector(&format!("rules: [{{ field: v, check: {{ pattern: '{pattern}' }} }}]"));
        let schema = Schema::new(&json!({"properties": {"v": {"pattern": pattern}}})).unwrap();
        let mut schemas = Inspector::new(Checks::none().with_schema(schema));
        let record = format!(r#"{{"v":"{}!"}}"#, "a".repeat(10_000));
        for inspector in [&mut rules, &mut schemas] {
            assert_eq!(refusals(&inspector.inspect(&batch([&record])).unwrap()).len(), 1, "{pattern}");
        }
    }
}

#[test]
fn patterns_are_bounded_in_size_and_depth_and_have_no_look_around() {
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    for pattern in ["(a{1000}){1000}", "x(?=y)", r"(a)\1", &deep] {
        let rules =
            Rules::from_yaml(&format!("rules: [{{ field: v, check: {{ pattern: '{pattern}' }} }}]")).unwrap();
        let error = rules.compile(&Lookups::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.message().contains('\n') && error.message().len() < 300, "{error}");
    }
    for pattern in ["(a{1000}){1000}", "x(?=y)"] {
        assert!(Schema::new(&json!({"properties": {"v": {"pattern": pattern}}})).is_err(), "{pattern}");
    }
}

#[test]
fn a_text_longer_than_a_pattern_is_tried_on_fails_it() {
    let mut inspector = inspector("rules: [{ field: v, check: { pattern: 'a' } }]");
    let record = |length: usize| format!(r#"{{"v":"{}"}}"#, "a".repeat(length));
    let inspection = inspector.inspect(&batch([record(16 << 10), record((16 << 10) + 1)])).unwrap();
    assert_eq!(refusals(&inspection).iter().map(|r| r.0).collect::<Vec<_>>(), [1]);
}

/// A schema of so many definitions, each of which applies the next one twice.
fn doubling(levels: usize) -> Value {
    let mut defs = serde_json::Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        defs.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
    }
    defs.insert(format!("d{levels}"), json!({"type": "null"}));
    json!({"$ref": "#/$defs/d0", "$defs": defs})
}

#[test]
fn schemas_that_go_round_grow_or_sink_are_refused() {
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"properties": {"a": deep}});
    }
    let mut chain = serde_json::Map::new();
    for at in 0..5_000 {
        chain.insert(
            format!("d{at:04}"),
            json!({"properties": {"a": {"$ref": format!("#/$defs/d{:04}", at + 1)}}}),
        );
    }
    chain.insert("d5000".to_owned(), json!(true));
    let properties: serde_json::Map<String, Value> =
        (0..30_000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    for (what, schema) in [
        ("itself", json!({"$ref": "#"})),
        ("itself in allOf", json!({"allOf": [{"$ref": "#"}]})),
        (
            "two",
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
        ),
        ("unused circle", json!({"$defs": {"a": {"$ref": "#/$defs/a"}}})),
        ("doubling", doubling(40)),
        ("many levels in place", doubling(9)),
        ("deep", deep),
        ("chain", json!({"$ref": "#/$defs/d0000", "$defs": chain})),
        ("wide", json!({"properties": properties})),
        ("dynamic", json!({"$dynamicRef": "#x"})),
        ("identifier within", json!({"properties": {"a": {"$id": "http://x.example/", "type": "string"}}})),
    ] {
        let error = Schema::new(&schema).err().unwrap_or_else(|| panic!("{what} passes"));
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error}");
    }
}

#[test]
fn a_recursive_schema_meets_the_deepest_record_without_overflowing() {
    // As many levels in place as are allowed, for every level of the record.
    let mut inner = json!({"properties": {"a": {"$ref": "#"}}});
    for _ in 0..15 {
        inner = json!({"allOf": [inner]});
    }
    let schema = Schema::new(&inner).unwrap();
    let mut inspector = Inspector::new(Checks::none().with_schema(schema));
    let levels = 126;
    let record = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    // On a stack as small as that of a worker thread.
    let inspect = move || inspector.inspect(&batch([record])).unwrap().refused().len();
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(inspect).unwrap();
    assert_eq!(worker.join().unwrap(), 0);
}

#[test]
fn a_record_with_many_members_and_levels_is_checked_in_bounded_memory_and_messages() {
    let mut record = String::from("{");
    for n in 0..20_000 {
        let _ = write!(record, r#""field{n}":"{n}","#);
    }
    record.push_str(r#""v":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}"#);
    let rules: Vec<String> =
        (0..50).map(|n| format!("  - {{ field: field{n}, check: {{ length: {{ max: 0 }} }} }}")).collect();
    let mut inspector = inspector(&format!("rules:\n{}", rules.join("\n")));
    let inspection = inspector.inspect(&batch([record])).unwrap();
    let refused = inspection.refused();
    assert_eq!(refused[0].error.fields().len(), 10);
    assert!(refused[0].error.message().ends_with("; and 49 more"));
}
