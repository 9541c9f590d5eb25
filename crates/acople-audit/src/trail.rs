//! Recording on behalf of an actor.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use acople_core::{Clock, ConnectionKey, Error, Result, SystemClock};

use crate::{Action, Entry};

/// Where records go: a [`FileLog`](crate::FileLog), or a place of the host's own, which may chain them with
/// [`Chain`](crate::Chain).
#[async_trait]
pub trait AuditSink: Send + Sync + fmt::Debug + 'static {
    /// Appends an entry, and returns when it would survive a crash of the machine.
    ///
    /// # Errors
    /// Whatever kept it from being written: nothing is there then.
    async fn append(&self, entry: &Entry) -> Result<()>;
}

/// Records what an actor does. Cheap to clone; [`by`](Self::by) gives one for another actor.
///
/// What gives a secret away is recorded first, and does not happen when that fails. What has taken effect already
/// (tokens saved, a secret removed) is recorded afterwards: an error there would only make the caller repeat it. Such
/// records are counted while they fail, and their number is recorded as soon as the sink works again.
#[derive(Clone)]
pub struct Trail {
    sink: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    actor: Arc<str>,
    /// Records that could not be written and that no record speaks of yet.
    lost: Arc<AtomicU64>,
}

impl Trail {
    /// A trail of an actor, as the host calls it: `service:sync`, `user:alice`.
    pub fn new(sink: Arc<dyn AuditSink>, actor: &str) -> Self {
        Self { sink, clock: Arc::new(SystemClock), actor: actor.into(), lost: Arc::default() }
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same trail for another actor.
    pub fn by(&self, actor: &str) -> Self {
        Self { actor: actor.into(), ..self.clone() }
    }

    /// An entry of this actor, now.
    pub fn entry(&self, action: Action, connection: &ConnectionKey) -> Entry {
        Entry::new(self.clock.now(), &self.actor, action, connection)
    }

    /// Records what is about to happen, or must not happen unrecorded.
    ///
    /// # Errors
    /// Those of the sink: do not go on then.
    pub async fn record(&self, entry: &Entry) -> Result<()> {
        self.tell_losses().await?;
        self.sink.append(entry).await.map_err(|e| e.with_operation("write the audit log"))
    }

    /// Records what has happened already. A failure is logged and counted.
    pub async fn note(&self, entry: &Entry) {
        if let Err(error) = self.record(entry).await {
            self.lose(1, &error);
        }
    }

    /// How many records could not be written, and no record speaks of yet. A host does well to alert on it.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn lose(&self, records: u64, error: &Error) {
        self.lost.fetch_add(records, Ordering::AcqRel);
        tracing::error!(records, %error, "audit records are lost");
    }

    async fn tell_losses(&self) -> Result<()> {
        let lost = self.lost.swap(0, Ordering::AcqRel);
        if lost == 0 {
            return Ok(());
        }
        let entry = self.entry(Action::LOSE_RECORDS, &ConnectionKey::new("", ""));
        let told =
            self.sink.append(&entry.with_detail(&format!("{lost} records could not be written"))).await;
        if told.is_err() {
            self.lost.fetch_add(lost, Ordering::AcqRel);
        }
        told
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("sink", &self.sink).field("actor", &self.actor).finish_non_exhaustive()
    }
}
