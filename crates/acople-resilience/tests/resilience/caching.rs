//! What is cached, how long, and what the numbers say.

use std::time::Duration;

use acople_core::{ActionCall, Batch, Connector, Context, ErrorKind, ReadRequest, WriteMode, WriteRequest};
use acople_http::Call;
use acople_resilience::{Cache, Policy};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use http::header::ACCEPT_LANGUAGE;
use http::{HeaderValue, Method};
use serde_json::json;
use tokio::time::advance;

use crate::shop::{MINUTE, cached, direct, full, read, scope};

/// Answers with the number of the request.
fn counting() -> ScriptedTransport {
    ScriptedTransport::function(|sent: &Sent, number| {
        if sent.path_and_query() == "/catalog" {
            return Reply::json(200, format!(r#"["s{number}"]"#));
        }
        match *sent.request.method() {
            Method::GET if sent.path_and_query().starts_with("/jobs") => Reply::json(200, number.to_string()),
            Method::GET => Reply::json(200, format!(r#"{{"data":[{number}]}}"#)),
            _ => Reply::json(200, number.to_string()),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn each_stream_has_its_own_time() {
    let (transport, cache) = (counting(), Cache::default());
    let policy = Policy::new(2 * MINUTE)
        .ttl("leads", 5 * MINUTE)
        .ttl("accounts", 30 * MINUTE)
        .ttl("off", Duration::ZERO);
    let shop = cached(&transport, &cache, policy);
    for (stream, minutes) in [("leads", 5), ("accounts", 30), ("others", 2), ("off", 0)] {
        let before = transport.sent().len();
        let first = full(&shop, stream).await.1;
        if minutes > 0 {
            advance((minutes * MINUTE).saturating_sub(Duration::from_millis(1))).await;
            assert_eq!(full(&shop, stream).await.1, first, "{stream}");
            assert_eq!(transport.sent().len(), before + 1, "{stream}");
            advance(Duration::from_millis(1)).await;
        }
        assert_ne!(full(&shop, stream).await.1, first, "{stream}");
        assert_eq!(transport.sent().len(), before + 2, "{stream}");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_are_cached_as_the_policy_says() {
    let policy = || Policy::new(MINUTE).query("report", MINUTE);
    let incremental = || ReadRequest::incremental("leads");
    for (policy, reads, describes) in
        [(policy(), 1, 1), (policy().without_reads(), 2, 1), (policy().catalog(None), 1, 2)]
    {
        let (transport, cache, cx) = (counting(), Cache::default(), Context::new());
        let shop = cached(&transport, &cache, policy);
        let sent = |path: &str| transport.sent().iter().filter(|s| s.path_and_query() == path).count();
        for _ in 0..2 {
            full(&shop, "leads").await;
            let catalog = shop.discover(&cx).await.unwrap();
            shop.describe(&cx, &catalog.streams[0].name).await.ok();
            shop.check(&cx).await.unwrap();
            shop.invoke(&cx, ActionCall::new("report", json!({"of": 2026}))).await.unwrap();
        }
        let catalogs = sent("/catalog");
        assert_eq!((sent("/leads"), sent("/ping"), sent("/report")), (reads, 2, 1));
        assert_eq!(catalogs, if describes == 1 { 1 } else { 4 });
        // What has changed since is never cached, and another input is another question.
        read(&shop, &cx, incremental()).await;
        read(&shop, &cx, incremental()).await;
        shop.invoke(&cx, ActionCall::new("report", json!({"of": 2025}))).await.unwrap();
        assert_eq!((sent("/leads"), sent("/report")), (reads + 2, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_connector_without_the_cache_asks_the_vendor() {
    let (transport, cache) = (counting(), Cache::default());
    let shop = cached(&transport, &cache, Policy::new(MINUTE));
    let old = full(&shop, "leads").await;
    assert_ne!(full(&**shop.uncached(), "leads").await.1, old.1);
    assert_eq!(full(&shop, "leads").await.1, old.1);
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test(start_paused = true)]
async fn what_differs_in_the_request_differs_in_the_cache() {
    let (transport, cache) = (counting(), Cache::default());
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let get = || Call::get("read").path(["x"]);
    let german = || get().header(ACCEPT_LANGUAGE, HeaderValue::from_static("de"));
    let other_stream = Context::new().with_extension(scope(&cache, "contacts", MINUTE));
    let questions = [
        (cx.clone(), get()),
        (cx.clone(), get().query("a", 1)),
        (cx.clone(), get().query("a", 2)),
        (cx.clone(), german()),
        (cx.clone(), Call::post("search").path(["x"]).raw_json("1").cacheable()),
        (cx.clone(), Call::post("search").path(["x"]).raw_json("2").cacheable()),
        (cx.clone().with_tenant("u"), get()),
        (other_stream, get()),
    ];
    let mut answers = Vec::new();
    for round in 0..2 {
        for (cx, call) in &questions {
            answers.push(client.send(cx, call).await.unwrap().body().to_vec());
        }
        assert_eq!(transport.sent().len(), questions.len(), "round {round}");
    }
    assert_eq!(answers[..questions.len()], answers[questions.len()..]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_ask_for_something_else_are_not_cached() {
    let (transport, cache) = (counting(), Cache::default());
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let range =
        Call::get("part").path(["x"]).header(http::header::RANGE, HeaderValue::from_static("bytes=0-1"));
    let calls =
        [range, Call::new("head", Method::HEAD).path(["x"]), Call::get("poll").path(["x"]).uncached()];
    for call in &calls {
        client.send(&cx, call).await.unwrap();
        client.send(&cx, call).await.unwrap();
    }
    assert_eq!((transport.sent().len(), cache.stats().entries), (2 * calls.len(), 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_change_an_operation_asks_the_vendor_only() {
    let (transport, cache, cx) = (counting(), Cache::default(), Context::new());
    let shop = cached(&transport, &cache, Policy::new(MINUTE).query("job", MINUTE).query("wait", MINUTE));
    // The second poll of a job that the operation began is not the first one's answer again.
    assert_eq!(shop.invoke(&cx, ActionCall::new("job", json!({}))).await.unwrap().value(), 2);
    assert_eq!(shop.invoke(&cx, ActionCall::new("wait", json!({}))).await.unwrap().value(), 4);
    assert_eq!(cache.stats().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_forbids_is_not_kept_unless_the_host_knows_better() {
    for (name, value, kept) in [
        ("cache-control", "private, No-Store", false),
        ("cache-control", "no-cache", false),
        ("cache-control", "private, max-age=0", true),
        ("cache-control", "max-age=1", true),
        ("vary", "accept, *", false),
        ("vary", "authorization", true),
    ] {
        for despite in [false, true] {
            let transport = ScriptedTransport::function(move |_, _| {
                Reply::json(200, r#"{"data":[1]}"#).header(name, value)
            });
            let (cache, policy) = (Cache::default(), Policy::new(MINUTE));
            let policy = if despite { policy.despite_no_store("leads") } else { policy };
            let shop = cached(&transport, &cache, policy);
            full(&shop, "leads").await;
            full(&shop, "leads").await;
            let kept = kept || (despite && name == "cache-control");
            assert_eq!(transport.sent().len(), if kept { 1 } else { 2 }, "{name}: {value}, {despite}");
            assert_eq!(cache.stats().entries, u64::from(kept), "{name}: {value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_and_unfinished_work_are_not_kept() {
    for status in [404, 403, 400, 202, 206] {
        let transport = ScriptedTransport::function(move |_, _| Reply::json(status, "{}"));
        let cache = Cache::default();
        let (client, cx) = direct(&transport, &cache, MINUTE);
        for _ in 0..2 {
            client.send(&cx, &Call::get("read").path(["x"])).await.ok();
        }
        assert_eq!((transport.sent().len(), cache.stats().entries), (2, 0), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_numbers_say_how_well_it_does() {
    let (transport, cache) = (counting(), Cache::default());
    let (client, cx) = direct(&transport, &cache, MINUTE);
    assert!(cache.stats().hit_rate().abs() < 1e-9);
    for _ in 0..4 {
        for page in 0..5 {
            client.send(&cx, &Call::get("read").path(["x"]).query("page", page)).await.unwrap();
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.revalidated, stats.entries), (15, 5, 0, 5));
    assert!((stats.hit_rate() - 0.75).abs() < 1e-9);
    let (one, five) = (stats.bytes / 5, stats.bytes);
    assert!((512..2048).contains(&one), "{one} bytes an answer");
    advance(MINUTE).await;
    client.send(&cx, &Call::get("read").path(["x"]).query("page", 0)).await.unwrap();
    assert_eq!((cache.stats().misses, cache.stats().bytes), (6, five));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_too_late_or_unwanted_ends_also_with_a_cache() {
    let (transport, cache) = (ScriptedTransport::function(|_, _| Reply::hang()), Cache::default());
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let call = Call::get("read").path(["x"]);
    let error = client.send(&cx, &call).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("read")));
    let cancel = acople_core::CancelToken::new();
    let cx = cx.with_cancel(cancel.clone());
    let asking = tokio::spawn(async move { client.send(&cx, &call).await });
    tokio::task::yield_now().await;
    cancel.cancel();
    assert_eq!(asking.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn sec_01_nothing_of_a_question_is_printed() {
    let (transport, cache) = (counting(), Cache::default());
    let (client, _) = direct(&transport, &cache, MINUTE);
    let scope = scope(&cache, "leads", MINUTE);
    let cx = Context::new().with_extension(scope.clone());
    client.send(&cx, &Call::get("read").path(["x"]).query("email", "canary@example.com")).await.unwrap();
    let shop = cached(&transport, &cache, Policy::new(MINUTE));
    for text in [format!("{cache:?}"), format!("{scope:?}"), format!("{cx:?}"), format!("{shop:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_not_answered_from_the_cache() {
    let (transport, cache) = (counting(), Cache::default());
    let shop = cached(&transport, &cache, Policy::new(MINUTE));
    for _ in 0..2 {
        let batch = Batch::from_records("leads", [r#"{"id":1}"#]).unwrap();
        shop.write(&Context::new(), WriteRequest::new(WriteMode::Upsert, batch)).await.unwrap();
    }
    assert_eq!(transport.sent().len(), 2);
}
