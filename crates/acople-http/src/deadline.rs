//! Deadlines on tokio's clock.

use std::time::Duration;

use acople_core::Context;
use tokio::time::Instant;

/// Gives a [`Context`] a deadline counted from now, on tokio's clock.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use acople_core::Context;
/// use acople_http::Within;
/// use std::time::Duration;
///
/// let cx = Context::new().within(Duration::from_secs(10));
/// assert!(cx.deadline().is_some());
/// # });
/// ```
pub trait Within {
    /// Nobody waits longer than `duration` from now. An earlier deadline stays.
    fn within(self, duration: Duration) -> Self;
}

impl Within for Context {
    fn within(self, duration: Duration) -> Self {
        match Instant::now().checked_add(duration) {
            Some(deadline) => self.with_deadline(deadline.into_std()),
            None => self,
        }
    }
}

/// For a call whose limits are beyond what the clock can tell.
const FAR_AWAY: Duration = Duration::from_secs(86_400 * 365);

/// When nobody waits any longer for a call that begins at `now` and may take `total`.
pub(crate) fn deadline(now: Instant, total: Duration, cx: &Context) -> Instant {
    let own = now.checked_add(total);
    let theirs = cx.deadline().map(Instant::from_std);
    own.into_iter().chain(theirs).min().unwrap_or(now + FAR_AWAY)
}
