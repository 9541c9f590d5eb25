//! When a breaker opens, and how it closes again.

use std::time::Duration;

use serde::Deserialize;

/// When a breaker opens and how it closes again. In a config file times are seconds.
///
/// ```
/// use std::time::Duration;
/// use acople_http::BreakerConfig;
///
/// let config: BreakerConfig = serde_json::from_str(r#"{"open_for": 27, "consecutive": 3}"#).unwrap();
/// let same = BreakerConfig::default().with_open_for(Duration::from_secs(27)).with_consecutive(3);
/// assert_eq!(config, same);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// How many of the last calls are looked at; 100.
    pub window: usize,
    /// Fewer calls than this never open it; 20.
    pub minimum: usize,
    /// The share of failed calls (0 to 1) that opens it; 0.5.
    pub threshold: f64,
    /// So many failures in a row open it as well, however many calls there were; off unless set.
    pub consecutive: Option<usize>,
    /// Calls older than this are no longer looked at: yesterday's outage is no reason. 10 min.
    #[serde(deserialize_with = "crate::seconds::deserialize")]
    pub max_age: Duration,
    /// How long it stays open; 60 s.
    #[serde(deserialize_with = "crate::seconds::deserialize")]
    pub open_for: Duration,
    /// How many calls may be on their way at once while it is half open, at least one; 10.
    pub probes: usize,
    /// Whether it refuses calls; one that does not counts and reports as if it did.
    pub enforce: bool,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: 100,
            minimum: 20,
            threshold: 0.5,
            consecutive: None,
            max_age: Duration::from_secs(600),
            open_for: Duration::from_secs(60),
            probes: 10,
            enforce: true,
        }
    }
}

impl BreakerConfig {
    /// Counts and reports as the default does, and never refuses a call.
    pub fn metrics_only() -> Self {
        Self { enforce: false, ..Self::default() }
    }

    /// Sets how many of the last calls are looked at.
    pub fn with_window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// Sets how many calls there must be.
    pub fn with_minimum(mut self, minimum: usize) -> Self {
        self.minimum = minimum;
        self
    }

    /// Sets the share of failed calls (0 to 1) that opens it.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Lets so many failures in a row open it as well.
    pub fn with_consecutive(mut self, failures: usize) -> Self {
        self.consecutive = Some(failures);
        self
    }

    /// Sets the age at which calls are forgotten.
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets how long it stays open.
    pub fn with_open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// Sets how many calls may be on their way at once while it is half open.
    pub fn with_probes(mut self, probes: usize) -> Self {
        self.probes = probes;
        self
    }

    /// Sets whether it refuses calls.
    pub fn with_enforce(mut self, enforce: bool) -> Self {
        self.enforce = enforce;
        self
    }
}
