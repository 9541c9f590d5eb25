//! What is to run, when, and for whom.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Schedule, Task};

/// What becomes of runs that were missed: because the run before took too long, no slot was free, or no process was
/// there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatchUp {
    /// Nothing: the next run is the next that the schedule names.
    Skip,
    /// One run at once for all of them. Right for syncs, which read whatever has changed.
    #[default]
    Once,
    /// A run for each, the oldest first, at most so many; older ones are dropped and told.
    Each(u32),
}

/// What is to run, when, and for whom.
#[derive(Clone)]
pub struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) tenant: Arc<str>,
    pub(crate) schedule: Schedule,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) priority: u8,
    pub(crate) jitter: Duration,
    pub(crate) catch_up: CatchUp,
    pub(crate) limit: Duration,
    pub(crate) at_once: bool,
}

impl Entry {
    /// A task with its schedule. The name is unique within the tenant.
    pub fn new(name: impl Into<Arc<str>>, schedule: Schedule, task: Arc<dyn Task>) -> Self {
        Self {
            name: name.into(),
            tenant: "".into(),
            schedule,
            task,
            priority: 0,
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
            limit: Duration::from_secs(12 * 3600),
            at_once: false,
        }
    }

    /// Names the host's customer. Tenants share slots fairly.
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Which of one tenant's runs goes first when slots are few: higher goes first. A step is worth a wait of the
    /// scheduler's [`patience`](crate::SchedulerBuilder::patience), so that nothing waits for ever. 0 unless set.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Each run begins up to so much later than the schedule says, so that not everything begins on the hour. The
    /// delay of a run is the same in each process. None unless set.
    pub fn jitter(mut self, bound: Duration) -> Self {
        self.jitter = bound;
        self
    }

    /// What becomes of missed runs. One for all unless set.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// The deadline of a run's context, from its start. 12 hours unless set. Work that does not heed its deadline is
    /// dropped a minute later.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs at once when it is added and has never run before, rather than at the first scheduled time.
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}
