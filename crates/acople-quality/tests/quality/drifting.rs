//! Data that is no longer as it was agreed.

use std::sync::Arc;

use acople_core::{CheckpointStore, ErrorKind, Event};
use acople_quality::{
    AgreedSchema, CheckpointSchemas, DriftPolicy, Gated, MemorySchemas, OnDrift, SchemaStore, TypeChange,
};
use acople_testkit::memory::MemoryStore;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{Heard, Pages, accepted, batch, raws, read};

/// What became of a run over records after a first run has agreed to others.
struct Run {
    given: Vec<String>,
    refused: Vec<String>,
    error: Option<acople_core::Error>,
    heard: Vec<String>,
    warnings: Vec<String>,
    agreed: AgreedSchema,
}

async fn run(policy: DriftPolicy, store: &Arc<MemorySchemas>, records: &[&str]) -> Run {
    let heard = Heard::default();
    let gated = Gated::new(Arc::new(Pages::new(vec![batch(records)])))
        .with_drift("people", policy, store.clone())
        .with_observer(Arc::new(heard.clone()));
    let (events, error) = read(&gated).await;
    let refused = events.iter().filter_map(|e| if let Event::Batch(b) = e { b.unreadable() } else { None });
    let refused = refused.flat_map(|u| u.refused).map(|r| r.error.message().to_owned()).collect();
    let warnings =
        events.iter().filter_map(|e| if let Event::Warning(text) = e { Some(text.clone()) } else { None });
    Run {
        given: accepted(&events),
        refused,
        error,
        warnings: warnings.collect(),
        heard: heard.lines().into_iter().filter(|line| !line.starts_with("finished")).collect(),
        agreed: store.load("people").await.unwrap().unwrap_or_default(),
    }
}

const AGREED: [&str; 2] = [r#"{"id":1,"name":"Ana","n":{"a":1}}"#, r#"{"id":2,"name":"Bo","n":{"a":2}}"#];

/// A store that has agreed to the records above.
async fn agreed() -> Arc<MemorySchemas> {
    let store = Arc::new(MemorySchemas::default());
    let first = run(DriftPolicy::default(), &store, &AGREED).await;
    assert_eq!((first.heard, first.given.len()), (vec!["agreed 1".to_owned()], 2));
    assert!(run(DriftPolicy::new(OnDrift::Freeze), &store, &AGREED).await.error.is_none());
    store
}

/// Row by row: what comes, what is told of it, and what `evolve` gives out.
#[tokio::test]
async fn page_12_evolve_keeps_reports_and_raises_the_version() {
    for (record, told, given) in [
        (
            r#"{"id":3,"name":"Cy","n":{"a":3},"tag":"x"}"#,
            "/tag is new",
            r#"{"id":3,"name":"Cy","n":{"a":3},"tag":"x"}"#,
        ),
        (
            r#"{"id":3,"name":"Cy","n":{"a":3,"b":{"c":1}}}"#,
            "/n/b is new",
            r#"{"id":3,"name":"Cy","n":{"a":3,"b":{"c":1}}}"#,
        ),
        (r#"{"id":3,"n":{"a":3}}"#, "/name is missing", r#"{"id":3,"n":{"a":3},"name":null}"#),
        (
            r#"{"id":3.5,"name":"Cy","n":{"a":3}}"#,
            "/id widened from integer to number",
            r#"{"id":3.5,"name":"Cy","n":{"a":3}}"#,
        ),
        (
            r#"{"id":3,"name":null,"n":{"a":3}}"#,
            "/name may be null now",
            r#"{"id":3,"name":null,"n":{"a":3}}"#,
        ),
    ] {
        let store = agreed().await;
        let changed = run(DriftPolicy::default(), &store, &[record]).await;
        assert_eq!(changed.heard, [told, "agreed 2"]);
        assert_eq!(changed.warnings, [format!("schema of people: {told}")]);
        assert_eq!((changed.given, changed.refused), (vec![given.to_owned()], vec![]));
        assert_eq!(changed.agreed.version, 2);
        // What is agreed is told no more, and is done again all the same.
        let again = run(DriftPolicy::default(), &store, &[record]).await;
        assert_eq!((again.heard, again.given), (vec![], vec![given.to_owned()]), "{told}");
        assert_eq!(again.agreed.version, 2);
    }
}

#[tokio::test]
async fn page_12_another_type_is_refused_widened_or_made_text() {
    let record = r#"{"id":"three","name":4,"n":{"a":3}}"#;
    let policy = |change| DriftPolicy::default().with_type_change(change);

    let store = agreed().await;
    let refused = run(policy(TypeChange::Refuse), &store, &[record]).await;
    assert_eq!(refused.heard, ["/id was integer and is text", "/name was text and is integer"]);
    assert_eq!(refused.refused, ["the record is not as agreed: /id was integer and is text; and 1 more"]);
    assert_eq!((refused.given.len(), refused.agreed.version), (0, 1));

    let widened = run(policy(TypeChange::Widen), &agreed().await, &[record, AGREED[0]]).await;
    assert_eq!((widened.given.len(), widened.agreed.version), (2, 2));
    assert_eq!(widened.agreed.fields["id"].types.len(), 2);

    let store = agreed().await;
    let text = run(policy(TypeChange::Text), &store, &[AGREED[0], record, AGREED[1]]).await;
    assert_eq!(
        text.given,
        [AGREED[0], r#"{"id":"three","name":"4","n":{"a":3}}"#, r#"{"id":"2","name":"Bo","n":{"a":2}}"#]
    );
    let again = run(policy(TypeChange::Text), &store, &[AGREED[1]]).await;
    assert_eq!(again.given, [r#"{"id":"2","name":"Bo","n":{"a":2}}"#]);
}

#[tokio::test]
async fn page_12_ignore_tells_quarantine_refuses_freeze_stops() {
    let records = [AGREED[0], r#"{"id":3,"tag":"x","n":{"a":3}}"#, r#"{"id":4,"tag":"y","n":{"a":"z"}}"#];
    let told = ["/tag is new", "/name is missing", "/n/a was integer and is text"];

    let ignored = run(DriftPolicy::new(OnDrift::Ignore), &agreed().await, &records).await;
    assert_eq!(
        (ignored.given, ignored.heard),
        (records.map(str::to_owned).to_vec(), told.map(str::to_owned).to_vec())
    );
    assert_eq!(ignored.agreed.version, 1);

    let aside = run(DriftPolicy::new(OnDrift::Quarantine), &agreed().await, &records).await;
    assert_eq!((aside.given.len(), aside.refused.len(), aside.heard.len()), (1, 2, 3));
    assert_eq!(aside.agreed.version, 1);

    let frozen = run(DriftPolicy::new(OnDrift::Freeze), &agreed().await, &records).await;
    let error = frozen.error.unwrap();
    assert_eq!(
        (frozen.given.len(), error.kind(), error.code()),
        (0, ErrorKind::Schema, Some("quality.drift"))
    );
    assert_eq!(error.fields(), ["/tag", "/name"]);
}

#[tokio::test]
async fn page_12_a_longer_text_and_a_renamed_value_of_a_described_field_are_told() {
    let store = Arc::new(MemorySchemas::default());
    let schema = json!({"properties": {
        "status": {"type": "string", "enum": ["open", "closed"]},
        "name": {"type": "string", "maxLength": 3},
    }});
    store.save("people", &AgreedSchema::of_json_schema(&schema)).await.unwrap();
    let records = [r#"{"status":"open","name":"äöü"}"#, r#"{"status":"opened","name":"Anna"}"#];
    let changed = run(DriftPolicy::default(), &store, &records).await;
    assert_eq!(
        changed.heard,
        ["/status has a value that was not agreed", "/name has 4 characters instead of 3", "agreed 1"]
    );
    assert_eq!(changed.given.len(), 2);
    assert!(run(DriftPolicy::new(OnDrift::Freeze), &store, &records).await.error.is_none());
}

#[tokio::test]
async fn page_12_a_description_is_compared_before_the_read() {
    let store = Arc::new(MemorySchemas::default());
    let source = Arc::new(Pages::new(vec![batch([r#"{"id":"1"}"#])]));
    let id = json!({"type": "string"});
    let describe = |schema: Value| *source.schema.lock().unwrap() = schema;
    let heard = Heard::default();
    let gated = |on| {
        Gated::new(source.clone())
            .with_drift("people", DriftPolicy::new(on).described(), store.clone())
            .with_observer(Arc::new(heard.clone()))
    };
    describe(json!({"properties": {"id": id, "old": {"type": ["integer", "null"]}}}));
    assert!(read(&gated(OnDrift::Evolve)).await.1.is_none());
    describe(json!({"properties": {"id": {"type": "integer"}, "new": {"type": "string"}}}));
    let (events, error) = read(&gated(OnDrift::Freeze)).await;
    assert_eq!(
        (events.len(), error.unwrap().fields().to_vec()),
        (0, vec!["/id".into(), "/new".into(), "/old".into()])
    );
    let (events, error) = read(&gated(OnDrift::Evolve)).await;
    assert!(error.is_none());
    // The field that the description no longer has is null from the first record on.
    assert_eq!(accepted(&events), [r#"{"id":"1","old":null}"#]);
    let lines: Vec<String> = heard.lines().into_iter().filter(|line| !line.starts_with("finished")).collect();
    assert_eq!(
        lines,
        ["agreed 1", "/id was text and is integer", "/new is new", "/old is missing", "agreed 2"]
    );
}

#[test]
fn page_12_two_descriptions_are_compared_keyword_by_keyword() {
    for (then, now, told) in [
        (json!({"type": "integer"}), json!({"type": "number"}), vec!["/f widened from integer to number"]),
        (json!({"type": "number"}), json!({"type": "integer"}), vec!["/f narrowed from number to integer"]),
        (json!({"type": "string"}), json!({"type": "boolean"}), vec!["/f was text and is boolean"]),
        (json!({"type": "string"}), json!({"type": ["string", "null"]}), vec!["/f may be null now"]),
        (json!({"type": ["string", "null"]}), json!({"type": "string"}), vec!["/f may not be null any more"]),
        (
            json!({"type": "string", "maxLength": 5}),
            json!({"type": "string", "maxLength": 9}),
            vec!["/f has 9 characters instead of 5"],
        ),
        (
            json!({"type": "string", "maxLength": 9}),
            json!({"type": "string", "maxLength": 5}),
            vec!["/f has at most 5 characters instead of 9"],
        ),
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["a", "c"]}),
            vec!["/f has a value that was not agreed", "/f has fewer values than were agreed"],
        ),
        (
            json!({"type": "object", "properties": {"x": {}}}),
            json!({"type": "object", "properties": {"y": {}}}),
            vec!["/f/x is missing", "/f/y is new"],
        ),
        (json!({"type": "string"}), json!({"type": "string", "title": "other"}), vec![]),
    ] {
        let schema = |field: &Value| AgreedSchema::of_json_schema(&json!({"properties": {"f": field}}));
        let drifts = schema(&then).compare(&schema(&now));
        assert_eq!(drifts.iter().map(ToString::to_string).collect::<Vec<_>>(), told, "{then} {now}");
    }
}

#[tokio::test]
async fn what_was_agreed_is_kept_beside_the_checkpoints_and_fenced() {
    let store = MemoryStore::new();
    let schemas = || CheckpointSchemas::new(Arc::new(store.clone()), "nightly").with_tenant("acme");
    assert!(schemas().load("people").await.unwrap().is_none());
    let schema = AgreedSchema::of_json_schema(&json!({"properties": {"id": {"type": "string"}}}));
    let (first, second) = (schemas(), schemas());
    first.save("people", &schema).await.unwrap();
    assert_eq!(schemas().load("people").await.unwrap(), Some(schema.clone()));
    assert_eq!(second.save("people", &schema).await.unwrap_err().kind(), ErrorKind::Fenced);
    let keys = store.keys(Some("nightly#schema")).await.unwrap();
    assert_eq!((keys.len(), keys[0].tenant.as_str()), (1, "acme"));
    assert!(store.keys(Some("nightly")).await.unwrap().is_empty());
}

/// Records of a few fields of a few types.
fn record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("1.5".to_owned()),
        Just(r#""x""#.to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#"{"i":1}"#.to_owned()),
        Just("[1]".to_owned()),
    ];
    prop::collection::btree_map("[abc]", value, 0..3).prop_map(|fields| {
        let members: Vec<String> =
            fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes under whatever policy: each record is given out or refused, no field of it is dropped, and a run
    /// that was evolved through once finds nothing new in the same records.
    #[test]
    fn page_12_nothing_is_dropped_in_silence(
        then in prop::collection::vec(record(), 1..6),
        now in prop::collection::vec(record(), 1..6),
        change in prop_oneof![Just(TypeChange::Refuse), Just(TypeChange::Widen), Just(TypeChange::Text)],
        on in prop_oneof![Just(OnDrift::Evolve), Just(OnDrift::Ignore), Just(OnDrift::Quarantine)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(MemorySchemas::default());
            let policy = DriftPolicy::new(on).with_type_change(change);
            let refs = |records: &[String]| records.to_vec();
            let first = run(policy, &store, &refs(&then).iter().map(String::as_str).collect::<Vec<_>>()).await;
            assert_eq!(first.given, raws(&batch(&then)));
            let now: Vec<&str> = now.iter().map(String::as_str).collect();
            let changed = run(policy, &store, &now).await;
            assert_eq!(changed.given.len() + changed.refused.len(), now.len());
            assert!(changed.heard.len() >= usize::from(!changed.refused.is_empty()));
            if on == OnDrift::Evolve && changed.refused.is_empty() {
                for (given, sent) in changed.given.iter().zip(&now) {
                    let (given, sent): (Value, Value) =
                        (serde_json::from_str(given).unwrap(), serde_json::from_str(sent).unwrap());
                    for (name, value) in sent.as_object().unwrap() {
                        let kept = &given[name];
                        assert!(kept == value || *kept == Value::String(value.to_string()), "{sent} {given}");
                    }
                }
                let again = run(policy, &store, &now).await;
                let version = again.heard.iter().all(|line| !line.starts_with("agreed"));
                assert!(version && again.heard.is_empty(), "{:?}", again.heard);
                assert_eq!(again.refused.len(), 0);
            }
        });
    }
}
