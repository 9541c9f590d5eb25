//! Breakers of several vendor hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BreakerConfig, Breakers};

/// Hosts beyond which those that no client holds are forgotten: at some vendors each tenant has its own.
const HOSTS: usize = 1024;

/// The breakers of several vendor hosts, each host with its own: for a host application that connects one group
/// of tenants to several vendors ([`Settings::with_breakers`](crate::Settings::with_breakers)). Cheap to clone.
///
/// ```
/// use acople_core::BreakerState;
/// use acople_http::{BreakerConfig, SharedBreakers};
///
/// let breakers = SharedBreakers::new(BreakerConfig::default());
/// // The vendor announced its maintenance.
/// breakers.of("api.example.com").force("default", Some(BreakerState::Open));
/// assert_eq!(breakers.of("api.example.com").state("default"), BreakerState::Open);
/// assert_eq!(breakers.of("api.other.example").state("default"), BreakerState::Closed);
/// ```
#[derive(Clone, Debug)]
pub struct SharedBreakers {
    config: BreakerConfig,
    hosts: Arc<Mutex<BTreeMap<String, Breakers>>>,
}

impl SharedBreakers {
    /// No hosts yet; the breakers of each will have this config.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, hosts: Arc::default() }
    }

    /// The breakers of a host.
    pub fn of(&self, host: &str) -> Breakers {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breakers) = hosts.get(host) {
            return breakers.clone();
        }
        if hosts.len() >= HOSTS {
            hosts.retain(|_, breakers| breakers.is_held());
        }
        let breakers = Breakers::new(self.config);
        hosts.insert(host.to_owned(), breakers.clone());
        breakers
    }
}
