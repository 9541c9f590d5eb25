//! CSV files from outside, in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use acople_core::{
    Batch, BatchBuilder, Change, Connector, Context, Cursor, Error, ErrorKind, Event, Outcome, ReadMode,
    ReadRequest, Resources, WriteMode, WriteReport, WriteRequest,
};
use acople_file::VENDOR;
use acople_testkit::ScriptedTransport;
use futures_util::StreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

struct Folder {
    dir: tempfile::TempDir,
    files: Arc<dyn Connector>,
}

fn connect(mut config: Value, directory: &std::path::Path) -> acople_core::Result<Arc<dyn Connector>> {
    config["directory"] = json!(directory);
    (VENDOR.connect)(config, Resources::new(Arc::new(ScriptedTransport::new([]))))
}

impl Folder {
    /// A connection with this config besides the folder.
    fn new(config: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = connect(config, dir.path()).unwrap();
        Self { dir, files }
    }

    fn with(config: Value, content: impl AsRef<[u8]>) -> Self {
        let folder = Self::new(config);
        folder.put(content);
        folder
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s.csv")
    }

    fn put(&self, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(), content).unwrap();
    }

    fn content(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    async fn events(&self, request: ReadRequest) -> (Vec<Event>, Option<Error>) {
        let (mut events, mut error) = (Vec::new(), None);
        let mut stream = self.files.read(&Context::new(), request).unwrap();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => events.push(event),
                Err(e) => error = Some(e),
            }
        }
        (events, error)
    }

    async fn read(&self, request: ReadRequest) -> Vec<Event> {
        let (events, error) = self.events(request).await;
        assert!(error.is_none(), "{error:?}");
        events
    }

    async fn full(&self) -> Vec<String> {
        records(&self.read(ReadRequest::full("s")).await)
    }

    async fn try_write(&self, batch: Batch) -> acople_core::Result<WriteReport> {
        self.files.write(&Context::new(), WriteRequest::new(WriteMode::Insert, batch)).await
    }

    async fn write(&self, records: &[&str]) -> Vec<bool> {
        let report = self.try_write(Batch::from_records("s", records).unwrap()).await.unwrap();
        report.outcomes().iter().map(Outcome::is_accepted).collect()
    }
}

fn csv() -> Value {
    json!({ "format": "csv" })
}

/// The records that can be read.
fn records(events: &[Event]) -> Vec<String> {
    let rest = |batch: &Batch| batch.unreadable().map_or(batch.clone(), |u| u.rest);
    batches(events).flat_map(|b| rest(b).iter().map(|r| r.raw().to_owned()).collect::<Vec<_>>()).collect()
}

/// The errors of those that cannot, and their texts.
fn refused(events: &[Event]) -> Vec<(Error, String)> {
    let told = |batch: &Batch| -> Vec<(Error, String)> {
        let refused = batch.unreadable().map(|u| u.refused).unwrap_or_default();
        refused.into_iter().map(|r| (r.error, batch.get(r.index).unwrap().raw().to_owned())).collect()
    };
    batches(events).flat_map(told).collect()
}

fn batches(events: &[Event]) -> impl Iterator<Item = &Batch> {
    events.iter().filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None })
}

fn last_cursor(events: &[Event]) -> Option<Cursor> {
    events.iter().rev().find_map(|e| if let Event::Checkpoint(c) = e { Some(c.clone()) } else { None })
}

#[tokio::test]
async fn body_14_line_ends_and_quotes_in_cells_and_another_order_of_columns() {
    let folder = Folder::with(csv(), "id,name,note\n1,\"Acme, \"\"Inc\"\"\",\"two\r\nlines\n\"\n");
    assert_eq!(folder.full().await, [r#"{"id":"1","name":"Acme, \"Inc\"","note":"two\r\nlines\n"}"#]);
    folder.put("note,id,name\n=1+1,2,Bo\n");
    assert_eq!(folder.full().await, [r#"{"note":"=1+1","id":"2","name":"Bo"}"#]);
    // What is appended goes by the names, too.
    folder.write(&[r#"{"id":"3","name":"Cy","note":"x"}"#]).await;
    assert!(folder.content().ends_with("\nx,3,Cy\r\n"));
}

#[tokio::test]
async fn body_14_formulas_are_escaped_when_a_spreadsheet_opens_the_file() {
    let cells = ["=1", "+1", "-1", "@x", "\tx", "\rx", "a=1", ""];
    let rows: Vec<String> = cells.iter().map(|cell| json!({ "id": "1", "a": cell }).to_string()).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let folder = Folder::new(json!({ "format": "csv", "csv": { "spreadsheet": true } }));
    folder.write(&rows).await;
    let cells = ["'=1", "'+1", "'-1", "'@x", "\"'\tx\"", "\"'\rx\"", "a=1", ""];
    let expected = format!("id,a\r\n{}", cells.map(|cell| format!("1,{cell}\r\n")).concat());
    assert_eq!(folder.content(), expected);
    assert_eq!(folder.write(&[r#"{"id":"1","a":"=2"}"#]).await, [true]);
    assert!(folder.content().ends_with("1,'=2\r\n"), "in an append, too");
    let other = Folder::new(json!({ "format": "csv", "csv": { "spreadsheet": true } }));
    assert_eq!(other.write(&[r#"{"=id":"1"}"#, r#"{"id":"1"}"#]).await, [false, true], "nor in a header row");
    let plain = Folder::new(csv());
    plain.write(&rows).await;
    assert!(plain.content().starts_with("id,a\r\n1,=1\r\n1,+1\r\n"), "programs get what was written");
}

#[tokio::test]
async fn every_way_to_end_a_row_is_accepted() {
    for content in [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\r1,2\r3,4",
        "\u{feff}a,b\n\n1,2\r\n\n3,4",
        "\n\na,b\n1,2\n3,4\n\n\n",
        "\u{feff}\"a\",\"b\"\n\"1\",\"2\"\n\"3\",\"4\"",
    ] {
        let folder = Folder::with(csv(), content);
        assert_eq!(folder.full().await, [r#"{"a":"1","b":"2"}"#, r#"{"a":"3","b":"4"}"#], "{content:?}");
    }
    for content in ["", "\n\n", "\u{feff}", "a,b", "a,b\n\n"] {
        let events = Folder::with(csv(), content).read(ReadRequest::full("s")).await;
        assert!(
            records(&events).is_empty() && matches!(events.last(), Some(Event::SnapshotEnd)),
            "{content:?}"
        );
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_refused_alone_with_line_and_column() {
    let config = json!({ "format": "csv", "streams": { "s": { "types": { "n": "number", "ok": "boolean", "j": "json" } } } });
    let text = b"id,n,ok,j\n1,1.50,true,\"[1,\n2]\"\n2,x,true,1\n3,1\n4,1,yes,1\n5,1,true,1,6\n6,1,true,{\n\"\xff\",1,true,1\n\"8\"x,1,true,1\n9,,,\n";
    let folder = Folder::with(config, text);
    for size in [1, 2, 100] {
        let events = folder.read(ReadRequest::full("s").with_page_size(size)).await;
        let good = [
            "{\"id\":\"1\",\"n\":1.50,\"ok\":true,\"j\":[1,\n2]}",
            r#"{"id":"9","n":null,"ok":null,"j":null}"#,
        ];
        assert_eq!(records(&events), good);
        let told = refused(&events);
        let places: Vec<(&str, Vec<String>)> =
            told.iter().map(|(e, _)| (e.record().unwrap(), e.fields().to_vec())).collect();
        let expected: Vec<(&str, Vec<String>)> = vec![
            ("s.csv:4", vec!["n".into()]),
            ("s.csv:5", vec!["ok".into()]),
            ("s.csv:6", vec!["ok".into()]),
            ("s.csv:7", vec![]),
            ("s.csv:8", vec!["j".into()]),
            ("s.csv:9", vec!["id".into()]),
            ("s.csv:10", vec![]),
        ];
        assert_eq!(places, expected);
        assert!(told.iter().all(|(e, _)| e.kind() == ErrorKind::Schema));
        assert_eq!(told[0].0.message(), "line 4 of s.csv has a cell that is no number (column `n`)");
        assert_eq!(told[1].0.message(), "line 5 of s.csv has 2 fields, the header has 4 (column `ok`)");
        assert_eq!(told[3].0.message(), "line 7 of s.csv has 5 fields, the header has 4");
        assert_eq!(told[3].1, r#"{"line":7,"row":"5,1,true,1,6"}"#);
        assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
    }
}

#[tokio::test]
async fn an_empty_cell_is_null_or_an_empty_text() {
    for (empty, expected) in
        [("null", r#"{"a":null,"n":null,"b":null}"#), ("text", r#"{"a":"","n":null,"b":""}"#)]
    {
        let config = json!({ "format": "csv", "csv": { "empty": empty }, "streams": { "s": { "types": { "n": "number" } } } });
        assert_eq!(Folder::with(config, "a,n,b\n,,\"\"\n").full().await, [expected]);
    }
}

#[tokio::test]
async fn other_encodings_are_refused_and_named() {
    let folder = Folder::new(csv());
    for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
        folder.put([&mark[..], b"a\0,\0"].concat());
        let (_, error) = folder.events(ReadRequest::full("s")).await;
        let error = error.unwrap();
        assert!(error.kind() == ErrorKind::Protocol && error.message().contains("UTF-16"), "{error:?}");
    }
    folder.put(b"id,Stra\xdfe\n1,2\n");
    let (_, error) = folder.events(ReadRequest::full("s")).await;
    assert_eq!(error.as_ref().map(|e| (e.kind(), e.record())), Some((ErrorKind::Protocol, Some("s.csv:1"))));
}

#[tokio::test]
async fn a_file_without_a_header_row_takes_its_columns_from_the_config() {
    let config = json!({ "format": "csv", "csv": { "header": false, "delimiter": ";" },
        "streams": { "s": { "columns": ["id", "name"], "key": ["id"] } } });
    let folder = Folder::with(config, "\u{feff}1;Ana\n2;\"B;o\"");
    folder.write(&[r#"{"name":"Cy","id":"3"}"#]).await;
    assert_eq!(folder.content(), "\u{feff}1;Ana\n2;\"B;o\"\r\n3;Cy\r\n");
    assert_eq!(
        folder.full().await,
        [r#"{"id":"1","name":"Ana"}"#, r#"{"id":"2","name":"B;o"}"#, r#"{"id":"3","name":"Cy"}"#]
    );
    std::fs::remove_file(folder.path()).unwrap();
    folder.write(&[r#"{"name":"Cy","id":"3"}"#]).await;
    assert_eq!(folder.content(), "3;Cy\r\n");
    let unnamed = Folder::with(json!({ "format": "csv", "csv": { "header": false } }), "1,2\n");
    let (_, error) = unnamed.events(ReadRequest::full("s")).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
    assert!(unnamed.try_write(Batch::from_records("s", ["{}"]).unwrap()).await.is_err());
}

fn rows(count: usize) -> (String, Vec<String>) {
    let cell =
        |n: usize| if n.is_multiple_of(3) { format!("é\r\n{}", "x".repeat(n * 5)) } else { "y".repeat(n) };
    let lines = (0..count).map(|n| format!("{n},\"{}\"", cell(n))).collect::<Vec<_>>();
    let records = (0..count).map(|n| format!("{{\"n\":\"{n}\",\"x\":{}}}", json!(cell(n)))).collect();
    (lines.join("\n"), records)
}

#[tokio::test]
async fn resuming_from_every_checkpoint_brings_the_rest_and_nothing_twice() {
    let (text, expected) = rows(57);
    for ending in ["\n", "\r\n", "\r"] {
        // Line ends within cells are the cells' own.
        let text = text.split("\"\n").collect::<Vec<_>>().join(&format!("\"{ending}"));
        let folder = Folder::with(
            json!({ "format": "csv", "csv": { "empty": "text" } }),
            format!("\u{feff}n,x{ending}{text}{ending}"),
        );
        for mode in [ReadMode::Full, ReadMode::Incremental] {
            for prefetch in [0, 8 << 20] {
                let request = || ReadRequest::new("s", mode).with_page_size(10).with_prefetch(prefetch);
                let events = folder.read(request()).await;
                assert_eq!(records(&events), expected);
                let mut before = 0;
                for event in &events {
                    match event {
                        Event::Batch(batch) => before += batch.len(),
                        Event::Checkpoint(cursor) => {
                            let stored = Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
                            let rest = folder.read(request().with_cursor(Some(stored))).await;
                            assert_eq!(records(&rest), expected[before..]);
                        }
                        _ => {}
                    }
                }
                assert_eq!(before, 57);
            }
        }
    }
}

#[tokio::test]
async fn lines_are_counted_on_behind_a_checkpoint() {
    let folder = Folder::with(csv(), "a,b\n1,\"x\ny\"\n\n2,2\n3\n");
    let events = folder.read(ReadRequest::full("s").with_limit(1)).await;
    let rest = folder.read(ReadRequest::full("s").with_cursor(last_cursor(&events))).await;
    assert_eq!(records(&rest), [r#"{"a":"2","b":"2"}"#]);
    assert_eq!(refused(&rest)[0].0.record(), Some("s.csv:6"));
}

#[tokio::test]
async fn an_incremental_read_leaves_a_row_that_may_still_grow() {
    let folder = Folder::new(csv());
    for (content, expected) in [
        ("a,b", 0),
        ("a,b\n1,An", 0),
        ("a,b\n1,Anastasia\n", 1),
        ("a,b\n1,Anastasia\n2,\"x\n", 0),
        ("a,b\n1,Anastasia\n2,\"x\ny\"\n3,", 1),
    ] {
        let before = if content.len() > 20 {
            last_cursor(&folder.read(ReadRequest::incremental("s")).await)
        } else {
            None
        };
        folder.put(content);
        let events = folder.read(ReadRequest::incremental("s").with_cursor(before)).await;
        assert_eq!(records(&events).len(), expected, "{content:?}");
        let told = events.iter().any(|e| matches!(e, Event::Warning(text) if text.contains("not complete")));
        assert_eq!(told, !content.ends_with("a\n"), "{content:?}");
    }
    // In a full read, a file cut off within quotes is never taken for whole.
    folder.put("a,b\n1,2\n3,\"x\n");
    let (events, error) = folder.events(ReadRequest::full("s")).await;
    assert_eq!(records(&events).len(), 1);
    let error = error.unwrap();
    assert_eq!((error.kind(), error.record()), (ErrorKind::Protocol, Some("s.csv:3")));
    assert!(!events.iter().any(|e| matches!(e, Event::SnapshotEnd)));
}

#[tokio::test]
async fn a_file_that_was_replaced_or_has_other_columns_expires_its_cursor() {
    let folder = Folder::with(csv(), format!("a,b\n{}", "1,2\n".repeat(3000)));
    let cursor = last_cursor(&folder.read(ReadRequest::incremental("s")).await);
    // The place of the cursor looks the same: the header row tells.
    for (header, kind) in [("a,b", None), ("b,a", Some(ErrorKind::CursorExpired))] {
        folder.put(format!("{header}\n{}3,4\n", "1,2\n".repeat(3000)));
        let request = ReadRequest::incremental("s").with_cursor(cursor.clone());
        let (events, error) = folder.events(request).await;
        assert_eq!(error.map(|e| e.kind()), kind);
        assert_eq!(records(&events).len(), usize::from(kind.is_none()));
    }
}

#[tokio::test]
async fn a_huge_cell_is_read_and_one_above_the_limit_is_not() {
    let wide = "x\n\"\"".repeat(400_000);
    let folder = Folder::with(csv(), format!("a,b\n1,2\n3,\"{wide}\"\n5,6\n"));
    let found = folder.full().await;
    assert_eq!((found.len(), found[1].len()), (3, r#"{"a":"3","b":""}"#.len() + 400_000 * 5));
    let small = Folder::new(json!({ "format": "csv", "csv": { "record_bytes": 1000 } }));
    for end in ["\n5,6\n", ""] {
        small.put(format!("a,b\n1,2\n3,\"{wide}\"{end}"));
        let (events, error) = small.events(ReadRequest::full("s")).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.record()), (ErrorKind::TooLarge, Some("s.csv:3")));
        assert_eq!(records(&events).len(), 1, "what stands before it is delivered");
    }
    std::fs::remove_file(small.path()).unwrap();
    let record = json!({ "a": "x".repeat(1000) }).to_string();
    assert_eq!(small.write(&[r#"{"a":"1"}"#, &record]).await, [true, false]);
}

#[tokio::test]
async fn batches_are_bounded_and_a_limit_is_kept() {
    let folder = Folder::with(csv(), format!("a\n{}", "1\n".repeat(2500)));
    let sizes = |events: &[Event]| batches(events).map(Batch::len).collect::<Vec<_>>();
    assert_eq!(sizes(&folder.read(ReadRequest::full("s")).await), [1000, 1000, 500]);
    for (limit, expected) in [(0, 0), (7, 7), (2500, 2500), (9999, 2500)] {
        let events = folder.read(ReadRequest::full("s").with_limit(limit)).await;
        assert_eq!(records(&events).len(), expected);
        let rest = folder.read(ReadRequest::full("s").with_cursor(last_cursor(&events))).await;
        assert_eq!(records(&rest).len(), 2500 - expected);
    }
    folder.put(format!("a\n{}", format!("{}\n", "x".repeat(400_000)).repeat(10)));
    let events = folder.read(ReadRequest::full("s")).await;
    assert!(batches(&events).all(|batch| batch.bytes() < 2 << 20));
    assert_eq!(records(&events).len(), 10);
}

#[tokio::test]
async fn only_the_fields_asked_for_come() {
    let folder = Folder::with(csv(), "id,name,x.y\n1,Ana,2\n");
    let request = ReadRequest::full("s").with_fields(["name", "/x.y", "nothing"]);
    assert_eq!(records(&folder.read(request).await), [r#"{"name":"Ana","x.y":"2"}"#]);
}

#[tokio::test]
async fn the_first_record_names_the_columns_and_later_unknown_ones_are_refused() {
    let folder = Folder::new(csv());
    let mut builder = BatchBuilder::new("s");
    for (change, text) in [
        (Change::Upsert, "{}"),
        (Change::Upsert, r#"{"":1}"#),
        (Change::Delete, r#"{"gone":1}"#),
        (Change::Upsert, r#"{"id":"1","tags":["a",1],"n":1.50}"#),
        (Change::Upsert, r#"{"id":"2","other":1}"#),
        (Change::Upsert, "[3]"),
        (Change::Upsert, r#"{"n":null,"id":"4"}"#),
    ] {
        let raw = |writer: &mut acople_core::json::Writer| {
            writer.raw(text);
            Ok(())
        };
        builder.push(change, raw).unwrap();
    }
    let report = folder.try_write(builder.finish().unwrap()).await.unwrap();
    let accepted: Vec<bool> = report.outcomes().iter().map(Outcome::is_accepted).collect();
    assert_eq!(accepted, [false, false, false, true, false, false, true]);
    assert_eq!(report.outcomes()[4].error().unwrap().fields(), ["other"]);
    assert_eq!(folder.content(), "id,tags,n\r\n1,\"[\"\"a\"\",1]\",1.50\r\n4,,\r\n");
    assert_eq!(folder.write(&[r#"{"x":1}"#, r#"{"tags":"t"}"#]).await, [false, true]);
    assert!(folder.content().ends_with("4,,\r\n,t,\r\n"));
    // A batch of which nothing can be written leaves the file as it is.
    let before = folder.content();
    assert_eq!(folder.write(&[r#"{"x":1}"#]).await, [false]);
    assert_eq!(folder.content(), before);
}

#[tokio::test]
async fn columns_of_the_config_come_first_and_types_are_kept_to() {
    let config = json!({ "format": "csv", "streams": { "s": {
        "columns": ["id", "n", "ok"], "types": { "n": "number", "ok": "boolean" } } } });
    let folder = Folder::new(config);
    let rows = [
        r#"{"ok":true,"id":"1"}"#,
        r#"{"id":"2","n":"7"}"#,
        r#"{"id":"3","n":7,"ok":null}"#,
        r#"{"ok":"true"}"#,
    ];
    assert_eq!(folder.write(&rows).await, [true, false, true, false]);
    assert_eq!(folder.content(), "id,n,ok\r\n1,,true\r\n3,7,\r\n");
    folder.put("id,n\n1,2\n");
    let (_, error) = folder.events(ReadRequest::full("s")).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Schema, &["ok".to_owned()][..]));
}

#[tokio::test]
async fn a_crash_at_any_byte_of_a_write_leaves_whole_rows_only() {
    let folder = Folder::new(csv());
    folder.write(&[r#"{"id":"1","name":"Ana"}"#]).await;
    let accepted = folder.content();
    folder.write(&[r#"{"id":"2","name":"Bo \"x\"\n☃"}"#, r#"{"id":"3","name":"Anastasia"}"#]).await;
    let whole = std::fs::read(folder.path()).unwrap();
    let note = folder.dir.path().join(".s.csv.append");
    assert!(!note.exists(), "an append that ended leaves no note");
    for (from, kept) in [(accepted.len(), 1), (0, 0)] {
        for end in from..=whole.len() {
            folder.put(&whole[..end]);
            std::fs::write(&note, format!("{from} {}\n", whole.len())).unwrap();
            assert_eq!(folder.full().await.len(), kept, "a read stops before it");
            assert_eq!(folder.write(&[r#"{"id":"4","name":"Cy"}"#]).await, [true]);
            assert!(!note.exists());
            assert_eq!(folder.full().await.len(), kept + 1);
            assert_eq!(
                folder.content(),
                format!("{}4,Cy\r\n", if kept == 1 { &accepted } else { "id,name\r\n" })
            );
        }
    }
    // A note that a crash cut off was followed by no append.
    folder.put(&whole);
    for note_text in ["", "12", "12 4"] {
        std::fs::write(&note, note_text).unwrap();
        assert_eq!(folder.full().await.len(), 3);
    }
    assert_eq!(folder.write(&[r#"{"id":"4","name":"Cy"}"#]).await, [true]);
    assert_eq!((folder.full().await.len(), note.exists()), (4, false));
    // What others wrote behind it is not taken back.
    std::fs::write(&note, format!("{} {}\n", accepted.len(), accepted.len() + 3)).unwrap();
    let before = folder.content();
    let error = folder.try_write(Batch::from_records("s", [r#"{"id":"5"}"#]).unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), folder.content()), (ErrorKind::Conflict, before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_appends_and_writers_do_not_mix_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let config = || json!({ "format": "csv", "durable": false });
    let folder = Folder { files: connect(config(), dir.path()).unwrap(), dir };
    let other = connect(config(), folder.dir.path()).unwrap();
    let tasks = (0..4).map(|task| {
        let files = if task % 2 == 0 { folder.files.clone() } else { other.clone() };
        tokio::spawn(async move {
            for n in 0..10 {
                let rows: Vec<String> =
                    (0..20).map(|k| json!({ "t": task, "n": n, "k": k }).to_string()).collect();
                let request = WriteRequest::new(WriteMode::Insert, Batch::from_records("s", &rows).unwrap());
                assert!(files.write(&Context::new(), request).await.unwrap().is_complete());
            }
        })
    });
    let tasks = tasks.collect::<Vec<_>>();
    for _ in 0..20 {
        let (events, error) = folder.events(ReadRequest::full("s")).await;
        let kind = error.as_ref().map(Error::kind);
        assert!(matches!(kind, None | Some(ErrorKind::NotFound | ErrorKind::Transient)), "{error:?}");
        assert!(refused(&events).is_empty());
        assert!(records(&events).len().is_multiple_of(20));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(folder.full().await.len(), 800);
}

#[tokio::test]
async fn without_a_format_the_extension_tells() {
    let folder = Folder::with(
        json!({ "streams": { "s": { "key": ["i.d"], "types": { "n": "number" } } } }),
        "i.d,n\n1,2\n",
    );
    std::fs::write(folder.dir.path().join("t.jsonl"), "{\"a\":1}\n").unwrap();
    assert_eq!(folder.full().await, [r#"{"i.d":"1","n":2}"#]);
    assert_eq!(records(&folder.read(ReadRequest::full("t")).await), [r#"{"a":1}"#]);
    let catalog = folder.files.discover(&Context::new()).await.unwrap();
    let names: Vec<&str> = catalog.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["s", "t"]);
    let stream = catalog.stream("s").unwrap();
    assert_eq!(stream.key[0].segments(), [Box::from("i.d")]);
    assert_eq!(stream.schema["properties"]["n"]["type"], json!(["number", "null"]));
    assert_eq!(stream.schema["properties"]["i.d"]["type"], json!(["string", "null"]));
    let request = WriteRequest::new(WriteMode::Insert, Batch::from_records("new", [r#"{"a":1}"#]).unwrap());
    folder.files.write(&Context::new(), request).await.unwrap();
    assert!(folder.dir.path().join("new.jsonl").exists());
    std::fs::write(folder.dir.path().join("s.jsonl"), "").unwrap();
    let (_, error) = folder.events(ReadRequest::full("s")).await;
    assert_eq!(error.unwrap().fields(), ["format"]);
    assert!(folder.files.discover(&Context::new()).await.is_err());
}

#[tokio::test]
async fn a_cursor_of_one_format_is_none_of_the_other() {
    let folder = Folder::with(json!({}), "a\n1\n");
    let cursor = last_cursor(&folder.read(ReadRequest::full("s")).await);
    std::fs::rename(folder.path(), folder.dir.path().join("s.jsonl")).unwrap();
    let (_, error) = folder.events(ReadRequest::full("s").with_cursor(cursor)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::CursorExpired);
}

#[test]
fn a_bad_config_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    for (config, field) in [
        (json!({ "format": "xml" }), "format"),
        (json!({ "csv": { "delimiter": "ab" } }), "csv.delimiter"),
        (json!({ "csv": { "delimiter": "\"" } }), "csv.delimiter"),
        (json!({ "csv": { "delimiter": "é" } }), "csv.delimiter"),
        (json!({ "csv": { "encoding": "latin1" } }), "csv.encoding"),
        (json!({ "csv": { "empty": "nil" } }), "csv.empty"),
        (json!({ "csv": { "record_bytes": 0 } }), "csv.record_bytes"),
        (json!({ "csv": { "quote": "'" } }), "csv.quote"),
        (json!({ "streams": { "s": { "columns": ["a", "a"] } } }), "streams.s.columns"),
        (json!({ "streams": { "s": { "columns": ["a"], "key": ["b"] } } }), "streams.s.key"),
        (json!({ "streams": { "s": { "columns": ["a"], "types": { "b": "text" } } } }), "streams.s.types"),
        (json!({ "streams": { "s": { "types": { "b": "date" } } } }), "streams.s.types.b"),
        (
            json!({ "csv": { "spreadsheet": true }, "streams": { "s": { "columns": ["=a"] } } }),
            "streams.s.columns",
        ),
    ] {
        let error = connect(config, dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.fields().iter().any(|f| f == field), "{field}: {error:?}");
    }
}

#[test]
fn the_schema_of_the_config_has_every_setting() {
    let schema = (VENDOR.config_schema)().to_string();
    for name in [
        "format",
        "delimiter",
        "header",
        "encoding",
        "empty",
        "spreadsheet",
        "record_bytes",
        "key",
        "columns",
        "types",
    ] {
        assert!(schema.contains(&format!("\"{name}\"")), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(
        rows in prop::collection::vec(("[ a,;\"\n\r\t'=\u{feff}é☃]{0,8}", any::<i64>(), "\\PC{0,6}"), 1..20),
        delimiter in prop::sample::select(vec![",", ";", "\t", "|"]),
        size in 1_u32..5,
    ) {
        let written: Vec<String> =
            rows.iter().map(|(a, n, j)| json!({ "a": a, "j": [j, n], "n": n }).to_string()).collect();
        let config = json!({ "format": "csv", "durable": false,
            "csv": { "delimiter": delimiter, "empty": "text" },
            "streams": { "s": { "types": { "n": "number", "j": "json" } } } });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new(config);
            for part in written.chunks(7) {
                let part: Vec<&str> = part.iter().map(String::as_str).collect();
                assert!(folder.write(&part).await.iter().all(|accepted| *accepted));
            }
            let events = folder.read(ReadRequest::full("s").with_page_size(size)).await;
            assert_eq!(records(&events), written);
        });
    }
}
