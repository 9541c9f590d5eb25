//! The listener: a connection, a script, and a record of both.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::play::Player;
use super::record::{Connection, Ending, Live, Received};
use super::script::Scripts;
#[cfg(feature = "tls")]
use super::tls::{Acceptor, ServerTls};
use super::wire::Peer;

/// How often a condition is looked at when nothing is signalled.
const LOOK: Duration = Duration::from_millis(10);

/// What a fault server does at most.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections in all; then the listener closes.
    pub connections: usize,
    /// How long one connection is played, its handshake included.
    pub life: Duration,
    /// Steps played on one connection, repetitions included.
    pub steps: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Bytes of a request's body that are kept; the others are counted.
    pub body: usize,
    /// Requests that are kept in full; of the others only the counts are.
    pub requests: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 100_000,
            life: Duration::from_secs(60),
            steps: 1_000_000,
            head: 1 << 20,
            body: 64 << 10,
            requests: 100_000,
        }
    }
}

/// A raw listener on a free port of 127.0.0.1 that plays a [`Script`](super::Script) per connection, until dropped.
///
/// ```
/// use acople_testkit::faults::{Ending, FaultServer, Script};
/// use std::time::Duration;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// // The request is taken and never answered: a write's outcome is unknown now.
/// let server = FaultServer::start(Script::new().read_request().reset()).await?;
/// let mut client = tokio::net::TcpStream::connect(server.addr()).await?;
/// client.write_all(b"POST /orders HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}").await?;
/// assert!(client.read_u8().await.is_err());
/// assert_eq!(server.requests()[0].target(), "/orders");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultServer {
    site: Arc<Site>,
    address: SocketAddr,
    secure: bool,
    accept: JoinHandle<()>,
}

/// Sets up a [`FaultServer`].
#[derive(Debug)]
pub struct FaultServerBuilder {
    scripts: Scripts,
    bounds: Bounds,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl FaultServer {
    /// A server that plays these scripts: one for all connections, a queue whose last is repeated, or
    /// [`Scripts::function`].
    ///
    /// # Errors
    /// Whatever the system says when it has no socket to give.
    pub async fn start(scripts: impl Into<Scripts>) -> io::Result<Self> {
        Self::builder(scripts).start().await
    }

    /// A server with bounds or TLS of its own.
    pub fn builder(scripts: impl Into<Scripts>) -> FaultServerBuilder {
        FaultServerBuilder {
            scripts: scripts.into(),
            bounds: Bounds::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, or `https` when the server speaks TLS.
    pub fn url(&self) -> String {
        self.url_as(if self.secure { "https" } else { "http" })
    }

    /// The same with another scheme, for scripts that play TLS by hand.
    pub fn url_as(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// The connections so far, in the order in which they were made.
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.site.connections).iter().enumerate().map(|(number, live)| live.seen(number)).collect()
    }

    /// The requests so far, in the order in which their heads came.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.site.requests).clone()
    }

    /// Waits until a condition holds of the server; false when it does not within that time.
    ///
    /// What the peer sees and what the server has noted are a moment apart: ask through this before asserting
    /// how a connection ended.
    pub async fn until(&self, within: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let mut changes = self.site.changes.subscribe();
        let wait = async {
            while !condition(self) {
                // Bytes are counted without a signal: look again every now and then.
                let _ = timeout(LOOK, changes.changed()).await;
            }
        };
        timeout(within, wait).await.is_ok()
    }

    /// Waits until connection `number` has ended, and says how; `None` when it has not within that time.
    pub async fn ending(&self, number: usize, within: Duration) -> Option<Ending> {
        let ending = |server: &Self| server.connections().get(number).and_then(Connection::ending);
        self.until(within, |server| ending(server).is_some()).await;
        ending(self)
    }
}

// The task owns the listener and, in its set, every connection: aborting it ends them all.
impl Drop for FaultServer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl FaultServerBuilder {
    /// Sets what the server does at most.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Speaks TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts listening.
    ///
    /// # Errors
    /// Whatever the system says when it has no socket to give, and what TLS says of its certificates.
    pub async fn start(self) -> io::Result<FaultServer> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        #[cfg(feature = "tls")]
        let tls = self.tls.map(ServerTls::into_acceptor).transpose()?;
        #[cfg(feature = "tls")]
        let secure = tls.is_some();
        #[cfg(not(feature = "tls"))]
        let secure = false;
        let site = Arc::new(Site {
            scripts: self.scripts,
            bounds: self.bounds,
            started: Instant::now(),
            connections: Mutex::default(),
            requests: Mutex::default(),
            changes: watch::Sender::new(()),
            #[cfg(feature = "tls")]
            tls,
        });
        let accept = tokio::spawn(accept(listener, site.clone()));
        Ok(FaultServer { site, address, secure, accept })
    }
}

#[derive(Debug)]
pub(crate) struct Site {
    scripts: Scripts,
    pub(crate) bounds: Bounds,
    started: Instant,
    connections: Mutex<Vec<Arc<Live>>>,
    requests: Mutex<Vec<Received>>,
    changes: watch::Sender<()>,
    #[cfg(feature = "tls")]
    tls: Option<Acceptor>,
}

impl Site {
    /// A request whose head has come.
    pub(crate) fn received(&self, connection: usize, head: Bytes, stream: Option<u32>) -> Received {
        let at = self.started.elapsed();
        Received { connection, at, head, body: Vec::new(), body_len: 0, complete: false, stream }
    }

    /// Notes it, and says where.
    pub(crate) fn record(&self, received: Received, live: &Live) -> usize {
        live.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut requests = lock(&self.requests);
        let at = requests.len();
        if at < self.bounds.requests {
            requests.push(received);
        }
        drop(requests);
        self.changes.send_replace(());
        at
    }

    pub(crate) fn request(&self, at: usize) -> Option<Received> {
        lock(&self.requests).get(at).cloned()
    }

    pub(crate) fn keep(&self, at: usize, piece: &[u8]) {
        if let Some(received) = lock(&self.requests).get_mut(at) {
            received.body_len += piece.len() as u64;
            let room = self.bounds.body.saturating_sub(received.body.len());
            received.body.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }

    pub(crate) fn complete(&self, at: usize) {
        if let Some(received) = lock(&self.requests).get_mut(at) {
            received.complete = true;
        }
        self.changes.send_replace(());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let mut playing = JoinSet::new();
    let mut number = 0;
    while number < site.bounds.connections {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let live = Arc::new(Live::default());
                    lock(&site.connections).push(live.clone());
                    site.changes.send_replace(());
                    playing.spawn(serve(socket, site.clone(), live, number));
                    number += 1;
                }
                // Out of file descriptors, most likely: they come back as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = playing.join_next(), if !playing.is_empty() => {}
        }
    }
    drop(listener);
    while playing.join_next().await.is_some() {}
}

async fn serve(socket: TcpStream, site: Arc<Site>, live: Arc<Live>, number: usize) {
    // What a script writes goes out at once, in the pieces in which it was written.
    let _ = socket.set_nodelay(true);
    let script = site.scripts.of(number);
    let play = async {
        match handshake(socket, &site, &live).await {
            Ok(peer) => Player::new(peer, site.clone(), live.clone(), number).play(&script.steps).await,
            Err(ending) => ending,
        }
    };
    let ending = timeout(site.bounds.life, play).await.unwrap_or(Ending::OutOfBounds);
    *lock(&live.ending) = Some(ending);
    site.changes.send_replace(());
}

#[cfg(feature = "tls")]
async fn handshake(socket: TcpStream, site: &Site, live: &Live) -> Result<Box<dyn Peer>, Ending> {
    let Some(tls) = &site.tls else { return Ok(Box::new(socket)) };
    let (peer, certificate) = tls.accept(socket).await.map_err(|_| Ending::Handshake)?;
    *lock(&live.client_certificate) = certificate;
    Ok(peer)
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the same shape as with TLS")]
async fn handshake(socket: TcpStream, _: &Site, _: &Live) -> Result<Box<dyn Peer>, Ending> {
    Ok(Box::new(socket))
}
