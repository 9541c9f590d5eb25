//! The bodies of the fuzz targets: each takes any bytes and panics when a promise is broken.
//!
//! Plain functions, so that an ordinary test can replay the corpora (`tests/tests/corpus.rs` includes this file).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople_core::json::{Cells, Envelope, FieldPath, Page, Projection, elements, members};
use acople_core::{AuthProvider, Clock, Context, Cursor, ErrorKind, Lesson, Request, Resources};
use acople_identity::ldap::{Attribute, Dn, Filter};
use acople_identity::saml::{Certificate, Idp, ServiceProvider};
use acople_testkit::{Reply, ScriptedTransport};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use serde::de::IgnoredAny;

/// A body by its target's name.
pub type Body = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Body); 8] = [
    ("cursor", cursor),
    ("ldap_value", ldap_value),
    ("link", link),
    ("page_split", page_split),
    ("rate_limit_fields", rate_limit_fields),
    ("retry_after", retry_after),
    ("saml_answer", saml_answer),
    ("token_answer", token_answer),
];

/// The answer of a token endpoint.
///
/// # Panics
/// When a token is sent that the answer does not hold, an error shows one, a token is renewed before its time or more than
/// once a second, or is used after its time.
pub fn token_answer(data: &[u8]) {
    // Time stands still and jumps: a lifetime of a year takes no longer than one of a second.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(redeem(data));
}

async fn redeem(data: &[u8]) {
    let body = data.to_vec();
    let transport = ScriptedTransport::function(move |_, _| Reply::json(200, body.clone()));
    let resources = Resources::new(Arc::new(transport.clone()));
    let app = OAuthClient { id: "app".into(), secret: Some("s3cret".into()), style: ClientStyle::Body };
    let grant = Grant::ClientCredentials { scope: None };
    let url = "https://login.example.com/token";
    let auth = OAuth2::builder("fuzz", url, app, grant, &resources).expect("an app of ours").build();
    let said: Option<serde_json::Value> = serde_json::from_slice(data).ok();
    let access = said.as_ref().and_then(|said| said.get("access_token")?.as_str());
    let header = match authorization(&auth).await {
        Ok(header) => header,
        Err(error) => {
            let shown = format!("{error} {error:?}");
            let hidden = access.is_none_or(|access| access.len() < 8 || !shown.contains(access));
            return assert!(hidden, "{shown}");
        }
    };
    let access = access.expect("a token came of nowhere");
    assert_eq!(header, format!("Bearer {access}"));
    let calls = || transport.sent().len();
    authorization(&auth).await.expect("the token in hand");
    tokio::time::sleep(Duration::from_millis(900)).await;
    authorization(&auth).await.expect("the token in hand");
    assert_eq!(calls(), 1, "renewed more than once a second");
    let life = lifetime(said.as_ref().and_then(|said| said.get("expires_in")));
    match life {
        // Until it is refused.
        None => tokio::time::sleep(Duration::from_secs(700 * 86_400)).await,
        Some(life) => {
            tokio::time::sleep(Duration::from_secs_f64(life.clamp(1.0, 366.0 * 86_400.0) + 1.0)).await
        }
    }
    authorization(&auth).await.expect("the same answer once more");
    assert_eq!(calls(), if life.is_none() { 1 } else { 2 });
}

async fn authorization(auth: &OAuth2) -> acople_core::Result<String> {
    let mut request = Request::new(Method::GET, "https://api.example.com".parse().expect("a URL of ours"));
    auth.authorize(&Context::new(), &mut request).await?;
    Ok(request.headers()["authorization"].to_str().expect("visible characters").to_owned())
}

/// What AUTH-10 makes of `expires_in`, in seconds.
fn lifetime(member: Option<&serde_json::Value>) -> Option<f64> {
    let seconds = match member? {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| !seconds.is_nan())
}

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
