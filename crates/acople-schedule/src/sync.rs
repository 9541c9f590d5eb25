//! Jobs of acople-sync as tasks.

use acople_core::{Context, Result};
use acople_sync::Job;
use async_trait::async_trait;

use crate::{Next, Task};

/// A job runs as scheduled; one that pauses goes on when its report says so.
#[async_trait]
impl Task for Job {
    async fn run(&self, cx: &Context) -> Result<Next> {
        let report = Job::run(self, cx, &()).await?;
        if let Some(at) = report.resume_at() {
            return Ok(Next::At(at));
        }
        report.into_result().map(|_| Next::AsScheduled)
    }
}
