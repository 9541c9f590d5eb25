//! What is outdated is not given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople_core::{
    ActionCall, Batch, Connector, Context, Progress, WireFault, WriteMode, WriteReport, WriteRequest,
};
use acople_http::Call;
use acople_resilience::{Cache, Cached, Policy, Subject};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use http::Method;
use serde_json::json;

use crate::shop::{MINUTE, Shop, cached, direct, full, key};

/// Reads are answered with the number of the request, changes with `changed`.
fn vendor(changed: Reply) -> ScriptedTransport {
    ScriptedTransport::function(move |sent: &Sent, number| match *sent.request.method() {
        Method::GET if sent.path_and_query() == "/catalog" => Reply::json(200, "[\"leads\"]"),
        Method::GET => Reply::json(200, format!(r#"{{"data":[{number}]}}"#)),
        _ => changed.clone(),
    })
}

async fn write(shop: &Cached, stream: &str) -> acople_core::Result<WriteReport> {
    let batch = Batch::from_records(stream, [r#"{"id":1}"#]).unwrap();
    shop.write(&Context::new(), WriteRequest::new(WriteMode::Upsert, batch)).await
}

/// Which streams of a connector are answered by a request now.
async fn asked_anew(
    transport: &ScriptedTransport,
    shop: &Cached,
    streams: &[&'static str],
) -> Vec<&'static str> {
    let mut anew = Vec::new();
    for stream in streams {
        let before = transport.sent().len();
        full(shop, stream).await;
        if transport.sent().len() > before {
            anew.push(*stream);
        }
    }
    anew
}

#[tokio::test(start_paused = true)]
async fn a_write_outdates_its_stream_whatever_came_of_it() {
    for changed in [
        Reply::json(200, "1"),
        Reply::json(400, "{}"),
        Reply::json(500, "{}"),
        Reply::fail(Progress::MaybeSent, WireFault::Reset),
        Reply::hang(),
    ] {
        let (transport, cache) = (vendor(changed), Cache::default());
        let shop = cached(&transport, &cache, Policy::new(60 * MINUTE).affects("leads", ["contacts"]));
        let streams = ["leads", "contacts", "accounts"];
        assert_eq!(asked_anew(&transport, &shop, &streams).await, streams);
        assert!(asked_anew(&transport, &shop, &streams).await.is_empty());
        write(&shop, "leads").await.ok();
        assert_eq!(asked_anew(&transport, &shop, &streams).await, ["leads", "contacts"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_outdates_its_stream() {
    let (transport, cache) = (vendor(Reply::hang()), Cache::default());
    let shop = cached(&transport, &cache, Policy::new(60 * MINUTE));
    full(&shop, "leads").await;
    tokio::time::timeout(Duration::from_secs(1), write(&shop, "leads")).await.unwrap_err();
    assert_eq!(asked_anew(&transport, &shop, &["leads"]).await, ["leads"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_outdates_what_it_affects_or_else_everything() {
    let (transport, cache) = (vendor(Reply::json(200, "1")), Cache::default());
    let policy = Policy::new(60 * MINUTE).query("report", MINUTE).affects("convert", ["leads"]);
    let shop = cached(&transport, &cache, policy);
    let streams = ["leads", "accounts"];
    for (action, outdated) in [("report", &[][..]), ("convert", &streams[..1]), ("other", &streams[..])] {
        asked_anew(&transport, &shop, &streams).await;
        shop.invoke(&Context::new(), ActionCall::new(action, json!({}))).await.unwrap();
        assert_eq!(asked_anew(&transport, &shop, &streams).await, outdated, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_outdated_by_subject_connection_tenant_or_all() {
    let (transport, cache) = (vendor(Reply::json(200, "1")), Cache::default());
    let policy = || Policy::new(60 * MINUTE);
    let shop = |key| Cached::new(Shop::connect(&transport), key, Arc::new(cache.clone()), policy());
    let second = acople_core::ConnectionKey::new("shop", "second").with_tenant("a");
    let shops = [shop(key("a")), shop(second), shop(key("b"))];
    let outdated = async || {
        let mut all = Vec::new();
        for (number, shop) in shops.iter().enumerate() {
            for stream in asked_anew(&transport, shop, &["leads", "accounts"]).await {
                all.push(format!("{number}{}", stream.get(..1).unwrap()));
            }
        }
        all.join(" ")
    };
    let all = "0l 0a 1l 1a 2l 2a";
    assert_eq!(outdated().await, all);
    assert_eq!(outdated().await, "");
    cache.invalidate_subject(&key("a"), &Subject::stream("leads"));
    assert_eq!(outdated().await, "0l");
    shops[2].invalidate(&Subject::stream("accounts"));
    assert_eq!(outdated().await, "2a");
    shops[2].invalidate(&Subject::Catalog);
    assert_eq!(outdated().await, "");
    cache.invalidate_connection(&key("a"));
    assert_eq!(cache.stats().entries, 4, "nothing of it stays in memory");
    assert_eq!(outdated().await, "0l 0a");
    cache.invalidate_tenant("a");
    assert_eq!(cache.stats().entries, 2, "nothing of it stays in memory");
    assert_eq!(outdated().await, "0l 0a 1l 1a");
    cache.invalidate_all();
    assert_eq!(outdated().await, all);
}

#[tokio::test(start_paused = true)]
async fn a_customer_whom_the_context_names_is_outdated_alone() {
    let (transport, cache) = (vendor(Reply::json(200, "1")), Cache::default());
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let asked_anew = async || {
        let mut anew = Vec::new();
        for tenant in ["a", "b"] {
            let before = transport.sent().len();
            let cx = cx.clone().with_tenant(tenant);
            client.send(&cx, &Call::get("read").path(["x"])).await.unwrap();
            anew.push(transport.sent().len() > before);
        }
        anew
    };
    assert_eq!(asked_anew().await, [true, true]);
    cache.invalidate_tenant("b");
    assert_eq!(cache.stats().entries, 1);
    assert_eq!(asked_anew().await, [false, true]);
    // One whose answer is on its way as well.
    let slow = ScriptedTransport::function(|_, number| {
        Reply::json(200, number.to_string()).after(Duration::from_secs(1))
    });
    let (client, cx) = direct(&slow, &cache, MINUTE);
    let (cx, call) = (cx.with_tenant("b"), Call::get("read").path(["y"]));
    tokio::join!(async { drop(client.send(&cx, &call).await) }, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        cache.invalidate_tenant("b");
    });
    assert_eq!(client.send(&cx, &call).await.unwrap().body(), b"1");
}

#[tokio::test(start_paused = true)]
async fn an_answer_asked_for_before_is_not_kept_and_not_given_to_those_who_ask_after() {
    let transport = ScriptedTransport::function(|_, number| {
        Reply::json(200, number.to_string()).after(Duration::from_secs(1))
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let call = Call::get("read").path(["x"]);
    let (before, after) = tokio::join!(client.send(&cx, &call), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cache.invalidate_subject(&key("t"), &Subject::stream("leads"));
        client.send(&cx, &call).await
    });
    assert_eq!((before.unwrap().body(), after.unwrap().body()), (&b"0"[..], &b"1"[..]));
    assert_eq!(client.send(&cx, &call).await.unwrap().body(), b"1");
    assert_eq!(transport.sent().len(), 2);
}

/// A vendor whose data changes, with a webhook for each change, and readers at any time: nobody who asks after
/// the webhook sees what was true before it.
#[tokio::test(start_paused = true)]
async fn no_reader_sees_what_was_true_before_the_last_invalidation() {
    let version = Arc::new(AtomicU64::new(0));
    let now = version.clone();
    let transport = ScriptedTransport::function(move |_, _| {
        let delay = Duration::from_millis(fastrand::u64(0..50));
        Reply::json(200, now.load(Ordering::SeqCst).to_string()).after(delay)
    });
    let cache = Cache::default();
    // Small enough that answers also age on the way.
    let (client, cx) = direct(&transport, &cache, Duration::from_millis(200));
    let mut readers = Vec::new();
    let mut floor = 0;
    for _ in 0..3_000 {
        match fastrand::u8(0..10) {
            0 => {
                floor = version.fetch_add(1, Ordering::SeqCst) + 1;
                match fastrand::u8(0..4) {
                    0 => cache.invalidate_all(),
                    1 => cache.invalidate_tenant("t"),
                    2 => cache.invalidate_connection(&key("t")),
                    _ => cache.invalidate_subject(&key("t"), &Subject::stream("leads")),
                }
            }
            1 => tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await,
            _ => {
                let (client, cx) = (client.clone(), cx.clone());
                let call = Call::get("read").path(["x"]).query("page", fastrand::u8(0..3));
                readers.push(tokio::spawn(async move {
                    let seen: u64 = client.send(&cx, &call).await.unwrap().json().unwrap();
                    assert!(seen >= floor, "saw {seen}, but {floor} was told");
                }));
            }
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let stats = cache.stats();
    assert!(stats.hits > stats.misses, "{stats:?}");
}
