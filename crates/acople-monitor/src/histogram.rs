//! Latencies in fixed memory.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of each doubling: 16 make a bucket a sixteenth of its lower bound wide.
const PER_DOUBLING: usize = 16;
/// log2 of [`PER_DOUBLING`].
const SHIFT: u32 = 4;
/// Doublings above 16 us, up to 2^32 us (71 minutes).
const DOUBLINGS: usize = 28;
const BUCKETS: usize = PER_DOUBLING * (1 + DOUBLINGS);
const LONGEST_US: u64 = (1 << 32) - 1;

/// A log-linear histogram of durations: 464 buckets, 3.7 KB, whatever is recorded.
///
/// Quantiles are off by at most 1/32 (3.2 %) of the true value, and below 16 us by at most half a microsecond.
/// Durations above 71 minutes count as 71 minutes. Recording takes two atomic additions: no lock, no allocation.
///
/// ```
/// use acople_monitor::Histogram;
/// use std::time::Duration;
///
/// let latencies = Histogram::default();
/// (1..=100).for_each(|ms| latencies.record(Duration::from_millis(ms)));
/// let p95 = latencies.quantile(0.95).unwrap().as_secs_f64();
/// assert!((p95 - 0.095).abs() <= 0.095 / 32.0);
/// ```
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, took: Duration) {
        let us = micros(took);
        // The index is in range by construction of `bucket`.
        if let Some(bucket) = self.buckets.get(bucket(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Their mean, exact to the microsecond; `None` when there are none.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_us.load(Ordering::Relaxed).checked_div(self.count()).map(Duration::from_micros)
    }

    /// The duration below which a share of them (0 to 1, by nearest rank) lies; `None` when there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let [quantile] = self.quantiles([share]);
        quantile
    }

    /// Several quantiles of one moment, their shares in rising order.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<Duration>; N] {
        let count = self.count();
        let mut buckets = self.buckets.iter().enumerate();
        let (mut below, mut reached) = (0, None);
        shares.map(|share| {
            #[allow(clippy::cast_precision_loss)] // a rank among more than 2^53 calls
            let rank = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and `count`
            let rank = rank as u64;
            while below < rank {
                let (index, bucket) = buckets.next()?;
                below += bucket.load(Ordering::Relaxed);
                reached = Some(middle(index));
            }
            reached
        })
    }

    /// Every counter: two histograms are added up counter by counter.
    pub(crate) fn counters(&self) -> impl Iterator<Item = &AtomicU64> {
        self.buckets.iter().chain([&self.sum_us])
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_us: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .finish_non_exhaustive()
    }
}

/// `Duration::as_micros` divides 128-bit numbers.
pub(crate) fn micros(took: Duration) -> u64 {
    took.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(took.subsec_micros())).min(LONGEST_US)
}

#[allow(clippy::cast_possible_truncation)] // below 464
fn bucket(us: u64) -> usize {
    if us < PER_DOUBLING as u64 {
        return us as usize;
    }
    let doubling = us.ilog2() - SHIFT;
    let step = (us >> doubling) as usize - PER_DOUBLING;
    PER_DOUBLING * (1 + doubling as usize) + step
}

fn middle(index: usize) -> Duration {
    let (doubling, step) = match index.checked_sub(PER_DOUBLING) {
        None => (0, index),
        Some(above) => (above / PER_DOUBLING, PER_DOUBLING + above % PER_DOUBLING),
    };
    let (low, width) = ((step as u64) << doubling, 1_u64 << doubling);
    Duration::from_nanos(low * 1000 + width * 500)
}
