//! What a host sets about its connections.

use std::sync::Arc;
use std::time::Duration;

use acople_core::Result;

use super::{Proxy, Resolver, SystemResolver, TlsConfig};
use crate::Destinations;

/// How connections are made.
///
/// ```
/// use acople_http::{HttpTransport, TransportConfig};
///
/// // A system on the premises; everything else that is not public stays closed.
/// let config = TransportConfig::default().allow("sap.corp.example")?;
/// let transport = HttpTransport::new(&config)?;
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// For resolving the name, TCP and TLS together. 5 s unless set.
    pub connect_timeout: Duration,
    /// For resolving the name, as a part of `connect_timeout`: at most four fifths of it. 3 s unless set.
    pub dns_timeout: Duration,
    /// How long an unused connection is kept. 60 s unless set.
    pub idle_connections: Duration,
    /// Requests on their way at once, from the first byte sent to the last one read; with HTTP/1 each has a
    /// connection of its own. 256 unless set. It should leave room below the process's limit of open files.
    pub max_connections: usize,
    /// How long a request waits for others to end when `max_connections` are on their way. 10 s unless set. Set
    /// it below [`Timeouts::head`](crate::Timeouts): the transport alone knows that nothing was sent.
    pub max_wait: Duration,
    /// Through which proxy requests go. None unless set: the environment is not read unasked.
    pub proxy: Proxy,
    /// Who is trusted, and who we are.
    pub tls: TlsConfig,
    /// Where requests may go. The public internet unless set.
    pub destinations: Destinations,
    /// Who resolves names. The system unless set. What it answers is checked against `destinations`.
    pub resolver: Arc<dyn Resolver>,
    /// What is sent as `User-Agent`.
    pub user_agent: String,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            dns_timeout: Duration::from_secs(3),
            idle_connections: Duration::from_secs(60),
            max_connections: 256,
            max_wait: Duration::from_secs(10),
            proxy: Proxy::default(),
            tls: TlsConfig::default(),
            destinations: Destinations::public(),
            resolver: Arc::new(SystemResolver::default()),
            user_agent: concat!("acople/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl TransportConfig {
    /// Opens a host, an address or a network that is not public: see [`Destinations::allow`].
    ///
    /// # Errors
    /// `Config` when it is none of these.
    pub fn allow(mut self, destination: &str) -> Result<Self> {
        self.destinations = self.destinations.allow(destination)?;
        Ok(self)
    }

    /// Opens this machine, for sandboxes and tests: see [`Destinations::allow_loopback`].
    pub fn allow_loopback(mut self) -> Self {
        self.destinations = self.destinations.allow_loopback();
        self
    }
}
