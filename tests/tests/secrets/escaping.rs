//! Texts of vendors cannot forge a line, move the cursor or reorder what is shown.

use std::sync::Arc;

use acople::{Context, Error, ErrorKind, Resources};
use acople_testkit::{Reply, ScriptedTransport};
use serde_json::json;

use crate::canary::{Log, texts};

/// What would change a log or a terminal.
const HOSTILE: [&str; 11] = [
    "a\nERROR forged",
    "a\r\nERROR forged",
    "a\rERROR forged",
    "a\u{1b}[2J\u{1b}[31mred",
    "a\u{9b}31mred",
    "a\u{8}\u{8}\u{7f}b",
    "a\0b\u{7}",
    "a\u{2028}ERROR forged\u{2029}ERROR forged",
    "a\u{85}ERROR forged",
    "a\u{202e}txt.exe\u{202c}",
    "a\u{2066}x\u{2069}\u{200b}",
];

fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Nothing harmful but the line breaks that the format has of its own.
#[track_caller]
fn assert_harmless(text: &str, what: &str) {
    let found = text.chars().find(|c| is_harmful(*c) && *c != '\n');
    assert_eq!(found, None, "{what}: {text:?}");
    assert!(text.lines().all(|line| !line.starts_with("ERROR forged")), "{what}: {text:?}");
}

#[test]
fn sec_09_every_text_of_an_error_is_escaped() {
    for text in HOSTILE {
        let error = Error::new(ErrorKind::Invalid, text)
            .with_code(text)
            .with_request_id(text)
            .with_record(text)
            .with_field(text)
            .with_source(Error::config(text, text));
        for line in [format!("{error}"), format!("{error:?}"), serde_json::to_string(&error).unwrap()] {
            assert_eq!(line.chars().find(|c| is_harmful(*c)), None, "{text:?}: {line:?}");
        }
        assert_harmless(&texts(&error), text);
        assert_harmless(&texts(&error.with_message(text)), text);
        // A state file may have been written by somebody else: what comes back from it is the same as what went in.
        let copy: Error =
            serde_json::from_str(&serde_json::to_string(&Error::new(ErrorKind::Invalid, text)).unwrap())
                .unwrap();
        assert_harmless(&texts(&copy), text);
    }
}

#[tokio::test(start_paused = true)]
async fn sec_09_what_a_vendor_says_is_escaped_in_errors_and_in_the_log() {
    let log = Log::capture();
    let configs = [
        ("hubspot", json!({ "auth": { "token": "pat-na1-x" } })),
        (
            "hubspot",
            json!({ "auth": { "refresh_token": { "client_id": "c", "client_secret": "s-123456", "refresh_token": "r-123456" } } }),
        ),
        (
            "salesforce",
            json!({ "auth": { "access_token": { "token": "00D-x" } }, "base_url": "https://acme.example.com" }),
        ),
        (
            "sap",
            json!({ "auth": { "bearer": { "token": "tok-1" } }, "base_url": "https://acme.example.com/odata" }),
        ),
    ];
    for text in HOSTILE {
        for (vendor, config) in &configs {
            for status in [400, 401, 403, 404, 429, 500, 200] {
                let body = json!({ "message": text, "category": text, "correlationId": text, "error": text, "error_description": text });
                let list = json!([{ "errorCode": text, "message": text, "fields": [text] }]);
                let odata = json!({ "error": { "code": text, "message": text, "target": text } });
                for body in [body, list, odata] {
                    let transport =
                        ScriptedTransport::function(move |_, _| Reply::json(status, body.to_string()));
                    let connector =
                        acople::connect(vendor, config.clone(), Resources::new(Arc::new(transport))).unwrap();
                    let what = format!("{vendor} {status} {text:?}");
                    for error in [
                        connector.check(&Context::new()).await.err(),
                        connector.discover(&Context::new()).await.err(),
                    ]
                    .into_iter()
                    .flatten()
                    {
                        assert_harmless(&texts(&error), &what);
                        tracing::warn!(%error, ?error, "as a host logs it");
                    }
                    assert_harmless(&log.take(), &format!("{what}, log"));
                }
            }
        }
    }
}
