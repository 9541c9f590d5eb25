//! Plays a script on a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};

use super::frames::Frames;
use super::record::{Ending, Live};
use super::script::Step;
use super::server::Site;
use super::wire::{Peer, Wire};

/// Lines of a chunk's size or a trailer.
const LINE: usize = 8 * 1024;

/// How a script stopped before its last step.
pub(crate) enum Stop {
    Ended(Ending),
    Reset,
    Closed,
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Ended(ending)
    }
}

/// What a request's head says of its body.
#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
}

pub(crate) struct Player {
    pub(crate) wire: Wire,
    pub(crate) site: Arc<Site>,
    pub(crate) live: Arc<Live>,
    pub(crate) number: usize,
    pub(crate) frames: Frames,
    /// The request that was read last, as its place in the server's list.
    pub(crate) current: Option<usize>,
    framing: Framing,
    steps: usize,
}

impl Player {
    pub(crate) fn new(peer: Box<dyn Peer>, site: Arc<Site>, live: Arc<Live>, number: usize) -> Self {
        Self {
            wire: Wire::new(peer, live.clone()),
            site,
            live,
            number,
            frames: Frames::default(),
            current: None,
            framing: Framing::Length(0),
            steps: 0,
        }
    }

    /// Plays to the end and closes the connection the way that the script says.
    pub(crate) async fn play(mut self, steps: &[Step]) -> Ending {
        match self.steps(steps).await {
            Ok(()) | Err(Stop::Closed) => {
                self.wire.finish().await;
                Ending::Played
            }
            Err(Stop::Reset) => {
                self.wire.reset();
                Ending::Played
            }
            Err(Stop::Ended(ending)) => ending,
        }
    }

    fn steps<'a>(
        &'a mut self,
        steps: &'a [Step],
    ) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>> {
        Box::pin(async move {
            for step in steps {
                self.steps += 1;
                if self.steps > self.site.bounds.steps {
                    return Err(Ending::OutOfBounds.into());
                }
                self.step(step).await?;
            }
            Ok(())
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Read(bytes) => {
                let mut left = *bytes;
                while left > 0 {
                    left -= self.wire.some(left).await?.len() as u64;
                }
            }
            Step::ReadHead => self.read_head().await?,
            Step::ReadBody => self.read_body().await?,
            Step::ReadToEnd(at_most) => {
                if timeout(*at_most, self.wire.drain()).await.is_ok() {
                    return Err(Ending::PeerLeft.into());
                }
            }
            Step::Write(bytes) => self.wire.write(bytes).await?,
            Step::WriteSlowly { bytes, piece, every } => {
                for piece in bytes.chunks(*piece) {
                    self.wire.write(piece).await?;
                    sleep(*every).await;
                }
            }
            Step::WriteGenerated { bytes, time, generator } => {
                let (began, mut written) = (Instant::now(), 0);
                while written < *bytes && began.elapsed() < *time {
                    let piece = generator(written);
                    if piece.is_empty() {
                        break;
                    }
                    let left = usize::try_from(*bytes - written).unwrap_or(usize::MAX);
                    let piece = piece.get(..left).unwrap_or(&piece);
                    let Some(left) = time.checked_sub(began.elapsed()) else { break };
                    // A peer that takes nothing does not stretch the time.
                    let Ok(outcome) = timeout(left, self.wire.write(piece)).await else { break };
                    outcome?;
                    written += piece.len() as u64;
                }
            }
            Step::Respond(respond) => {
                if let Some(received) = self.current.and_then(|at| self.site.request(at)) {
                    self.wire.write(&respond(&received)).await?;
                }
            }
            Step::Stall(time) => sleep(*time).await,
            Step::HalfClose => self.wire.finish().await,
            Step::Reset => return Err(Stop::Reset),
            Step::Close => return Err(Stop::Closed),
            Step::Repeat { times, steps } => {
                for _ in 0..*times {
                    self.steps(steps).await?;
                }
            }
            Step::H2Accept(settings) => self.h2_accept(settings).await?,
            Step::H2ReadHead => self.h2_read(false).await?,
            Step::H2ReadRequest => self.h2_read(true).await?,
        }
        Ok(())
    }

    async fn read_head(&mut self) -> Result<(), Ending> {
        let head = self.wire.until(b"\r\n\r\n", self.site.bounds.head).await?;
        let received = self.site.received(self.number, head, None);
        let chunked = received.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let length = received.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        self.framing = if chunked { Framing::Chunked } else { Framing::Length(length) };
        let at = self.site.record(received, &self.live);
        self.current = Some(at);
        if !chunked && length == 0 {
            self.site.complete(at);
        }
        Ok(())
    }

    async fn read_body(&mut self) -> Result<(), Ending> {
        let Some(at) = self.current else { return Ok(()) };
        match std::mem::replace(&mut self.framing, Framing::Length(0)) {
            Framing::Length(bytes) => self.keep(at, bytes).await?,
            Framing::Chunked => loop {
                let line = self.wire.until(b"\r\n", LINE).await?;
                let size = String::from_utf8_lossy(&line);
                let size = size.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16).map_err(|_| Ending::Unreadable)?;
                if size == 0 {
                    // Trailers, up to the empty line.
                    while self.wire.until(b"\r\n", LINE).await?.len() > 2 {}
                    break;
                }
                self.keep(at, size).await?;
                self.wire.take(2).await?;
            },
        }
        self.site.complete(at);
        Ok(())
    }

    async fn keep(&mut self, request: usize, mut bytes: u64) -> Result<(), Ending> {
        while bytes > 0 {
            let piece = self.wire.some(bytes).await?;
            bytes -= piece.len() as u64;
            self.site.keep(request, &piece);
        }
        Ok(())
    }
}
