//! The ready-made transport. The only place where `hyper` and `rustls` appear.

mod clients;
mod config;
mod connection;
mod connector;
mod failure;
mod proxy;
mod resolver;
mod tls;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use acople_core::{Body, Error, Progress, Request, Response, Result, Transport, TransportError, WireFault};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use http::header::{ACCEPT, CONTENT_LENGTH, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Host;

pub use config::TransportConfig;
pub use proxy::Proxy;
pub use resolver::{Resolver, SystemResolver};
pub use tls::{ClientIdentity, Pem, Roots, TlsConfig};

use crate::Destinations;
use clients::Clients;
use proxy::Proxies;
use resolver::{Checked, Refused};

/// Carries requests over hyper with rustls.
///
/// It follows no redirect (credentials would go along), repeats nothing (every attempt is counted), decodes nothing
/// (bodies are bounded above) and leaves the environment's proxies alone.
/// Addresses that are not public are refused when connecting, unless the config opens them.
/// Make one and share it: connections are pooled in it.
#[derive(Clone)]
pub struct HttpTransport(Arc<Inner>);

struct Inner {
    clients: Clients,
    destinations: Destinations,
    proxies: Proxies,
    user_agent: HeaderValue,
    /// One for each request on its way.
    places: Arc<Semaphore>,
    max_wait: Duration,
}

impl HttpTransport {
    /// A transport. Reads the system's certificates and the files that the config names; connects to nothing.
    ///
    /// # Errors
    /// `Config` when the proxy is no URL, `max_connections` is 0, the user agent cannot stand in a header or
    /// certificates cannot be used, `Internal` when TLS cannot be set up.
    pub fn new(config: &TransportConfig) -> Result<Self> {
        if !(1..=Semaphore::MAX_PERMITS).contains(&config.max_connections) {
            return Err(Error::config("max_connections", "at least one connection is needed"));
        }
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|e| Error::config("user_agent", "cannot stand in a header").with_source(e))?;
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
            clients: Clients::new(config, user_agent.clone(), proxies.clone(), resolver)?,
            destinations: config.destinations.clone(),
            proxies,
            user_agent,
            places: Arc::new(Semaphore::new(config.max_connections)),
            max_wait: config.max_wait,
        })))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

#[async_trait]
impl Transport for HttpTransport {
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
        let outgoing = self.0.outgoing(request)?;
        let watched;
        let client = match &self.0.clients {
            Clients::Fixed(client) => client,
            Clients::Watched(clients) => {
                watched = Box::pin(clients.current()).await;
                &watched
            }
        };
        let (head, body) = client.request(outgoing).await.map_err(failure::head)?.into_parts();
        let body = if body.is_end_stream() {
            Body::full(Bytes::new())
        } else {
            Body::stream(Chunks { body, place: place.take() })
        };
        Ok(Response::new(head.status, head.headers, body))
    }
}

/// A body as it comes.
struct Chunks {
    body: Incoming,
    /// Given back at the end of the body, or with it when it is dropped.
    place: Option<OwnedSemaphorePermit>,
}

impl Stream for Chunks {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame {
                // What is no data are trailers, which nobody asked for.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(failure::body(error)))),
                None => {
                    self.place = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Inner {
    /// The request as hyper wants it.
    fn outgoing(&self, request: Request) -> Result<http::Request<Full<Bytes>>, TransportError> {
        let (method, url, headers, body) = request.into_parts();
        let writes = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let uri = Uri::from_maybe_shared(Bytes::from(String::from(url)));
        let mut outgoing = http::Request::new(Full::new(body));
        *outgoing.uri_mut() = uri.map_err(|e| failure::unsendable(e.into()))?;
        *outgoing.method_mut() = method;
        *outgoing.headers_mut() = headers;
        let proxy_credentials = self.proxies.credentials(outgoing.uri());
        let is_empty = outgoing.body().size_hint().exact() == Some(0);
        let headers = outgoing.headers_mut();
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers.entry(ACCEPT).or_insert(const { HeaderValue::from_static("*/*") });
        if let Some(credentials) = proxy_credentials {
            headers.entry(PROXY_AUTHORIZATION).or_insert(credentials);
        }
        if writes && is_empty {
            // Some servers refuse a write that does not say how long it is (RFC 9110, 8.6).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(outgoing)
    }

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
