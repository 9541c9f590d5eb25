//! Keys of records as 128 bits, and bounded sets of them.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use acople_core::json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};

/// A key whose parts have no value is none.
pub(crate) fn key_of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Option<u128> {
    let mut hasher = SipHasher13::new();
    let mut canonical = Vec::new();
    for value in values {
        let (tag, bytes): (u8, &[u8]) = match &value {
            Value::Missing | Value::Null => return None,
            Value::Number(number) => {
                canonical.clear();
                crate::decimal::canonical(number.as_str(), &mut canonical);
                (1, &canonical)
            }
            Value::Text(text) if text.has_escapes() => {
                canonical.clear();
                match text.decode() {
                    Ok(text) => canonical.extend(text.bytes()),
                    Err(_) => canonical.extend(text.quoted().bytes()),
                }
                (2, &canonical)
            }
            Value::Text(text) => (2, text.raw().as_bytes()),
            other => (3, other.raw().as_bytes()),
        };
        hasher.write_u8(tag);
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    }
    Some(hasher.finish128().as_u128())
}

/// The key of a text.
pub(crate) fn key_of_text(text: &str) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}

/// A set of at most so many keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    known: HashSet<u128, BuildHasherDefault<Hashed>>,
    limit: usize,
}

/// What the set says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Before,
    /// Not among those remembered, which are not all.
    Unknown,
}

impl Keys {
    pub(crate) fn new(limit: usize) -> Self {
        Self { known: HashSet::default(), limit }
    }

    pub(crate) fn contains(&self, key: u128) -> bool {
        self.known.contains(&key)
    }

    pub(crate) fn look(&self, key: u128) -> Seen {
        if self.known.contains(&key) {
            Seen::Before
        } else if self.known.len() >= self.limit {
            Seen::Unknown
        } else {
            Seen::New
        }
    }

    /// Remembers a key, if there is room.
    pub(crate) fn remember(&mut self, key: u128) {
        if self.known.len() < self.limit {
            self.known.insert(key);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= self.limit
    }

    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
    }
}
