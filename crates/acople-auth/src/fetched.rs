//! Credentials that are fetched: one fetch for any number of callers, and a pause after a failed one.
//!
//! Unlike the token cell, nothing is lost when a fetch is given up with its caller: the next one fetches again.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acople_core::Result;
use tokio::sync::Mutex as Gate;
use tokio::time::Instant;

use crate::book::{Book, Setback};

/// What was fetched, and its number.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) stamp: u64,
    pub(crate) value: T,
    ends: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Fetched<T> {
    front: Mutex<Front<T>>,
    gate: Gate<Book>,
}

#[derive(Debug)]
struct Front<T> {
    kept: Option<Arc<Kept<T>>>,
    /// The number of the newest.
    count: u64,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self { front: Mutex::new(Front { kept: None, count: 0 }), gate: Gate::default() }
    }
}

impl<T> Fetched<T> {
    /// What is at hand, or what the fetch brings: a value, and how long it is good for.
    pub(crate) async fn get(
        &self,
        fetch: impl Future<Output = Result<(T, Option<Duration>)>>,
    ) -> Result<Arc<Kept<T>>> {
        if let Some(kept) = self.at_hand() {
            return Ok(kept);
        }
        let mut book = self.gate.lock().await;
        // Whoever was here before may have brought it, or failed a moment ago.
        if let Some(kept) = self.at_hand() {
            return Ok(kept);
        }
        if let Some(error) = book.held_back(Instant::now()) {
            return Err(error);
        }
        match fetch.await {
            Ok((value, lifetime)) => {
                book.succeed();
                let ends = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
                let mut front = self.front();
                front.count = front.count.saturating_add(1);
                let kept = Arc::new(Kept { stamp: front.count, value, ends });
                front.kept = Some(kept.clone());
                Ok(kept)
            }
            Err(error) => {
                book.fail(&Setback::passing(error.copy()), Instant::now());
                Err(error)
            }
        }
    }

    /// Forgets what was refused, unless it has been replaced already.
    pub(crate) fn forget(&self, refused: u64) {
        let mut front = self.front();
        if front.kept.as_ref().is_some_and(|kept| kept.stamp <= refused) {
            front.kept = None;
        }
    }

    pub(crate) fn at_hand(&self) -> Option<Arc<Kept<T>>> {
        let now = Instant::now();
        self.front().kept.clone().filter(|kept| kept.ends.is_none_or(|ends| now < ends))
    }

    fn front(&self) -> MutexGuard<'_, Front<T>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
