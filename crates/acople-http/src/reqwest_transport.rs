//! The ready-made transport. The only place where `reqwest` appears.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use acople_core::{
    Body, Error, ErrorKind, Progress, Request, Response, Result, Transport, TransportError, WireFault,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};

/// Unused connections to one host that are kept.
const IDLE_CONNECTIONS: usize = 32;

/// Largest header block of an answer, in bytes.
const HEADERS: u32 = 256 << 10;

/// How often a connection in use is asked whether it is alive, and how long it has to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How connections are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_connections: Duration,
    /// A proxy for all requests. The environment is not read.
    pub proxy: Option<String>,
    /// What is sent as `User-Agent`.
    pub user_agent: String,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_connections: Duration::from_secs(60),
            proxy: None,
            user_agent: concat!("acople/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Carries requests over `reqwest` with rustls.
///
/// Its defaults are switched off where they would do harm: redirects (credentials would go along),
/// hidden retries (every attempt is counted), decompression (bounded above), the environment's proxies.
/// Make one and share it: connections are pooled in it.
#[derive(Clone)]
pub struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    /// A transport.
    ///
    /// # Errors
    /// `Config` when the proxy is no URL, `Internal` when TLS cannot be set up.
    pub fn new(config: &TransportConfig) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(config.idle_connections)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_max_header_list_size(HEADERS)
            // Many calls share one connection: a dead one is found out before the next of them waits in vain.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .user_agent(&config.user_agent)
            .tcp_nodelay(true);
        if let Some(proxy) = &config.proxy {
            // The proxy's URL may hold its password: it is not repeated in the error.
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| Error::config("proxy", "not a proxy URL"))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|e| {
            Error::new(ErrorKind::Internal, "the HTTP client cannot be set up").with_source(e.without_url())
        })?;
        Ok(Self(client))
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
        let mut incoming = self.0.execute(outgoing).await.map_err(head_error)?;
        let (status, headers) = (incoming.status(), std::mem::take(incoming.headers_mut()));
        let chunks = incoming.bytes_stream().map(|chunk| chunk.map_err(body_error));
        Ok(Response::new(status, headers, Body::stream(chunks)))
    }
}

/// What a failure before the head of the answer means.
fn head_error(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let text = chain(&error);
    let (progress, fault, message) = if error.is_builder() {
        (Progress::NotSent, WireFault::BadRequest, "the request cannot be sent")
    } else if error.is_connect() {
        let (fault, message) = connect_fault(&error, &text);
        (Progress::NotSent, fault, message)
    } else if error.is_timeout() {
        (Progress::MaybeSent, WireFault::Timeout, "no answer in time")
    } else if not_processed(&text) {
        (Progress::NotSent, WireFault::Reset, "the connection was closed before the request was processed")
    } else if ["invalid", "parse", "too large"].iter().any(|sign| text.contains(sign)) {
        (Progress::MaybeSent, WireFault::Malformed, "the answer is not HTTP")
    } else {
        (Progress::MaybeSent, WireFault::Reset, "the connection broke before the answer")
    };
    TransportError::new(progress, fault, message).with_source(error)
}

/// Why no connection was made: the texts are those of the resolver, rustls and the system.
fn connect_fault(error: &reqwest::Error, text: &str) -> (WireFault, &'static str) {
    if text.contains("dns error") || text.contains("failed to lookup") {
        (WireFault::Dns, "the host name does not resolve")
    } else if text.contains("certificate") || text.contains("tls") || text.contains("handshake") {
        (WireFault::Tls, "TLS failed: the certificate or protocol version is not acceptable")
    } else if error.is_timeout() {
        (WireFault::Timeout, "no connection in time")
    } else {
        (WireFault::Connect, "no connection")
    }
}

/// HTTP/2 says when a request was refused unprocessed (RFC 9113, 8.7), and hyper when it never left.
fn not_processed(text: &str) -> bool {
    ["refused stream", "channel closed", "connection was not ready", "operation was canceled"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn body_error(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let text = chain(&error);
    let (fault, message) = if error.is_timeout() {
        (WireFault::Timeout, "the body stopped coming")
    } else if text.contains("reset") {
        (WireFault::Reset, "the connection broke in the body")
    } else {
        (WireFault::Malformed, "the body ended early or is broken")
    };
    TransportError::new(Progress::Answered, fault, message).with_source(error)
}

/// The texts of an error and its causes, lowercase: the types behind them are not public.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn StdError> = Some(error);
    // Bounded: a chain is a handful of links.
    for _ in 0..16 {
        let Some(link) = cause else { break };
        text.push_str(&link.to_string().to_lowercase());
        text.push('\n');
        cause = link.source();
    }
    text
}
