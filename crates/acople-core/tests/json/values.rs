//! Paths, single values and writing.

use acople_core::json::{Error, FieldPath, Value, Writer, elements, get, members, value};
use serde::Deserialize;

use crate::path;

#[test]
fn paths_are_dotted_or_pointers_and_print_canonically() {
    for (text, segments, printed) in [
        ("", vec![], ""),
        ("Account.Name", vec!["Account", "Name"], "Account.Name"),
        ("/Account/Name", vec!["Account", "Name"], "Account.Name"),
        ("/a.b/0", vec!["a.b", "0"], "/a.b/0"),
        ("/", vec![""], "/"),
        ("/~1x~0/y", vec!["/x~", "y"], "/~1x~0/y"),
        ("a/b.c~1", vec!["a/b", "c~1"], "a/b.c~1"),
    ] {
        let path = path(text);
        assert_eq!(path.segments().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), segments);
        assert_eq!(path.to_string(), printed);
        assert_eq!(path.is_root(), segments.is_empty());
        assert_eq!(serde_json::to_value(&path).unwrap(), printed);
        assert_eq!(serde_json::from_value::<FieldPath>(text.into()).unwrap(), path);
    }
    let mut grown = FieldPath::default();
    grown.push("a.b");
    grown.push("c");
    assert_eq!(grown, path("/a.b/c"));
}

#[test]
fn paths_with_empty_segments_or_unknown_escapes_are_refused() {
    for text in [".", "a..b", "a.", ".a", "/a~", "/a~2", "/~é"] {
        assert!(matches!(FieldPath::parse(text), Err(Error::InvalidPath { .. })), "{text}");
    }
}

#[test]
fn a_value_keeps_the_spelling_in_which_it_was_sent() {
    let text = r#" {"t":"a\u0041","n":-1.50e+3,"b":true,"z":null,"a":[1, 2],"o":{ }} "#;
    let raws: Vec<&str> = members(text).map(|member| member.unwrap().1.raw()).collect();
    assert_eq!(raws, [r#""a\u0041""#, "-1.50e+3", "true", "null", "[1, 2]", "{ }"]);
    assert_eq!(value(text).unwrap().raw(), text.trim());
    assert_eq!(get(text, &path("t")).unwrap().scalar_text().unwrap().as_deref(), Some("aA"));
    assert_eq!(get(text, &path("n")).unwrap().scalar_text().unwrap().as_deref(), Some("-1.50e+3"));
    assert_eq!(get(text, &path("b")).unwrap().as_bool(), Some(true));
    assert_eq!(get(text, &path("z")).unwrap().scalar_text().unwrap(), None);
    assert!(get(text, &path("z")).unwrap().is_null());
    assert!(get(text, &path("none")).unwrap().is_missing());
    assert_eq!(get(text, &path("a.1")).unwrap().raw(), "2");
    assert_eq!(get(text, &path("a.01")).unwrap(), Value::Missing);
    assert_eq!(get(text, &path("a.2")).unwrap(), Value::Missing);
    assert_eq!(get(text, &path("n.x")).unwrap(), Value::Missing);
}

#[test]
fn iterators_report_what_is_wrong_as_their_last_item() {
    assert_eq!(
        elements("[1,2]").map(Result::unwrap).map(|value| value.raw()).collect::<Vec<_>>(),
        ["1", "2"]
    );
    for text in ["[1,]", "[1 2]", "[1", "{}", "", "[1] x"] {
        let items: Vec<_> = elements(text).collect();
        assert!(items.last().unwrap().is_err() && items.iter().rev().skip(1).all(Result::is_ok), "{text}");
    }
    for text in [r#"{"a":1,}"#, r#"{"a" 1}"#, r#"{"a":1"#, "[]", "{1:1}", "{} x"] {
        let items: Vec<_> = members(text).collect();
        assert!(items.last().unwrap().is_err() && items.iter().rev().skip(1).all(Result::is_ok), "{text}");
    }
}

#[test]
fn parsing_into_a_type_reports_a_mismatch_without_the_content() {
    #[derive(Deserialize)]
    struct Account<'a> {
        name: &'a str,
        size: u64,
    }
    let text = r#"{"name":"Acme","size":18446744073709551615,"extra":[]}"#;
    let account: Account<'_> = value(text).unwrap().parse().unwrap();
    assert_eq!((account.name, account.size), ("Acme", u64::MAX));
    assert_eq!(Value::Missing.parse::<Option<u8>>().unwrap(), None);
    let error = value(r#"{"name":"Acme","size":"secret"}"#).unwrap().parse::<Account<'_>>().err().unwrap();
    assert!(matches!(error, Error::Mismatch { .. }));
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn the_writer_sets_commas_and_copies_raw_values() {
    let mut writer = Writer::with_capacity(64);
    assert!(writer.is_empty());
    writer.begin_array();
    writer.begin_object();
    writer.key("a\"");
    writer.text("{[:");
    writer.key("b");
    writer.raw("1.10");
    writer.key("gone");
    writer.raw(Value::Missing.raw());
    writer.end_object();
    let mark = writer.mark();
    writer.begin_object();
    writer.raw_key(value(r#""\ud800""#).unwrap().as_text().unwrap());
    writer.null();
    assert!(writer.as_str().ends_with(r#","gone":null},{"\ud800":null"#));
    writer.key("half");
    writer.rewind(mark);
    writer.bool(true);
    writer.null();
    writer.begin_array();
    writer.end_array();
    writer.number_text("-0");
    writer.end_array();
    assert_eq!(writer.len(), writer.as_str().len());
    assert_eq!(writer.into_string(), r#"[{"a\"":"{[:","b":1.10,"gone":null},true,null,[],-0]"#);
}
