//! A worker that is stopped in the middle of its renewal, for longer than its lease, while another takes over.
//!
//! Each worker has a thread and a runtime of its own. A stopped one stands in its transport and blocks that thread:
//! no task and no timer of it runs, and its monotonic clock stands still, as when a machine sleeps.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use acople_core::{
    Body, Clock, ConnectionKey, Error, ErrorKind, Generation, Lease, Progress, Request, Resources, Response,
    Result, TokenSet, TokenStore, Transport, TransportError, WireFault,
};
use acople_testkit::FakeClock;
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;

use crate::vendor::{authorization, refreshing};

/// How long the worker is stopped.
const SLEEP: Duration = Duration::from_secs(2 * 3600);

/// The longest that anything here waits in real time.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn host_05_a_worker_that_slept_two_hours_in_its_renewal_is_refused_its_write_and_takes_the_others_tokens() {
    let scene = Scene::new();
    // The vendor has answered both: it takes a refresh token that it has just replaced once more.
    let first = scene.worker("first", Reply::Tokens("1"));
    first.stands();
    scene.clock.advance(SLEEP);
    let second = scene.worker("second", Reply::Tokens("2"));
    second.stands();
    second.goes_on();
    assert_eq!(second.ends(), ["Bearer at-2", "Bearer at-2"]);
    first.goes_on();
    assert_eq!(first.ends(), ["Bearer at-2", "Bearer at-2"], "not its own, which are not in the store");
    assert_eq!(
        scene.log(),
        [
            "first: lease",
            "first: token call",
            "second: lease",
            "second: token call",
            "second: saved 1",
            "second: released",
            "first: refused",
        ]
    );
    scene.stores("rt-2");
}

#[test]
fn host_05_a_worker_that_finds_its_lease_lost_and_its_answer_with_it_makes_no_further_token_call() {
    let scene = Scene::new();
    let first = scene.worker("first", Reply::Lost);
    first.stands();
    scene.clock.advance(SLEEP);
    let second = scene.worker("second", Reply::Tokens("2"));
    second.stands();
    second.goes_on();
    assert_eq!(second.ends(), ["Bearer at-2", "Bearer at-2"]);
    first.goes_on();
    assert_eq!(first.ends(), ["Bearer at-2", "Bearer at-2"]);
    assert_eq!(
        scene.log(),
        [
            "first: lease",
            "first: token call",
            "second: lease",
            "second: token call",
            "second: saved 1",
            "second: released",
            "first: lease",
            "first: released",
        ]
    );
    scene.stores("rt-2");
}

#[test]
fn host_05_a_worker_whose_lease_is_anothers_waits_for_that_renewal_instead_of_repeating_its_own() {
    let scene = Scene::new();
    let first = scene.worker("first", Reply::Lost);
    first.stands();
    scene.clock.advance(SLEEP);
    let second = scene.worker("second", Reply::Tokens("2"));
    second.stands();
    // The second one is still at it when the first one wakes up, and ends while that one waits.
    *scene.shop.when_busy.lock().unwrap() = Some(Box::new(move || {
        second.goes_on();
        assert_eq!(second.ends(), ["Bearer at-2", "Bearer at-2"]);
    }));
    first.goes_on();
    assert_eq!(first.ends(), ["Bearer at-2", "Bearer at-2"]);
    assert_eq!(
        scene.log(),
        [
            "first: lease",
            "first: token call",
            "second: lease",
            "second: token call",
            "first: busy",
            "second: saved 1",
            "second: released",
        ]
    );
    scene.stores("rt-2");
}

/// What the vendor's answer to a worker's token call is when that worker goes on.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// Tokens with this number.
    Tokens(&'static str),
    /// The connection broke while the worker was stopped.
    Lost,
}

/// The store that the workers share, and what has happened.
struct Scene {
    clock: FakeClock,
    shop: Arc<Shop>,
}

impl Scene {
    fn new() -> Self {
        let clock = FakeClock::new();
        let shop = Shop { clock: clock.clone(), ..Shop::default() };
        Self { clock, shop: Arc::new(shop) }
    }

    /// Starts a worker that needs a token twice, and stops it in its first token call.
    fn worker(&self, name: &'static str, reply: Reply) -> Worker {
        let (stands, standing) = channel();
        let (go, gone) = channel();
        let store = Arc::new(Counter { name, shop: self.shop.clone() });
        let line = Line { name, reply, shop: self.shop.clone(), stop: Mutex::new(Some((stands, gone))) };
        let resources =
            Resources::new(Arc::new(line)).with_tokens(store).with_clock(Arc::new(self.clock.clone()));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(async {
                let auth = refreshing(&resources, "rt-0").build();
                [authorization(&auth).await.unwrap(), authorization(&auth).await.unwrap()]
            })
        });
        Worker { standing, go, thread }
    }

    fn log(&self) -> Vec<String> {
        self.shop.log.lock().unwrap().clone()
    }

    /// The store has the tokens with this refresh token, of the first generation.
    fn stores(&self, refresh: &str) {
        let key = Resources::new(Arc::new(acople_testkit::ScriptedTransport::function(|_, _| {
            acople_testkit::Reply::hang()
        })))
        .connection_key("example");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let stored = runtime.block_on(TokenStore::load(&self.shop.inner, &key));
        let (tokens, generation) = stored.unwrap().unwrap();
        assert_eq!((tokens.refresh.unwrap().expose(), generation), (refresh, Generation(1)));
    }
}

struct Worker {
    standing: Receiver<()>,
    go: Sender<()>,
    thread: JoinHandle<[String; 2]>,
}

impl Worker {
    /// Waits until it stands in its token call.
    fn stands(&self) {
        self.standing.recv_timeout(PATIENCE).expect("it makes a token call");
    }

    fn goes_on(&self) {
        self.go.send(()).unwrap();
    }

    fn ends(self) -> [String; 2] {
        self.thread.join().unwrap()
    }
}

/// One worker's connection to the vendor.
#[derive(Debug)]
struct Line {
    name: &'static str,
    reply: Reply,
    shop: Arc<Shop>,
    /// Where its first call says that it stands, and is told to go on.
    stop: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        self.shop.note(self.name, "token call");
        if let Some((stands, gone)) = self.stop.lock().unwrap().take() {
            stands.send(()).unwrap();
            // Blocks the thread: this is the stop.
            gone.recv_timeout(PATIENCE).expect("it is told to go on");
        }
        match self.reply {
            Reply::Tokens(number) => {
                let text = format!(
                    r#"{{"access_token":"at-{number}","refresh_token":"rt-{number}","expires_in":3600}}"#
                );
                Ok(Response::new(http::StatusCode::OK, http::HeaderMap::new(), Body::full(text)))
            }
            Reply::Lost => {
                Err(TransportError::new(Progress::MaybeSent, WireFault::Reset, "broken while it was stopped"))
            }
        }
    }
}

/// What the workers share. The terms of leases are measured by this clock, not by the workers'.
#[derive(Default)]
struct Shop {
    inner: MemoryStore,
    clock: FakeClock,
    lease: Mutex<Option<(String, SystemTime)>>,
    log: Mutex<Vec<String>>,
    /// Runs when a worker is told for the first time that the lease is another's.
    when_busy: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shop")
    }
}

impl Shop {
    fn note(&self, who: &str, what: &str) {
        self.log.lock().unwrap().push(format!("{who}: {what}"));
    }
}

/// Where one worker speaks to the store.
#[derive(Debug)]
struct Counter {
    name: &'static str,
    shop: Arc<Shop>,
}

#[async_trait]
impl TokenStore for Counter {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        TokenStore::load(&self.shop.inner, key).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let saved = TokenStore::save(&self.shop.inner, key, expected, tokens).await;
        match &saved {
            Ok(Generation(number)) => self.shop.note(self.name, &format!("saved {number}")),
            Err(error) if error.kind() == ErrorKind::Fenced => self.shop.note(self.name, "refused"),
            Err(_) => return Err(Error::new(ErrorKind::Internal, "the store is broken")),
        }
        saved
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.shop.inner, key).await
    }

    async fn lease(&self, _: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        let now = self.shop.clock.now();
        let left = {
            let mut lease = self.shop.lease.lock().unwrap();
            let theirs = lease.as_ref().filter(|(theirs, ends)| theirs != holder && now < *ends);
            let left = theirs.map(|(_, ends)| ends.duration_since(now).unwrap());
            if left.is_none() {
                *lease = Some((holder.to_owned(), now + term));
            }
            left
        };
        let Some(left) = left else {
            self.shop.note(self.name, "lease");
            return Ok(Lease::Granted);
        };
        let when_busy = self.shop.when_busy.lock().unwrap().take();
        if let Some(when_busy) = when_busy {
            self.shop.note(self.name, "busy");
            when_busy();
        }
        Ok(Lease::Busy(left))
    }

    async fn release(&self, _: &ConnectionKey, holder: &str) -> Result<()> {
        let mut lease = self.shop.lease.lock().unwrap();
        if lease.as_ref().is_some_and(|(theirs, _)| theirs == holder) {
            *lease = None;
            drop(lease);
            self.shop.note(self.name, "released");
        }
        Ok(())
    }
}
