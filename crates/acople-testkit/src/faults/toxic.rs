//! What can be wrong with a connection, as data.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use tokio::time::Instant;

/// Which way bytes go through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: answers.
    ToClient,
}

/// Something wrong with one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Toxic {
    /// Every byte is late by `delay`, more or less by up to `jitter`. Order is kept.
    Latency {
        /// How late.
        delay: Duration,
        /// By how much that varies, either way.
        jitter: Duration,
    },
    /// At most this many bytes a second.
    Bandwidth {
        /// Bytes a second, at least one.
        bytes_per_second: u64,
    },
    /// The end of the stream is passed on late.
    SlowClose {
        /// How late.
        delay: Duration,
    },
    /// Nothing gets through, and after a while the connection is closed; never, when `after` is zero.
    Timeout {
        /// Counted from the toxic or the connection, whichever came later.
        after: Duration,
    },
    /// The connection is reset (RST) for whom this direction leads to.
    ResetPeer {
        /// Counted from the toxic or the connection, whichever came later.
        after: Duration,
    },
    /// Bytes come in small pieces.
    Slicer {
        /// Bytes of one piece, at least one.
        size: usize,
        /// The pause after each.
        pause: Duration,
    },
    /// The connection is closed after this many bytes.
    LimitData {
        /// Bytes of one connection that get through.
        bytes: u64,
    },
}

/// The toxics in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) down: bool,
    toxics: Vec<(Direction, Toxic, Instant)>,
}

/// How a connection ends by a toxic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doom {
    Close,
    Reset(Direction),
}

impl State {
    /// Adds a toxic in place of one of its kind.
    pub(crate) fn add(&mut self, direction: Direction, toxic: Toxic) {
        self.remove(direction, discriminant(&toxic));
        self.toxics.push((direction, toxic, Instant::now()));
    }

    pub(crate) fn remove(&mut self, direction: Direction, kind: Discriminant<Toxic>) {
        self.toxics.retain(|(d, toxic, _)| *d != direction || discriminant(toxic) != kind);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// When a connection that began then is ended, and how.
    pub(crate) fn doom(&self, began: Instant) -> Option<(Instant, Doom)> {
        let dooms = self.toxics.iter().filter_map(|(direction, toxic, since)| {
            let (after, doom) = match toxic {
                Toxic::Timeout { after } if !after.is_zero() => (*after, Doom::Close),
                Toxic::ResetPeer { after } => (*after, Doom::Reset(*direction)),
                _ => return None,
            };
            Some(((*since).max(began).checked_add(after)?, doom))
        });
        dooms.min_by_key(|(at, _)| *at)
    }

    /// Whether bytes are swallowed.
    pub(crate) fn swallows(&self, direction: Direction) -> bool {
        self.of(direction).any(|toxic| matches!(toxic, Toxic::Timeout { .. } | Toxic::ResetPeer { .. }))
    }

    /// How late bytes are, given a random number.
    pub(crate) fn latency(&self, direction: Direction, random: u64) -> Duration {
        let latency = self.of(direction).find_map(|toxic| match toxic {
            Toxic::Latency { delay, jitter } => Some((delay, jitter)),
            _ => None,
        });
        let Some((delay, jitter)) = latency else { return Duration::ZERO };
        let range = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4) * 2 + 1;
        (delay + Duration::from_micros(random % range)).saturating_sub(jitter)
    }

    /// The size of a piece and the pause after one of so many bytes.
    pub(crate) fn piece(&self, direction: Direction) -> (usize, Duration) {
        let slicer = self.of(direction).find_map(|toxic| match toxic {
            Toxic::Slicer { size, pause } => Some((size.max(1), pause)),
            _ => None,
        });
        slicer.unwrap_or((usize::MAX, Duration::ZERO))
    }

    pub(crate) fn bandwidth(&self, direction: Direction) -> Option<u64> {
        self.of(direction).find_map(|toxic| match toxic {
            Toxic::Bandwidth { bytes_per_second } => Some(bytes_per_second.max(1)),
            _ => None,
        })
    }

    pub(crate) fn limit(&self, direction: Direction) -> Option<u64> {
        self.of(direction).find_map(|toxic| match toxic {
            Toxic::LimitData { bytes } => Some(bytes),
            _ => None,
        })
    }

    pub(crate) fn slow_close(&self, direction: Direction) -> Duration {
        let delay = self.of(direction).find_map(|toxic| match toxic {
            Toxic::SlowClose { delay } => Some(delay),
            _ => None,
        });
        delay.unwrap_or_default()
    }

    fn of(&self, direction: Direction) -> impl Iterator<Item = Toxic> {
        self.toxics.iter().filter(move |(d, _, _)| *d == direction).map(|(_, toxic, _)| *toxic)
    }
}
