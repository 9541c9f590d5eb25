//! What the vendor's refusals mean.
//!
//! Error bodies are arrays of `{"message","errorCode","fields"}`; the login host answers with
//! `{"error","error_description"}`. The codes are those of the
//! [status code list](https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm).

use std::time::Duration;

use acople_core::{Error, ErrorKind, Lesson, Result};
use acople_http::{Answer, Classifier, Limits, sforce_limit_info, status_error};
use http::StatusCode;
use serde::Deserialize;

/// The org's calls of a day. Counted by the vendor; the header of each answer says how many are left.
const DAY: &str = "daily_api_requests";

/// The quota is a rolling window of 24 hours and nobody says when calls fall out of it: asking once an hour
/// costs 24 calls a day at worst.
const QUOTA_PAUSE: Duration = Duration::from_secs(3600);

/// The code of a query locator that the vendor has forgotten.
pub(crate) const LOCATOR_EXPIRED: &str = "INVALID_QUERY_LOCATOR";

/// Signs of sessions that no new token makes good: renewing would go on for ever.
const BARRED: [&str; 2] = ["not valid for use with the REST API", "Connected app is not attached to Agent"];

/// The vendor's limits: production orgs and sandboxes allow 25 calls that run for 20 seconds or longer.
pub(crate) fn limits() -> Limits {
    Limits::new().slots("org", 25).class("default", &["org", DAY])
}

/// Reads the vendor's error bodies and its usage header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusals;

impl Classifier for Refusals {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if answer.status().is_success() { Ok(()) } else { Err(refusal(answer)) }
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        if let Some(remaining) = answer.header("sforce-limit-info").and_then(sforce_limit_info) {
            let resets_in = (remaining == 0).then_some(QUOTA_PAUSE);
            lessons.push(Lesson::Remaining { bucket: DAY.into(), remaining, resets_in });
        }
    }
}

/// One refusal, as calls and as single records of a collection report it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(rename = "errorCode", alias = "statusCode", alias = "error")]
    code: Option<String>,
    #[serde(alias = "error_description")]
    message: Option<String>,
    fields: Option<Vec<String>>,
}

impl Refusal {
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// The error of one record of a collection.
pub(crate) fn record_error(refusals: &[Refusal]) -> Error {
    let kind = refusals.first().and_then(|first| kind(first.code())).unwrap_or(ErrorKind::Invalid);
    described(Error::new(kind, "the vendor refused the record"), refusals)
}

fn refusal(answer: &Answer) -> Error {
    let error = status_error(answer);
    let refusals = refusals(answer.body());
    let code = refusals.first().map(Refusal::code).unwrap_or_default();
    let message = refusals.first().and_then(|first| first.message.as_deref()).unwrap_or_default();
    let kind = match answer.status() {
        StatusCode::MULTIPLE_CHOICES => ErrorKind::Conflict,
        StatusCode::UNAUTHORIZED if BARRED.iter().any(|sign| message.contains(sign)) => ErrorKind::Permission,
        StatusCode::UNAUTHORIZED | StatusCode::GONE => error.kind(),
        // An expired scratch org, or a node that moves.
        status if status.as_u16() == 420 => ErrorKind::Transient,
        _ if code == "REQUEST_LIMIT_EXCEEDED" && message.starts_with("Concurrent") => ErrorKind::RateLimited,
        status if status.is_client_error() => kind(code).unwrap_or(error.kind()),
        _ => error.kind(),
    };
    let error = described(error.with_kind(kind), &refusals);
    match (kind, answer.status()) {
        (ErrorKind::QuotaExhausted, _) => {
            error.with_retry_after(QUOTA_PAUSE).with_retry_at(answer.received_at() + QUOTA_PAUSE)
        }
        // The body lists their addresses.
        (_, StatusCode::MULTIPLE_CHOICES) => error.with_message("several records have this external id"),
        _ => error,
    }
}

fn refusals(body: &[u8]) -> Vec<Refusal> {
    let one = || serde_json::from_slice::<Refusal>(body).ok().filter(|one| one.code.is_some());
    serde_json::from_slice(body).unwrap_or_else(|_| one().into_iter().collect())
}

/// Adds the vendor's words, code and fields.
fn described(error: Error, refusals: &[Refusal]) -> Error {
    let Some(first) = refusals.first() else { return error };
    let message = first.message.as_deref().filter(|message| !message.is_empty());
    let message = message.unwrap_or(error.message());
    let message = match refusals.len() {
        1 => message.to_owned(),
        n => format!("{message} (and {} more)", n - 1),
    };
    let error = first.code.iter().fold(error.with_message(message), Error::with_code);
    let fields = refusals.iter().flat_map(|refusal| refusal.fields.iter().flatten());
    fields.fold(error, Error::with_field)
}

/// What a code means, where it says more than the status.
#[rustfmt::skip] // a table
fn kind(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "REQUEST_LIMIT_EXCEEDED" | "STORAGE_LIMIT_EXCEEDED" => ErrorKind::QuotaExhausted,
        "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE" | "ALL_OR_NONE_OPERATION_ROLLED_BACK" => ErrorKind::Transient,
        "QUERY_TIMEOUT" | "QUERY_TOO_COMPLICATED" | "OPERATION_TOO_LARGE" | "EXCEEDED_ID_LIMIT"
        | "URI_TOO_LONG" => ErrorKind::TooLarge,
        "DUPLICATE_VALUE" | "DUPLICATES_DETECTED" | "DUPLICATE_EXTERNAL_ID" => ErrorKind::Conflict,
        "NOT_FOUND" | "ENTITY_IS_DELETED" | "INVALID_TYPE" | "INVALIDENTITY" => ErrorKind::NotFound,
        "INSUFFICIENT_ACCESS" | "INSUFFICIENT_ACCESS_OR_READONLY" | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
        | "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" | "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED"
        | "FUNCTIONALITY_NOT_ENABLED" => ErrorKind::Permission,
        "INVALID_SESSION_ID" | "INVALID_AUTH_HEADER" => ErrorKind::Reauth,
        "TXN_SECURITY_METERING_ERROR" | "UNSUPPORTED_API_VERSION" => ErrorKind::Config,
        LOCATOR_EXPIRED | "INVALID_QUERY_LOCATOR_FAULT" => ErrorKind::CursorExpired,
        _ => return None,
    })
}
