//! What the server does with one connection, as data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::record::Received;
use super::{HttpAnswer, h2};

/// What the server does with one connection, step by step. At the end it closes the connection.
///
/// A step that waits for the peer ends the script when the peer leaves. Closing with bytes unread makes the
/// system send a reset in place of an orderly end: read the whole request first where that matters.
///
/// ```
/// use acople_testkit::faults::{HttpAnswer, Script};
///
/// // Three answers on one connection, then a reset as the fourth request has come in.
/// let script = Script::new()
///     .repeat(3, Script::new().read_request().answer(HttpAnswer::json(200, "{}")))
///     .read_request()
///     .reset();
/// # let _ = script;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(crate) steps: Vec<Step>,
}

type Responder = Arc<dyn Fn(&Received) -> Bytes + Send + Sync>;
type Generator = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Step {
    Read(u64),
    ReadHead,
    ReadBody,
    ReadToEnd(Duration),
    Write(Bytes),
    WriteSlowly { bytes: Bytes, piece: usize, every: Duration },
    WriteGenerated { bytes: u64, time: Duration, generator: Generator },
    Respond(Responder),
    Stall(Duration),
    HalfClose,
    Reset,
    Close,
    Repeat { times: usize, steps: Arc<[Step]> },
    H2Accept(Bytes),
    H2ReadHead,
    H2ReadRequest,
}

impl Script {
    /// An empty script: closes the connection as soon as it is made.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this many bytes and forgets them.
    pub fn read(self, bytes: u64) -> Self {
        self.step(Step::Read(bytes))
    }

    /// Reads the head of a request, up to the empty line.
    pub fn read_head(self) -> Self {
        self.step(Step::ReadHead)
    }

    /// Reads the body of the request whose head was read last, by its length or its chunks.
    pub fn read_body(self) -> Self {
        self.step(Step::ReadBody)
    }

    /// Reads a whole request.
    pub fn read_request(self) -> Self {
        self.read_head().read_body()
    }

    /// Reads and forgets until the peer closes, for at most this long.
    pub fn read_to_end(self, at_most: Duration) -> Self {
        self.step(Step::ReadToEnd(at_most))
    }

    /// Writes bytes.
    pub fn write(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Write(bytes.into()))
    }

    /// Writes an answer.
    pub fn answer(self, answer: HttpAnswer) -> Self {
        self.write(answer)
    }

    /// Writes what a function makes of the request that was read last: an [`HttpAnswer`] or bytes. Without a
    /// request nothing is written.
    pub fn respond<A: Into<Bytes>>(self, respond: impl Fn(&Received) -> A + Send + Sync + 'static) -> Self {
        self.step(Step::Respond(Arc::new(move |received| respond(received).into())))
    }

    /// Writes bytes in pieces, a pause after each.
    pub fn write_slowly(self, bytes: impl Into<Bytes>, piece: usize, every: Duration) -> Self {
        self.step(Step::WriteSlowly { bytes: bytes.into(), piece: piece.max(1), every })
    }

    /// Writes what a function makes, piece by piece, until `bytes` are written, `time` has passed, the peer
    /// leaves or the function returns an empty piece. The function is given the bytes so far. Nothing but the
    /// current piece is held in memory, and the pace is the peer's.
    pub fn write_generated(
        self,
        bytes: u64,
        time: Duration,
        generator: impl Fn(u64) -> Bytes + Send + Sync + 'static,
    ) -> Self {
        self.step(Step::WriteGenerated { bytes, time, generator: Arc::new(generator) })
    }

    /// Does nothing for a while: reads nothing, writes nothing.
    pub fn stall(self, time: Duration) -> Self {
        self.step(Step::Stall(time))
    }

    /// Closes the sending direction (FIN): the peer sees the end and may go on sending.
    pub fn half_close(self) -> Self {
        self.step(Step::HalfClose)
    }

    /// Resets the connection (RST) and ends the script.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Closes the connection and ends the script, as its end does.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Plays another script this many times.
    pub fn repeat(self, times: usize, script: Script) -> Self {
        self.step(Step::Repeat { times, steps: script.steps.into() })
    }

    /// Begins HTTP/2: reads the client's preface and sends these settings, each a number and a value.
    pub fn h2_accept(self, settings: &[(u16, u32)]) -> Self {
        self.step(Step::H2Accept(h2::settings(settings).into()))
    }

    /// Reads frames until the head of a request has come. Acknowledges settings and answers pings on the way;
    /// allows no more body than the settings did.
    pub fn h2_read_head(self) -> Self {
        self.step(Step::H2ReadHead)
    }

    /// Reads frames until a whole request has come, and allows its body as it comes. Acknowledges settings and
    /// answers pings on the way.
    pub fn h2_read_request(self) -> Self {
        self.step(Step::H2ReadRequest)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(bytes) => write!(f, "read {bytes}"),
            Self::ReadHead => f.write_str("read head"),
            Self::ReadBody => f.write_str("read body"),
            Self::ReadToEnd(time) => write!(f, "read to end within {time:?}"),
            Self::Write(bytes) => write!(f, "write {}", bytes.len()),
            Self::WriteSlowly { bytes, piece, every } => {
                write!(f, "write {} by {piece} every {every:?}", bytes.len())
            }
            Self::WriteGenerated { bytes, .. } => write!(f, "write {bytes} generated"),
            Self::Respond(_) => f.write_str("respond"),
            Self::Stall(time) => write!(f, "stall {time:?}"),
            Self::HalfClose => f.write_str("half-close"),
            Self::Reset => f.write_str("reset"),
            Self::Close => f.write_str("close"),
            Self::Repeat { times, steps } => write!(f, "{times} times {steps:?}"),
            Self::H2Accept(_) => f.write_str("accept HTTP/2"),
            Self::H2ReadHead => f.write_str("read an HTTP/2 head"),
            Self::H2ReadRequest => f.write_str("read an HTTP/2 request"),
        }
    }
}

/// Which script each connection gets: one for all, a queue whose last is repeated, or a function.
#[derive(Debug)]
pub struct Scripts(Source);

enum Source {
    Queue(Vec<Script>),
    Function(Box<dyn Fn(usize) -> Script + Send + Sync>),
}

impl Scripts {
    /// Scripts by the connection's number, from 0.
    pub fn function(script: impl Fn(usize) -> Script + Send + Sync + 'static) -> Self {
        Self(Source::Function(Box::new(script)))
    }

    pub(crate) fn of(&self, connection: usize) -> Script {
        match &self.0 {
            Source::Queue(queue) => queue.get(connection).or(queue.last()).cloned().unwrap_or_default(),
            Source::Function(script) => script(connection),
        }
    }
}

impl From<Script> for Scripts {
    fn from(script: Script) -> Self {
        Self(Source::Queue(vec![script]))
    }
}

impl From<Vec<Script>> for Scripts {
    fn from(scripts: Vec<Script>) -> Self {
        Self(Source::Queue(scripts))
    }
}

impl<const N: usize> From<[Script; N]> for Scripts {
    fn from(scripts: [Script; N]) -> Self {
        Self(Source::Queue(scripts.into()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(queue) => f.debug_list().entries(queue).finish(),
            Self::Function(_) => f.write_str("a function"),
        }
    }
}
