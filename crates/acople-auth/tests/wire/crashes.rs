use std::path::Path;
use std::time::Duration;

use acople_core::{ConnectionKey, Secret, TokenStore};

use crate::child::{FORKS, POINTS, Point, lines, open, start};
use crate::vendor::{Ledger, honest, serve};

/// A vendor that takes a replaced refresh token once more, for longer than these tests run.
const GRACE: Duration = Duration::from_secs(3600);

/// Chains of processes that are killed one after another, and the kills of each, at each kind of vendor.
const CHAINS: usize = 5;
const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_07_after_a_kill_at_any_point_there_is_one_token_call_and_no_silent_loop() {
    for grace in [Duration::ZERO, GRACE] {
        for point in POINTS {
            for _ in 0..3 {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("store");
                let ledger = Ledger::new("rt-0", grace);
                let server = serve(honest(&ledger)).await;
                let mut killed = start(&format!("{point:?}"), &path, &server.url(), "rt-0").await;
                assert_eq!(lines(&mut killed).next().as_deref(), Some("halted"), "{point:?}");
                killed.kill().unwrap();
                killed.wait().unwrap();

                let before = ledger.lock().unwrap().calls;
                assert_eq!(before, u64::from(point != Point::BeforeSend));
                let stored = stored(&path).await;
                let mut next = start("go on", &path, &server.url(), "rt-0").await;
                let said: Vec<String> = lines(&mut next).collect();
                assert!(next.wait().unwrap().success());
                assert_eq!(said.len(), 5, "{point:?}: {said:?}");
                assert!(said.iter().all(|line| *line == said[0]), "{point:?}: {said:?}");

                let calls = ledger.lock().unwrap().calls - before;
                let is_stored = stored.is_some();
                let works = said[0].starts_with("token ");
                match point {
                    Point::BeforeSend => assert!(!is_stored && works && calls == 1, "{said:?} {calls}"),
                    Point::AfterWrite => assert!(is_stored && works && calls == 0, "{said:?} {calls}"),
                    // Stored or not, and nothing between.
                    Point::AfterAnswer | Point::DuringWrite if is_stored => {
                        assert_eq!(point, Point::DuringWrite);
                        assert!(works && calls == 0, "{said:?} {calls}");
                    }
                    // The pair died with the process: the old token is tried once.
                    Point::AfterAnswer | Point::DuringWrite => {
                        assert_eq!(calls, 1, "{said:?}");
                        assert_eq!(works, grace == GRACE, "{said:?}");
                        assert!(works || said[0] == "error Reauth", "{said:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn auth_07_kills_in_the_middle_of_renewals_lose_no_pair_where_the_vendor_has_a_grace() {
    let (renewals, losses) = kill_again_and_again(GRACE);
    assert_eq!(losses, 0);
    assert!(renewals > CHAINS * KILLS, "the kills came in the middle of work: {renewals} renewals");
}

#[test]
fn auth_07_kills_cost_a_pair_only_between_the_vendors_answer_and_the_write() {
    // A refresh token is good once here: no client can save a pair that was in the memory of a dead process.
    let (renewals, losses) = kill_again_and_again(Duration::ZERO);
    // The write to the disk is the longest part of such a renewal, so most kills fall into it.
    assert!(losses > 0 && losses < CHAINS * KILLS, "kills fell before, into and after the write: {losses}");
    assert!(renewals > CHAINS * KILLS / 2, "the kills came in the middle of work: {renewals} renewals");
}

/// Renewals that the processes of all chains have told of, and how many pairs were lost.
fn kill_again_and_again(grace: Duration) -> (usize, usize) {
    // A runtime for each chain: it waits for its processes on the thread, and its vendor answers beside it.
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap().block_on(chain(grace))
    };
    let chains: Vec<_> = (0..CHAINS).map(|_| std::thread::spawn(run)).collect();
    let ends = chains.into_iter().map(|chain| chain.join().expect("a chain broke"));
    ends.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Starts a process that renews, kills it, and starts the next, which goes on from the store.
///
/// A pair is lost when the vendor has renewed and the store does not have the result: then, and only then, the
/// next process must come to Reauth, by one token call.
async fn chain(grace: Duration) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let ledger = Ledger::new("rt-0", grace);
    let server = serve(honest(&ledger)).await;
    let (mut refresh, mut renewals, mut losses) = ("rt-0".to_owned(), 0, 0);
    let (mut is_lost, mut kill) = (false, 0);
    while kill < KILLS {
        let refused = ledger.lock().unwrap().refused;
        let mut child = start("renew for ever", &path, &server.url(), &refresh).await;
        let mut said = lines(&mut child);
        let first = said.next();
        if is_lost {
            assert_eq!(first.as_deref(), Some("reauth"), "after kill {kill}");
            child.wait().unwrap();
            assert_eq!(ledger.lock().unwrap().refused, refused + 1);
            losses += 1;
            // The customer connects the account again.
            refresh = format!("rt-again-{kill}");
            ledger.lock().unwrap().connect(&refresh);
            is_lost = false;
            continue;
        }
        assert_eq!(first.as_deref(), Some("renewed"), "after kill {kill}");
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        kill += 1;
        renewals += 1 + said.inspect(|line| assert_eq!(line, "renewed")).count();
        // The answer to a request that was on its way goes to nobody.
        let stored = stored(&path).await.expect("what was told is stored");
        is_lost = !ledger.lock().unwrap().is_good(&stored);
    }
    (renewals, losses)
}

/// The refresh token in the store of a dead process.
async fn stored(path: &Path) -> Option<String> {
    let _no_forks = FORKS.read().await;
    let store = open(path).await;
    let key = ConnectionKey::new("example", "default");
    let tokens = TokenStore::load(&store, &key).await.unwrap();
    store.close().await.unwrap();
    tokens.map(|(tokens, _)| tokens.refresh.as_ref().map(Secret::expose).unwrap().to_owned())
}
