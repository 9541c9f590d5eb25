//! Records that are new, refused, or too large, sides that are down, and two workers.

use std::sync::Arc;

use acople_core::{Context, Deletes, Error, ErrorKind, QuarantineStore, Stage, WriteMode};
use acople_sync::{End, Policy, Side, TwoWay};
use futures_util::future::poll_immediate;

use super::{World, create, record, run, system};
use crate::world::System;

/// Gives a field another name.
#[derive(Debug)]
struct Renames(&'static str, &'static str);

impl acople_core::Mapper for Renames {
    fn map(&self, batch: &acople_core::Batch) -> acople_core::Result<acople_core::Mapped> {
        let mut mapped = acople_core::Mapped::unchanged(batch);
        let name = |name: &str| format!("\"{name}\":");
        let texts = batch.iter().map(|record| record.raw().replace(&name(self.0), &name(self.1)));
        mapped.batch = acople_core::Batch::from_records("things", texts)?;
        Ok(mapped)
    }
}

#[tokio::test(start_paused = true)]
async fn mappers_turn_the_records_of_one_side_into_those_of_the_other_both_ways() {
    let world = World::new();
    let there = Arc::new(Renames("colour", "x"));
    let sync =
        world.sync(Policy::SourceWins).mappers(there, Arc::new(Renames("x", "colour"))).build().unwrap();
    world.a.data().edit("a1", "colour", "red");
    world.a.data().edit("a1", "n", "1");
    run(&sync).await;
    let link = world.links().await.remove(0);
    assert_eq!(world.b.data().records[&link.target]["x"], "red");
    world.b.data().edit(&link.target, "x", "blue");
    world.b.data().edit("b2", "x", "green");
    let report = run(&sync).await;
    assert_eq!((report.a.updated, report.a.inserted), (1, 1));
    assert_eq!(world.a.data().records["a1"]["colour"], "blue");
    assert!(world.a.data().records.values().any(|fields| fields.get("colour").is_some_and(|c| c == "green")));
    assert_eq!(run(&sync).await.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn records_that_are_new_on_both_sides_are_linked_by_a_field() {
    let world = World::new();
    for n in 0..250 {
        create(&world.a, &format!("a{n}"), &record(&n.to_string(), "x", "y"));
        if n % 2 == 0 {
            create(&world.b, &format!("b{n}"), &record(&n.to_string(), "x", "other"));
        }
    }
    let sync = world.sync(Policy::TargetWins).match_by("n").build().unwrap();
    let report = run(&sync).await;
    assert_eq!((report.a.inserted, report.b.inserted, report.decided), (0, 125, 125));
    assert_eq!(world.both()[0], world.both()[1]);
    assert_eq!(world.links().await.len(), 250);
    assert_eq!(run(&sync).await.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_side_refuses_is_set_aside_and_holds_up_no_other() {
    let world = World::new();
    let sync = world.sync(Policy::SourceWins).build().unwrap();
    for n in 0..5 {
        create(&world.a, &format!("a{n}"), &record(&n.to_string(), "x", "y"));
    }
    run(&sync).await;
    let link = world.links().await.into_iter().find(|link| link.source == "a2").unwrap();
    world.b.data().bad.push(link.target.clone());
    world.a.data().edit("a2", "x", "refused");
    world.a.data().edit("a3", "x", "taken");
    let report = run(&sync).await;
    assert_eq!((report.refused, report.b.updated), (1, 1));
    let aside = world.store.list(Some("both"), None, 9).await.unwrap();
    assert_eq!((aside.len(), aside[0].stage, aside[0].error.code()), (1, Stage::Write, Some("BAD")));
    world.b.data().bad.clear();
    sync.resolve(&Context::new(), &aside[0].id, Side::A).await.unwrap();
    assert!(run(&sync).await.is_success());
    assert_eq!(world.both()[0], world.both()[1]);
    assert_eq!(world.store.count(None).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_is_down_pauses_the_run_and_the_next_one_settles_what_waits() {
    let world = World::new();
    let sync = world.sync(Policy::SourceWins).build().unwrap();
    create(&world.a, "a1", &record("1", "x", "y"));
    world.b.before_write(|_| Err(Error::new(ErrorKind::Reauth, "connect again")));
    let report = run(&sync).await;
    assert!(matches!(report.end, End::Paused { .. }), "{report:?}");
    world.b.before_write(|_| Ok(()));
    let report = run(&sync).await;
    assert_eq!((report.b.inserted, report.a.read), (1, 0), "it was noted and is not read again");
    assert_eq!(world.both()[0], world.both()[1]);
}

#[tokio::test(start_paused = true)]
async fn dist_01_of_two_workers_the_later_one_goes_on_alone() {
    let world = World::new();
    let sync = world.sync(Policy::SourceWins).build().unwrap();
    for n in 0..450 {
        create(&world.a, &format!("a{n:03}"), &record(&n.to_string(), "x", "y"));
    }
    // The first is at its second page when another one begins, which dies soon after.
    let cx = Context::new();
    let mut first = Box::pin(sync.run(&cx, &()));
    while world.links().await.len() < 100 {
        assert!(poll_immediate(&mut first).await.is_none());
    }
    let mut second = Box::pin(sync.run(&cx, &()));
    for _ in 0..2 {
        assert!(poll_immediate(&mut second).await.is_none());
    }
    drop(second);
    let first = first.await.unwrap();
    assert!(matches!(&first.end, End::Stopped { error } if error.kind() == ErrorKind::Fenced), "{first:?}");
    assert!(world.both()[1].len() < 450, "it ends before its next page");
    assert!(run(&sync).await.is_success());
    assert_eq!(world.both()[1].len(), 450, "none is lost, and none is there twice");
}

#[tokio::test(start_paused = true)]
async fn what_a_two_way_sync_lacks_is_named() {
    let world = World::new();
    let wrong = [
        world.sync(Policy::Review).fields(Vec::<String>::new()).build().unwrap_err(),
        world.sync(Policy::Review).match_by("other").build().unwrap_err(),
        TwoWay::builder("x").fields(["x"]).build().unwrap_err(),
    ];
    let fields: Vec<&[String]> = wrong.iter().map(Error::fields).collect();
    assert_eq!(fields, [["fields".to_owned()], ["match_by".to_owned()], ["a".to_owned()]]);
    let deaf = World::of(system("a"), System::new("b", &[WriteMode::Upsert]));
    let error = deaf.sync(Policy::Review).build().unwrap().run(&Context::new(), &()).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["b".to_owned()][..]));
    let blind = World::of(system("a"), system("b").with_stream(|s| s.deletes(Deletes::Invisible)));
    let report = run(&blind.sync(Policy::Review).build().unwrap()).await;
    assert!(report.warnings.iter().any(|w| w.contains("does not tell what is deleted")));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_set_aside_and_holds_up_no_other() {
    let world = World::new();
    let sync = world.sync(Policy::SourceWins).build().unwrap();
    create(&world.a, "a1", &record("1", &"x".repeat(600_000), "y"));
    create(&world.a, "a2", &record("2", "x", "y"));
    let report = run(&sync).await;
    assert!(matches!(report.end, End::Complete));
    assert_eq!((report.refused, report.b.inserted), (1, 1));
    let aside = world.store.list(Some("both"), None, 9).await.unwrap();
    assert_eq!((aside[0].stage, aside[0].error.kind()), (Stage::Read, ErrorKind::TooLarge));
    world.a.data().edit("a1", "x", "short");
    assert!(run(&sync).await.is_success());
    assert_eq!(world.store.count(None).await.unwrap(), 0, "a version that fits takes its place");
    assert_eq!(world.both()[0], world.both()[1]);
}
