//! Choosing among quarantined records.

use std::time::SystemTime;

use acople_core::{ErrorKind, Quarantined, Stage};

/// Which quarantined records are meant: those for which everything that is set is true.
///
/// ```
/// use acople_core::Stage;
/// use acople_sync::QuarantineFilter;
///
/// let filter = QuarantineFilter { stage: Some(Stage::Write), code: Some("INVALID_EMAIL".into()), ..Default::default() };
/// // job.replay(&cx, &(), |record| filter.matches(record)).await?;
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Where they were refused.
    pub stage: Option<Stage>,
    /// The kind of the reason.
    pub kind: Option<ErrorKind>,
    /// The vendor's code of the reason.
    pub code: Option<String>,
    /// The source stream.
    pub stream: Option<String>,
    /// Set aside at this time or later.
    pub since: Option<SystemTime>,
    /// Set aside before this time.
    pub before: Option<SystemTime>,
    /// Tried at most so often.
    pub max_attempts: Option<u32>,
}

impl QuarantineFilter {
    /// Whether a record is meant.
    pub fn matches(&self, record: &Quarantined) -> bool {
        self.stage.is_none_or(|stage| stage == record.stage)
            && self.kind.is_none_or(|kind| kind == record.error.kind())
            && self.code.as_deref().is_none_or(|code| record.error.code() == Some(code))
            && self.stream.as_deref().is_none_or(|stream| stream == record.key.stream)
            && self.since.is_none_or(|since| record.at >= since)
            && self.before.is_none_or(|before| record.at < before)
            && self.max_attempts.is_none_or(|most| record.attempts <= most)
    }
}
