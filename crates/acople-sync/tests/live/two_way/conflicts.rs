//! Edits, conflicts, and values that come back changed.

use acople_core::{Context, ErrorKind, QuarantineStore, Stage};
use acople_sync::{Policy, Side};

use super::{World, create, record, run, system};

#[tokio::test(start_paused = true)]
async fn what_is_new_changed_and_gone_on_one_side_is_so_on_the_other() {
    let world = World::new();
    let sync = world.sync(Policy::Review).build().unwrap();
    create(&world.a, "a1", &record("1", "x", "y"));
    create(&world.b, "b1", &record("2", "x", "y"));
    let first = run(&sync).await;
    assert!(first.is_success(), "{first:?}");
    assert_eq!((first.a.inserted, first.b.inserted), (1, 1));
    assert_eq!(world.both()[0], world.both()[1]);
    assert_eq!(world.both()[0].len(), 2);
    let quiet = run(&sync).await;
    assert_eq!((quiet.writes(), quiet.a.echoes, quiet.b.echoes), (0, 1, 1), "our own writes come back once");

    // Different fields of one record, on both sides: both are kept, and no rule is needed.
    let links = world.links().await;
    world.a.data().edit(&links[0].source, "x", "from a");
    world.b.data().edit(&links[0].target, "y", "from b");
    world.b.data().clear(&links[1].target, "x");
    let report = run(&sync).await;
    assert_eq!((report.writes(), report.decided, report.queued), (3, 0, 0));
    assert_eq!(world.both()[0], world.both()[1]);
    let merged = &world.a.data().records[&links[0].source].clone();
    assert_eq!((merged["x"].as_str(), merged["y"].as_str()), ("from a", "from b"));
    assert!(!world.a.data().records[&links[1].source].contains_key("x"), "a cleared field is cleared");

    world.a.data().remove(&links[0].source);
    world.b.data().remove(&links[1].target);
    let report = run(&sync).await;
    assert_eq!((report.a.deleted, report.b.deleted), (1, 1));
    assert_eq!(world.both(), [vec![], vec![]]);
    assert!(world.links().await.is_empty());
    assert_eq!(run(&sync).await.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn write_09_what_no_rule_decides_waits_for_review_and_the_rest_of_the_record_goes_on() {
    let world = World::new();
    let sync = world.sync(Policy::Review).build().unwrap();
    create(&world.a, "a1", &record("1", "x", "y"));
    run(&sync).await;
    let links = world.links().await;
    let (a, b) = (links[0].source.clone(), links[0].target.clone());
    let conflict = async |again: &str| {
        world.a.data().edit(&a, "x", &format!("of a{again}"));
        world.b.data().edit(&b, "x", &format!("of b{again}"));
        world.b.data().edit(&b, "y", "too");
        let report = run(&sync).await;
        assert_eq!((report.queued, report.decided), (1, 0));
    };
    conflict("").await;
    assert_eq!(world.a.data().records[&a], record("1", "of a", "too"));
    assert_eq!(world.b.data().records[&b], record("1", "of b", "too"));
    let waits = sync.reviews(None).await.unwrap();
    assert_eq!(
        (waits.len(), waits[0].stage, waits[0].error.fields()),
        (1, Stage::Merge, &["x".to_owned()][..])
    );
    assert_eq!(run(&sync).await.queued, 0, "it is asked once");

    // Somebody decides.
    sync.resolve(&Context::new(), &waits[0].id, Side::B).await.unwrap();
    assert_eq!(run(&sync).await.writes(), 1);
    assert_eq!(world.a.data().records[&a]["x"], "of b");
    assert_eq!(world.store.count(None).await.unwrap(), 0);
    assert_eq!(run(&sync).await.writes(), 0);
    // Or one side is edited again, which is a decision, too.
    world.b.data().edit(&b, "y", "y");
    run(&sync).await;
    conflict(", again").await;
    world.a.data().edit(&a, "x", "of a, at last");
    run(&sync).await;
    assert_eq!(world.b.data().records[&b]["x"], "of a, at last");
    assert_eq!(world.store.count(None).await.unwrap(), 0);
    let unknown = sync.resolve(&Context::new(), "nothing", Side::A).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn write_09_a_record_that_one_side_deleted_and_the_other_changed_waits_for_review() {
    for decision in [Side::A, Side::B] {
        let world = World::new();
        let sync = world.sync(Policy::Review).build().unwrap();
        create(&world.a, "a1", &record("1", "x", "y"));
        run(&sync).await;
        let link = world.links().await.remove(0);
        world.a.data().remove(&link.source);
        world.b.data().edit(&link.target, "x", "of b");
        assert_eq!(run(&sync).await.queued, 1);
        assert_eq!((world.both()[0].len(), world.both()[1].len()), (0, 1), "nothing is lost meanwhile");
        let waits = sync.reviews(None).await.unwrap();
        sync.resolve(&Context::new(), &waits[0].id, decision).await.unwrap();
        run(&sync).await;
        let left = if decision == Side::A { vec![] } else { vec![record("1", "of b", "y")] };
        assert_eq!(world.both(), [left.clone(), left], "{decision:?}");
        assert_eq!(world.store.count(None).await.unwrap(), 0);
        assert_eq!(run(&sync).await.writes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn write_09_a_value_that_a_side_keeps_in_another_spelling_is_no_edit_by_its_mark() {
    let world = World::of(system("a"), system("b").keeping(|text| text.to_uppercase()));
    let sync = world.sync(Policy::Review).origin(Side::B, "by", "sync").build().unwrap();
    create(&world.a, "a1", &record("1", "text", "y"));
    assert_eq!(run(&sync).await.writes(), 1);
    for _ in 0..3 {
        assert_eq!(run(&sync).await.writes(), 0);
    }
    assert_eq!(world.a.data().records["a1"]["x"], "text", "each side keeps its own");
    let link = world.links().await.remove(0);
    world.b.data().edit(&link.target, "x", "edited");
    assert_eq!(run(&sync).await.a.updated, 1, "an edit of somebody else is one");
    assert_eq!(world.a.data().records["a1"]["x"], "edited");
}

#[tokio::test(start_paused = true)]
async fn write_09_two_sides_that_never_agree_on_a_spelling_are_left_to_differ() {
    // Both escape what they are given, once more each time, and nobody says whose write it was.
    let escape = |text: String| text.replace('&', "&amp;");
    let world = World::of(system("a").keeping(escape), system("b").keeping(escape));
    let sync = world.sync(Policy::Review).build().unwrap();
    create(&world.a, "a1", &record("1", "Tom & Tina", "y"));
    let mut writes = 0;
    let (mut last, mut queued) = (0, 0);
    for _ in 0..20 {
        let report = run(&sync).await;
        last = report.writes();
        (writes, queued) = (writes + last, queued + report.queued);
    }
    assert!((4..=8).contains(&writes) && last == 0, "{writes} writes, and {last} in the end");
    assert_eq!(queued, 1, "somebody has to look at the field");
}
