//! HTTP/1.1 answers as bytes, right and wrong ones.

use bytes::Bytes;
use http::StatusCode;

/// An HTTP/1.1 answer as bytes. Nothing is checked: a script may contradict itself.
///
/// ```
/// use acople_testkit::faults::HttpAnswer;
///
/// let truncated = HttpAnswer::json(200, "{\"half\":").announce(50).to_bytes();
/// assert!(truncated.starts_with(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n"));
/// ```
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// The length of the body, or the length that is claimed.
    Length(Option<u64>),
    Chunked {
        piece: usize,
        finished: bool,
    },
    UntilClose,
}

impl HttpAnswer {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), framing: Framing::Length(None) }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status).header("content-type", "application/json").body(body)
    }

    /// Adds a header, in this place and as it is.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body. It is written also where HTTP allows none (204, 304, the answer to HEAD).
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Says `content-length: bytes`, whatever the body's length is.
    pub fn announce(mut self, bytes: u64) -> Self {
        self.framing = Framing::Length(Some(bytes));
        self
    }

    /// Sends the body in chunks of this many bytes.
    pub fn chunked(mut self, piece: usize) -> Self {
        self.framing = Framing::Chunked { piece: piece.max(1), finished: true };
        self
    }

    /// The same without the last, empty chunk: the body never ends properly.
    pub fn chunked_without_end(mut self, piece: usize) -> Self {
        self.framing = Framing::Chunked { piece: piece.max(1), finished: false };
        self
    }

    /// Names no length: the body ends where the connection does.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// The answer as it goes on the wire.
    ///
    /// A length is named unless the framing is another one, or the status is 1xx, 204 or 304, which have no body
    /// (RFC 9112, 6.3); [`announce`](Self::announce) names it there too.
    pub fn to_bytes(&self) -> Bytes {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
        let mut out = format!("HTTP/1.1 {} {reason}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        match self.framing {
            Framing::Length(Some(length)) => length_line(&mut out, length),
            Framing::Length(None) if !matches!(self.status, 100..=199 | 204 | 304) => {
                length_line(&mut out, self.body.len() as u64);
            }
            Framing::Chunked { .. } => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::UntilClose => out.extend_from_slice(b"connection: close\r\n"),
            Framing::Length(None) => {}
        }
        out.extend_from_slice(b"\r\n");
        if let Framing::Chunked { piece, finished } = self.framing {
            for piece in self.body.chunks(piece) {
                out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            if finished {
                out.extend_from_slice(b"0\r\n\r\n");
            }
        } else {
            out.extend_from_slice(&self.body);
        }
        out.into()
    }
}

impl From<HttpAnswer> for Bytes {
    fn from(answer: HttpAnswer) -> Self {
        answer.to_bytes()
    }
}

fn length_line(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
}
