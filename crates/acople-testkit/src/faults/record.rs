//! What a fault server remembers: requests and connections.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub(crate) connection: usize,
    pub(crate) at: Duration,
    pub(crate) head: Bytes,
    pub(crate) body: Vec<u8>,
    pub(crate) body_len: u64,
    pub(crate) complete: bool,
    pub(crate) stream: Option<u32>,
}

impl Received {
    /// The number of its connection, from 0.
    pub fn connection(&self) -> usize {
        self.connection
    }

    /// When its head was there, counted from the server's start.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// The head as it came, request line included; over HTTP/2 the header block, which is packed by HPACK.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The head as text, for messages and searches.
    pub fn head_text(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned()
    }

    /// The method of the request line; empty over HTTP/2.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// The target of the request line: path and query; empty over HTTP/2.
    pub fn target(&self) -> &str {
        self.word(1)
    }

    /// A header's first value; none over HTTP/2.
    pub fn header(&self, name: &str) -> Option<&str> {
        let text = self.text()?;
        text.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body without its framing, up to the server's bound.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The bytes of body that came, kept or not.
    pub fn body_len(&self) -> u64 {
        self.body_len
    }

    /// Whether head and body were read to their end.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// The HTTP/2 stream it came on.
    pub fn stream(&self) -> Option<u32> {
        self.stream
    }

    fn text(&self) -> Option<&str> {
        if self.stream.is_some() { None } else { std::str::from_utf8(&self.head).ok() }
    }

    fn word(&self, n: usize) -> &str {
        self.text().and_then(|text| text.lines().next()?.split(' ').nth(n)).unwrap_or_default()
    }
}

/// How the server's side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The script was played to its end.
    Played,
    /// The peer closed or reset the connection before that.
    PeerLeft,
    /// The peer sent what the script could not read: no HTTP, or more than the bounds allow.
    Unreadable,
    /// The TLS handshake failed.
    Handshake,
    /// The script ran into the bounds of time or steps.
    OutOfBounds,
}

/// One connection, as far as it has come.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) number: usize,
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) requests: usize,
    pub(crate) client_certificate: Option<Bytes>,
    pub(crate) ending: Option<Ending>,
}

impl Connection {
    /// Its number, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Bytes read from the peer, without TLS.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Bytes handed to the system for the peer, without TLS: an upper bound of what the peer took.
    pub fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Requests whose head was read.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// The certificate that the client showed, as DER.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client_certificate.as_deref()
    }

    /// How it ended; `None` while it is played.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }
}

/// A connection that is being played.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) read: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) requests: AtomicUsize,
    pub(crate) client_certificate: Mutex<Option<Bytes>>,
    pub(crate) ending: Mutex<Option<Ending>>,
}

impl Live {
    pub(crate) fn seen(&self, number: usize) -> Connection {
        Connection {
            number,
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            client_certificate: self
                .client_certificate
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            ending: *self.ending.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
