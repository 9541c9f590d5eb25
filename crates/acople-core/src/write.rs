//! Writing: what is to be written, and what became of each record.

use serde::Serialize;

use crate::json::FieldPath;
use crate::{Batch, Error, ErrorKind, Result, WriteMode};

/// What to write.
///
/// Records carry the vendor's own field names. A batch may be larger than the vendor's calls: the
/// connector splits it.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    mode: WriteMode,
    key: Option<FieldPath>,
    batch: Batch,
}

impl WriteRequest {
    /// A write of a batch to the stream that the batch names.
    pub fn new(mode: WriteMode, batch: Batch) -> Self {
        Self { mode, key: None, batch }
    }

    /// Names the field by which an upsert, update or delete finds its record. Without it the
    /// stream's own key is used.
    pub fn with_key(mut self, key: Option<FieldPath>) -> Self {
        self.key = key;
        self
    }

    /// The mode.
    pub fn mode(&self) -> WriteMode {
        self.mode
    }

    /// The field that finds the record.
    pub fn key(&self) -> Option<&FieldPath> {
        self.key.as_ref()
    }

    /// The records.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The stream.
    pub fn stream(&self) -> &str {
        self.batch.stream()
    }
}

/// What became of one record.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Written.
    Accepted {
        /// The vendor's id of the record.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Whether it is new; `None` when the vendor does not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        created: Option<bool>,
    },
    /// Refused: nothing was written for this record.
    Refused {
        /// Why.
        error: Error,
    },
    /// Taken by an asynchronous job that has not finished.
    Pending {
        /// The vendor's id of the job.
        job: String,
    },
    /// Perhaps written: the answer was lost.
    Unknown {
        /// What happened.
        error: Error,
    },
}

impl Outcome {
    /// Written, with the vendor's id.
    pub fn accepted(id: impl Into<String>, created: Option<bool>) -> Self {
        Self::Accepted { id: Some(id.into()), created }
    }

    /// Refused, for a reason.
    pub fn refused(error: Error) -> Self {
        Self::Refused { error }
    }

    /// What a failed call means for a record that was in it: unknown when the call may have taken
    /// effect, refused otherwise.
    pub fn from_call_error(error: &Error) -> Self {
        if error.kind() == ErrorKind::Ambiguous || !error.outcome_known() {
            Self::Unknown { error: error.copy() }
        } else {
            Self::Refused { error: error.copy() }
        }
    }

    /// Whether the record was written.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }

    /// The error of a refused or unknown record.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Refused { error } | Self::Unknown { error } => Some(error),
            Self::Accepted { .. } | Self::Pending { .. } => None,
        }
    }
}

/// One outcome for every record of a write, in the order of the batch.
#[derive(Debug)]
pub struct WriteReport {
    outcomes: Vec<Outcome>,
}

impl WriteReport {
    /// The outcomes of a batch of `records`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when there is not exactly one outcome a record: a connector that
    /// loses count must not pass for one that wrote everything.
    pub fn new(records: usize, outcomes: Vec<Outcome>) -> Result<Self> {
        if outcomes.len() != records {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{} outcomes for {records} records", outcomes.len()),
            ));
        }
        Ok(Self { outcomes })
    }

    /// The outcomes, in the order of the batch.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The outcomes, in the order of the batch.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }

    /// How many records were written.
    pub fn accepted(&self) -> usize {
        self.outcomes.iter().filter(|o| o.is_accepted()).count()
    }

    /// Whether every record was written.
    pub fn is_complete(&self) -> bool {
        self.accepted() == self.outcomes.len()
    }
}
