//! Incremental reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acople_core::{Cursor, ErrorKind, Event, ReadRequest};
use acople_odata::Protocol;

use crate::imitation::{BASE, Habits, Imitation, Row, connect, options};
use crate::{batches, cursors, events, field, keys, read};

const BOTH: [Protocol; 2] = [Protocol::V2, Protocol::V4];

/// A generator that gives the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Rows whose times crowd: many in one tick, many in one millisecond, some without a time.
fn crowd(count: u64, key_fields: usize, spread: u64, random: &mut Random) -> Vec<Row> {
    (0..count)
        .map(|n| {
            let name = format!("{:04}", (n * 7919) % 10_007);
            let key = if key_fields == 1 { vec![name] } else { vec![format!("{}", n % 3), name] };
            let changed = (random.below(8) > 0).then(|| 10_000_000 + random.below(spread));
            Row { key, changed, version: 0 }
        })
        .collect()
}

fn service(rows: Vec<Row>, habits: Habits, page_size: u32, keyset: bool) -> Imitation {
    Imitation::new(rows, habits, |options| {
        options.page_size = page_size;
        options.keyset = keyset;
    })
}

#[tokio::test]
async fn page_06_every_record_comes_whatever_shares_its_time() {
    let mut random = Random(7);
    for protocol in BOTH {
        for (key_fields, keyset) in [(1, true), (2, true), (1, false)] {
            for nulls_first in [true, false] {
                // All in one tick; within one millisecond; within some; spread over seconds.
                for spread in [1, 9_000, 50_000, 100_000_000] {
                    for page in [3, 1000] {
                        let rows = crowd(40, key_fields, spread, &mut random);
                        let habits = Habits { key_fields, page, nulls_first, ..Habits::new(protocol) };
                        let s = service(rows, habits, 5, keyset);
                        let all = read(&s.service, ReadRequest::incremental("Items")).await;
                        let found: BTreeSet<String> = keys(&all, key_fields).into_iter().collect();
                        assert_eq!(
                            found.len(),
                            40,
                            "{protocol:?} {key_fields} {keyset} {nulls_first} {spread} {page}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn resuming_from_every_checkpoint_brings_the_rest_and_at_most_one_batch_twice() {
    let mut random = Random(11);
    for protocol in BOTH {
        for (key_fields, keyset) in [(1, true), (2, true), (1, false)] {
            for spread in [1, 50_000, 100_000_000] {
                let habits = Habits { key_fields, page: 4, ..Habits::new(protocol) };
                let s = service(crowd(30, key_fields, spread, &mut random), habits, 5, keyset);
                let all = read(&s.service, ReadRequest::incremental("Items")).await;
                let whole: BTreeSet<String> = keys(&all, key_fields).into_iter().collect();
                let largest = batches(&all).iter().map(|b| b.len()).max().unwrap();
                for (at, event) in all.iter().enumerate() {
                    let Event::Checkpoint(cursor) = event else {
                        continue;
                    };
                    let before: BTreeSet<String> = keys(&all[..at], key_fields).into_iter().collect();
                    let stored = Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
                    let rest =
                        read(&s.service, ReadRequest::incremental("Items").with_cursor(Some(stored))).await;
                    let rest: BTreeSet<String> = keys(&rest, key_fields).into_iter().collect();
                    let what = format!("{protocol:?} {key_fields} {keyset} {spread} at {at}");
                    assert_eq!(before.union(&rest).count(), whole.len(), "{what}");
                    if at + 1 < all.len() {
                        assert!(before.intersection(&rest).count() <= largest, "{what}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn page_06_no_change_is_lost_when_rows_change_while_they_are_read() {
    for protocol in BOTH {
        for (key_fields, keyset) in [(1, true), (2, true)] {
            for seed in 0..20 {
                let mut random = Random(seed);
                let rows = crowd(40, key_fields, 60_000, &mut random);
                let mut now = 20_000_000;
                let mut habits = Habits { key_fields, page: 4, ..Habits::new(protocol) };
                habits.tamper = Some(Box::new(move |rows, number| {
                    // Two rows change before each of the first requests, one vanishes now and then.
                    if number < 60 {
                        for _ in 0..2 {
                            now += random.below(3) * 4_000;
                            let at = usize::try_from(random.below(rows.len() as u64)).unwrap();
                            rows[at].changed = Some(now);
                            rows[at].version += 1;
                        }
                        if number % 9 == 8 {
                            let at = usize::try_from(random.below(rows.len() as u64)).unwrap();
                            rows.remove(at);
                        }
                    }
                }));
                let s = service(rows, habits, 5, keyset);
                let mut copy: BTreeMap<String, u64> = BTreeMap::new();
                let mut cursor = None;
                // Runs while data changes, and a last one when it has come to rest.
                let mut quiet = false;
                while !quiet {
                    quiet = s.queries().len() >= 60;
                    let all = read(&s.service, ReadRequest::incremental("Items").with_cursor(cursor)).await;
                    for batch in batches(&all) {
                        let versions = field(batch, "Version").into_iter().map(|v| v.parse::<u64>().unwrap());
                        copy.extend(
                            keys(&[Event::Batch((*batch).clone())], key_fields).into_iter().zip(versions),
                        );
                    }
                    cursor = cursors(&all).pop();
                }
                for row in s.rows.lock().unwrap().iter() {
                    assert_eq!(
                        copy.get(&row.key.join("/")),
                        Some(&row.version),
                        "{protocol:?} {key_fields} seed {seed}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_new_run_goes_back_behind_the_last_one() {
    for (protocol, expected) in [
        (Protocol::V2, "LastChangeDateTime ge datetimeoffset'2025-01-01T00:00:02.500Z'"),
        (Protocol::V4, "LastChangeDateTime ge 2025-01-01T00:00:02.5001234Z"),
    ] {
        let rows = vec![
            Row { key: vec!["b".into()], changed: Some(605_001_234 + 20_000_000), version: 0 },
            Row { key: vec!["a".into()], changed: Some(24_000_000), version: 0 },
        ];
        let s = service(rows, Habits::new(protocol), 10, true);
        let first = read(&s.service, ReadRequest::incremental("Items")).await;
        let cursor = cursors(&first).pop();
        let asked = s.queries().len();
        let again = read(&s.service, ReadRequest::incremental("Items").with_cursor(cursor.clone())).await;
        assert_eq!(s.queries()[asked]["$filter"], expected, "a minute before the greatest value");
        assert_eq!(keys(&again, 1).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["b".to_owned()]));
        assert_eq!(cursors(&again).pop(), cursor, "nothing new leaves the same end");
    }
}

#[tokio::test]
async fn page_06_a_quiet_set_is_not_read_anew_for_ever() {
    for (protocol, expected) in [
        (Protocol::V2, "LastChangeDateTime ge datetimeoffset'2025-01-01T00:01:02.500Z'"),
        (Protocol::V4, "LastChangeDateTime ge 2025-01-01T00:01:02.5001234Z"),
    ] {
        let rows = vec![
            Row { key: vec!["b".into()], changed: Some(625_001_234), version: 0 },
            Row { key: vec!["a".into()], changed: Some(610_000_000), version: 0 },
        ];
        let s = service(rows, Habits::new(protocol), 10, true);
        let (mut cursor, mut found, mut asked) = (None, Vec::new(), 0);
        for _ in 0..4 {
            asked = s.queries().len();
            let all = read(&s.service, ReadRequest::incremental("Items").with_cursor(cursor)).await;
            found.push(keys(&all, 1).into_iter().collect::<BTreeSet<_>>().len());
            cursor = cursors(&all).pop();
            s.clock.advance(Duration::from_secs(59));
        }
        // The third run began a look-back after the end of the first.
        assert_eq!(found, [2, 2, 2, 1], "{protocol:?}");
        assert_eq!(s.queries()[asked]["$filter"], expected);
    }
}

#[tokio::test]
async fn an_end_does_not_move_back_when_the_newest_record_vanishes() {
    let rows = vec![Row { key: vec!["a".into()], changed: Some(900_000_000), version: 0 }];
    let s = service(rows, Habits::new(Protocol::V4), 10, true);
    let first = cursors(&read(&s.service, ReadRequest::incremental("Items")).await).pop();
    s.rows.lock().unwrap().clear();
    let second =
        cursors(&read(&s.service, ReadRequest::incremental("Items").with_cursor(first.clone())).await).pop();
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_set_that_is_empty_at_first_is_read_from_the_start_later() {
    let s = service(Vec::new(), Habits::new(Protocol::V4), 10, true);
    let all = read(&s.service, ReadRequest::incremental("Items")).await;
    let cursor = cursors(&all).pop();
    assert!(cursor.is_some() && batches(&all).is_empty());
    s.rows.lock().unwrap().push(Row { key: vec!["a".into()], changed: None, version: 0 });
    let later = read(&s.service, ReadRequest::incremental("Items").with_cursor(cursor)).await;
    assert_eq!(keys(&later, 1), ["a"]);
}

#[tokio::test]
async fn a_service_that_cannot_search_for_null_is_read_with_a_warning() {
    for protocol in BOTH {
        let rows = vec![
            Row { key: vec!["a".into()], changed: None, version: 0 },
            Row { key: vec!["b".into()], changed: Some(5), version: 0 },
        ];
        let habits = Habits { refuses_null: true, ..Habits::new(protocol) };
        let s = service(rows, habits, 10, true);
        let all = read(&s.service, ReadRequest::incremental("Items")).await;
        assert_eq!(keys(&all, 1).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["b".to_owned()]));
        let warned =
            all.iter().any(|e| matches!(e, Event::Warning(text) if text.contains("LastChangeDateTime")));
        assert!(warned, "what is not read is said");
    }
}

#[tokio::test]
async fn page_07_a_service_that_does_not_sort_or_filter_is_found_out() {
    for protocol in BOTH {
        for (ignores_filter, ignores_order) in [(true, false), (false, true)] {
            let rows = (0..30u64).map(|n| Row {
                key: vec![format!("{n:02}")],
                changed: Some((n * 7 % 30) * 1_000_000),
                version: 0,
            });
            let habits = Habits { ignores_filter, ignores_order, page: 6, ..Habits::new(protocol) };
            let s = service(rows.collect(), habits, 6, true);
            let (_, error) = events(&s.service, ReadRequest::incremental("Items")).await;
            assert_eq!(error.expect("no silent loss").kind(), ErrorKind::Protocol);
        }
    }
}

#[tokio::test]
async fn a_limit_leaves_the_rest_to_the_next_read() {
    for protocol in BOTH {
        let mut random = Random(3);
        let habits = Habits { page: 4, ..Habits::new(protocol) };
        let s = service(crowd(30, 1, 30_000, &mut random), habits, 5, true);
        let (mut cursor, mut found) = (None, BTreeSet::new());
        for _ in 0..40 {
            let request = ReadRequest::incremental("Items").with_limit(3).with_cursor(cursor);
            let all = read(&s.service, request).await;
            let part = keys(&all, 1);
            assert!(part.len() <= 3);
            found.extend(part);
            cursor = cursors(&all).pop();
            if found.len() == 30 {
                break;
            }
        }
        assert_eq!(found.len(), 30, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_cursor_of_the_other_mode_or_of_another_field_is_refused() {
    let rows = vec![Row { key: vec!["a".into()], changed: Some(5), version: 0 }];
    let s = service(rows, Habits::new(Protocol::V4), 10, true);
    let full = cursors(&read(&s.service, ReadRequest::full("Items")).await).pop();
    let changes = cursors(&read(&s.service, ReadRequest::incremental("Items")).await).pop();
    for request in [
        ReadRequest::incremental("Items").with_cursor(full),
        ReadRequest::full("Items").with_cursor(changes.clone()),
        ReadRequest::incremental("Others").with_cursor(changes.clone()),
    ] {
        let (_, error) = events(&s.service, request).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Config);
    }
    let mut other = options(Protocol::V4);
    other.change_fields.insert("Items".into(), "Version".into());
    let service = connect(other, &s.transport);
    let (_, error) = events(&service, ReadRequest::incremental("Items").with_cursor(changes)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::CursorExpired);
    assert!(s.transport.sent().iter().all(|sent| sent.request.url().as_str().starts_with(BASE)));
}
