//! Names become addresses, and are checked in the same step: a name that answers differently the next time
//! (DNS rebinding) gains nothing.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io, vec};

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use crate::{Destinations, SpecialUse};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 32;

/// Lookups of the system's resolver at once: each may hold a thread for as long as the system likes.
const LOOKUPS: usize = 32;

/// Resolves host names. Its answers are used for one connection and not kept: a name that is wrong now may be
/// right in a second. A resolver may keep them itself; it should keep the bad ones for 5 s at most.
///
/// ```
/// use std::io;
/// use std::net::IpAddr;
///
/// use acople_http::{Resolver, TransportConfig};
///
/// #[derive(Debug)]
/// struct Fixed;
///
/// #[async_trait::async_trait]
/// impl Resolver for Fixed {
///     async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
///         match name {
///             "api.example.com" => Ok(vec![[203, 0, 113, 7].into()]),
///             _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
///         }
///     }
/// }
///
/// let mut config = TransportConfig::default();
/// config.resolver = std::sync::Arc::new(Fixed);
/// ```
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug + 'static {
    /// The addresses of the name, in the order in which to try them. Dropped when the deadline passes.
    ///
    /// # Errors
    /// The name does not exist, or nobody can tell now. An empty answer means the same.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver (`getaddrinfo`), on threads for blocking work.
#[derive(Debug)]
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = self.0.clone().acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Held until the system answers, also when nobody waits any more.
            let _permit = permit;
            let addresses = (name.as_str(), 0).to_socket_addrs()?;
            Ok(addresses.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

type Addresses = vec::IntoIter<SocketAddr>;

/// Resolves for the connector: nothing but addresses that are allowed come out.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) destinations: Arc<Destinations>,
    pub(super) timeout: Duration,
}

impl Checked {
    async fn addresses(&self, name: &str) -> Result<Addresses, Box<dyn StdError + Send + Sync>> {
        let answer = tokio::time::timeout(self.timeout, self.resolver.resolve(name));
        let found =
            answer.await.map_err(|_| Unresolved::TooLate(self.timeout))?.map_err(Unresolved::Failed)?;
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found.into_iter().take(ADDRESSES) {
            match self.destinations.check(Some(name), address) {
                // The port is the URL's.
                Ok(()) => allowed.push(SocketAddr::new(address, 0)),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        match refused {
            Some(reason) if allowed.is_empty() => Err(Refused::new(name, reason).into()),
            None if allowed.is_empty() => Err(Unresolved::Empty.into()),
            _ => Ok(allowed.into_iter()),
        }
    }
}

impl Service<Name> for Checked {
    type Response = Addresses;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let checked = self.clone();
        Box::pin(async move { checked.addresses(name.as_str()).await })
    }
}

/// A destination that the host has not opened. Does not tell the address: who entered the name need not learn
/// what the host's network looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused(SpecialUse);

impl Refused {
    /// Logged, for it may be somebody trying.
    pub(super) fn new(host: &str, reason: SpecialUse) -> Self {
        tracing::warn!(host, %reason, "a request to an address that is not public: refused");
        Self(reason)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the destination is {}, which the transport's config does not allow", self.0)
    }
}

impl StdError for Refused {}

/// A name without addresses.
#[derive(Debug)]
pub(super) enum Unresolved {
    Failed(io::Error),
    Empty,
    TooLate(Duration),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) | Self::Empty => f.write_str("the host name does not resolve"),
            Self::TooLate(limit) => {
                write!(f, "the host name was not resolved within {} s", limit.as_secs_f32())
            }
        }
    }
}

impl StdError for Unresolved {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(cause) => Some(cause),
            Self::Empty | Self::TooLate(_) => None,
        }
    }
}
