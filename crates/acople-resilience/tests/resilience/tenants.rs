//! Customers never meet in the cache.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, Batch, Connector, Context, ReadRequest, Request, Result, WriteMode, WriteRequest,
};
use acople_resilience::{Cache, CacheLimits, Cached, Policy};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use async_trait::async_trait;
use http::Method;
use http::header::AUTHORIZATION;

use crate::shop::{Shop, key, read};

/// The credentials of a customer, whom the connection or the context names.
#[derive(Debug)]
struct Canary(Option<String>);

#[async_trait]
impl AuthProvider for Canary {
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let tenant = self.0.as_deref().or(cx.tenant()).unwrap();
        request.set_secret_header(AUTHORIZATION, tenant)?;
        Ok(AuthStamp(0))
    }
    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<acople_core::Refresh> {
        Ok(acople_core::Refresh::Unsupported)
    }
}

/// A thousand customers who ask the same of one vendor through one cache, half of them under connections of their
/// own, half under one connection and a context of their own.
#[tokio::test(start_paused = true)]
async fn sec_11_a_thousand_tenants_never_see_one_anothers_answers() {
    let transport = ScriptedTransport::function(|sent: &Sent, _| {
        let canary = sent.header("authorization").unwrap();
        let reply = match *sent.request.method() {
            Method::GET => Reply::json(200, format!(r#"{{"data":["{canary}"]}}"#)).header("etag", "\"same\""),
            _ => Reply::json(200, "1"),
        };
        let confirmed = sent.header("if-none-match").is_some() && fastrand::bool();
        let reply = if confirmed { Reply::new(304, "").header("etag", "\"same\"") } else { reply };
        reply.after(Duration::from_millis(fastrand::u64(0..20)))
    });
    // Too small for all, so that answers are evicted as well.
    let cache = Cache::new(CacheLimits::new(1 << 20));
    let shared = Shop::with(&transport, Some(Arc::new(Canary(None))));
    let policy = || Policy::new(Duration::from_millis(500));
    let shops: Vec<Arc<Cached>> = (0..1_000)
        .map(|number| {
            let tenant = format!("canary-{number}");
            let (connector, key) = if number % 2 == 0 {
                (Shop::with(&transport, Some(Arc::new(Canary(Some(tenant.clone()))))), key(&tenant))
            } else {
                (shared.clone(), key(""))
            };
            Arc::new(Cached::new(connector, key, Arc::new(cache.clone()), policy()))
        })
        .collect();
    let mut tasks = Vec::new();
    for step in 0..4_000 {
        // A few ask often, and at once.
        let number = if fastrand::bool() { fastrand::usize(0..20) } else { fastrand::usize(0..1_000) };
        let (shop, tenant) = (shops[number].clone(), format!("canary-{number}"));
        match fastrand::u8(0..40) {
            0 => cache.invalidate_tenant(&tenant),
            1 => {
                tasks.push(tokio::spawn(async move {
                    let batch = Batch::from_records("leads", [r#"{"id":1}"#]).unwrap();
                    let cx = Context::new().with_tenant(tenant);
                    shop.write(&cx, WriteRequest::new(WriteMode::Upsert, batch)).await.unwrap();
                }));
            }
            _ => {
                let stream = if fastrand::bool() { "leads" } else { "accounts" };
                tasks.push(tokio::spawn(async move {
                    let cx = Context::new().with_tenant(tenant.as_str());
                    let (_, records) = read(&*shop, &cx, ReadRequest::full(stream)).await;
                    assert_eq!(records, [format!("\"{tenant}\"")]);
                }));
            }
        }
        if step % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..40))).await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let stats = cache.stats();
    assert!(stats.hits > 100 && stats.revalidated > 0 && stats.misses > 1_000, "{stats:?}");
    assert!(stats.bytes <= 1 << 20);
}
