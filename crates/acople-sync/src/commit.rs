//! The receipt without which no checkpoint can be committed.

use std::sync::Arc;

use acople_core::{CheckpointStore, Cursor, Error, ErrorKind, Generation, Outcome, Result, StateKey};

use crate::Totals;
use crate::state::State;

/// The count of one batch's records, until each is accounted for.
///
/// A record is accounted for when the destination has accepted it, when a durable quarantine holds it,
/// or when the mapping left it out on purpose.
#[derive(Debug, Default)]
pub struct Settlement {
    expected: u64,
    synced: u64,
    created: u64,
    refused: u64,
    skipped: u64,
    repeated: u64,
    deleted: u64,
    merged: u64,
}

impl Settlement {
    /// A batch of this many records, none accounted for.
    pub fn of(records: usize) -> Self {
        Self { expected: records as u64, ..Self::default() }
    }

    /// Counts one record if the destination's own outcome says that it is written, and says whether it
    /// does.
    pub fn written(&mut self, outcome: &Outcome) -> bool {
        let Outcome::Accepted { created, .. } = outcome else {
            return false;
        };
        self.synced += 1;
        self.created += u64::from(*created == Some(true));
        true
    }

    /// The quarantine durably holds so many records.
    pub fn quarantined(&mut self, records: usize) {
        self.refused += records as u64;
    }

    /// The mapping left out so many records on purpose.
    pub fn skipped(&mut self, records: usize) {
        self.skipped += records as u64;
    }

    /// So many records are what the run has dealt with already: the source gave them twice.
    pub fn repeated(&mut self, records: usize) {
        self.repeated += records as u64;
    }

    /// Of the records that were written so many were deletions. Counts, and accounts for nothing.
    pub fn deleted(&mut self, records: u64) {
        self.deleted += records;
    }

    /// Of the deletions so many were merges into another record. Counts, and accounts for nothing.
    pub fn merged(&mut self, records: u64) {
        self.merged += records;
    }

    /// The receipt.
    ///
    /// # Errors
    /// `Internal` when records are missing or counted twice: a checkpoint over them would lose them.
    pub fn receipt(self) -> Result<Receipt> {
        let settled = self.synced + self.refused + self.skipped + self.repeated;
        if settled != self.expected {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{settled} of {} records accounted for: no checkpoint", self.expected),
            ));
        }
        Ok(Receipt { settlement: self })
    }
}

/// Proof that every record of the batches before a checkpoint is accounted for. Only
/// [`Settlement::receipt`] makes one, and a commit uses it up.
#[derive(Debug)]
#[must_use = "a receipt is what a checkpoint is committed with"]
pub struct Receipt {
    settlement: Settlement,
}

impl Receipt {
    /// One receipt for what two prove.
    pub fn join(self, other: Receipt) -> Receipt {
        let (a, b) = (self.settlement, other.settlement);
        Receipt {
            settlement: Settlement {
                expected: a.expected + b.expected,
                synced: a.synced + b.synced,
                created: a.created + b.created,
                refused: a.refused + b.refused,
                skipped: a.skipped + b.skipped,
                repeated: a.repeated + b.repeated,
                deleted: a.deleted + b.deleted,
                merged: a.merged + b.merged,
            },
        }
    }

    /// Adds the records to the counts.
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        let settled = &self.settlement;
        totals.processed += settled.expected;
        totals.synced += settled.synced;
        totals.created += settled.created;
        totals.refused += settled.refused;
        totals.skipped += settled.skipped;
        totals.repeated += settled.repeated;
        totals.deleted += settled.deleted;
        totals.merged += settled.merged;
    }
}

/// The saved state of one stream, which only a [`Receipt`] can move forward.
///
/// For hosts that write a loop of their own; [`Job`](crate::Job) uses the same. What the types allow:
///
/// ```
/// use acople_core::{Cursor, Outcome, Result};
/// use acople_sync::{Checkpoints, Settlement};
///
/// async fn commit(checkpoints: &mut Checkpoints, cursor: Cursor, outcomes: &[Outcome]) -> Result<()> {
///     let mut settlement = Settlement::of(outcomes.len());
///     for outcome in outcomes {
///         settlement.written(outcome);
///     }
///     let receipt = settlement.receipt()?; // an error when a record is not accounted for
///     checkpoints.commit(cursor, receipt).await
/// }
/// ```
///
/// and what they forbid, a checkpoint without a receipt:
///
/// ```compile_fail,E0061
/// use acople_core::{Cursor, Result};
/// use acople_sync::Checkpoints;
///
/// async fn commit(checkpoints: &mut Checkpoints, cursor: Cursor) -> Result<()> {
///     checkpoints.commit(cursor).await
/// }
/// ```
///
/// a receipt that pays twice:
///
/// ```compile_fail,E0382
/// use acople_core::{Cursor, Result};
/// use acople_sync::{Checkpoints, Receipt};
///
/// async fn commit(checkpoints: &mut Checkpoints, cursor: Cursor, receipt: Receipt) -> Result<()> {
///     checkpoints.commit(cursor.clone(), receipt).await?;
///     checkpoints.commit(cursor, receipt).await
/// }
/// ```
///
/// and one that is made up:
///
/// ```compile_fail,E0451
/// use acople_sync::{Receipt, Settlement};
///
/// fn forge(settlement: Settlement) -> Receipt {
///     Receipt { settlement }
/// }
/// ```
#[derive(Debug)]
pub struct Checkpoints {
    store: Arc<dyn CheckpointStore>,
    key: StateKey,
    generation: Generation,
    pub(crate) state: State,
}

impl Checkpoints {
    pub(crate) fn new(
        store: Arc<dyn CheckpointStore>,
        key: StateKey,
        generation: Generation,
        state: State,
    ) -> Self {
        Self { store, key, generation, state }
    }

    /// The records so far, settled ones only.
    pub fn totals(&self) -> Totals {
        self.state.totals
    }

    /// Saves that everything up to `cursor` is dealt with, given the receipt of the batches since the
    /// last commit.
    ///
    /// # Errors
    /// `Fenced` when another process has taken over.
    pub async fn commit(&mut self, cursor: Cursor, receipt: Receipt) -> Result<()> {
        self.state.cursor = Some(cursor);
        self.save(receipt).await
    }

    /// Saves that the run is complete: the next one begins anew from the last cursor.
    ///
    /// # Errors
    /// `Fenced` when another process has taken over.
    pub async fn finish(&mut self, receipt: Receipt) -> Result<()> {
        self.state.complete = true;
        self.save(receipt).await
    }

    /// Saves what is settled, without moving the cursor.
    pub(crate) async fn save(&mut self, receipt: Receipt) -> Result<()> {
        receipt.add_to(&mut self.state.totals);
        let bytes = self.state.encode()?;
        self.generation = self.store.save(&self.key, self.generation, &bytes).await?;
        Ok(())
    }
}
