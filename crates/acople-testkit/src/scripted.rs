//! A transport that answers from a script and remembers what it was asked.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{Body, Progress, Request, Response, Transport, TransportError, WireFault};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

/// What the transport does for one request.
#[derive(Clone, Debug)]
pub struct Reply {
    delay: Duration,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Answer { status: StatusCode, headers: HeaderMap, chunks: Vec<Bytes>, broken: bool },
    Fail(Progress, WireFault),
    Hang,
}

impl Reply {
    /// An answer with a status and a JSON body. A status that is none becomes 500.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, body).header("content-type", "application/json")
    }

    /// An answer with a status and a body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let act = Act::Answer { status, headers: HeaderMap::new(), chunks: vec![body.into()], broken: false };
        Self { delay: Duration::ZERO, act }
    }

    /// No answer: the attempt fails that way.
    pub fn fail(progress: Progress, fault: WireFault) -> Self {
        Self { delay: Duration::ZERO, act: Act::Fail(progress, fault) }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self { delay: Duration::ZERO, act: Act::Hang }
    }

    /// Adds a header. Names and values that are none are left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Act::Answer { headers, .. } = &mut self.act
            && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        {
            headers.append(name, value);
        }
        self
    }

    /// Breaks the body off after what is there.
    pub fn truncated(mut self) -> Self {
        if let Act::Answer { broken, .. } = &mut self.act {
            *broken = true;
        }
        self
    }

    /// Answers after a while, on tokio's clock.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request that the transport was asked to send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When, on tokio's clock, counted from the transport's making.
    pub at: Duration,
    /// The request, credentials included.
    pub request: Request,
}

impl Sent {
    /// Path and query, without secret parameters.
    pub fn path_and_query(&self) -> String {
        let url = self.request.url();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(self.request.body()).into_owned()
    }
}

type Answerer = Box<dyn Fn(&Sent, usize) -> Reply + Send + Sync>;

enum Script {
    Queue(Mutex<VecDeque<Reply>>),
    Function(Answerer),
}

/// A transport without a network: for tests of logic and, on paused time, of waits. Clones are one.
///
/// ```
/// use acople_testkit::{Reply, ScriptedTransport};
///
/// let transport = ScriptedTransport::new([
///     Reply::json(429, "{}").header("retry-after", "7"),
///     Reply::json(200, r#"{"ok":true}"#),
/// ]);
/// assert_eq!(transport.sent().len(), 0);
/// ```
#[derive(Clone)]
pub struct ScriptedTransport(Arc<Inner>);

struct Inner {
    script: Script,
    sent: Mutex<Vec<Sent>>,
    started: Instant,
}

impl ScriptedTransport {
    /// Answers with these replies in order, then refuses connections.
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(Script::Queue(Mutex::new(replies.into_iter().collect())))
    }

    /// Answers by a function of the request and its number, from 0.
    pub fn function(answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Script::Function(Box::new(answer)))
    }

    fn with(script: Script) -> Self {
        Self(Arc::new(Inner { script, sent: Mutex::default(), started: Instant::now() }))
    }

    /// What was asked, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reply(&self, request: Request) -> Reply {
        let sent = Sent { at: self.0.started.elapsed(), request };
        let mut all = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.len();
        all.push(sent.clone());
        drop(all);
        match &self.0.script {
            Script::Queue(queue) => queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front()
                .unwrap_or_else(|| Reply::fail(Progress::NotSent, WireFault::Connect)),
            Script::Function(answer) => answer(&sent, number),
        }
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedTransport")
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let reply = self.reply(request);
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        match reply.act {
            Act::Hang => std::future::pending().await,
            Act::Fail(progress, fault) => Err(TransportError::new(progress, fault, "scripted failure")),
            Act::Answer { status, headers, chunks, broken } => {
                let mut pieces: Vec<Result<Bytes, TransportError>> = chunks.into_iter().map(Ok).collect();
                if broken {
                    pieces.push(Err(TransportError::new(
                        Progress::Answered,
                        WireFault::Malformed,
                        "the body ended early",
                    )));
                }
                Ok(Response::new(status, headers, Body::stream(futures_util::stream::iter(pieces))))
            }
        }
    }
}
