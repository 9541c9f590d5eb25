//! Full reads.

use std::collections::BTreeSet;

use acople_core::{Cursor, ErrorKind, Event, ReadRequest};
use acople_odata::Protocol;

use crate::imitation::{Habits, Imitation, Row};
use crate::{batches, cursors, events, keys, read};

fn rows(count: usize, key_fields: usize) -> Vec<Row> {
    let key = |n: usize| {
        // Quotes in keys, and several rows that share the first part of theirs.
        let parts = [format!("k'{:03}", n / 7), format!("{n:03}")];
        if key_fields == 1 { vec![format!("k'{n:04}")] } else { parts.to_vec() }
    };
    (0..count).map(|n| Row { key: key(n), changed: Some(n as u64), version: 0 }).collect()
}

fn service(count: usize, protocol: Protocol, key_fields: usize, page: usize, keyset: bool) -> Imitation {
    let habits = Habits { key_fields, page, ..Habits::new(protocol) };
    Imitation::new(rows(count, key_fields), habits, |options| {
        options.page_size = 10;
        options.keyset = keyset;
    })
}

#[tokio::test]
async fn a_full_read_brings_every_record_once_in_every_way_of_paging() {
    for protocol in [Protocol::V2, Protocol::V4] {
        for key_fields in [1, 2] {
            for page in [4, 10, 1000] {
                for keyset in [true, false] {
                    for count in [0, 1, 10, 40, 43] {
                        let s = service(count, protocol, key_fields, page, keyset);
                        let all = read(&s.service, ReadRequest::full("Items")).await;
                        let found = keys(&all, key_fields);
                        let what =
                            format!("{protocol:?} {key_fields} keys, page {page}, keyset {keyset}, {count}");
                        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), count, "{what}");
                        assert_eq!(found.len(), count, "{what}");
                        assert!(matches!(all.first(), Some(Event::SnapshotBegin)), "{what}");
                        assert!(matches!(all.last(), Some(Event::SnapshotEnd)), "{what}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_short_page_is_not_the_end() {
    // The service gives 4 where 10 are asked for.
    let s = service(9, Protocol::V4, 1, 4, true);
    let all = read(&s.service, ReadRequest::full("Items")).await;
    assert_eq!(batches(&all).iter().map(|b| b.len()).collect::<Vec<_>>(), [4, 4, 1]);
    assert_eq!(s.queries().len(), 4, "and only an empty page is");
}

#[tokio::test]
async fn pages_by_key_ask_for_what_lies_behind_the_last_one() {
    let s = service(12, Protocol::V2, 1, 1000, true);
    read(&s.service, ReadRequest::full("Items")).await;
    let queries = s.queries();
    assert_eq!(queries[0].get("$filter"), None);
    assert_eq!(queries[0]["$orderby"], "K0");
    assert_eq!(queries[0]["$top"], "10");
    assert_eq!(queries[1]["$filter"], "K0 gt 'k''0009'");

    let s = service(12, Protocol::V4, 2, 1000, true);
    read(&s.service, ReadRequest::full("Items")).await;
    assert_eq!(s.queries()[1]["$filter"], "(K0 gt 'k''001') or (K0 eq 'k''001' and K1 gt '009')");
    let raw = s.transport.sent()[2].path_and_query();
    assert!(raw.contains("%20") && !raw.contains('+'), "a plus is no space to OData 4.0: {raw}");
}

#[tokio::test]
async fn resuming_from_every_checkpoint_brings_the_rest_and_at_most_one_batch_twice() {
    for protocol in [Protocol::V2, Protocol::V4] {
        for keyset in [true, false] {
            for key_fields in [1, 2] {
                let s = service(37, protocol, key_fields, 7, keyset);
                let all = read(&s.service, ReadRequest::full("Items")).await;
                let whole = keys(&all, key_fields);
                let mut before = 0;
                for event in &all {
                    match event {
                        Event::Batch(batch) => before += batch.len(),
                        Event::Checkpoint(cursor) => {
                            let stored = Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
                            let rest =
                                read(&s.service, ReadRequest::full("Items").with_cursor(Some(stored))).await;
                            assert_eq!(
                                keys(&rest, key_fields),
                                whole[before..],
                                "{protocol:?} {keyset} {before}"
                            );
                            let framed =
                                rest.iter().any(|e| matches!(e, Event::SnapshotBegin | Event::SnapshotEnd));
                            assert!(!framed, "a resumed read claims no completeness");
                        }
                        _ => {}
                    }
                }
                assert_eq!(before, 37);
            }
        }
    }
}

#[tokio::test]
async fn a_limit_is_kept_and_claims_no_completeness() {
    for protocol in [Protocol::V2, Protocol::V4] {
        for keyset in [true, false] {
            for (limit, page) in [(1, 1000), (10, 1000), (25, 7), (37, 1000), (500, 7)] {
                let s = service(37, protocol, 1, page, keyset);
                let all = read(&s.service, ReadRequest::full("Items").with_limit(limit)).await;
                let expected = usize::try_from(limit).unwrap().min(37);
                assert_eq!(keys(&all, 1).len(), expected);
                assert!(!all.iter().any(|e| matches!(e, Event::SnapshotEnd)));
                let rest = ReadRequest::full("Items").with_cursor(cursors(&all).pop());
                assert_eq!(
                    keys(&read(&s.service, rest).await, 1).len(),
                    37 - expected,
                    "{protocol:?} {keyset} {limit}"
                );
            }
        }
    }
}

#[tokio::test]
async fn page_04_no_record_that_stays_is_skipped_while_others_come_and_go() {
    for protocol in [Protocol::V2, Protocol::V4] {
        let mut habits = Habits { page: 5, ..Habits::new(protocol) };
        habits.tamper = Some(Box::new(|rows, number| {
            // Rows before the place of reading vanish and appear: offsets shift both ways.
            rows.retain(|row| row.key[0] != format!("gone{number}"));
            rows.insert(0, Row { key: vec![format!("a{number}")], changed: Some(0), version: 0 });
            if number % 3 == 0 {
                let gone = rows.iter().position(|row| row.key[0].starts_with("gone"));
                gone.map(|at| rows.remove(at));
            }
        }));
        let mut all = rows(40, 1);
        all.extend((0..20).map(|n| Row { key: vec![format!("gone{n:02}")], changed: Some(0), version: 0 }));
        let s = Imitation::new(all, habits, |options| options.page_size = 5);
        let found = keys(&read(&s.service, ReadRequest::full("Items")).await, 1);
        let stayed = found.iter().filter(|key| key.starts_with("k'")).collect::<BTreeSet<_>>();
        assert_eq!(stayed.len(), 40);
        assert_eq!(found.len(), found.iter().collect::<BTreeSet<_>>().len(), "and none comes twice");
    }
}

#[tokio::test]
async fn page_01_a_service_that_ignores_the_filter_does_not_run_in_a_circle() {
    for protocol in [Protocol::V2, Protocol::V4] {
        let habits = Habits { ignores_filter: true, page: 5, ..Habits::new(protocol) };
        let s = Imitation::new(rows(40, 1), habits, |options| options.page_size = 5);
        let (_, error) = events(&s.service, ReadRequest::full("Items")).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn fields_are_asked_for_with_key_and_change_field() {
    let s = service(3, Protocol::V4, 2, 1000, true);
    read(&s.service, ReadRequest::full("Items").with_fields(["Version"])).await;
    assert_eq!(s.queries()[0]["$select"], "K0,K1,LastChangeDateTime,Version");
    let (_, error) =
        events(&s.service, ReadRequest::full("Items").with_fields(["Version", "Secret,Other"])).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.fields(), ["Secret,Other"]);
}

#[tokio::test]
async fn an_unknown_entity_set_is_an_error_in_the_configuration() {
    let s = service(3, Protocol::V4, 1, 1000, true);
    let (_, error) = events(&s.service, ReadRequest::full("Nothing/../Items")).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["stream".to_owned()][..]));
    assert_eq!(s.queries().len(), 0, "the name does not become a path");
}

#[tokio::test]
async fn the_metadata_is_fetched_once_for_many_reads() {
    let s = service(3, Protocol::V4, 1, 1000, true);
    for _ in 0..3 {
        read(&s.service, ReadRequest::full("Items")).await;
    }
    let metadata = s.transport.sent().iter().filter(|s| s.path_and_query().ends_with("/$metadata")).count();
    assert_eq!(metadata, 1);
}
