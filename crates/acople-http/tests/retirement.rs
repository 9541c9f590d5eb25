//! The warning that a vendor is going to retire what a connection calls. One test in a process of its own: `tracing`
//! decides once for all threads whether a place in the code is of interest to anybody.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use acople_core::{Context, Monitor, Recorder, Resources, Signal, Watched};
use acople_http::{Call, Client, RetryPolicy};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of every warning.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<Fields>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Into(&mut fields));
        self.0.lock().unwrap().push(fields);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A class of endpoints, an operation, and a Unix second.
type Retiring = (&'static str, &'static str, Option<u64>);

/// Keeps what a monitor is told of retirements.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Retiring>>>);

impl Monitor for Told {
    fn watch(&self, _: &Watched) -> Arc<dyn Recorder> {
        Arc::new(self.clone())
    }
}

impl Recorder for Told {
    fn record(&self, signal: &Signal<'_>) {
        if let Signal::Retiring { class, operation, ends } = signal {
            let ends = ends.map(|ends| ends.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs());
            self.0.lock().unwrap().push((class, operation, ends));
        }
    }
}

fn vendor(sent: &Sent, _: usize) -> Reply {
    let path = sent.request.url().path();
    let (status, header) = match path.trim_start_matches("/v1/") {
        "fine" => return Reply::json(200, "{}"),
        // A refusal announces as well as a success.
        "refused" => (404, ("Sunset", "Wed, 30 Dec 2026 23:59:59 GMT")),
        "soon" => (200, ("Sunset", "Tue, 30 Jun 2026 23:59:59 GMT")),
        "later" => (200, ("Sunset", "Thu, 30 Dec 2027 23:59:59 GMT")),
        "deprecated" => (200, ("Deprecation", "@1688169599")),
        "salesforce" => (200, ("Warning", r#"299 - "This API is deprecated and will be removed""#)),
        _ => (410, ("Sunset", "Wed, 30 Dec 2026 23:59:59 GMT")),
    };
    Reply::json(status, "{}").header(header.0, header.1)
}

#[tokio::test(start_paused = true)]
async fn page_13_the_first_announcement_of_an_end_is_told_once_for_a_connection_and_class() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let told = Told::default();
    let transport = ScriptedTransport::function(vendor);
    let resources = Resources::new(Arc::new(transport)).with_monitor(Arc::new(told.clone()));
    let connect = || {
        let client = Client::with_resources("https://api.example.com/v1", &resources).unwrap();
        client.connector("example").retry(RetryPolicy::none()).build()
    };
    let client = connect();
    let send = async |client: &Client, class, path: &'static str| {
        let call = Call::get("read thing").path([path]).query("email", "ann@example.com").class(class);
        client.send(&Context::new(), &call).await.map_err(|e| e.kind())
    };

    send(&client, "default", "fine").await.unwrap();
    assert!(warnings.0.lock().unwrap().is_empty() && told.0.lock().unwrap().is_empty());

    // The first one, whatever the answer is; then nothing new, however often it is said.
    for path in ["refused", "refused", "deprecated", "salesforce", "later"] {
        let _ = send(&client, "default", path).await;
    }
    let december = Some(1_798_675_199);
    assert_eq!(*told.0.lock().unwrap(), [("default", "read thing", december)]);

    // Another class, without a date; then with one; an end that is brought forward.
    for path in ["deprecated", "salesforce", "refused", "soon", "refused", "soon"] {
        let _ = send(&client, "search", path).await;
    }
    let all = told.0.lock().unwrap().clone();
    let search: Vec<_> = all[1..].iter().map(|(class, _, ends)| (*class, *ends)).collect();
    assert_eq!(search, [("search", None), ("search", december), ("search", Some(1_782_863_999))]);

    // Another connection hears of it for itself.
    send(&connect(), "default", "salesforce").await.unwrap();
    assert_eq!(told.0.lock().unwrap().last(), Some(&("default", "read thing", None)));

    // Each was a warning, with texts of the connector's code and a date, and nothing of the URL.
    let warnings = warnings.0.lock().unwrap().clone();
    assert_eq!(warnings.len(), told.0.lock().unwrap().len());
    let expected = [
        ("acople.connector", "example"),
        ("acople.operation", "read thing"),
        ("acople.endpoint.class", "default"),
        ("acople.retirement.ends", "Wed, 30 Dec 2026 23:59:59 GMT"),
    ];
    for (name, value) in expected {
        assert_eq!(warnings[0][name], value);
    }
    assert_eq!(warnings[1]["acople.retirement.ends"], "not known yet");
    assert!(!format!("{warnings:?}").contains("ann"), "{warnings:?}");

    // And the end itself is a matter of the config.
    assert_eq!(send(&client, "default", "gone").await.unwrap_err(), acople_core::ErrorKind::Config);
}
