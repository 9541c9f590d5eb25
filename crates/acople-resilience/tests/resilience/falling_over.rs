//! Reads that fall over, and cursors that stay where they belong.

use std::time::Duration;

use acople_core::{Connector, Context, Cursor, ErrorKind, Event, ReadRequest};
use acople_resilience::{Fallback, FallbackBuilder, Standby};
use futures_util::StreamExt;

use crate::fake::{Fails, Fake};
use crate::shop::{full, read};

const TRANSIENT: Fails = Fails::With(ErrorKind::Transient);

fn builder(a: &Fake, standby: Standby) -> FallbackBuilder {
    Fallback::builder("one", a.arc()).then(standby)
}

fn both(a: &Fake, b: &Fake) -> Fallback {
    builder(a, Standby::new("two", b.arc())).build().unwrap()
}

/// The cursor of the first checkpoint, as it comes back from a store.
async fn cursor(connector: &dyn Connector, request: ReadRequest) -> Cursor {
    let mut events = connector.read(&Context::new(), request).unwrap();
    loop {
        if let Event::Checkpoint(cursor) = events.next().await.unwrap().unwrap() {
            return Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_the_primarys_while_it_answers() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let (events, records) = full(&both(&a, &b), "leads").await;
    assert_eq!((events.as_str(), records.len()), ("([a warns]bcbc)", 2));
    assert_eq!(b.asked(), "");
}

#[tokio::test(start_paused = true)]
async fn a_read_falls_over_before_its_first_event_and_says_so() {
    let (a, b) = (Fake::failing("a", TRANSIENT), Fake::new("b"));
    let (events, records) = full(&both(&a, &b), "leads").await;
    // Nothing of the primary's is left, and the copy's listing is not said to be complete.
    assert_eq!(events, "[leads: two answers for one (transient)][b warns]bcbc");
    assert_eq!(records, ["\"b0\"", "\"b1\""]);
    let same = builder(&a, Standby::new("two", b.arc()).same_system()).build().unwrap();
    assert_eq!(full(&same, "leads").await.0, "[leads: two answers for one (transient)]([b warns]bcbc)");
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_has_begun_is_never_continued_from_another_source() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    a.fail(TRANSIENT, 1);
    let (events, records) = full(&both(&a, &b), "leads").await;
    assert_eq!((events.as_str(), records), ("([a warns]bc!transient", vec!["\"a0\"".to_owned()]));
    assert_eq!(b.asked(), "");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_its_beginning_as_long_as_patience_says() {
    let (a, b) = (Fake::failing("a", Fails::Never), Fake::new("b"));
    let both = builder(&a, Standby::new("two", b.arc())).patience(Duration::from_secs(3)).build().unwrap();
    let begun = tokio::time::Instant::now();
    let reading = tokio::time::timeout(Duration::from_secs(60), full(&both, "leads"));
    assert!(reading.await.unwrap().0.starts_with("[leads: two answers for one (timeout)]"));
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_no_reason_end_the_read() {
    let (a, b) = (Fake::failing("a", Fails::With(ErrorKind::Permission)), Fake::new("b"));
    let fallback = both(&a, &b);
    assert_eq!(full(&fallback, "leads").await.0, "!permission");
    // What is wrong at once is said at once.
    let error = fallback.read(&Context::new(), ReadRequest::full("unknown")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    // When all fail, the first error counts.
    a.fail(TRANSIENT, 0);
    b.fail(Fails::With(ErrorKind::NotFound), 0);
    assert_eq!(full(&fallback, "leads").await.0, "!transient");
    assert!(fallback.standing().answered.iter().all(|(_, count)| *count == 0));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_read_on_at_its_own_source_alone() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let (fallback, cx) = (both(&a, &b), Context::new());
    let of_primary = cursor(&fallback, ReadRequest::full("leads")).await;
    a.fail(TRANSIENT, 0);
    let of_standby = cursor(&fallback, ReadRequest::full("leads")).await;
    a.asked();
    b.asked();

    // The primary fails, and nobody else can go on from its cursor.
    let request = |cursor: &Cursor| ReadRequest::full("leads").with_cursor(Some(cursor.clone()));
    assert_eq!(read(&fallback, &cx, request(&of_primary)).await.0, "!transient");
    assert_eq!(b.asked(), "");
    a.fail(Fails::Not, 0);
    assert_eq!(read(&fallback, &cx, request(&of_primary)).await.1, ["\"a1\""]);
    a.asked();

    // The standby's cursor goes on there although the primary is well again.
    let (events, records) = read(&fallback, &cx, request(&of_standby)).await;
    assert_eq!(events, "[leads: read on at two, where the cursor belongs, and not at one][b warns]bc");
    assert_eq!((records, a.asked()), (vec!["\"b1\"".to_owned()], String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_from_elsewhere_is_refused() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let fallback = both(&a, &b);
    let refused = |cursor: Cursor, stream: &str| {
        let request = ReadRequest::full(stream).with_cursor(Some(cursor));
        fallback.read(&Context::new(), request).err().map(|error| error.kind())
    };
    let renamed = Fallback::builder("other", a.arc()).then(Standby::new("two", b.arc())).build().unwrap();
    let of_another = cursor(&renamed, ReadRequest::full("leads")).await;
    assert_eq!(refused(of_another, "leads"), Some(ErrorKind::Config));
    let own = cursor(&fallback, ReadRequest::full("leads")).await;
    assert_eq!(refused(own, "contacts"), Some(ErrorKind::Config));
    assert_eq!(refused(cursor(&b, ReadRequest::full("leads")).await, "leads"), Some(ErrorKind::Config));
    // One that the primary made before it had standbys is the primary's.
    let bare = cursor(&a, ReadRequest::full("leads")).await;
    let request = ReadRequest::full("leads").with_cursor(Some(bare));
    assert_eq!(read(&fallback, &Context::new(), request).await.1, ["\"a1\""]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_too_old_or_of_unknown_age_is_not_read() {
    let (a, b) = (Fake::failing("a", TRANSIENT), Fake::new("b"));
    let age = |stream: &str| match stream {
        "young" => Some(Duration::from_secs(600)),
        "old" => Some(Duration::from_secs(601)),
        _ => None,
    };
    let copy = Standby::new("two", b.arc()).age(age);
    let strict = builder(&a, copy.clone().max_age(Duration::from_secs(600))).build().unwrap();
    let marked = "[young: two answers for one (transient); its data is 600 s old][b warns]bcbc";
    assert_eq!(full(&strict, "young").await.0, marked);
    b.asked();
    for stream in ["old", "leads"] {
        assert_eq!(full(&strict, stream).await.0, "!transient", "{stream}");
    }
    assert_eq!(b.asked(), "");
    // Nor is a cursor of it read on.
    let lax = builder(&a, copy).build().unwrap();
    let of_old = cursor(&lax, ReadRequest::full("old")).await;
    let request = ReadRequest::full("old").with_cursor(Some(of_old));
    assert_eq!(strict.read(&Context::new(), request).err().unwrap().kind(), ErrorKind::Transient);
    assert!(full(&lax, "old").await.0.contains("601 s old"));
}
