//! Reads bodies within limits of size, expansion and silence.

use std::io::Write;
use std::time::Duration;

use acople_core::{Body, Error, ErrorKind, Progress, Result, TransportError, WireFault};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

/// Largest first allocation for a body whose length the vendor announces.
const FIRST_ALLOCATION: u64 = 16 << 20;

/// Limits of one answer's body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BodyLimits {
    /// Bytes of a whole body, decompressed.
    pub bytes: usize,
    /// How many times larger a body may become by decompression, beyond `free`.
    pub ratio: usize,
    /// Decompressed bytes to which the ratio does not apply.
    pub free: usize,
    /// The longest silence between two pieces.
    pub idle: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            ratio: 100,
            free: 1 << 20,
            idle: Duration::from_secs(30),
        }
    }
}

/// Reads and decompresses one body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    limits: BodyLimits,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    compressed: usize,
    expanded: usize,
    announced: u64,
    ended: bool,
    /// Whether the request may be repeated: decides what a broken body means.
    repeatable: bool,
}

impl BodyReader {
    /// A reader for a body with these headers.
    ///
    /// # Errors
    /// `Protocol` for an encoding that was not asked for.
    pub(crate) fn new(headers: &HeaderMap, limits: BodyLimits, repeatable: bool) -> Result<Self> {
        let encoding = headers
            .get(CONTENT_ENCODING)
            .map_or(b"".as_slice(), |v| v.as_bytes().trim_ascii());
        let gzip = if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
            None
        } else if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
            Some(MultiGzDecoder::new(Vec::new()))
        } else {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the answer has a content encoding that was not asked for",
            ));
        };
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        Ok(Self {
            limits,
            gzip,
            compressed: 0,
            expanded: 0,
            announced,
            ended: false,
            repeatable,
        })
    }

    /// The whole body.
    pub(crate) async fn whole(mut self, mut body: Body) -> Result<Vec<u8>> {
        let limit = self.limits.bytes;
        if self.announced > limit as u64 {
            return Err(too_large(limit));
        }
        let mut whole = Vec::new();
        if self.gzip.is_none() {
            whole.reserve_exact(usize::try_from(self.announced.min(FIRST_ALLOCATION)).unwrap_or(0));
        }
        while let Some(piece) = self.next(&mut body).await? {
            if whole.is_empty() && whole.capacity() == 0 {
                // One piece is the rule for small answers: taken over without a copy where possible.
                whole = Vec::from(piece);
            } else {
                whole.extend_from_slice(&piece);
            }
            if whole.len() > limit {
                return Err(too_large(limit));
            }
        }
        Ok(whole)
    }

    /// The next piece, decompressed; `None` at the end.
    pub(crate) async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>> {
        while !self.ended {
            let chunk = match tokio::time::timeout(self.limits.idle, body.chunk()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => return Err(error.into_error(self.repeatable)),
                Ok(None) => {
                    self.ended = true;
                    match self.finish()? {
                        Some(rest) => return Ok(Some(rest)),
                        None => break,
                    }
                }
                Err(_) => {
                    let silence = TransportError::new(
                        Progress::Answered,
                        WireFault::Timeout,
                        format!("no byte of the body for {} s", self.limits.idle.as_secs_f32()),
                    );
                    return Err(silence.into_error(self.repeatable));
                }
            };
            if let Some(piece) = self.expand(chunk)? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn expand(&mut self, chunk: Bytes) -> Result<Option<Bytes>> {
        self.compressed += chunk.len();
        let Some(gzip) = &mut self.gzip else {
            return Ok(Some(chunk));
        };
        // In small steps, so that a bomb is seen before it has gone off.
        for step in chunk.chunks(1024) {
            gzip.write_all(step).map_err(|e| broken_gzip(&e))?;
            let expanded = self.expanded + gzip.get_ref().len();
            let allowed = self
                .limits
                .free
                .saturating_add(self.compressed.saturating_mul(self.limits.ratio));
            if expanded > allowed {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "the answer expands beyond the allowed ratio",
                ));
            }
        }
        let piece = std::mem::take(gzip.get_mut());
        self.expanded += piece.len();
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    fn finish(&mut self) -> Result<Option<Bytes>> {
        let Some(gzip) = &mut self.gzip else {
            return Ok(None);
        };
        if self.compressed == 0 {
            return Ok(None);
        }
        gzip.try_finish().map_err(|e| broken_gzip(&e))?;
        let piece = std::mem::take(gzip.get_mut());
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the answer is larger than {limit} bytes"),
    )
}

fn broken_gzip(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the compressed answer is broken: {}", error.kind()),
    )
}
