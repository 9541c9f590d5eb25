//! What a listing from the cache claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_resilience::{Cache, Policy, Subject};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use tokio::time::advance;

use crate::shop::{MINUTE, cached, full};

/// Two pages, each with the number of the listing in which it was asked for.
fn vendor() -> (ScriptedTransport, Arc<AtomicUsize>) {
    let listing = Arc::new(AtomicUsize::new(0));
    let now = listing.clone();
    let transport = ScriptedTransport::function(move |sent: &Sent, _| {
        let now = now.load(Ordering::SeqCst);
        let (page, next) =
            if sent.path_and_query().contains("after=") { ("b", "") } else { ("a", r#","next":"b""#) };
        let reply = Reply::json(200, format!(r#"{{"data":["{page}{now}"]{next}}}"#));
        if sent.header("if-none-match").is_some() {
            Reply::new(304, "")
        } else {
            reply.header("etag", "\"1\"")
        }
    });
    (transport, listing)
}

#[tokio::test(start_paused = true)]
async fn a_listing_from_the_cache_does_not_claim_to_be_complete() {
    let ((transport, now), cache) = (vendor(), Cache::default());
    let shop = cached(&transport, &cache, Policy::new(MINUTE));
    assert_eq!(full(&shop, "leads").await, ("(bcbc)".into(), vec!["\"a0\"".into(), "\"b0\"".into()]));
    now.store(1, Ordering::SeqCst);
    assert_eq!(full(&shop, "leads").await, ("(bcbc".into(), vec!["\"a0\"".into(), "\"b0\"".into()]));
    // Nor does one of which only a part is old.
    shop.invalidate(&Subject::stream("leads"));
    let mut first = acople_core::Connector::read(
        &shop,
        &acople_core::Context::new(),
        acople_core::ReadRequest::full("leads").with_prefetch(0),
    )
    .unwrap();
    futures_util::StreamExt::next(&mut first).await;
    futures_util::StreamExt::next(&mut first).await;
    drop(first);
    assert_eq!(full(&shop, "leads").await, ("(bcbc".into(), vec!["\"a1\"".into(), "\"b1\"".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_the_vendor_confirmed_is_complete() {
    let ((transport, _), cache) = (vendor(), Cache::default());
    let shop = cached(&transport, &cache, Policy::new(MINUTE));
    full(&shop, "leads").await;
    advance(MINUTE).await;
    assert_eq!(full(&shop, "leads").await, ("(bcbc)".into(), vec!["\"a0\"".into(), "\"b0\"".into()]));
    assert_eq!(cache.stats().revalidated, 2);
}
