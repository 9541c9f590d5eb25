//! The trait that turns records of one system into records of another.

use std::fmt;

use crate::json::FieldPath;
use crate::{Batch, Error, Result};

/// Turns records of one system into records of another: whole batches, synchronous, pure.
pub trait Mapper: Send + Sync + fmt::Debug + 'static {
    /// Maps a batch. Records that cannot be mapped are set aside with their reason; one bad record
    /// never fails the batch.
    fn map(&self, batch: &Batch) -> Result<Mapped>;

    /// The source fields that the mapper reads, so that a read can ask the vendor for just those.
    /// `None`: it may read any.
    fn fields(&self) -> Option<Vec<FieldPath>> {
        None
    }
}

/// What came of mapping a batch: every record is in exactly one of the two lists, or was dropped by a
/// condition and is counted.
#[derive(Debug)]
pub struct Mapped {
    /// The records that passed.
    pub batch: Batch,
    /// For each record of `batch`, the index of the record that it came from.
    pub origins: Vec<usize>,
    /// The records that did not, with reasons.
    pub refused: Vec<Refusal>,
    /// How many records a condition left out on purpose.
    pub skipped: usize,
}

impl Mapped {
    /// Everything passed unchanged.
    pub fn unchanged(batch: &Batch) -> Self {
        Self { batch: batch.clone(), origins: (0..batch.len()).collect(), refused: Vec::new(), skipped: 0 }
    }
}

/// A record that was set aside.
#[derive(Debug)]
pub struct Refusal {
    /// Its index in the batch that was mapped.
    pub index: usize,
    /// Why; the error's fields name the source fields.
    pub error: Error,
}
