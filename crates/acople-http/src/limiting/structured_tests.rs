//! The public test vectors of structured fields (tests/vectors), all of them.

use serde_json::Value as Json;

use super::*;

const VECTORS: [(&str, &str); 11] = [
    ("binary", include_str!("../../tests/vectors/binary.json")),
    ("boolean", include_str!("../../tests/vectors/boolean.json")),
    ("date", include_str!("../../tests/vectors/date.json")),
    ("dictionary", include_str!("../../tests/vectors/dictionary.json")),
    ("examples", include_str!("../../tests/vectors/examples.json")),
    ("item", include_str!("../../tests/vectors/item.json")),
    ("list", include_str!("../../tests/vectors/list.json")),
    ("number", include_str!("../../tests/vectors/number.json")),
    ("param-dict", include_str!("../../tests/vectors/param-dict.json")),
    ("string", include_str!("../../tests/vectors/string.json")),
    ("token", include_str!("../../tests/vectors/token.json")),
];

#[test]
fn rate_06_structured_fields_are_read_as_the_public_vectors_say() {
    let (mut read, mut refused) = (0, 0);
    for (file, text) in VECTORS {
        let vectors: Vec<Json> = serde_json::from_str(text).unwrap();
        for vector in &vectors {
            let raw: Vec<&str> =
                vector["raw"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            let field = raw.join(", ");
            let got = match vector["header_type"].as_str().unwrap() {
                "item" => item(&field).map(|(bare, parameters)| item_as_json(&bare, &parameters)),
                "list" => list(&field).map(|members| members.iter().map(member_as_json).collect()),
                _ => dictionary(&field).map(|members| {
                    members
                        .iter()
                        .map(|(key, member)| Json::from(vec![key.as_str().into(), member_as_json(member)]))
                        .collect()
                }),
            };
            let name = format!("{file}: {}", vector["name"]);
            if vector["must_fail"] == true {
                assert_eq!(got, None, "{name}");
                refused += 1;
            } else if vector["can_fail"] == true && got.is_none() {
                refused += 1;
            } else {
                assert!(same(&got.unwrap_or_default(), &vector["expected"]), "{name}");
                read += 1;
            }
        }
    }
    assert!(read > 100 && refused > 50, "{read} read, {refused} refused");
}

#[test]
fn display_strings_are_text_in_utf_8() {
    let display = |text: &str| item(text).map(|(bare, _)| bare);
    assert_eq!(display(r#"%"f%c3%bc""#), Some(Bare::Display("fü".to_owned())));
    for broken in [r#"%"f%C3%BC""#, r#"%"f%c3""#, r#"%"f"#, r"%f", r#"%"f%c""#] {
        assert_eq!(display(broken), None, "{broken}");
    }
}

fn item_as_json(bare: &Bare, parameters: &Parameters) -> Json {
    let parameters =
        parameters.iter().map(|(key, value)| Json::from(vec![key.as_str().into(), bare_as_json(value)]));
    Json::from(vec![bare_as_json(bare), parameters.collect()])
}

fn member_as_json(member: &Member) -> Json {
    match member {
        Member::Item(bare, parameters) => item_as_json(bare, parameters),
        Member::Inner(items, parameters) => {
            let items: Json = items.iter().map(|(bare, parameters)| item_as_json(bare, parameters)).collect();
            let parameters = parameters
                .iter()
                .map(|(key, value)| Json::from(vec![key.as_str().into(), bare_as_json(value)]));
            Json::from(vec![items, parameters.collect()])
        }
    }
}

fn bare_as_json(bare: &Bare) -> Json {
    let typed = |kind: &str, value: Json| serde_json::json!({ "__type": kind, "value": value });
    match bare {
        Bare::Integer(number) => (*number).into(),
        #[allow(clippy::cast_precision_loss)]
        Bare::Decimal(thousandths) => (*thousandths as f64 / 1000.0).into(),
        Bare::String(text) => text.as_str().into(),
        Bare::Token(text) => typed("token", text.as_str().into()),
        Bare::Bytes(text) => typed("binary", base32(&decoded(text)).into()),
        Bare::Boolean(value) => (*value).into(),
        Bare::Date(seconds) => typed("date", (*seconds).into()),
        Bare::Display(text) => typed("displaystring", text.as_str().into()),
    }
}

/// Equal, whole numbers with and without a fraction alike.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The vectors write bytes in base32, fields in base64.
fn decoded(base64: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.bytes().filter_map(|byte| alphabet.iter().position(|a| *a == byte));
    let bits: Vec<bool> =
        digits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

fn base32(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let mut text: String = bits
        .chunks(5)
        .map(|bits| {
            let digit = bits.iter().fold(0, |digit, bit| digit << 1 | usize::from(*bit))
                << 5_usize.abs_diff(bits.len());
            char::from(alphabet[digit])
        })
        .collect();
    while !text.len().is_multiple_of(8) {
        text.push('=');
    }
    text
}
