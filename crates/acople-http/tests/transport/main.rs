//! The ready-made transport: where it may connect, by which names, through which proxy, with how many sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that fails may panic

mod child;
mod destinations;
mod names;
mod proxies;
mod server;
mod sockets;
mod tls;

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use acople_core::{Error, Progress, Request, Response, Transport, TransportError, WireFault};
use acople_http::{Client, HttpTransport, Resolver, TransportConfig};
use async_trait::async_trait;
use http::Method;

/// Sends one request, without the request path above it.
async fn get(config: &TransportConfig, url: &str) -> Result<Response, TransportError> {
    HttpTransport::new(config).unwrap().send(request(url)).await
}

fn request(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

fn client(base: &str, config: &TransportConfig) -> Client {
    let transport = Arc::new(HttpTransport::new(config).unwrap());
    Client::builder(base, transport).unwrap().build()
}

/// What the transport said, beneath the error of a call.
fn fault(error: &Error) -> (Progress, WireFault) {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<TransportError>()).unwrap();
    (cause.progress(), cause.fault())
}

/// A resolver that gives its answers in turn, and the last one from then on.
#[derive(Debug)]
struct Stub {
    answers: Mutex<Vec<Option<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Stub {
    /// `None` is a name that does not exist.
    fn new<'a>(answers: impl IntoIterator<Item = Option<Vec<&'a str>>>) -> Arc<Self> {
        let parse = |answer: Vec<&str>| answer.iter().map(|address| address.parse().unwrap()).collect();
        let mut answers: Vec<_> = answers.into_iter().map(|answer| answer.map(parse)).collect();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Stub {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
        answer.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}
