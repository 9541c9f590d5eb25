use std::collections::BTreeMap;
use std::time::Duration;

use acople_core::{AuthProvider, Context, ErrorKind, Progress, Refresh, Secret, TokenStore, WireFault};
use acople_http::Within;
use acople_testkit::Reply;
use acople_testkit::memory::MemoryStore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::vendor::{Vendor, authorization, client, read, refreshing};

#[tokio::test(start_paused = true)]
async fn auth_01_five_hundred_refusals_cause_one_refresh_and_each_call_is_repeated_once() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").seed("worn-out".into()).build();
    let client = client(&vendor, &auth);
    let mut calls = JoinSet::new();
    for id in 0..500 {
        let client = client.clone();
        calls.spawn(async move { read(&client, id).await });
    }
    while let Some(result) = calls.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(vendor.token_calls().len(), 1);
    let mut by_record: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sent in vendor.resource_calls() {
        let authorization = sent.header("authorization").unwrap().to_owned();
        by_record.entry(sent.path_and_query()).or_default().push(authorization);
    }
    assert_eq!(by_record.len(), 500);
    assert!(by_record.values().all(|sent| sent == &["Bearer worn-out", "Bearer at-1"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_refresh_for_all_holds_on_several_threads_again_and_again() {
    let vendor = Vendor::new().with(|rules| rules.delay = Duration::ZERO);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let client = client(&vendor, &auth);
    for round in 1..=20 {
        vendor.change(|rules| rules.access = "another".into());
        let mut calls = JoinSet::new();
        for id in 0..100 {
            let client = client.clone();
            calls.spawn(async move { read(&client, id).await });
        }
        assert!(calls.join_all().await.iter().all(Result::is_ok));
        assert_eq!(vendor.token_calls().len(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_renewal_that_hangs_holds_its_caller_up_for_a_moment_only() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    authorization(&auth).await.unwrap();
    sleep(Duration::from_secs(3580)).await;
    vendor.change(|rules| rules.instead = vec![Reply::hang()]);
    let begun = Instant::now();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    // Given up after 30 s and asked for once more, while a caller without a good token waits for it.
    sleep(Duration::from_secs(20)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-2");
    assert_eq!(vendor.token_calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn callers_without_any_token_share_the_first_token_call() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let auth = auth.clone();
        calls.spawn(async move { authorization(&auth).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|header| header == "Bearer at-1"));
    assert_eq!(vendor.token_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn auth_03_a_stale_refusal_does_not_refresh() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").seed("at-0".into()).build();
    let cx = Context::new();
    let mut request =
        acople_core::Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
    let old = auth.authorize(&cx, &mut request).await.unwrap();
    assert_eq!(auth.refresh(&cx, old).await.unwrap(), Refresh::Renewed);
    let new = auth.authorize(&cx, &mut request).await.unwrap();
    assert!(new > old);
    // The refusal of a request that was on its way all the while.
    assert_eq!(auth.refresh(&cx, old).await.unwrap(), Refresh::Renewed);
    assert_eq!(vendor.token_calls().len(), 1);
    assert_eq!(auth.authorize(&cx, &mut request).await.unwrap(), new);
}

#[tokio::test(start_paused = true)]
async fn auth_04_a_refusal_right_after_a_refresh_ends_the_call() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").seed("at-0".into()).build();
    let client = client(&vendor, &auth);
    // The resource accepts no token at all.
    vendor.change(|rules| rules.instead = vec![Reply::json(200, r#"{"access_token":"useless"}"#)]);
    vendor.change(|rules| rules.access = "none".into());
    let error = read(&client, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert_eq!(vendor.resource_calls().len(), 2);
    assert_eq!(vendor.token_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_does_not_take_the_rotated_token_with_it() {
    let vendor = Vendor::new();
    let store = MemoryStore::new();
    let resources = vendor.resources().with_tokens(std::sync::Arc::new(store.clone()));
    let auth = refreshing(&resources, "rt-0").build();
    let impatient = tokio::time::timeout(Duration::from_millis(100), authorization(&auth)).await;
    assert!(impatient.is_err(), "the caller gives up while the token call is on the wire");
    sleep(Duration::from_secs(1)).await;

    let key = resources.connection_key("example");
    let (stored, _) = TokenStore::load(&store, &key).await.unwrap().unwrap();
    assert_eq!(stored.refresh.as_ref().map(Secret::expose), Some("rt-1"));
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(vendor.token_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_middle_of_a_refresh_ends_the_call_and_not_the_refresh() {
    let vendor = Vendor::new().with(|rules| rules.delay = Duration::from_secs(5));
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let client = client(&vendor, &auth);
    let call = acople_http::Call::get("read record").path(["records"]);
    let error = client.send(&Context::new().within(Duration::from_secs(2)), &call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    sleep(Duration::from_secs(4)).await;
    read(&client, 1).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_its_end_by_one_caller_while_others_go_on() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    authorization(&auth).await.unwrap();
    // The lead is a minute, with jitter half of it at least.
    sleep(Duration::from_secs(3530)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    sleep(Duration::from_secs(45)).await;
    let begun = Instant::now();
    let renewing = tokio::spawn({
        let auth = auth.clone();
        async move { authorization(&auth).await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody else waits");
    assert_eq!(renewing.await.unwrap(), "Bearer at-2");
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn auth_06_a_lost_answer_is_asked_for_once_more_and_then_the_host_is_told_why() {
    let vendor = Vendor::new().with(|rules| rules.lose_answer = true);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(error.message().contains("the answer to an earlier refresh was lost"), "{error}");
    let calls = vendor.token_calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|sent| sent.body().contains("refresh_token=rt-0&")));
}

#[tokio::test(start_paused = true)]
async fn auth_06_two_lost_answers_are_reauth_and_the_old_access_token_stays_in_use() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let client = client(&vendor, &auth);
    read(&client, 1).await.unwrap();
    sleep(Duration::from_secs(3590)).await;
    let lost = || Reply::fail(Progress::MaybeSent, WireFault::Reset);
    vendor.change(|rules| rules.instead = vec![lost(), lost()]);
    read(&client, 2).await.unwrap();
    read(&client, 3).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 3);
    sleep(Duration::from_secs(20)).await;
    let error = read(&client, 4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert!(error.message().contains("lost"), "{error}");
    assert_eq!(vendor.token_calls().len(), 3, "and no more token calls for a while");
    // The refresh token was in fact untouched: later the same one is good.
    sleep(Duration::from_secs(300)).await;
    read(&client, 5).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn auth_06_a_token_endpoint_that_hangs_twice_is_a_lost_answer_too() {
    let vendor = Vendor::new();
    vendor.change(|rules| rules.instead = vec![Reply::hang(), Reply::hang()]);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let begun = Instant::now();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reauth);
    assert_eq!(begun.elapsed(), Duration::from_secs(61), "twice the limit of an answer, and a breath");
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failing_token_endpoint_is_transient_asked_again_after_a_pause_and_keeps_the_refresh_token() {
    let vendor = Vendor::new();
    vendor.change(|rules| {
        rules.instead = vec![Reply::json(500, "{}"), Reply::new(502, "<html>bad gateway</html>")];
    });
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(vendor.token_calls().len(), 2, "a refresh is asked for once more, not three times");
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(vendor.token_calls().len(), 2);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

#[tokio::test(start_paused = true)]
async fn the_vendors_own_wait_is_kept_by_all_callers() {
    let vendor = Vendor::new();
    let slow_down = Reply::json(400, r#"{"error":"temporarily_unavailable"}"#).header("retry-after", "120");
    vendor.change(|rules| rules.instead = vec![slow_down]);
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    for _ in 0..5 {
        let error = authorization(&auth).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(vendor.token_calls().len(), 1);
    sleep(Duration::from_secs(20)).await;
    authorization(&auth).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_accounts_url_comes_from_the_token_answer() {
    let vendor =
        Vendor::new().with(|rules| rules.members = r#","instance_url":"https://na1.example.com""#.into());
    let auth = refreshing(&vendor.resources(), "rt-0")
        .endpoint_member("instance_url")
        .keep(&["token_type"])
        .seed("at-0".into())
        .build();
    let client = client(&vendor, &auth);
    // The seed is good, but nobody knows yet where it is good for.
    read(&client, 1).await.unwrap();
    let calls = vendor.resource_calls();
    assert_eq!(calls[0].request.url().as_str(), "https://na1.example.com/records/1");
    assert_eq!(calls[0].header("authorization"), Some("Bearer at-1"));
    assert_eq!(auth.kept("token_type").await.unwrap().as_deref(), Some("Bearer"));
    // Without `expires_in` the token is used until it is refused.
    sleep(Duration::from_secs(400 * 24 * 3600)).await;
    read(&client, 2).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 1);
    vendor.change(|rules| rules.access = "another".into());
    read(&client, 3).await.unwrap();
    assert_eq!(vendor.token_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_seeded_token_goes_to_the_seeded_url() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0")
        .endpoint_member("instance_url")
        .seed("at-0".into())
        .seed_endpoint("https://na2.example.com")
        .unwrap()
        .build();
    read(&client(&vendor, &auth), 1).await.unwrap();
    assert_eq!(vendor.resource_calls()[0].request.url().host_str(), Some("na2.example.com"));
    assert!(vendor.token_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_account_url_is_a_protocol_error_and_nothing_is_sent_there() {
    for member in [
        "",
        r#","instance_url":"http://na1.example.com""#,
        r#","instance_url":"https://user:pw@na1.example.com""#,
        r#","instance_url":"https://na1.example.com/?x=1""#,
        r#","instance_url":"na1.example.com""#,
    ] {
        let vendor = Vendor::new().with(|rules| rules.members = member.into());
        let auth = refreshing(&vendor.resources(), "rt-0").endpoint_member("instance_url").build();
        let error = read(&client(&vendor, &auth), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{member}");
        assert!(vendor.resource_calls().is_empty());
    }
}

#[tokio::test]
async fn a_provider_without_an_account_url_leaves_the_base_url_alone() {
    let vendor = Vendor::new();
    let auth = refreshing(&vendor.resources(), "rt-0").build();
    assert!(auth.endpoint(&Context::new()).is_none());
    assert_eq!(vendor.token_calls().len(), 0);
}
