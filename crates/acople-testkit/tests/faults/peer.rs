//! A client that knows bytes only.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) const GET: &str = "GET /things?id=7 HTTP/1.1\r\nhost: here\r\nX-Key: canary\r\n\r\n";

pub(crate) struct Peer(pub(crate) TcpStream);

/// How the server's side ended, and what had come until then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed(Vec<u8>),
    Reset,
}

impl Peer {
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        Self(timeout(SOON, TcpStream::connect(server)).await.unwrap().unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(SOON, self.0.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    pub(crate) async fn receive(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        timeout(SOON, self.0.read_exact(&mut buffer)).await.unwrap().unwrap();
        buffer
    }

    pub(crate) async fn end(&mut self) -> End {
        let mut all = Vec::new();
        match timeout(SOON, self.0.read_to_end(&mut all)).await.unwrap() {
            Ok(_) => End::Closed(all),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(100), self.0.read_u8()).await.is_err()
    }
}
