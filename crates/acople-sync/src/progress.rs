//! What a run tells while it works.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SchemaChange;

/// Counts of records. Every record that was read is in exactly one of `synced`, `refused`, `skipped` and `repeated`
/// once its batch is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// Read from the source.
    pub processed: u64,
    /// Accepted by the destination.
    pub synced: u64,
    /// Of these, new at the destination, as far as it says so.
    pub created: u64,
    /// Set aside in quarantine.
    pub refused: u64,
    /// Left out by the mapping's condition, or deletions of what never came here.
    pub skipped: u64,
    /// Given a second time by the source in the same run, unchanged, and not written again.
    #[serde(default)]
    pub repeated: u64,
    /// Of the synced ones, deletions.
    #[serde(default)]
    pub deleted: u64,
    /// Of these, records that were merged into another one.
    #[serde(default)]
    pub merged: u64,
}

/// What a run tells while it works.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// The run begins, or goes on where an earlier process had stopped.
    Started {
        /// The run's id.
        run: String,
        /// Whether it goes on.
        resumed: bool,
    },
    /// A batch is settled.
    Advanced {
        /// The counts so far.
        totals: Totals,
    },
    /// The state is saved: a crash from here on loses nothing and repeats at most one batch.
    Checkpointed {
        /// The counts that the checkpoint covers.
        totals: Totals,
    },
    /// Something is tried again after a wait.
    Retrying {
        /// Why.
        reason: String,
        /// How many records.
        records: usize,
    },
    /// The shape of the source's records is another one than before.
    SchemaChanged {
        /// The version of the shape as the job knows it now.
        version: u32,
        /// What is new.
        changes: Vec<SchemaChange>,
    },
    /// Something the host should know.
    Warning {
        /// In words.
        text: String,
    },
}

/// Watches a run. Called between batches: return quickly.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, progress: &Progress);
}

/// Watches nothing.
impl Observer for () {
    fn on(&self, _: &Progress) {}
}

impl<F: Fn(&Progress) + Send + Sync> Observer for F {
    fn on(&self, progress: &Progress) {
        self(progress);
    }
}

impl fmt::Debug for dyn Observer + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
