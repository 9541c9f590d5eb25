//! One request for all who ask the same at once.

use std::time::Duration;

use acople_core::{CancelToken, Context, ErrorKind, Progress, WireFault};
use acople_http::{Answer, Call, Client, RetryPolicy, Within};
use acople_resilience::Cache;
use acople_testkit::{Reply, ScriptedTransport};
use tokio::task::JoinHandle;

use crate::shop::{MINUTE, direct};

const SECOND: Duration = Duration::from_secs(1);

type Asking = JoinHandle<acople_core::Result<Answer>>;

fn ask(client: &Client, cx: Context) -> Asking {
    let client = client.clone();
    tokio::spawn(async move { client.send(&cx, &Call::get("read").path(["x"])).await })
}

/// Asks, and lets the request leave.
async fn ask_first(client: &Client, cx: Context) -> Asking {
    let asking = ask(client, cx);
    tokio::time::sleep(Duration::from_millis(1)).await;
    asking
}

#[tokio::test(start_paused = true)]
async fn five_hundred_who_ask_at_once_make_one_request() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "[1,2]").after(SECOND));
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let asking: Vec<Asking> = (0..500).map(|_| ask(&client, cx.clone())).collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().body(), b"[1,2]");
    }
    let stats = cache.stats();
    assert_eq!((transport.sent().len(), stats.misses, stats.hits, stats.shared), (1, 1, 499, 499));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_given_to_all_who_waited_and_is_not_kept() {
    let transport = ScriptedTransport::function(|_, number| {
        if number == 0 { Reply::json(404, "{}").after(SECOND) } else { Reply::json(200, "1") }
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let asking: Vec<Asking> = (0..500).map(|_| ask(&client, cx.clone())).collect();
    for asked in asking {
        let error = asked.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, Some(404)));
    }
    assert_eq!(transport.sent().len(), 1);
    assert_eq!(ask(&client, cx).await.unwrap().unwrap().body(), b"1");
}

#[tokio::test(start_paused = true)]
async fn one_who_is_dropped_or_gives_up_leaves_the_others_an_answer() {
    for drops in [true, false] {
        let transport = ScriptedTransport::function(|_, _| Reply::json(200, "1").after(SECOND));
        let cache = Cache::default();
        let (client, cx) = direct(&transport, &cache, MINUTE);
        let cancel = CancelToken::new();
        let first = ask_first(&client, cx.clone().with_cancel(cancel.clone())).await;
        let others: Vec<Asking> = (0..20).map(|_| ask(&client, cx.clone())).collect();
        tokio::time::sleep(SECOND / 2).await;
        if drops {
            first.abort();
        } else {
            cancel.cancel();
        }
        for asked in others {
            assert_eq!(asked.await.unwrap().unwrap().body(), b"1");
        }
        match first.await {
            Ok(result) => assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled),
            Err(ended) => assert!(drops && ended.is_cancelled()),
        }
        // The one that was given up, and one for all of the others.
        assert_eq!(transport.sent().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_with_less_time_does_not_end_the_others() {
    let transport = ScriptedTransport::function(|_, number| {
        if number == 0 { Reply::hang() } else { Reply::json(200, "1").after(SECOND) }
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let first = ask_first(&client, cx.clone().within(2 * SECOND)).await;
    let patient = ask(&client, cx.clone().within(10 * SECOND));
    let hasty = ask(&client, cx.clone().within(SECOND));
    assert_eq!(hasty.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(patient.await.unwrap().unwrap().body(), b"1");
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_who_cannot_wait_for_the_limit_does_not_end_those_who_can() {
    let transport = ScriptedTransport::function(|_, number| {
        if number == 0 {
            Reply::json(429, "{}").header("retry-after", "5").after(SECOND)
        } else {
            Reply::json(200, "1")
        }
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let first = ask_first(&client, cx.clone().within(3 * SECOND)).await;
    let patient = ask(&client, cx.clone().within(30 * SECOND));
    let as_hasty = ask(&client, cx.clone().within(4 * SECOND));
    for hasty in [first, as_hasty] {
        assert_eq!(hasty.await.unwrap().unwrap_err().kind(), ErrorKind::RateLimited);
    }
    assert_eq!(patient.await.unwrap().unwrap().body(), b"1");
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_one_callers_own_is_not_shared() {
    let transport = ScriptedTransport::function(|_, number| {
        Reply::json(200, number.to_string()).header("cache-control", "no-store").after(SECOND)
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let asking: Vec<Asking> = (0..10).map(|_| ask(&client, cx.clone())).collect();
    let mut bodies = Vec::new();
    for asked in asking {
        bodies.push(asked.await.unwrap().unwrap().body().to_vec());
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!((bodies.len(), transport.sent().len(), cache.stats().entries), (10, 10, 0));
    // Nor do they wait for one another, but for the first one.
    assert!(transport.sent()[9].at <= SECOND);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_share_the_retries_too() {
    let transport = ScriptedTransport::function(|_, number| {
        if number < 2 { Reply::fail(Progress::NotSent, WireFault::Connect) } else { Reply::json(200, "1") }
    });
    let cache = Cache::default();
    let (client, cx) = direct(&transport, &cache, MINUTE);
    let asking: Vec<Asking> = (0..50).map(|_| ask(&client, cx.clone())).collect();
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(transport.sent().len(), usize::try_from(RetryPolicy::default().attempts).unwrap());
}
