//! How much memory it takes.

use std::time::Duration;

use acople_http::Call;
use acople_resilience::{Cache, CacheLimits};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use futures_util::future::join_all;

use crate::shop::{MINUTE, direct};

/// A vendor whose answers are as long as the path says.
fn vendor() -> ScriptedTransport {
    ScriptedTransport::function(|sent: &Sent, _| {
        let path = sent.path_and_query();
        let bytes: usize = path.rsplit('/').next().unwrap().parse().unwrap();
        Reply::new(200, vec![b'x'; bytes]).after(Duration::from_millis(1))
    })
}

fn call(number: usize, bytes: usize) -> Call {
    Call::get("read").path([number.to_string(), bytes.to_string()])
}

#[tokio::test(start_paused = true)]
async fn the_bytes_stay_within_their_bound_under_any_load() {
    const BYTES: u64 = 256 << 10;
    let (transport, cache) = (vendor(), Cache::new(CacheLimits::new(BYTES).answer(16 << 10)));
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let mut most = 0;
    for _ in 0..400 {
        let calls: Vec<Call> =
            (0..8).map(|_| call(fastrand::usize(0..200), fastrand::usize(0..20) << 10)).collect();
        join_all(calls.iter().map(|call| client.send(&cx, call)))
            .await
            .into_iter()
            .for_each(|a| drop(a.unwrap()));
        let bytes = cache.stats().bytes;
        assert!(bytes <= BYTES, "{bytes}");
        most = most.max(bytes);
    }
    let stats = cache.stats();
    assert!(most > BYTES / 2, "{most} bytes at most, so that nothing was tried");
    assert!(stats.evictions > 100 && stats.unkept > 100 && stats.entries > 10, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_its_own_bound_is_passed_on_and_not_kept() {
    let (transport, cache) = (vendor(), Cache::new(CacheLimits::new(1 << 20).answer(8 << 10)));
    let (client, cx) = direct(&transport, &cache, MINUTE);
    for (bytes, kept) in [(7 << 10, 1), (8 << 10, 0)] {
        cache.invalidate_all();
        for _ in 0..2 {
            assert_eq!(client.send(&cx, &call(0, bytes)).await.unwrap().body().len(), bytes);
        }
        assert_eq!(cache.stats().entries, kept, "{bytes} bytes");
    }
    assert_eq!((transport.sent().len(), cache.stats().unkept), (3, 2));
    // Many who ask for one at once share it all the same.
    let calls = vec![call(1, 100 << 10); 50];
    join_all(calls.iter().map(|call| client.send(&cx, call)))
        .await
        .into_iter()
        .for_each(|a| drop(a.unwrap()));
    assert_eq!(transport.sent().len(), 3 + 1);
}

#[tokio::test(start_paused = true)]
async fn headers_and_keys_count_too() {
    let transport =
        ScriptedTransport::function(|_, _| Reply::new(200, "").header("x-long", &"h".repeat(4_000)));
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    client.send(&cx.with_tenant("t".repeat(3_000)), &Call::get("read").path(["x"])).await.unwrap();
    assert!(cache.stats().bytes > 7_000, "{:?}", cache.stats());
}
