//! A client of a few lines: one connection for each request.

use acople_testkit::sandbox::{HubSpot, Record, Salesforce};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) struct Client {
    address: String,
    pub(crate) token: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Client {
    pub(crate) fn new(url: &str, token: impl Into<String>) -> Self {
        Self { address: url.strip_prefix("http://").unwrap().to_owned(), token: token.into() }
    }

    pub(crate) fn salesforce(vendor: &Salesforce) -> Self {
        Self::new(vendor.url(), vendor.access_token())
    }

    pub(crate) fn hubspot(vendor: &HubSpot) -> Self {
        Self::new(vendor.url(), vendor.credentials().private_token)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.call("PATCH", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, &Value::Null).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("content-type", "application/json")], body).await.expect("an answer")
    }

    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &headers, encoded(fields)).await.expect("an answer")
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Result<Reply> {
        let socket = TcpStream::connect(&self.address).await.expect("the sandbox listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        if !headers.iter().any(|(name, _)| *name == "authorization") && !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        drop(sender);
        let _ = connection.await;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, bytes })
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    /// The JSON of an answer that must have this status.
    pub(crate) fn with_status(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Fields as a form or a query has them.
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn record(value: Value) -> Record {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no record"),
    }
}
