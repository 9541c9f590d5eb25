//! Processes that are killed in the middle of renewals, and go on from a store that several share.

use std::time::Duration;

use acople_core::{ConnectionKey, Secret, TokenStore};
use acople_tests::job::{Said, StoreAt, TokenWork, Tokens};

use crate::postgres::builder;
use crate::postgres_server::Postgres;
use crate::redis::builder as redis_builder;
use crate::redis_server::Redis;
use crate::vendor::{Ledger, Worker, serve};

/// Kills of one chain of processes, and chains at each store. With 50 kills there are 500 of both stores together,
/// which takes some minutes.
const KILLS: u32 = 12;
const CHAINS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_07_kills_in_the_middle_of_renewals_lose_no_pair_with_postgres() {
    let server = Postgres::shared();
    let chains = (0..CHAINS).map(|_| async {
        let schema = server.schema();
        let store = builder(&server, &schema).open().await.unwrap();
        let client = server.client().await;
        let at = StoreAt::Postgres { address: server.url(), schema: schema.clone() };
        let end_leases = async || {
            client.batch_execute(&format!("DELETE FROM {schema}.leases")).await.unwrap();
        };
        chain(&store, at, end_leases).await
    });
    in_the_middle(&futures_util::future::join_all(chains).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_07_kills_in_the_middle_of_renewals_lose_no_pair_with_redis() {
    let server = Redis::shared();
    let chains = (0..CHAINS).map(|_| async {
        let prefix = server.prefix();
        let store = redis_builder(&server, &prefix).open().await.unwrap();
        let at = StoreAt::Redis { address: server.url(), prefix: prefix.clone() };
        let end_leases = async || server.forget(&format!("{{{prefix}}}:lease:*")).await;
        chain(&store, at, end_leases).await
    });
    in_the_middle(&futures_util::future::join_all(chains).await);
}

/// Some kills fell between the vendor's answer and the word that the pair is stored.
fn in_the_middle(unheard: &[u64]) {
    let unheard: u64 = unheard.iter().sum();
    println!("{unheard} renewals of which nobody told");
    assert!(unheard > 0, "no kill came in the middle of a renewal");
}

/// Starts a process that renews, kills it at some moment, and starts the next, which goes on from the store: the
/// pair in the store is one that the vendor takes, every time. Gives the
/// number of renewals that were cut short.
async fn chain(store: &dyn TokenStore, at: StoreAt, end_leases: impl AsyncFn()) -> u64 {
    let ledger = Ledger::new("rt-0", Duration::from_secs(3600));
    let vendor = serve(&ledger, Duration::ZERO).await;
    let key = ConnectionKey::new("example", "default");
    let tokens = Tokens { store: at, vendor: vendor.url(), refresh: "rt-0".into(), work: TokenWork::Renew };
    let mut renewals = 0;
    for kill in 0..KILLS {
        let work = tokens.clone();
        // Half of them early in the first renewal, half in a later one.
        let pause = Duration::from_micros(fastrand::u64(..40_000));
        let wait_for_one = kill % 2 == 0;
        renewals += tokio::task::spawn_blocking(move || {
            let mut worker = Worker::start(work);
            assert!(matches!(worker.said(), Some(Said::Ready)), "after kill {kill}");
            let mut renewed = 0;
            if wait_for_one {
                assert!(matches!(worker.said(), Some(Said::Renewed)), "after kill {kill}");
                renewed += 1;
            }
            std::thread::sleep(pause);
            worker.kill();
            while let Some(said) = worker.said() {
                assert!(matches!(said, Said::Renewed), "after kill {kill}: {said:?}");
                renewed += 1;
            }
            renewed
        })
        .await
        .unwrap();
        // Thirty seconds of a dead worker's lease are not waited for here.
        end_leases().await;
        if let Some((stored, _)) = store.load(&key).await.unwrap() {
            let refresh = stored.refresh.as_ref().map(Secret::expose).unwrap();
            assert!(ledger.lock().unwrap().is_good(refresh), "kill {kill}: the pair is lost");
        }
    }
    let ledger = ledger.lock().unwrap();
    assert_eq!(ledger.refused, 0, "the vendor refused a refresh token");
    ledger.calls - renewals
}
