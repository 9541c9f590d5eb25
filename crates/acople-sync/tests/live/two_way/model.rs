//! Random histories, held against an oracle that knows the rule and nothing of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind};
use acople_sync::{Policy, Side};
use futures_util::future::poll_immediate;

use super::{FIELDS, World, create, record, run};
use crate::world::Fields;

/// What a rule says of a field that both sides changed.
fn winner(policy: &Policy, field: Option<&str>, a_at: u64, b_at: u64) -> Side {
    match policy {
        Policy::SourceWins | Policy::Custom(_) => Side::A,
        Policy::TargetWins => Side::B,
        Policy::NewestWins { .. } => {
            if a_at > b_at {
                Side::A
            } else {
                Side::B
            }
        }
        Policy::PerField { .. } => {
            if field == Some("x") {
                Side::A
            } else {
                Side::B
            }
        }
        _ => panic!("no such policy here"),
    }
}

/// What a pair must be after a run, told from what it was and what each side is now. `None`: gone on both.
fn expected(
    base: &Fields,
    a: Option<(&Fields, u64)>,
    b: Option<(&Fields, u64)>,
    gone_at: [u64; 2],
    policy: &Policy,
) -> (Option<Fields>, u64) {
    let (a, b) = match (a, b) {
        (None, None) => return (None, 0),
        (None, Some((b, b_at))) => {
            if b == base {
                return (None, 0);
            }
            let stays = winner(policy, None, gone_at[0], b_at) == Side::B;
            return (stays.then(|| b.clone()), 1);
        }
        (Some((a, a_at)), None) => {
            if a == base {
                return (None, 0);
            }
            let stays = winner(policy, None, a_at, gone_at[1]) == Side::A;
            return (stays.then(|| a.clone()), 1);
        }
        (Some(a), Some(b)) => (a, b),
    };
    let mut merged = Fields::new();
    let mut conflicts = 0;
    for field in FIELDS {
        let (was, of_a, of_b) = (base.get(field), a.0.get(field), b.0.get(field));
        let value = if of_a == was {
            of_b
        } else if of_b == was || of_a == of_b {
            of_a
        } else {
            conflicts += 1;
            if winner(policy, Some(field), a.1, b.1) == Side::A { of_a } else { of_b }
        };
        if let Some(value) = value {
            merged.insert(field.to_owned(), value.clone());
        }
    }
    (Some(merged), conflicts)
}

/// Random edits of both sides; gives how many.
fn edit(world: &World, random: &mut fastrand::Rng, clock: &mut u64, names: &mut u32) -> u64 {
    let mut edits = 0;
    for _ in 0..random.usize(0..5) {
        *clock += 1_000;
        let side = if random.bool() { Side::A } else { Side::B };
        let system = world.system(side);
        system.data().clock = *clock;
        let ids: Vec<String> = system.data().records.keys().cloned().collect();
        let value = random.u32(0..4).to_string();
        let field = if random.bool() { "x" } else { "y" };
        match random.u32(0..10) {
            0 | 1 => {
                *names += 1;
                let id = format!("{side:?}-{names}").to_lowercase();
                create(system, &id, &record(&format!("{names}"), &value, "0"));
            }
            2 if !ids.is_empty() => system.data().remove(&ids[random.usize(..ids.len())]),
            3 if !ids.is_empty() => {
                let id = &ids[random.usize(..ids.len())];
                system.data().clear(id, field);
            }
            _ if !ids.is_empty() => system.data().edit(&ids[random.usize(..ids.len())], field, &value),
            _ => continue,
        }
        edits += 1;
    }
    edits
}

fn policies() -> [Policy; 5] {
    let fields = BTreeMap::from([("x".to_owned(), Policy::SourceWins)]);
    [
        Policy::SourceWins,
        Policy::TargetWins,
        Policy::NewestWins { skew: Duration::ZERO },
        Policy::PerField { fields, otherwise: Box::new(Policy::TargetWins) },
        Policy::Custom(Arc::new(|_| Some(Side::A))),
    ]
}

/// One history: rounds of edits, each followed by a run, held against the rule.
async fn history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let policy = policies()[random.usize(..5)].clone();
    let world = World::new();
    let sync = world.sync(policy.clone()).build().unwrap();
    let (mut clock, mut names) = (0, 0);
    for round in 0..random.usize(1..5) {
        let links = world.links().await;
        let before: Vec<Fields> =
            links.iter().map(|link| world.a.data().records[&link.source].clone()).collect();
        let edits = edit(&world, &mut random, &mut clock, &mut names);
        let here = format!("seed {seed}, round {round}, {policy:?}");
        let mut wanted: Vec<Fields> = Vec::new();
        let mut conflicts = 0;
        {
            let (a, b) = (world.a.data(), world.b.data());
            for (link, base) in links.iter().zip(&before) {
                let at = |data: &crate::world::Data, id: &str| data.modified.get(id).map_or(0, |(at, _)| *at);
                let of_a = a.records.get(&link.source).map(|fields| (fields, at(&a, &link.source)));
                let of_b = b.records.get(&link.target).map(|fields| (fields, at(&b, &link.target)));
                let gone_at = [at(&a, &link.source), at(&b, &link.target)];
                let (merged, decided) = expected(base, of_a, of_b, gone_at, &policy);
                wanted.extend(merged);
                conflicts += decided;
            }
            let linked = |id: &String, source: bool| {
                links.iter().any(|l| *id == if source { l.source.clone() } else { l.target.clone() })
            };
            wanted.extend(a.records.iter().filter(|(id, _)| !linked(id, true)).map(|(_, f)| f.clone()));
            wanted.extend(b.records.iter().filter(|(id, _)| !linked(id, false)).map(|(_, f)| f.clone()));
        }
        wanted.sort();
        let report = run(&sync).await;
        assert!(report.is_success(), "{here}: {report:?}");
        assert_eq!(world.both()[0], wanted, "{here}: side A");
        assert_eq!(world.both()[1], wanted, "{here}: side B");
        assert_eq!((report.decided, report.queued), (conflicts, 0), "{here}");
        assert!(report.writes() <= edits, "{here}: {} writes for {edits} edits", report.writes());
        // And our own writes come back without an effect.
        let quiet = run(&sync).await;
        assert_eq!((quiet.writes(), quiet.decided), (0, 0), "{here}: it goes in circles");
    }
}

/// 10,000 histories, in parts that run beside each other.
mod write_09_both_sides_are_alike_after_every_run_as_the_rule_says_and_nothing_goes_in_circles {
    use super::history;

    async fn histories(part: u64) {
        for seed in part * 2_500..(part + 1) * 2_500 {
            history(seed).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_quarter() {
        histories(0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn second_quarter() {
        histories(1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn third_quarter() {
        histories(2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn last_quarter() {
        histories(3).await;
    }
}

/// A history whose edits fall between any two pages, and whose processes die and fail.
async fn hard_life(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new();
    let sync = world.sync(Policy::SourceWins).match_by("n").build().unwrap();
    let (mut clock, mut names) = (0, 0);
    for system in [&world.a, &world.b] {
        let mut within = random.fork();
        system.before_page(move |data| {
            let ids: Vec<String> = data.records.keys().cloned().collect();
            if within.u32(0..4) == 0 && !ids.is_empty() {
                let field = if within.bool() { "x" } else { "y" };
                data.edit(&ids[within.usize(..ids.len())], field, &within.u32(0..4).to_string());
            }
            Ok(())
        });
        let mut trouble = random.fork();
        system.before_write(move |_| match trouble.u32(0..6) {
            0 => Err(Error::new(ErrorKind::Transient, "not now")),
            _ => Ok(()),
        });
    }
    for _ in 0..random.usize(1..6) {
        edit(&world, &mut random, &mut clock, &mut names);
        if random.u32(0..3) == 0 {
            world.store.fail_next_saves(random.usize(0..3));
        }
        if random.u32(0..3) == 0 {
            world.store.lose_next_answers(random.usize(0..3));
        }
        let cx = Context::new();
        let mut work = Box::pin(sync.run(&cx, &()));
        for _ in 0..random.usize(0..80) {
            if poll_immediate(&mut work).await.is_some() {
                break;
            }
        }
        // Dropped where it stands: the process is dead.
    }
    world.store.fail_next_saves(0);
    world.store.lose_next_answers(0);
    for system in [&world.a, &world.b] {
        system.before_page(|_| Ok(()));
        system.before_write(|_| Ok(()));
    }
    let mut runs = 0;
    loop {
        let report = run(&sync).await;
        assert!(report.is_success(), "seed {seed}: {report:?}");
        runs += 1;
        if report.writes() == 0 {
            break;
        }
        assert!(runs < 5, "seed {seed}: it goes in circles");
    }
    let [a, b] = world.both();
    assert_eq!(a, b, "seed {seed}");
    let mut shown: Vec<&String> = a.iter().map(|fields| &fields["n"]).collect();
    shown.dedup();
    assert_eq!(shown.len(), a.len(), "seed {seed}: a record is there twice");
    assert_eq!(world.links().await.len(), a.len(), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn write_09_both_sides_come_to_be_alike_whatever_is_edited_dies_and_fails_meanwhile() {
    for seed in 0..2_000 {
        hard_life(seed).await;
    }
}
