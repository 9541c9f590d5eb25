//! The request path over real sockets, in real time: every fault that a script can play, short settings.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod breaking;
mod connecting;
mod framing;
mod heads;
mod http2;
mod idle;
mod large;
mod redirects;
mod requests;
mod stalling;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use acople_http::{Client, ClientBuilder, HttpTransport, RetryPolicy, TransportConfig};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

fn transport() -> Arc<HttpTransport> {
    Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback()).unwrap())
}

fn builder(base: &str, retry: RetryPolicy) -> ClientBuilder {
    Client::builder(base, transport()).unwrap().retry(retry)
}

fn client(base: &str, retry: RetryPolicy) -> Client {
    builder(base, retry).build()
}
