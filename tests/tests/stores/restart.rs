//! Servers that crash in the middle of saves and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use acople_core::{CheckpointStore, Generation, StateKey, TokenStore};
use tokio::task::JoinSet;

use crate::postgres::builder;
use crate::postgres_server::Postgres;
use crate::redis_server::Redis;
use crate::{connection, tokens};

/// Writers that save without a pause, crashes, and the saves between two of them.
const WRITERS: u64 = 8;
const CRASHES: u64 = 4;
const BETWEEN: u64 = 40;

/// How long that many saves may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dist_04_a_server_that_crashes_in_mid_save_loses_nothing_and_nobody_has_to_restart_with_postgres() {
    let server = Arc::new(Postgres::start(&[]));
    let store = builder(&server, "acople").patience(Duration::from_secs(60)).open().await.unwrap();
    let crashing = server.clone();
    let crash = move || {
        crashing.crash();
        std::thread::sleep(Duration::from_millis(300));
        crashing.go_on();
    };
    crash_in_mid_save(Arc::new(store), crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dist_04_a_server_that_is_killed_in_mid_save_loses_nothing_and_nobody_has_to_restart_with_redis() {
    let server = Arc::new(Redis::start(&[]));
    let store =
        crate::redis::builder(&server, "acople").patience(Duration::from_secs(60)).open().await.unwrap();
    let crashing = server.clone();
    let crash = move || {
        crashing.crash();
        std::thread::sleep(Duration::from_millis(300));
        crashing.go_on();
    };
    crash_in_mid_save(Arc::new(store), crash).await;
}

/// Writers that count up through crashes, each on a state of its own: no save fails, and what was acknowledged is
/// there.
async fn crash_in_mid_save<S: CheckpointStore + TokenStore>(
    store: Arc<S>,
    crash: impl Fn() + Send + 'static,
) {
    let (stop, saves) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, stop, saves) = (store.clone(), stop.clone(), saves.clone());
        writers.spawn(async move {
            let key = StateKey::new("crashed", format!("{writer}"));
            let (mut count, mut generation) = (0_u64, Generation(0));
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                let state = count.to_be_bytes();
                generation = CheckpointStore::save(&*store, &key, generation, &state).await.unwrap();
                saves.fetch_add(1, Ordering::Relaxed);
            }
            let loaded = CheckpointStore::load(&*store, &key).await.unwrap();
            assert_eq!(loaded, Some((count.to_be_bytes().to_vec(), generation)), "writer {writer}");
        });
    }
    let (tokens_store, stop_tokens) = (store.clone(), stop.clone());
    let renewals = tokio::spawn(async move {
        let (mut count, mut generation) = (0_u64, Generation(0));
        while !stop_tokens.load(Ordering::Relaxed) {
            count += 1;
            let set = tokens(&format!("a{count}"), "r");
            generation = TokenStore::save(&*tokens_store, &connection(), generation, &set).await.unwrap();
        }
        let (set, at) = TokenStore::load(&*tokens_store, &connection()).await.unwrap().unwrap();
        assert_eq!((set.access.expose(), at), (format!("a{count}").as_str(), generation));
    });
    let seen = saves.clone();
    tokio::task::spawn_blocking(move || {
        for round in 1..=CRASHES + 1 {
            let begun = Instant::now();
            while seen.load(Ordering::Relaxed) < round * BETWEEN {
                assert!(begun.elapsed() < PATIENCE, "the writers do not come back after crash {}", round - 1);
                std::thread::sleep(Duration::from_millis(1));
            }
            if round <= CRASHES {
                crash();
            }
        }
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    renewals.await.unwrap();
}
