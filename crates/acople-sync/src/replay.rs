//! Tries quarantined records again.

use acople_core::{BatchBuilder, Change, Context, Quarantined, Result};

use crate::deliver::{Delivery, identity};
use crate::job::{Job, Plan};
use crate::{Observer, Progress, Totals};

/// Records that are tried together.
const BATCH: usize = 500;

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// Tried again.
    pub tried: u64,
    /// Now at the destination, and out of quarantine.
    pub synced: u64,
    /// Refused again, with the new reason.
    pub refused: u64,
    /// Left out by the mapping's condition now, and out of quarantine.
    pub skipped: u64,
}

impl Job {
    /// Maps and writes the job's quarantined records again, those for which `choose` says so. A record
    /// that is accepted leaves the quarantine; one that is refused again stays, with its new reason.
    ///
    /// # Errors
    /// What stopped it; records that were not reached stay in quarantine.
    pub async fn replay(
        &self,
        cx: &Context,
        observer: &dyn Observer,
        choose: impl Fn(&Quarantined) -> bool,
    ) -> Result<Replayed> {
        let plan: &Plan = &self.0;
        let (from, _) = plan.streams(cx).await?;
        let key = plan.state_key(cx);
        let mut done = Replayed::default();
        let mut after: Option<String> = None;
        loop {
            let found = plan
                .quarantine
                .list(Some(&plan.name), after.as_deref(), BATCH)
                .await?;
            let Some(last) = found.last() else { return Ok(done) };
            after = Some(last.id.clone());
            let chosen: Vec<Quarantined> = found.into_iter().filter(|q| q.key == key && choose(q)).collect();
            if chosen.is_empty() {
                continue;
            }
            let mut batch = BatchBuilder::new(plan.source_stream.as_str());
            for record in &chosen {
                let change = if record.deleted {
                    Change::Delete
                } else {
                    Change::Upsert
                };
                batch.push(change, |writer| {
                    writer.raw(&record.record);
                    Ok(())
                })?;
            }
            let batch = batch.finish()?;
            let run = chosen.first().map(|q| q.run.clone()).unwrap_or_default();
            let delivery = Delivery {
                plan,
                cx,
                key: &key,
                run: &run,
                observer,
                identity: identity(&from.key),
            };
            let position = |index: usize| chosen.get(index).map_or(0, |q| q.position);
            // `true`: records that are not refused again leave the quarantine.
            let receipt = delivery.deliver(&batch, position, &mut true).await?;
            let mut totals = Totals::default();
            receipt.add_to(&mut totals);
            done.tried += totals.processed;
            done.synced += totals.synced;
            done.refused += totals.refused;
            done.skipped += totals.skipped;
            observer.on(&Progress::Advanced { totals });
        }
    }
}
