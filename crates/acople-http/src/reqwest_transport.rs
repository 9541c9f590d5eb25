//! The ready-made transport. The only place where `reqwest` appears.

mod clients;
mod config;
mod failure;
mod proxy;
mod resolver;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use acople_core::{Body, Error, Progress, Request, Response, Result, Transport, TransportError, WireFault};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Host;

pub use config::TransportConfig;
pub use proxy::Proxy;
pub use resolver::{Resolver, SystemResolver};
pub use tls::{ClientIdentity, Pem, Roots, TlsConfig};

use crate::Destinations;
use clients::Clients;
use resolver::{Checked, Refused};

/// Carries requests over `reqwest` with rustls.
///
/// Its defaults are switched off where they would do harm: redirects (credentials would go along),
/// hidden retries (every attempt is counted), decompression (bounded above), the environment's proxies.
/// Addresses that are not public are refused when connecting, unless the config opens them.
/// Make one and share it: connections are pooled in it.
#[derive(Clone)]
pub struct ReqwestTransport(Arc<Inner>);

struct Inner {
    clients: Clients,
    destinations: Destinations,
    /// One for each request on its way.
    places: Arc<Semaphore>,
    max_wait: Duration,
}

impl ReqwestTransport {
    /// A transport. Reads the system's certificates and the files that the config names; connects to nothing.
    ///
    /// # Errors
    /// `Config` when the proxy is no URL, `max_connections` is 0 or certificates cannot be used, `Internal` when the
    /// client cannot be set up.
    pub fn new(config: &TransportConfig) -> Result<Self> {
        if !(1..=Semaphore::MAX_PERMITS).contains(&config.max_connections) {
            return Err(Error::config("max_connections", "at least one connection is needed"));
        }
        let proxies = config.proxy.proxies()?;
        let mut resolvable = config.destinations.clone();
        for host in &proxies.hosts {
            // An address is not resolved.
            if let Host::Domain(name) = host {
                resolvable = resolvable.allow(name)?;
            }
        }
        let resolver = Checked {
            resolver: config.resolver.clone(),
            destinations: Arc::new(resolvable),
            // Earlier than the whole, or nobody would learn that it was the name.
            timeout: config.dns_timeout.min(config.connect_timeout * 4 / 5),
        };
        Ok(Self(Arc::new(Inner {
            clients: Clients::new(config, proxies.proxies, resolver)?,
            destinations: config.destinations.clone(),
            places: Arc::new(Semaphore::new(config.max_connections)),
            max_wait: config.max_wait,
        })))
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestTransport")
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if let Err(reason) = self.0.destinations.check_url(request.url()) {
            let host = request.url().host_str().unwrap_or_default();
            return Err(failure::refused(Refused::new(host, reason)));
        }
        // In boxes what is rare: the future of this function is made for each request.
        let mut place = match self.0.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => Some(Box::pin(self.0.place()).await?),
        };
        let (method, url, headers, body) = request.into_parts();
        let writes = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let mut outgoing = reqwest::Request::new(method, url);
        *outgoing.headers_mut() = headers;
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        } else if writes {
            // Some servers refuse a write that does not say how long it is (RFC 9110, 8.6).
            outgoing.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let watched;
        let client = match &self.0.clients {
            Clients::Fixed(client) => client,
            Clients::Watched(clients) => {
                watched = Box::pin(clients.current()).await;
                &watched
            }
        };
        let mut incoming = client.execute(outgoing).await.map_err(failure::head)?;
        let (status, headers) = (incoming.status(), std::mem::take(incoming.headers_mut()));
        let chunks = incoming.bytes_stream().map(|chunk| chunk.map_err(failure::body));
        // At the end of the body, or with it when it is dropped.
        let leave = stream::poll_fn(move |_| {
            place.take();
            Poll::Ready(None)
        });
        Ok(Response::new(status, headers, Body::stream(chunks.chain(leave))))
    }
}

impl Inner {
    /// A place among the requests on their way, as soon as one is free.
    async fn place(&self) -> Result<OwnedSemaphorePermit, TransportError> {
        match tokio::time::timeout(self.max_wait, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(TransportError::new(
                Progress::NotSent,
                WireFault::Exhausted,
                "no connection: all of `max_connections` were in use for too long",
            )),
        }
    }
}
