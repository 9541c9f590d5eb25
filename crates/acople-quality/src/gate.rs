//! From which score on a run is good enough to be written.

use std::path::PathBuf;

use acople_core::{Error, ErrorKind, Result};

use crate::{Part, Score};

/// Bytes of records that an assessment holds in memory.
const MEMORY: usize = 8 << 20;

/// Records of a sample.
const SAMPLE: u64 = 10_000;

/// Records before a running score says anything.
const ENOUGH: u64 = 100;

/// When a run is rejected.
///
/// | what | promise |
/// | --- | --- |
/// | [`Gate::sample`], the default | nothing is written of a run whose first records score below the limit; a run that gets worse later is stopped before the batch with which its score falls below, and what was written before that stays |
/// | [`Gate::whole`] | nothing at all is written of a run that scores below the limit; nothing is written before everything is read either, and it has to fit the given bytes |
/// | [`Gate::running`] | the run is stopped before the batch with which its score falls below |
/// | [`Gate::open`] | scores are told, and nothing is rejected |
///
/// A run that goes on after a pause is assessed from there: what an earlier process saw does not count.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) assess: Assess,
    pub(crate) running: bool,
    min_score: f64,
    min_accepted: Option<f64>,
    min_records: u64,
    pub(crate) memory: usize,
    pub(crate) spill: Option<Spill>,
}

/// What is read before the first record goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assess {
    Nothing,
    /// So many records, or as many as there is room for.
    Sample(u64),
    Whole,
}

/// Where what does not fit memory is kept meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Spill {
    pub(crate) folder: PathBuf,
    pub(crate) bytes: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self::sample(SAMPLE)
    }
}

impl Gate {
    /// Assesses the first records: so many, or as many as the memory and the spill file hold; then goes on with the
    /// running score.
    pub fn sample(records: u64) -> Self {
        Self {
            assess: Assess::Sample(records),
            running: true,
            min_score: 0.8,
            min_accepted: None,
            min_records: ENOUGH,
            memory: MEMORY,
            spill: None,
        }
    }

    /// Assesses the whole run before the first record goes on. What does not fit memory goes to a file in
    /// `folder` without a name, which is gone with the process: up to `bytes`, unencrypted.
    pub fn whole(folder: impl Into<PathBuf>, bytes: u64) -> Self {
        Self { assess: Assess::Whole, ..Self::sample(0) }.with_spill(folder, bytes)
    }

    /// Assesses nothing beforehand and stops at the batch with which the running score falls below.
    pub fn running() -> Self {
        Self { assess: Assess::Nothing, ..Self::sample(0) }
    }

    /// Rejects nothing.
    pub fn open() -> Self {
        Self { running: false, min_score: 0.0, ..Self::running() }
    }

    /// Sets the least score, 0 to 1; 0.8 unless told otherwise.
    pub fn with_min_score(mut self, score: f64) -> Self {
        self.min_score = score.clamp(0.0, 1.0);
        self
    }

    /// Sets the least share of records that are not refused, 0 to 1; none unless told otherwise.
    ///
    /// The score counts checks: a record that fails one of twenty brings it to 0.95 and is refused all the same.
    pub fn with_min_accepted(mut self, share: f64) -> Self {
        self.min_accepted = Some(share.clamp(0.0, 1.0));
        self
    }

    /// Sets how many records a running score needs before it can stop a run; 100 unless told otherwise.
    pub fn with_min_records(mut self, records: u64) -> Self {
        self.min_records = records;
        self
    }

    /// Sets the bytes of pages that an assessment holds in memory; 8 MiB unless told otherwise. One page more may
    /// be held.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Lets an assessment go on in a file without a name in `folder` once memory is full. The file is written on
    /// tokio's blocking threads: the read has to run in a tokio runtime.
    pub fn with_spill(mut self, folder: impl Into<PathBuf>, bytes: u64) -> Self {
        self.spill = Some(Spill { folder: folder.into(), bytes });
        self
    }

    /// What the gate says of a score.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] with the code `quality.gate` when the run is rejected.
    pub fn judge(&self, score: &Score) -> Result<()> {
        let low = |value: f64, least: f64| value < least;
        if low(score.value(), self.min_score) {
            return Err(rejected(score, "score", score.value(), self.min_score));
        }
        match self.min_accepted {
            Some(least) if low(score.accepted(), least) => {
                Err(rejected(score, "share of accepted records", score.accepted(), least))
            }
            _ => Ok(()),
        }
    }

    /// As [`judge`](Self::judge), once there are enough records to say anything.
    pub(crate) fn judge_running(&self, score: &Score) -> Result<()> {
        if !self.running || score.records() < self.min_records { Ok(()) } else { self.judge(score) }
    }
}

fn rejected(score: &Score, what: &str, value: f64, least: f64) -> Error {
    let parts = Part::ALL.map(|part| score.part(part));
    let [completeness, validity, uniqueness, consistency] = parts;
    Error::new(
        ErrorKind::Schema,
        format!(
            "the run is rejected: its {what} of {value:.3} is below {least:.3} after {} records \
             (completeness {completeness:.3}, validity {validity:.3}, uniqueness {uniqueness:.3}, \
             consistency {consistency:.3})",
            score.records()
        ),
    )
    .with_code("quality.gate")
}
