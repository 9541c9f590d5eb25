//! What a vendor may send and must not break anything: numbers, depth, duplicates, odd texts.

use std::thread;

use acople_core::json::{
    Cells, Envelope, Error, FieldPath, MAX_DEPTH, Projection, Span, Writer, elements, get, members, value,
};
use acople_core::{Batch, Decimal};
use proptest::prelude::*;

use crate::{page, path, records, table};

#[test]
fn body_10_numbers_keep_their_digits() {
    for digits in [
        "9007199254740993",
        "18446744073709551616",
        "1e400",
        "-0",
        "-0.0",
        "123456789012345678901234567890.123456789012345678901234567890",
        "1.10",
    ] {
        let text = format!(r#"[{{"amount":{digits}}}]"#);
        assert_eq!(table(&text, &["amount"]), [[digits]]);
        let mut writer = Writer::new();
        writer.raw(get(&text, &path("0")).unwrap().raw());
        assert_eq!(writer.into_string(), format!(r#"{{"amount":{digits}}}"#));
    }
}

#[test]
fn body_10_numbers_convert_exactly_or_not_at_all() {
    let number = |digits: &'static str| value(digits).unwrap().as_number().unwrap();
    assert_eq!(number("9007199254740993").to_i64(), Some(9_007_199_254_740_993));
    assert_eq!(number("-9223372036854775808").to_i64(), Some(i64::MIN));
    assert_eq!(number("9223372036854775808").to_i64(), None);
    assert_eq!(number("18446744073709551615").to_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").to_u64(), None);
    assert_eq!(number("-1").to_u64(), None);
    assert_eq!(number("1.5").to_i64(), None);
    assert_eq!(number("12.0e1").to_i64(), Some(120));
    assert_eq!(number("-0").to_i64(), Some(0));
    assert_eq!(number("1e400").to_i64(), None);
    assert_eq!(number("1e400").to_f64(), None);
    assert_eq!(number("2.5").to_f64(), Some(2.5));

    assert_eq!(number("12.30").to_scaled(2), Some(1230));
    assert_eq!(number("-12.3e1").to_scaled(0), Some(-123));
    assert_eq!(number("12.345").to_scaled(2), None);
    assert_eq!(number("1230e-1").to_scaled(0), Some(123));
    assert_eq!(number("0e999999999999999999999").to_scaled(2), Some(0));
    assert_eq!(number("1e999999999999999999999").to_scaled(2), None);
    assert_eq!(number("1e-999999999999999999999").to_scaled(2), None);
    assert_eq!(number("170141183460469231731687303715884105727").to_scaled(0), Some(i128::MAX));
    assert_eq!(number("-170141183460469231731687303715884105728").to_scaled(0), Some(i128::MIN));
    assert_eq!(number("170141183460469231731687303715884105728").to_scaled(0), None);
    assert_eq!(number("0.000000000000000000000000000000000000001").to_scaled(39), Some(1));
}

proptest! {
    #[test]
    fn body_10_scaling_undoes_the_decimal_point(amount: i64, decimals in 0_u8..18, zeros in 0_usize..8) {
        let magnitude = format!("{:0width$}", amount.unsigned_abs(), width = usize::from(decimals) + 1);
        let (whole, fraction) = magnitude.split_at(magnitude.len() - usize::from(decimals));
        let sign = if amount < 0 { "-" } else { "" };
        let point = if decimals == 0 { "" } else { "." };
        let plain = format!("{sign}{whole}{point}{fraction}");
        let padded = if decimals == 0 { plain.clone() } else { format!("{plain}{}", "0".repeat(zeros)) };
        let scientific = format!("{amount}E-{decimals}");
        for text in [plain, padded, scientific] {
            let number = value(&text).unwrap().as_number().unwrap();
            prop_assert_eq!(number.to_scaled(decimals), Some(i128::from(amount)));
        }
    }
}

proptest! {
    #[test]
    fn body_10_numbers_of_any_length_are_the_same_text_behind_every_model(
        whole in "-?(0|[1-9][0-9]{0,60})", fraction in "(\\.[0-9]{1,60})?", exponent in "([eE][+-]?[0-9]{1,6})?",
    ) {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Typed {
            id: String,
            amount: Decimal,
        }
        let number = format!("{whole}{fraction}{exponent}");
        let record = format!(r#"{{"id":"{number}","amount":{number}}}"#);
        let batch = Batch::from_records("orders", [&record]).unwrap();
        let cells = batch.project(&Projection::new([path("amount"), path("id")]));
        let row = cells.row(0).unwrap();
        let mut writer = Writer::new();
        writer.begin_object();
        writer.key("id");
        writer.text(&row.get(1).scalar_text().unwrap().unwrap());
        writer.key("amount");
        writer.number_text(row.get(0).as_number().unwrap().as_str());
        writer.end_object();
        prop_assert_eq!(&writer.into_string(), &record);

        let typed: Typed = batch.get(0).unwrap().parse().unwrap();
        prop_assert_eq!((typed.id.as_str(), typed.amount.as_str()), (number.as_str(), number.as_str()));
        prop_assert_eq!(serde_json::to_string(&typed).unwrap(), record);
        let integer = row.get(0).as_number().unwrap();
        if let Some(value) = integer.to_i64() {
            prop_assert_eq!(Some(i128::from(value)), integer.to_scaled(0), "exact or not at all");
        }
    }
}

#[test]
fn body_09_a_million_nested_containers_are_refused_on_a_small_stack() {
    let run = || {
        let long: FieldPath = std::iter::repeat_n("a", 1_000).collect();
        let index: FieldPath = std::iter::repeat_n("0", 1_000).collect();
        for open in ["[", r#"{"a":"#, r#"[{"a":"#] {
            for text in [open.repeat(1_000_000), format!("{}[{}1", r#"{"a":"#, open.repeat(1_000_000))] {
                let page = page(&text);
                assert!(matches!(value(&text), Err(Error::TooDeep { .. })));
                assert!(matches!(get(&text, &long), Err(Error::TooDeep { .. })));
                assert!(members(&text).chain([Err(Error::TooDeep { offset: 0 })]).any(|item| item.is_err()));
                assert!(elements(&text).any(|item| item.is_err()));
                for records in [&long, &index, &FieldPath::default()] {
                    let envelope = Envelope::new(std::slice::from_ref(records)).with(long.clone());
                    assert!(matches!(envelope.split(&page), Err(Error::TooDeep { .. })));
                }
                let everything = Span { start: 0, end: u32::try_from(text.len()).unwrap() };
                let cells =
                    Cells::project(&page, &[everything], &Projection::new([long.clone(), index.clone()]));
                assert!(cells.row(0).unwrap().values().all(|value| value.is_missing()));
            }
        }
    };
    thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn body_09_the_limit_is_the_one_of_serde_json() {
    for (depth, fits) in [(MAX_DEPTH as usize - 1, true), (MAX_DEPTH as usize, false)] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let text = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(value(&text).is_ok(), fits);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), fits);
            assert_eq!(get(&text, &path("a")).is_ok(), fits);
            let wanted = std::iter::repeat_n("a", depth).collect();
            let walked = Envelope::new(&[FieldPath::default()]).with(wanted).split(&page(&text));
            assert_eq!(matches!(walked, Err(Error::TooDeep { .. })), !fits);
        }
    }
}

#[test]
fn body_11_the_last_of_duplicate_members_counts_everywhere() {
    let text = r#"{"a":{"b":1,"c":2},"x":1,"a":{"b":3},"x":2}"#;
    for (at, raw) in [("a.b", "3"), ("a.c", ""), ("x", "2"), ("a", r#"{"b":3}"#)] {
        assert_eq!(get(text, &path(at)).unwrap().raw(), raw);
    }
    assert_eq!(table(&format!("[{text}]"), &["a.b", "a.c", "x", "a"]), [["3", "", "2", r#"{"b":3}"#]]);
    assert_eq!(table(r#"[{"a":{"b":1},"a":7}]"#, &["a", "a.b"]), [["7", ""]]);
    assert_eq!(table(r#"[{"a":7,"\u0061":{"b":1}}]"#, &["a", "a.b"]), [[r#"{"b":1}"#, "1"]]);

    let twice = page(r#"{"records":[1,2],"next":"a","records":[3],"next":"b"}"#);
    let split = Envelope::new(&[path("records")]).with(path("next")).split(&twice).unwrap();
    assert_eq!(split.records.iter().map(|span| twice.text(*span)).collect::<Vec<_>>(), ["3"]);
    assert!(split.extra(&twice, 0).as_text().unwrap().eq_str("b"));
    let emptied = page(r#"{"d":{"results":[1]},"d":{}}"#);
    assert!(matches!(records(&emptied, &["d.results"]), Err(Error::MissingRecords { .. })));
}

#[test]
fn body_12_texts_pass_through_byte_for_byte_and_decode_exactly() {
    for (raw, decoded) in [
        (r#""plain""#, "plain"),
        (r#""nul\u0000nul""#, "nul\0nul"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\ud83d\ude80 🚀""#, "🚀 🚀"),
        (r#""\u00E9\u00e9é""#, "ééé"),
        ("\"e\u{301}\u{200b}\u{202e}שלום\"", "e\u{301}\u{200b}\u{202e}שלום"),
        (r#""""#, ""),
    ] {
        let text = value(raw).unwrap().as_text().unwrap();
        assert_eq!(text.quoted(), raw);
        assert_eq!(text.decode().unwrap(), decoded);
        assert_eq!(text.decoded_len(), decoded.len());
        assert!(text.eq_str(decoded));
        assert!(!text.eq_str(&format!("{decoded}x")) && !text.eq_str("other"));
        assert_eq!(text.has_escapes(), text.raw() != decoded);
    }
}

#[test]
fn body_12_a_decomposed_accent_is_another_name() {
    let text = "{\"e\u{301}\":1}";
    assert!(get(text, &path("\u{e9}")).unwrap().is_missing());
    assert_eq!(get(text, &path("e\u{301}")).unwrap().raw(), "1");
}

#[test]
fn body_12_half_a_surrogate_pair_passes_through_but_does_not_decode() {
    for raw in [r#""a\ud800""#, r#""\udc00b""#, r#""\ud800\u0041""#, r#""\ud800\ud800\udc00""#] {
        let text = value(raw).unwrap().as_text().unwrap();
        assert_eq!(text.quoted(), raw);
        assert_eq!(text.decode(), Err(Error::UnpairedSurrogate));
        assert!(!text.eq_str("a\u{fffd}"));
        let mut writer = Writer::new();
        writer.raw(text.quoted());
        assert_eq!(writer.as_str(), raw);
    }
    let counted = value(r#""\ud800\ud83d\ude80""#).unwrap().as_text().unwrap().decoded_len();
    assert_eq!(counted, 3 + 4);
}

#[test]
fn body_12_a_text_of_ten_megabytes_is_one_value() {
    let long = "abcdefgh\\n".repeat(1_000_000);
    let page = page(&format!(r#"[{{"t":"{long}"}}]"#));
    let split = Envelope::new(&[FieldPath::default()]).split(&page).unwrap();
    let cells = Cells::project(&page, &split.records, &Projection::new([path("t")]));
    let text = cells.row(0).unwrap().get(0).as_text().unwrap();
    assert_eq!(text.raw(), long);
    assert_eq!(text.decoded_len(), 9_000_000);
}
