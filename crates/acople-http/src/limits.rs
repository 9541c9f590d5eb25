//! What a vendor's limits are, as data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acople_core::Claim;

/// The buckets of a vendor's unit, and which classes of call spend from which.
///
/// ```
/// use acople_http::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::new()
///     .rate("app", 190, Duration::from_secs(10))
///     .rate("search", 5, Duration::from_secs(1))
///     .slots("app", 6)
///     .class("default", &["app"])
///     .class("search", &["app", "search"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub(crate) buckets: BTreeMap<&'static str, Plan>,
    classes: BTreeMap<&'static str, Arc<[Claim]>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rate: Option<(u32, Duration)>,
    pub(crate) slots: Option<usize>,
}

impl Limits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `units` in any window of `per`: a tenth of them at once, the others spread evenly.
    pub fn rate(mut self, bucket: &'static str, units: u32, per: Duration) -> Self {
        self.buckets.entry(bucket).or_default().rate = Some((units.max(1), per));
        self
    }

    /// At most this many calls in flight.
    pub fn slots(mut self, bucket: &'static str, calls: usize) -> Self {
        self.buckets.entry(bucket).or_default().slots = Some(calls.max(1));
        self
    }

    /// Calls of this class spend from these buckets. A class that is not named spends as `default`.
    pub fn class(mut self, class: &'static str, buckets: &[&'static str]) -> Self {
        for bucket in buckets {
            self.buckets.entry(bucket).or_default();
        }
        self.classes.insert(class, buckets.iter().map(|bucket| Claim::one(*bucket)).collect());
        self
    }

    /// The claims of a class of call.
    pub(crate) fn claims(&self, class: &str) -> Arc<[Claim]> {
        self.classes.get(class).or_else(|| self.classes.get("default")).cloned().unwrap_or_default()
    }
}
