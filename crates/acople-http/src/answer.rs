//! The vendor's answer, whole or as it comes.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use acople_core::json::{self, Page};
use acople_core::{Body, Context, Error, ErrorKind, Permit, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use memchr::memchr2_iter;
use serde::de::DeserializeOwned;

use crate::body::BodyReader;
use crate::redact::Redactor;
use crate::{charset, retry_after};

/// A complete answer: status, headers and the whole body, decompressed and within the limits.
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

    /// The body as a page of JSON text. One in UTF-8 is checked and not copied, one in another charset that
    /// the answer declares is converted.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is not text in its charset, or the charset is not known.
    pub fn into_page(self) -> Result<Page> {
        Ok(Page::from_bytes(charset::utf8(&self.headers, self.body)?.into_owned())?)
    }

    /// As [`into_page`](Self::into_page), for pages of records: bytes that are no text spoil the records in
    /// which they stand and not the page. See [`Batch::unreadable`](acople_core::Batch::unreadable).
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the charset is not known, or most of it is no text.
    pub fn into_marked_page(self) -> Result<Page> {
        Ok(Page::from_bytes_marked(charset::utf8(&self.headers, self.body)?.into_owned())?)
    }

    /// The body as text, without a byte-order mark, converted from the charset that the answer declares.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is not text in its charset, or the charset is not known.
    pub fn text(&self) -> Result<Cow<'_, str>> {
        let not_text = || Error::new(ErrorKind::Protocol, "the answer is not text in its charset");
        Ok(match charset::utf8(&self.headers, &*self.body)? {
            Cow::Borrowed(bytes) => Cow::Borrowed(str::from_utf8(unmarked(bytes)).map_err(|_| not_text())?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| not_text())?),
        })
    }

    /// The body as a `T`, for small answers, converted from the charset that the answer declares.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] with the place at which the answer is not what it should be, `TooLarge` when it is
    /// nested too deeply, wherever in it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let body = charset::utf8(&self.headers, &*self.body)?;
        ensure_shallow(unmarked(&body))?;
        let mut parser = serde_json::Deserializer::from_slice(unmarked(&body));
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

/// Refuses what is nested too deeply also where the parser would only skip it: serde_json counts what it builds.
fn ensure_shallow(text: &[u8]) -> Result<()> {
    // Most answers have not that many brackets, and are not looked through twice.
    if memchr2_iter(b'{', b'[', text).take(json::MAX_DEPTH as usize).count() < json::MAX_DEPTH as usize {
        return Ok(());
    }
    match str::from_utf8(text).map(json::value) {
        Ok(Err(error @ json::Error::TooDeep { .. })) => Err(error.into()),
        _ => Ok(()),
    }
}

impl fmt::Debug for Answer {
    /// Status and length: the vendor's words may be tokens, sessions, or somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Download {
    /// The status alone, as for [`Answer`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Without the byte-order mark of UTF-8.
fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// An answer whose body is read as it comes, for downloads larger than memory: whole files with
/// [`Resumable`](crate::Resumable), lines with [`Lines`](crate::Lines), events with
/// [`ServerEvents`](crate::ServerEvents).
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

    /// Whether the body is compressed on the wire: ranges of it are not ranges of what is read here.
    pub(crate) fn is_packed(&self) -> bool {
        self.reader.is_packed()
    }

    /// Allows a body that is quiet for long stretches.
    pub(crate) fn without_floor(mut self) -> Self {
        self.reader.without_floor();
        self
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
