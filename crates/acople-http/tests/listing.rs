//! Full reads of lists, and the checkpoints from which they go on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that fails may panic

use std::sync::Arc;

use acople_core::{Context, Cursor, Cursors, ErrorKind, Event, ReadRequest, Result};
use acople_http::{Call, Client, Left, List, Listed, Paging, events, walk_list};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use futures_util::StreamExt;

const CURSORS: Cursors = Cursors::new("example", 1);

/// Seven records in pages of three, the middle one without any.
fn vendor() -> ScriptedTransport {
    ScriptedTransport::function(|sent: &Sent, _| {
        let path = sent.path_and_query();
        let after = path.split_once("after=").map_or("", |(_, after)| after);
        Reply::json(
            200,
            match after {
                "" => r#"{"data":[1,2,3],"next":"b"}"#,
                "b" => r#"{"data":[],"next":"c"}"#,
                "c" => r#"{"data":[4,5,6],"next":"d"}"#,
                _ => r#"{"data":[7]}"#,
            },
        )
    })
}

/// The events of a read, a letter each, the records, and the last cursor.
async fn read(transport: &ScriptedTransport, request: ReadRequest) -> (String, Vec<String>, Option<Cursor>) {
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    let list =
        List::new(&client, &Context::new(), "things", &["data"], Paging::token("next", "after")).unwrap();
    let (from, left) = (CURSORS.state(&request).unwrap().unwrap_or_default(), Left::of(&request));
    let call = Call::get("list things").path(["things"]);
    let walk = walk_list(list, call, from, left, |batch| async { Ok(batch) });
    let mut events = events(CURSORS, request, async { Ok(walk) });
    let (mut letters, mut records, mut last) = (String::new(), Vec::new(), None);
    while let Some(event) = events.next().await {
        letters.push(match event {
            Ok(Event::SnapshotBegin) => '(',
            Ok(Event::SnapshotEnd) => ')',
            Ok(Event::Batch(batch)) => {
                records.extend(batch.iter().map(|record| record.raw().to_owned()));
                'b'
            }
            Ok(Event::Checkpoint(cursor)) => {
                last = Some(cursor);
                'c'
            }
            Err(error) if error.kind() == ErrorKind::Protocol => 'E',
            _ => '?',
        });
    }
    (letters, records, last)
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_whole_between_begin_and_end() {
    let (events, records, last) = read(&vendor(), ReadRequest::full("things")).await;
    assert_eq!((events.as_str(), records.concat().as_str()), ("(bcbcbc)", "1234567"));
    let transport = vendor();
    let (events, _, _) = read(&transport, ReadRequest::full("things").with_cursor(last)).await;
    assert_eq!((events.as_str(), transport.sent().len()), ("", 0), "nothing is left to ask for");
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_behind_any_record_at_which_a_limit_ended_it() {
    for limit in 1..=7 {
        let (events, records, last) = read(&vendor(), ReadRequest::full("things").with_limit(limit)).await;
        assert!(!events.contains(')'), "a limited read claims nothing");
        let cursor = Cursor::from_json(&last.unwrap().to_json().unwrap()).unwrap();
        let (events, rest, _) = read(&vendor(), ReadRequest::full("things").with_cursor(Some(cursor))).await;
        assert!(!events.contains(['(', ')']), "nor does one that goes on");
        assert_eq!(records.len() as u64, limit);
        assert_eq!([records, rest].concat().concat(), "1234567", "after {limit} records");
    }
}

#[tokio::test(start_paused = true)]
async fn no_page_is_asked_for_that_a_limit_makes_useless() {
    for (limit, requests) in [(0, 0), (1, 1), (3, 1), (4, 3), (7, 4)] {
        let transport = vendor();
        read(&transport, ReadRequest::full("things").with_limit(limit)).await;
        assert_eq!(transport.sent().len(), requests, "limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn page_01_a_list_that_runs_in_a_circle_ends_with_an_error_limited_or_not() {
    for request in [ReadRequest::full("things"), ReadRequest::full("things").with_limit(1_000)] {
        let circle = ScriptedTransport::function(|_, _| Reply::json(200, r#"{"data":[1],"next":"b"}"#));
        let (events, records, _) = read(&circle, request).await;
        assert!(events.ends_with('E') && records.len() <= 2, "{events}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_out_may_be_fetched_by_id_and_what_vanished_leaves_nothing() -> Result<()> {
    let client = Client::builder("https://api.example.com", Arc::new(vendor()))?.build();
    let list = List::new(&client, &Context::new(), "things", &["data"], Paging::token("next", "after"))?;
    let fill = |batch: acople_core::Batch| async move { Ok(batch.select(1..batch.len())) };
    let request = ReadRequest::full("things");
    let walk = walk_list(list, Call::get("list"), Listed::default(), Left::of(&request), fill);
    let events: Vec<Event> = events(CURSORS, request, async { Ok(walk) })
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    let records = events.iter().map(|event| if let Event::Batch(batch) = event { batch.len() } else { 0 });
    assert_eq!(records.sum::<usize>(), 4);
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
    Ok(())
}
