//! Data keys that a service has unwrapped, kept for a while so that it is not asked for each read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use tokio::time::Instant;

use crate::DataKey;

/// What tells wrapped keys apart: a digest of the key's id, the context and the wrapped bytes.
pub(crate) type Label = [u8; 32];

/// At most so many data keys, each for at most so long. They are zeroed when they go.
pub(crate) struct Unwrapped {
    limit: usize,
    term: Duration,
    kept: Mutex<Kept>,
}

/// In the order of their coming, which is that of their going: all have the same term.
#[derive(Default)]
struct Kept {
    keys: HashMap<Label, (DataKey, Instant)>,
    order: VecDeque<Label>,
}

impl Unwrapped {
    pub(crate) fn new(limit: usize, term: Duration) -> Self {
        Self { limit, term, kept: Mutex::default() }
    }

    pub(crate) fn get(&self, label: &Label) -> Option<DataKey> {
        let kept = self.kept();
        let (key, ends) = kept.keys.get(label)?;
        (Instant::now() < *ends).then(|| key.clone())
    }

    pub(crate) fn put(&self, label: Label, key: DataKey) {
        let now = Instant::now();
        let (mut kept, Some(ends)) = (self.kept(), now.checked_add(self.term)) else { return };
        while let Some(oldest) = kept.order.front().copied() {
            let over = kept.keys.get(&oldest).is_none_or(|(_, ends)| *ends <= now);
            if !over && kept.order.len() < self.limit {
                break;
            }
            kept.order.pop_front();
            kept.keys.remove(&oldest);
        }
        if self.limit > 0 && kept.keys.insert(label, (key, ends)).is_none() {
            kept.order.push_back(label);
        }
    }

    pub(crate) fn clear(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unwrapped")
            .field("limit", &self.limit)
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

pub(crate) fn label(key_id: &str, context: &[u8], wrapped: &[u8]) -> Label {
    let mut digest = Context::new(&SHA256);
    for part in [key_id.as_bytes(), context, wrapped] {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().try_into().unwrap_or_default()
}
