//! What a service's refusals mean.

use acople_core::{Error, ErrorKind, Result};
use acople_http::{Answer, Classifier, status_error};
use http::StatusCode;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;

/// Details of one error that are told; the first says most.
const DETAILS: usize = 3;

/// Larger error bodies are not looked into.
const BODY_LIMIT: usize = 256 << 10;

/// Reads the error bodies of both versions of OData, as JSON or XML, into message, code, fields and request id.
/// The status decides the kind.
///
/// Vendors whose refusals mean more than their status wrap it:
///
/// ```
/// use acople_core::{ErrorKind, Result};
/// use acople_http::{Answer, Classifier};
/// use acople_odata::ODataClassifier;
///
/// #[derive(Debug)]
/// struct Refusals;
///
/// impl Classifier for Refusals {
///     fn classify(&self, answer: &Answer) -> Result<()> {
///         ODataClassifier.classify(answer).map_err(|error| match error.code() {
///             Some("BUSY") => error.with_kind(ErrorKind::Transient),
///             _ => error,
///         })
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ODataClassifier;

impl Classifier for ODataClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if answer.status().is_success() {
            return Ok(());
        }
        let mut base = status_error(answer);
        if answer.status() == StatusCode::NOT_IMPLEMENTED {
            // "This service does not know that option": no outage.
            base = base.with_kind(ErrorKind::Invalid);
        }
        let Some(fault) = fault(answer) else {
            return Err(base);
        };
        Err(fault.tell(base))
    }
}

#[derive(Debug, Default, Deserialize)]
struct Fault {
    #[serde(default)]
    code: Option<Scalar>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    innererror: Option<Inner>,
    /// OData 4.0.
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Debug, Default, Deserialize)]
struct Inner {
    #[serde(default)]
    transactionid: Option<String>,
    /// OData 2.0.
    #[serde(default)]
    errordetails: Vec<Detail>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    target: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
}

/// A text in OData 4.0, an object with a language in 2.0, either of them in details.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Object { value: String },
}

impl Message {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { value: text } => text.trim(),
        }
    }
}

impl Fault {
    fn tell(&self, base: Error) -> Error {
        let details: Vec<&Detail> =
            self.details.iter().chain(self.innererror.iter().flat_map(|inner| &inner.errordetails)).collect();
        let mut texts: Vec<&str> = Vec::new();
        let own = self.message.iter().map(Message::text);
        for text in
            own.chain(details.iter().filter_map(|d| d.message.as_ref()).map(Message::text).take(DETAILS))
        {
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        let mut error = if texts.is_empty() { base } else { base.with_message(texts.join("; ")) };
        if let Some(code) = &self.code {
            error = match code {
                Scalar::Text(code) => error.with_code(code),
                Scalar::Number(code) => error.with_code(code.to_string()),
            };
        }
        if let Some(id) = self.innererror.as_ref().and_then(|inner| inner.transactionid.as_ref()) {
            error = error.with_request_id(id);
        }
        let targets = self.target.iter().chain(details.iter().filter_map(|d| d.target.as_ref()));
        for target in targets.map(|t| t.trim_start_matches('/')).take(16) {
            // SAP's mark of a message that is not kept: it names nothing.
            let name = target.strip_prefix("#TRANSIENT#").unwrap_or(target).trim_start_matches('/');
            if !name.is_empty() {
                error = error.with_field(name);
            }
        }
        error
    }
}

fn fault(answer: &Answer) -> Option<Fault> {
    #[derive(Deserialize)]
    struct Body {
        error: Fault,
    }
    let body = answer.body().trim_ascii_start();
    if body.len() > BODY_LIMIT {
        return None;
    }
    match body.first()? {
        b'{' => serde_json::from_slice::<Body>(body).ok().map(|body| body.error),
        b'<' => fault_in_xml(std::str::from_utf8(body).ok()?),
        _ => None,
    }
}

/// `<error><code/><message/></error>`: what metadata requests are answered with.
fn fault_in_xml(text: &str) -> Option<Fault> {
    let mut reader = Reader::from_str(text);
    let (mut path, mut fault) = (Vec::<String>::new(), Fault::default());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => path.push(start.local_name().as_ref().to_owned()),
            Event::End(_) => {
                path.pop();
            }
            Event::Text(found) => match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["error", "code"] => fault.code = Some(Scalar::Text(found.xml10_content().into_owned())),
                ["error", "message"] => {
                    fault.message = Some(Message::Text(found.xml10_content().into_owned()));
                }
                _ => {}
            },
            Event::DocType(_) | Event::Eof => break,
            _ => {}
        }
        if path.len() > 16 {
            break;
        }
    }
    (fault.code.is_some() || fault.message.is_some()).then_some(fault)
}
