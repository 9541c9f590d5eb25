//! Pages, envelopes and tables of cells.

use acople_core::json::{
    Cells, Envelope, Error, FieldPath, Page, Projection, Span, Writer, elements, members,
};
use acople_core::{Batch, ErrorKind};

use crate::{page, path, records, table};

#[test]
fn body_08_a_byte_order_mark_is_stripped_and_positions_count_after_it() {
    let marked = Page::from_bytes(b"\xef\xbb\xbf[1]".to_vec()).unwrap();
    assert_eq!(marked.as_str(), "[1]");
    assert_eq!(marked.len(), 3);
    assert_eq!(marked, page("[1]"));
    let split = Envelope::new(&[FieldPath::default()]).split(&marked).unwrap();
    assert_eq!(split.records, [Span { start: 1, end: 2 }]);
    assert_eq!(marked.text(Span { start: 1, end: 2 }), "1");
}

#[test]
fn body_08_invalid_utf8_is_refused_with_its_position_only() {
    let error = Page::from_bytes(b"[\"secret\xff\"]".to_vec()).unwrap_err();
    assert_eq!(error, Error::InvalidUtf8 { offset: 8 });
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn body_08_a_marked_page_remembers_where_it_is_no_text() {
    let text = b"\xef\xbb\xbf{\"n\":null,\"r\":[\"a\",\"\xff\xfe\",\"\xe2\x82\",\"?\"]}";
    let page = Page::from_bytes_marked(text.to_vec()).unwrap();
    assert_eq!(page.as_str(), r#"{"n":null,"r":["a","??","??","?"]}"#);
    let split = Envelope::new(&[path("r")]).split(&page).unwrap();
    let broken: Vec<bool> = split.records.iter().map(|span| page.is_broken(*span)).collect();
    assert_eq!(broken, [false, true, true, false]);
    assert!(page.is_broken(Span { start: 0, end: u32::MAX }));
    assert_eq!(page.broken().len(), 2, "neighbours are one place");
    // Without such bytes it is a page like any other.
    let whole = Page::from_bytes_marked(b"\xef\xbb\xbf[1]".to_vec()).unwrap();
    assert_eq!((whole.as_str(), whole.broken()), ("[1]", &[][..]));
    // What is mostly no text is none.
    let noise = Page::from_bytes_marked(b"a\xff".repeat(10_001));
    assert_eq!(noise, Err(Error::InvalidUtf8 { offset: 20_001 }));
}

#[test]
fn body_08_fields_of_a_record_that_is_no_text_are_refused_where_it_may_matter() {
    let text = b"[{\"id\":7,\"name\":\"\xff\",\"why\":\"?\"},{\"id\":8,\"why\":\"?\"}]";
    let page = Page::from_bytes_marked(text.to_vec()).unwrap();
    let split = Envelope::new(&[FieldPath::default()]).split(&page).unwrap();
    let batch = Batch::new("things", page, split.records);
    let field = |index: usize, name| batch.get(index).unwrap().get(&path(name)).map(|value| value.raw());
    assert_eq!(field(0, "id").unwrap(), "7");
    for name in ["name", "why", "gone"] {
        let error = field(0, name).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Schema, &[name.to_owned()][..]));
    }
    assert_eq!((field(1, "why").unwrap(), field(1, "gone").unwrap()), (r#""?""#, ""));
    assert_eq!(batch.select([0]).unreadable().unwrap().places, [0_usize; 0]);
    assert!(batch.select([1]).unreadable().is_none());
}

#[test]
fn a_span_outside_the_page_or_inside_a_letter_is_empty_text() {
    let page = page("\"é\"");
    assert_eq!(page.text(Span { start: 2, end: 4 }), "");
    assert_eq!(page.text(Span { start: 0, end: 40 }), "");
    assert_eq!(page.text(Span { start: 3, end: 1 }), "");
}

#[test]
fn debug_output_shows_no_record_content() {
    let page = page(r#"{"records":[{"secret":"secret","n":4711}],"next":"secret"}"#);
    let split = Envelope::new(&[path("records")]).with(path("next")).split(&page).unwrap();
    let projection = Projection::new([path("n"), path("/secret")]);
    let cells = Cells::project(&page, &split.records, &projection);
    let row = cells.row(0).unwrap();
    let text = row.get(1).as_text().unwrap();
    let printed = format!(
        "{page:?} {split:?} {cells:?} {row:?} {:?} {text:?} {:?} {:?} {:?}",
        row.get(1),
        row.get(0).as_number(),
        members(page.as_str()),
        elements(page.as_str()),
    );
    assert!(!printed.contains("secret") && !printed.contains("4711"), "{printed}");
}

#[test]
fn extras_are_found_before_behind_and_inside_the_records() {
    let page = page(r#"{"next":{"after":"n"},"d":{"results":[{"id":7},{"id":8}],"count":2},"total":2.0}"#);
    let envelope = ["next.after", "d.count", "total", "gone", "d.results.1.id", "d.results"]
        .iter()
        .fold(Envelope::new(&[path("d.results")]), |envelope, extra| envelope.with(path(extra)));
    let split = envelope.split(&page).unwrap();
    assert_eq!(split.records.len(), 2);
    let extras: Vec<&str> = (0..7).map(|i| split.extra(&page, i).raw()).collect();
    assert_eq!(extras, [r#""n""#, "2", "2.0", "", "8", r#"[{"id":7},{"id":8}]"#, ""]);
}

#[test]
fn the_first_candidate_that_is_present_wins_wherever_it_lies() {
    let at = ["results", "value", ""];
    assert_eq!(records(&page(r#"{"value":[1],"results":[2,3]}"#), &at).unwrap(), ["2", "3"]);
    assert_eq!(records(&page(r#"{"results":[2,3],"value":[1]}"#), &at).unwrap(), ["2", "3"]);
    assert_eq!(records(&page(r#"{"value":[1]}"#), &at).unwrap(), ["1"]);
    assert_eq!(records(&page(" [ 1 , {} ] "), &at).unwrap(), ["1", "{}"]);
    // What looked best at the time is gone at the end: the other one is cut after all.
    let replaced = page(r#"{"a":{"list":[1]},"b":[ 2 , 3 ],"a":0}"#);
    assert_eq!(records(&replaced, &["a.list", "b"]).unwrap(), ["2", "3"]);
    assert_eq!(records(&page(r#"{"a":[[1],[2]]}"#), &["a.1", "a"]).unwrap(), ["2"]);
}

#[test]
fn null_is_an_empty_page_and_nothing_is_an_error() {
    assert!(records(&page(r#"{"records":null}"#), &["records"]).unwrap().is_empty());
    assert!(records(&page(r#"{"records":[]}"#), &["records"]).unwrap().is_empty());
    assert_eq!(
        records(&page(r#"{"errors":[]}"#), &["records", "d.results"]),
        Err(Error::MissingRecords { path: "records, d.results".into() })
    );
    assert_eq!(
        records(&page(r#"{"records":{}}"#), &["records"]),
        Err(Error::RecordsNotArray { path: "records".into() })
    );
    assert_eq!(records(&page("{}"), &[""]), Err(Error::RecordsNotArray { path: "the root".into() }));
    for text in ["", " ", "<html>", r#"{"records":[1]"#, r#"{"records":[1]}}"#, r#"{"records":[1],}"#] {
        assert!(matches!(records(&page(text), &["records"]), Err(Error::Syntax { .. })), "{text}");
    }
}

#[test]
fn a_path_may_be_the_beginning_of_another_or_occur_twice() {
    let paths = ["properties", "properties.email", "id", "id", "", "tags.1", "properties.email.x"];
    let text = r#"[{"id":1,"properties":{"email":"e"},"tags":[1,"two"]},{"id":2,"properties":null}]"#;
    let first = r#"{"id":1,"properties":{"email":"e"},"tags":[1,"two"]}"#;
    let second = r#"{"id":2,"properties":null}"#;
    assert_eq!(
        table(text, &paths),
        [
            [r#"{"email":"e"}"#, r#""e""#, "1", "1", first, r#""two""#, ""],
            ["null", "", "2", "2", second, "", ""],
        ]
    );
}

#[test]
fn records_may_be_arrays_or_scalars_and_members_may_come_and_go_in_any_order() {
    let text = r#"[{"a":1,"b":2,"c":3}, {"b":2,"a":1}, {"c":3,"x":0,"a":1}, { "a" : 1 , "b" : 2 },
                   {"a":1,"b":2,"c":3}, {}, 7, "a", null, [5,6], {"\u0061":1}, {"a":1,"b":2,"c":3}]"#;
    let full = ["1", "2", "3", ""];
    assert_eq!(
        table(text, &["a", "b", "c", "1"]),
        [
            full,
            ["1", "2", "", ""],
            ["1", "", "3", ""],
            ["1", "2", "", ""],
            full,
            [""; 4],
            [""; 4],
            [""; 4],
            [""; 4],
            ["", "", "", "6"],
            ["1", "", "", ""],
            full
        ]
    );
}

#[test]
fn a_page_with_thousands_of_names_is_read_like_any_other() {
    let names: Vec<String> = (0..3_000).map(|i| format!("field_{i}_{}", "x".repeat(i % 40))).collect();
    let record = |offset: usize| {
        let mut writer = Writer::new();
        writer.begin_object();
        for (i, name) in names.iter().enumerate() {
            writer.key(name);
            writer.number_text(&(i + offset).to_string());
        }
        writer.end_object();
        writer.into_string()
    };
    let text = format!("[{},{},{}]", record(0), record(1), record(2));
    let wanted = [0, 1, 511, 512, 513, 1_024, 2_999];
    let paths: Vec<&str> = wanted.iter().map(|i| names[*i].as_str()).collect();
    let expected: Vec<Vec<String>> =
        (0..3).map(|offset| wanted.iter().map(|i| (i + offset).to_string()).collect()).collect();
    assert_eq!(table(&text, &paths), expected);
}

#[test]
fn names_that_differ_in_their_last_letter_or_in_space_are_told_apart() {
    for length in 1..50 {
        let name = "n".repeat(length);
        let (wanted, other) = (format!("{name}a"), format!("{name}b"));
        let text = format!(
            r#"[{{"{wanted}":1,"{other}":2}},{{"{wanted}":1,"{other}":2}},{{"{wanted}" :3,"{other}":4}},{{"{other}":5,"{wanted}":6}},{{"{name}":7,"{wanted}{wanted}":8}}]"#
        );
        assert_eq!(table(&text, &[&wanted]), [["1"], ["1"], ["3"], ["6"], [""]], "{length}");
        assert_eq!(records(&page(&text), &[""]).unwrap().len(), 5);
        let broken = text.replace(" :3", " 3");
        assert!(matches!(records(&page(&broken), &[""]), Err(Error::Syntax { .. })));
    }
}

#[test]
fn spans_that_are_no_records_make_rows_of_missing_values() {
    let page = page(r#"[{"a":"é"},{"a":1}]"#);
    let spans = [(0, 4), (1, 9), (7, 8), (8, 9), (40, 50), (10, 2), (12, 18), (13, 19), (u32::MAX, u32::MAX)];
    let spans = spans.map(|(start, end)| Span { start, end });
    let cells = Cells::project(&page, &spans, &Projection::new([path("a"), path("0.a")]));
    assert_eq!(cells.len(), spans.len());
    assert!(cells.rows().flat_map(|row| row.values()).all(|value| value.is_missing()));
    assert!(cells.row(spans.len()).is_none());
}

#[test]
fn cells_are_refilled_from_the_next_page() {
    let (first, second) = (page(r#"[{"a":1,"b":2},{"a":3}]"#), page(r#"[{"b":4}]"#));
    let root = Envelope::new(&[FieldPath::default()]);
    let mut cells = Cells::project(
        &first,
        &root.split(&first).unwrap().records,
        &Projection::new([path("a"), path("b")]),
    );
    assert_eq!((cells.len(), cells.columns()), (2, 2));
    cells.refill(&second, &root.split(&second).unwrap().records, &Projection::new([path("b")]));
    assert_eq!((cells.len(), cells.columns(), cells.page()), (1, 1, &second));
    assert_eq!(cells.row(0).unwrap().get(0).raw(), "4");
    assert!(cells.row(0).unwrap().get(1).is_missing());
    cells.refill(&first, &root.split(&first).unwrap().records, &Projection::new([]));
    assert_eq!((cells.len(), cells.rows().len(), cells.row(1).unwrap().len()), (2, 2, 0));
}
