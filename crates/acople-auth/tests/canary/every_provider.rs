//! Every provider against every answer: what the host gets, hears and counts.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use acople_auth::{ClientStyle, config::AuthServer};
use acople_core::{CancelToken, Context, ErrorKind, Resources};
use acople_http::Client;
use acople_testkit::{Reply, ScriptedTransport};
use futures_util::FutureExt;

use crate::capture::{Capture, Heard};
use crate::echo::{ANSWERS, BASE, TOKEN_URL, answer};
use crate::kinds::{Keys, Made, store};
use crate::search::texts;
use crate::watched::Host;

/// An answer to the host's own request, and to those before it: tokens, sessions, CSRF.
fn transport(scenario: usize, tokens_too: bool) -> ScriptedTransport {
    ScriptedTransport::function(move |sent, _| {
        let is_own = sent.request.url().path() == "/records";
        answer(if is_own || tokens_too { scenario } else { 0 }, sent)
    })
}

fn client(made: &Made, resources: &Resources) -> Client {
    Client::with_resources(BASE, resources)
        .unwrap()
        .connector("example")
        .auth(made.auth.clone())
        .classifier(made.classifier.clone())
        .build()
}

/// What the process was told, by its parts.
fn parts(heard: &Heard) -> [(&'static str, &str); 3] {
    [("spans", &heard.spans), ("events", &heard.events), ("panics", &heard.panics)]
}

#[tokio::test(start_paused = true)]
async fn sec_01_and_sec_03_no_provider_shows_a_secret_in_errors_spans_events_signals_or_metrics() {
    let capture = Capture::begin();
    let (keys, host) = (Keys::new(), Host::new());
    let canaries = keys.canaries();
    let providers = keys.providers();
    assert_eq!(providers.len(), 31);
    let (mut calls, mut attempts, mut recorded, mut events) = (0, 0, 0, 0);
    for (name, make) in &providers {
        let mut kinds = BTreeSet::new();
        for scenario in 0..ANSWERS {
            for tokens_too in [false, true] {
                let transport = transport(scenario, tokens_too);
                let resources =
                    host.watching(Resources::new(Arc::new(transport.clone())).with_tokens(store()));
                let made = make(&resources);
                let client = client(&made, &resources);
                let mut said = format!("{client:?} {resources:?} {:?}", made.auth);
                let outcome = client.send(&Context::new(), &made.call).await;
                if let Err(error) = outcome {
                    kinds.insert(error.kind().as_str());
                    said.push_str(&texts(&error));
                }
                for sent in transport.sent() {
                    write!(said, "{:?} {:#?}", sent.request, sent.request).unwrap();
                }
                // What a provider says when it goes.
                drop((client, made));
                let (heard, signals) = (capture.take(), host.take_signals());
                let what = format!("{name}, answer {scenario}, {tokens_too}");
                let all = [parts(&heard).as_slice(), &[("texts", &said), ("signals", &signals)]].concat();
                canaries.assert_none(&what, &all);
                let spans = |name| heard.span_names.get(name).copied().unwrap_or_default();
                assert!(spans("acople.call") >= 1, "{what}: {heard:?}");
                assert_eq!(heard.panicked, 0, "{what}");
                assert!(signals.contains("Watched {"), "{what}: {signals}");
                calls += spans("acople.call");
                attempts += spans("acople.attempt");
                recorded += heard.recorded;
                events += heard.event_targets.values().sum::<usize>();
            }
        }
        // The host's own reader of errors gives each kind in turn, where the provider lets the request go.
        let all: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(kinds, all, "{name}");
        let metrics = [("metrics", &*host.metered.text()), ("snapshot", &*host.snapshot())];
        canaries.assert_none(name, &metrics);
    }
    assert!(calls > 2_000 && attempts > 2_000 && recorded > calls, "{calls}, {attempts}, {recorded}");
    assert!(events > 100, "{events} events");
    for kind in ErrorKind::ALL {
        let labels = ["acople.client.call.errors", "acople.connector = example", kind.as_str()];
        assert!(host.metered.told(&labels) > 0, "{kind:?} in {}", host.metered.text());
    }
    for (metric, connector) in [("http.client.request.duration", "example"), ("acople.client.sent", "oauth2")]
    {
        let labels = [metric, &format!("acople.connector = {connector}")];
        assert!(host.metered.told(&labels) > 100, "{metric} in {}", host.metered.text());
    }
    for shown in [r#""connector":"example""#, r#""tenant":"acme""#, r#""write""#] {
        assert!(host.snapshot().contains(shown), "{shown} in {}", host.snapshot());
    }
}

#[tokio::test(start_paused = true)]
async fn sec_01_a_caller_that_gives_up_leaves_no_secret_behind() {
    let capture = Capture::begin();
    let (keys, host) = (Keys::new(), Host::new());
    let canaries = keys.canaries();
    for (name, make) in keys.providers() {
        for hangs_at in ["/records", "/oauth/token"] {
            let transport = ScriptedTransport::function(move |sent, _| {
                if sent.request.url().path() == hangs_at { Reply::hang() } else { answer(0, sent) }
            });
            let resources = host.watching(Resources::new(Arc::new(transport)).with_tokens(store()));
            let made = make(&resources);
            let client = client(&made, &resources);
            let cancel = CancelToken::new();
            let cx = Context::new().with_cancel(cancel.clone());
            let (outcome, ()) = tokio::join!(client.send(&cx, &made.call), async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                cancel.cancel();
            });
            let said = outcome.as_ref().err().map(texts).unwrap_or_default();
            if hangs_at == "/records" {
                let kind = outcome.unwrap_err().kind();
                // A write that was on the wire may have been done.
                assert!(matches!(kind, ErrorKind::Cancelled | ErrorKind::Ambiguous), "{name}: {kind:?}");
            }
            // Dropped in the middle, too.
            let dropped = client.send(&Context::new(), &made.call).now_or_never().is_none();
            assert!(dropped || hangs_at != "/records", "{name}");
            let (heard, signals) = (capture.take(), host.take_signals());
            let all = [parts(&heard).as_slice(), &[("texts", &*said), ("signals", &*signals)]].concat();
            canaries.assert_none(&name, &all);
            assert!(heard.span_names["acople.call"] >= 2, "{name}: {heard:?}");
        }
    }
}

#[test]
fn sec_01_what_a_config_is_made_of_is_shown_without_its_secrets() {
    let keys = Keys::new();
    let canaries = keys.canaries();
    let resources = Resources::new(Arc::new(ScriptedTransport::new([]))).with_tokens(store());
    let style = ClientStyle::Basic;
    let server = AuthServer { connector: "example", token_url: TOKEN_URL, style, resources: &resources };
    for (name, make) in keys.providers() {
        let made = make(&resources);
        assert!(made.shown.len() > 100, "{name}: {}", made.shown);
        let shown = format!("{} {:?} {:#?} {server:?}", made.shown, made.auth, made.classifier);
        canaries.assert_none(&name, &[("shown", &shown)]);
    }
}
