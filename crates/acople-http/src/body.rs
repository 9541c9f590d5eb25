//! Reads bodies within limits of size, expansion and silence.

#![deny(clippy::arithmetic_side_effects)]

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

/// Silences that may fill a window of the floor: an answer that is worked out for long may be short.
const SILENCES: usize = 2;

/// What counts as one; less where the window is short.
const SILENCE: Duration = Duration::from_secs(1);

/// Decompressed bytes that are handed out at once, give or take what 1 KiB of the wire expands to.
const PIECE: usize = 1 << 20;

/// Limits of one answer's body.
///
/// ```
/// use std::time::Duration;
/// use acople_http::BodyLimits;
///
/// let mut limits = BodyLimits::default();
/// limits.bytes = 4 << 20;
/// limits.idle = Duration::from_secs(90); // a vendor that is known to think for long
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The fewest bytes that must come in each `floor_window` of waiting; a body that comes more slowly is
    /// given up, unless one or two silences filled the window. 0 switches the floor off: for streams of
    /// events, which may be quiet.
    pub floor_bytes: usize,
    /// See `floor_bytes`.
    pub floor_window: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            ratio: 100,
            free: 1 << 20,
            idle: Duration::from_secs(30),
            floor_bytes: 20,
            floor_window: Duration::from_secs(20),
        }
    }
}

#[derive(Debug)]
struct Gzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Came from the wire and is not decompressed yet.
    packed: Bytes,
}

/// Reads and decompresses one body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    limits: BodyLimits,
    /// In a box of its own: most answers have none, and the reader lives in every call's future.
    gzip: Option<Box<Gzip>>,
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
            Some(Box::new(Gzip { decoder: MultiGzDecoder::new(Vec::new()), packed: Bytes::new() }))
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
            // Before it is copied: nothing beyond the limit is ever held twice.
            if piece.len() > limit.saturating_sub(whole.len()) {
                return Err(too_large(limit));
            }
            if whole.is_empty() && whole.capacity() == 0 {
                // One piece is the rule for small answers: taken over without a copy where possible.
                whole = Vec::from(piece);
            } else {
                whole.extend_from_slice(&piece);
            }
        }
        Ok(whole)
    }

    /// The next piece, decompressed; `None` at the end.
    pub(crate) async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>> {
        while !self.ended {
            if let Some(piece) = self.expand()? {
                return Ok(Some(piece));
            }
            let mut chunk = pin!(body.chunk());
            // Most pieces are there already: no timer is set for them.
            let chunk = match poll_fn(|task| Poll::Ready(chunk.as_mut().poll(task))).await {
                Poll::Ready(chunk) => Ok(chunk),
                Poll::Pending => {
                    let asked = Instant::now();
                    let chunk = tokio::time::timeout(self.limits.idle, chunk).await;
                    let silence = asked.elapsed();
                    self.waited = self.waited.saturating_add(silence);
                    if silence > SILENCE.min(self.limits.floor_window.checked_div(20).unwrap_or_default()) {
                        self.silences = self.silences.saturating_add(1);
                    }
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
            self.compressed = self.compressed.saturating_add(chunk.len());
            match &mut self.gzip {
                Some(gzip) => gzip.packed = chunk,
                None => return Ok(Some(chunk)),
            }
        }
        Ok(None)
    }

    /// Whether the body comes faster than drop by drop.
    fn keeps_pace(&mut self, bytes: usize) -> Result<()> {
        self.trickled = self.trickled.saturating_add(bytes);
        if self.waited < self.limits.floor_window {
            return Ok(());
        }
        if self.trickled >= self.limits.floor_bytes {
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

    /// A piece of what came and is still packed.
    fn expand(&mut self) -> Result<Option<Bytes>> {
        let Some(Gzip { decoder, packed }) = self.gzip.as_deref_mut().filter(|gzip| !gzip.packed.is_empty())
        else {
            return Ok(None);
        };
        // In small steps, so that a bomb is seen before it has gone off.
        while !packed.is_empty() && decoder.get_ref().len() < PIECE {
            let step = packed.split_to(packed.len().min(1024));
            decoder.write_all(&step).map_err(|e| broken_gzip(&e))?;
            let expanded = self.expanded.saturating_add(decoder.get_ref().len());
            let allowed = self.limits.free.saturating_add(self.compressed.saturating_mul(self.limits.ratio));
            if expanded > allowed {
                return Err(Error::new(ErrorKind::TooLarge, "the answer expands beyond the allowed ratio"));
            }
        }
        let piece = std::mem::take(decoder.get_mut());
        self.expanded = self.expanded.saturating_add(piece.len());
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    /// Whether the body is packed on the wire.
    pub(crate) fn is_packed(&self) -> bool {
        self.gzip.is_some()
    }

    /// Allows a body that is quiet for long stretches, as streams of events are.
    pub(crate) fn without_floor(&mut self) {
        self.limits.floor_bytes = 0;
    }

    fn finish(&mut self) -> Result<Option<Bytes>> {
        let Some(gzip) = &mut self.gzip else {
            return Ok(None);
        };
        if self.compressed == 0 {
            return Ok(None);
        }
        gzip.decoder.try_finish().map_err(|e| broken_gzip(&e))?;
        let piece = std::mem::take(gzip.decoder.get_mut());
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
