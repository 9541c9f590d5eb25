//! Agreement with `serde_json` on generated texts.

use acople_core::json::{Cells, Envelope, Error, FieldPath, Projection, Value, get, value, write_text};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::{page, records};

/// JSON texts with white space, escaped names and duplicate members.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "\"([a-c é🚀]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-7][0-9a-f]){0,20}\"",
    ];
    let name = prop_oneof![4 => "\"[abc01]?\"", 1 => "\"\\\\u006[1-3]\"", 1 => "\"[a-c]{6,40}\""];
    scalar.prop_recursive(4, 48, 6, move |inner| {
        let member = (name.clone(), "[ \n]?", inner.clone())
            .prop_map(|(name, space, value)| format!("{space}{name}{space}:{space}{value}{space}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// A few edits that may or may not break a text.
fn mutated(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        0..3_u8,
        "[\\[\\]{}:,\"\\\\ntfu0-9eE+. \t\r\u{b}\u{c}\u{1f}\u{7f}\u{a0}é-]",
    );
    (text, prop::collection::vec(edit, 0..4)).prop_map(|(text, edits)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, action, letter) in edits {
            let at = at.index(letters.len() + 1);
            match action {
                0 => letters.splice(at..at, letter.chars()).for_each(drop),
                1 if at < letters.len() => letters.splice(at..=at, letter.chars()).for_each(drop),
                _ if at < letters.len() => drop(letters.remove(at)),
                _ => {}
            }
        }
        letters.into_iter().collect()
    })
}

fn some_path() -> impl Strategy<Value = FieldPath> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "", "0", "1"]), 0..4)
        .prop_map(FieldPath::from_iter)
}

/// The field as `serde_json` finds it: its tree keeps the last of duplicate members, too.
fn by_pointer(tree: &serde_json::Value, path: &FieldPath) -> Option<serde_json::Value> {
    let pointer: String = path.segments().iter().flat_map(|segment| ["/", segment]).collect();
    tree.pointer(&pointer).cloned()
}

fn as_tree(value: Value<'_>) -> Option<serde_json::Value> {
    if value.is_missing() { None } else { Some(serde_json::from_str(value.raw()).unwrap()) }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_same_texts_are_accepted_as_by_serde_json(text in mutated(json())) {
        let accepted = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let ours = value(&text);
        prop_assert_eq!(ours.is_ok(), accepted, "{:?}", ours);
        if let Ok(value) = ours {
            prop_assert_eq!(value.raw(), text.trim_matches([' ', '\n', '\r', '\t']));
        }
    }

    #[test]
    fn the_same_fragments_are_accepted_as_by_serde_json(
        text in "[\\[\\]{}:,\"\\\\ntrufalse0-9eE+. \t\r\u{b}\u{c}\u{1f}é-]{0,12}",
    ) {
        prop_assert_eq!(value(&text).is_ok(), serde_json::from_str::<IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn the_same_pages_are_accepted_and_cut_as_by_serde_json(
        pool in prop::collection::vec(json(), 1..3),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        odd in mutated(json()),
    ) {
        let mut items: Vec<&str> = picks.iter().map(|pick| pick.get(&pool).as_str()).collect();
        items.insert(items.len() / 2, &odd);
        let text = format!(r#"{{"n":1,"records":[{}],"a":{{}}}}"#, items.join(","));
        let page = page(&text);
        let ours = records(&page, &["records"]);
        match serde_json::from_str::<Answer<'_>>(&text) {
            Ok(answer) => {
                let theirs: Vec<&str> = answer.records.iter().map(|record| record.get()).collect();
                prop_assert_eq!(ours.unwrap(), theirs);
            }
            // The edits may have closed the array early and given the page a second one.
            Err(_) if serde_json::from_str::<IgnoredAny>(&text).is_ok() => {}
            Err(_) => {
                let refused = matches!(ours, Err(Error::Syntax { .. }));
                prop_assert!(refused);
            }
        }
    }

    #[test]
    fn every_way_to_a_field_agrees_with_the_tree(
        pool in prop::collection::vec(json(), 1..4),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..10),
        paths in prop::collection::vec(some_path(), 0..6),
    ) {
        let items: Vec<&str> = picks.iter().map(|pick| pick.get(&pool).as_str()).collect();
        let page = page(&format!("[{}]", items.join(",")));
        let tree: serde_json::Value = serde_json::from_str(page.as_str()).unwrap();
        let envelope = paths.iter().cloned().fold(Envelope::new(&[FieldPath::default()]), Envelope::with);
        let split = envelope.split(&page).unwrap();
        let cells = Cells::project(&page, &split.records, &Projection::new(paths.clone()));
        prop_assert_eq!(cells.len(), items.len());
        for (column, path) in paths.iter().enumerate() {
            prop_assert_eq!(as_tree(split.extra(&page, column)), by_pointer(&tree, path));
            prop_assert_eq!(as_tree(get(page.as_str(), path).unwrap()), by_pointer(&tree, path));
            for (i, row) in cells.rows().enumerate() {
                prop_assert_eq!(as_tree(row.get(column)), by_pointer(&tree[i], path));
            }
        }
    }

    #[test]
    fn body_12_any_text_survives_writing_and_reading(text in any::<String>(), control in "[\\x00-\\x1f\"\\\\é🚀]{0,9}") {
        for text in [text, control] {
            let mut json = String::new();
            write_text(&mut json, &text);
            prop_assert_eq!(value(&json).unwrap().as_text().unwrap().decode().unwrap(), text.as_str());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn body_12_escaped_texts_decode_as_in_serde_json(inner in "([a é🚀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,8}") {
        let json = format!("\"{inner}\"");
        let text = value(&json).unwrap().as_text().unwrap();
        if let Ok(theirs) = serde_json::from_str::<String>(&json) {
            prop_assert_eq!(text.decoded_len(), theirs.len());
            prop_assert!(text.eq_str(&theirs));
            prop_assert_eq!(text.decode().unwrap(), theirs);
        } else {
            prop_assert_eq!(text.decode(), Err(Error::UnpairedSurrogate));
        }
    }
}
