//! From a call to the request of one attempt.

use acople_core::{Context, Error, ErrorKind, Request, Result, Secret};
use http::HeaderValue;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::call::{Call, Expects, Repeat, Target};
use crate::client::Inner;
use crate::link;

/// What may stand unescaped in a query's name or value. A space becomes `%20`: OData servers refuse the
/// `+` of HTML forms, and every server knows `%20`.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b'!');

impl Inner {
    /// Builds the request of an attempt, without credentials.
    pub(crate) async fn request(&self, cx: &Context, call: &Call) -> Result<Request> {
        let named = match self.auth.as_ref().and_then(|auth| auth.endpoint(cx)) {
            Some(endpoint) => Some(endpoint.await?),
            None => None,
        };
        let url = target(named.as_ref().unwrap_or(&self.base), call)?;
        let mut request = Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if call.expects == Expects::Json {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        for (name, value) in self.headers.iter().chain(call.headers.iter()) {
            headers.insert(name, value.clone());
        }
        if let (Repeat::WithKey(name), Some(key)) = (&call.repeat, cx.idempotency_key()) {
            let value = HeaderValue::from_str(key)
                .map_err(|_| Error::config("idempotency_key", "has characters that a header cannot carry"))?;
            headers.insert(name, value);
        }
        request.set_body(call.body.clone());
        Ok(request)
    }
}

/// The URL of a call: below the base, or a vendor's link held to the base's origin.
fn target(base: &Url, call: &Call) -> Result<Url> {
    let mut url = match &call.target {
        Target::Link { text, from } => link::resolve(base, from, text)?,
        Target::Climbing => {
            return Err(Error::new(ErrorKind::Invalid, "a path segment of dots alone would leave its place"));
        }
        Target::Path(path) => {
            let mut url = base.clone();
            url.set_path(&[base.path().trim_end_matches('/'), path].concat());
            url
        }
    };
    if !call.query.is_empty() {
        let mut query = url.query().map(str::to_owned).unwrap_or_default();
        for (name, value) in &call.query {
            if !query.is_empty() {
                query.push('&');
            }
            query.extend(utf8_percent_encode(name, QUERY));
            query.push('=');
            query.extend(utf8_percent_encode(value, QUERY));
        }
        url.set_query(Some(&query));
    }
    Ok(url)
}

/// The secrets that a request carries, kept while it is on its way: a vendor may repeat them in its own words.
#[derive(Default)]
pub(crate) struct Carried {
    /// One is the rule: no room is made for others.
    first: Option<HeaderValue>,
    others: Vec<HeaderValue>,
    texts: Vec<Secret>,
}

impl Carried {
    pub(crate) fn of(request: &Request) -> Self {
        let mut headers = request.headers().values().filter(|value| value.is_sensitive()).cloned();
        Self {
            first: headers.next(),
            others: headers.collect(),
            texts: request
                .secret_query()
                .iter()
                .map(|(_, secret)| secret)
                .chain(request.noted_secrets())
                .cloned()
                .collect(),
        }
    }

    /// Takes the credentials out of the vendor's own words.
    pub(crate) fn redact(&self, mut error: Error) -> Error {
        for value in self.first.iter().chain(&self.others) {
            if let Ok(text) = value.to_str() {
                error.redact(text);
                error.redact(text.rsplit(' ').next().unwrap_or_default());
            }
        }
        for secret in &self.texts {
            error.redact(secret.expose());
        }
        error
    }
}
