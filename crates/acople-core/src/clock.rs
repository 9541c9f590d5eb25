//! Wall time, behind a trait that a host or a test may replace.

use std::fmt;
use std::time::SystemTime;

/// Tells the wall time: for signatures, stored expiries and HTTP dates.
///
/// Waits and deadlines do not use it: they run on tokio's monotonic clock.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that asks
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
