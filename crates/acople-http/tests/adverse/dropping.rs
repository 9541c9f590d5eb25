//! A call that is dropped at any await leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, BreakerState, CancelToken, Context, ErrorKind, Refresh, Request, Result,
};
use acople_http::{BreakerConfig, Breakers, Call, Client, Limits};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use futures_util::poll;
use tokio::time::Instant;

use super::builder;

/// Takes its time for everything.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl AuthProvider for Slow {
    async fn authorize(&self, _: &Context, request: &mut Request) -> Result<AuthStamp> {
        tokio::task::yield_now().await;
        request.set_secret_header(http::header::AUTHORIZATION, "Bearer slow-secret")?;
        Ok(AuthStamp(0))
    }
    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<Refresh> {
        tokio::task::yield_now().await;
        Ok(Refresh::Renewed)
    }
}

/// A client with one slot and a half-open breaker of one probe: the least leak stops it.
async fn narrow() -> (Client, ScriptedTransport) {
    let transport = ScriptedTransport::function(|_, n| match n {
        0 | 1 => Reply::json(500, "{}"),
        n if n % 4 == 2 => Reply::json(401, "{}").after(Duration::from_millis(1)),
        n if n % 4 == 3 => Reply::json(429, "{}").header("retry-after", "1"),
        n if n % 4 == 0 => Reply::json(503, "{}").after(Duration::from_millis(1)),
        _ => Reply::json(200, "{}").after(Duration::from_millis(1)),
    });
    let mut config = BreakerConfig::default();
    (config.minimum, config.probes) = (2, 1);
    let limits =
        Limits::new().rate("app", 600, Duration::from_secs(60)).slots("app", 1).class("default", &["app"]);
    let client =
        builder(&transport).breakers(Breakers::new(config)).limits(limits).auth(Arc::new(Slow)).build();
    for _ in 0..2 {
        let cx = acople_http::Within::within(Context::new(), Duration::from_millis(50));
        let _ = client.send(&cx, &Call::get("read")).await;
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    (client, transport)
}

#[tokio::test(start_paused = true)]
async fn net_15_a_call_dropped_at_any_poll_gives_everything_back() {
    let mut ended = false;
    for polls in 0..200 {
        let (client, _) = narrow().await;
        let cx = Context::new();
        let call = Call::get("read");
        let mut work = Box::pin(client.send(&cx, &call));
        for _ in 0..polls {
            ended = poll!(work.as_mut()).is_ready();
            if ended {
                break;
            }
            // Timers that are due fire; the call sees them at its next poll.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        drop(work);
        let mut next = client.send(&Context::new(), &call).await;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(61)).await;
            next = client.send(&Context::new(), &call).await;
            if next.is_ok() {
                break;
            }
        }
        assert!(next.is_ok(), "after {polls} polls: {next:?}");
        assert_eq!(client.breakers().state("default"), BreakerState::Closed);
        if ended {
            break;
        }
    }
    assert!(ended, "the call was dropped at every one of its awaits");
}

#[tokio::test(start_paused = true)]
async fn net_15_a_download_that_is_dropped_gives_its_slot_back_and_one_that_runs_keeps_it() {
    let transport = ScriptedTransport::function(|_, _| Reply::new(200, vec![b'x'; 10]));
    let limits = Limits::new().slots("app", 1).class("default", &["app"]);
    let client = builder(&transport).limits(limits).build();
    let (cx, call) = (Context::new(), Call::get("export").any_content());
    let meter = Arc::new(acople_core::Meter::default());

    let other = || async {
        let began = Instant::now();
        let cx = acople_http::Within::within(Context::new(), Duration::from_secs(5));
        (client.send(&cx, &call).await.map_err(|e| e.kind()).err(), began.elapsed())
    };
    let download = client.download(&cx, &call).await.unwrap();
    assert_eq!(
        other().await,
        (Some(ErrorKind::RateLimited), Duration::from_secs(5)),
        "it is still in flight"
    );
    drop(download);
    assert_eq!(other().await, (None, Duration::ZERO));

    let metered = Context::new().with_meter(meter.clone());
    let mut download = client.download(&metered, &call).await.unwrap();
    while download.chunk().await.unwrap().is_some() {}
    assert_eq!(other().await, (None, Duration::ZERO), "its end frees the slot");
    assert_eq!(meter.usage().bytes_received, 10);
    drop(download);
}

#[tokio::test(start_paused = true)]
async fn what_a_cancelled_call_says_depends_on_what_the_vendor_may_have_seen() {
    for (call, kind, known) in [
        (Call::post("create"), ErrorKind::Ambiguous, false),
        (Call::put("replace"), ErrorKind::Cancelled, false),
    ] {
        let transport = ScriptedTransport::function(|_, _| Reply::hang());
        let client = super::client(&transport);
        let cancel = CancelToken::new();
        let cx = Context::new().with_cancel(cancel.clone());
        let (result, ()) = tokio::join!(client.send(&cx, &call), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        });
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.outcome_known(), error.attempts()), (kind, known, 1), "{error:?}");
    }
    // Before anything was sent, there is nothing to wonder about.
    let limits = Limits::new().rate("app", 1, Duration::from_secs(30)).class("default", &["app"]);
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let client = builder(&transport).limits(limits).build();
    client.send(&Context::new(), &Call::get("read")).await.unwrap();
    let cancel = CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let call = Call::post("create");
    let (result, ()) = tokio::join!(client.send(&cx, &call), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.outcome_known(), error.attempts()), (ErrorKind::Cancelled, true, 0));
}
