//! What a host sets for the request path of all its connectors.

use crate::{BodyLimits, RetryPolicy, SharedBreakers, Timeouts};

/// Settings of the host, which win over those of a connector. It travels to connectors in
/// [`Resources::with_extension`](acople_core::Resources::with_extension).
///
/// ```
/// use acople_core::Resources;
/// use acople_http::{RetryPolicy, Settings, Timeouts};
/// use std::time::Duration;
///
/// # fn example(transport: std::sync::Arc<dyn acople_core::Transport>) {
/// let settings = Settings::default()
///     .with_timeouts(Timeouts::new(Duration::from_secs(10), Duration::from_secs(20)))
///     .with_retry(RetryPolicy::default().with_attempts(5));
/// let resources = Resources::new(transport).with_extension(settings);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(crate) timeouts: Option<Timeouts>,
    pub(crate) body: Option<BodyLimits>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) breakers: Option<SharedBreakers>,
}

impl Settings {
    /// Sets how long calls may take.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets the limits of answers' bodies.
    pub fn with_body_limits(mut self, body: BodyLimits) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets when calls are tried again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Shares breakers among the connections of one group of tenants: whoever finds a vendor's host down spares
    /// the others the finding out.
    pub fn with_breakers(mut self, breakers: SharedBreakers) -> Self {
        self.breakers = Some(breakers);
        self
    }

    /// Lets each connection find out for itself.
    pub fn without_shared_breakers(mut self) -> Self {
        self.breakers = None;
        self
    }
}
