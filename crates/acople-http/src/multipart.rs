//! Forms with files (`multipart/form-data`, RFC 7578).

use std::fmt;

use acople_core::{Error, ErrorKind, Result};
use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// Largest form unless told otherwise, in bytes.
const LARGEST: usize = 64 << 20;

/// A form with files, for [`Call::multipart`](crate::Call::multipart).
///
/// Names and file names are escaped as browsers do (WHATWG HTML, 4.10.21.8); those with line breaks or other
/// control characters are refused, so that none can end its header and begin another.
///
/// ```
/// use acople_http::{Call, Multipart};
///
/// let form = Multipart::new()
///     .text("folder", "Invoices")?
///     .file("file", "July \"final\".pdf", "application/pdf", b"%PDF-1.7".as_slice())?;
/// let call = Call::post("upload file").path(["files"]).multipart(form)?;
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Multipart {
    parts: Vec<Part>,
    largest: usize,
    bytes: usize,
}

#[derive(Clone)]
struct Part {
    head: String,
    body: Bytes,
}

impl Multipart {
    /// An empty form of at most 64 MiB.
    pub fn new() -> Self {
        Self { parts: Vec::new(), largest: LARGEST, bytes: 0 }
    }

    /// Sets the most bytes of all parts together, for those that are added behind this.
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// Adds a field.
    ///
    /// # Errors
    /// `Invalid` for a name with control characters, `TooLarge` beyond the limit.
    pub fn text(self, name: &str, value: impl Into<String>) -> Result<Self> {
        let head = format!("Content-Disposition: form-data; name=\"{}\"\r\n", quoted(name)?);
        self.part(head, value.into().into())
    }

    /// Adds a file. Only the last part of a path belongs into `file_name`.
    ///
    /// # Errors
    /// `Invalid` for a name, file name or content type with control characters, `TooLarge` beyond the limit.
    pub fn file(
        self,
        name: &str,
        file_name: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Self> {
        if content_type.is_empty() || !content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Error::new(ErrorKind::Invalid, "a content type cannot stand in a header"));
        }
        let (name, file_name) = (quoted(name)?, quoted(file_name)?);
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: {content_type}\r\n"
        );
        self.part(head, body.into())
    }

    fn part(mut self, head: String, body: Bytes) -> Result<Self> {
        self.bytes = self.bytes.saturating_add(head.len()).saturating_add(body.len());
        if self.bytes > self.largest {
            let message = format!("the form is larger than {} bytes", self.largest);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.parts.push(Part { head, body });
        Ok(self)
    }

    /// The content type and the body.
    pub(crate) fn into_body(self) -> (String, Bytes) {
        let boundary = self.boundary();
        let mut body = BytesMut::with_capacity(self.bytes + (self.parts.len() + 1) * (boundary.len() + 8));
        for part in &self.parts {
            for piece in ["--", &boundary, "\r\n", &part.head, "\r\n"] {
                body.extend_from_slice(piece.as_bytes());
            }
            body.extend_from_slice(&part.body);
            body.extend_from_slice(b"\r\n");
        }
        for piece in ["--", &boundary, "--\r\n"] {
            body.extend_from_slice(piece.as_bytes());
        }
        (format!("multipart/form-data; boundary={boundary}"), body.freeze())
    }

    /// A text that no part holds (RFC 2046, 5.1.1): random, and looked for all the same.
    fn boundary(&self) -> String {
        loop {
            let boundary = format!("acople-{:032x}", fastrand::u128(..));
            let finder = memmem::Finder::new(boundary.as_bytes());
            let holds = |text: &[u8]| finder.find(text).is_some();
            if !self.parts.iter().any(|part| holds(part.head.as_bytes()) || holds(&part.body)) {
                return boundary;
            }
        }
    }
}

impl Default for Multipart {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Multipart {
    /// Sizes only: forms hold the customer's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("parts", &self.parts.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A name as it stands between quotes.
fn quoted(name: &str) -> Result<String> {
    if name.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::Invalid, "a name in a form has control characters"));
    }
    Ok(name.replace('"', "%22"))
}
