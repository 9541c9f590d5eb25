//! What all sandbox vendors share: the listener, the life of a request, hooks and counters.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{
    call::{Answer, Call},
    hook::{Hook, Phase, Seen, Then},
    stats::{Stats, Tally},
    wire::{OnePiece, Pending, Wire},
};

/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A vendor behind the server: it turns calls into answers, at once and without I/O.
pub(crate) trait Vendor: Send + Sync + 'static {
    /// What the call is for; one of a fixed list of names.
    fn operation(&self, call: &Call) -> &'static str;

    /// Applies the call and answers it.
    fn handle(&self, call: &Call, tally: &mut Tally) -> Answer;
}

/// A vendor on a port of its own, until dropped.
#[derive(Debug)]
pub(crate) struct Server {
    site: Arc<Site>,
    accept: JoinHandle<()>,
}

/// A listener on a free port of 127.0.0.1, and the address it has.
pub(crate) async fn bind() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

impl Server {
    pub(crate) fn start(listener: TcpListener, vendor: Arc<dyn Vendor>) -> Self {
        let site = Arc::new(Site {
            vendor,
            hook: RwLock::new(None),
            stats: Mutex::new(Stats::default()),
            sequence: AtomicU64::new(0),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&site)));
        Self { site, accept }
    }

    pub(crate) fn set_hook(&self, hook: Option<Arc<Hook>>) {
        *self.site.hook.write().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    pub(crate) fn stats(&self) -> Stats {
        self.site.stats().clone()
    }

    pub(crate) fn reset_stats(&self) {
        *self.site.stats() = Stats::default();
    }
}

// The task owns the listener and, in its set, every connection: aborting it ends them all.
impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

struct Site {
    vendor: Arc<dyn Vendor>,
    hook: RwLock<Option<Arc<Hook>>>,
    stats: Mutex<Stats>,
    sequence: AtomicU64,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("stats", &self.stats).finish_non_exhaustive()
    }
}

enum Verdict {
    Go,
    Drop,
    Answer(Answer),
}

impl Site {
    fn stats(&self) -> std::sync::MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hook(&self) -> Option<Arc<Hook>> {
        self.hook.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the hook without holding any lock: it may use the sandbox.
    fn ask(&self, seen: &Seen) -> Then {
        let then = self.hook().map_or(Then::Go, |hook| hook(seen));
        if then == Then::Drop {
            self.stats().dropped += 1;
        }
        then
    }

    async fn consult(&self, seen: &Seen) -> Verdict {
        match self.ask(seen) {
            Then::Go => Verdict::Go,
            Then::Drop => Verdict::Drop,
            Then::Delay(time) => {
                tokio::time::sleep(time).await;
                Verdict::Go
            }
            Then::Answer { status, headers, body } => Verdict::Answer(Answer {
                status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                headers,
                body,
            }),
        }
    }

    /// The life of one request, up to its answer or `None` for a cut connection.
    async fn live(&self, call: &Call, seen: &mut Seen) -> Option<Answer> {
        match self.consult(seen).await {
            Verdict::Go => {}
            Verdict::Drop => return None,
            Verdict::Answer(answer) => return Some(answer),
        }
        let mut tally = Tally::default();
        let answer = self.vendor.handle(call, &mut tally);
        self.stats().add(&tally);
        seen.phase = Phase::Applied;
        match self.consult(seen).await {
            Verdict::Go => Some(answer),
            Verdict::Drop => None,
            Verdict::Answer(other) => Some(other),
        }
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(serve(socket, Arc::clone(&site)));
                }
                // Out of file descriptors, most likely: they come back as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(socket: TcpStream, site: Arc<Site>) {
    // Without this, small answers wait for the peer's delayed acknowledgement.
    let _ = socket.set_nodelay(true);
    let pending = Arc::new(Pending::default());
    let bell = {
        let site = Arc::clone(&site);
        Arc::new(move |seen: &Seen| site.ask(seen))
    };
    let wire = Wire::new(TokioIo::new(socket), Arc::clone(&pending), bell);
    let service = service_fn(move |request| respond(request, Arc::clone(&site), Arc::clone(&pending)));
    // A client that leaves in the middle is what many tests are about, not an error of the server.
    let _ = http1::Builder::new().serve_connection(wire, service).await;
}

/// Tells hyper to close the connection without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection cut by a hook")
    }
}

impl std::error::Error for Cut {}

async fn respond(
    request: Request<Incoming>,
    site: Arc<Site>,
    pending: Arc<Pending>,
) -> Result<Response<OnePiece>, Cut> {
    let (parts, incoming) = request.into_parts();
    let Ok(body) = Limited::new(incoming, MAX_BODY).collect().await else {
        return Ok(response(Answer::empty(StatusCode::PAYLOAD_TOO_LARGE), None, pending));
    };
    let call = Call::new(parts, body.to_bytes());
    let operation = site.vendor.operation(&call);
    *site.stats().requests.entry(operation).or_default() += 1;
    let mut seen = Seen {
        sequence: site.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        phase: Phase::Received,
        method: call.method.to_string(),
        path: call.path.clone(),
        query: call.query.clone(),
        operation,
        body: call.body.clone(),
    };
    let Some(answer) = site.live(&call, &mut seen).await else {
        return Err(Cut);
    };
    *site.stats().answers.entry(answer.status.as_u16()).or_default() += 1;
    seen.phase = Phase::Answered;
    Ok(response(answer, site.hook().map(|_| seen), pending))
}

fn response(answer: Answer, seen: Option<Seen>, pending: Arc<Pending>) -> Response<OnePiece> {
    let Answer { status, headers, body } = answer;
    // HTTP allows no body here, and hyper would not send it.
    let body = if status == StatusCode::NO_CONTENT { Bytes::new() } else { body };
    let mut response = Response::new(OnePiece::new(body, seen, pending));
    *response.status_mut() = status;
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
