use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_core::{Connector, Context, Cursor, ErrorKind, Event, ReadRequest};
use acople_hubspot::HubSpot;
use acople_testkit::sandbox::{self, Phase, Then};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};
use serde_json::{Value, json};

use crate::*;

const HOUR: Duration = Duration::from_secs(3600);

fn contacts() -> ReadRequest {
    ReadRequest::incremental("contacts").with_fields(["email"])
}

async fn run(hubspot: &HubSpot, cursor: Option<Cursor>) -> (Vec<String>, Option<Cursor>) {
    let events = read(hubspot, contacts().with_cursor(cursor)).await;
    (ids(&events), cursors(&events).pop())
}

#[tokio::test]
async fn a_read_without_a_cursor_brings_everything_and_one_with_a_cursor_what_changed() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(450));
    let hubspot = connect(&portal);
    let (first, cursor) = run(&hubspot, None).await;
    assert_eq!(first, loaded);
    portal.advance(HOUR);
    for id in &loaded[100..103] {
        portal.update("contacts", id, &record(json!({ "city": "Jena" })));
    }
    let added = portal.load("contacts", [record(json!({ "email": "new@example.com" }))]);
    let changed: Vec<String> = loaded[100..103].iter().chain(&added).cloned().collect();
    // The look-back reads the last minutes before the cursor once more: at least once is the promise.
    let (second, cursor) = run(&hubspot, cursor).await;
    assert!(changed.iter().all(|id| second.contains(id)));
    let (third, _) = run(&hubspot, cursor).await;
    assert_eq!(third, changed);
}

#[tokio::test]
async fn when_nothing_changes_for_as_long_as_the_look_back_nothing_is_read_again() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(3));
    let clock = FakeClock::new();
    let hubspot = HubSpot::new(config(&portal), &resources().with_clock(Arc::new(clock.clone()))).unwrap();
    let (_, cursor) = run(&hubspot, None).await;
    clock.advance(Duration::from_secs(599));
    let (again, cursor) = run(&hubspot, cursor).await;
    assert_eq!(again, loaded);
    clock.advance(Duration::from_secs(1));
    let (last_time, cursor) = run(&hubspot, cursor).await;
    assert_eq!(last_time, loaded);
    let (quiet, cursor) = run(&hubspot, cursor).await;
    assert!(quiet.is_empty());
    portal.update("contacts", &loaded[1], &record(json!({ "city": "Jena" })));
    let (changed, _) = run(&hubspot, cursor).await;
    assert_eq!(changed, [loaded[1].clone()]);
}

#[tokio::test]
async fn page_11_a_window_of_more_than_ten_thousand_results_is_read_whole() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(10_450));
    let (found, _) = run(&connect(&portal), None).await;
    assert_eq!(found, loaded);
    assert_eq!(portal.stats().answers_with(400), 0);
}

#[tokio::test]
async fn page_06_records_of_one_millisecond_come_once_each_whatever_the_page() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(100));
    let hubspot = connect(&portal);
    for size in [1, 7, 99, 100] {
        let events = read(&hubspot, contacts().with_page_size(size)).await;
        assert_eq!(ids(&events), loaded, "pages of {size}");
    }
}

#[tokio::test]
async fn an_incremental_read_goes_on_from_every_checkpoint() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(23));
    let hubspot = connect(&portal);
    let events = read(&hubspot, contacts().with_page_size(5)).await;
    let cursors = cursors(&events);
    assert_eq!(cursors.len(), 5);
    let mut before = 0;
    for (cursor, batch) in cursors.iter().take(4).zip(batches(&events)) {
        before += batch.len();
        let rest = read(&hubspot, contacts().with_cursor(stored(cursor).unwrap())).await;
        assert_eq!(ids(&rest), loaded[before..], "after {before} records");
    }
}

#[tokio::test]
async fn a_limited_incremental_read_can_be_continued() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(12));
    let hubspot = connect(&portal);
    for limit in [1usize, 5, 7, 12] {
        let request = contacts().with_page_size(5).with_limit(limit as u64);
        let events = read(&hubspot, request).await;
        assert_eq!(ids(&events), loaded[..limit]);
        let rest = read(&hubspot, contacts().with_cursor(cursors(&events).pop()).with_page_size(5)).await;
        if limit < 12 {
            assert_eq!(ids(&rest), loaded[limit..], "after {limit} records");
        }
    }
    assert!(read(&hubspot, contacts().with_limit(0)).await.is_empty());
}

#[tokio::test]
async fn page_04_a_change_during_the_read_skips_nobody_and_is_read_next_time() {
    let portal = Arc::new(sandbox::HubSpot::start().await.unwrap());
    let loaded = portal.load("contacts", people(60));
    portal.advance(HOUR);
    let (weak, busy, searches) = (Arc::downgrade(&portal), loaded.clone(), AtomicUsize::new(0));
    portal.on_request(move |call| {
        if call.operation == "search" && call.phase == Phase::Received {
            // From the second page on, records that were read already are changed and move away.
            let n = searches.fetch_add(1, Ordering::Relaxed);
            if n >= 2
                && let Some(portal) = weak.upgrade()
            {
                portal.update("contacts", &busy[n], &record(json!({ "city": "Jena" })));
            }
        }
        Then::Go
    });
    let hubspot = connect(&portal);
    let events = read(&hubspot, contacts().with_page_size(10)).await;
    portal.clear_hook();
    assert_eq!(ids(&events), loaded);
    let (next, cursor) = run(&hubspot, cursors(&events).pop()).await;
    assert!(loaded[2..7].iter().all(|id| next.contains(id)));
    let (after, _) = run(&hubspot, cursor).await;
    assert_eq!(after, loaded[2..7]);
}

#[tokio::test]
async fn a_change_that_the_index_shows_late_is_read_when_it_appears() {
    let portal = sandbox::HubSpot::builder().search_lag(Duration::from_secs(60)).start().await.unwrap();
    let loaded = portal.load("contacts", people(5));
    portal.advance(Duration::from_secs(61));
    let hubspot = connect(&portal);
    let (first, cursor) = run(&hubspot, None).await;
    assert_eq!(first, loaded);
    portal.update("contacts", &loaded[0], &record(json!({ "city": "Jena" })));
    let late = portal.load("contacts", [record(json!({ "email": "late@example.com" }))]);
    let (unseen, cursor) = run(&hubspot, cursor).await;
    assert!(!unseen.contains(&late[0]));
    portal.advance(Duration::from_secs(61));
    let (seen, _) = run(&hubspot, cursor).await;
    assert!(seen.contains(&late[0]) && seen.contains(&loaded[0]));
}

#[tokio::test]
async fn page_07_the_cursor_moves_to_the_end_of_the_window_only_when_all_of_it_is_read() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let loaded = portal.load("contacts", people(10));
    portal.advance(HOUR);
    // The first record by id is the last one by time.
    portal.update("contacts", &loaded[0], &record(json!({ "city": "Jena" })));
    let hubspot = connect(&portal);
    let events = read(&hubspot, contacts().with_page_size(2).with_limit(2)).await;
    assert_eq!(ids(&events), loaded[..2]);
    let rest = read(&hubspot, contacts().with_cursor(cursors(&events).pop())).await;
    assert_eq!(ids(&rest), loaded[2..]);
}

#[tokio::test]
async fn no_search_asks_for_1970_for_more_than_two_hundred_or_by_counting() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("2-123456", (0..250).map(|i| record(json!({ "name": format!("Drill {i}") }))));
    let bodies = Arc::new(Mutex::new(Vec::<Value>::new()));
    let seen = bodies.clone();
    portal.on_request(move |call| {
        if call.operation == "search" && call.phase == Phase::Received {
            seen.lock().unwrap().push(serde_json::from_slice(&call.body).unwrap());
        }
        Then::Go
    });
    let events = read(&connect(&portal), ReadRequest::incremental("2-123456").with_page_size(9_999)).await;
    assert_eq!(ids(&events).len(), 250);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0].get("filterGroups"), None);
    assert_eq!(bodies[0]["sorts"][0]["propertyName"], "hs_lastmodifieddate");
    for body in bodies.iter().skip(1) {
        assert_eq!(body["limit"], 200);
        assert_eq!(body.get("after"), None);
        assert_eq!(body["sorts"], json!([{ "propertyName": "hs_object_id", "direction": "ASCENDING" }]));
        assert_eq!(body["filterGroups"][0]["filters"][0]["operator"], "LTE");
        assert_ne!(body["filterGroups"][0]["filters"][0]["value"], "0");
        assert!(body["properties"].as_array().unwrap().contains(&json!("serial_number")));
    }
}

#[tokio::test]
async fn an_object_without_records_gives_a_cursor_and_nothing_else() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let events = read(&hubspot, contacts()).await;
    assert!(matches!(&events[..], [Event::Checkpoint(_)]));
    let loaded = portal.load("contacts", people(2));
    let (found, _) = run(&hubspot, cursors(&events).pop()).await;
    assert_eq!(found, loaded);
}

#[tokio::test]
async fn a_cursor_of_another_kind_of_read_is_refused() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("contacts", people(2));
    let hubspot = connect(&portal);
    let full = cursors(&read(&hubspot, ReadRequest::full("contacts").with_fields(["email"])).await).pop();
    let changes = cursors(&read(&hubspot, contacts()).await).pop();
    for request in [
        ReadRequest::incremental("contacts").with_cursor(full.clone()),
        ReadRequest::full("contacts").with_cursor(changes.clone()),
        ReadRequest::full("deals").with_cursor(full),
        ReadRequest::incremental("deals").with_cursor(changes),
    ] {
        let error = hubspot.read(&Context::new(), request).err().unwrap();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["cursor".to_owned()][..]));
    }
}

fn hit(id: u32) -> String {
    format!(r#"{{"id":"{id}","properties":{{"lastmodifieddate":"2026-01-02T03:04:05.678Z"}}}}"#)
}

/// A search's answer with one record, changed at a time.
fn changed(time: &str) -> Reply {
    let result = json!({ "id": "9", "properties": { "lastmodifieddate": time } });
    Reply::json(200, json!({ "results": [result] }).to_string())
}

#[tokio::test(start_paused = true)]
async fn times_are_read_in_both_of_their_forms() {
    for time in ["2026-01-02T03:04:05.678Z", "1767323045678"] {
        let transport = always(changed(time));
        read(&scripted(&transport), contacts()).await;
        let window: Value = serde_json::from_str(&transport.sent()[1].body()).unwrap();
        assert_eq!(window["filterGroups"][0]["filters"][0]["value"], "1767323045678", "{time}");
    }
    let error = read_error(&scripted(&always(changed("yesterday"))), contacts()).await;
    assert_eq!(
        (error.kind(), error.fields()),
        (ErrorKind::Protocol, &["properties.lastmodifieddate".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn no_window_begins_in_1970_or_before() {
    // The look-back is ten minutes.
    for (time, low) in [("600000", None), ("600001", Some(json!("1")))] {
        let transport = always(changed(time));
        let hubspot = scripted(&transport);
        let (_, cursor) = run(&hubspot, None).await;
        run(&hubspot, cursor).await;
        let search: Value = serde_json::from_str(&transport.sent()[2].body()).unwrap();
        assert_eq!(search.pointer("/filterGroups/0/filters/0/value"), low.as_ref(), "{time}");
        assert_eq!(search["sorts"][0]["direction"], "DESCENDING");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_read_of_all_properties_costs_one_request() {
    let transport = always(Reply::json(200, r#"{"results":[]}"#));
    read(&scripted(&transport), ReadRequest::incremental("deals")).await;
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn page_01_a_search_whose_ids_do_not_grow_ends_with_an_error() {
    let page = format!(r#"{{"results":[{}],"paging":{{"next":{{"after":"200"}}}}}}"#, hit(7));
    for request in [contacts(), contacts().with_limit(1_000)] {
        let error = read_error(&scripted(&always(Reply::json(200, page.clone()))), request).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn page_02_an_empty_page_of_a_search_is_not_the_end() {
    let transport = ScriptedTransport::new([
        Reply::json(200, format!(r#"{{"results":[{}]}}"#, hit(9))),
        Reply::json(200, r#"{"results":[],"paging":{"next":{"after":"200"}}}"#),
        Reply::json(200, format!(r#"{{"results":[{}]}}"#, hit(9))),
    ]);
    let events = read(&scripted(&transport), contacts()).await;
    assert_eq!(ids(&events), ["9"]);
    assert!(transport.sent()[2].body().contains(r#""after":"200""#));
}

#[tokio::test(start_paused = true)]
async fn a_search_without_results_or_times_is_an_error() {
    for answer in [r#"{"total":0}"#, r#"{"results":[{"id":"1","properties":{}}]}"#] {
        let error = read_error(&scripted(&always(Reply::json(200, answer))), contacts()).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
