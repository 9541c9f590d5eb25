//! What vendors are going to retire.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// A vendor's announcement that something is going to end: a version of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retirement {
    /// When it ends, in Unix seconds; `None`: nobody has said.
    pub ends: Option<u64>,
}

impl Retirement {
    /// The one that ends first; one without a date is the later one.
    pub(crate) fn earlier(self, other: Self) -> Self {
        let date = |retirement: Self| retirement.ends.unwrap_or(u64::MAX);
        if date(other) < date(self) { other } else { self }
    }
}

/// What was announced, in one word: nothing, an end, or one more than its Unix second.
#[derive(Default)]
pub(crate) struct Retiring(AtomicU64);

const NOTHING: u64 = 0;
/// No date, later than all of them.
const SOME_DAY: u64 = u64::MAX;

impl Retiring {
    /// Takes note of an announcement. The earliest date stands.
    pub(crate) fn announce(&self, ends: Option<SystemTime>) {
        let word = ends.map_or(SOME_DAY, |ends| {
            let since = ends.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs().saturating_add(1)
        });
        let (before, after) = (Ordering::Relaxed, Ordering::Relaxed);
        // What is known already is no failure.
        let _ =
            self.0.fetch_update(before, after, |known| (known == NOTHING || word < known).then_some(word));
    }

    /// What was announced.
    pub(crate) fn get(&self) -> Option<Retirement> {
        match self.0.load(Ordering::Relaxed) {
            NOTHING => None,
            SOME_DAY => Some(Retirement { ends: None }),
            word => Some(Retirement { ends: word.checked_sub(1) }),
        }
    }
}
