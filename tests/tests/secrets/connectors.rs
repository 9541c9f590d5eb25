//! Every connector of the facade, every way to log in, every answer that a vendor may give.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople::monitor::Collector;
use acople::sync::{End, Job};
use acople::{
    ActionCall, Batch, Connector, Context, ReadMode, ReadRequest, Request, Resources, Response, Transport,
    TransportError, WriteMode, WriteRequest,
};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use crate::answers;
use crate::canary::{Canary, Log, assert_clean, texts};
use crate::configs::{ORIGIN, Variant, variants};
use crate::metered::Metered;

fn is_token_call(sent: &Sent) -> bool {
    sent.request.url().path().ends_with("/token")
}

/// Spans of calls and of attempts, with what is recorded at their end, and events.
const SPANS_AND_EVENTS: [&str; 4] = ["acople.call{", "acople.attempt{", "error.type=", "WARN "];

/// The streams of the connectors.
const STREAMS: [&str; 4] = ["contacts", "Lead", "Items", "leads"];

/// Does everything that a connector can do, and gives back whatever it said.
async fn everything(connector: &Arc<dyn Connector>) -> String {
    let cx = Context::new();
    let mut said = format!("{connector:?} {connector:#?} {cx:?}\n");
    let mut note = |error: acople::Error| said.push_str(&texts(&error));
    match connector.check(&cx).await {
        Ok(_) => {}
        Err(error) => note(error),
    }
    let found = connector.discover(&cx).await;
    found.map_or_else(&mut note, drop);
    for stream in STREAMS {
        for request in [ReadRequest::full(stream), ReadRequest::incremental(stream)] {
            match connector.read(&cx, request) {
                Err(error) => note(error),
                Ok(events) => {
                    let events: Vec<_> = events.take(8).collect().await;
                    events.into_iter().filter_map(Result::err).for_each(&mut note);
                }
            }
        }
        let batch =
            Batch::from_records(stream, [r#"{"Id":"1","properties":{"email":"a@example.com"}}"#]).unwrap();
        for mode in [WriteMode::Insert, WriteMode::Update] {
            match connector.write(&cx, WriteRequest::new(mode, batch.clone())).await {
                Err(error) => note(error),
                Ok(report) => report
                    .outcomes()
                    .iter()
                    .filter_map(|outcome| outcome.error())
                    .for_each(|error| note(error.copy())),
            }
        }
    }
    for action in &connector.info().actions {
        let input = json!({ "object": "contacts", "soql": "SELECT Id FROM Lead" });
        let called = connector.invoke(&cx, ActionCall::new(action.name.clone(), input)).await;
        called.map_or_else(&mut note, drop);
    }
    said
}

fn resources(transport: Arc<dyn Transport>) -> Resources {
    Resources::new(transport)
        .with_clock(Arc::new(FakeClock::new()))
        .with_tokens(Arc::new(MemoryStore::new()))
        .with_tenant("acme")
}

fn connect(vendor: &acople::Vendor, variant: &Variant, resources: Resources) -> Arc<dyn Connector> {
    assert_clean(&format!("{resources:?} {resources:#?} {vendor:?}"), &variant.canaries, "resources");
    (vendor.connect)(variant.config.clone(), resources).unwrap_or_else(|e| panic!("{}: {e:?}", vendor.id))
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_no_connector_says_a_secret_whatever_the_vendor_answers() {
    let log = Log::capture();
    let metered = Arc::new(Metered::default());
    let collector = Collector::builder().export_to(metered.clone()).build().unwrap();
    let mut heard = BTreeMap::new();
    for vendor in acople::vendors() {
        let schema = (vendor.config_schema)();
        for (form, variant) in variants(&schema).iter().enumerate() {
            if schema.to_string().contains("writeOnly") {
                assert!(!variant.canaries.is_empty(), "{}: {:?} has no secret", vendor.id, variant.config);
            }
            let given = [Canary::new(), Canary::new()];
            let all = [variant.canaries.as_slice(), &given].concat();
            for number in 0..answers::COUNT {
                // The token endpoint takes part in every other run.
                let tokens_too = (number + form) % 2 == 1;
                let given = given.clone();
                let transport = ScriptedTransport::function(move |sent, _| {
                    if is_token_call(sent) && !tokens_too {
                        let [access, refresh] = [&given[0].text, &given[1].text];
                        return Reply::json(
                            200,
                            json!({ "access_token": access, "refresh_token": refresh, "expires_in": 60, "instance_url": ORIGIN }).to_string(),
                        );
                    }
                    answers::helpful(sent).unwrap_or_else(|| answers::answer(number, sent))
                });
                let resources =
                    resources(Arc::new(transport.clone())).with_monitor(Arc::new(collector.clone()));
                let connector = connect(vendor, variant, resources);
                let mut said = everything(&connector).await;
                for sent in transport.sent() {
                    writeln!(said, "{:?} {:#?}", sent.request, sent.request).unwrap();
                }
                let what = format!("{}, login {form}, answer {number}", vendor.id);
                assert_clean(&said, &all, &what);
                let lines = log.take();
                for told in SPANS_AND_EVENTS {
                    *heard.entry(told).or_insert(0) += lines.matches(told).count();
                }
                assert_clean(&lines, &all, &format!("{what}, log"));
                if vendor.id != "file" {
                    assert!(!transport.sent().is_empty(), "{what}: nothing was sent");
                }
            }
            let (snapshot, health) = (collector.snapshot(), collector.health());
            let shown = format!(
                "{} {} {snapshot:?} {health:?} {collector:?}",
                serde_json::to_string(&snapshot).unwrap(),
                serde_json::to_string(&health).unwrap()
            );
            assert_clean(&shown, &all, &format!("{}, login {form}, snapshot", vendor.id));
            assert_clean(&metered.text(), &all, &format!("{}, login {form}, metrics", vendor.id));
            if vendor.id != "file" {
                let series = format!("acople.connector={}", vendor.id);
                assert!(metered.text().contains(&series), "{series} in {}", metered.text());
                assert!(shown.contains(&format!(r#""connector":"{}""#, vendor.id)), "{shown}");
            }
        }
    }
    assert!(heard.values().all(|count| *count > 100), "spans and events were heard: {heard:?}");
    for series in ["http.client.request.duration{", "acople.client.call.errors{", "error.type=reauth"] {
        assert!(metered.text().contains(series), "{series} in {}", metered.text());
    }
}

/// Panics with the request in its message, which is as bad as it gets.
#[derive(Debug)]
struct Explodes;

#[async_trait]
impl Transport for Explodes {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        panic!("cannot send {request:?}")
    }
}

#[tokio::test(start_paused = true)]
async fn sec_01_a_panic_says_no_secret() {
    let said = Arc::new(Mutex::new(String::new()));
    let shared = said.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        // Other tests of this binary panic on purpose, too.
        if name.contains("sec_01_a_panic") {
            writeln!(shared.lock().unwrap(), "{info}").unwrap();
        } else {
            before(info);
        }
    }));
    let log = Log::capture();
    let (mut panics, mut spans) = (0, 0);
    for vendor in acople::vendors() {
        for variant in variants(&(vendor.config_schema)()) {
            let connector = connect(vendor, &variant, resources(Arc::new(Explodes)));
            let cx = Context::new();
            panics += usize::from(AssertUnwindSafe(connector.check(&cx)).catch_unwind().await.is_err());
            let folder = tempfile::tempdir().unwrap();
            let files = json!({ "directory": folder.path() });
            let lent = Resources::new(Arc::new(ScriptedTransport::new([])));
            let job = Job::builder("leads")
                .source(connector, STREAMS[0])
                .destination(acople::connect("file", files, lent).unwrap(), "leads")
                .mode(ReadMode::Full)
                .write(WriteMode::Insert)
                .store(Arc::new(MemoryStore::new()))
                .build()
                .unwrap();
            // The sync engine catches the panic: its report is what the host prints.
            let report = match job.run(&cx, &()).await {
                Ok(report) => match &report.end {
                    End::Stopped { error } => format!("{report:?} {}", texts(error)),
                    end => format!("{report:?} {end:?}"),
                },
                Err(error) => texts(&error),
            };
            assert_clean(&report, &variant.canaries, vendor.id);
            assert_clean(&said.lock().unwrap(), &variant.canaries, vendor.id);
            let lines = log.take();
            spans += lines.matches("acople.attempt{").count();
            assert_clean(&lines, &variant.canaries, vendor.id);
        }
    }
    assert!(spans > 0, "spans were heard");
    assert!(panics >= 3, "{panics} panics");
    assert!(said.lock().unwrap().contains("cannot send Request"), "the panics were seen");
}

#[test]
fn sec_01_a_config_that_is_refused_does_not_repeat_its_secrets() {
    for vendor in acople::vendors() {
        for variant in variants(&(vendor.config_schema)()) {
            let mut wrong = variant.config.clone();
            wrong["no_such_field"] = json!(variant.canaries.first().map_or("", |canary| &canary.text));
            let mut misplaced = variant.config.clone();
            misplaced["auth"] =
                json!(variant.canaries.iter().map(|canary| canary.text.clone()).collect::<Vec<_>>());
            for config in [wrong, misplaced] {
                let resources = Resources::new(Arc::new(ScriptedTransport::new([])));
                let error = (vendor.connect)(config, resources).unwrap_err();
                assert_clean(&texts(&error), &variant.canaries, vendor.id);
            }
        }
    }
}
