//! The vendor's answer, whole or as it comes.

use std::time::SystemTime;

use acople_core::json::Page;
use acople_core::{Body, Context, Error, ErrorKind, Permit, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::body::BodyReader;
use crate::redact::Redactor;
use crate::retry_after;

/// A complete answer: status, headers and the whole body, decompressed and within the limits.
#[derive(Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) received_at: SystemTime,
    pub(crate) redactor: Redactor,
}

impl Answer {
    /// An answer as a value, for testing classifiers and parsers without I/O.
    pub fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: impl Into<Vec<u8>>,
        received_at: SystemTime,
    ) -> Self {
        Self { status, headers, body: body.into(), received_at, redactor: Redactor::default() }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's text, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// When the answer came in, by the client's clock.
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// What takes the request's credentials out of the vendor's words. To be used for every error that is made of
    /// this answer's body: the outcomes of single records.
    pub fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// How long the answer asks to wait (`Retry-After`).
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        retry_after(&self.headers, self.received_at)
    }

    /// The body as a page of JSON text, checked to be UTF-8, not copied.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is not UTF-8.
    pub fn into_page(self) -> Result<Page> {
        Ok(Page::from_bytes(self.body)?)
    }

    /// The body as a `T`, for small answers.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] with the path at which the answer is not what it should be.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let mut parser = serde_json::Deserializer::from_slice(&self.body);
        T::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value)).map_err(|error| {
            let message = format!(
                "the answer is not the JSON it should be (line {}, column {})",
                error.line(),
                error.column()
            );
            Error::new(ErrorKind::Protocol, message).with_status(self.status.as_u16())
        })
    }
}

/// An answer whose body is read as it comes, for downloads larger than memory.
#[derive(Debug)]
pub struct Download {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) reader: BodyReader,
    pub(crate) permit: Option<Permit>,
    pub(crate) cx: Context,
}

impl Download {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next piece, decompressed; `None` at the end. Each piece has its own idle deadline.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let piece = self.reader.next(&mut self.body).await;
        match &piece {
            Ok(Some(piece)) => self.cx.meter().received(piece.len()),
            _ => drop(self.permit.take()),
        }
        piece
    }
}
