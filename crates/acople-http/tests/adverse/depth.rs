//! Answers nested a million deep, on a stack of 512 KiB.

use acople_core::{Batch, ErrorKind};
use acople_http::{Answer, GraphQl};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// Skips what it does not know.
#[derive(Debug, Deserialize)]
struct Known {
    #[serde(rename = "known")]
    _known: Option<u32>,
}

fn answer(text: &str) -> Answer {
    Answer::new(StatusCode::OK, HeaderMap::new(), text, std::time::UNIX_EPOCH)
}

#[test]
fn body_09_no_parser_of_answers_overflows_and_all_refuse_what_is_too_deep() {
    let run = || {
        for open in ["[", r#"{"a":"#, r#"{"known":1,"a":[["#] {
            let endless = open.repeat(1_000_000);
            let hidden = format!(r#"{{"known":1,"text":"]]]]","a":{endless}"#);
            for text in [&endless, &hidden] {
                let answer = answer(text);
                let kinds = [
                    answer.json::<Value>().map(drop).unwrap_err().kind(),
                    answer.json::<Known>().map(drop).unwrap_err().kind(),
                    answer.json::<IgnoredAny>().map(drop).unwrap_err().kind(),
                    answer.json::<Box<RawValue>>().map(drop).unwrap_err().kind(),
                ];
                assert_eq!(kinds, [ErrorKind::TooLarge; 4], "{open}");
                assert_eq!(Batch::from_records("x", [text]).unwrap_err().kind(), ErrorKind::Schema);
            }
            let query = GraphQl::query("read", "{ a }");
            for text in [format!(r#"{{"data":{{"a":{endless}"#), format!(r#"{{"errors":[{{"path":{endless}"#)]
            {
                assert_eq!(query.read(answer(&text)).unwrap_err().kind(), ErrorKind::TooLarge);
            }
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn body_09_the_depth_is_the_same_for_what_is_built_and_for_what_is_skipped() {
    for (depth, fits) in [(127, true), (128, false)] {
        let text = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(answer(&text).json::<Value>().is_ok(), fits);
        assert_eq!(answer(&text).json::<IgnoredAny>().is_ok(), fits);
    }
    // Brackets within texts are none, and many that close again are not deep.
    let flat = format!(r#"[{}"{}"]"#, "[],".repeat(1000), "[".repeat(1000));
    assert!(answer(&flat).json::<Value>().is_ok());
}
