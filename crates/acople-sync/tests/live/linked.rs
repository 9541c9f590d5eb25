//! Destinations that do not upsert by a key of ours: their records are found by the identity map.

use std::sync::Arc;

use acople_core::{
    CancelToken, Context, Error, ErrorKind, IdentityMap, Pairing, QuarantineStore, ReadMode, Side, WriteMode,
};
use acople_sync::DeleteLimit;
use acople_testkit::memory::MemoryStore;
use futures_util::future::poll_immediate;

use crate::world::{System, job, mirror, run};

/// Inserts, updates and deletes by ids that it makes itself.
fn own() -> System {
    System::new("own", &[WriteMode::Insert, WriteMode::Update, WriteMode::Delete]).with_own_ids()
}

fn values(system: &System) -> Vec<String> {
    let mut values: Vec<String> =
        system.data().records.values().map(|fields| fields["value"].clone()).collect();
    values.sort();
    values
}

fn fill(system: &System, ids: std::ops::Range<u32>) {
    for id in ids {
        system.data().set(&format!("{id:03}"), &format!("v{id:03}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_inserted_once_and_then_updated_and_deleted_by_its_counterparts_id() {
    let (from, to, store) = (System::keyed("a"), own(), Arc::new(MemoryStore::new()));
    fill(&from, 0..8);
    let job = job(&from, &to, &store).build().unwrap();
    let first = run(&job).await;
    assert_eq!((first.totals.synced, first.totals.created), (8, 8), "{first:?}");
    from.data().set("001", "changed");
    from.data().remove("002");
    from.data().set("new", "v-new");
    let second = run(&job).await;
    assert!(second.is_success(), "{second:?}");
    assert_eq!((second.totals.created, second.totals.deleted), (1, 1));
    assert_eq!(values(&to), values(&from));
    let pairing = Pairing::new("copy", Side::new("a", "things"), Side::new("own", "things"));
    let links = store.scan(&pairing, None, 99).await.unwrap();
    assert_eq!(links.len(), 8);
    let found = store.by_target(&pairing, &[links[0].target.clone()]).await.unwrap();
    assert_eq!(found[0].as_ref(), Some(&links[0]));
}

#[tokio::test(start_paused = true)]
async fn two_versions_of_a_new_record_in_one_batch_are_one_record() {
    let versions: Vec<(String, String)> =
        [("1", "a"), ("2", "x"), ("1", "b"), ("1", "c"), ("3", "y"), ("2", "z")]
            .map(|(id, value)| (id.to_owned(), value.to_owned()))
            .to_vec();
    let (to, store) = (own(), Arc::new(MemoryStore::new()));
    let job = acople_sync::Job::builder("copy")
        .source(crate::world::fixed(&versions), "things")
        .destination(Arc::new(to.clone()), "things")
        .store(store.clone())
        .links(store.clone())
        .mode(ReadMode::Full)
        .build()
        .unwrap();
    assert!(run(&job).await.is_success());
    assert_eq!(values(&to), ["c", "y", "z"]);
    assert!(run(&job).await.is_success(), "and all of them are updates from now on");
    assert_eq!(values(&to), ["c", "y", "z"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_of_what_never_came_here_is_left_out() {
    let (from, to, store) = (System::keyed("a"), own(), Arc::new(MemoryStore::new()));
    fill(&from, 0..3);
    from.data().remove("001");
    let report = run(&job(&from, &to, &store).build().unwrap()).await;
    assert!(report.is_success());
    assert_eq!((report.totals.synced, report.totals.skipped), (2, 1));
    assert_eq!(store.count(None).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_deleted_by_its_counterparts_id() {
    let (from, to, store) = (System::keyed("a"), own(), Arc::new(MemoryStore::new()));
    fill(&from, 0..10);
    let job = mirror(&from, &to, &store).build().unwrap();
    run(&job).await;
    to.data().set("own-99", "theirs");
    from.data().remove("003");
    from.data().remove("007");
    let report = run(&job).await;
    assert_eq!(report.totals.deleted, 2, "{report:?}");
    to.data().remove("own-99");
    assert_eq!(values(&to), values(&from));
}

#[tokio::test(start_paused = true)]
async fn a_destination_without_a_single_key_is_named() {
    let to =
        System::new("own", &[WriteMode::Insert, WriteMode::Update]).with_stream(|s| s.key(["id", "part"]));
    let job = job(&System::keyed("a"), &to, &Arc::new(MemoryStore::new())).build().unwrap();
    let error = job.run(&Context::new(), &()).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["write".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn state_01_nothing_is_lost_and_a_death_doubles_at_most_what_it_was_inserting() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (from, to, store) = (System::keyed("a"), own(), Arc::new(MemoryStore::new()));
        fill(&from, 0..20);
        let limit = DeleteLimit::NONE;
        let job = job(&from, &to, &store).delete_vanished(limit).attempts(20).build().unwrap();
        let mut trouble = random.fork();
        to.before_write(move |_| match trouble.u32(0..8) {
            0 => Err(Error::new(ErrorKind::Transient, "not now")),
            _ => Ok(()),
        });
        let deaths = random.usize(0..4);
        for _ in 0..deaths {
            let cancel = CancelToken::new();
            let cx = Context::new().with_cancel(cancel.clone());
            let mut work = Box::pin(job.run(&cx, &()));
            for _ in 0..random.usize(1..60) {
                if poll_immediate(&mut work).await.is_some() {
                    break;
                }
                tokio::time::advance(std::time::Duration::from_secs(1)).await;
            }
            drop(work);
            for _ in 0..random.usize(0..4) {
                let id = format!("{:03}", random.u32(0..24));
                if random.bool() {
                    from.data().remove(&id);
                } else {
                    let value = format!("v{id}-{}", random.u32(0..9));
                    from.data().set(&id, &value);
                }
            }
        }
        for _ in 0..2 {
            assert!(run(&job).await.is_success(), "seed {seed}");
        }
        let (mut shown, wanted) = (values(&to), values(&from));
        for value in &wanted {
            let at = shown.iter().position(|shown| shown == value);
            shown.remove(at.unwrap_or_else(|| panic!("seed {seed}: {value} is lost")));
        }
        // A batch is three records.
        assert!(shown.len() <= deaths * 3, "seed {seed}: {} of {deaths} deaths too many", shown.len());
    }
}
