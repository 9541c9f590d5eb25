//! What a run did.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Error, ReadMode, Result};
use serde::Serialize;

use crate::{Deletions, PauseCause, SchemaChange, Totals};

/// How a run ended.
#[derive(Debug, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// Everything there was to read is dealt with.
    Complete,
    /// The caller asked to stop; the next run goes on from the last checkpoint.
    Cancelled,
    /// It cannot go on for now, through no fault of the job: a side is down, a limit or quota is used up, or
    /// the account has to be connected again. What is settled is committed as far as the source's checkpoints
    /// allow, and the next run goes on from there.
    Paused {
        /// What it waits for.
        cause: PauseCause,
        /// When to go on; `None` when that depends on somebody. Serialised as seconds since 1970.
        #[serde(serialize_with = "unix_seconds", skip_serializing_if = "Option::is_none")]
        until: Option<SystemTime>,
        /// What happened. Of a spent quota it names the bucket, or says it in the vendor's words.
        error: Error,
    },
    /// An error that concerns more than single records and does not mend itself. The next run goes on from the
    /// last checkpoint; the error says what to do before.
    Stopped {
        /// What happened.
        error: Error,
    },
}

/// What one run did. Counters cover the whole run, the part before a crash or pause included; duration,
/// bytes and requests cover this process's part.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The sync's name.
    pub sync: String,
    /// The run's id: the same when a run is resumed.
    pub run: String,
    /// What was read.
    pub mode: ReadMode,
    /// Whether the run went on where an earlier process had stopped.
    pub resumed: bool,
    /// How it ended.
    #[serde(flatten)]
    pub end: End,
    /// The records.
    #[serde(flatten)]
    pub totals: Totals,
    /// How many refused records the job tolerates.
    pub tolerated: u64,
    /// How many records the vendor said there are, if it did. It may be wrong: nothing depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// What was found to be gone at the source by a complete listing, if the run got that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions: Option<Deletions>,
    /// What is new about the shape of the source's records, at most 100 of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_changes: Vec<SchemaChange>,
    /// What the host should know, at most 100 of them.
    pub warnings: Vec<String>,
    /// Requests that went to the wire.
    pub requests: u64,
    /// Of these, repeated ones.
    pub retries: u64,
    /// Bytes of answers received.
    pub bytes: u64,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
}

impl Report {
    /// Whether everything was dealt with and no more records were refused than tolerated.
    pub fn is_success(&self) -> bool {
        matches!(self.end, End::Complete) && self.totals.refused <= self.tolerated
    }

    /// The error that stopped or paused the run, if one did.
    pub fn error(&self) -> Option<&Error> {
        match &self.end {
            End::Stopped { error } | End::Paused { error, .. } => Some(error),
            _ => None,
        }
    }

    /// When a paused run should be gone on with; `None` for one that is not paused, and for one that waits for
    /// somebody rather than for a time.
    pub fn resume_at(&self) -> Option<SystemTime> {
        match self.end {
            End::Paused { until, .. } => until,
            _ => None,
        }
    }

    /// The report, or the error that stopped or paused the run.
    pub fn into_result(self) -> Result<Self> {
        match self.end {
            End::Stopped { error } | End::Paused { error, .. } => Err(error),
            _ => Ok(self),
        }
    }
}

#[allow(clippy::ref_option)] // serde gives it so
fn unix_seconds<S: serde::Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()).serialize(serializer)
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
