//! The work that is due.

use std::fmt;
use std::time::SystemTime;

use acople_core::{Context, Result};
use async_trait::async_trait;

/// When a task wants to run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// As its schedule says.
    #[default]
    AsScheduled,
    /// At this time, before or after the schedule's next: work that paused for a limit, for example. The schedule goes
    /// on from there.
    At(SystemTime),
    /// Not until it is triggered.
    Never,
}

/// A piece of work that runs again and again. It never overlaps with itself.
#[async_trait]
pub trait Task: Send + Sync + fmt::Debug + 'static {
    /// Runs once. `cx` names the tenant, has batch priority, ends at the entry's time limit and is cancelled when the
    /// scheduler stops.
    ///
    /// # Errors
    /// Whatever made this run useless. The observer is told, and the task runs again as scheduled, or when the error
    /// says if that is later.
    async fn run(&self, cx: &Context) -> Result<Next>;
}
