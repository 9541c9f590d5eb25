//! Who renews which tokens.
//!
//! Leases live in memory: one process has the file, so the leases of a process that died are gone with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use acople_core::{ConnectionKey, Lease};
use tokio::time::Instant;

/// The leases of one open store. Those that are over are dropped whenever another is granted.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<ConnectionKey, Holder>>);

#[derive(Debug)]
struct Holder {
    name: String,
    /// `None`: beyond what the clock can say.
    ends: Option<Instant>,
}

impl Leases {
    pub(crate) fn ask(&self, key: &ConnectionKey, holder: &str, term: Duration) -> Lease {
        let now = Instant::now();
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|_, held| held.ends.is_none_or(|ends| now < ends));
        match leases.get(key) {
            Some(held) if held.name != holder => {
                Lease::Busy(held.ends.map_or(term, |ends| ends.saturating_duration_since(now)))
            }
            _ => {
                let held = Holder { name: holder.to_owned(), ends: now.checked_add(term) };
                leases.insert(key.clone(), held);
                Lease::Granted
            }
        }
    }

    pub(crate) fn give_back(&self, key: &ConnectionKey, holder: &str) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.get(key).is_some_and(|held| held.name == holder) {
            leases.remove(key);
        }
    }
}
