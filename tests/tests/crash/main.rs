//! A sync whose process is killed again and again loses nothing and doubles nothing.
//!
//! The vendors live in this process and see every request of the child before it is applied and before it
//! is answered, so that SIGKILL lands exactly where a test wants it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_possible_truncation, unreachable_pub)]

mod kill;
mod leads;
mod world;

use std::collections::BTreeMap;

use acople_testkit::sandbox::Phase;
use acople_tests::job::Point;

use kill::{Kill, Request};
use leads::{load, mapped, verify};
use world::{Fate, PAGE, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_01_a_kill_at_any_named_point_loses_and_doubles_nothing() {
    let mut world = World::new().await;
    load(&world.org, 1, 2_000);
    let to = world.contacts();
    let total = world.org.count("Lead") as u64;
    let mut points = vec![
        Kill::held(Point::BeforeQuarantine, 1),
        Kill::held(Point::AfterQuarantine, 1),
        Kill::held(Point::BeforeCheckpoint, 1),
        Kill::held(Point::AfterCheckpoint, 1),
    ];
    for request in [Request::Read, Request::Write] {
        for phase in [Phase::Received, Phase::Applied, Phase::Answered] {
            points.push(Kill::At(request, phase, 1));
        }
    }
    for nth in 1..=3 {
        for point in &points {
            let kill = match *point {
                Kill::At(request, phase, _) => Kill::At(request, phase, nth),
                Kill::Held(hold) => Kill::held(hold.point, nth),
                Kill::After(..) => unreachable!("not a point"),
            };
            assert_eq!(world.live(&to, Some(kill)).await, Fate::Killed, "{kill:?}");
            let saved = world.saved();
            assert!(
                world.portal.count("contacts") as u64 >= saved.synced,
                "{saved:?} were saved before they were stored, {kill:?}"
            );
        }
    }
    assert_eq!(world.kills, 30);
    assert_eq!(world.live(&to, None).await, Fate::Complete { processed: total });
    verify(&world).await;
    bounded(&world, mapped(&world.org), world.kills);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_01_kills_at_random_moments_of_full_and_incremental_runs_lose_and_double_nothing() {
    let seed = 20_260_102;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new().await;
    load(&world.org, 2, 1_200);
    let to = world.contacts();
    let mut due = mapped(&world.org);
    let mut kills_before = 0;
    let mut last = false;
    loop {
        let kill = (!last).then(|| Kill::random(&mut random));
        let runs = world.runs;
        world.live(&to, kill).await;
        if world.runs == runs {
            continue;
        }
        verify(&world).await;
        bounded(&world, due, world.kills - kills_before);
        if last {
            break;
        }
        last = world.kills >= 280;
        kills_before = world.kills;
        world.portal.reset_stats();
        // A look-back of one second: the last changes come again.
        due = leads::change(&world, &mut random, world.runs) + 150;
    }
    assert!(world.kills >= 280 && world.runs > 3, "{} kills in {} runs", world.kills, world.runs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_01_an_append_target_has_everything_and_at_most_one_batch_twice_per_kill() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut world = World::new().await;
    load(&world.org, 3, 2_000);
    let to = world.files();
    let total = world.org.count("Lead");
    while world.kills < 50 {
        // The destination sends no requests: moments are those of reads and points.
        let nth = random.u32(1..=2);
        let kill = match random.u32(0..4) {
            0 => Kill::held(Point::BeforeCheckpoint, nth),
            1 => Kill::held(Point::AfterCheckpoint, nth),
            2 => Kill::At(Request::Read, Phase::Answered, nth),
            _ => Kill::After(Request::Read, nth, std::time::Duration::from_micros(random.u64(0..8_000))),
        };
        assert_eq!(world.live(&to, Some(kill)).await, Fate::Killed, "too few leads for so many kills");
    }
    let Fate::Complete { processed } = world.live(&to, None).await else {
        panic!("nobody killed it");
    };
    assert_eq!(processed as usize, total);
    let text = std::fs::read_to_string(world.folder.path().join("leads.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let found: acople_testkit::sandbox::Record = serde_json::from_str(line).unwrap();
        let id = leads::text(&found, "Id").unwrap();
        let lead = world.org.record("Lead", &id).unwrap();
        for name in ["LastName", "Email", "SystemModstamp"] {
            assert_eq!(leads::text(&found, name), leads::text(&lead, name), "{id}");
        }
        *lines.entry(id).or_default() += 1;
    }
    assert_eq!(lines.len(), total, "leads are lost");
    let doubled = lines.values().sum::<u64>() - total as u64;
    assert!(doubled <= world.kills * PAGE as u64, "{doubled} lines too many");
    assert!(world.quarantine().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_01_kills_while_what_is_gone_is_deleted_leave_nothing_over_and_nothing_out() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut world = World::new().await;
    world.mirror = true;
    load(&world.org, 4, 600);
    let to = world.contacts();
    for round in 0..6 {
        // To its end after a kill: the listing that was interrupted proves nothing, the next one does.
        for _ in 0..6 {
            world.live(&to, Some(Kill::random(&mut random))).await;
        }
        for _ in 0..2 {
            assert!(matches!(world.live(&to, None).await, Fate::Complete { .. }));
        }
        verify(&world).await;
        leads::change(&world, &mut random, round);
        for lead in world.org.records("Lead").into_iter().step_by(9) {
            world.org.delete("Lead", &leads::text(&lead, "Id").unwrap());
        }
    }
    assert!(world.kills >= 12, "{} kills", world.kills);
}

/// What was written is what had to be written, and at most one batch again for each kill.
fn bounded(world: &World, due: u64, kills: u64) {
    let written = world.portal.stats().records_in();
    let most = due + kills * PAGE as u64;
    assert!(written <= most, "{written} records written, {due} due, {kills} kills");
}
