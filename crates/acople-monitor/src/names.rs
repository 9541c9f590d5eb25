//! A bounded table from names to values that is read without a lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Where names go that find no place.
pub(crate) const OTHER: &str = "other";

/// Longer names go to [`OTHER`]: memory is bounded in bytes as well.
const LONGEST: usize = 128;

/// As many names as its limit, first come, first served. Names never leave, so that a reference lasts.
pub(crate) struct Names<T> {
    /// Open addressing; at most half full, so that a search soon meets an empty place.
    places: Box<[OnceLock<Named<T>>]>,
    count: AtomicUsize,
    limit: usize,
    /// Held for the first use of a name only.
    adding: Mutex<()>,
    other: T,
}

struct Named<T> {
    name: Box<str>,
    value: T,
}

impl<T> Names<T> {
    /// An empty table, with the value of all names beyond `limit`.
    pub(crate) fn new(limit: usize, other: T) -> Self {
        let size = limit.saturating_mul(2).next_power_of_two();
        Self {
            places: std::iter::repeat_with(OnceLock::new).take(size).collect(),
            count: AtomicUsize::new(0),
            limit,
            adding: Mutex::new(()),
            other,
        }
    }

    /// The value of a name, made from its number (0, 1, ...) on its first use.
    pub(crate) fn get(&self, name: &str, make: impl FnOnce(usize) -> T) -> &T {
        if let Some(value) = self.find(name) {
            return value;
        }
        if name.len() > LONGEST || name == OTHER || self.count.load(Ordering::Relaxed) >= self.limit {
            return &self.other;
        }
        self.add(name, make)
    }

    /// The names and values, `other` last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let named = self.places.iter().filter_map(OnceLock::get).map(|named| (&*named.name, &named.value));
        named.chain([(OTHER, &self.other)])
    }

    fn find(&self, name: &str) -> Option<&T> {
        for place in self.search(name) {
            match place.get() {
                Some(named) if *named.name == *name => return Some(&named.value),
                Some(_) => {}
                None => return None,
            }
        }
        None
    }

    #[cold]
    fn add(&self, name: &str, make: impl FnOnce(usize) -> T) -> &T {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.find(name) {
            return value;
        }
        let number = self.count.load(Ordering::Relaxed);
        let free = self.search(name).find(|place| place.get().is_none());
        let Some(free) = free.filter(|_| number < self.limit) else { return &self.other };
        let named = free.get_or_init(|| Named { name: name.into(), value: make(number) });
        self.count.store(number + 1, Ordering::Relaxed);
        &named.value
    }

    /// The places where a name may be, in their order.
    fn search(&self, name: &str) -> impl Iterator<Item = &OnceLock<Named<T>>> {
        let mask = self.places.len() - 1;
        let start = spread(name);
        (0..=mask).filter_map(move |step| self.places.get((start + step) & mask))
    }
}

/// A number that differs among a handful of names: their ends and length are enough, and cheap.
#[allow(clippy::cast_possible_truncation)] // the upper half is what is wanted
fn spread(name: &str) -> usize {
    let bytes = name.as_bytes();
    let short = || bytes.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
    let head = bytes.first_chunk().map_or_else(short, |chunk| u64::from_le_bytes(*chunk));
    let tail = bytes.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let mixed = head ^ tail.rotate_left(29) ^ bytes.len() as u64;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A name of others, fit for labels, logs and terminals.
pub(crate) fn printable(name: &str) -> String {
    acople_core::printable(name, LONGEST)
}
