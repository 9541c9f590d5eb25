//! `read`: records out, a cursor that never runs ahead of them.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::program::Ran;
use crate::{World, exists, lead, leads, lines, members, record, sorted};

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_one_line_of_json() {
    let world = World::new().await;
    let mut expected = world.salesforce.load("Lead", leads(120));
    let awkward = record(json!({"LastName": "Line\nBreak\r\u{1b}[31m\u{2028}", "Company": "\"A\\B\""}));
    expected.extend(world.salesforce.load("Lead", [awkward]));
    let text = world.salesforce("read --stream Lead").done().await.succeeded();
    assert_eq!(sorted(members(&text, "Id")), sorted(expected));
    assert!(members(&text, "LastName").contains(&"Line\nBreak\r\u{1b}[31m\u{2028}".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_fields_and_records_asked_for_come() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(10));
    let text =
        world.salesforce("read --stream Lead --fields LastName,Company --limit 3").done().await.succeeded();
    let records = lines(&text);
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|r| r.get("Company").is_some() && r.get("Email").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_read_goes_on_from_its_state_and_removes_it_at_the_end() {
    let world = World::new().await;
    let expected = world.salesforce.load("Lead", leads(120));
    let first = world.salesforce("read --stream Lead --limit 70 --state s.json").done().await.succeeded();
    assert!(exists(world.path("s.json")));
    let second = world.salesforce("read --stream Lead --state s.json").done().await.succeeded();
    assert_eq!(members(&first, "Id").len(), 70);
    let mut all = members(&first, "Id");
    all.extend(members(&second, "Id"));
    assert_eq!(sorted(all), sorted(expected));
    assert!(!exists(world.path("s.json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_read_brings_what_changed_since_its_state() {
    let world = World::new().await;
    let ids = world.salesforce.load("Lead", leads(60));
    // The newest moment is read again, as it may not have been complete.
    world.salesforce.advance(Duration::from_secs(60));
    world.salesforce.load("Lead", [lead(60)]);
    let read =
        || world.salesforce("read --stream Lead --mode incremental --state s.json --fields LastName").done();
    assert_eq!(lines(&read().await.succeeded()).len(), 61);
    world.salesforce.update("Lead", &ids[7], &record(json!({"LastName": "Changed"})));
    let second = read().await.succeeded();
    assert!(lines(&second).iter().any(|r| r["Id"] == *ids[7] && r["LastName"] == "Changed"), "{second}");
    assert_eq!(lines(&second).len(), 2);
    assert!(exists(world.path("s.json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_marked_when_asked_for_and_noted_otherwise() {
    let world = World::new().await;
    let ids = world.salesforce.load("Lead", leads(3));
    let read = |more: &str| {
        world.salesforce(&format!("read --stream Lead --mode incremental --fields LastName {more}")).done()
    };
    world.salesforce.delete("Lead", &ids[1]);
    let marked = lines(&read("--changes").await.succeeded());
    let deleted: Vec<_> = marked.iter().filter(|line| line["change"] == "delete").collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0]["record"]["Id"], *ids[1]);
    let plain = read("").await;
    assert!(plain.stderr.contains("deletions among the records: 1"), "{}", plain.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_another_stream_is_refused() {
    let world = World::new().await;
    world.salesforce.load("Lead", leads(10));
    world.salesforce("read --stream Lead --limit 5 --state s.json").done().await.succeeded();
    let before = std::fs::read(world.path("s.json")).unwrap();
    let error = world.salesforce("read --stream Contact --state s.json").done().await.failed(2);
    assert!(error.contains("Lead") && error.contains("Contact"), "{error}");
    assert_eq!(std::fs::read(world.path("s.json")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_none_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    world.write("s.json", "{\"cursor\": 7");
    let error = world.salesforce("read --stream Lead --state s.json").done().await.failed(6);
    assert!(error.contains("remove s.json to start the stream over"), "{error}");
    world.salesforce("read --stream Lead --state no/such/folder/s.json").done().await.failed(2);
    assert_eq!(world.salesforce.stats().requests_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_stream_is_named() {
    let world = World::new().await;
    let ran = world.salesforce("read --stream Leed").done().await;
    assert!([2, 6].contains(&ran.code) && ran.stdout.is_empty(), "{ran:?}");
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_ends_the_read_quietly() {
    let world = World::new().await;
    // More than a pipe holds.
    let long = |n| {
        record(json!({"LastName": format!("Lead {n}"), "Company": "A", "Description": "x".repeat(20_000)}))
    };
    world.salesforce.load("Lead", (0..100).map(long));
    let mut child = world.salesforce("read --stream Lead --state s.json").spawn();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    drop(reader);
    let ran = Ran::new(child.wait_with_output().await.unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_says_nothing_of_records_that_nobody_took() {
    let world = World::new().await;
    let long = |n| {
        record(json!({"LastName": format!("Lead {n}"), "Company": "A", "Description": "x".repeat(20_000)}))
    };
    world.salesforce.load("Lead", (0..50).map(long));
    let mut child = world.salesforce("read --stream Lead --state s.json").spawn();
    drop(child.stdout.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert!(!exists(world.path("s.json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_tokens_are_kept_when_a_store_is_given() {
    use acople_testkit::sandbox::{HubSpot, Salesforce};
    let world = World::with(Salesforce::builder().rotate_refresh_tokens(true), HubSpot::builder()).await;
    world.salesforce.load("Lead", [lead(1)]);
    // The token of the config stays the first one, as in a real file.
    let first = world.salesforce.credentials().refresh_token;
    let read = |more: &str| {
        world
            .salesforce(&format!("read --stream Lead {more}"))
            .secret("SF_REFRESH", &first)
            .secret("KEY", "c2l4dGVlbiBwbHVzIHNpeHRlZW4gcmFuZG9tIGJ5dGU=")
            .done()
    };
    let kept = "--store tokens.redb --key-env KEY --connection main";
    read(kept).await.succeeded();
    read(kept).await.succeeded();
    read("").await.failed(4);
}
