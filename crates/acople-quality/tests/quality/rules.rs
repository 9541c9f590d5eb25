//! Each rule, and what it says of a record that fails it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use acople_core::json::FieldPath;
use acople_core::{Context, ErrorKind, Result};
use acople_quality::{Check, Inspector, KeySet, Lookup, Lookups, Rule, Rules, Scalar};
use acople_testkit::FakeClock;
use async_trait::async_trait;

use crate::fixture::{Pages, batch, inspector, refusals};

/// Which of the records a check of the field `v` refuses.
fn refused(check: &str, records: &[&str]) -> Vec<usize> {
    let mut inspector = inspector(&format!("rules: [{{ field: v, check: {check} }}]"));
    refusals(&inspector.inspect(&batch(records)).unwrap()).into_iter().map(|(index, _)| index).collect()
}

#[test]
fn each_check_refuses_what_it_should_and_nothing_else() {
    for (check, records, expected) in [
        ("required", vec![r#"{"v":0}"#, r#"{"v":null}"#, "{}", r#"{"v":""}"#], vec![1, 2]),
        ("not_null", vec![r#"{"v":0}"#, r#"{"v":null}"#, "{}"], vec![1]),
        ("{ type: integer }", vec![r#"{"v":1.0}"#, r#"{"v":1.5}"#, r#"{"v":"1"}"#, "{}"], vec![1, 2]),
        ("{ type: [decimal] }", vec![r#"{"v":1.5}"#, r#"{"v":"1.50"}"#, r#"{"v":"x"}"#], vec![2]),
        (
            "{ type: date }",
            vec![r#"{"v":"2026-02-28"}"#, r#"{"v":"2026-02-30"}"#, r#"{"v":20260228}"#],
            vec![1, 2],
        ),
        ("{ type: [boolean, array] }", vec![r#"{"v":true}"#, r#"{"v":[1]}"#, r#"{"v":{}}"#], vec![2]),
        (
            "{ range: { min: 1, below: '2.50' } }",
            vec![
                r#"{"v":1}"#,
                r#"{"v":0.99}"#,
                r#"{"v":2.5}"#,
                r#"{"v":"2.4999999999999999999"}"#,
                r#"{"v":"x"}"#,
            ],
            vec![1, 2, 4],
        ),
        (
            "{ range: { max: '9007199254740992' } }",
            vec![r#"{"v":9007199254740992}"#, r#"{"v":9007199254740993}"#, r#"{"v":1e400}"#],
            vec![1, 2],
        ),
        (
            "{ range: { min: '2026-01-01' } }",
            vec![
                r#"{"v":"2026-01-01T00:00:00Z"}"#,
                r#"{"v":"2025-12-31T23:30:00-01:00"}"#,
                r#"{"v":"2025-12-31"}"#,
            ],
            vec![2],
        ),
        (
            "{ length: { min: 2, max: 3 } }",
            vec![r#"{"v":"äöü"}"#, r#"{"v":"\u00e4\u00f6"}"#, r#"{"v":"a"}"#, r#"{"v":[1,2,3,4]}"#],
            vec![2, 3],
        ),
        (
            "{ pattern: '^[a-z]+$' }",
            vec![r#"{"v":"abc"}"#, r#"{"v":"a\u0062c"}"#, r#"{"v":"ab1"}"#, r#"{"v":null}"#],
            vec![2],
        ),
        (
            "{ one_of: [open, 3, true] }",
            vec![r#"{"v":"open"}"#, r#"{"v":3.0}"#, r#"{"v":true}"#, r#"{"v":"Open"}"#],
            vec![3],
        ),
        (
            "{ compare: { is: at_most, to: w } }",
            vec![
                r#"{"v":2,"w":10}"#,
                r#"{"v":"9.5","w":10}"#,
                r#"{"v":11,"w":10}"#,
                r#"{"v":"2026-02-01","w":"2026-01-31T23:59:59Z"}"#,
                r#"{"v":1}"#,
            ],
            vec![2, 3],
        ),
        (
            "{ compare: { is: not_equal, to: w } }",
            vec![r#"{"v":"a","w":"b"}"#, r#"{"v":"a","w":"a"}"#, r#"{"v":"1.0","w":1}"#],
            vec![1, 2],
        ),
    ] {
        assert_eq!(refused(check, &records), expected, "{check}");
    }
}

#[test]
fn a_refusal_names_field_rule_and_expectation_and_quotes_little() {
    let mut inspector = inspector(
        r"
name: people
excerpt: 8
rules:
  - { field: address.zip, check: { pattern: '^[0-9]{5}$' } }
  - { field: /a~1b, check: required, name: has a/b }
  - { field: pin, check: { length: { max: 4 } }, secret: true }
",
    );
    let long = "x".repeat(10_000);
    let records = [
        format!(r#"{{"address":{{"zip":"{long}"}},"a/b":1}}"#),
        r#"{"address":{"zip":"12345"}}"#.to_owned(),
        r#"{"pin":"s3cr3t-pin","a/b":1}"#.to_owned(),
        r#"{"pin":"s3cr3t-pin","address":{"zip":"line\nbreak"}}"#.to_owned(),
    ];
    let inspection = inspector.inspect(&batch(records)).unwrap();
    let refused = inspection.refused();
    let messages = refusals(&inspection);
    assert_eq!(
        messages[0].1,
        "/address/zip fails pattern: expected a text of at most 16384 bytes that matches `^[0-9]{5}$`, found a text `xxxxxxxx…`"
    );
    assert_eq!(messages[1].1, "/a~1b fails has a/b: expected a value, found nothing");
    assert_eq!(messages[2].1, "/pin fails length: expected a length of at most 4, found a text");
    assert!(messages[3].1.ends_with("; and 2 more"), "{messages:?}");
    assert_eq!(refused[3].error.fields(), ["/address/zip", "/a~1b", "/pin"]);
    assert_eq!(
        (refused[0].error.kind(), refused[0].error.code()),
        (ErrorKind::Schema, Some("quality.pattern"))
    );
    assert!(refused.iter().all(|r| !format!("{:?} {}", r.error, r.error).contains("s3cr3t")));
}

#[test]
fn a_rule_with_a_condition_applies_only_where_it_holds() {
    let mut inspector = inspector(
        r"
rules:
  - { field: vat, check: required, when: { field: kind, equals: company } }
  - { field: born, check: required, when: [{ field: kind, one_of: [person] }, { field: minor, exists: true }] }
",
    );
    let records = [
        r#"{"kind":"company"}"#,
        r#"{"kind":"person"}"#,
        r#"{"kind":"person","minor":false}"#,
        r#"{"kind":"company","vat":"DE1"}"#,
    ];
    let refused: Vec<usize> =
        refusals(&inspector.inspect(&batch(records)).unwrap()).iter().map(|r| r.0).collect();
    assert_eq!(refused, [0, 2]);
}

#[test]
fn a_warning_lets_the_record_pass_and_is_counted() {
    let mut inspector =
        inspector("rules: [{ field: v, check: [required, { type: text }], severity: warning }]");
    let inspection = inspector.inspect(&batch(["{}", r#"{"v":1}"#, r#"{"v":"a"}"#])).unwrap();
    assert_eq!(inspection.passed().len(), 3);
    assert_eq!((inspection.warnings[0].field.as_str(), inspection.warnings[0].records), ("/v", 2));
    assert_eq!((inspection.score.warned(), inspection.score.refused()), (2, 0));
    assert_eq!(inspector.warnings()[0].rule, "required, type");
}

#[test]
fn freshness_asks_the_hosts_clock() {
    let clock = Arc::new(FakeClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))); // 2026-01-01
    let rules = Rules::from_yaml("rules: [{ field: at, check: { fresh: { seconds: 86400 } } }]").unwrap();
    let mut inspector = Inspector::new(rules.compile(&Lookups::new()).unwrap()).with_clock(clock.clone());
    let records = || {
        batch([
            r#"{"at":"2025-12-31T00:00:00Z"}"#,
            r#"{"at":"2025-12-30T23:59:59Z"}"#,
            r#"{"at":"2025-12-31"}"#,
            r#"{"at":"2026-01-01T00:06:00Z"}"#,
            r#"{"at":"yesterday"}"#,
        ])
    };
    let refused = |inspector: &mut Inspector| -> Vec<usize> {
        refusals(&inspector.inspect(&records()).unwrap()).iter().map(|r| r.0).collect()
    };
    assert_eq!(refused(&mut inspector), [1, 3, 4]);
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(refused(&mut inspector), [0, 1, 4]);
}

#[tokio::test]
async fn a_key_has_to_exist_in_the_other_stream() {
    let users = Pages::new(vec![batch([r#"{"id":"u1"}"#, r#"{"id":7}"#, r#"{"id":null}"#])]);
    let field = FieldPath::parse("id").unwrap();
    let keys = KeySet::read(&users, &Context::new(), "people", &field, 10).await.unwrap();
    assert_eq!(keys.len(), 2);
    let rules = Rules::new("r").with_rule(Rule::new("owner", Check::ExistsIn("users".into())));
    let mut inspector = Inspector::new(rules.compile(&Lookups::new().with("users", keys)).unwrap());
    let records = [
        r#"{"owner":"u1"}"#,
        r#"{"owner":"7"}"#,
        r#"{"owner":"u2"}"#,
        r#"{"owner":null}"#,
        r#"{"owner":[]}"#,
    ];
    let inspection = inspector.inspect(&batch(records)).unwrap();
    assert_eq!(refusals(&inspection).iter().map(|r| r.0).collect::<Vec<_>>(), [2, 4]);

    let error = KeySet::read(&users, &Context::new(), "people", &field, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// Knows the even numbers; counts what it is asked.
#[derive(Debug, Default)]
struct Even(Mutex<Vec<usize>>);

#[async_trait]
impl Lookup for Even {
    async fn exist(&self, _: &Context, keys: &[String]) -> Result<Vec<bool>> {
        self.0.lock().unwrap().push(keys.len());
        Ok(keys.iter().map(|key| key.parse::<u64>().is_ok_and(|n| n % 2 == 0)).collect())
    }
}

#[tokio::test]
async fn a_look_up_elsewhere_is_asked_once_a_batch_for_distinct_keys() {
    let even = Arc::new(Even::default());
    let rules = Rules::new("r").with_rule(Rule::new("n", Check::ExistsIn("even".into())));
    let checks = rules.compile(&Lookups::new().with_asked("even", even.clone())).unwrap();
    let mut inspector = Inspector::new(checks);
    let records = batch([r#"{"n":2}"#, r#"{"n":2}"#, r#"{"n":3}"#, "{}"]);
    inspector.prepare(&Context::new(), &records).await.unwrap();
    let inspection = inspector.inspect(&records).unwrap();
    assert_eq!(refusals(&inspection).iter().map(|r| r.0).collect::<Vec<_>>(), [2]);
    assert_eq!(*even.0.lock().unwrap(), [2]);

    // Not asked: nobody knows, which is neither passed nor failed.
    let unasked = inspector.inspect(&batch([r#"{"n":5}"#])).unwrap();
    assert_eq!((unasked.refused().len(), unasked.score.unchecked(), unasked.score.value()), (0, 1, 1.0));
}

#[test]
fn a_rule_that_cannot_work_is_refused_with_its_place() {
    for (yaml, place) in [
        ("rules: [{ field: v, check: { pattern: '(' } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: { range: {} } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: { range: { min: 1, max: '2026-01-01' } } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: { length: { min: 3, max: 2 } } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: { exists_in: users } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: { type: [] } }]", "rules[0].check[0]"),
        ("rules: [{ field: v, check: [] }]", "rules[0].check"),
        ("rules: [{ field: a..b, check: required }]", "rules[0].field"),
        ("rules: [{ field: v, check: required, weight: 2000 }]", "rules[0].weight"),
        ("rules: [{ field: v, check: required, when: { field: w } }]", "rules[0].when"),
    ] {
        let error = Rules::from_yaml(yaml).unwrap().compile(&Lookups::new()).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[place.to_owned()][..]), "{yaml}");
    }
    for (yaml, place) in [
        ("rules: [{ field: v, check: requird }]", "rules[0].check"),
        ("rules: [{ field: v, check: required, sevrity: error }]", "rules[0]"),
        ("rules: [{ field: v, check: { range: { min: 1.5 } } }]", "rules[0].check"),
    ] {
        let error = Rules::from_yaml(yaml).unwrap_err();
        assert!(error.fields()[0].starts_with(place), "{yaml}: {error}: {:?}", error.fields());
    }
}

#[test]
fn rules_survive_a_round_trip_through_json() {
    let rules = Rules::from_yaml(
        "name: r\nrules: [{ field: v, check: [required, { unique: { with: [w], scope: batch } }], weight: 3 }]",
    )
    .unwrap();
    assert_eq!(Rules::from_json(&serde_json::to_string(&rules).unwrap()).unwrap(), rules);
    assert!(Rules::from_json("[]").is_err());
    assert_eq!(Scalar::from("a"), Scalar::Text("a".into()));
}
