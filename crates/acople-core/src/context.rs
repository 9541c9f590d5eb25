//! What a call carries besides its own arguments.

use std::sync::Arc;
use std::time::Instant;

use crate::{CancelToken, Error, ErrorKind, Extensions, Meter, Result, Strategy};

/// How urgent a call is when a limit is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Priority {
    /// Bulk work that can wait.
    Batch,
    /// Somebody is waiting for the answer.
    #[default]
    Interactive,
}

/// Deadline, tenant, idempotency key, priority and cancellation of one call.
///
/// Cheap to clone. `Context::default()` has no tenant and no deadline of its own: each call is then
/// bounded by the client's default deadline.
///
/// ```
/// use acople_core::{Context, Priority};
/// let cx = Context::new().with_tenant("customer-17").with_priority(Priority::Batch);
/// assert_eq!(cx.tenant(), Some("customer-17"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Context {
    tenant: Option<Arc<str>>,
    idempotency_key: Option<Arc<str>>,
    deadline: Option<Instant>,
    priority: Priority,
    strategy: Option<Strategy>,
    cancel: Option<CancelToken>,
    meter: Arc<Meter>,
    extensions: Extensions,
}

impl Context {
    /// A context without tenant, key and deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the host's customer on whose behalf the call is made.
    pub fn with_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the key under which the vendor recognises a repeated write.
    pub fn with_idempotency_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets the instant after which nobody waits any longer. An earlier deadline stays.
    ///
    /// The instant is of tokio's clock (`tokio::time::Instant::into_std`); with the http crate at
    /// hand, its extension `within(duration)` is shorter to write.
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |d| d.min(deadline)));
        self
    }

    /// Sets the priority.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets what the call does when a limit says "not now"; without it, each bucket has a default.
    pub fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the signal that ends the call.
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Counts the work done on behalf of this context in `meter`.
    pub fn with_meter(mut self, meter: Arc<Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// Adds a value for a layer further down, in place of the one of its type.
    pub fn with_extension<T: std::any::Any + Send + Sync>(mut self, value: T) -> Self {
        self.extensions = self.extensions.with(value);
        self
    }

    /// The host's customer.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The key of a write that may be repeated.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The instant after which nobody waits any longer.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How urgent the call is.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// What the call does when a limit says "not now", if it is not the bucket's default.
    pub fn strategy(&self) -> Option<Strategy> {
        self.strategy
    }

    /// The signal that ends the call; `None`: it ends by its deadline alone, or by being dropped.
    pub fn cancel(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }

    /// Waits until the caller gives up: for ever without a signal.
    pub async fn cancelled(&self) {
        match &self.cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the caller gave up.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(CancelToken::is_cancelled)
    }

    /// Where work is counted.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A value that a layer further up added.
    pub fn extension<T: std::any::Any + Send + Sync>(&self) -> Option<&T> {
        self.extensions.get()
    }

    /// An error of kind [`ErrorKind::Cancelled`] when the caller gave up.
    pub fn ensure_live(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the caller gave up"));
        }
        Ok(())
    }
}
