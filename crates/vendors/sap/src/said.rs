//! What SAP says in its own way: refusals that go away by themselves, and warnings beside a success.

use acople_core::{Error, ErrorKind, Result};
use acople_http::{Answer, Classifier};
use acople_odata::ODataClassifier;
use http::HeaderMap;
use serde::Deserialize;

/// The refusals of OData, of which business locks are not the caller's fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusals;

impl Classifier for Refusals {
    fn classify(&self, answer: &Answer) -> Result<()> {
        ODataClassifier.classify(answer).map_err(|error| {
            let locked = ["locked by", "is locked"].iter().any(|words| error.message().contains(words));
            match error.kind() {
                ErrorKind::Invalid if locked => error.with_kind(ErrorKind::Transient),
                _ => error,
            }
        })
    }
}

/// The header `sap-message` holds JSON with a message and its severity.
pub(crate) fn warning(headers: &HeaderMap) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        message: String,
        #[serde(default)]
        severity: String,
    }
    let found: Message = serde_json::from_slice(headers.get("sap-message")?.as_bytes()).ok()?;
    matches!(found.severity.as_str(), "warning" | "error").then(|| {
        // Through the error type, which bounds texts and escapes control characters.
        Error::new(ErrorKind::Invalid, found.message).message().to_owned()
    })
}
