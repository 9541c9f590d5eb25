//! Deleting at the destination what is gone at the source.

use acople_core::{Batch, BatchBuilder, Change, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::commit::Settlement;
use crate::deliver::{Delivery, Position};
use crate::pump::Pump;
use crate::{End, PauseCause, Progress};

/// Links that are looked at together.
const PAGE: usize = 500;

/// How much a run may delete without being asked: more than `share` of what the job has brought, and more than
/// `floor` records, pauses it.
///
/// ```
/// use acople_sync::DeleteLimit;
/// let limit = DeleteLimit { share: 0.2, floor: 10 };
/// assert!(limit.allows(20, 100) && !limit.allows(40, 100)); // 40 % would be gone
/// assert!(limit.allows(3, 4)); // three records are not much
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeleteLimit {
    /// The share of the records that may go, from 0 to 1.
    pub share: f64,
    /// So many may go in any case.
    pub floor: u64,
}

impl DeleteLimit {
    /// Deletes without asking.
    pub const NONE: Self = Self { share: 1.0, floor: u64::MAX };

    /// Whether so many of so many known records may be deleted.
    #[allow(clippy::cast_precision_loss)] // a share of more records than 2^53 is near enough
    pub fn allows(&self, gone: u64, known: u64) -> bool {
        gone <= self.floor || gone as f64 <= self.share * known as f64
    }
}

impl Default for DeleteLimit {
    /// A fifth of the records, and ten in any case.
    fn default() -> Self {
        Self { share: 0.2, floor: 10 }
    }
}

/// What a complete listing has shown to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deletions {
    /// Records that the listing does not have.
    pub gone: u64,
    /// Records that the job has brought to the destination, these included.
    pub known: u64,
    /// Whether they may be deleted: within the job's limit, or approved by somebody.
    pub approved: bool,
}

impl Pump<'_> {
    /// Deletes what the run has not seen. Gives the end of the run when it has to ask before.
    pub(crate) async fn delete_vanished(&mut self) -> Result<Option<End>> {
        let Some(limit) = self.plan.vanished else { return Ok(None) };
        let (gone, known) = self.count_vanished().await?;
        let approved = self.checkpoints.state.deletions.filter(|d| d.approved && gone <= d.gone);
        let allowed = approved.is_some() || limit.allows(gone, known);
        // What is left of an approved part is a part of it.
        let deletions = approved.unwrap_or(Deletions { gone, known, approved: allowed });
        self.checkpoints.state.deletions = Some(deletions);
        self.told.deletions = Some(deletions);
        let receipt = self.settled()?;
        self.checkpoints.save(receipt).await?;
        if !allowed {
            let percent = gone.saturating_mul(100) / known.max(1);
            let error = Error::new(
                ErrorKind::Conflict,
                format!(
                    "would delete {gone} of {known} records ({percent} %), which are not in the listing any longer; \
                     the job may delete {} % by itself: approve it, or look at the source",
                    limit.share * 100.0
                ),
            )
            .with_code("delete_limit");
            return Ok(Some(End::Paused { cause: PauseCause::Approval, until: None, error }));
        }
        let mut after = None;
        while let Some(keys) = self.vanished(&mut after).await? {
            if self.cancel.is_cancelled() {
                return Ok(Some(End::Cancelled));
            }
            if keys.is_empty() {
                continue;
            }
            let tombstones = tombstones(&self.delivery, &keys)?;
            let keys = keys.into_iter().map(Some).collect();
            let processed = self.checkpoints.totals().processed;
            let position =
                |index| Position { run: self.run.as_str(), number: processed + index as u64, attempts: 0 };
            let work = self.delivery.deliver(&tombstones, keys, Vec::new(), position, &mut self.quarantined);
            let delivered = work.await?;
            self.checkpoints.save(delivered.receipt).await?;
            self.observer.on(&Progress::Checkpointed { totals: self.checkpoints.totals() });
        }
        Ok(None)
    }

    /// What is settled and not yet covered by a checkpoint.
    pub(crate) fn settled(&mut self) -> Result<crate::Receipt> {
        self.open.take().map_or_else(|| Settlement::of(0).receipt(), Ok)
    }

    async fn count_vanished(&self) -> Result<(u64, u64)> {
        let Some(links) = &self.delivery.links else { return Ok((0, 0)) };
        let (mut gone, mut known, mut after) = (0, 0, None::<String>);
        loop {
            let page = links.map.scan(&links.pairing, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok((gone, known)) };
            after = Some(last.source.clone());
            known += page.len() as u64;
            gone += page.iter().filter(|link| link.seen != links.run).count() as u64;
        }
    }

    /// The keys of the next records that are gone; `None` at the end.
    async fn vanished(&self, after: &mut Option<String>) -> Result<Option<Vec<String>>> {
        let Some(links) = &self.delivery.links else { return Ok(None) };
        let page = links.map.scan(&links.pairing, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        *after = Some(last.source.clone());
        Ok(Some(page.into_iter().filter(|link| link.seen != links.run).map(|link| link.source).collect()))
    }
}

/// What is gone as the source would have said it: deletions that have nothing but their key.
fn tombstones(delivery: &Delivery<'_>, keys: &[String]) -> Result<Batch> {
    let mut builder = BatchBuilder::new(delivery.plan.source_stream.as_str());
    for key in keys {
        builder.push(Change::Delete, |writer| {
            delivery.keys.write_record(key, writer);
            Ok(())
        })?;
    }
    builder.finish()
}
