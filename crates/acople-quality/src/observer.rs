//! What a host hears of the quality of its runs.

use crate::{Drift, Score, Warning};

/// Hears of scores, rejections and schema drift while a read goes on. Called between batches: it must not block.
pub trait QualityObserver: Send + Sync + std::fmt::Debug + 'static {
    /// Something happened.
    fn on(&self, event: &QualityEvent<'_>);
}

/// What happened to the quality of a stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum QualityEvent<'a> {
    /// The records before the first write were assessed; `whole` says whether they are all there are.
    Assessed {
        /// The stream.
        stream: &'a str,
        /// Their score.
        score: &'a Score,
        /// Whether the read came to its end.
        whole: bool,
    },
    /// A batch was checked.
    Batch {
        /// The stream.
        stream: &'a str,
        /// The score of the batch.
        score: &'a Score,
        /// The rules of severity warning that its records failed.
        warnings: &'a [Warning],
    },
    /// The run was rejected: the read ends with this error.
    Rejected {
        /// The stream.
        stream: &'a str,
        /// The score of the run so far.
        score: &'a Score,
        /// Why.
        error: &'a acople_core::Error,
    },
    /// The read came to its end.
    Finished {
        /// The stream.
        stream: &'a str,
        /// The score of the run.
        score: &'a Score,
        /// The rules of severity warning that records failed.
        warnings: &'a [Warning],
    },
    /// The data or its description is not as it was last agreed: told once a run for each field and kind.
    Drift {
        /// The stream.
        stream: &'a str,
        /// What changed.
        drift: &'a Drift,
    },
    /// A new version of the schema was stored.
    Agreed {
        /// The stream.
        stream: &'a str,
        /// The version, from 1.
        version: u32,
    },
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl QualityObserver for Unobserved {
    fn on(&self, _: &QualityEvent<'_>) {}
}
