//! What connectors share: cursors, schemas, numbers, names that ignore case.
#![allow(clippy::unwrap_used)] // a test that fails may panic

use acople_core::json::{Writer, get_ignoring_case};
use acople_core::{
    Batch, Change, Cursors, Decimal, Error, ErrorKind, FieldSchema, ReadRequest, json::FieldPath,
    record_schema,
};
use serde_json::{Value, json};

const CURSORS: Cursors = Cursors::new("example", 2);

#[test]
fn state_01_a_cursor_goes_on_only_where_it_came_from() {
    let request = ReadRequest::full("leads");
    let cursor = Some(CURSORS.cursor(&request, &"last").unwrap());
    assert_eq!(CURSORS.state::<String>(&request).unwrap(), None);
    let again = request.with_cursor(cursor.clone());
    assert_eq!(CURSORS.state::<String>(&again).unwrap().as_deref(), Some("last"));
    // A newer version of the connector reads older cursors.
    assert!(Cursors::new("example", 3).state::<String>(&again).is_ok());
    for (cursors, request) in [
        (CURSORS, ReadRequest::incremental("leads")),
        (CURSORS, ReadRequest::full("contacts")),
        (Cursors::new("other", 2), ReadRequest::full("leads")),
    ] {
        let error = cursors.state::<String>(&request.with_cursor(cursor.clone())).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["cursor".to_owned()][..]));
    }
    let older = Cursors::new("example", 1).state::<String>(&again).unwrap_err();
    let other = CURSORS.state::<u64>(&again).unwrap_err();
    assert_eq!((older.kind(), other.kind()), (ErrorKind::CursorExpired, ErrorKind::CursorExpired));
}

#[test]
fn a_schema_has_the_keywords_that_say_something_and_no_others() {
    let silent = FieldSchema::new(&[])
        .nullable(true)
        .format(None)
        .max_length(Some(0))
        .title(Some(""))
        .description(None)
        .read_only(false)
        .with("x-none", Value::Null)
        .with("x-empty", json!([]));
    assert_eq!(Value::from(silent), json!({}));
    let all = FieldSchema::new(&["string", "integer"])
        .nullable(true)
        .format(Some("date"))
        .max_length(Some(9))
        .title(Some("T"))
        .description(Some("D"))
        .read_only(true)
        .with("x-type", "t");
    let expected = json!({
        "type": ["string", "integer", "null"], "format": "date", "maxLength": 9, "title": "T", "description": "D",
        "readOnly": true, "x-type": "t",
    });
    assert_eq!(Value::from(all.clone()), expected);
    let record = record_schema([("a", all), ("b", FieldSchema::new(&["boolean"]).nullable(false))], &["a"]);
    let properties = json!({"a": expected, "b": {"type": "boolean"}});
    assert_eq!(record, json!({"type": "object", "properties": properties, "required": ["a"]}));
}

#[test]
fn json_01_a_decimal_keeps_its_digits_and_refuses_what_is_no_number() {
    for digits in ["0", "-12.50", "12345678901234567890.10", "1e400"] {
        let decimal: Decimal = serde_json::from_str(digits).unwrap();
        assert_eq!((decimal.as_str(), serde_json::to_string(&decimal).unwrap().as_str()), (digits, digits));
    }
    for text in ["", "1 OR 1=1", "\"1\"", "NaN", "0x10", "01", "null"] {
        assert!(Decimal::new(text).is_err() && serde_json::from_str::<Decimal>(text).is_err(), "{text}");
    }
}

#[test]
fn members_are_copied_in_their_own_spelling() {
    let object = r#"{"\u0049d":"7","Ä":"\u00c4","n":1.10,"\ud800":[ {} ]}"#;
    let copied = |keep: fn(&str) -> bool| {
        let mut writer = Writer::new();
        writer.begin_object();
        writer.members(object, keep).map(|()| {
            writer.end_object();
            writer.into_string()
        })
    };
    assert_eq!(copied(|_| true).unwrap(), object);
    assert_eq!(copied(|name| name != "Id" && name != "Ä").unwrap(), r#"{"n":1.10,"\ud800":[ {} ]}"#);
    assert!(Writer::new().members(r#"{"a":1"#, |_| true).is_err());
}

#[test]
fn a_member_is_found_in_any_case_and_the_last_one_counts() {
    for (text, expected) in [
        (r#"{"ID":"1","id":"2"}"#, r#""2""#),
        (r#"{"\u0049d":3}"#, "3"),
        (r#"{"x":{"Id":1}}"#, ""),
        ("[1]", ""),
        (r#""Id""#, ""),
    ] {
        assert_eq!(get_ignoring_case(text, "Id").unwrap().raw(), expected, "{text}");
    }
    assert!(get_ignoring_case(r#"{"Id":1"#, "Id").is_err());
}

#[test]
fn a_field_that_is_true_marks_a_deletion_and_nothing_else_does() {
    let records = [r#"{"d":true}"#, r#"{"d":false}"#, r#"{"d":"true"}"#, "{}", r#"{"d":null}"#];
    let batch = Batch::from_records("leads", records).unwrap();
    let batch = batch.with_deletions_by(&FieldPath::parse("d").unwrap());
    let deleted: Vec<bool> = batch.iter().map(|record| record.change() == Change::Delete).collect();
    assert_eq!(deleted, [true, false, false, false, false]);
    assert_eq!(batch.last().unwrap().raw(), r#"{"d":null}"#);
    assert!(batch.select([]).last().is_none());
}

#[test]
fn an_error_takes_the_vendors_words_and_names_a_field_once() {
    let error = Error::new(ErrorKind::Invalid, "refused").with_status(400).with_message("too\nlong");
    let error = error.with_field("Name").with_field("City").with_field("Name");
    assert_eq!(error.fields(), ["Name", "City"]);
    assert_eq!((error.message(), error.status()), ("too\\u{a}long", Some(400)));
}
