//! The client in use: made once, and again when the files that it was made from change.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::resolver::Checked;
use super::tls::Material;
use super::{Roots, TransportConfig, failure};

/// Unused connections to one host that are kept.
const IDLE_CONNECTIONS: usize = 32;

/// Largest header block of an answer, in bytes.
const HEADERS: u32 = 256 << 10;

/// How often a connection in use is asked whether it is alive, and how long it has to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The client in use.
pub(super) enum Clients {
    /// Nothing that it was made from can change.
    Fixed(reqwest::Client),
    Watched(Box<Watched>),
}

/// A client made from files.
pub(super) struct Watched {
    recipe: Arc<Recipe>,
    current: RwLock<reqwest::Client>,
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
    proxies: Vec<reqwest::Proxy>,
    resolver: Checked,
}

impl Clients {
    /// Reads the files and makes the first client.
    pub(super) fn new(
        config: &TransportConfig,
        proxies: Vec<reqwest::Proxy>,
        resolver: Checked,
    ) -> Result<Self> {
        let material = config.tls.load()?;
        let recipe = Recipe { config: config.clone(), proxies, resolver };
        let client = recipe.client(&material)?;
        if !config.tls.has_files() {
            return Ok(Self::Fixed(client));
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
    pub(super) async fn current(&self) -> reqwest::Client {
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
    fn client(&self, material: &Material) -> Result<reqwest::Client> {
        let config = &self.config;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(self.resolver.clone())
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(config.idle_connections)
            .pool_max_idle_per_host(IDLE_CONNECTIONS.min(config.max_connections))
            .http2_max_header_list_size(HEADERS)
            // Many calls share one connection: a dead one is found out before the next of them waits in vain.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .user_agent(&config.user_agent)
            .tcp_nodelay(true);
        for proxy in &self.proxies {
            builder = builder.proxy(proxy.clone());
        }
        builder = match &config.tls.roots {
            Roots::System => builder,
            Roots::SystemAnd(_) => builder.tls_certs_merge(material.roots.iter().cloned()),
            Roots::Only(_) => builder.tls_certs_only(material.roots.iter().cloned()),
        };
        if let Some(identity) = &material.identity {
            builder = builder.identity(identity.clone());
        }
        builder.build().map_err(|error| {
            let error = error.without_url();
            let tls = failure::tls_cause(&error);
            match tls {
                Some(rustls::Error::InconsistentKeys(_)) => {
                    Error::config("tls.identity", "the key does not belong to the certificate")
                }
                Some(_) => Error::config("tls", "the certificates cannot be used"),
                None => Error::new(ErrorKind::Internal, "the HTTP client cannot be set up"),
            }
            .with_source(Box::<dyn StdError + Send + Sync>::from(error))
        })
    }
}
