//! How calls ended of late.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of the window: it slides in steps of a thirtieth.
const SLOTS: usize = 30;

/// Bits of each of a slot's two counters; the rest are the number of its part of time.
const BITS: u32 = 20;
const MOST: u64 = (1 << BITS) - 1;
const ERAS: u64 = (1 << (64 - 2 * BITS)) - 1;

/// A ring of time slots, each one word: the part of time it is for, good calls, bad calls. A slot is taken over
/// and counted in by one exchange, so that no call is lost to two threads.
#[derive(Debug)]
pub(crate) struct Window {
    slots: [AtomicU64; SLOTS],
    slot_ms: u64,
}

impl Window {
    /// An empty window of a length.
    pub(crate) fn new(length_ms: u64) -> Self {
        Self { slots: [const { AtomicU64::new(0) }; SLOTS], slot_ms: (length_ms / SLOTS as u64).max(1) }
    }

    /// Counts a call.
    pub(crate) fn record(&self, now_ms: u64, good: bool) {
        let era = self.era(now_ms);
        #[allow(clippy::cast_possible_truncation)] // below SLOTS
        let Some(slot) = self.slots.get((era % SLOTS as u64) as usize) else { return };
        // Always `Some`: the exchange is tried until it succeeds.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (of, mut ok, mut bad) = unpack(word);
            if of != era {
                (ok, bad) = (0, 0);
            }
            if ok.max(bad) == MOST {
                // A million calls in one slot: the share stays.
                (ok, bad) = (ok / 2, bad / 2);
            }
            Some(pack(era, ok + u64::from(good), bad + u64::from(!good)))
        });
    }

    /// Good and bad calls of the window that ends now.
    pub(crate) fn totals(&self, now_ms: u64) -> (u64, u64) {
        let era = self.era(now_ms);
        self.slots.iter().map(|slot| unpack(slot.load(Ordering::Relaxed))).fold(
            (0, 0),
            |sum, (of, ok, bad)| {
                // A slot may be one ahead of a reader that asked the time before.
                let age = era.wrapping_sub(of).wrapping_add(1) & ERAS;
                if of != 0 && age <= SLOTS as u64 { (sum.0 + ok, sum.1 + bad) } else { sum }
            },
        )
    }

    /// The number of a part of time; 0 is no part. It wraps after years.
    fn era(&self, now_ms: u64) -> u64 {
        (now_ms / self.slot_ms + 1) & ERAS
    }
}

fn pack(era: u64, ok: u64, bad: u64) -> u64 {
    (era << (2 * BITS)) | (ok << BITS) | bad
}

fn unpack(word: u64) -> (u64, u64, u64) {
    (word >> (2 * BITS), (word >> BITS) & MOST, word & MOST)
}
