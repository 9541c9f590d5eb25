//! Errors as the vendor words them.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::call::Answer;

/// A refused request: an array of one error.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{"message": message, "errorCode": code}]))
}

/// A path that leads nowhere.
pub(crate) fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
}

/// Why one record was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
}

impl RecordError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    pub(crate) fn on(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    /// As an element of a collection's answer.
    pub(crate) fn in_collection(&self) -> Value {
        json!({"statusCode": self.code, "message": self.message, "fields": self.fields})
    }

    fn alone(&self) -> Value {
        json!({"message": self.message, "errorCode": self.code, "fields": self.fields})
    }
}

/// A refused call for one record.
pub(crate) fn refused(errors: &[RecordError]) -> Answer {
    let status = match errors.first().map(|error| error.code) {
        Some("ENTITY_IS_DELETED" | "NOT_FOUND") => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    Answer::json(status, &Value::Array(errors.iter().map(RecordError::alone).collect()))
}
