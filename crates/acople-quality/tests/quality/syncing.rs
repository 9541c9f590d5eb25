//! The whole way: a sync reads from behind the checks.

use std::sync::Arc;

use acople_core::{Context, QuarantineStore};
use acople_quality::{Gate, Gated, Lookups, Rules};
use acople_sync::{Job, Progress};
use acople_testkit::memory::MemoryStore;

use crate::fixture::{Kept, Pages, batch};

fn job(source: Gated, kept: &Arc<Kept>, store: &MemoryStore) -> Job {
    Job::builder("nightly")
        .source(Arc::new(source), "people")
        .destination(kept.clone(), "people")
        .store(Arc::new(store.clone()))
        .build()
        .unwrap()
}

fn behind(gate: Gate, records: &[&str]) -> Gated {
    let rules = Rules::from_yaml("rules: [{ field: mail, check: [required, { pattern: '@' }] }]").unwrap();
    let checks = rules.compile(&Lookups::new()).unwrap();
    Gated::new(Arc::new(Pages::new(vec![batch(records)]))).with_checks("people", checks, gate)
}

#[tokio::test]
async fn refused_records_are_in_quarantine_and_the_others_at_the_destination() {
    let (kept, store) = (Arc::new(Kept::new()), MemoryStore::new());
    let records = [r#"{"id":1,"mail":"a@b.c"}"#, r#"{"id":2,"mail":"nobody"}"#, r#"{"id":3,"mail":"d@e.f"}"#];
    let source = behind(Gate::default(), &records);
    let report = job(source, &kept, &store).run(&Context::new(), &|_: &Progress| {}).await.unwrap();
    assert_eq!((report.totals.synced, report.totals.refused), (2, 1));
    assert_eq!(*kept.records.lock().unwrap(), [records[0], records[2]]);
    let aside = store.list(Some("nightly"), None, 10).await.unwrap();
    assert_eq!((aside.len(), aside[0].record.as_str()), (1, records[1]));
    assert_eq!(
        (aside[0].error.fields(), aside[0].error.code()),
        (&["/mail".to_owned()][..], Some("quality.pattern"))
    );
}

#[tokio::test]
async fn of_a_rejected_run_nothing_is_written_nor_quarantined_nor_checkpointed() {
    let (kept, store) = (Arc::new(Kept::new()), MemoryStore::new());
    let records = [r#"{"id":1,"mail":"a@b.c"}"#, r#"{"id":2}"#, r#"{"id":3}"#];
    let report = job(behind(Gate::default(), &records), &kept, &store)
        .run(&Context::new(), &|_: &Progress| {})
        .await
        .unwrap();
    assert_eq!(report.error().unwrap().code(), Some("quality.gate"));
    assert_eq!(report.totals.processed, 0);
    assert!(kept.records.lock().unwrap().is_empty());
    assert_eq!(store.count(None).await.unwrap(), 0);
}
