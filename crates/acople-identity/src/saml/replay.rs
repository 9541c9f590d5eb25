//! Remembers what was used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result};
use async_trait::async_trait;

/// Remembers which assertions and requests were used, so that none counts twice.
///
/// A host of several processes keeps one memory for all, such as a table with a unique key.
#[async_trait]
pub trait ReplayMemory: Send + Sync + fmt::Debug + 'static {
    /// Notes a key (43 characters, base64url) until a time; false when it is noted already. Of two calls at once with
    /// one key, one gets true.
    ///
    /// # Errors
    /// When nobody can tell: the login is refused.
    async fn note(&self, key: &str, now: SystemTime, until: SystemTime) -> Result<bool>;
}

/// A memory of this process.
pub struct InMemoryReplay {
    capacity: usize,
    until: Mutex<HashMap<String, SystemTime>>,
}

impl InMemoryReplay {
    /// A memory of at most so many keys. What is over makes room; what is not is never forgotten: when all is taken,
    /// logins are refused for a while ([`Transient`](ErrorKind::Transient)).
    pub fn new(capacity: usize) -> Self {
        Self { capacity, until: Mutex::default() }
    }
}

impl Default for InMemoryReplay {
    /// 100,000 keys: two for each login of the last minutes.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl fmt::Debug for InMemoryReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryReplay").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[async_trait]
impl ReplayMemory for InMemoryReplay {
    async fn note(&self, key: &str, now: SystemTime, until: SystemTime) -> Result<bool> {
        let mut noted = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(key).is_some_and(|&until| until > now) {
            return Ok(false);
        }
        if noted.len() >= self.capacity {
            noted.retain(|_, until| *until > now);
        }
        if noted.len() >= self.capacity {
            return Err(Error::new(ErrorKind::Transient, "the memory of used assertions is full"));
        }
        noted.insert(key.to_owned(), until);
        Ok(true)
    }
}
