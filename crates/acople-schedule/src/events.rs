//! What a host is told about the runs of its entries.

use std::fmt;
use std::time::{Duration, SystemTime};

use acople_core::Error;

/// Something that happened to an entry.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScheduleEvent<'a> {
    /// A run begins.
    Started {
        /// When it should have begun, its jitter included.
        due: SystemTime,
        /// How long it waited for a slot.
        waited: Duration,
    },
    /// A run ended well.
    Finished {
        /// How long it took.
        took: Duration,
        /// When the next one is due.
        next: Option<SystemTime>,
    },
    /// A run failed. A task that panicked or ran over its time limit has failed, too.
    Failed {
        /// Why.
        error: &'a Error,
        /// How long it took.
        took: Duration,
        /// When the next one is due.
        next: Option<SystemTime>,
    },
    /// Runs that were missed and will not be made up for.
    Missed {
        /// How many; 1,000 stands for more than that as well.
        runs: u32,
    },
    /// When the entry ran last could not be stored: after a restart the run may be made again.
    NotRemembered {
        /// What the store said.
        error: &'a Error,
    },
}

/// Is told what happens to entries. Implementations neither block nor panic: the scheduler waits for them.
pub trait ScheduleObserver: Send + Sync + fmt::Debug + 'static {
    /// Something happened to the entry `name` of `tenant`.
    fn event(&self, tenant: &str, name: &str, event: &ScheduleEvent<'_>);
}
