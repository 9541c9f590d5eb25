//! A signal that work is no longer wanted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::{Event, listener};

/// Tells any number of tasks to stop. Cheap to clone; all clones are one signal.
///
/// Dropping a future stops it as well, at any await. The token is for the cases where work should
/// end at its next good place instead: a sync that is cancelled commits what it has finished.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Signal>);

#[derive(Default)]
struct Signal {
    cancelled: AtomicBool,
    event: Event,
}

impl CancelToken {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all holders to stop. Calling it again changes nothing.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks to stop.
    pub async fn cancelled(&self) {
        while !self.is_cancelled() {
            listener!(self.0.event => listener);
            // Asked again after listening began, so that a signal in between is not missed.
            if self.is_cancelled() {
                return;
            }
            listener.await;
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}
