//! Incremental reads against the sandbox.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Change, Connector, Context, Cursor, ErrorKind, ReadRequest};
use acople_salesforce::Salesforce;
use acople_testkit::sandbox::salesforce::Field;
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent, sandbox};
use serde_json::json;

use super::{Heard, config, connect, described, field, hear, leads, page, record, scripted, sorted, wire};

async fn org(records: usize) -> (sandbox::Salesforce, Vec<String>) {
    let org = sandbox::Salesforce::builder().page_size(10).start().await.unwrap();
    let ids = org.load("Lead", leads(records));
    (org, ids)
}

async fn changes(sf: &Salesforce, cursor: Option<Cursor>) -> Heard {
    let heard = hear(sf, ReadRequest::incremental("Lead").with_cursor(cursor)).await;
    heard.result.as_ref().unwrap();
    heard
}

#[tokio::test]
async fn without_a_cursor_everything_comes_in_the_order_of_change() {
    let (org, ids) = org(25).await;
    org.update("Lead", &ids[3], &record(json!({"Company": "Later"})));
    let heard = changes(&connect(&org), None).await;
    assert_eq!(sorted(heard.ids()), sorted(ids.clone()));
    assert_eq!(heard.ids().last(), Some(&ids[3]));
    assert_eq!(heard.shape(), "bcbcbc");
}

#[tokio::test]
async fn what_changed_since_the_last_run_comes_and_nothing_older_than_the_look_back() {
    let (org, ids) = org(25).await;
    let sf = connect(&org);
    let first = changes(&sf, None).await;
    org.advance(Duration::from_secs(3600));
    org.update("Lead", &ids[7], &record(json!({"Company": "Changed"})));
    org.advance(Duration::from_secs(3600));
    let second = changes(&sf, first.last_checkpoint()).await;
    assert!(second.ids().contains(&ids[7]));
    let third = changes(&sf, second.last_checkpoint()).await;
    assert_eq!(third.ids(), [ids[7].clone()], "ten minutes before the newest change, not an hour");
}

#[tokio::test]
async fn page_06_a_change_that_becomes_visible_late_is_caught_by_the_look_back() {
    let (org, ids) = org(5).await;
    let sf = connect(&org);
    org.advance(Duration::from_secs(3600));
    org.update("Lead", &ids[0], &record(json!({"Company": "New"})));
    let first = changes(&sf, None).await;
    // Committed now, with a time from nine minutes before the newest change.
    let late = jiff_text(org.now_ms() - 540_000);
    let late =
        org.load("Lead", [record(json!({"LastName": "Late", "Company": "Acme", "SystemModstamp": late}))]);
    let second = changes(&sf, first.last_checkpoint()).await;
    assert!(second.ids().contains(&late[0]));
    // The newest change did not go back.
    let third = changes(&sf, second.last_checkpoint()).await;
    assert_eq!(sorted(third.ids()), sorted(vec![late[0].clone(), ids[0].clone()]));
}

#[tokio::test]
async fn page_06_records_that_share_a_time_across_a_page_edge_are_neither_lost_nor_repeated() {
    // 200 records of a load share their millisecond, pages have 10.
    let (org, ids) = org(200).await;
    let sf = connect(&org);
    let whole = changes(&sf, None).await;
    assert_eq!(sorted(whole.ids()), sorted(ids.clone()));
    let order = whole.ids();
    let checkpoints = whole.checkpoints();
    for (number, cursor) in checkpoints.iter().take(checkpoints.len() - 1).enumerate() {
        let rest = changes(&sf, Some(cursor.clone())).await;
        assert_eq!(rest.ids(), order[(number + 1) * 10..], "exactly the rest after checkpoint {number}");
    }
}

#[tokio::test]
async fn page_05_a_locator_that_expires_in_the_middle_of_equal_times_loses_nothing() {
    let (org, ids) = org(60).await;
    let org = Arc::new(org);
    let sf = connect(&org);
    let weak = Arc::downgrade(&org);
    org.on_request(move |seen| {
        if seen.operation == "query_more"
            && seen.phase == sandbox::Phase::Received
            && seen.sequence % 3 == 0
            && let Some(org) = weak.upgrade()
        {
            org.expire_locators();
        }
        sandbox::Then::Go
    });
    let heard = changes(&sf, None).await;
    assert_eq!(heard.ids(), sorted(ids));
    assert!(org.stats().requests_of("query_all") > 1);
}

#[tokio::test]
async fn page_10_a_deleted_record_comes_as_a_tombstone() {
    let (org, ids) = org(5).await;
    let sf = connect(&org);
    let first = changes(&sf, None).await;
    assert_eq!(first.deleted(), Vec::<String>::new());
    org.delete("Lead", &ids[2]);
    let second = changes(&sf, first.last_checkpoint()).await;
    assert_eq!(second.deleted(), [ids[2].clone()]);
}

#[tokio::test]
async fn page_10_a_merged_record_comes_as_a_tombstone_that_names_its_successor() {
    let (org, ids) = org(5).await;
    org.add_field("Lead", Field::reference("MasterRecordId", "Lead", "MasterRecord"));
    let sf = connect(&org);
    let stream = sf.describe(&Context::new(), "Lead").await.unwrap();
    let path = stream.merged_into.unwrap();
    let first = changes(&sf, None).await;
    org.update("Lead", &ids[2], &record(json!({"MasterRecordId": ids[4]})));
    for gone in [&ids[2], &ids[3]] {
        org.delete("Lead", gone);
    }
    // It comes along with the fields asked for, as the mark of the deletion does.
    let request = ReadRequest::incremental("Lead").with_cursor(first.last_checkpoint());
    let heard = hear(&sf, request.with_fields(["Company"])).await;
    let successor = |id: &String| {
        let mut records = heard.batches().flat_map(acople_core::Batch::iter);
        let record = records.find(|r| field(r.raw(), "Id") == *id).unwrap();
        assert_eq!(record.change(), Change::Delete);
        record.get(&path).unwrap().scalar_text().unwrap().map(std::borrow::Cow::into_owned)
    };
    assert_eq!(successor(&ids[2]).as_deref(), Some(&*ids[4]));
    assert_eq!(successor(&ids[3]), None, "deleted without a successor");
}

#[tokio::test]
async fn page_10_no_successor_is_promised_or_asked_for_where_the_object_or_the_config_has_none() {
    let (org, _) = org(1).await;
    let plain = connect(&org).describe(&Context::new(), "Lead").await.unwrap();
    assert_eq!(plain.merged_into, None);
    org.add_field("Lead", Field::reference("MasterRecordId", "Lead", "MasterRecord"));
    let sf = Salesforce::new(config(&org).with_deletions(false), &wire()).unwrap();
    assert_eq!(sf.describe(&Context::new(), "Lead").await.unwrap().merged_into, None);
    let heard = hear(&sf, ReadRequest::incremental("Lead").with_fields(["Company"])).await;
    let text = heard.batches().next().unwrap().get(0).unwrap().raw().to_owned();
    assert!(text.contains("Company") && !text.contains("MasterRecordId"), "{text}");
}

#[tokio::test]
async fn without_deletions_deleted_records_do_not_come_at_all() {
    let (org, ids) = org(5).await;
    let sf = Salesforce::new(config(&org).with_deletions(false), &wire()).unwrap();
    org.delete("Lead", &ids[2]);
    let heard = changes(&sf, None).await;
    assert_eq!((heard.ids().len(), heard.deleted().len()), (4, 0));
    assert_eq!(org.stats().requests_of("query_all"), 0);
}

#[tokio::test]
async fn the_fields_of_time_and_deletion_come_along_with_those_asked_for() {
    let (org, _) = org(1).await;
    let heard = hear(&connect(&org), ReadRequest::incremental("Lead").with_fields(["Company"])).await;
    let value: serde_json::Value = heard.batches().next().unwrap().get(0).unwrap().parse().unwrap();
    for name in ["Id", "Company", "SystemModstamp", "IsDeleted"] {
        assert!(value.get(name).is_some(), "{name}");
    }
    assert!(value.get("LastName").is_none());
}

#[tokio::test]
async fn a_limit_stops_in_the_middle_and_the_run_goes_on_from_there() {
    let (org, ids) = org(25).await;
    let sf = connect(&org);
    let heard = hear(&sf, ReadRequest::incremental("Lead").with_limit(13)).await;
    heard.result.as_ref().unwrap();
    let rest = changes(&sf, heard.last_checkpoint()).await;
    let mut all = heard.ids();
    all.extend(rest.ids());
    assert_eq!(all, sorted(ids));
}

#[tokio::test]
async fn a_quiet_object_is_not_read_again_and_again() {
    let (org, ids) = org(25).await;
    let clock = FakeClock::new();
    let sf = Salesforce::new(config(&org), &wire().with_clock(Arc::new(clock.clone()))).unwrap();
    let first = changes(&sf, None).await;
    clock.advance(Duration::from_secs(60));
    let second = changes(&sf, first.last_checkpoint()).await;
    assert_eq!(second.ids().len(), 25, "within the look-back everything comes again");
    clock.advance(Duration::from_secs(600));
    let third = changes(&sf, second.last_checkpoint()).await;
    assert_eq!(third.ids().len(), 25, "and once more when late changes must have appeared");
    org.update("Lead", &ids[0], &record(json!({"Company": "New"})));
    let fourth = changes(&sf, third.last_checkpoint()).await;
    assert_eq!(fourth.ids().last(), Some(&ids[0]));
    let fifth = changes(&sf, fourth.last_checkpoint()).await;
    assert!(fifth.ids().len() <= 25);
    clock.advance(Duration::from_secs(600));
    let sixth = changes(&sf, fifth.last_checkpoint()).await;
    let seventh = changes(&sf, sixth.last_checkpoint()).await;
    assert_eq!(seventh.ids(), [ids[0].clone()]);
}

#[tokio::test]
async fn state_10_a_clock_that_was_set_back_moves_no_cursor_back() {
    let (org, ids) = org(5).await;
    let clock = FakeClock::new();
    let sf = Salesforce::new(config(&org), &wire().with_clock(Arc::new(clock.clone()))).unwrap();
    let first = changes(&sf, None).await;
    org.advance(Duration::from_secs(7200));
    org.update("Lead", &ids[1], &record(json!({"Company": "New"})));
    let second = changes(&sf, first.last_checkpoint()).await;
    clock.set(std::time::UNIX_EPOCH + Duration::from_secs(1));
    let third = changes(&sf, second.last_checkpoint()).await;
    let fourth = changes(&sf, third.last_checkpoint()).await;
    assert_eq!((third.ids(), fourth.ids()), (vec![ids[1].clone()], vec![ids[1].clone()]));
}

#[tokio::test]
async fn an_object_without_changes_gives_a_cursor_all_the_same() {
    let (org, _) = org(0).await;
    let sf = connect(&org);
    let first = changes(&sf, None).await;
    assert_eq!(first.shape(), "c");
    let ids = org.load("Lead", leads(3));
    let second = changes(&sf, first.last_checkpoint()).await;
    assert_eq!(second.ids(), sorted(ids));
}

#[tokio::test]
async fn a_cursor_of_the_other_mode_is_refused_at_once() {
    let (org, _) = org(3).await;
    let sf = connect(&org);
    let full = hear(&sf, ReadRequest::full("Lead")).await.last_checkpoint();
    let incremental = changes(&sf, None).await.last_checkpoint();
    for request in [
        ReadRequest::incremental("Lead").with_cursor(full.clone()),
        ReadRequest::full("Lead").with_cursor(incremental),
        ReadRequest::full("Contact").with_cursor(full),
    ] {
        let error =
            acople_core::Connector::read(&sf, &acople_core::Context::new(), request).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["cursor".to_owned()][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_without_a_field_that_grows_is_read_in_full_only() {
    let description = r#"{"name":"Odd__c","queryable":true,"fields":[{"name":"Id","type":"id"}]}"#;
    let transport = ScriptedTransport::function(move |_, _| Reply::json(200, description));
    let error = hear(&scripted(&transport), ReadRequest::incremental("Odd__c")).await.result.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["mode".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn an_object_without_system_modstamp_is_read_by_the_next_best_field() {
    let description = r#"{"name":"LeadHistory","queryable":true,"fields":[{"name":"Id","type":"id"},{"name":"CreatedDate","type":"datetime"}]}"#;
    let transport = ScriptedTransport::function(move |sent, _| {
        if sent.path_and_query().contains("describe") {
            Reply::json(200, description)
        } else {
            Reply::json(
                200,
                r#"{"done":true,"records":[{"Id":"1","CreatedDate":"2026-01-02T03:04:05.678+0000"}]}"#,
            )
        }
    });
    let sf = scripted(&transport);
    let first = hear(&sf, ReadRequest::incremental("LeadHistory")).await;
    let second =
        hear(&sf, ReadRequest::incremental("LeadHistory").with_cursor(first.last_checkpoint())).await;
    second.result.unwrap();
    let queries: Vec<String> = transport.sent().iter().filter_map(query).collect();
    assert_eq!(
        queries,
        [
            "SELECT Id,CreatedDate FROM LeadHistory ORDER BY CreatedDate,Id",
            "SELECT Id,CreatedDate FROM LeadHistory WHERE CreatedDate >= 2026-01-02T02:54:05.678Z ORDER BY CreatedDate,Id",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_exactly_behind_the_last_record_and_a_listing_behind_the_last_id() {
    let transport = ScriptedTransport::function(|sent, _| {
        if sent.path_and_query().contains("describe") {
            Reply::json(200, described())
        } else {
            Reply::json(200, page(0..2, Some("/services/data/v67.0/query/01g-2")))
        }
    });
    let sf = scripted(&transport);
    for (request, expected) in [
        (
            ReadRequest::full("Lead").with_fields(["Name"]),
            "SELECT Id,Name FROM Lead WHERE Id > '00Q000000000000001' ORDER BY Id LIMIT 5",
        ),
        (
            ReadRequest::incremental("Lead").with_fields(["Name"]),
            "SELECT Id,Name,SystemModstamp,IsDeleted FROM Lead WHERE ((SystemModstamp = 2026-01-02T03:04:01.000Z AND \
             Id > '00Q000000000000001') OR SystemModstamp > 2026-01-02T03:04:01.000Z) ORDER BY SystemModstamp,Id LIMIT 5",
        ),
    ] {
        let first = hear(&sf, request.clone().with_limit(2)).await;
        let rest = request.with_limit(5).with_cursor(first.last_checkpoint());
        hear(&sf, rest).await;
        let last = transport.sent().iter().filter_map(query).next_back().unwrap();
        assert_eq!(last, expected);
    }
}

/// An instant as the sandbox writes it.
fn jiff_text(unix_ms: i64) -> String {
    acople_salesforce::soql::Literal::instant(unix_ms).unwrap().to_string().replace('Z', "+0000")
}

/// The SOQL of a request.
fn query(sent: &Sent) -> Option<String> {
    sent.request.url().query_pairs().find(|(name, _)| name == "q").map(|(_, value)| value.into_owned())
}
