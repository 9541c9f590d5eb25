//! What HubSpot's answers mean.

use std::time::Duration;

use acople_core::{Error, ErrorKind, Lesson, Result};
use acople_http::{Answer, Classifier, next_midnight, status_error};
use serde_json::Value as Json;

use crate::config::APP;

/// Larger error bodies are not looked into.
const BODY_LIMIT: usize = 256 << 10;

/// How long a lock lasts, and the pause that an overloaded HubSpot asks for.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads statuses, headers and error bodies as HubSpot writes them
/// (<https://developers.hubspot.com/docs/api-reference/latest/error-handling>). Knows the account's time zone,
/// in minutes east of UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubSpotClassifier(pub(crate) i16);

impl Classifier for HubSpotClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if answer.status().is_success() {
            // Batches that failed in part come as 207: whoever sent them reads their records' errors.
            return Ok(());
        }
        let (plain, status) = (status_error(answer), answer.status().as_u16());
        let body = if answer.body().len() > BODY_LIMIT { &[] } else { answer.body() };
        let facts = Facts::new(serde_json::from_slice(body).unwrap_or_default());
        let kind = match status {
            // The account is being moved between data centres; `Retry-After` says how long.
            477 => ErrorKind::Transient,
            423 | 429 | 500.. => plain.kind(),
            _ => facts.kind().unwrap_or(plain.kind()),
        };
        let error = facts.explain(plain.with_kind(kind));
        let pause = matches!(status, 423 | 502 | 504).then_some(PAUSE);
        Err(match (kind, answer.retry_after().or(pause)) {
            (ErrorKind::RateLimited, _) => throttled(error, &facts, answer, self.0),
            (ErrorKind::Transient, Some(wait)) => error.with_retry_after(wait),
            _ => error,
        })
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        let number = |name: &str| answer.header(name)?.trim().parse::<u64>().ok();
        let resets_in = number("x-hubspot-ratelimit-interval-milliseconds").map(Duration::from_millis);
        if let (Some(remaining), Some(_)) = (number("x-hubspot-ratelimit-remaining"), resets_in) {
            lessons.push(Lesson::Remaining { bucket: APP.into(), remaining, resets_in });
        }
        if number("x-hubspot-ratelimit-daily-remaining") == Some(0) {
            let until = Some(next_midnight(answer.received_at(), self.0));
            lessons.push(Lesson::Exhausted { bucket: Some(APP.into()), until });
        }
    }
}

fn throttled(error: Error, facts: &Facts, answer: &Answer, utc_offset_minutes: i16) -> Error {
    let message = facts.message().unwrap_or_default().to_ascii_lowercase();
    let policy = facts.text(&["policyName"]).unwrap_or_default().to_ascii_lowercase();
    if policy.contains("daily") || message.contains("daily limit") {
        let until = next_midnight(answer.received_at(), utc_offset_minutes);
        return error.with_kind(ErrorKind::QuotaExhausted).with_retry_at(until);
    }
    let waits = [("ten_secondly", "ten_secondly", 10), ("secondly", "secondly limit", 1)];
    let wait = waits.into_iter().find(|(name, words, _)| policy.contains(name) || message.contains(words));
    let wait = Duration::from_secs(wait.map_or(3, |(.., seconds)| seconds));
    error.with_retry_after(answer.retry_after().unwrap_or(wait))
}

/// The error of one record in a batch's answer, and which records it is about.
pub(crate) struct RecordError {
    pub(crate) error: Error,
    /// The trace ids of the inputs.
    pub(crate) traces: Vec<String>,
    /// The ids or key values of the inputs.
    pub(crate) ids: Vec<String>,
}

impl RecordError {
    pub(crate) fn new(body: Json) -> Self {
        let facts = Facts::new(body);
        let kind = facts.kind().unwrap_or(ErrorKind::Invalid);
        let mut ids = facts.context(&["ids", "id"]);
        ids.extend(facts.text(&["id"]).map(str::to_owned));
        let error = facts.explain(Error::new(kind, "the vendor refused the record"));
        Self { error, traces: facts.context(&["objectWriteTraceId"]), ids }
    }
}

/// An error body. Every member of it is optional, and some have several forms.
struct Facts {
    body: Json,
    /// What is wrong with single fields.
    details: Vec<Json>,
}

impl Facts {
    fn new(body: Json) -> Self {
        let mut details = body.get("errors").and_then(Json::as_array).cloned().unwrap_or_default();
        // Validation errors hold a list as JSON in the text: `Property values were not valid: [{"name":...}]`.
        let message = body.get("message").and_then(Json::as_str).unwrap_or_default();
        let list = message.find("[{").and_then(|at| message.get(at..)).unwrap_or_default();
        let list = serde_json::Deserializer::from_str(list).into_iter::<Vec<Json>>().next();
        details.extend(list.and_then(Result::ok).unwrap_or_default());
        Self { body, details }
    }

    /// The first of these members that says something.
    fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().filter_map(|name| text(&self.body, name)).find(|text| !text.is_empty())
    }

    fn message(&self) -> Option<&str> {
        self.text(&["message", "error_description"])
    }

    fn category(&self) -> Option<&str> {
        // The token endpoint names its reason in `status`; elsewhere that says "error".
        let status = || self.text(&["status"]).filter(|status| *status != "error");
        self.text(&["category", "errorType"]).or_else(status).or_else(|| self.text(&["error"]))
    }

    /// What some members of `context` hold, here and in the details: a text or a list of them each.
    fn context(&self, names: &[&str]) -> Vec<String> {
        let parts = std::iter::once(&self.body).chain(&self.details).filter_map(|part| part.get("context"));
        let values = parts.flat_map(|context| names.iter().filter_map(move |name| context.get(name)));
        let texts =
            values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
        texts.filter_map(Json::as_str).map(str::to_owned).collect()
    }

    fn kind(&self) -> Option<ErrorKind> {
        if self.message().is_some_and(|message| message.contains("Unable to infer object type")) {
            return Some(ErrorKind::NotFound);
        }
        Some(match self.category()? {
            "VALIDATION_ERROR" | "PROPERTY_DOESNT_EXIST" | "INVALID_OPTION" => ErrorKind::Invalid,
            "OBJECT_NOT_FOUND" | "NOT_FOUND" => ErrorKind::NotFound,
            "CONFLICT" | "OBJECT_ALREADY_EXISTS" => ErrorKind::Conflict,
            "MISSING_SCOPES" | "FORBIDDEN" | "BANNED" => ErrorKind::Permission,
            "RATE_LIMIT" | "RATE_LIMITS" => ErrorKind::RateLimited,
            // The account that the tokens belong to is gone.
            "INVALID_AUTHENTICATION" | "EXPIRED_AUTHENTICATION" | "BAD_HUB" => ErrorKind::Reauth,
            _ => return None,
        })
    }

    /// The error with what the body says about it.
    fn explain(&self, error: Error) -> Error {
        let mut message = self.message().unwrap_or(error.message()).to_owned();
        let scopes = self.context(&["requiredScopes", "requiredGranularScopes", "missingScopes"]).join(", ");
        if !scopes.is_empty() {
            message = format!("{message} (scopes: {scopes})");
        }
        let mut error = error.with_message(message);
        let code =
            self.details.iter().find_map(|detail| text(detail, "code").or_else(|| text(detail, "error")));
        if let Some(code) = code.or(self.category()) {
            error = error.with_code(code);
        }
        if let Some(id) = self.text(&["correlationId"]) {
            error = error.with_request_id(id);
        }
        let mut properties = self.context(&["propertyName", "propertyNames"]);
        properties.extend(self.details.iter().filter_map(|detail| text(detail, "name")).map(str::to_owned));
        properties.dedup();
        properties.iter().fold(error, |error, name| error.with_field(format!("properties.{name}")))
    }
}

fn text<'a>(value: &'a Json, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}
