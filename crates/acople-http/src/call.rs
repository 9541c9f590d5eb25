//! One logical request: what a connector asks for, before any attempt is made.

use std::borrow::Cow;
use std::fmt::{self, Display};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use acople_core::{Error, ErrorKind, Result};

use crate::Multipart;
use crate::request::QUERY;

/// What may stand unescaped in a path segment: RFC 3986 `pchar` without `%`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// When a request may be repeated although the vendor may have seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// Always: it changes nothing, or twice leaves what once leaves.
    Harmless,
    /// When the context has an idempotency key, which is sent in this header.
    WithKey(HeaderName),
    /// Never: only a request that cannot have been processed is sent again.
    Never,
}

/// One logical request of a connector: built without I/O, sent by [`Client::send`](crate::Client::send).
///
/// ```
/// use acople_http::Call;
///
/// let call = Call::get("list contacts").path(["crm", "objects", "2026-03", "contacts"]).query("limit", 100);
/// assert_eq!(call.path_text(), "/crm/objects/2026-03/contacts");
/// ```
///
/// Path segments are always encoded: a record's id cannot leave its place in the path. A segment of dots
/// alone makes the call fail with `Invalid`.
#[derive(Clone)]
pub struct Call {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) query: Vec<(Cow<'static, str>, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    pub(crate) class: &'static str,
    pub(crate) cost: u32,
    /// Units of one bucket, where they differ from those of the others.
    pub(crate) points: Option<(&'static str, u32)>,
    pub(crate) expects: Expects,
    /// Whether a cache may answer it, where the caller has one.
    pub(crate) cacheable: bool,
    /// Whether a cache asks if what it keeps still holds.
    pub(crate) conditional: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Below the base URL: encoded segments, each with its slash before it.
    Path(String),
    /// A link that the vendor gave: resolved against the base URL and held to its origin.
    Link {
        text: String,
        /// The path of the call that the link replaces: what the link is relative to.
        from: String,
    },
    /// A path with a segment of dots alone, which no encoding keeps in its place (WHATWG URL, 4.4): the
    /// call fails.
    Climbing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    Json,
    Anything,
}

impl Call {
    /// A request. `operation` says for people what it does (`"list contacts"`): it appears in errors
    /// and traces, so it never holds ids.
    ///
    /// GET, HEAD, OPTIONS, PUT and DELETE may be repeated (RFC 9110, 9.2.2), others may not unless
    /// told so.
    pub fn new(operation: &'static str, method: Method) -> Self {
        let repeat = if method.is_idempotent() { Repeat::Harmless } else { Repeat::Never };
        let cacheable = method == Method::GET;
        Self {
            operation,
            method,
            target: Target::Path(String::new()),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            repeat,
            class: "default",
            cost: 1,
            points: None,
            expects: Expects::Json,
            cacheable,
            conditional: false,
        }
    }

    /// A GET.
    pub fn get(operation: &'static str) -> Self {
        Self::new(operation, Method::GET)
    }

    /// A POST.
    pub fn post(operation: &'static str) -> Self {
        Self::new(operation, Method::POST)
    }

    /// A PATCH.
    pub fn patch(operation: &'static str) -> Self {
        Self::new(operation, Method::PATCH)
    }

    /// A PUT.
    pub fn put(operation: &'static str) -> Self {
        Self::new(operation, Method::PUT)
    }

    /// A DELETE.
    pub fn delete(operation: &'static str) -> Self {
        Self::new(operation, Method::DELETE)
    }

    /// Appends path segments below the base URL, each encoded.
    pub fn path<S: AsRef<str>>(mut self, segments: impl IntoIterator<Item = S>) -> Self {
        let mut path = match self.target {
            Target::Path(path) => path,
            Target::Link { .. } => String::new(),
            Target::Climbing => return self,
        };
        for segment in segments {
            let segment = segment.as_ref();
            if matches!(segment, "." | "..") {
                self.target = Target::Climbing;
                return self;
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        self.target = Target::Path(path);
        self
    }

    /// Goes to a link that the vendor gave, absolute or relative: to the call's path, or to the base URL as a
    /// folder when the call has none. One that leaves the connection's origin is refused when it is sent.
    pub fn link(mut self, link: impl Into<String>) -> Self {
        let from = match self.target {
            Target::Path(path) | Target::Link { from: path, .. } => path,
            Target::Climbing => return self,
        };
        self.target = Target::Link { text: link.into(), from };
        self.query.clear();
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Sets a query parameter, replacing what it was.
    pub fn set_query(&mut self, name: impl Into<Cow<'static, str>>, value: impl Display) {
        let name = name.into();
        self.query.retain(|(n, _)| *n != name);
        self.query.push((name, value.to_string()));
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a JSON body.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the value cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|e| Error::new(ErrorKind::Internal, "request body cannot be written").with_source(e))?;
        Ok(self.body("application/json", body))
    }

    /// Sets a body that is JSON already.
    pub fn raw_json(self, body: impl Into<Bytes>) -> Self {
        self.body("application/json", body)
    }

    /// Sets a form body (`application/x-www-form-urlencoded`).
    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sets a form with files (`multipart/form-data`).
    ///
    /// # Errors
    /// None that is known: what a form refuses, it refuses when it is built.
    pub fn multipart(mut self, form: Multipart) -> Result<Self> {
        let (content_type, body) = form.into_body();
        let content_type = HeaderValue::try_from(content_type).map_err(|e| {
            Error::new(ErrorKind::Internal, "a boundary that no header carries").with_source(e)
        })?;
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body;
        Ok(self)
    }

    /// Sets a body of any type.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// Says that repeating the request is harmless: a search by POST, an upsert by key.
    pub fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    /// Says when the request may be repeated.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Names the class whose limits and breaker apply; `default` unless told otherwise.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// Sets how many units of its buckets the request costs.
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Sets how many units of one bucket the request costs, for budgets of points beside plain rates.
    pub fn points(mut self, bucket: &'static str, units: u32) -> Self {
        self.points = Some((bucket, units));
        self
    }

    /// Says that the answer need not be JSON: without this, HTML in a 2xx answer is an error.
    pub fn any_content(mut self) -> Self {
        self.expects = Expects::Anything;
        self
    }

    /// Says that a cache may answer it, if the caller has one: for a POST that only asks. A GET needs no word.
    pub fn cacheable(mut self) -> Self {
        self.cacheable = true;
        self
    }

    /// Says that no cache may answer it: for a GET that waits for something to change, such as a job's end.
    pub fn uncached(mut self) -> Self {
        self.cacheable = false;
        self
    }

    /// The operation's name.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The encoded path below the base URL; empty for a link.
    pub fn path_text(&self) -> &str {
        match &self.target {
            Target::Path(path) => path,
            Target::Link { .. } | Target::Climbing => "",
        }
    }

    /// Bytes of path and query as they are sent, without the base URL: for vendors that bound them.
    pub fn encoded_len(&self) -> usize {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY).map(str::len).sum::<usize>();
        let query = self.query.iter().map(|(name, value)| encoded(name) + encoded(value) + 2);
        match &self.target {
            Target::Path(text) | Target::Link { text, .. } => text.len() + query.sum::<usize>(),
            Target::Climbing => 0,
        }
    }

    /// The body.
    pub fn body_bytes(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Debug for Call {
    /// Operation, method and sizes: bodies and queries hold the customer's data, forms hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}
