//! What a profile says of a stream.

use acople_core::json::FieldPath;
use acople_quality::Profile;
use proptest::prelude::*;

use crate::fixture::batch;

fn profile<S: AsRef<str>>(records: impl IntoIterator<Item = S>) -> Profile {
    let mut profile = Profile::new();
    profile.add(&batch(records));
    profile
}

#[test]
fn a_profile_counts_types_forms_extremes_and_frequent_values() {
    let report = profile([
        r#"{"id":9007199254740993,"mail":"a@b.de","at":"2026-01-02","n":{"x":1},"tags":[1,2]}"#,
        r#"{"id":9007199254740992,"mail":"","at":"2025-12-31T23:00:00Z","n":{}}"#,
        r#"{"id":-0.5,"mail":null,"at":"7b0e9f3a-1111-4222-8333-444455556666","n":null}"#,
        r#"{"id":-0.50,"mail":"x","at":"https://example.com","mail":"y"}"#,
    ])
    .report();
    assert_eq!(report.records, 4);
    let id = report.field("/id").unwrap();
    assert_eq!((id.min.as_deref(), id.max.as_deref()), (Some("-0.5"), Some("9007199254740993")));
    assert_eq!((id.types.integer, id.types.number, id.distinct), (2, 2, 3));
    let mail = report.field("/mail").unwrap();
    assert_eq!((mail.values, mail.nulls, mail.missing, mail.forms.email, mail.forms.empty), (4, 1, 0, 1, 1));
    assert_eq!((mail.lengths.min, mail.lengths.max), (0, 6));
    let at = report.field("/at").unwrap();
    assert_eq!((at.forms.date, at.forms.date_time, at.forms.uuid, at.forms.url), (1, 1, 1, 1));
    assert_eq!((at.min.as_deref(), at.max.as_deref()), (Some("2025-12-31T23:00:00Z"), Some("2026-01-02")));
    // Of the two objects one has the field.
    assert_eq!((report.field("/n/x").unwrap().values, report.field("/n/x").unwrap().missing), (1, 1));
    assert_eq!(
        (report.field("/tags").unwrap().lengths.max, report.field("/tags").unwrap().top.len()),
        (2, 0)
    );

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["fields"][0]["field"], "/at");
    let table = report.to_string();
    assert!(table.starts_with("4 records\nfield"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("/mail") && line.contains("text|email|empty")),
        "{table}"
    );
}

#[test]
fn frequent_values_are_found_among_many_rare_ones() {
    let mut profile = Profile::new();
    for round in 0..200 {
        let often = (0..10).map(|n| format!(r#"{{"v":"often{}"}}"#, n % 2));
        let rare = (0..10).map(|n| format!(r#"{{"v":"rare{round}-{n}"}}"#));
        profile.add(&batch(often.chain(rare)));
    }
    let report = profile.report();
    let field = report.field("/v").unwrap();
    let top: Vec<&str> = field.top.iter().take(2).map(|top| top.value.as_str()).collect();
    assert_eq!(top, ["often0", "often1"]);
    assert!(field.top[0].count >= 1_000 && field.top[0].count - field.top[0].error <= 1_000);
}

#[test]
fn distinct_values_are_estimated_within_five_percent() {
    for count in [10_u32, 900, 5_000, 60_000] {
        let mut profile = Profile::new();
        for part in (0..count).collect::<Vec<_>>().chunks(1_000) {
            profile.add(&batch(part.iter().map(|n| format!(r#"{{"v":{n}}}"#))));
        }
        let distinct = profile.report().field("/v").unwrap().distinct;
        let off = distinct.abs_diff(u64::from(count));
        assert!(off * 20 <= u64::from(count), "{distinct} instead of {count}");
    }
}

#[test]
fn secret_values_are_neither_shown_nor_kept() {
    let mut profile = Profile::new().with_secret(&FieldPath::parse("card").unwrap());
    profile.add(&batch([r#"{"card":{"pin":"s3cr3t"},"cards":"shown"}"#]));
    let mut other = Profile::new().without_values();
    other.add(&batch([r#"{"cards":"s3cr3t","n":31337}"#]));
    for profile in [&profile, &other] {
        let text =
            format!("{profile:?} {} {}", profile.report(), serde_json::to_string(&profile.report()).unwrap());
        assert!(!text.contains("s3cr3t") && !text.contains("31337"), "{text}");
    }
    assert_eq!(profile.report().field("/card/pin").unwrap().values, 1);
    assert_eq!(profile.report().field("/cards").unwrap().top[0].value, "shown");
    profile.merge(&other);
    assert!(profile.report().field("/cards").unwrap().top.is_empty());
}

#[test]
fn fields_beyond_the_limit_are_counted() {
    let mut profile = Profile::new().with_fields(2);
    profile.add(&batch([r#"{"a":1,"b":{"x":1},"c":1}"#, r#"{"c":1,"a":2}"#]));
    let report = profile.report();
    assert_eq!((report.fields.len(), report.beyond), (2, 3));
}

/// A record of a few fields with a few different values.
fn record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        (-5_i32..5).prop_map(|n| n.to_string()),
        (0_u8..9).prop_map(|n| format!("{n}.{n}0")),
        "[a-c]{0,2}".prop_map(|text| format!(r#""{text}""#)),
        (1_u8..28).prop_map(|day| format!(r#""2026-01-{day:02}""#)),
        Just("null".to_owned()),
        Just(r#"{"in":1}"#.to_owned()),
        Just("[1,2]".to_owned()),
    ];
    prop::collection::btree_map("[pqr]", value, 0..3).prop_map(|fields| {
        let members: Vec<String> =
            fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Profiles of parts, merged, say what a profile of the whole says: here all of it, as no field has more than 64
    /// different values.
    #[test]
    fn merged_parts_are_the_whole(records in prop::collection::vec(record(), 0..60), cut in 0_usize..60) {
        let cut = cut.min(records.len());
        let mut merged = profile(&records[..cut]);
        merged.merge(&profile(&records[cut..]));
        prop_assert_eq!(merged.report(), profile(&records).report());
    }
}
