//! Workers that share a token store: processes in production, cells here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::OAuth2;
use acople_core::{
    AuthProvider, AuthStamp, Body, ConnectionKey, Context, Error, ErrorKind, Generation, Lease, Progress,
    Request, Resources, Response, Result, Secret, TokenSet, TokenStore, Transport, TransportError, WireFault,
};
use acople_testkit::FakeClock;
use acople_testkit::memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::vendor::{Vendor, authorization, client, read, refreshing};

#[tokio::test(start_paused = true)]
async fn auth_02_eight_workers_with_sixty_four_tasks_each_cause_one_refresh() {
    let vendor = Vendor::new();
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    let workers: Vec<OAuth2> = (0..8).map(|_| refreshing(&resources, "rt-0").build()).collect();
    for round in 1..=3 {
        let mut calls = JoinSet::new();
        for worker in &workers {
            let client = client(&vendor, worker);
            for id in 0..64 {
                let client = client.clone();
                calls.spawn(async move { read(&client, id).await });
            }
        }
        while let Some(result) = calls.join_next().await {
            result.unwrap().unwrap();
        }
        assert_eq!(vendor.token_calls().len(), round);
        // In the next round the vendor refuses what all of them have.
        vendor.change(|rules| rules.access = "another".into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn auth_02_one_refresh_for_all_workers_holds_on_several_threads() {
    let vendor = Vendor::new().with(|rules| rules.delay = Duration::from_millis(5));
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    let workers: Vec<OAuth2> = (0..8).map(|_| refreshing(&resources, "rt-0").build()).collect();
    for round in 1..=5 {
        let mut calls = JoinSet::new();
        for worker in &workers {
            let client = client(&vendor, worker);
            for id in 0..64 {
                let client = client.clone();
                calls.spawn(async move { read(&client, id).await });
            }
        }
        assert!(calls.join_all().await.iter().all(Result::is_ok));
        assert_eq!(vendor.token_calls().len(), round);
        vendor.change(|rules| rules.access = "another".into());
    }
}

#[tokio::test(start_paused = true)]
async fn dist_09_the_lease_of_a_worker_that_died_ends_and_the_next_one_goes_on_from_the_store() {
    let vendor = Vendor::new();
    let store = Arc::new(MemoryStore::new());
    let resources = vendor.resources().with_tokens(store.clone());
    let key = resources.connection_key("example");
    let dead = store.lease(&key, "died in the middle", Duration::from_secs(30)).await.unwrap();
    assert_eq!(dead, Lease::Granted);
    let auth = refreshing(&resources, "rt-0").build();
    let begun = Instant::now();
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
    assert!((29..=32).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(vendor.token_calls().len(), 1);
    // And where the dead one had stored its tokens, nothing is asked.
    let other = refreshing(&resources, "rt-0").build();
    store.lease(&key, "died after the write", Duration::from_secs(30)).await.unwrap();
    assert_eq!(authorization(&other).await.unwrap(), "Bearer at-1");
    assert_eq!(vendor.token_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_prolonged_while_a_slow_vendor_answers() {
    let vendor = Vendor::new().with(|rules| rules.delay = Duration::from_secs(29));
    vendor.change(|rules| rules.instead = vec![acople_testkit::Reply::hang()]);
    let resources = vendor.resources().with_tokens(Arc::new(MemoryStore::new()));
    let (ours, theirs) = (refreshing(&resources, "rt-0").build(), refreshing(&resources, "rt-0").build());
    // 30 s for the answer that never comes, and 29 for the next: longer than a term.
    let (a, b) = tokio::join!(authorization(&ours), authorization(&theirs));
    assert_eq!((a.unwrap(), b.unwrap()), ("Bearer at-1".to_owned(), "Bearer at-1".to_owned()));
    assert_eq!(vendor.token_calls().len(), 2, "both of them by the one that has the lease");
}

/// A store that is away: nobody gets a lease.
#[derive(Debug, Default)]
struct Away {
    inner: MemoryStore,
    away: AtomicBool,
}

#[async_trait]
impl TokenStore for Away {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        TokenStore::load(&self.inner, key).await
    }
    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        TokenStore::save(&self.inner, key, expected, tokens).await
    }
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.inner, key).await
    }
    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Transient, "no connection to the database"));
        }
        self.inner.lease(key, holder, term).await
    }
    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.inner.release(key, holder).await
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_no_refresh_token_is_spent() {
    let vendor = Vendor::new();
    let store = Arc::new(Away::default());
    store.away.store(true, Ordering::Relaxed);
    let resources = vendor.resources().with_tokens(store.clone());
    let auth = refreshing(&resources, "rt-0").build();
    let error = authorization(&auth).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Transient, Some("take turns with other workers"))
    );
    assert!(vendor.token_calls().is_empty());
    store.away.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(authorization(&auth).await.unwrap(), "Bearer at-1");
}

/// A vendor that knows every refresh token it has given out.
#[derive(Default)]
struct Ledger {
    /// Refresh tokens that are good, and until when those that were replaced already.
    good: BTreeMap<String, Option<Instant>>,
    /// Access tokens that are good.
    access: BTreeSet<String>,
    issued: u64,
    /// How long a replaced refresh token is taken once more.
    grace: Duration,
    /// Of a hundred answers, so many are lost on their way.
    lost_of_hundred: u8,
    /// The longest wait before a request is looked at, and before its answer comes, in milliseconds.
    delays: u64,
    refused: u64,
}

struct RotatingVendor(Mutex<Ledger>);

impl fmt::Debug for RotatingVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotatingVendor")
    }
}

impl RotatingVendor {
    fn redeem(&self, form: &[u8]) -> (u16, String) {
        let mut ledger = self.0.lock().unwrap();
        let now = Instant::now();
        let token = url::form_urlencoded::parse(form)
            .find_map(|(name, value)| (name == "refresh_token").then(|| value.into_owned()))
            .unwrap();
        let taken = ledger.good.get(&token).is_some_and(|until| until.is_none_or(|until| now < until));
        if !taken {
            ledger.refused += 1;
            return (400, r#"{"error":"invalid_grant"}"#.into());
        }
        let grace = ledger.grace;
        ledger.good.entry(token).and_modify(|until| {
            until.get_or_insert(now + grace);
        });
        ledger.issued += 1;
        let (access, refresh) = (format!("at-{}", ledger.issued), format!("rt-{}", ledger.issued));
        let body = format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600}}"#);
        ledger.access.insert(access);
        ledger.good.insert(refresh, None);
        (200, body)
    }

    fn is_good(&self, refresh: &str) -> bool {
        let ledger = self.0.lock().unwrap();
        ledger.good.get(refresh).is_some_and(|until| until.is_none_or(|until| Instant::now() < until))
    }

    /// Forgets what is over, so that ten thousand rounds need no more memory than one.
    fn tidy(&self) {
        let mut ledger = self.0.lock().unwrap();
        let now = Instant::now();
        ledger.good.retain(|_, until| until.is_none_or(|until| now < until));
        ledger.access.clear();
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(fastrand::u64(..=self.0.lock().unwrap().delays))
    }
}

#[async_trait]
impl Transport for RotatingVendor {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        sleep(self.pause()).await;
        let (status, body) = self.redeem(request.body());
        sleep(self.pause()).await;
        if fastrand::u8(..100) < self.0.lock().unwrap().lost_of_hundred {
            return Err(TransportError::new(Progress::MaybeSent, WireFault::Reset, "lost on its way"));
        }
        let pieces = futures_util::stream::iter([Ok(bytes::Bytes::from(body))]);
        Ok(Response::new(status.try_into().unwrap(), http::HeaderMap::new(), Body::stream(pieces)))
    }
}

/// Forces `rounds` races of three workers whose leases are worth nothing, and checks after each that the stored
/// refresh token is one that the vendor takes, and that all three workers have a token of the vendor's.
async fn race(rounds: u32, ledger: Ledger) -> u64 {
    let vendor = Arc::new(RotatingVendor(Mutex::new(ledger)));
    vendor.0.lock().unwrap().good.insert("rt-0".into(), None);
    let store = Arc::new(MemoryStore::new());
    store.overrun_leases();
    let resources =
        Resources::new(vendor.clone()).with_tokens(store.clone()).with_clock(Arc::new(FakeClock::new()));
    let key = resources.connection_key("example");
    let workers: Vec<OAuth2> = (0..3).map(|_| refreshing(&resources, "rt-0").build()).collect();
    let cx = Context::new();
    let stamp = async |worker: &OAuth2| -> Result<(AuthStamp, String)> {
        let mut request = Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
        let stamp = worker.authorize(&cx, &mut request).await?;
        Ok((stamp, request.headers()["authorization"].to_str().unwrap().to_owned()))
    };
    for round in 0..rounds {
        // What all of them have is refused: each renews, and the leases let all of them.
        vendor.tidy();
        let mut stamps = Vec::new();
        for worker in &workers {
            stamps.push(stamp(worker).await.map(|(stamp, _)| stamp));
        }
        let renew = async |number: usize| match stamps[number] {
            Ok(stamp) => workers[number].refresh(&cx, stamp).await.map(|_| ()),
            Err(_) => stamp(&workers[number]).await.map(|_| ()),
        };
        let _ = tokio::join!(renew(0), renew(1), renew(2));
        // Whoever lost comes back from the store, after a look at most.
        let mut good = false;
        for _ in 0..8 {
            let (tokens, _) =
                TokenStore::load(&*store, &key).await.unwrap().expect("the first pair is stored");
            good = vendor.is_good(tokens.refresh.as_ref().map(Secret::expose).unwrap());
            let mut all = true;
            for worker in &workers {
                all &= stamp(worker).await.is_ok();
            }
            if good && all {
                break;
            }
            good = false;
            sleep(Duration::from_secs(61)).await;
        }
        assert!(good, "round {round}: the pair is lost");
    }
    let refused = vendor.0.lock().unwrap().refused;
    drop(workers);
    refused
}

#[tokio::test(start_paused = true)]
async fn auth_09_five_thousand_races_with_pauses_and_lost_answers_lose_no_pair_where_the_vendor_has_a_grace()
{
    // Pauses of up to 40 s are longer than a lease. A lost answer is asked for once more within the grace.
    let ledger =
        Ledger { grace: Duration::from_secs(300), lost_of_hundred: 10, delays: 20_000, ..Ledger::default() };
    race(5_000, ledger).await;
}

#[tokio::test(start_paused = true)]
async fn auth_09_five_thousand_races_lose_no_pair_where_a_refresh_token_is_good_once() {
    // No answer takes longer than the 30 s after which it would be given up, and the pair in it lost.
    let ledger = Ledger { delays: 14_000, ..Ledger::default() };
    let refused = race(5_000, ledger).await;
    assert!(refused > 1_000, "the workers did race: {refused} were refused");
}

#[tokio::test(start_paused = true)]
async fn auth_09_the_later_write_with_the_older_generation_is_refused_and_the_loser_reloads() {
    let vendor =
        Arc::new(RotatingVendor(Mutex::new(Ledger { grace: Duration::from_secs(300), ..Ledger::default() })));
    vendor.0.lock().unwrap().good.insert("rt-0".into(), None);
    let paused =
        Arc::new(PausedSaves { inner: MemoryStore::new(), pause: Mutex::new(Duration::from_secs(25)) });
    let resources = Resources::new(vendor.clone()).with_tokens(paused.clone());
    let (slow, fast) = (refreshing(&resources, "rt-0").build(), refreshing(&resources, "rt-0").build());
    // The slow one stands still with its pair in hand, while its lease is another's.
    paused.inner.overrun_leases();
    let slow = tokio::spawn(async move { authorization(&slow).await.unwrap() });
    sleep(Duration::from_secs(1)).await;
    *paused.pause.lock().unwrap() = Duration::ZERO;
    assert_eq!(authorization(&fast).await.unwrap(), "Bearer at-2");
    assert_eq!(slow.await.unwrap(), "Bearer at-2", "not its own at-1, which nobody could renew");
    let (tokens, generation) =
        TokenStore::load(&paused.inner, &resources.connection_key("example")).await.unwrap().unwrap();
    assert_eq!((tokens.refresh.unwrap().expose(), generation), ("rt-2", Generation(1)));
}

/// A store whose writers stand still before they write.
#[derive(Debug)]
struct PausedSaves {
    inner: MemoryStore,
    pause: Mutex<Duration>,
}

#[async_trait]
impl TokenStore for PausedSaves {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        TokenStore::load(&self.inner, key).await
    }
    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let pause = *self.pause.lock().unwrap();
        sleep(pause).await;
        TokenStore::save(&self.inner, key, expected, tokens).await
    }
    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        TokenStore::remove(&self.inner, key).await
    }
    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.inner.lease(key, holder, term).await
    }
    async fn release(&self, key: &ConnectionKey, holder: &str) -> Result<()> {
        self.inner.release(key, holder).await
    }
}
