//! Full reads against the sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use acople_core::{ErrorKind, ReadRequest};
use acople_testkit::sandbox::{Phase, Salesforce, Then};

use super::{connect, field, hear, leads, sorted};

async fn org(records: usize) -> (Salesforce, Vec<String>) {
    let org = Salesforce::builder().page_size(10).start().await.unwrap();
    let ids = sorted(org.load("Lead", leads(records)));
    (org, ids)
}

#[tokio::test]
async fn a_full_read_brings_every_record_once_and_says_that_it_is_complete() {
    let (org, ids) = org(25).await;
    let heard = hear(&connect(&org), ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids(), ids);
    assert_eq!(heard.shape(), "BbcbcbcE");
}

#[tokio::test]
async fn an_empty_object_is_a_complete_snapshot() {
    let (org, _) = org(0).await;
    let heard = hear(&connect(&org), ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.shape(), "BE");
}

#[tokio::test]
async fn a_read_goes_on_from_every_checkpoint_with_exactly_the_rest() {
    let (org, ids) = org(35).await;
    let sf = connect(&org);
    let heard = hear(&sf, ReadRequest::full("Lead")).await;
    let checkpoints = heard.checkpoints();
    assert_eq!(checkpoints.len(), 4);
    for (number, cursor) in checkpoints.into_iter().enumerate() {
        let text = cursor.to_json().unwrap();
        let cursor = acople_core::Cursor::from_json(&text).unwrap();
        let rest = hear(&sf, ReadRequest::full("Lead").with_cursor(Some(cursor))).await;
        rest.result.as_ref().unwrap();
        assert_eq!(rest.ids(), ids[((number + 1) * 10).min(35)..]);
        assert!(!rest.shape().contains(['B', 'E']), "a resumed read never claims completeness");
    }
}

#[tokio::test]
async fn a_limit_ends_the_read_and_its_checkpoint_brings_the_rest() {
    let (org, ids) = org(25).await;
    let sf = connect(&org);
    let heard = hear(&sf, ReadRequest::full("Lead").with_limit(13)).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids(), ids[..13]);
    assert_eq!(heard.shape(), "Bbcbc");
    let rest = hear(&sf, ReadRequest::full("Lead").with_cursor(heard.last_checkpoint())).await;
    assert_eq!(rest.ids(), ids[13..]);
}

#[tokio::test]
async fn page_05_a_locator_that_expires_loses_and_repeats_nothing() {
    let (org, ids) = org(55).await;
    let org = Arc::new(org);
    let pages = AtomicUsize::new(0);
    let (weak, sf) = (Arc::downgrade(&org), connect(&org));
    org.on_request(move |seen| {
        // Before every second further page.
        if seen.operation == "query_more"
            && seen.phase == Phase::Received
            && pages.fetch_add(1, Ordering::SeqCst) % 2 == 1
            && let Some(org) = weak.upgrade()
        {
            org.expire_locators();
        }
        Then::Go
    });
    let heard = hear(&sf, ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids(), ids);
    assert!(heard.shape().ends_with('E'));
    assert!(org.stats().requests_of("query") > 1, "the read went on by keyset");
}

#[tokio::test]
async fn a_locator_that_is_refused_at_once_every_time_ends_the_read() {
    let (org, _) = org(25).await;
    org.on_request(|seen| match (seen.operation, seen.phase) {
        ("query", Phase::Received) => {
            Then::json(400, r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#)
        }
        _ => Then::Go,
    });
    let heard = hear(&connect(&org), ReadRequest::full("Lead")).await;
    assert_eq!(heard.result.unwrap_err().kind(), ErrorKind::CursorExpired);
    assert_eq!(org.stats().requests_of("query"), 1);
}

#[tokio::test]
async fn a_session_that_expires_between_pages_is_renewed_once() {
    let (org, ids) = org(35).await;
    let org = Arc::new(org);
    let done = AtomicBool::new(false);
    let (weak, sf) = (Arc::downgrade(&org), connect(&org));
    org.on_request(move |seen| {
        if seen.operation == "query_more"
            && seen.phase == Phase::Received
            && !done.swap(true, Ordering::SeqCst)
            && let Some(org) = weak.upgrade()
        {
            org.expire_tokens();
        }
        Then::Go
    });
    let heard = hear(&sf, ReadRequest::full("Lead")).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids(), ids);
    assert_eq!(org.stats().tokens_issued, 2);
}

#[tokio::test]
async fn only_the_fields_asked_for_come_and_the_key_comes_along() {
    let (org, _) = org(3).await;
    let request = ReadRequest::full("Lead").with_fields(["lastname", "Company"]);
    let heard = hear(&connect(&org), request).await;
    heard.result.as_ref().unwrap();
    let batch = heard.batches().next().unwrap();
    let first: serde_json::Value = batch.get(0).unwrap().parse().unwrap();
    let names: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        sorted(names.into_iter().map(str::to_owned).collect()),
        ["Company", "Id", "LastName", "attributes"]
    );
}

#[tokio::test]
async fn a_field_of_another_object_is_read_through_its_relationship() {
    let (org, _) = org(0).await;
    let account = org.load("Account", [super::record(serde_json::json!({"Name": "Acme"}))]);
    org.load("Contact", [super::record(serde_json::json!({"LastName": "Roe", "AccountId": account[0]}))]);
    let request = ReadRequest::full("Contact").with_fields(["Account.Name"]);
    let heard = hear(&connect(&org), request).await;
    heard.result.as_ref().unwrap();
    let batch = heard.batches().next().unwrap();
    let value: serde_json::Value = batch.get(0).unwrap().parse().unwrap();
    assert_eq!(value["Account"]["Name"], "Acme");
}

#[tokio::test]
async fn compounds_are_left_out_unless_they_are_asked_for() {
    let (org, _) = org(1).await;
    let sf = connect(&org);
    let all = hear(&sf, ReadRequest::full("Lead")).await;
    let raw = all.batches().next().unwrap().get(0).unwrap().raw().to_owned();
    assert!(raw.contains("\"City\":") && !raw.contains("\"Address\":"));
    let asked = hear(&sf, ReadRequest::full("Lead").with_fields(["Address"])).await;
    assert!(asked.batches().next().unwrap().get(0).unwrap().raw().contains("\"Address\":"));
    let part = hear(&sf, ReadRequest::full("Lead").with_fields(["Address.city"])).await;
    part.result.as_ref().unwrap();
    assert!(part.batches().next().unwrap().get(0).unwrap().raw().contains("\"Address\":"));
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_by_name() {
    let (org, _) = org(3).await;
    let heard = hear(&connect(&org), ReadRequest::full("Lead").with_fields(["Emial"])).await;
    let error = heard.result.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Invalid, &["Emial".to_owned()][..]));
    assert_eq!(org.stats().requests_of("query"), 0);
}

#[tokio::test]
async fn page_12_a_field_that_vanishes_after_the_describe_is_an_error_with_the_vendors_code() {
    let (org, _) = org(3).await;
    let org = Arc::new(org);
    let (weak, sf) = (Arc::downgrade(&org), connect(&org));
    org.on_request(move |seen| {
        if seen.operation == "query"
            && seen.phase == Phase::Received
            && let Some(org) = weak.upgrade()
        {
            org.remove_field("Lead", "HubSpot_Id__c");
        }
        Then::Go
    });
    let error = hear(&sf, ReadRequest::full("Lead")).await.result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some("INVALID_FIELD")));
}

#[tokio::test]
async fn an_unknown_object_is_not_found_and_is_named() {
    let (org, _) = org(0).await;
    let heard = hear(&connect(&org), ReadRequest::full("Nothing__c")).await;
    let error = heard.result.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::NotFound, &["Nothing__c".to_owned()][..]));
}

#[tokio::test]
async fn page_09_a_page_size_below_what_the_vendor_takes_loses_nothing() {
    let org = Salesforce::start().await.unwrap();
    let ids = sorted(org.load("Lead", leads(450)));
    let heard = hear(&connect(&org), ReadRequest::full("Lead").with_page_size(5)).await;
    heard.result.as_ref().unwrap();
    assert_eq!(heard.ids(), ids);
    assert_eq!(heard.batches().map(acople_core::Batch::len).collect::<Vec<_>>(), [200, 200, 50]);
}

#[tokio::test]
async fn a_read_without_prefetch_asks_for_a_page_only_when_it_is_wanted() {
    use futures_util::StreamExt;
    let (org, _) = org(35).await;
    let sf = connect(&org);
    let request = ReadRequest::full("Lead").with_prefetch(0);
    let mut events = acople_core::Connector::read(&sf, &acople_core::Context::new(), request).unwrap();
    for _ in 0..3 {
        events.next().await.unwrap().unwrap();
    }
    assert_eq!(org.stats().requests_of("query_more"), 0);
    drop(events);
}

#[tokio::test]
async fn an_object_with_too_many_fields_for_a_url_says_so_and_can_be_read_in_part() {
    use acople_testkit::sandbox::salesforce::{Field, Object};
    let (org, _) = org(0).await;
    let mut wide = Object::new("Wide__c", "a09");
    for number in 0..400 {
        wide = wide.field(Field::text(format!("A_field_with_quite_a_long_name_{number:04}__c"), 10));
    }
    org.add_object(wide);
    let id = org
        .load("Wide__c", [super::record(serde_json::json!({"A_field_with_quite_a_long_name_0007__c": "x"}))]);
    let sf = connect(&org);
    let error = hear(&sf, ReadRequest::full("Wide__c")).await.result.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::TooLarge, &["fields".to_owned()][..]));
    let request = ReadRequest::full("Wide__c").with_fields(["A_field_with_quite_a_long_name_0007__c"]);
    let heard = hear(&sf, request).await;
    assert_eq!(heard.ids(), id);
    let raw = heard.batches().next().unwrap().get(0).unwrap().raw().to_owned();
    assert_eq!(field(&raw, "A_field_with_quite_a_long_name_0007__c"), "x");
}
