//! The proxy: passes bytes on, and spoils them as told.

use std::io;
use std::mem::discriminant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::toxic::{Direction, Doom, State, Toxic};

/// Connections at the same time; more are reset.
const CONNECTIONS: usize = 1024;
/// How long one connection is passed on.
const LIFE: Duration = Duration::from_secs(600);
/// Bytes of one piece, and pieces that are on their way in one direction: what latency may hold back.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 64;

/// A TCP proxy on a free port of 127.0.0.1 that spoils connections, until dropped.
///
/// Each [`Toxic`] is for one direction, and all can be changed while connections are open. The eighth of the
/// classic toxics, down, is [`set_down`](Self::set_down): it is for the whole proxy.
///
/// ```
/// use acople_testkit::faults::{Direction, FaultServer, HttpAnswer, Script, Toxic, Toxics};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let answer = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
/// let server = FaultServer::start(answer).await?;
/// let proxy = Toxics::start(server.addr()).await?;
/// let jitter = Duration::from_millis(50);
/// proxy.add(Direction::ToClient, Toxic::Latency { delay: Duration::from_millis(200), jitter });
/// // Point the client under test at `proxy.url()`.
/// proxy.clear();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Toxics {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accepted: Arc<AtomicUsize>,
    accept: JoinHandle<()>,
}

impl Toxics {
    /// A proxy before this server, without toxics.
    ///
    /// # Errors
    /// Whatever the system says when it has no socket to give.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(watch::Sender::new(State::default()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let accept = tokio::spawn(accept(listener, server, state.clone(), accepted.clone()));
        Ok(Self { address, state, accepted, accept })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections that were made to the proxy.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Adds a toxic, in place of one of its kind in that direction, for open and new connections.
    pub fn add(&self, direction: Direction, toxic: Toxic) {
        self.state.send_modify(|state| state.add(direction, toxic));
    }

    /// Takes away the toxic of the same kind in that direction, whatever its numbers are.
    pub fn remove(&self, direction: Direction, toxic: Toxic) {
        self.state.send_modify(|state| state.remove(direction, discriminant(&toxic)));
    }

    /// Takes the server down or up: while it is down, open connections are closed and new ones reset.
    pub fn set_down(&self, down: bool) {
        self.state.send_modify(|state| state.down = down);
    }

    /// Takes all toxics away, and the server up.
    pub fn clear(&self) {
        self.state.send_modify(State::clear);
    }
}

// The task owns the listener and, in its set, every connection: aborting it ends them all.
impl Drop for Toxics {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accepted: Arc<AtomicUsize>,
) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            socket = listener.accept() => match socket {
                Ok((socket, _)) => {
                    let number = accepted.fetch_add(1, Ordering::Relaxed);
                    if state.borrow().down || open.len() >= CONNECTIONS {
                        let _ = socket.set_zero_linger();
                    } else {
                        open.spawn(timeout(LIFE, pass(socket, server, state.subscribe(), number)));
                    }
                }
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = open.join_next(), if !open.is_empty() => {}
        }
    }
}

/// Passes one connection on until it ends by itself or by a toxic.
async fn pass(mut client: TcpStream, server: SocketAddr, state: watch::Receiver<State>, number: usize) {
    let began = Instant::now();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let doom = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = Pipe::new(Direction::ToServer, state.clone(), number);
        let down = Pipe::new(Direction::ToClient, state.clone(), number);
        tokio::select! {
            // A direction that is cut takes the other along; one that ends properly does not.
            _ = async { tokio::try_join!(up.pump(from_client, to_server), down.pump(from_server, to_client)) } => {
                Doom::Close
            }
            doom = doomed(state, began) => doom,
        }
    };
    let _ = match doom {
        Doom::Reset(Direction::ToClient) => client.set_zero_linger(),
        Doom::Reset(Direction::ToServer) => server.set_zero_linger(),
        Doom::Close => Ok(()),
    };
}

/// Waits until a toxic ends the connection.
async fn doomed(mut state: watch::Receiver<State>, began: Instant) -> Doom {
    loop {
        let (down, doom) = {
            let state = state.borrow_and_update();
            (state.down, state.doom(began))
        };
        if down {
            return Doom::Close;
        }
        let at = async {
            match doom {
                Some((at, doom)) => {
                    sleep_until(at).await;
                    doom
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            doom = at => return doom,
            changed = state.changed() => if changed.is_err() { return Doom::Close },
        }
    }
}

/// The connection was cut.
struct Cut;

/// One direction of a connection.
struct Pipe {
    direction: Direction,
    state: watch::Receiver<State>,
    seed: u64,
}

impl Pipe {
    fn new(direction: Direction, state: watch::Receiver<State>, number: usize) -> Self {
        let side = u64::from(direction == Direction::ToClient);
        // Jitter is the same in every run: by the connection's number and the direction.
        Self { direction, state, seed: (number as u64) * 2 + side + 1 }
    }

    async fn pump(&self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Cut> {
        let (queue, pieces) = mpsc::channel(PIECES);
        tokio::try_join!(self.read(from, queue), self.write(pieces, to))?;
        Ok(())
    }

    /// Stamps each piece with the time at which it is due.
    async fn read(&self, mut from: ReadHalf<'_>, queue: mpsc::Sender<(Instant, Bytes)>) -> Result<(), Cut> {
        let (mut random, mut last) = (self.seed, Instant::now());
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = from.read_buf(&mut piece).await.map_err(|_| Cut)?;
            random = step(random);
            let late = self.state.borrow().latency(self.direction, random);
            // Order is kept: no piece overtakes the one before it.
            last = last.max(Instant::now() + late);
            // The end is passed on as an empty piece, as late as the others.
            if queue.send((last, piece.freeze())).await.is_err() || read == 0 {
                return Ok(());
            }
        }
    }

    async fn write(
        &self,
        mut pieces: mpsc::Receiver<(Instant, Bytes)>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Cut> {
        let mut passed = 0;
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if piece.is_empty() {
                break;
            }
            self.write_piece(&piece, &mut to, &mut passed).await?;
        }
        // The end is swallowed like any byte, until the connection is ended or the toxic taken away.
        let open = self.state.clone().wait_for(|state| !state.swallows(self.direction)).await.is_ok();
        if !open {
            return Err(Cut);
        }
        let delay = self.state.borrow().slow_close(self.direction);
        sleep(delay).await;
        to.shutdown().await.map_err(|_| Cut)
    }

    async fn write_piece(
        &self,
        mut piece: &[u8],
        to: &mut WriteHalf<'_>,
        passed: &mut u64,
    ) -> Result<(), Cut> {
        while !piece.is_empty() {
            let (swallows, limit, bandwidth, (size, pause)) = {
                let (state, of) = (self.state.borrow(), self.direction);
                (state.swallows(of), state.limit(of), state.bandwidth(of), state.piece(of))
            };
            if swallows {
                return Ok(());
            }
            let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(*passed));
            // A tenth of a second's worth at a time, so that a slow line is slow and not jerky.
            let share = bandwidth.map_or(u64::MAX, |rate| (rate / 10).max(1));
            let most = usize::try_from(left.min(share)).unwrap_or(usize::MAX).min(size);
            let (now, later) = piece.split_at(piece.len().min(most));
            to.write_all(now).await.map_err(|_| Cut)?;
            *passed += now.len() as u64;
            if limit.is_some_and(|limit| *passed >= limit) {
                return Err(Cut);
            }
            if let Some(rate) = bandwidth {
                sleep(Duration::from_micros(now.len() as u64 * 1_000_000 / rate)).await;
            }
            sleep(pause).await;
            piece = later;
        }
        Ok(())
    }
}

/// The next number of a xorshift generator (Marsaglia, 2003); never zero for a seed that is not.
fn step(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ (random << 17)
}
