//! Refusals as the vendor words them.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::call::Answer;

/// Why a call, or one record of it, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) category: &'static str,
    pub(crate) message: String,
    pub(crate) details: Vec<Detail>,
}

/// What is wrong with one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) property: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, category: &'static str, message: impl Into<String>) -> Self {
        Self { status, category, message: message.into(), details: Vec::new() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    pub(crate) fn missing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found")
    }

    /// The properties of a record that can not be written. The message holds them once more, as a list in JSON: clients of
    /// the legacy API read them there.
    pub(crate) fn properties(details: Vec<Detail>) -> Self {
        let list: Vec<Value> = details
            .iter()
            .map(|detail| {
                json!({
                    "isValid": false,
                    "message": detail.message,
                    "error": detail.code,
                    "name": detail.property,
                })
            })
            .collect();
        let message = format!("Property values were not valid: {}", Value::Array(list));
        Self { details, ..Self::validation(message) }
    }

    pub(crate) fn answer(&self, correlation: &str) -> Answer {
        let mut body = json!({
            "status": "error",
            "message": self.message,
            "correlationId": correlation,
            "category": self.category,
        });
        self.add_details(&mut body);
        Answer::json(self.status, &body)
    }

    /// As one error of a batch; `context` tells which inputs it is about.
    pub(crate) fn in_batch(&self, context: Map<String, Value>) -> Value {
        let mut body = json!({
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": context,
        });
        self.add_details(&mut body);
        body
    }

    fn add_details(&self, body: &mut Value) {
        if self.details.is_empty() {
            return;
        }
        let details: Vec<Value> = self
            .details
            .iter()
            .map(|detail| {
                json!({
                    "message": detail.message,
                    "code": detail.code,
                    "context": {"propertyName": [detail.property]},
                })
            })
            .collect();
        if let Some(map) = body.as_object_mut() {
            map.insert("errors".into(), Value::Array(details));
        }
    }
}
