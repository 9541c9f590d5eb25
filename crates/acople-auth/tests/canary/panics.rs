//! Panics in the middle: what is lent to a provider fails while the provider holds its secrets.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use acople_auth::{TokenEvent, TokenEvents, TokenObserver};
use acople_core::{
    Clock, ConnectionKey, Context, Generation, Lease, Monitor, Recorder, Request, Resources, Response,
    Result, Signal, TokenSet, TokenStore, Transport, TransportError, Watched,
};
use acople_http::{Answer, Classifier, Client};
use acople_testkit::ScriptedTransport;
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;
use futures_util::FutureExt;

use crate::capture::Capture;
use crate::echo::{BASE, answer};
use crate::kinds::{Keys, Reader};
use crate::search::{said, texts};

/// What panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The transport at the host's own request, and at the one for a token.
    Own,
    Token,
    Clock,
    Load,
    Save,
    Lease,
    Release,
    Observer,
    Monitor,
    Classifier,
}

/// All parts, and how many providers come to them at least.
const PARTS: [(Part, usize); 10] = [
    (Part::Own, 31),
    (Part::Token, 15),
    (Part::Clock, 20),
    (Part::Load, 13),
    (Part::Save, 13),
    (Part::Lease, 13),
    (Part::Release, 13),
    (Part::Observer, 13),
    (Part::Monitor, 31),
    (Part::Classifier, 31),
];

/// Everything that a host lends, of which one part panics with all that it was given in its message.
#[derive(Clone, Debug)]
struct Lent {
    panics: Part,
    /// Not before the provider is made.
    armed: Arc<AtomicBool>,
    wire: ScriptedTransport,
    tokens: MemoryStore,
}

impl Lent {
    fn new(panics: Part) -> Self {
        let wire = ScriptedTransport::function(|sent, _| answer(0, sent));
        Self { panics, armed: Arc::default(), wire, tokens: MemoryStore::new() }
    }

    fn resources(&self) -> Resources {
        Resources::new(Arc::new(self.clone()))
            .with_clock(Arc::new(self.clone()))
            .with_tokens(Arc::new(self.clone()))
            .with_monitor(Arc::new(self.clone()))
            .with_extension(TokenEvents(Arc::new(self.clone())))
    }

    fn panics(&self, part: Part) -> bool {
        self.panics == part && self.armed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Transport for Lent {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_own = request.url().path() == "/records";
        let part = if is_own { Part::Own } else { Part::Token };
        assert!(!self.panics(part), "cannot send {request:?} {request:#?}");
        self.wire.send(request).await
    }
}

impl Clock for Lent {
    #[allow(clippy::disallowed_methods)] // stands for the machine's
    fn now(&self) -> SystemTime {
        assert!(!self.panics(Part::Clock), "no time");
        SystemTime::now()
    }
}

#[async_trait]
impl TokenStore for Lent {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        let stored = TokenStore::load(&self.tokens, key).await;
        assert!(!self.panics(Part::Load), "cannot load {key:?} {stored:?}");
        stored
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        assert!(!self.panics(Part::Save), "cannot save {key:?} {expected:?} {tokens:?} {tokens:#?}");
        TokenStore::save(&self.tokens, key, expected, tokens).await
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.tokens, key).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        assert!(!self.panics(Part::Lease), "cannot lease {key:?} to {holder}");
        TokenStore::lease(&self.tokens, key, holder, term).await
    }

    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        assert!(!self.panics(Part::Release), "cannot release {key:?} of {holder}");
        TokenStore::release(&self.tokens, key, holder).await
    }
}

impl TokenObserver for Lent {
    fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>) {
        assert!(!self.panics(Part::Observer), "cannot tell {connection:?} {event:?}");
    }
}

impl Monitor for Lent {
    fn watch(&self, _: &Watched) -> Arc<dyn Recorder> {
        Arc::new(self.clone())
    }
}

impl Recorder for Lent {
    fn record(&self, signal: &Signal<'_>) {
        assert!(!self.panics(Part::Monitor), "cannot record {signal:?}");
    }
}

/// Panics with the answer in its message: the vendor's own words are in there.
#[derive(Debug)]
struct Reads(Lent, Reader);

impl Classifier for Reads {
    fn classify(&self, answer: &Answer) -> Result<()> {
        assert!(!self.0.panics(Part::Classifier), "cannot read {answer:?} {answer:#?}");
        self.1.classify(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn sec_01_a_panic_while_a_provider_holds_its_secrets_says_none_of_them() {
    let capture = Capture::begin();
    let keys = Keys::new();
    let canaries = keys.canaries();
    let providers = keys.providers();
    for (part, least) in PARTS {
        let (mut panicked, mut caught, mut turned) = (0, 0, 0);
        for (name, make) in &providers {
            let lent = Lent::new(part);
            let resources = lent.resources();
            let made = make(&resources);
            let client = Client::with_resources(BASE, &resources)
                .unwrap()
                .auth(made.auth.clone())
                .classifier(Reads(lent.clone(), made.classifier.clone()))
                .build();
            lent.armed.store(true, Ordering::Relaxed);
            let cx = Context::new();
            let outcome = AssertUnwindSafe(client.send(&cx, &made.call)).catch_unwind().await;
            let mut text = String::new();
            match outcome {
                Err(payload) => {
                    caught += 1;
                    text.push_str(&said(&*payload));
                }
                // A renewal is a task of its own, whose panic is an error to those who wait for it.
                Ok(Err(error)) => {
                    turned += 1;
                    text.push_str(&texts(&error));
                }
                Ok(Ok(_)) => {}
            }
            // What is held after it is still usable, and says no more.
            write!(text, "{:?} {:#?} {client:?} {resources:?}", made.auth, made.classifier).unwrap();
            lent.armed.store(false, Ordering::Relaxed);
            if let Ok(Err(error)) = AssertUnwindSafe(client.send(&cx, &made.call)).catch_unwind().await {
                text.push_str(&texts(&error));
            }
            let heard = capture.take();
            canaries.assert_none(
                &format!("{name}, {part:?}"),
                &[
                    ("texts", &text),
                    ("hook", &heard.panics),
                    ("spans", &heard.spans),
                    ("events", &heard.events),
                ],
            );
            if heard.panicked > 0 {
                panicked += 1;
                let words = if part == Part::Clock { "no time" } else { "cannot " };
                assert!(heard.panics.contains(words), "{name}, {part:?}: {}", heard.panics);
            }
        }
        assert!(
            panicked >= least,
            "{part:?}: {panicked} providers panicked, {caught} to the caller, {turned} not"
        );
        assert!(caught + turned > 0, "{part:?}: {caught} and {turned}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec_01_a_host_that_unwraps_prints_no_secret() {
    let capture = Capture::begin();
    let keys = Keys::new();
    let canaries = keys.canaries();
    for (name, make) in keys.providers() {
        let transport = ScriptedTransport::function(|sent, _| answer(1, sent));
        let resources = Resources::new(Arc::new(transport)).with_tokens(Arc::new(MemoryStore::new()));
        let made = make(&resources);
        let client = Client::with_resources(BASE, &resources).unwrap().auth(made.auth.clone()).build();
        let unwraps = async {
            client.send(&Context::new(), &made.call).await.unwrap();
        };
        let panic = said(&*AssertUnwindSafe(unwraps).catch_unwind().await.unwrap_err());
        let heard = capture.take();
        assert!(
            panic.contains("Err` value: Error") && heard.panics.contains("Err` value"),
            "{name}: {panic}"
        );
        canaries.assert_none(&name, &[("payload", &panic), ("hook", &heard.panics)]);
    }
}
