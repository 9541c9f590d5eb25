//! A vendor that says back what it was sent.

use acople_core::{Error, ErrorKind, Progress, WireFault};
use acople_http::{Answer, Classifier, StatusClassifier};
use acople_testkit::{Reply, Sent};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::search::{CANARY, OTHER};

pub(crate) const BASE: &str = "https://api.example.com";
pub(crate) const TOKEN_URL: &str = "https://login.example.com/oauth/token";

/// The header by which a scripted vendor names the kind of error that it means.
const KIND: &str = "x-kind";

/// How many answers there are without one for each kind of error.
const PLAIN: usize = 15;

/// How many answers there are. The first is the good one.
pub(crate) const ANSWERS: usize = PLAIN + ErrorKind::ALL.len();

/// The answer of this number, with the request in it.
pub(crate) fn answer(number: usize, sent: &Sent) -> Reply {
    let echo = echo(sent);
    let error = |code: &str| {
        json!({"error": code, "error_description": echo, "message": echo, "user_code": echo}).to_string()
    };
    match number {
        0 => Reply::json(200, good()).header("x-csrf-token", OTHER),
        1 => Reply::json(400, error("invalid_grant")),
        2 => Reply::json(401, error("invalid_client")),
        3 => Reply::json(403, error("denied"))
            .header("www-authenticate", &format!(r#"Bearer scope="{CANARY}""#)),
        4 => Reply::json(404, error(&echo)).header("x-request-id", &printable(&echo)),
        5 => Reply::json(429, error("slow_down")).header("retry-after", CANARY),
        6 => Reply::json(500, error("server_error")),
        7 => Reply::new(200, format!("<html>{echo}")).header("content-type", "text/html"),
        8 => Reply::json(200, echo),
        9 => Reply::json(302, "").header("location", &format!("https://evil.example/?{OTHER}")),
        10 => Reply::fail(Progress::MaybeSent, WireFault::Reset),
        11 => Reply::fail(Progress::NotSent, WireFault::Tls),
        12 => Reply::json(200, good()).truncated(),
        // A success that is none: half of what was asked for, in shapes that no reader expects.
        13 => Reply::json(
            200,
            json!({"access_token": [CANARY], "expires_in": CANARY, "device_code": OTHER}).to_string(),
        ),
        14 => Reply::hang(),
        _ => Reply::json(418, error(&echo)).header(KIND, ErrorKind::ALL[number - PLAIN].as_str()),
    }
}

/// Everything that may be asked for, all of it secret.
fn good() -> String {
    json!({"access_token": OTHER, "session": OTHER, "refresh_token": CANARY, "expires_in": 60}).to_string()
}

/// Everything of the request, as it came and as the vendor understands it.
pub(crate) fn echo(sent: &Sent) -> String {
    let (_, url, headers, body) = sent.request.clone().into_parts();
    let headers: Vec<_> =
        headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let form: Vec<_> = url::form_urlencoded::parse(&body).map(|(_, value)| value.into_owned()).collect();
    let basic: Vec<_> = headers
        .iter()
        .filter_map(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok())
        .map(|pair| String::from_utf8_lossy(&pair).into_owned())
        .collect();
    let secrets =
        headers.iter().map(|value| value.rsplit(' ').next().unwrap()).chain(form.iter().map(String::as_str));
    let encoded: Vec<_> = secrets
        .flat_map(|value| {
            let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let hex = value.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            [STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value), form.replace('+', "%20"), form, hex]
        })
        .collect();
    [
        url.to_string(),
        headers.join(" "),
        String::from_utf8_lossy(&body).into_owned(),
        form.join(" "),
        basic.join(" "),
        encoded.join(" "),
    ]
    .join(" ")
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).collect()
}

/// A connector's own reader of errors, which quotes the vendor wherever an error has room for it.
#[derive(Debug)]
pub(crate) struct Quoting;

impl Classifier for Quoting {
    fn classify(&self, answer: &Answer) -> acople_core::Result<()> {
        let Some(kind) = ErrorKind::ALL.into_iter().find(|kind| answer.header(KIND) == Some(kind.as_str()))
        else {
            return StatusClassifier.classify(answer);
        };
        let said: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let words = said["message"].as_str().unwrap();
        Err(Error::new(kind, words)
            .with_status(answer.status().as_u16())
            .with_code(words)
            .with_request_id(words)
            .with_record(words)
            .with_field(words))
    }
}
