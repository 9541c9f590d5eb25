//! The spans of calls. One test in a process of its own: `tracing` decides once for all threads whether a place in
//! the code is of interest to anybody.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use acople_core::{Context, Resources};
use acople_http::{Call, Client};
use acople_testkit::{Reply, ScriptedTransport};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// Keeps every span with its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(&'static str, Fields)>>>, Arc<AtomicU64>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Into(&mut fields));
        self.0.lock().unwrap().push((span.metadata().name(), fields));
        Id::from_u64(self.1.fetch_add(1, Ordering::SeqCst) + 1)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        let index = usize::try_from(span.into_u64() - 1).unwrap();
        values.record(&mut Into(&mut self.0.lock().unwrap()[index].1));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn spans_of_calls_and_attempts_have_the_names_of_opentelemetry() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let transport =
        ScriptedTransport::new([Reply::json(503, "{}"), Reply::json(200, "{}"), Reply::json(404, "{}")]);
    let resources = Resources::new(Arc::new(transport)).with_tenant("tenant-7");
    let client = Client::with_resources("https://api.example.com:8443/v1", &resources)
        .unwrap()
        .connector("example")
        .build();
    let call = Call::get("read order").path(["orders", "secret-id-1"]).query("email", "ann@example.com");
    client.send(&Context::new(), &call).await.unwrap();
    client.send(&Context::new(), &call).await.unwrap_err();
    let spans = spans.0.lock().unwrap().clone();
    let names: Vec<&str> = spans.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["acople.call", "acople.attempt", "acople.attempt", "acople.call", "acople.attempt"]);
    let expected =
        [("acople.operation", "read order"), ("acople.connector", "example"), ("acople.attempts", "2")];
    assert_eq!(spans[0].1, expected.map(|(k, v)| (k, v.to_owned())).into());
    let expected = [
        ("otel.kind", "client"),
        ("otel.name", "GET"),
        ("http.request.method", "GET"),
        ("http.request.resend_count", "0"),
        ("http.response.status_code", "503"),
        ("server.address", "api.example.com"),
        ("server.port", "8443"),
        ("url.scheme", "https"),
        ("error.type", "transient"),
    ];
    assert_eq!(spans[1].1, expected.map(|(k, v)| (k, v.to_owned())).into());
    assert_eq!((&*spans[2].1["http.request.resend_count"], spans[2].1.get("error.type")), ("1", None));
    assert_eq!(spans[3].1["error.type"], "not_found");
    // Neither paths nor queries: they hold ids, names and keys, and there is no end to them.
    let all = format!("{spans:?}");
    assert!(!all.contains("secret-id") && !all.contains("ann") && !all.contains("tenant"), "{all}");
}
