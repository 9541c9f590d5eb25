//! The hook that a test hangs into the life of a request.

use std::{fmt, time::Duration};

use bytes::Bytes;

/// A moment in the life of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The request has been read; nothing has happened yet.
    Received,
    /// Its effects are in the vendor's data; nothing has been answered yet.
    Applied,
    /// Every byte of the answer has been handed to the socket.
    Answered,
}

/// One request at one of its moments.
#[derive(Clone)]
#[non_exhaustive]
pub struct Seen {
    /// Counts the requests of this sandbox from 1; the three phases of a request share it.
    pub sequence: u64,
    /// Which moment this is.
    pub phase: Phase,
    /// `GET`, `POST` ...
    pub method: String,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The query as it was sent, without the question mark; empty when there was none.
    pub query: String,
    /// What the vendor took the request for, as counted in [`Stats::requests`](super::Stats::requests).
    pub operation: &'static str,
    /// The body as it was sent.
    pub body: Bytes,
}

/// What becomes of a request after a hook has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Go on as if nothing had looked.
    Go,
    /// Close the connection, without an answer unless it was given already.
    Drop,
    /// Answer this instead. At [`Phase::Received`] the vendor never gets the request, at [`Phase::Applied`] its
    /// effects stay; at [`Phase::Answered`] it is too late and nothing happens.
    Answer {
        /// The HTTP status; a value that is none becomes 500.
        status: u16,
        /// Header names and values; those that HTTP does not allow are left out.
        headers: Vec<(String, String)>,
        /// The body, sent as it is.
        body: Bytes,
    },
    /// Wait in real time, then go on.
    Delay(Duration),
}

impl Then {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type".into(), "application/json;charset=UTF-8".into())],
            body: body.into(),
        }
    }

    /// An answer with an HTML body, as proxies and maintenance pages send it.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type".into(), "text/html;charset=UTF-8".into())],
            body: body.into(),
        }
    }
}

// The body may hold credentials, and failing tests print what they have.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("sequence", &self.sequence)
            .field("phase", &self.phase)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("operation", &self.operation)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

pub(crate) type Hook = dyn Fn(&Seen) -> Then + Send + Sync;
