//! From a call to the request of one attempt.

use acople_core::{Context, Error, ErrorKind, Request, Result};
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
        let url = target(named.as_ref().unwrap_or(&self.base), &self.link_origins, call)?;
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
fn target(base: &Url, others: &[Url], call: &Call) -> Result<Url> {
    let mut url = match &call.target {
        Target::Link { text, from } => link::resolve(base, others, from, text)?,
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
