//! The token cell against a reference: whatever races, no two renewals at once and no pair of tokens lost.
//!
//! Each round is one seed: two cells (two workers) share a store that may fail, conflict and be slow, and a vendor that
//! rotates refresh tokens, accepts each of them once, and may fail or be slow. Tasks authorize, have stamps refused,
//! old ones included, give up at random moments and wait at random.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople_core::{
    AuthProvider, AuthStamp, ConnectionKey, Context, Error, ErrorKind, Generation, Progress, Request,
    Resources, Result, Secret, TokenSet, TokenStore, WireFault,
};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};
use async_trait::async_trait;
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Rounds and tasks in each: together more than 10,000 forced races.
const ROUNDS: u64 = 420;
const TASKS: u64 = 25;

/// The reference: which pair is the live one, and what must never happen.
#[derive(Debug, Default)]
struct Reference {
    /// The refresh token that the vendor takes next.
    live: u32,
    /// When the token call that is under way ends, by worker.
    busy_until: BTreeMap<usize, Instant>,
    /// Pairs that the vendor gave out.
    given: u32,
    token_calls: u32,
    overlaps: u32,
}

/// A vendor that rotates: each refresh token is good once.
fn vendor(reference: &Arc<Mutex<Reference>>, worker: usize, seed: u64, faults: bool) -> ScriptedTransport {
    let (reference, rng) = (reference.clone(), Mutex::new(Rng::with_seed(seed)));
    ScriptedTransport::function(move |sent: &Sent, _| {
        let mut rng = rng.lock().unwrap();
        let mut reference = reference.lock().unwrap();
        let delay = Duration::from_millis(rng.u64(0..400));
        let now = Instant::now();
        reference.token_calls += 1;
        if reference.busy_until.get(&worker).is_some_and(|until| now < *until) {
            reference.overlaps += 1;
        }
        reference.busy_until.insert(worker, now + delay);
        if faults && rng.u32(0..8) == 0 {
            // The vendor has not touched the tokens.
            return [
                Reply::json(500, "{}"),
                Reply::json(429, "{}"),
                Reply::fail(Progress::NotSent, WireFault::Connect),
            ][rng.usize(0..3)]
            .clone()
            .after(delay);
        }
        let body = sent.body();
        if !body.contains(&format!("refresh_token=rt-{}&", reference.live)) {
            return Reply::json(400, r#"{"error":"invalid_grant"}"#).after(delay);
        }
        reference.live += 1;
        reference.given += 1;
        let pair = reference.live;
        let answer =
            format!(r#"{{"access_token":"at-{pair}","refresh_token":"rt-{pair}","expires_in":3600}}"#);
        Reply::json(200, answer).after(delay)
    })
}

/// A store in which saves and loads take a while, fail at random, and which remembers every pair that was in it.
#[derive(Clone, Debug)]
struct Store {
    inner: MemoryStore,
    rng: Arc<Mutex<Rng>>,
    fails: bool,
}

impl Store {
    async fn pause(&self) -> Result<()> {
        let (wait, fails) = {
            let mut rng = self.rng.lock().unwrap();
            (rng.u64(0..50), self.fails && rng.u32(0..6) == 0)
        };
        sleep(Duration::from_millis(wait)).await;
        if fails { Err(Error::new(ErrorKind::Transient, "the store is away")) } else { Ok(()) }
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        self.pause().await?;
        TokenStore::load(&self.inner, key).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        self.pause().await?;
        TokenStore::save(&self.inner, key, expected, tokens).await
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.inner, key).await
    }
}

fn provider(transport: ScriptedTransport, store: Store, clock: &FakeClock) -> OAuth2 {
    let resources =
        Resources::new(Arc::new(transport)).with_clock(Arc::new(clock.clone())).with_tokens(Arc::new(store));
    let app =
        OAuthClient { id: "app".into(), secret: Some(Secret::from("app-s3cret")), style: ClientStyle::Body };
    let grant = Grant::RefreshToken { refresh_token: "rt-0".into() };
    OAuth2::builder("example", "https://login.example.com/oauth/token", app, grant, &resources)
        .unwrap()
        .build()
}

/// What a task does: credentials, refusals of what it got and of what others got, and sometimes it gives up.
async fn task(auth: OAuth2, seed: u64, races: Arc<Mutex<u64>>) {
    let mut rng = Rng::with_seed(seed);
    let cx = Context::new();
    let mut stamps = vec![AuthStamp(0), AuthStamp(1)];
    for _ in 0..4 {
        sleep(Duration::from_millis(rng.u64(0..700))).await;
        let patience = Duration::from_millis(if rng.u32(0..4) == 0 { rng.u64(0..300) } else { 600_000 });
        let refuse = rng.u32(0..3) > 0;
        let stamp = stamps[rng.usize(0..stamps.len())];
        *races.lock().unwrap() += 1;
        let work = async {
            if refuse {
                auth.refresh(&cx, stamp).await.map(|_| None)
            } else {
                let mut request = Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
                auth.authorize(&cx, &mut request).await.map(Some)
            }
        };
        // A task that gives up drops its future at whatever await it stands.
        if let Ok(Ok(Some(stamp))) = timeout(patience, work).await {
            stamps.push(stamp);
        }
    }
}

/// The pair in the store, as its number.
async fn stored(store: &Store) -> Option<u32> {
    let key = ConnectionKey::new("example", "default");
    let (tokens, _) = TokenStore::load(&store.inner, &key).await.unwrap()?;
    tokens.refresh?.expose().strip_prefix("rt-")?.parse().ok()
}

async fn round(seed: u64, workers: usize, faults: bool) -> (u64, Reference) {
    let reference = Arc::new(Mutex::new(Reference::default()));
    let races = Arc::new(Mutex::new(0));
    let clock = FakeClock::new();
    let store = Store {
        inner: MemoryStore::new(),
        rng: Arc::new(Mutex::new(Rng::with_seed(seed ^ 0x5eed))),
        fails: faults,
    };
    let cells: Vec<OAuth2> = (0..workers)
        .map(|worker| {
            let transport = vendor(&reference, worker, seed * 31 + worker as u64, faults);
            provider(transport, store.clone(), &clock)
        })
        .collect();
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let auth = cells[usize::try_from(number).unwrap() % workers].clone();
        tasks.spawn(task(auth, seed * 1_000 + number, races.clone()));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    // Renewals that were begun by a task that gave up go on; what could not be stored is stored again.
    for _ in 0..200 {
        let flushed = cells.iter().map(OAuth2::flush);
        let mut all = true;
        for flush in flushed {
            all &= flush.await.is_ok();
        }
        if all {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let last = stored(&store).await;
    drop(cells);
    let races = *races.lock().unwrap();
    let mut reference = reference.lock().unwrap();
    let live = reference.live;
    assert_eq!(
        last.unwrap_or(0),
        live,
        "seed {seed}: the store holds pair {last:?}, the vendor takes {live} next"
    );
    (races, std::mem::take(&mut *reference))
}

#[tokio::test(start_paused = true)]
async fn auth_09_ten_thousand_races_never_refresh_twice_at_once_and_lose_no_pair() {
    let (mut races, mut calls) = (0, 0);
    for seed in 0..ROUNDS {
        // One worker without and with faults of vendor and store.
        let (more, reference) = round(seed, 1, seed % 2 == 1).await;
        assert_eq!(reference.overlaps, 0, "seed {seed}: two token calls at once");
        assert_eq!(reference.given, reference.live, "seed {seed}");
        races += more;
        calls += reference.token_calls;
    }
    assert!(races >= 10_000, "{races} races");
    assert!(calls > 1_000 && u64::from(calls) < races, "{calls} token calls for {races} races");
}

#[tokio::test(start_paused = true)]
async fn auth_09_workers_that_share_a_store_lose_no_pair_either() {
    for seed in 0..ROUNDS / 4 {
        let (_, reference) = round(seed, 3, false).await;
        assert_eq!(reference.overlaps, 0, "seed {seed}: a worker asked twice at once");
        assert_eq!(reference.given, reference.live, "seed {seed}");
    }
}
