//! Records what the life of tokens brings: renewals, parked connections, failed saves.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc::{self, Sender};

use acople_auth::{TokenEvent, TokenObserver};
use acople_core::{ConnectionKey, Error, ErrorKind};

use crate::{Action, Entry, Outcome, Trail};

/// An observer of tokens that records what happens to them.
///
/// A renewal waits for no log, so entries go through a queue, and the host runs what empties it:
///
/// ```
/// # use std::sync::Arc;
/// # use acople_audit::{AuditSink, TokenTrail, Trail};
/// # use acople_auth::TokenEvents;
/// # use acople_core::{Resources, Transport};
/// # fn resources(transport: Arc<dyn Transport>, log: Arc<dyn AuditSink>) -> Resources {
/// let (observer, writer) = TokenTrail::new(Trail::new(log, "service:sync"), 1_000);
/// tokio::spawn(writer);
/// Resources::new(transport).with_extension(TokenEvents(observer))
/// # }
/// ```
pub struct TokenTrail {
    trail: Trail,
    queue: Sender<Entry>,
}

impl TokenTrail {
    /// The observer, and the work that writes up to `capacity` entries that wait; it ends when the observer and all
    /// its copies are dropped and everything is written. What finds the queue full is counted as lost.
    pub fn new(trail: Trail, capacity: usize) -> (Arc<Self>, impl Future<Output = ()> + Send + use<>) {
        let (queue, mut waiting) = mpsc::channel(capacity.max(1));
        let writer = {
            let trail = trail.clone();
            async move {
                while let Some(entry) = waiting.recv().await {
                    trail.note(&entry).await;
                }
            }
        };
        (Arc::new(Self { trail, queue }), writer)
    }
}

impl TokenObserver for TokenTrail {
    fn event(&self, connection: &ConnectionKey, event: &TokenEvent<'_>) {
        let entry = |action| self.trail.entry(action, connection);
        let failed = |entry: Entry, error: &Error| entry.with_outcome(Outcome::Failed(error.kind()));
        let entry = match event {
            TokenEvent::Renewed { rotated, .. } => {
                entry(Action::RENEW).with_detail(if *rotated { "the refresh token is a new one" } else { "" })
            }
            TokenEvent::Parked { error } => failed(entry(Action::PARK), error),
            TokenEvent::Resumed => entry(Action::RESUME),
            TokenEvent::SaveFailed { error, .. } => failed(entry(Action::SAVE_FAILED), error),
            // The others are no acts: a store that works again, an end that draws near.
            _ => return,
        };
        if self.queue.try_send(entry).is_err() {
            self.trail.lose(1, &Error::new(ErrorKind::Transient, "the queue of the audit log is full"));
        }
    }
}

impl fmt::Debug for TokenTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenTrail").field("trail", &self.trail).finish_non_exhaustive()
    }
}
