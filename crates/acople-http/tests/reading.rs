//! From pages to events, and what cursors, limits and writes share among connectors.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::json::FieldPath;
use acople_core::{
    Batch, BatchLimits, Context, Cursor, Cursors, Error, ErrorKind, Event, Outcome, ReadRequest, Record,
    Result,
};
use acople_http::{
    Call, Carried, Changes, Client, Left, List, Paging, Portion, Position, Step, Walk, events, place_of,
    write_checked,
};
use acople_testkit::{Reply, ScriptedTransport};
use futures_util::StreamExt;

const CURSORS: Cursors = Cursors::new("example", 1);

fn batch(range: std::ops::Range<usize>) -> Batch {
    Batch::from_records("things", range.map(|n| format!(r#"{{"id":{n}}}"#))).unwrap()
}

fn portion(sizes: &[usize], page: usize) -> Portion<usize> {
    let start: usize = sizes[..page].iter().sum();
    let batch = batch(start..start + sizes[page]);
    let state = Some(start + sizes[page]).filter(|end| *end > 0);
    Portion { batch, state, complete: page + 1 == sizes.len(), warning: None }
}

/// A walk over pages of these sizes, which counts what it is asked for.
fn walk(sizes: &'static [usize], asked: &Arc<AtomicUsize>) -> Walk<Portion<usize>, usize> {
    let asked = asked.clone();
    Walk::new(0, move |page| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move {
            let next = Some(page + 1).filter(|next| *next < sizes.len());
            Ok(Step { item: portion(sizes, page), bytes: 10, next })
        }
    })
}

/// `B`egin, `b`atch, `c`heckpoint, `E`nd, `w`arning, and how it ended.
async fn shape<P>(
    request: ReadRequest,
    walk: impl Future<Output = Result<Walk<Portion<usize>, P>>> + Send + 'static,
) -> (String, Option<Error>)
where
    P: std::hash::Hash + Clone + Send + Unpin + 'static,
{
    let (mut shape, mut events) = (String::new(), events(CURSORS, request, walk));
    while let Some(event) = events.next().await {
        shape.push(match event {
            Ok(Event::SnapshotBegin) => 'B',
            Ok(Event::Batch(_)) => 'b',
            Ok(Event::Checkpoint(_)) => 'c',
            Ok(Event::SnapshotEnd) => 'E',
            Ok(Event::Warning(_)) => 'w',
            Ok(_) => '?',
            Err(error) => return (shape, Some(error)),
        });
    }
    (shape, None)
}

fn cursor(request: &ReadRequest) -> Cursor {
    CURSORS.cursor(request, &7).unwrap()
}

#[tokio::test]
async fn a_full_read_is_framed_and_a_resumed_or_incremental_one_is_not() {
    let full = ReadRequest::full("things");
    let resumed = full.clone().with_cursor(Some(cursor(&full)));
    for (request, expected) in
        [(full, "BbcbcE"), (resumed, "bcbc"), (ReadRequest::incremental("things"), "bcbc")]
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let walk = walk(&[2, 2], &asked);
        assert_eq!(shape(request, async { Ok(walk) }).await.0, expected);
    }
}

#[tokio::test]
async fn an_empty_page_gives_no_events_and_an_empty_run_its_checkpoint_where_there_is_a_state() {
    for (sizes, expected) in
        [(&[2, 0, 2][..], "BbcbcE"), (&[2, 0][..], "BbccE"), (&[0][..], "BE"), (&[0, 1][..], "BbcE")]
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let walk = walk(sizes, &asked);
        assert_eq!(shape(ReadRequest::full("things"), async { Ok(walk) }).await.0, expected, "{sizes:?}");
    }
}

#[tokio::test]
async fn a_walk_that_ends_without_saying_complete_closes_no_frame() {
    let walk = Walk::new(0, |page: usize| async move {
        let item = Portion { complete: false, ..portion(&[1], page) };
        Ok(Step { item, bytes: 1, next: None })
    });
    assert_eq!(shape(ReadRequest::full("things"), async { Ok(walk) }).await.0, "Bbc");
}

#[tokio::test]
async fn nothing_is_asked_for_before_the_first_pull_nor_with_a_limit_of_0() {
    let made = Arc::new(AtomicUsize::new(0));
    let start = |made: Arc<AtomicUsize>| async move {
        made.fetch_add(1, Ordering::Relaxed);
        Ok(walk(&[1], &made))
    };
    drop(events(CURSORS, ReadRequest::full("things"), start(made.clone())));
    let none = ReadRequest::full("things").with_limit(0);
    assert_eq!(shape(none, start(made.clone())).await.0, "");
    assert_eq!(made.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_prefetch_of_the_request_decides_whether_a_page_is_on_its_way() {
    for (prefetch, expected) in [(0, 1), (8 << 20, 2)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let walk = walk(&[1, 1, 1], &asked);
        let request = ReadRequest::incremental("things").with_prefetch(prefetch);
        let mut events = events(CURSORS, request, async { Ok(walk) });
        events.next().await.unwrap().unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn page_01_empty_pages_without_end_are_an_error() {
    let walk = Walk::new(0usize, |page| async move {
        let item = Portion { batch: batch(0..0), state: Some(1), complete: false, warning: None };
        Ok(Step { item, bytes: 1, next: Some(page + 1) })
    });
    let (shape, error) = shape(ReadRequest::incremental("things"), async { Ok(walk) }).await;
    assert_eq!((shape.as_str(), error.unwrap().kind()), ("", ErrorKind::Protocol));
}

#[tokio::test]
async fn page_01_what_positions_carry_hides_no_circle() {
    let walk = Walk::new((0usize, Carried(0usize)), |(page, Carried(count))| async move {
        let item = Portion { complete: false, ..portion(&[1], 0) };
        Ok(Step { item, bytes: 1, next: Some(((page + 1) % 3, Carried(count + 1))) })
    });
    let (shape, error) = shape(ReadRequest::incremental("things"), async { Ok(walk) }).await;
    assert_eq!((shape.as_str(), error.unwrap().kind()), ("bcbc", ErrorKind::Protocol));
}

#[tokio::test]
async fn a_warning_comes_before_its_page_and_once_in_a_row() {
    let walk = Walk::new(0usize, |page| async move {
        let warning = ["a", "a", "b", "a"].get(page).map(|text| (*text).to_owned());
        let item = Portion { warning, ..portion(&[1, 1, 1, 1], page) };
        Ok(Step { item, bytes: 1, next: Some(page + 1).filter(|next| *next < 4) })
    });
    let request = ReadRequest::incremental("things");
    assert_eq!(shape(request, async { Ok(walk) }).await.0, "wbcbcwbcwbc");
}

#[tokio::test]
async fn what_goes_wrong_before_the_first_page_is_the_first_event() {
    let none = async { Err::<Walk<Portion<usize>, usize>, _>(Error::config("mode", "no")) };
    let (shape, error) = shape(ReadRequest::full("things"), none).await;
    assert_eq!((shape.as_str(), error.unwrap().kind()), ("", ErrorKind::Config));
}

#[test]
fn a_limit_cuts_the_batch_in_which_it_ends() {
    let mut left = Left::of(&ReadRequest::full("things").with_limit(5));
    assert_eq!((left.take(batch(0..3)).len(), left.get(), left.is_spent()), (3, Some(2), false));
    let cut = left.take(batch(3..9));
    assert_eq!((cut.len(), left.is_spent()), (2, true));
    assert_eq!(cut.last().unwrap().raw(), r#"{"id":4}"#);
    let mut all = Left::of(&ReadRequest::full("things"));
    assert_eq!((all.take(batch(0..9)).len(), all.get(), all.is_spent()), (9, None, false));
}

#[test]
fn a_record_that_does_not_say_where_to_go_on_is_an_error_with_the_field() {
    let id = FieldPath::parse("a.id").unwrap();
    let number = |raw: &str| {
        let batch = Batch::from_records("things", [raw]).unwrap();
        place_of(batch.last().unwrap(), &id, |text| text.parse::<u64>().ok())
    };
    assert_eq!(number(r#"{"a":{"id":18446744073709551615}}"#).unwrap(), u64::MAX);
    assert_eq!(number(r#"{"a":{"id":"17"}}"#).unwrap(), 17);
    for raw in
        [r#"{"a":{"id":""}}"#, r#"{"a":{"id":null}}"#, r#"{"a":{"id":"x"}}"#, r#"{"a":{"id":[1]}}"#, "{}"]
    {
        let error = number(raw).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Protocol, &["a.id".to_owned()][..]), "{raw}");
    }
}

#[tokio::test(start_paused = true)]
async fn single_pages_of_a_list_are_fetched_by_call_and_by_position() {
    let transport = ScriptedTransport::new([
        Reply::json(200, r#"{"records":[1,2],"next":"/q/2"}"#).header("x-a", "b"),
        Reply::json(200, r#"{"records":[3]}"#),
        Reply::json(200, r#"{"others":[]}"#),
    ]);
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    let list =
        List::new(&client, &Context::new(), "things", &["records"], Paging::next_url(["next"])).unwrap();
    let first = list.fetch(Call::get("query").path(["q"]).query("size", 2), None).await.unwrap();
    assert_eq!((first.batch.len(), first.batch.stream(), &first.headers["x-a"] == "b"), (2, "things", true));
    assert_eq!(first.next, Some(Position::Link("/q/2".into())));
    let second = list.fetch(Call::get("query"), first.next.as_ref()).await.unwrap();
    assert_eq!((second.batch.len(), second.next), (1, None));
    let error = list.fetch(Call::get("query"), None).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Protocol, Some("query")));
    let paths: Vec<String> = transport.sent().iter().map(acople_testkit::Sent::path_and_query).collect();
    assert_eq!(paths, ["/q?size=2", "/q/2", "/"]);
}

#[tokio::test(start_paused = true)]
async fn the_length_of_a_call_is_that_of_its_path_and_query_as_they_are_sent() {
    let transport = ScriptedTransport::new([Reply::json(200, "{}")]);
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    let call = Call::get("query").path(["a b", "ä"]).query("q", "x = 'ö' & y").query("n", 1);
    client.send(&Context::new(), &call).await.unwrap();
    assert_eq!(call.encoded_len(), transport.sent()[0].path_and_query().len());
}

fn number(record: Record<'_>) -> usize {
    place_of(record, &["id"].into_iter().collect(), |text| text.parse().ok()).unwrap()
}

#[test]
fn body_16_cursors_compare_instants_and_not_the_texts_that_name_them() {
    // In the order of their texts the second would be the newest, and the last the oldest.
    let texts = [
        "2026-07-01T09:00:00Z",
        "2026-07-01T10:30:00+02:00",
        "2026-07-01T09:00:00.250Z",
        "2026-06-30T23:59:59.999-10:00",
    ];
    let batch = Batch::from_records("things", texts.map(|at| format!(r#"{{"changed":"{at}"}}"#))).unwrap();
    let mut run = Changes::<String>::begin(None, "changed", std::time::UNIX_EPOCH).unwrap();
    let instants: Vec<i64> = batch
        .iter()
        .map(|record| {
            let read = |text: &str| text.parse().ok().map(jiff::Timestamp::as_millisecond);
            place_of(record, &["changed"].into_iter().collect(), read).unwrap()
        })
        .inspect(|at| run.saw(*at))
        .collect();
    assert_eq!(run.high(), instants.last());
    assert!(instants[1] < instants[0] && instants[0] < instants[2] && instants[2] < instants[3]);
}

async fn written(refuse: &'static [usize], fails: bool) -> (Result<Vec<Outcome>>, Vec<usize>) {
    let sent = std::sync::Mutex::new(Vec::new());
    let limits = BatchLimits { records: 2, bytes: 1 << 20 };
    let check = |record: Record<'_>| {
        if refuse.contains(&number(record)) { Err(Error::new(ErrorKind::Invalid, "unfit")) } else { Ok(()) }
    };
    let send = |part: Batch| {
        let numbers: Vec<usize> = part.iter().map(number).collect();
        sent.lock().unwrap().extend(&numbers);
        let outcomes = numbers.into_iter().map(|n| Outcome::accepted(n.to_string(), None)).collect();
        async move { if fails { Err(Error::new(ErrorKind::Permission, "no")) } else { Ok(outcomes) } }
    };
    let report = write_checked(&batch(0..5), limits, check, send).await;
    (report.map(acople_core::WriteReport::into_outcomes), sent.into_inner().unwrap())
}

#[tokio::test]
async fn write_04_records_that_are_known_to_be_unfit_are_refused_in_their_places_and_not_sent() {
    for (refuse, expected) in
        [(&[1, 4][..], &[0, 2, 3][..]), (&[][..], &[0, 1, 2, 3, 4]), (&[0, 1, 2, 3, 4], &[])]
    {
        let (outcomes, sent) = written(refuse, false).await;
        assert_eq!(sent, expected);
        for (number, outcome) in outcomes.unwrap().iter().enumerate() {
            match outcome {
                Outcome::Accepted { id, .. } => {
                    assert_eq!(
                        (id.as_deref(), refuse.contains(&number)),
                        (Some(&*number.to_string()), false)
                    );
                }
                other => {
                    assert_eq!((other.error().unwrap().message(), refuse.contains(&number)), ("unfit", true));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_first_call_that_fails_means_that_nothing_was_written_though_some_were_unfit() {
    assert_eq!(written(&[1], true).await.0.unwrap_err().kind(), ErrorKind::Permission);
}
