//! One connection's bytes: buffered reading, counted writing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::record::{Ending, Live};

/// The most that is read at once.
const READ: usize = 64 * 1024;

/// A connection, plain or under TLS.
pub(crate) trait Peer: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the close of the socket a reset.
    fn no_linger(&self) -> io::Result<()>;
}

impl Peer for TcpStream {
    fn no_linger(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

/// The most that saying farewell takes.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) struct Wire {
    peer: Box<dyn Peer>,
    live: Arc<Live>,
    buffer: BytesMut,
}

impl Wire {
    pub(crate) fn new(peer: Box<dyn Peer>, live: Arc<Live>) -> Self {
        Self { peer, live, buffer: BytesMut::new() }
    }

    /// Exactly this many bytes.
    pub(crate) async fn take(&mut self, bytes: usize) -> Result<Bytes, Ending> {
        while self.buffer.len() < bytes {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(bytes).freeze())
    }

    /// Between one and this many bytes.
    pub(crate) async fn some(&mut self, at_most: u64) -> Result<Bytes, Ending> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        let bytes = self.buffer.len().min(usize::try_from(at_most).unwrap_or(usize::MAX));
        Ok(self.buffer.split_to(bytes).freeze())
    }

    /// Everything up to `end`, which is included.
    pub(crate) async fn until(&mut self, end: &[u8], at_most: usize) -> Result<Bytes, Ending> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = rest.windows(end.len()).position(|window| window == end) {
                return Ok(self.buffer.split_to(searched + at + end.len()).freeze());
            }
            searched = (self.buffer.len() + 1).saturating_sub(end.len());
            if self.buffer.len() > at_most {
                return Err(Ending::Unreadable);
            }
            self.fill().await?;
        }
    }

    /// Reads and forgets until the peer closes.
    pub(crate) async fn drain(&mut self) {
        loop {
            self.buffer.advance(self.buffer.len());
            if self.fill().await.is_err() {
                return;
            }
        }
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Ending> {
        while !bytes.is_empty() {
            // Piece by piece, so that the count is right when the peer leaves in the middle.
            let written = self.peer.write(bytes).await.map_err(|_| Ending::PeerLeft)?;
            if written == 0 {
                return Err(Ending::PeerLeft);
            }
            self.live.written.fetch_add(written as u64, Ordering::Relaxed);
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.peer.flush().await.map_err(|_| Ending::PeerLeft)
    }

    /// Closes the sending direction, under TLS with its own farewell. A peer that takes nothing does not hold it up.
    pub(crate) async fn finish(&mut self) {
        let _ = tokio::time::timeout(FAREWELL, self.peer.shutdown()).await;
    }

    pub(crate) fn reset(self) {
        let _ = self.peer.no_linger();
    }

    async fn fill(&mut self) -> Result<(), Ending> {
        self.buffer.reserve(READ);
        match self.peer.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Ending::PeerLeft),
            Ok(read) => {
                self.live.read.fetch_add(read as u64, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}
