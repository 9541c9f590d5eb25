//! Downloads that go on where their connection broke.

#![deny(clippy::arithmetic_side_effects)]

use acople_core::{Context, Error, ErrorKind, Result};
use bytes::{Buf, Bytes};
use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::digest::Checksum;
use crate::{Call, Client, Download};

/// A download of a file of any size that asks for the rest when its connection breaks.
///
/// It goes on by range (RFC 9110, 14) where the vendor gives the file a strong `ETag`, and only within the same
/// version of the file: parts of two versions are never put together. Each break may be followed by as many
/// attempts as the client's [`RetryPolicy`](crate::RetryPolicy) allows, counted anew once bytes have come.
/// A length and a checksum that the vendor announces (`Repr-Digest`, `Content-Digest`, RFC 9530) are compared at
/// the end; checksums need the crate's feature `digest`.
///
/// ```
/// use acople_core::Context;
/// use acople_http::{Call, Client};
///
/// # async fn example(client: Client) -> acople_core::Result<()> {
/// let call = Call::get("export orders").path(["exports", "17"]).any_content();
/// let mut file = client.download_resumable(&Context::new(), &call).await?;
/// while let Some(piece) = file.chunk().await? {
///     println!("{} bytes, {} in all", piece.len(), file.position());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Resumable {
    client: Client,
    cx: Context,
    call: Call,
    headers: HeaderMap,
    /// `None` once it has ended, well or not.
    download: Option<Download>,
    /// The strong tag of the version that is read; `None` where it cannot be resumed.
    version: Option<HeaderValue>,
    total: Option<u64>,
    checksum: Option<Checksum>,
    position: u64,
    /// Bytes that come a second time.
    known: u64,
    /// Attempts since bytes came last.
    tries: u32,
}

impl Client {
    /// Sends a request for a file and hands it out as it comes, through breaks of the connection: see
    /// [`Resumable`]. The file comes as it is, not compressed on its way.
    ///
    /// # Errors
    /// As [`download`](Self::download); what breaks later is an error of [`Resumable::chunk`].
    pub async fn download_resumable(&self, cx: &Context, call: &Call) -> Result<Resumable> {
        // Ranges of what is packed are not ranges of the file.
        let call = call.clone().header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let download = self.download(cx, &call).await?;
        let headers = download.headers().clone();
        let whole = download.status() == StatusCode::OK && !download.is_packed();
        let ranges = headers.get(ACCEPT_RANGES).is_none_or(|value| value.as_bytes() != b"none");
        let resumes = whole && ranges && call.method == Method::GET;
        let version = headers.get(ETAG).filter(|tag| resumes && tag.as_bytes().starts_with(b"\"")).cloned();
        Ok(Resumable {
            client: self.clone(),
            cx: cx.clone(),
            total: whole.then(|| number(headers.get(CONTENT_LENGTH)?.as_bytes())).flatten(),
            checksum: whole.then(|| Checksum::given(&headers)).flatten(),
            call,
            headers,
            download: Some(download),
            version,
            position: 0,
            known: 0,
            tries: 0,
        })
    }
}

impl Resumable {
    /// The headers of the first answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Bytes that were handed out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The file's length, if it was announced.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What broke the connection, when it cannot be resumed or was tried often enough. `CursorExpired` when the
    /// file is another version now: start over. `Protocol` for parts that do not fit together, and at the end
    /// when length or checksum differ: what was handed out is worth nothing then. After any of them nothing
    /// comes any more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(download) = &mut self.download else { return Ok(None) };
            let broken = match download.chunk().await {
                Ok(Some(mut piece)) => {
                    let again = usize::try_from(self.known).unwrap_or(usize::MAX).min(piece.len());
                    piece.advance(again);
                    self.known = self.known.saturating_sub(again as u64);
                    if piece.is_empty() {
                        continue;
                    }
                    self.position = self.position.saturating_add(piece.len() as u64);
                    self.tries = 0;
                    if let Some(checksum) = &mut self.checksum {
                        checksum.update(&piece);
                    }
                    return Ok(Some(piece));
                }
                // All that was announced is there: a break behind it takes nothing away.
                Err(_) if self.known == 0 && self.total == Some(self.position) => return self.end(),
                Ok(None) if self.known == 0 && self.total.is_none_or(|total| total <= self.position) => {
                    return self.end();
                }
                Ok(None) => Error::new(ErrorKind::Protocol, "the file ended early"),
                Err(error) => error,
            };
            // Taken first: whatever happens now, nothing more is read from it.
            self.download = None;
            self.download = Some(self.again(broken).await?);
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        self.download = None;
        if self.total.is_some_and(|total| total != self.position) {
            return Err(self.fault("the file is longer than was announced"));
        }
        if self.checksum.take().is_some_and(|checksum| !checksum.matches()) {
            return Err(self.fault("the file does not have the checksum that was announced"));
        }
        Ok(None)
    }

    /// The rest of the file.
    async fn again(&mut self, broken: Error) -> Result<Download> {
        let policy = self.client.0.retry;
        self.tries = self.tries.saturating_add(1);
        let passes = matches!(broken.kind(), ErrorKind::Transient | ErrorKind::Timeout | ErrorKind::Protocol);
        let Some(version) = self.version.clone().filter(|_| passes && self.tries < policy.attempts) else {
            return Err(broken.with_operation(self.call.operation()));
        };
        let wait = policy.wait(self.tries, false, fastrand::f64());
        let late =
            |deadline| Instant::now().checked_add(wait).is_none_or(|until| until.into_std() > deadline);
        if self.cx.deadline().is_some_and(late) {
            return Err(broken.with_operation(self.call.operation()));
        }
        tracing::debug!(operation = self.call.operation(), position = self.position, ?wait, "going on");
        self.cx.meter().waited(wait);
        tokio::time::sleep(wait).await;
        self.cx.ensure_live()?;
        let range = HeaderValue::try_from(format!("bytes={}-", self.position))
            .map_err(|e| Error::new(ErrorKind::Internal, "a range that no header carries").with_source(e))?;
        let call = self.call.clone().header(RANGE, range).header(IF_RANGE, version.clone());
        let rest = self.client.download(&self.cx, &call).await?;
        if rest.headers().get(ETAG) != Some(&version) {
            let message = "the file is another version than the one that was begun";
            return Err(Error::new(ErrorKind::CursorExpired, message).with_operation(call.operation()));
        }
        self.known = match rest.status() {
            StatusCode::PARTIAL_CONTENT => {
                let (first, total) = rest.headers().get(CONTENT_RANGE).and_then(content_range).unzip();
                let total = total.flatten();
                let same_total = total.is_none() || self.total.is_none() || total == self.total;
                if first != Some(self.position) || !same_total || rest.is_packed() {
                    return Err(self.fault("the vendor gave another part of the file than was asked for"));
                }
                self.total = self.total.or(total);
                0
            }
            // The same version from its beginning: the vendor does not serve parts.
            StatusCode::OK if !rest.is_packed() => self.position,
            _ => return Err(self.fault("the rest of the file did not come as it was asked for")),
        };
        Ok(rest)
    }

    fn fault(&self, message: &str) -> Error {
        Error::new(ErrorKind::Protocol, message).with_operation(self.call.operation())
    }
}

/// The first byte and the file's length of `bytes 5-9/10` (RFC 9110, 14.4).
fn content_range(value: &HeaderValue) -> Option<(u64, Option<u64>)> {
    let text = value.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(number(total.as_bytes())?) };
    Some((number(first.as_bytes())?, total))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
}
