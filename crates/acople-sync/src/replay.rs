//! Tries quarantined records again.

use acople_core::{BatchBuilder, Change, Context, Quarantined, Result, Stage, WriteMode};

use crate::deliver::{Delivery, Position};
use crate::job::{Job, Plan};
use crate::keys::Keys;
use crate::run::contained;
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
    /// One that its source could not read ([`Stage::Read`]) stays too: what is kept of it is not the record.
    ///
    /// # Errors
    /// What stopped it; records that were not reached stay in quarantine.
    pub async fn replay(
        &self,
        cx: &Context,
        observer: &dyn Observer,
        choose: impl Fn(&Quarantined) -> bool,
    ) -> Result<Replayed> {
        contained(replay(&self.0, cx, observer, choose)).await
    }
}

async fn replay(
    plan: &Plan,
    cx: &Context,
    observer: &dyn Observer,
    choose: impl Fn(&Quarantined) -> bool,
) -> Result<Replayed> {
    let (from, to) = plan.streams(cx).await?;
    let key = plan.state_key(cx);
    let delivery = Delivery {
        plan,
        cx,
        key: &key,
        observer,
        deletes: to.can_write(WriteMode::Delete),
        merged_into: from.merged_into.as_ref(),
        keys: Keys::new(&from.key),
        links: plan.links(cx, &to, "")?,
    };
    let mut done = Replayed::default();
    let mut after: Option<String> = None;
    loop {
        cx.ensure_live()?;
        let found = plan.quarantine.list(Some(&plan.name), after.as_deref(), BATCH).await?;
        let Some(last) = found.last() else { return Ok(done) };
        after = Some(last.id.clone());
        let chosen: Vec<Quarantined> =
            found.into_iter().filter(|q| q.key == key && q.stage != Stage::Read && choose(q)).collect();
        if chosen.is_empty() {
            continue;
        }
        let mut batch = BatchBuilder::new(plan.source_stream.as_str());
        for record in &chosen {
            let change = if record.deleted { Change::Delete } else { Change::Upsert };
            batch.push(change, |writer| {
                writer.raw(&record.record);
                Ok(())
            })?;
        }
        let batch = batch.finish()?;
        let position = |index: usize| match chosen.get(index) {
            Some(q) => Position { run: q.run.as_str(), number: q.position, attempts: q.attempts },
            None => Position { run: "", number: 0, attempts: 0 },
        };
        let keys = delivery.keys.texts(&batch);
        // `true`: records that are not refused again leave the quarantine.
        let receipt = delivery.deliver(&batch, keys, Vec::new(), position, &mut true).await?.receipt;
        // Set aside when the stream's key was another one: they are settled, or there under their new ids.
        let ids = delivery.keys.ids(&key, &batch);
        let old = chosen.iter().map(|q| q.id.clone()).filter(|id| !ids.contains(id)).collect::<Vec<_>>();
        if !old.is_empty() {
            plan.quarantine.remove(&old).await?;
        }
        let mut totals = Totals::default();
        receipt.add_to(&mut totals);
        done.tried += totals.processed;
        done.synced += totals.synced;
        done.refused += totals.refused;
        done.skipped += totals.skipped;
        observer.on(&Progress::Advanced { totals });
    }
}
