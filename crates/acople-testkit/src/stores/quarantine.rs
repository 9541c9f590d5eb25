//! The promises of a quarantine store.

use std::time::{Duration, SystemTime};

use acople_core::{Error, ErrorKind, QuarantineStore, Quarantined, Stage, StateKey};
use futures_util::future::join_all;

use super::{WRITERS, panic_with};

/// Checks the promises of [`QuarantineStore`].
///
/// # Panics
/// When the store breaks one.
pub async fn quarantine_store(store: &dyn QuarantineStore) {
    records_come_back_whole(store).await;
    records_are_listed_in_pages(store).await;
    the_same_id_replaces(store).await;
    records_are_removed(store).await;
    racing_puts_are_all_kept(store).await;
}

async fn records_come_back_whole(store: &dyn QuarantineStore) {
    assert_eq!(store.count(None).await.expect("count"), 0, "the suite wants an empty store");
    store.put(&[]).await.expect("putting nothing");
    let mut record = quarantined("whole", "id");
    record.key = record.key.with_tenant("acme").with_partition("de");
    record.deleted = true;
    store.put(std::slice::from_ref(&record)).await.expect("put");
    let listed = store.list(Some("whole"), None, 10).await.expect("list");
    let [back] = listed.as_slice() else { panic_with(&format!("{} records instead of 1", listed.len())) };
    assert_eq!((&back.id, &back.key, &back.run), (&record.id, &record.key, &record.run));
    assert_eq!(
        (back.position, back.stage, back.deleted, back.at),
        (record.position, record.stage, true, record.at)
    );
    assert_eq!(back.attempts, record.attempts, "how often it was tried");
    assert_eq!(back.record, record.record, "the record's text");
    assert_eq!(back.error.to_string(), record.error.to_string(), "the error");
    assert_eq!((back.error.kind(), back.error.fields()), (record.error.kind(), record.error.fields()));
    store.remove(std::slice::from_ref(&record.id)).await.expect("remove");
}

async fn records_are_listed_in_pages(store: &dyn QuarantineStore) {
    // Not in id order, and two syncs by turns.
    let records: Vec<Quarantined> = (0..30_u32)
        .map(|n| quarantined(if n % 3 == 0 { "paged" } else { "paged2" }, &format!("page-{:02}", n * 7 % 30)))
        .collect();
    store.put(&records).await.expect("put");
    for (sync, expected) in [(Some("paged"), 10), (Some("paged2"), 20), (None, 30)] {
        let mut wanted: Vec<&str> =
            records.iter().filter(|r| sync.is_none_or(|s| s == r.key.sync)).map(|r| r.id.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(wanted.len(), expected);
        assert_eq!(store.count(sync).await.expect("count"), expected as u64, "count of {sync:?}");
        for limit in [1, 7, 10, 100] {
            let mut seen: Vec<String> = Vec::new();
            loop {
                let page = store.list(sync, seen.last().map(String::as_str), limit).await.expect("list");
                assert!(page.len() <= limit, "a page is longer than its limit");
                if page.is_empty() {
                    break;
                }
                seen.extend(page.into_iter().map(|r| r.id));
                assert!(seen.len() <= wanted.len(), "paging does not end");
            }
            assert_eq!(seen, wanted, "pages of {limit} of {sync:?}");
        }
        assert!(store.list(sync, None, 0).await.expect("list").is_empty(), "limit 0");
        assert!(store.list(sync, Some("zzz"), 10).await.expect("list").is_empty(), "after the last id");
        let after = store.list(sync, Some("page-"), 100).await.expect("list");
        assert_eq!(after.len(), expected, "an id that is not there is a place in the order, too");
    }
    assert!(store.list(Some("page"), None, 10).await.expect("list").is_empty(), "a sync is not a prefix");
    let ids: Vec<String> = records.into_iter().map(|r| r.id).collect();
    store.remove(&ids).await.expect("remove");
}

async fn the_same_id_replaces(store: &dyn QuarantineStore) {
    let mut again = quarantined("replaced", "same");
    "{\"second\":true}".clone_into(&mut again.record);
    store.put(&[quarantined("replaced", "same"), quarantined("replaced", "other")]).await.expect("put");
    store.put(&[again]).await.expect("put again");
    assert_eq!(store.count(Some("replaced")).await.expect("count"), 2, "the same id is counted twice");
    let listed = store.list(Some("replaced"), Some("other"), 10).await.expect("list");
    let texts: Vec<&str> = listed.iter().map(|r| r.record.as_str()).collect();
    assert_eq!(texts, ["{\"second\":true}"], "the later record replaces the earlier one");
    store.remove(&["same".to_owned(), "other".to_owned()]).await.expect("remove");
}

async fn records_are_removed(store: &dyn QuarantineStore) {
    store
        .put(&[quarantined("gone", "a"), quarantined("gone", "b"), quarantined("gone", "c")])
        .await
        .expect("put");
    store
        .remove(&["a".to_owned(), "unknown".to_owned(), "c".to_owned()])
        .await
        .expect("unknown ids are ignored");
    store.remove(&[]).await.expect("removing nothing");
    let left: Vec<String> =
        store.list(None, None, 10).await.expect("list").into_iter().map(|r| r.id).collect();
    assert_eq!(left, ["b"], "what is left after the removal");
    assert_eq!(store.count(Some("gone")).await.expect("count"), 1);
    store.remove(&["b".to_owned()]).await.expect("remove");
    assert_eq!(store.count(None).await.expect("count"), 0);
}

async fn racing_puts_are_all_kept(store: &dyn QuarantineStore) {
    let batches: Vec<[Quarantined; 2]> = (0..WRITERS)
        .map(|n| [quarantined("crowd", &format!("a{n}")), quarantined("crowd", &format!("b{n}"))])
        .collect();
    for put in join_all(batches.iter().map(|batch| store.put(batch))).await {
        put.expect("put in a crowd");
    }
    assert_eq!(store.count(Some("crowd")).await.expect("count"), 2 * WRITERS, "records were lost in a crowd");
    let ids: Vec<String> = batches.into_iter().flatten().map(|r| r.id).collect();
    store.remove(&ids).await.expect("remove");
}

fn quarantined(sync: &str, id: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        key: StateKey::new(sync, "contacts"),
        run: "run 1".to_owned(),
        position: 42,
        stage: Stage::Write,
        error: Error::new(ErrorKind::Invalid, "property does not exist")
            .with_code("NO_SUCH")
            .with_field("emial"),
        record: "{\"email\": \"a@example.com\", \"emial\": \"\\u0000ü\", \"amount\": 1.10}".to_owned(),
        deleted: false,
        attempts: 2,
        at: SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 5),
    }
}
