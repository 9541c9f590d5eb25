//! A server that answers with 204, below `/body` with a body, and counts its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const WITH_BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";

/// Stops with the runtime of the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0", Duration::ZERO).await
    }

    /// A server that takes its time for every answer.
    pub(crate) async fn at(address: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let [accepted, open, most] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let counters = (accepted.clone(), open.clone(), most.clone());
        tokio::spawn(async move {
            let (accepted, open, most) = counters;
            while let Ok((socket, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let open = open.clone();
                tokio::spawn(async move {
                    serve(socket, delay).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, accepted, most }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, delay: Duration) {
    let mut head = Vec::new();
    let mut buffer = [0u8; 1024];
    loop {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
        if head.ends_with(b"\r\n\r\n") {
            let answer = if head.starts_with(b"GET /body") { WITH_BODY } else { ANSWER };
            head.clear();
            tokio::time::sleep(delay).await;
            if socket.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
