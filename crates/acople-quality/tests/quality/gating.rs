//! Runs that are rejected, and what was given out before.

use std::sync::Arc;

use acople_core::json::{Page, Span};
use acople_core::{Batch, Change, Connector, Context, Error, ErrorKind, Event, ReadRequest};
use acople_quality::{Checks, Gate, Gated, Lookups, Rules};

use crate::fixture::{Heard, Pages, accepted, batch, raws, read};

fn checks() -> Checks {
    let rules = Rules::from_yaml("rules: [{ field: v, check: required }]").unwrap();
    rules.compile(&Lookups::new()).unwrap()
}

/// A page of ten records of which so many are good.
fn page(good: usize) -> Batch {
    batch((0..10).map(|n| if n < good { format!(r#"{{"v":{n}}}"#) } else { format!(r#"{{"id":{n}}}"#) }))
}

fn gated(pages: Vec<Batch>, gate: Gate) -> (Gated, Arc<Pages>, Heard) {
    let (source, heard) = (Arc::new(Pages::new(pages)), Heard::default());
    let gated = Gated::new(source.clone()).with_checks("people", checks(), gate);
    (gated.with_observer(Arc::new(heard.clone())), source, heard)
}

#[tokio::test]
async fn a_bad_run_is_rejected_before_anything_is_given_out() {
    let (gated, _, heard) = gated(vec![page(7); 3], Gate::default());
    let (events, error) = read(&gated).await;
    assert!(events.is_empty(), "{events:?}");
    let error = error.unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, Some("quality.gate")));
    assert!(error.message().contains("score of 0.700 is below 0.800 after 30 records"), "{error}");
    assert_eq!(heard.lines(), ["assessed 30 0.70 true", "rejected 0.70"]);
}

#[tokio::test]
async fn a_good_run_goes_through_in_order_with_its_refused_records_marked() {
    for gate in [Gate::default(), Gate::sample(15), Gate::running(), Gate::sample(1_000).with_memory(1)] {
        let (gated, ..) = gated(vec![page(8), page(9), page(10)], gate);
        let (events, error) = read(&gated).await;
        assert!(error.is_none());
        let kinds: String = events
            .iter()
            .map(|event| match event {
                Event::SnapshotBegin => 'b',
                Event::Batch(_) => 'r',
                Event::Checkpoint(_) => 'c',
                Event::SnapshotEnd => 'e',
                _ => '?',
            })
            .collect();
        assert_eq!(kinds, "brcrcrce");
        assert_eq!(accepted(&events).len(), 27);
        let Event::Batch(first) = &events[1] else { panic!() };
        let refused: Vec<usize> = first.unreadable().unwrap().refused.iter().map(|r| r.index).collect();
        assert_eq!((first.len(), refused), (10, vec![8, 9]));
    }
}

#[tokio::test]
async fn after_the_sample_a_run_that_gets_worse_is_stopped_before_the_batch() {
    let pages = vec![page(10), page(10), page(0), page(0)];
    let (gated, source, heard) = gated(pages, Gate::sample(20).with_min_records(20));
    let (events, error) = read(&gated).await;
    // 20 of 30 is below 0.8: the third page is not given out, nor is the fourth read.
    assert_eq!((accepted(&events).len(), error.unwrap().code()), (20, Some("quality.gate")));
    assert_eq!(*source.taken.lock().unwrap(), 3);
    assert_eq!(heard.lines(), ["assessed 20 1.00 false", "rejected 0.67"]);
}

#[tokio::test]
async fn a_running_score_says_nothing_before_it_has_enough_records() {
    let pages = vec![page(0), page(10), page(10), page(10), page(10)];
    let (gated, ..) = gated(pages, Gate::running().with_min_records(50));
    assert!(read(&gated).await.1.is_none());
}

#[tokio::test]
async fn the_whole_run_is_assessed_in_memory_and_in_a_file_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let broken = {
        let page = Page::from_bytes_marked(b"{\"v\":\"\xff\"} {\"v\": [1,\n 2]}".to_vec()).unwrap();
        Batch::new("people", page, vec![Span { start: 0, end: 9 }, Span { start: 10, end: 24 }])
    };
    let deleted = batch([r#"{"id":1}"#, r#"{"v":"ä\u00e4 \ud800"}"#]).with_deletions([true, false]);
    let pages = vec![page(9), broken, deleted, batch(Vec::<String>::new()), page(10)];
    let whole = |memory: usize| Gate::whole(folder.path(), 1 << 20).with_memory(memory);
    let mut seen: Vec<Vec<String>> = Vec::new();
    for memory in [1 << 20, 200, 0] {
        let (gated, ..) = gated(pages.clone(), whole(memory));
        let (events, error) = read(&gated).await;
        assert!(error.is_none(), "{error:?}");
        let told = events.iter().map(|event| match event {
            Event::Batch(batch) => {
                let refused = batch.unreadable().map(|u| u.refused).unwrap_or_default();
                let refused: Vec<String> =
                    refused.iter().map(|r| format!("{} {}", r.index, r.error)).collect();
                let deleted: Vec<bool> = batch.iter().map(|r| r.change() == Change::Delete).collect();
                format!("{} {:?} {deleted:?} {refused:?}", batch.stream(), raws(batch))
            }
            Event::Checkpoint(cursor) => cursor.to_json().unwrap(),
            other => format!("{other:?}"),
        });
        seen.push(told.collect());
    }
    assert_eq!(seen[0].len(), 12);
    assert_eq!(seen[1], seen[0]);
    assert_eq!(seen[2], seen[0]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
}

#[tokio::test]
async fn a_run_that_gets_worse_at_its_end_gives_out_nothing_when_assessed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pages = vec![page(10), page(10), page(0), page(0)];
    let (gated, ..) = gated(pages, Gate::whole(folder.path(), 1 << 20).with_memory(10));
    let (events, error) = read(&gated).await;
    assert_eq!((events.len(), error.unwrap().code()), (0, Some("quality.gate")));
}

#[tokio::test]
async fn a_whole_run_that_does_not_fit_is_an_error_and_a_sample_ends_early() {
    let folder = tempfile::tempdir().unwrap();
    let pages = vec![page(10); 50];
    let (whole, ..) = gated(pages.clone(), Gate::whole(folder.path(), 1_000).with_memory(100));
    let (events, error) = read(&whole).await;
    assert_eq!((events.len(), error.unwrap().kind()), (0, ErrorKind::TooLarge));

    let (sample, _, heard) = gated(pages, Gate::sample(400).with_memory(500));
    assert!(read(&sample).await.1.is_none());
    assert!(heard.lines()[0].ends_with("1.00 false"), "{:?}", heard.lines());
    assert_eq!(heard.lines()[1], "finished 500 1.00");
}

#[tokio::test]
async fn an_error_of_the_source_lets_a_good_sample_through_and_no_part_of_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    for (gate, given) in [(Gate::default(), 10), (Gate::whole(folder.path(), 1 << 20), 0)] {
        let mut source = Pages::new(vec![page(10)]);
        source.fails = Some(|| Error::new(ErrorKind::Transient, "down"));
        let gated = Gated::new(Arc::new(source)).with_checks("people", checks(), gate);
        let (events, error) = read(&gated).await;
        assert_eq!((accepted(&events).len(), error.unwrap().kind()), (given, ErrorKind::Transient));
    }
}

#[tokio::test]
async fn the_share_of_accepted_records_is_a_limit_of_its_own() {
    let rules: Vec<String> = (0..20).map(|n| format!("  - {{ field: f{n}, check: not_null }}")).collect();
    let rules = format!("rules:\n{}\n  - {{ field: v, check: required }}\n", rules.join("\n"));
    let checks = Rules::from_yaml(&rules).unwrap().compile(&Lookups::new()).unwrap();
    for (gate, rejected) in [(Gate::default(), false), (Gate::default().with_min_accepted(0.5), true)] {
        let source = Arc::new(Pages::new(vec![page(0)]));
        let gated = Gated::new(source).with_checks("people", checks.clone(), gate);
        assert_eq!(read(&gated).await.1.is_some(), rejected);
    }
}

#[tokio::test]
async fn a_read_of_some_fields_asks_for_those_of_the_rules_too() {
    let (gated, source, _) = gated(vec![], Gate::default());
    let request = ReadRequest::full("people").with_fields(["id"]);
    drop(gated.read(&Context::new(), request).unwrap());
    assert_eq!(source.asked.lock().unwrap().clone().unwrap(), ["id", "v"]);
}
