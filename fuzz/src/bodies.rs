//! The bodies of the fuzz targets: each takes any bytes and panics when a promise is broken.
//!
//! Plain functions, so that an ordinary test can replay the corpora (`tests/tests/corpus.rs` includes this file).

use std::time::{Duration, SystemTime};

use acople_core::json::{Cells, Envelope, FieldPath, Page, Projection, elements, members};
use acople_core::{Clock, Cursor, ErrorKind, Lesson};
use acople_identity::ldap::{Attribute, Dn, Filter};
use acople_identity::saml::{Certificate, Idp, ServiceProvider};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde::de::IgnoredAny;

/// A body by its target's name.
pub type Body = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Body); 7] = [
    ("cursor", cursor),
    ("ldap_value", ldap_value),
    ("link", link),
    ("page_split", page_split),
    ("rate_limit_fields", rate_limit_fields),
    ("retry_after", retry_after),
    ("saml_answer", saml_answer),
];

/// `Retry-After` on the first line, `Date` on the second.
///
/// # Panics
/// When seconds are read as anything but themselves, a sign or a word as a wait, or a date as a wait that the two dates
/// do not give.
pub fn retry_after(data: &[u8]) {
    let (value, date) = match data.iter().position(|b| *b == b'\n') {
        Some(at) => (&data[..at], Some(&data[at + 1..])),
        None => (data, None),
    };
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, value.clone());
    if let Some(date) = date.and_then(|date| HeaderValue::from_bytes(date).ok()) {
        headers.insert(DATE, date);
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let wait = acople_http::retry_after(&headers, now);
    let text = value.to_str().unwrap_or_default().trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        assert_eq!(wait, text.parse().ok().map(Duration::from_secs), "seconds are themselves");
    } else if let Some(wait) = wait {
        assert!(text.bytes().any(|b| b.is_ascii_alphabetic()), "{text:?} is no date, yet {wait:?}");
        // HTTP dates are years of four digits.
        assert!(wait < Duration::from_secs(10_000 * 366 * 86_400), "{text:?}: {wait:?}");
    }
}

/// `RateLimit-Policy` on the first line, `RateLimit` on the second.
///
/// # Panics
/// When a policy is found that neither field names, or what is left makes a lesson that lets anybody out.
pub fn rate_limit_fields(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, line) in ["ratelimit-policy", "ratelimit"].into_iter().zip(data.split(|b| *b == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    let text: String = headers.values().filter_map(|value| value.to_str().ok()).collect();
    let policies = acople_http::rate_limits(&headers);
    assert!(policies.is_empty() || !text.trim().is_empty(), "{policies:?} of nothing");
    for policy in &policies {
        let digits = |number: u64| text.contains(&number.to_string()) || number == 0;
        assert!(policy.remaining.is_none_or(digits), "{policy:?} of {text:?}");
        assert!(policy.quota.is_none_or(digits), "{policy:?} of {text:?}");
    }
    if let Some(lesson) = acople_http::rate_limit_lesson(&headers, "app") {
        assert!(!policies.is_empty(), "{lesson:?} of no policy");
        assert!(!matches!(lesson, Lesson::Passed), "{text:?}");
    }
}

/// A `Link` header.
///
/// # Panics
/// When the target is not a part of the header between angle brackets, or is found without a relation.
pub fn link(data: &[u8]) {
    let Ok(header) = std::str::from_utf8(data) else { return };
    let Some(target) = acople_http::next_link(header) else { return };
    assert!(!target.contains('>'), "{target:?}");
    assert!(header.contains(&format!("<{target}>")), "{target:?} of {header:?}");
    let lower = header.to_ascii_lowercase();
    assert!(lower.contains("rel") && lower.contains("next"), "{header:?}");
}

/// A page of a vendor's answer.
///
/// # Panics
/// When a page is split that is no JSON, when a record is no JSON value or lies out of order, or when looking into one
/// panics.
pub fn page_split(data: &[u8]) {
    let Ok(page) = Page::from_bytes(data.to_vec()) else { return };
    let path = |text: &str| FieldPath::parse(text).expect("a path of ours");
    let envelope = Envelope::new(&[path("records"), path("data.results"), FieldPath::default()])
        .with(path("next"))
        .with(path("paging.next.after"));
    let Ok(split) = envelope.split(&page) else { return };
    assert!(is_json(page.as_str()), "a page was split that is no JSON: {:?}", page.as_str());
    let mut end = 0;
    for span in &split.records {
        assert!(span.start >= end && span.end > span.start, "{span:?} after {end}");
        end = span.end;
        assert!(is_json(page.text(*span)), "{:?} is no JSON value", page.text(*span));
    }
    assert!(end as usize <= page.len());
    for index in 0..3 {
        let Some(text) = split.extra(&page, index).as_text() else { continue };
        if let Ok(decoded) = text.decode() {
            assert_eq!(decoded.len(), text.decoded_len(), "{:?}", text.raw());
            assert!(text.eq_str(&decoded), "{:?}", text.raw());
        }
    }
    let fields = Projection::new([path("id"), path("properties.email"), path("a.b.c")]);
    let cells = Cells::project(&page, &split.records, &fields);
    assert_eq!(cells.len(), split.records.len());
    for row in cells.rows() {
        for column in 0..3 {
            let raw = row.get(column).raw();
            assert!(raw.is_empty() || is_json(raw), "{raw:?}");
        }
    }
    for span in split.records.iter().take(16) {
        let text = page.text(*span);
        members(text).for_each(drop);
        elements(text).for_each(drop);
    }
}

/// The text of a stored cursor.
///
/// # Panics
/// When a cursor that was read is another one after it was written and read again, or is refused with an error that a
/// host cannot act on.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let cursor = match Cursor::from_json(text) {
        Ok(cursor) => cursor,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::CursorExpired),
    };
    let written = cursor.to_json().expect("what was read can be written");
    let again = Cursor::from_json(&written).expect("what was written can be read");
    // A number that is no 64-bit integer is read as the nearest machine number, and its last digit may move: a connector
    // keeps such a position as text.
    if whole(&serde_json::from_str(text).expect("a cursor is JSON")) {
        assert_eq!(again.to_json().ok(), Some(written), "{text:?}");
    }
    for version in [0, 1, u16::MAX] {
        if let Err(error) = cursor.state::<serde_json::Value>("hubspot", "contacts", version) {
            assert!(matches!(error.kind(), ErrorKind::CursorExpired | ErrorKind::Config), "{error:?}");
        }
    }
}

/// Whether all numbers are 64-bit integers. The depth is the parser's, which is bounded.
fn whole(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => !number.is_f64(),
        serde_json::Value::Array(items) => items.iter().all(whole),
        serde_json::Value::Object(members) => members.values().all(whole),
        _ => true,
    }
}

/// What another parser says.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A value in an LDAP filter and in a name.
///
/// # Panics
/// When it is read back as anything but itself.
pub fn ldap_value(data: &[u8]) {
    let uid = Attribute::new("uid").expect("it is a name");
    let filter = Filter::eq(&uid, data).to_string();
    let written = filter.strip_prefix("(uid=").and_then(|rest| rest.strip_suffix(')')).expect("an equality");
    assert!(!written.contains(['*', '(', ')', '\0']), "{written:?} has a meaning");
    assert_eq!(unescaped(written), data, "a value is itself");
    let Ok(text) = std::str::from_utf8(data) else { return };
    let dn = Dn::new("dc=x").expect("it is a name").child(&uid, text).to_string();
    assert!(Dn::new(&dn).is_ok(), "{dn:?} is no name");
    let written = dn.strip_prefix("uid=").and_then(|rest| rest.strip_suffix(",dc=x")).expect("a child");
    assert_eq!(unescaped(written), data, "a value is itself");
}

/// What stands behind backslashes: two hexadecimal digits, or the character itself.
fn unescaped(written: &str) -> Vec<u8> {
    let mut bytes = written.bytes();
    let mut read = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            read.push(byte);
            continue;
        }
        let escaped = bytes.next().expect("something is escaped");
        match char::from(escaped).to_digit(16) {
            Some(high) => {
                let low = bytes.next().and_then(|low| char::from(low).to_digit(16)).expect("a second digit");
                read.push(u8::try_from(high * 16 + low).expect("two digits"));
            }
            None => read.push(escaped),
        }
    }
    read
}

/// A SAML answer to the request `_AAAA...` (44 characters), at noon of 1 January 2026.
///
/// # Panics
/// When somebody gets in, who has no key, or is refused for no reason.
pub fn saml_answer(data: &[u8]) {
    #[derive(Debug)]
    struct Noon;
    impl Clock for Noon {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800)
        }
    }
    let certificates = Certificate::parse(include_str!("../../crates/acople-identity/tests/saml/idp.pem"));
    let idp = Idp::new(
        "https://idp.example.com",
        "https://idp.example.com/sso",
        certificates.expect("a certificate"),
    );
    let acs = "https://app.example.com/saml/acs";
    let app = ServiceProvider::builder("https://app.example.com/saml", acs, idp.expect("an address"))
        .clock(std::sync::Arc::new(Noon))
        .build()
        .expect("all is set");
    let (_, pending) = app.begin("session").expect("a session");
    let mut pending = serde_json::to_value(pending).expect("it can be kept");
    pending["request_id"] = format!("_{}", "A".repeat(43)).into();
    let pending: acople_identity::saml::PendingLogin =
        serde_json::from_value(pending).expect("it can be kept");
    let form: String =
        form_urlencoded(&[("RelayState", pending.relay_state()), ("SAMLResponse", &base64(data))]);
    let complete = std::pin::pin!(app.complete("session", pending, &form));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(result) = complete.poll(&mut context) else {
        unreachable!("nothing is waited for");
    };
    let kind = result.expect_err("nobody has the key").kind();
    let reasons = [ErrorKind::Reauth, ErrorKind::Invalid, ErrorKind::Protocol, ErrorKind::TooLarge];
    assert!(reasons.contains(&kind), "{kind}");
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("{name}={}", value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
    };
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in data.chunks(3) {
        let bits =
            chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        for place in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            out.push(if place > chunk.len() { '=' } else { digit });
        }
    }
    out
}
