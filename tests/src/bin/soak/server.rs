//! A server on loopback that fails as often as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Part of each good answer, so that there is something to break off.
pub(crate) const PADDING: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Largest head of a request that is read.
const HEAD: usize = 8 << 10;

#[derive(Debug, Default)]
struct State {
    faulty: AtomicBool,
    requests: AtomicU64,
    faults: AtomicU64,
}

/// The server, until the process ends.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<State>,
}

/// What a request meets, in hundredths: 5 resets, 5 throttles, 2 failures, 1 body that breaks off.
enum Fate {
    Reset,
    Throttle,
    Fail,
    BreakOff,
    Answer,
}

impl Server {
    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is none: nothing can be measured then.
    #[allow(clippy::expect_used)]
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            loop {
                // Out of descriptors: the client sees refused connections, and the report tells.
                let Ok((socket, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(socket, shared.clone()));
            }
        });
        Self { url, state }
    }

    pub(crate) fn set_faults(&self, faulty: bool) {
        self.state.faulty.store(faulty, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn faults(&self) -> u64 {
        self.state.faults.load(Ordering::Relaxed)
    }
}

/// One connection: requests one after the other, until a fault ends it. An error means that the client left.
async fn serve(mut socket: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::with_capacity(1024);
    loop {
        let Some(end) = read_head(&mut socket, &mut seen).await? else { return Ok(()) };
        let id = path_id(seen.get(..end).unwrap_or_default());
        seen.drain(..end);
        state.requests.fetch_add(1, Ordering::Relaxed);
        let fate = if state.faulty.load(Ordering::Relaxed) { Fate::draw() } else { Fate::Answer };
        if !matches!(fate, Fate::Answer) {
            state.faults.fetch_add(1, Ordering::Relaxed);
        }
        let body = format!(r#"{{"id":{id},"padding":"{PADDING}"}}"#);
        let answer = match fate {
            Fate::Reset => return socket.set_zero_linger(),
            Fate::Throttle => head("429 Too Many Requests", 2, "retry-after: 0\r\n") + "{}",
            Fate::Fail => head("500 Internal Server Error", 2, "") + "{}",
            Fate::BreakOff => head("200 OK", body.len(), "") + body.get(..20).unwrap_or_default(),
            Fate::Answer => head("200 OK", body.len(), "") + &body,
        };
        socket.write_all(answer.as_bytes()).await?;
        if matches!(fate, Fate::BreakOff) {
            return socket.shutdown().await;
        }
    }
}

impl Fate {
    fn draw() -> Self {
        match fastrand::u32(0..100) {
            0..5 => Self::Reset,
            5..10 => Self::Throttle,
            10..12 => Self::Fail,
            12 => Self::BreakOff,
            _ => Self::Answer,
        }
    }
}

/// Where the head of the next request ends; `None` when the client is done.
async fn read_head(socket: &mut TcpStream, seen: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        if seen.len() > HEAD || socket.read_buf(seen).await? == 0 {
            return Ok(None);
        }
    }
}

/// The last segment of the request's path.
fn path_id(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn head(status: &str, length: usize, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n")
}
