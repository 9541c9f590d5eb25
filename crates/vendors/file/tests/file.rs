//! The connector from outside, on files of a temporary folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use acople_core::{
    Batch, BatchBuilder, Change, Connector, Context, Cursor, Error, ErrorKind, Event, Outcome, ReadMode,
    ReadRequest, Resources, WriteMode, WriteReport, WriteRequest,
};
use acople_file::{Config, Files, VENDOR};
use acople_testkit::ScriptedTransport;
use futures_util::StreamExt;
use serde_json::json;

struct Folder {
    dir: tempfile::TempDir,
    files: Files,
}

fn resources() -> Resources {
    Resources::new(Arc::new(ScriptedTransport::new([])))
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(Config::new(dir.path()), &resources()).unwrap();
        Self { dir, files }
    }

    fn with(stream: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.put(stream, content);
        folder
    }

    fn path(&self, stream: &str) -> PathBuf {
        self.files.path(stream).unwrap()
    }

    fn put(&self, stream: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(stream), content).unwrap();
    }

    fn add(&self, stream: &str, content: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(stream)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    fn content(&self, stream: &str) -> String {
        std::fs::read_to_string(self.path(stream)).unwrap()
    }

    async fn events(&self, request: ReadRequest) -> (Vec<Event>, Option<Error>) {
        let (mut events, mut error) = (Vec::new(), None);
        match self.files.read(&Context::new(), request) {
            Ok(mut stream) => {
                while let Some(event) = stream.next().await {
                    match event {
                        Ok(event) => events.push(event),
                        Err(e) => error = Some(e),
                    }
                }
            }
            Err(e) => error = Some(e),
        }
        (events, error)
    }

    async fn read(&self, request: ReadRequest) -> Vec<Event> {
        let (events, error) = self.events(request).await;
        assert!(error.is_none(), "{error:?}");
        events
    }

    async fn write(&self, batch: Batch) -> WriteReport {
        self.files.write(&Context::new(), WriteRequest::new(WriteMode::Insert, batch)).await.unwrap()
    }
}

fn records(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None })
        .flat_map(|batch| batch.iter().map(|r| r.raw().to_owned()).collect::<Vec<_>>())
        .collect()
}

fn last_cursor(events: &[Event]) -> Option<Cursor> {
    events.iter().rev().find_map(|e| if let Event::Checkpoint(c) = e { Some(c.clone()) } else { None })
}

fn batch(records: &[&str]) -> Batch {
    Batch::from_records("s", records).unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_back_byte_by_byte() {
    let folder = Folder::new();
    let written = [
        r#"{"id":"1","amount":12.30,"big":9007199254740993}"#,
        r#"{"id":"2","text":"line\nbreak \u2028 ☃"}"#,
    ];
    let report = folder.write(batch(&written)).await;
    assert!(report.is_complete());
    let events = folder.read(ReadRequest::full("s")).await;
    assert_eq!(records(&events), written);
    assert!(matches!(events.first(), Some(Event::SnapshotBegin)));
    assert!(matches!(events.last(), Some(Event::SnapshotEnd)));
}

#[tokio::test]
async fn a_record_is_one_line_whatever_white_space_it_came_with() {
    let folder = Folder::new();
    folder.write(batch(&["{\r\n  \"id\": \"1\",\n\t\"a\": [1,\n2]\n}", "{}"])).await;
    let content = folder.content("s");
    assert_eq!(content.lines().count(), 2);
    assert!(!content.contains('\r'));
    let first: serde_json::Value = serde_json::from_str(content.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({ "id": "1", "a": [1, 2] }));
}

#[tokio::test]
async fn every_way_to_end_a_line_is_accepted() {
    for content in [
        "{\"a\":1}\n{\"a\":2}\n",
        "{\"a\":1}\r\n{\"a\":2}\r\n",
        "\u{feff}{\"a\":1}\n\n  \n{\"a\":2}",
        "\u{feff} {\"a\":1} \n\t{\"a\":2}\r",
        "\n\n{\"a\":1}\n{\"a\":2}\n\n\n",
    ] {
        let folder = Folder::with("s", content);
        let events = folder.read(ReadRequest::full("s")).await;
        assert_eq!(records(&events), ["{\"a\":1}", "{\"a\":2}"], "{content:?}");
    }
    for content in ["", "\n\n", "\u{feff}"] {
        let events = Folder::with("s", content).read(ReadRequest::full("s")).await;
        assert!(
            records(&events).is_empty() && matches!(events.last(), Some(Event::SnapshotEnd)),
            "{content:?}"
        );
    }
}

#[tokio::test]
async fn a_bad_line_stops_the_read_and_is_named_and_what_stands_before_it_is_delivered() {
    for bad in ["{\"a\":}", "[1]", "42", "not json", "{\"a\":1}{\"b\":2}"] {
        let folder = Folder::with("s", format!("{{\"a\":1}}\n{{\"a\":2}}\n{bad}\n{{\"a\":4}}\n"));
        let (events, error) = folder.events(ReadRequest::full("s")).await;
        assert_eq!(records(&events), ["{\"a\":1}", "{\"a\":2}"]);
        let error = error.unwrap();
        assert_eq!((error.kind(), error.record()), (ErrorKind::Schema, Some("s.jsonl:3")), "{bad}");
        assert!(!error.to_string().contains("not json"), "the line itself is not told");
        assert!(!events.iter().any(|e| matches!(e, Event::SnapshotEnd)));
        // The checkpoint stands before the bad line: once it is mended, the read goes on there.
        folder.put("s", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
        let rest = folder.read(ReadRequest::full("s").with_cursor(last_cursor(&events))).await;
        assert_eq!(records(&rest), ["{\"a\":3}", "{\"a\":4}"]);
    }
}

#[tokio::test]
async fn body_08_bytes_that_are_not_utf_8_spoil_their_record_only() {
    let text = b"\xef\xbb\xbf{\"a\":\"\xff\"}\n{\"a\":1}\n {\"a\":\"\xc3\"}\n{\"a\":\"z\"}\n";
    let folder = Folder::with("s", text);
    for request in [ReadRequest::full("s"), ReadRequest::full("s").with_fields(["a"])] {
        let events = folder.read(request).await;
        let batches =
            events.iter().filter_map(|e| if let Event::Batch(batch) = e { Some(batch) } else { None });
        let batches: Vec<&Batch> = batches.collect();
        let unreadable = batches[0].unreadable().unwrap();
        assert_eq!(unreadable.places, [1, 3]);
        let rest: Vec<_> = unreadable.rest.iter().map(acople_core::Record::raw).collect();
        assert_eq!(rest, ["{\"a\":1}", "{\"a\":\"z\"}"]);
    }
    // Outside of a text they are no JSON either.
    let folder = Folder::with("s", b"{\"a\":1}\n{\"a\":\xff}\n");
    let (events, error) = folder.events(ReadRequest::full("s")).await;
    assert_eq!(records(&events).len(), 1);
    assert_eq!(error.unwrap().record(), Some("s.jsonl:2"));
}

#[tokio::test]
async fn a_last_line_that_is_cut_off_is_never_taken_for_the_end() {
    let folder = Folder::with("s", "{\"a\":1}\n{\"a\":2}\n{\"a\":");
    let (events, error) = folder.events(ReadRequest::full("s")).await;
    assert_eq!(records(&events).len(), 2);
    let error = error.unwrap();
    assert_eq!((error.kind(), error.record()), (ErrorKind::Protocol, Some("s.jsonl:3")));

    let events = folder.read(ReadRequest::incremental("s")).await;
    assert_eq!(records(&events).len(), 2);
    assert!(events.iter().any(|e| matches!(e, Event::Warning(text) if text.contains("not complete"))));
    folder.add("s", "3}\n{\"a\":4}\n");
    let rest = folder.read(ReadRequest::incremental("s").with_cursor(last_cursor(&events))).await;
    assert_eq!(records(&rest), ["{\"a\":3}", "{\"a\":4}"]);
}

#[tokio::test]
async fn an_incremental_read_brings_what_was_appended() {
    let folder = Folder::new();
    folder.write(batch(&["{\"a\":1}"])).await;
    let first = folder.read(ReadRequest::incremental("s")).await;
    assert_eq!(records(&first), ["{\"a\":1}"]);
    let cursor = last_cursor(&first);
    let nothing = folder.read(ReadRequest::incremental("s").with_cursor(cursor.clone())).await;
    assert!(records(&nothing).is_empty());
    assert_eq!(last_cursor(&nothing), cursor);
    folder.write(batch(&["{\"a\":2}", "{\"a\":3}"])).await;
    let more = folder.read(ReadRequest::incremental("s").with_cursor(cursor)).await;
    assert_eq!(records(&more), ["{\"a\":2}", "{\"a\":3}"]);
    assert!(!more.iter().any(|e| matches!(e, Event::SnapshotBegin | Event::SnapshotEnd)));
}

#[tokio::test]
async fn resuming_from_every_checkpoint_brings_the_rest_and_nothing_twice() {
    let lines: Vec<String> =
        (0..57).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "é".repeat(n * 3))).collect();
    for ending in ["\n", "\r\n", "\n\n"] {
        for last in [ending, ""] {
            let folder = Folder::with("s", format!("\u{feff}{}{last}", lines.join(ending)));
            for mode in [ReadMode::Full, ReadMode::Incremental] {
                for prefetch in [0, 8 << 20] {
                    let request = || ReadRequest::new("s", mode).with_page_size(10).with_prefetch(prefetch);
                    let events = folder.read(request()).await;
                    assert_eq!(records(&events), lines);
                    let mut before = 0;
                    for event in &events {
                        match event {
                            Event::Batch(batch) => before += batch.len(),
                            Event::Checkpoint(cursor) => {
                                let stored = Cursor::from_json(&cursor.to_json().unwrap()).unwrap();
                                let rest = folder.read(request().with_cursor(Some(stored))).await;
                                assert_eq!(records(&rest), lines[before..]);
                                let framed = rest
                                    .iter()
                                    .any(|e| matches!(e, Event::SnapshotBegin | Event::SnapshotEnd));
                                assert!(!framed, "a resumed read claims no completeness");
                            }
                            _ => {}
                        }
                    }
                    assert_eq!(before, 57);
                }
            }
        }
    }
}

#[tokio::test]
async fn batches_are_bounded_by_count_and_bytes() {
    let folder = Folder::with("s", "{\"a\":1}\n".repeat(2500));
    let sizes = |events: &[Event]| -> Vec<usize> {
        events.iter().filter_map(|e| if let Event::Batch(b) = e { Some(b.len()) } else { None }).collect()
    };
    assert_eq!(sizes(&folder.read(ReadRequest::full("s")).await), [1000, 1000, 500]);
    assert_eq!(sizes(&folder.read(ReadRequest::full("s").with_page_size(2000)).await), [2000, 500]);
    let wide = format!("{{\"a\":\"{}\"}}\n", "x".repeat(400_000));
    folder.put("s", wide.repeat(10));
    let events = folder.read(ReadRequest::full("s")).await;
    for event in &events {
        assert!(!matches!(event, Event::Batch(b) if b.bytes() > 4 << 20));
    }
    assert_eq!(records(&events).len(), 10);
}

#[tokio::test]
async fn a_line_may_have_16_mib_and_not_more() {
    let line = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let limit = 16 << 20;
    let folder = Folder::with("s", format!("{{}}\n{}\n{{}}\n", line(limit)));
    assert_eq!(records(&folder.read(ReadRequest::full("s")).await).len(), 3);
    for ending in ["\n{}\n", ""] {
        folder.put("s", format!("{{}}\n{}{ending}", line(limit + 1)));
        let (events, error) = folder.events(ReadRequest::full("s")).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.record()), (ErrorKind::TooLarge, Some("s.jsonl:2")));
        assert_eq!(records(&events).len(), 1);
    }
    let folder = Folder::new();
    let report = folder.write(batch(&["{}", &line(limit + 1), &line(limit)])).await;
    assert_eq!(report.accepted(), 2);
    assert_eq!(report.outcomes()[1].error().unwrap().kind(), ErrorKind::TooLarge);
    assert_eq!(records(&folder.read(ReadRequest::full("s")).await).len(), 2);
}

#[tokio::test]
async fn a_limit_is_kept_and_claims_no_completeness() {
    let folder = Folder::with("s", "{\"a\":1}\n".repeat(30));
    for (limit, expected) in [(0, 0), (7, 7), (30, 30), (99, 30)] {
        let events = folder.read(ReadRequest::full("s").with_limit(limit).with_page_size(5)).await;
        assert_eq!(records(&events).len(), expected);
        assert!(!events.iter().any(|e| matches!(e, Event::SnapshotEnd)));
        let rest = folder.read(ReadRequest::full("s").with_cursor(last_cursor(&events))).await;
        assert_eq!(records(&rest).len(), 30 - expected);
    }
}

#[tokio::test]
async fn only_the_fields_asked_for_come() {
    let folder = Folder::with(
        "s",
        "{\"id\":\"1\",\"n\\u0061me\":\"Ana\",\"address\":{\"city\":\"Bonn\"},\"x\":1.50}\n{}\n",
    );
    let request = ReadRequest::full("s").with_fields(["name", "address.city", "x", "nothing"]);
    assert_eq!(
        records(&folder.read(request).await),
        ["{\"name\":\"Ana\",\"address\":{\"city\":\"Bonn\"},\"x\":1.50}", "{}"]
    );
}

#[tokio::test]
async fn a_file_that_was_truncated_or_replaced_expires_its_cursor() {
    let folder = Folder::with("s", "{\"a\":1}\n{\"a\":2}\n");
    for mode in [ReadMode::Full, ReadMode::Incremental] {
        folder.put("s", "{\"a\":1}\n{\"a\":2}\n");
        let cursor = last_cursor(&folder.read(ReadRequest::new("s", mode)).await);
        for content in ["", "{\"a\":1}\n", "{\"a\":1}\n{\"a\":7}\n", "{\"b\":1}\n{\"a\":2}\n{\"a\":3}\n"] {
            folder.put("s", content);
            let (_, error) = folder.events(ReadRequest::new("s", mode).with_cursor(cursor.clone())).await;
            assert_eq!(error.unwrap().kind(), ErrorKind::CursorExpired, "{content:?}");
        }
        // A copy with the same bytes, restored from a backup, is as good.
        std::fs::remove_file(folder.path("s")).unwrap();
        folder.put("s", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
        let rest = folder.read(ReadRequest::new("s", mode).with_cursor(cursor)).await;
        assert_eq!(records(&rest), ["{\"a\":3}"]);
    }
}

#[tokio::test]
async fn a_cursor_of_the_other_mode_or_stream_is_refused() {
    let folder = Folder::with("s", "{\"a\":1}\n");
    let cursor = last_cursor(&folder.read(ReadRequest::full("s")).await);
    for request in [ReadRequest::incremental("s"), ReadRequest::full("t")] {
        let (_, error) = folder.events(request.with_cursor(cursor.clone())).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_read_goes_to_where_the_file_ended_when_it_began() {
    let folder = Folder::with("s", "{\"a\":1}\n".repeat(20));
    let mut events = folder.files.read(&Context::new(), ReadRequest::full("s").with_page_size(5)).unwrap();
    let mut seen = 0;
    while let Some(event) = events.next().await {
        if let Event::Batch(batch) = event.unwrap() {
            seen += batch.len();
            folder.add("s", "{\"a\":2}\n");
        }
    }
    assert_eq!(seen, 20);
}

#[tokio::test]
async fn what_a_crash_left_is_cut_off_before_the_next_write() {
    for (left, kept) in [
        ("", vec![]),
        ("{\"a\":", vec![]),
        ("{\"a\":1}\n{\"a\":\"x", vec!["{\"a\":1}"]),
        ("{\"a\":1}\n{\"a\":2}", vec!["{\"a\":1}", "{\"a\":2}"]),
        ("{\"a\":2}", vec!["{\"a\":2}"]),
        ("{\"a\":1}\n\n{", vec!["{\"a\":1}"]),
        ("{\"a\":1}\n\u{feff}", vec!["{\"a\":1}"]),
    ] {
        let folder = Folder::with("s", left);
        assert!(folder.write(batch(&["{\"new\":1}"])).await.is_complete());
        let expected: Vec<&str> = kept.into_iter().chain(["{\"new\":1}"]).collect();
        assert_eq!(records(&folder.read(ReadRequest::full("s")).await), expected, "{left:?}");
        assert!(folder.content("s").ends_with("}\n"));
    }
}

#[tokio::test]
async fn a_crash_at_any_byte_of_a_write_loses_nothing_that_was_accepted() {
    let folder = Folder::new();
    folder.write(batch(&["{\"a\":1}", "{\"a\":\"zwei ☃\"}"])).await;
    let accepted = folder.content("s").len();
    folder.write(batch(&["{\"a\":3}", "{\"a\":\"vier ☃\"}"])).await;
    let whole = std::fs::read(folder.path("s")).unwrap();
    for end in accepted..=whole.len() {
        folder.put("s", &whole[..end]);
        folder.write(batch(&["{\"a\":5}"])).await;
        let found = records(&folder.read(ReadRequest::full("s")).await);
        assert_eq!(found[..2], ["{\"a\":1}", "{\"a\":\"zwei ☃\"}"]);
        assert_eq!(found.last().map(String::as_str), Some("{\"a\":5}"));
        assert!(found.len() <= 5);
    }
}

#[tokio::test]
async fn a_tail_too_long_to_be_ours_is_not_cut_off() {
    let folder = Folder::with("s", "x".repeat((16 << 20) + 1));
    let request = WriteRequest::new(WriteMode::Insert, batch(&["{}"]));
    let error = folder.files.write(&Context::new(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(std::fs::metadata(folder.path("s")).unwrap().len(), (16 << 20) + 1);
}

#[tokio::test]
async fn only_inserts_are_written() {
    let folder = Folder::new();
    for mode in [WriteMode::Update, WriteMode::Upsert, WriteMode::Delete] {
        let error =
            folder.files.write(&Context::new(), WriteRequest::new(mode, batch(&["{}"]))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    assert!(!folder.path("s").exists());
}

#[tokio::test]
async fn records_that_cannot_be_lines_are_refused_alone() {
    let folder = Folder::new();
    let mut builder = BatchBuilder::new("s");
    for (change, text) in [
        (Change::Upsert, "{\"a\":1}"),
        (Change::Delete, "{\"a\":2}"),
        (Change::Upsert, "[3]"),
        (Change::Upsert, "{\"a\":4}"),
    ] {
        builder
            .push(change, |writer| {
                writer.raw(text);
                Ok(())
            })
            .unwrap();
    }
    let report = folder.write(builder.finish().unwrap()).await;
    let accepted: Vec<bool> = report.outcomes().iter().map(Outcome::is_accepted).collect();
    assert_eq!(accepted, [true, false, false, true]);
    assert_eq!(folder.content("s"), "{\"a\":1}\n{\"a\":4}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_do_not_mix_their_lines() {
    let folder = Folder::new();
    // Two connectors on the same folder, as two processes would be.
    let other = Files::new(Config::new(folder.dir.path()), &resources()).unwrap();
    let tasks = (0..8).map(|task| {
        let files = if task % 2 == 0 { folder.files.clone() } else { other.clone() };
        tokio::spawn(async move {
            for n in 0..10 {
                let records: Vec<String> =
                    (0..20).map(|k| format!("{{\"t\":{task},\"n\":{n},\"k\":{k}}}")).collect();
                let batch = Batch::from_records("s", &records).unwrap();
                let report =
                    files.write(&Context::new(), WriteRequest::new(WriteMode::Insert, batch)).await.unwrap();
                assert!(report.is_complete());
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(records(&folder.read(ReadRequest::full("s")).await).len(), 1600);
}

#[tokio::test]
async fn url_09_stream_names_stay_in_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("in");
    let files = Files::new(Config::new(&inner), &resources()).unwrap();
    for name in ["../escaped", "..", "/tmp/acople-escaped", "a/../../escaped", "C:\\x", "a\0b"] {
        let records = Batch::from_records(name, ["{}"]).unwrap();
        let report =
            files.write(&Context::new(), WriteRequest::new(WriteMode::Insert, records)).await.unwrap();
        assert!(report.is_complete(), "{name:?}");
        assert_eq!(files.path(name).unwrap().parent(), Some(inner.as_path()));
    }
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1, "nothing beside the folder");
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 6, "each stream its own file");
    let mut found: Vec<String> =
        files.discover(&Context::new()).await.unwrap().streams.into_iter().map(|s| s.name).collect();
    found.sort();
    assert_eq!(found, ["..", "../escaped", "/tmp/acople-escaped", "C:\\x", "a\0b", "a/../../escaped"]);
    for name in [String::new(), "x".repeat(300)] {
        assert_eq!(files.path(&name).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn url_09_links_and_devices_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("secret.jsonl");
    std::fs::write(&target, "{\"secret\":1}\n").unwrap();
    let folder = Folder::new();
    std::os::unix::fs::symlink(&target, folder.path("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new.jsonl"), folder.path("dangling")).unwrap();
    std::fs::create_dir(folder.path("dir")).unwrap();
    std::process::Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap();
    for name in ["link", "dangling", "dir", "pipe"] {
        let (events, error) = folder.events(ReadRequest::full(name)).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Config, "{name}");
        assert!(records(&events).is_empty());
        let write = WriteRequest::new(WriteMode::Insert, Batch::from_records(name, ["{}"]).unwrap());
        assert_eq!(
            folder.files.write(&Context::new(), write).await.unwrap_err().kind(),
            ErrorKind::Config,
            "{name}"
        );
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "{\"secret\":1}\n");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(folder.files.discover(&Context::new()).await.unwrap().streams.is_empty());
}

#[tokio::test]
async fn discover_lists_files_and_what_can_be_done_with_them() {
    let folder = Folder::with("contacts", "{}\n");
    folder.put("orders 2026", "");
    std::fs::write(folder.dir.path().join("notes.txt"), "x").unwrap();
    std::fs::create_dir(folder.dir.path().join("sub.jsonl")).unwrap();
    let catalog = folder.files.discover(&Context::new()).await.unwrap();
    assert_eq!(
        catalog.streams.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["contacts", "orders 2026"]
    );
    let stream = catalog.stream("contacts").unwrap();
    assert!(stream.can_read(ReadMode::Full) && stream.can_read(ReadMode::Incremental));
    assert_eq!(stream.writes, [WriteMode::Insert]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_made_by_the_first_write() {
    let outer = tempfile::tempdir().unwrap();
    let files = Files::new(Config::new(outer.path().join("a/b")), &resources()).unwrap();
    let cx = Context::new();
    assert_eq!(files.check(&cx).await.unwrap().warnings.len(), 1);
    assert!(files.discover(&cx).await.unwrap().streams.is_empty());
    assert!(!outer.path().join("a").exists(), "looking makes nothing");
    let write = WriteRequest::new(WriteMode::Insert, batch(&["{}"]));
    assert!(files.write(&cx, write).await.unwrap().is_complete());
    let health = files.check(&cx).await.unwrap();
    assert_eq!((health.summary.as_str(), health.warnings.len()), ("1 streams", 0));
    std::fs::write(outer.path().join("file"), "").unwrap();
    let wrong = Files::new(Config::new(outer.path().join("file")), &resources()).unwrap();
    assert_eq!(wrong.check(&cx).await.unwrap_err().fields(), ["directory"]);
    let write = WriteRequest::new(WriteMode::Insert, batch(&["{}"]));
    assert!(wrong.write(&cx, write).await.is_err());
}

#[tokio::test]
async fn an_unknown_stream_is_not_found() {
    let (_, error) = Folder::new().events(ReadRequest::full("nothing")).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_caller_that_gave_up_is_served_no_more() {
    let folder = Folder::with("s", "{\"a\":1}\n".repeat(20));
    let cancel = acople_core::CancelToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let mut events = folder.files.read(&cx, ReadRequest::full("s").with_page_size(5)).unwrap();
    events.next().await.unwrap().unwrap();
    cancel.cancel();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    let write = WriteRequest::new(WriteMode::Insert, batch(&["{}"]));
    assert_eq!(folder.files.write(&cx, write).await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_bad_config_names_the_field() {
    let connect = |config| (VENDOR.connect)(config, resources());
    assert_eq!(connect(json!({ "directory": "x", "durable": false })).unwrap().info().id, "file");
    for (config, field) in [
        (json!({}), "directory"),
        (json!({ "directory": "" }), "directory"),
        (json!({ "directory": 7 }), "directory"),
        (json!({ "directory": "x", "durable": "yes" }), "durable"),
        (json!({ "directory": "x", "folder": "y" }), "folder"),
    ] {
        let error = connect(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.fields().iter().any(|f| f == field) || error.message().contains(field), "{error:?}");
    }
}

#[tokio::test]
async fn url_09_no_name_leaves_its_folder_and_each_has_its_own_file() {
    for (stream, file) in [
        ("contacts", "contacts.jsonl"),
        ("Konten ä", "Konten ä.jsonl"),
        ("a.b", "a.b.jsonl"),
        ("..", "%2E..jsonl"),
        (".", "%2E.jsonl"),
        (".hidden", "%2Ehidden.jsonl"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.jsonl"),
        ("/etc/passwd", "%2Fetc%2Fpasswd.jsonl"),
        ("a\\b", "a%5Cb.jsonl"),
        ("c:x", "c%3Ax.jsonl"),
        ("a%2Fb", "a%252Fb.jsonl"),
        ("a\0b\n", "a%00b%0A.jsonl"),
        (" a ", "%20a%20.jsonl"),
        ("NUL", "%4EUL.jsonl"),
        ("com1.x", "%63om1.x.jsonl"),
        ("common", "common.jsonl"),
        ("x.jsonl", "x.jsonl.jsonl"),
    ] {
        let folder = Folder::with(stream, "");
        assert_eq!(folder.path(stream), folder.dir.path().join(file));
        let catalog = folder.files.discover(&Context::new()).await.unwrap();
        assert_eq!(catalog.streams[0].name, stream, "and back");
    }
}

#[test]
fn names_that_make_no_file_are_refused() {
    let folder = Folder::new();
    for name in [String::new(), "x".repeat(250), "/".repeat(84)] {
        assert_eq!(folder.files.path(&name).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn files_that_are_not_ours_are_no_streams() {
    for file in
        ["a.json", ".jsonl", "a%2fb.jsonl", "a%.jsonl", "a%ZZ.jsonl", "a%41.jsonl", "a%FF.jsonl", ".a.jsonl"]
    {
        let folder = Folder::new();
        std::fs::write(folder.dir.path().join(file), "").unwrap();
        assert!(folder.files.discover(&Context::new()).await.unwrap().streams.is_empty(), "{file}");
    }
}
