//! Reads bodies within limits of size, expansion and silence.

use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use acople_core::{Body, Error, ErrorKind, Progress, Result, TransportError, WireFault};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::time::Instant;

/// Largest first allocation for a body whose length the vendor announces.
const FIRST_ALLOCATION: u64 = 16 << 20;

/// A body that brings fewer bytes than this in so much time of waiting is given up, unless the time is that of
/// one or two silences: an answer that is worked out for long may be short.
const PACE_WINDOW: Duration = Duration::from_secs(20);
const PACE_BYTES: usize = 20;
const SILENCES: usize = 2;

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
        Self { bytes: 64 << 20, ratio: 100, free: 1 << 20, idle: Duration::from_secs(30) }
    }
}

/// Reads and decompresses one body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    limits: BodyLimits,
    /// In a box of its own: most answers have none, and the reader lives in every call's future.
    gzip: Option<Box<MultiGzDecoder<Vec<u8>>>>,
    compressed: usize,
    expanded: usize,
    announced: u64,
    /// Time spent waiting for pieces, and the bytes that came, since the pace was last looked at. A consumer
    /// that takes its time does not count.
    waited: Duration,
    silences: usize,
    trickled: usize,
    ended: bool,
    /// Whether the request may be repeated: decides what a broken body means.
    repeatable: bool,
}

impl BodyReader {
    /// A reader for a body with these headers.
    ///
    /// # Errors
    /// `Protocol` for an encoding that was not asked for, or several.
    pub(crate) fn new(
        headers: &HeaderMap,
        limits: BodyLimits,
        repeatable: bool,
        bodiless: bool,
    ) -> Result<Self> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter().map(|v| v.as_bytes().trim_ascii());
        let (encoding, more) = (encodings.next().unwrap_or_default(), encodings.next());
        let gzip = if more.is_some() {
            return Err(foreign_encoding());
        } else if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
            None
        } else if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
            Some(Box::new(MultiGzDecoder::new(Vec::new())))
        } else {
            return Err(foreign_encoding());
        };
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse().ok())
            // The answer to HEAD announces the body that GET would have.
            .filter(|_| !bodiless)
            .unwrap_or(0);
        Ok(Self {
            limits,
            gzip,
            compressed: 0,
            expanded: 0,
            announced,
            waited: Duration::ZERO,
            silences: 0,
            trickled: 0,
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
            let mut chunk = pin!(body.chunk());
            // Most pieces are there already: no timer is set for them.
            let chunk = match poll_fn(|task| Poll::Ready(chunk.as_mut().poll(task))).await {
                Poll::Ready(chunk) => Ok(chunk),
                Poll::Pending => {
                    let asked = Instant::now();
                    let chunk = tokio::time::timeout(self.limits.idle, chunk).await;
                    let silence = asked.elapsed();
                    self.waited += silence;
                    self.silences += usize::from(silence > Duration::from_secs(1));
                    chunk
                }
            };
            let chunk = match chunk {
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
                    return Err(self
                        .too_slow(format!("no byte of the body for {} s", self.limits.idle.as_secs_f32())));
                }
            };
            self.keeps_pace(chunk.len())?;
            if let Some(piece) = self.expand(chunk)? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Whether the body comes faster than drop by drop.
    fn keeps_pace(&mut self, bytes: usize) -> Result<()> {
        self.trickled = self.trickled.saturating_add(bytes);
        if self.waited < PACE_WINDOW {
            return Ok(());
        }
        if self.trickled >= PACE_BYTES {
            (self.waited, self.silences, self.trickled) = (Duration::ZERO, 0, 0);
            return Ok(());
        }
        if self.silences <= SILENCES {
            return Ok(());
        }
        Err(self.too_slow("the body comes drop by drop".to_owned()))
    }

    fn too_slow(&self, message: String) -> Error {
        TransportError::new(Progress::Answered, WireFault::Timeout, message).into_error(self.repeatable)
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
            let allowed = self.limits.free.saturating_add(self.compressed.saturating_mul(self.limits.ratio));
            if expanded > allowed {
                return Err(Error::new(ErrorKind::TooLarge, "the answer expands beyond the allowed ratio"));
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

fn foreign_encoding() -> Error {
    Error::new(ErrorKind::Protocol, "the answer has a content encoding that was not asked for")
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the answer is larger than {limit} bytes"))
}

fn broken_gzip(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Protocol, format!("the compressed answer is broken: {}", error.kind()))
}
