//! The shape of a source's records changes.

use std::sync::{Arc, Mutex};

use acople_core::{Context, ErrorKind, QuarantineStore, Stage};
use acople_sync::{FieldChange, Job, Progress, SchemaChange, SchemaPolicy};
use acople_testkit::memory::MemoryStore;
use serde_json::json;

use crate::world::{System, job, run};

struct World {
    from: System,
    to: System,
    store: Arc<MemoryStore>,
    job: Job,
}

/// Three records, learned; the vendor declares what it is told.
async fn world(policy: SchemaPolicy) -> World {
    let (from, to, store) = (System::keyed("a"), System::keyed("b"), Arc::new(MemoryStore::new()));
    from.fill(0..3);
    let job = job(&from, &to, &store).schema_policy(policy).build().unwrap();
    let first = run(&job).await;
    assert!(first.is_success() && first.schema_changes.is_empty(), "the first run learns");
    World { from, to, store, job }
}

/// The changes that were told, each with the version of the shape.
type Told = Vec<(u32, Vec<SchemaChange>)>;

fn fields(changes: &[SchemaChange]) -> Vec<&str> {
    changes.iter().map(|change| change.field.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn page_12_a_new_field_is_kept_told_once_and_raises_the_version() {
    let world = world(SchemaPolicy::Evolve).await;
    let told: Arc<Mutex<Told>> = Arc::default();
    let tell = {
        let told = told.clone();
        move |progress: &Progress| {
            if let Progress::SchemaChanged { version, changes } = progress {
                told.lock().unwrap().push((*version, changes.clone()));
            }
        }
    };
    world.from.data().edit("001", "colour", "red");
    world.from.data().edit("002", "colour", "blue");
    let report = world.job.run(&Context::new(), &tell).await.unwrap();
    assert!(report.is_success());
    assert_eq!(fields(&report.schema_changes), ["colour"]);
    assert_eq!(report.schema_changes[0].what, FieldChange::New);
    assert_eq!(told.lock().unwrap().as_slice(), [(2, report.schema_changes.clone())]);
    assert_eq!(world.to.data().records["001"]["colour"], "red");
    world.from.data().edit("000", "colour", "green");
    assert!(run(&world.job).await.schema_changes.is_empty(), "it is known by now");
    let state = world.job.state(&Context::new()).await.unwrap().unwrap();
    assert_eq!(state.schema_version, Some(2));
}

#[tokio::test(start_paused = true)]
async fn page_12_the_policy_decides_about_a_new_type() {
    let table = [
        // Policy, refused, stopped, told again in the next run.
        (SchemaPolicy::Evolve, 0, false, false),
        (SchemaPolicy::Ignore, 0, false, true),
        (SchemaPolicy::Quarantine, 1, false, true),
        (SchemaPolicy::Freeze, 0, true, true),
    ];
    for (policy, refused, stopped, again) in table {
        let world = world(policy).await;
        world.from.data().set("001", "#5");
        world.from.data().set("002", "text");
        let report = run(&world.job).await;
        assert_eq!(
            report.error().map(acople_core::Error::kind),
            stopped.then_some(ErrorKind::Schema),
            "{policy:?}"
        );
        assert_eq!(report.totals.refused, refused, "{policy:?}");
        let change = &report.schema_changes;
        if stopped {
            assert_eq!(report.error().unwrap().fields(), ["value"]);
            assert_eq!(
                world.to.shows(),
                ["000=new", "001=new", "002=new"],
                "nothing of the batch is written"
            );
        } else {
            assert_eq!(fields(change), ["value"], "{policy:?}");
            assert_eq!(change[0].what, FieldChange::Type { from: vec!["string"], to: "number" });
            assert!(world.to.shows().contains(&"002=text".to_owned()));
            assert_eq!(world.to.shows().contains(&"001=5".to_owned()), refused == 0, "{policy:?}");
        }
        if refused > 0 {
            let aside = world.store.list(None, None, 9).await.unwrap();
            assert_eq!((aside[0].stage, aside[0].error.fields()), (Stage::Read, &["value".to_owned()][..]));
            assert!(aside[0].record.contains('5'), "nothing is dropped");
        }
        world.from.data().set("000", "#6");
        let next = run(&world.job).await;
        assert_eq!(next.error().is_some() || !next.schema_changes.is_empty(), again, "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn page_12_a_frozen_shape_is_accepted_by_somebody() {
    let world = world(SchemaPolicy::Freeze).await;
    world.from.data().edit("001", "colour", "red");
    assert_eq!(run(&world.job).await.error().unwrap().code(), Some("schema_changed"));
    assert!(!world.to.data().records["001"].contains_key("colour"));
    world.job.accept_schema(&Context::new()).await.unwrap();
    assert!(run(&world.job).await.is_success());
    assert_eq!(world.to.data().records["001"]["colour"], "red");
    world.from.data().edit("001", "colour", "blue");
    assert!(run(&world.job).await.is_success());
}

#[tokio::test(start_paused = true)]
async fn page_12_a_field_that_is_not_declared_any_longer_is_told() {
    let (to, store) = (System::keyed("b"), Arc::new(MemoryStore::new()));
    let declares = |fields: serde_json::Value| {
        System::keyed("a").with_stream(|stream| stream.schema(json!({"properties": fields})))
    };
    let of = |from: &System, policy| job(from, &to, &store).schema_policy(policy).build().unwrap();
    let before = declares(json!({"id": {}, "value": {}, "fax": {}}));
    before.fill(0..2);
    run(&of(&before, SchemaPolicy::Freeze)).await;
    let after = declares(json!({"id": {}, "value": {}}));
    after.fill(0..2);
    let frozen = run(&of(&after, SchemaPolicy::Freeze)).await;
    assert_eq!(frozen.error().unwrap().fields(), ["fax"]);
    let report = run(&of(&after, SchemaPolicy::Evolve)).await;
    assert_eq!(report.schema_changes.len(), 1);
    assert_eq!(report.schema_changes[0].what, FieldChange::Missing);
    assert!(run(&of(&after, SchemaPolicy::Evolve)).await.schema_changes.is_empty());
}
