//! A request and an answer as plain values, without a socket.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use serde_json::Value;

use super::encoding::{base64_decode, percent_decode};

/// A request that has been read to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The path's parts, decoded; empty ones are left out.
    pub(crate) segments: Vec<String>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let path = parts.uri.path().to_owned();
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode(segment).unwrap_or_else(|| segment.to_owned()))
            .collect();
        Self {
            method: parts.method,
            segments,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            path,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The first value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A parameter that lists names: `a=x,y`, `a=x&a=y`, or both.
    pub(crate) fn list_param(&self, name: &str) -> Option<Vec<String>> {
        let mut names: Option<Vec<String>> = None;
        for (key, value) in url::form_urlencoded::parse(self.query.as_bytes()) {
            if key == name {
                names.get_or_insert_default().extend(
                    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned),
                );
            }
        }
        names
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// User and password of a Basic header.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let (scheme, token) = self.header(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(base64_decode(token.trim())?).ok()?;
        let (user, password) = pair.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// A form-encoded body.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(crate) fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// Bytes of the request line's target and of all headers.
    pub(crate) fn head_bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        self.path.len() + self.query.len() + headers
    }
}

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::json_bytes(status, body.to_string())
    }

    pub(crate) fn json_bytes(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json;charset=UTF-8".into())],
            body: body.into(),
        }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
