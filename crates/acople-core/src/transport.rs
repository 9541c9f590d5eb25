//! Requests and answers as values, and the trait that carries them.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

use crate::{Error, ErrorKind, Result, Secret};

/// One HTTP request: built without I/O, signed in place, given to the transport.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    secret_query: Vec<(Cow<'static, str>, Secret)>,
    noted: Vec<Secret>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, url, headers, body, secret_query: Vec::new(), noted: Vec::new() }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL, without secret query parameters.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL, for a provider that adds parameters which are no secrets.
    pub fn url_mut(&mut self) -> &mut Url {
        &mut self.url
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to add to.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
    }

    /// Sets a header whose value is a secret: it is marked sensitive and never printed. For a secret that many
    /// requests carry, [`Secret::header_value`] is made once.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the value cannot stand in a header (line breaks, controls).
    pub fn set_secret_header(&mut self, name: HeaderName, value: &str) -> Result<()> {
        let value = Secret::from(value).header_value().map_err(|error| error.with_field(name.as_str()))?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// Takes the request apart: the URL as it goes on the wire, secrets included. For transports only.
    pub fn into_parts(self) -> (Method, Url, HeaderMap, Bytes) {
        let Self { method, mut url, headers, body, secret_query, .. } = self;
        if !secret_query.is_empty() {
            url.query_pairs_mut().extend_pairs(secret_query.iter().map(|(n, v)| (n.as_ref(), v.expose())));
        }
        (method, url, headers, body)
    }

    /// Sets a query parameter that is a secret. It is added to the URL when the request is sent, so
    /// that the URL that logs and errors see never has it.
    pub fn set_secret_query(&mut self, name: impl Into<Cow<'static, str>>, value: Secret) {
        let name = name.into();
        self.secret_query.retain(|(n, _)| *n != name);
        self.secret_query.push((name, value));
    }

    /// Notes a secret that the request carries elsewhere, in its body: it is taken out of the vendor's words, as
    /// those in headers and query are.
    pub fn note_secret(&mut self, secret: Secret) {
        self.noted.push(secret);
    }

    /// The secrets that were noted.
    pub fn noted_secrets(&self) -> &[Secret] {
        &self.noted
    }

    /// The query parameters that are secrets.
    pub fn secret_query(&self) -> &[(Cow<'static, str>, Secret)] {
        &self.secret_query
    }
}

impl fmt::Debug for Request {
    /// Method, host and path: no query, no header values, no body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str().unwrap_or_default())
            .field("path", &self.url.path())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The head of an answer, and its body as it comes.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Response {
    /// An answer.
    pub fn new(status: StatusCode, headers: HeaderMap, body: Body) -> Self {
        Self { status, headers, body }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Head and body apart.
    pub fn into_parts(self) -> (StatusCode, HeaderMap, Body) {
        (self.status, self.headers, self.body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// The body of an answer, chunk by chunk. Dropping it gives up the rest.
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Stream(Chunks),
}

impl Body {
    /// A body that is there already.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(Some(bytes.into())))
    }

    /// A body that comes in chunks.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes, TransportError>> + Send + 'static) -> Self {
        Self(Inner::Stream(Box::pin(chunks)))
    }

    /// The next chunk; `None` at the end. Empty chunks are left out.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        match &mut self.0 {
            Inner::Full(bytes) => bytes.take().filter(|b| !b.is_empty()).map(Ok),
            Inner::Stream(chunks) => loop {
                match poll_fn(|cx| chunks.as_mut().poll_next(cx)).await {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    other => return other,
                }
            },
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// Carries one request to the wire and brings back the answer's head.
///
/// A transport repeats nothing, follows no redirect and decodes nothing: every attempt is counted,
/// traced and bounded by the request path above it. Dropping the future gives up the attempt.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Sends the request and waits for the head of the answer. The request is the transport's own: the next
    /// attempt of a call is built and signed anew.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// How far an attempt got before it failed: decides whether it may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The vendor cannot have seen the request.
    NotSent,
    /// The vendor may have seen it, in part or whole.
    MaybeSent,
    /// An answer had begun.
    Answered,
}

/// What went wrong on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireFault {
    /// The host's name did not resolve.
    Dns,
    /// No connection could be made.
    Connect,
    /// TLS failed: a certificate or protocol version that is not acceptable.
    Tls,
    /// The connection broke.
    Reset,
    /// The answer breaks the rules of HTTP, or ended early.
    Malformed,
    /// Nothing came in time.
    Timeout,
    /// The request itself cannot be sent.
    BadRequest,
    /// Requests may not go to this destination: the host's own network, and not opened.
    Forbidden,
    /// Our own side had no connection to give: its limit, or the system's, was reached.
    Exhausted,
    /// Something else.
    Other,
}

impl WireFault {
    /// The fault as a stable word: the code of the error that a call ends with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden_destination",
            Self::Exhausted => "connections_exhausted",
            Self::Other => "transport",
        }
    }
}

/// Why an attempt brought no complete answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    progress: Progress,
    fault: WireFault,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    /// A failure. `message` names no URL and no secret.
    pub fn new(progress: Progress, fault: WireFault, message: impl Into<String>) -> Self {
        Self { progress, fault, message: message.into(), source: None }
    }

    /// Sets the cause. It must not print URLs or secrets.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How far the attempt got.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What went wrong.
    pub fn fault(&self) -> WireFault {
        self.fault
    }

    /// The error that a call ends with, given whether it may be repeated without harm. Its code is the fault's
    /// word.
    ///
    /// A request that cannot have been seen is always [`ErrorKind::Transient`]. One that may have been
    /// is so only when repeating it is harmless, and [`ErrorKind::Ambiguous`] otherwise. TLS failures
    /// and forbidden destinations are [`ErrorKind::Config`]: trying again does not mend them.
    pub fn into_error(self, repeatable: bool) -> Error {
        let kind = match (self.fault, self.progress) {
            (WireFault::Tls | WireFault::BadRequest | WireFault::Forbidden, _) => ErrorKind::Config,
            (WireFault::Timeout, Progress::NotSent) => ErrorKind::Transient,
            (WireFault::Timeout, _) if repeatable => ErrorKind::Timeout,
            (_, Progress::NotSent) => ErrorKind::Transient,
            (WireFault::Malformed, _) if repeatable => ErrorKind::Protocol,
            (_, _) if repeatable => ErrorKind::Transient,
            _ => ErrorKind::Ambiguous,
        };
        let error = Error::new(kind, &self.message).with_code(self.fault.as_str());
        let error = if self.progress == Progress::NotSent { error } else { error.with_unknown_outcome() };
        error.with_source(self)
    }
}
