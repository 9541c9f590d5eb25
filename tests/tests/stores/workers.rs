//! Processes that share the tokens of a connection.

use std::collections::BTreeSet;
use std::time::Duration;

use acople_tests::job::{Said, StoreAt, TokenWork, Tokens};

use crate::postgres_server::Postgres;
use crate::redis_server::Redis;
use crate::vendor::{Ledger, Worker, serve};

const WORKERS: usize = 8;
const TASKS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_02_eight_processes_of_sixty_four_tasks_cause_one_token_call_with_postgres() {
    let server = Postgres::shared();
    let store = StoreAt::Postgres { address: server.url(), schema: server.schema() };
    one_token_call(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_02_eight_processes_of_sixty_four_tasks_cause_one_token_call_with_redis() {
    let server = Redis::shared();
    one_token_call(StoreAt::Redis { address: server.url(), prefix: server.prefix() }).await;
}

/// All of them need tokens at once: when there are none, and twice when the vendor refuses those they have.
async fn one_token_call(store: StoreAt) {
    let ledger = Ledger::new("rt-0", Duration::ZERO);
    let vendor = serve(&ledger, Duration::from_millis(50)).await;
    let work = TokenWork::Ask { tasks: TASKS };
    let url = vendor.url();
    let tokens = Tokens { store, vendor: url, refresh: "rt-0".into(), work };
    // The vendor answers on this runtime, so the workers are waited for elsewhere.
    tokio::task::spawn_blocking(move || {
        let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(tokens.clone())).collect();
        for worker in &mut workers {
            assert!(matches!(worker.said(), Some(Said::Ready)));
        }
        for round in 1..=3 {
            workers.iter_mut().for_each(Worker::go);
            let mut all = BTreeSet::new();
            for worker in &mut workers {
                match worker.said() {
                    Some(Said::Tokens { access }) => all.extend(access),
                    other => panic!("round {round}: {other:?}"),
                }
            }
            assert_eq!(all.into_iter().collect::<Vec<_>>(), [format!("at-{round}")]);
            assert_eq!(ledger.lock().unwrap().calls, round, "token calls");
        }
    })
    .await
    .unwrap();
}
