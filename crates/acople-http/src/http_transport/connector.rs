//! How a connection comes about: directly or through a proxy, with TLS where the URL says so, in time.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::USER_AGENT;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use rustls::ClientConfig;
use tower_service::Service;

use super::TransportConfig;
use super::connection::Connection;
use super::proxy::Proxies;
use super::resolver::Checked;

/// How often the other side of a silent connection is asked whether it is there, and how many times in vain.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;

/// How long sent bytes may wait for the other side to say that it has them.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

type BoxError = Box<dyn StdError + Send + Sync>;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    tcp: HttpConnector<Checked>,
    tls: Arc<ClientConfig>,
    /// For proxies that are spoken to in TLS themselves: HTTP/1.1 alone.
    proxy_tls: Arc<ClientConfig>,
    proxies: Proxies,
    user_agent: HeaderValue,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(
        config: &TransportConfig,
        user_agent: HeaderValue,
        proxies: Proxies,
        resolver: Checked,
        mut tls: ClientConfig,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among the addresses of a name: the next is tried while there is time.
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_keepalive(Some(PROBE_AFTER));
        tcp.set_keepalive_interval(Some(PROBE_AFTER));
        tcp.set_keepalive_retries(Some(PROBES));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let proxy_tls = Arc::new(tls.clone());
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (tls, timeout) = (Arc::new(tls), config.connect_timeout);
        Self(Arc::new(Parts { tcp, tls, proxy_tls, proxies, user_agent, timeout }))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let parts = self.0.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(parts.timeout, parts.connect(destination)).await;
            connected.map_err(|_| TooLate)?
        })
    }
}

impl Parts {
    async fn connect(&self, destination: Uri) -> Result<Connection, BoxError> {
        let Some(proxy) = self.proxies.of(&destination) else {
            let mut direct = HttpsConnector::from((self.tcp.clone(), self.tls.clone()));
            return Ok(Connection::to_server(direct.call(destination).await?));
        };
        let mut to_proxy = HttpsConnector::from((self.tcp.clone(), self.proxy_tls.clone()));
        if destination.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Connection::to_proxy(to_proxy.call(proxy.uri().clone()).await?));
        }
        let tunnel = self.tunnel(&proxy, to_proxy);
        let mut through = HttpsConnector::from((tunnel, self.tls.clone()));
        Ok(Connection::to_server(through.call(destination).await?))
    }

    /// Asks the proxy for a connection (RFC 9110, 9.3.6).
    fn tunnel<C>(&self, proxy: &Intercept, to_proxy: C) -> Tunnel<C> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, self.user_agent.clone());
        let tunnel = Tunnel::new(proxy.uri().clone(), to_proxy).with_headers(headers);
        match proxy.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        }
    }
}

/// The time for a connection was over.
#[derive(Debug)]
pub(super) struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection in time")
    }
}

impl StdError for TooLate {}
