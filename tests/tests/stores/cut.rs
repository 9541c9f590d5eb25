//! Connections that are cut between the server's commit and its answer.

use std::time::Duration;

use acople::store_postgres::PostgresStore;
use acople_core::{CheckpointStore, Generation, StateKey, TokenStore};
use acople_testkit::faults::{Direction, Toxic, Toxics};

use crate::postgres_server::Postgres;
use crate::{connection, key, tokens};

/// How often the cut is made.
const CUTS: u8 = 12;

/// Nothing gets back to the client, and soon the connection is closed.
const CUT: Toxic = Toxic::Timeout { after: Duration::from_millis(200) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_recognised_and_happens_once_with_postgres() {
    let server = Postgres::shared();
    let proxy = Toxics::start(server.addr()).await.unwrap();
    let schema = server.schema();
    // A connection that is made while nothing gets through hangs, and is given up soon.
    let address = format!("{}?connect_timeout=1", Postgres::url_at(proxy.addr()));
    let store = PostgresStore::builder(address)
        .schema(&schema)
        .master_key(key("k"))
        .statement_timeout(Duration::from_millis(500))
        .max_connections(1)
        .open()
        .await
        .unwrap();
    let client = server.client().await;
    let now_at = async |table: &str| -> i64 {
        let sql = format!("SELECT generation FROM {schema}.{table}");
        client.query_opt(&sql, &[]).await.unwrap().map_or(0, |row| row.get(0))
    };
    let (state, connection) = (StateKey::new("nightly", "contacts"), connection());
    let mut generation = CheckpointStore::save(&store, &state, Generation(0), b"begin").await.unwrap();
    let mut token_generation =
        TokenStore::save(&store, &connection, Generation(0), &tokens("a", "r")).await.unwrap();
    for cut in 0..CUTS {
        // The statement is prepared on this connection, so that the next thing to be lost is its answer.
        generation = CheckpointStore::save(&store, &state, generation, b"prepare").await.unwrap();
        let before = now_at("states").await;
        proxy.add(Direction::ToClient, CUT);
        let text = [cut];
        let save = CheckpointStore::save(&store, &state, generation, &text);
        let watch = async {
            // The commit is there although the answer is not.
            let mut committed = before;
            for _ in 0..1_000 {
                committed = now_at("states").await;
                if committed != before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            proxy.clear();
            committed
        };
        let (saved, committed) = tokio::join!(save, watch);
        generation = saved.unwrap();
        assert_eq!(
            i64::try_from(generation.0).unwrap(),
            committed,
            "cut {cut}: it was written twice, or not"
        );
        assert_ne!(committed, before);
        assert_eq!(CheckpointStore::load(&store, &state).await.unwrap(), Some((vec![cut], generation)));

        token_generation =
            TokenStore::save(&store, &connection, token_generation, &tokens("a", "r")).await.unwrap();
        proxy.add(Direction::ToClient, CUT);
        let set = tokens(&format!("a{cut}"), "r");
        let save = TokenStore::save(&store, &connection, token_generation, &set);
        let clear = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            proxy.clear();
        };
        let (saved, ()) = tokio::join!(save, clear);
        token_generation = saved.unwrap();
        let (loaded, at) = TokenStore::load(&store, &connection).await.unwrap().unwrap();
        assert_eq!((loaded.access.expose(), at), (format!("a{cut}").as_str(), token_generation));
    }
    assert!(proxy.connections() > usize::from(CUTS), "the connections were cut");
}
