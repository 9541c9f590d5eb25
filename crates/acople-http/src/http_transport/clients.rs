//! The client in use: made once, and again when the files that it was made from change.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use acople_core::Result;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::TransportConfig;
use super::connector::Connector;
use super::proxy::Proxies;
use super::resolver::Checked;
use super::tls::Material;

/// Unused connections to one host that are kept.
const IDLE_CONNECTIONS: usize = 32;

/// Largest header block of an answer, in bytes.
const HEADERS: u32 = 256 << 10;

/// How often a connection in use is asked whether it is alive, and how long it has to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A pool of connections.
pub(super) type Client = legacy::Client<Connector, Full<Bytes>>;

/// The client in use.
pub(super) enum Clients {
    /// Nothing that it was made from can change.
    Fixed(Box<Client>),
    Watched(Box<Watched>),
}

/// A client made from files.
pub(super) struct Watched {
    recipe: Arc<Recipe>,
    current: RwLock<Client>,
    check: Mutex<Check>,
}

struct Check {
    due: Instant,
    fingerprint: u64,
    /// Told once, not at every look.
    failed: bool,
}

/// What clients are made from.
struct Recipe {
    config: TransportConfig,
    user_agent: HeaderValue,
    proxies: Proxies,
    resolver: Checked,
}

impl Clients {
    /// Reads the files and makes the first client.
    pub(super) fn new(
        config: &TransportConfig,
        user_agent: HeaderValue,
        proxies: Proxies,
        resolver: Checked,
    ) -> Result<Self> {
        let material = config.tls.load()?;
        let recipe = Recipe { config: config.clone(), user_agent, proxies, resolver };
        let client = recipe.client(&material)?;
        if !config.tls.has_files() {
            return Ok(Self::Fixed(Box::new(client)));
        }
        let due = Instant::now() + config.tls.check_files_every;
        let check = Check { due, fingerprint: material.fingerprint, failed: false };
        let watched = Watched { recipe: recipe.into(), current: client.into(), check: check.into() };
        Ok(Self::Watched(Box::new(watched)))
    }
}

impl Watched {
    /// The client for the next request. One send in a while looks after the files first; the others go on with what
    /// there is.
    pub(super) async fn current(&self) -> Client {
        if let Some(fingerprint) = self.is_due() {
            self.look(fingerprint).await;
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was read last, when it is time to look again. The next look is due after another while.
    fn is_due(&self) -> Option<u64> {
        let mut check = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < check.due {
            return None;
        }
        check.due = now + self.recipe.config.tls.check_files_every;
        Some(check.fingerprint)
    }

    async fn look(&self, fingerprint: u64) {
        let recipe = self.recipe.clone();
        let looked = tokio::task::spawn_blocking(move || -> Result<_> {
            let material = recipe.config.tls.load()?;
            if material.fingerprint == fingerprint {
                return Ok(None);
            }
            Ok(Some((recipe.client(&material)?, material.fingerprint)))
        });
        // It fails itself only when the runtime ends.
        let Ok(looked) = looked.await else { return };
        let mut check = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok(changed) => {
                check.failed = false;
                if let Some((client, fingerprint)) = changed {
                    check.fingerprint = fingerprint;
                    // The old one lives on in the requests that are on their way.
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = client;
                    tracing::info!("TLS files have changed: new connections use them");
                }
            }
            Err(error) => {
                if !check.failed {
                    tracing::warn!(%error, "TLS files cannot be used: what was read before stays");
                }
                check.failed = true;
            }
        }
    }
}

impl Recipe {
    fn client(&self, material: &Material) -> Result<Client> {
        let config = &self.config;
        let tls = material.client_config(&config.tls.roots)?;
        let (proxies, resolver) = (self.proxies.clone(), self.resolver.clone());
        let connector = Connector::new(config, self.user_agent.clone(), proxies, resolver, tls);
        Ok(legacy::Client::builder(TokioExecutor::new())
            // Every attempt is counted, above: nothing is repeated here.
            .retry_canceled_requests(false)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_connections)
            .pool_max_idle_per_host(IDLE_CONNECTIONS.min(config.max_connections))
            .http2_max_header_list_size(HEADERS)
            // Many calls share one connection: a dead one is found out before the next of them waits in vain.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .build(connector))
    }
}
