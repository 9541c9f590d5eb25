//! Renewals that race although there are leases, at a vendor that rotates and whose answers get lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople::auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople_core::{
    AuthProvider, AuthStamp, Body, ConnectionKey, Context, Generation, Lease, Progress, Request, Resources,
    Response, Result, Secret, TokenSet, TokenStore, Transport, TransportError, WireFault,
};
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::postgres::builder;
use crate::postgres_server::Postgres;
use crate::redis_server::Redis;
use crate::vendor::Ledger;

/// Connections whose workers race side by side, and the races of each: 5,000 at each store.
const CONNECTIONS: usize = 100;
const RACES: usize = 50;

/// Workers of a connection.
const WORKERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_09_five_thousand_races_with_rotation_and_lost_answers_lose_no_pair_with_postgres() {
    let server = Postgres::shared();
    let schema = server.schema();
    let mut stores: Vec<Arc<dyn TokenStore>> = Vec::new();
    for _ in 0..WORKERS {
        stores.push(Arc::new(builder(&server, &schema).open().await.unwrap()));
    }
    race_all(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_09_five_thousand_races_with_rotation_and_lost_answers_lose_no_pair_with_redis() {
    let server = Redis::shared();
    let prefix = server.prefix();
    let mut stores: Vec<Arc<dyn TokenStore>> = Vec::new();
    for _ in 0..WORKERS {
        stores.push(Arc::new(crate::redis::builder(&server, &prefix).open().await.unwrap()));
    }
    race_all(&stores).await;
}

async fn race_all(stores: &[Arc<dyn TokenStore>]) {
    let races = join_all((0..CONNECTIONS).map(|number| race(stores, number))).await;
    let (fenced, lost) = races.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{fenced} late writes were refused, {lost} answers were lost");
    assert!(fenced > 1_000 && lost > 200, "{fenced} late writes were refused, {lost} answers were lost");
}

/// Races of the workers of one connection, whose leases are worth nothing: as if each of them had paused for longer
/// than its term. After each the stored refresh token is one that the vendor takes, and all workers have a token.
async fn race(stores: &[Arc<dyn TokenStore>], number: usize) -> (u32, u32) {
    let ledger = Ledger::new("rt-0", Duration::from_secs(3600));
    let name = format!("connection {number}");
    let key = ConnectionKey::new("example", &name);
    let (fenced, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let workers: Vec<OAuth2> = stores
        .iter()
        .map(|store| {
            let store = Overrun { inner: store.clone(), fenced: fenced.clone() };
            let vendor =
                Vendor { ledger: ledger.clone(), lost_last: AtomicBool::new(false), lost: lost.clone() };
            let resources =
                Resources::new(Arc::new(vendor)).with_tokens(Arc::new(store)).with_connection(&name);
            let client =
                OAuthClient { id: "app".into(), secret: Some("s3cret".into()), style: ClientStyle::Body };
            let grant = Grant::RefreshToken { refresh_token: "rt-0".into() };
            OAuth2::builder("example", "https://login.example.com/token", client, grant, &resources)
                .unwrap()
                .build()
        })
        .collect();
    let cx = Context::new();
    let stamp = async |worker: &OAuth2| -> Result<AuthStamp> {
        let mut request = Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
        worker.authorize(&cx, &mut request).await
    };
    for race in 0..RACES {
        let mut stamps = Vec::new();
        for worker in &workers {
            stamps.push(stamp(worker).await.unwrap());
        }
        // What all of them have is refused: each renews, and the leases let all of them.
        let renewals = workers.iter().zip(stamps).map(|(worker, stamp)| worker.refresh(&cx, stamp));
        for renewed in join_all(renewals).await {
            renewed.unwrap_or_else(|e| panic!("{name}, race {race}: {e:?}"));
        }
        let (stored, _) = stores[race % WORKERS].load(&key).await.unwrap().expect("a pair is stored");
        let refresh = stored.refresh.as_ref().map(Secret::expose).unwrap();
        assert!(ledger.lock().unwrap().is_good(refresh), "{name}, race {race}: the pair is lost");
    }
    (fenced.load(Ordering::Relaxed), lost.load(Ordering::Relaxed))
}

/// A store whose leases are always granted.
#[derive(Debug)]
struct Overrun {
    inner: Arc<dyn TokenStore>,
    fenced: Arc<AtomicU32>,
}

#[async_trait]
impl TokenStore for Overrun {
    async fn load(&self, key: &ConnectionKey) -> Result<Option<(TokenSet, Generation)>> {
        self.inner.load(key).await
    }

    async fn save(&self, key: &ConnectionKey, expected: Generation, tokens: &TokenSet) -> Result<Generation> {
        let saved = self.inner.save(key, expected, tokens).await;
        if saved.as_ref().is_err_and(|e| e.kind() == acople_core::ErrorKind::Fenced) {
            self.fenced.fetch_add(1, Ordering::Relaxed);
        }
        saved
    }

    async fn remove(&self, key: &ConnectionKey) -> Result<()> {
        self.inner.remove(key).await
    }

    async fn lease(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Result<Lease> {
        self.inner.lease(key, holder, term).await?;
        Ok(Lease::Granted)
    }
}

/// The way to the vendor of one worker: of ten answers one is lost, but no two in a row.
struct Vendor {
    ledger: Arc<Mutex<Ledger>>,
    lost_last: AtomicBool,
    lost: Arc<AtomicU32>,
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vendor")
    }
}

#[async_trait]
impl Transport for Vendor {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (status, body) = self.ledger.lock().unwrap().redeem(request.body());
        sleep(Duration::from_millis(fastrand::u64(..4))).await;
        let lose = !self.lost_last.load(Ordering::Relaxed) && fastrand::u8(..10) == 0;
        self.lost_last.store(lose, Ordering::Relaxed);
        if lose {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(TransportError::new(Progress::MaybeSent, WireFault::Reset, "lost on its way"));
        }
        let pieces = futures_util::stream::iter([Ok(body.into())]);
        Ok(Response::new(status.try_into().unwrap(), http::HeaderMap::new(), Body::stream(pieces)))
    }
}
