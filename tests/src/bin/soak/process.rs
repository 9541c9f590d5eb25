//! What Linux tells about this process, and a count of its panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One look at the process; zeros where the system does not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: u64,
}

impl Process {
    pub(crate) fn look() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { resident_kib: resident.unwrap_or(0), descriptors: descriptors as u64 }
    }
}

/// Counts every panic of the process from now on.
pub(crate) fn count_panics() -> Arc<AtomicU64> {
    let panics = Arc::new(AtomicU64::new(0));
    let counter = panics.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        counter.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    panics
}

/// The slope of the line that fits the samples best, in KiB a minute.
#[allow(clippy::cast_precision_loss)] // kibibytes of a process are far below 2^53
pub(crate) fn slope(samples: impl Iterator<Item = (Duration, u64)>) -> f64 {
    let points: Vec<(f64, f64)> = samples.map(|(at, kib)| (at.as_secs_f64() / 60.0, kib as f64)).collect();
    let count = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}
