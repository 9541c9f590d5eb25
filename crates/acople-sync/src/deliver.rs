//! One batch on its way: mapped, written, its refused records set aside.

use std::collections::{HashMap, HashSet};

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Change, Context, Error, ErrorKind, Mapped, Quarantined, Refusal, Result, Stage, StateKey,
    WriteMode,
};

use crate::Observer;
use crate::commit::{Receipt, Settlement};
use crate::counterparts::{Counterparts, Links};
use crate::job::Plan;
use crate::keys::{Keys, ids};
use crate::write::Fate;

/// Delivers the batches of one run.
pub(crate) struct Delivery<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cx: &'a Context,
    pub(crate) key: &'a StateKey,
    pub(crate) observer: &'a dyn Observer,
    /// Whether the destination can delete.
    pub(crate) deletes: bool,
    /// The field of a deleted record that names the one it was merged into.
    pub(crate) merged_into: Option<&'a FieldPath>,
    pub(crate) keys: Keys,
    pub(crate) links: Option<Links<'a>>,
}

/// Where a record stands.
pub(crate) struct Position<'a> {
    pub(crate) run: &'a str,
    /// Its number in the run.
    pub(crate) number: u64,
    /// How often it was tried before.
    pub(crate) attempts: u32,
}

/// A batch that is dealt with.
pub(crate) struct Delivered {
    pub(crate) receipt: Receipt,
    /// The indices of the records that were refused, in order.
    pub(crate) refused: Vec<usize>,
}

/// A record that was refused, by its index in the source batch.
struct Refused {
    index: usize,
    stage: Stage,
    error: Error,
    attempts: u32,
}

impl Delivery<'_> {
    /// Maps and writes a batch. When this returns a receipt, each of its records is at the destination,
    /// durably in quarantine, or left out on purpose.
    ///
    /// `keys` are those of its records; `unfit` are records that are refused before they are mapped; `position` says where a record of the batch
    /// stands; `quarantined` whether the sync has quarantined records, and is set when this adds some.
    ///
    /// # Errors
    /// What stops the run: nothing of the batch may be passed by a checkpoint then.
    pub(crate) async fn deliver<'p>(
        &self,
        batch: &Batch,
        keys: Vec<Option<String>>,
        mut unfit: Vec<Refusal>,
        position: impl Fn(usize) -> Position<'p>,
        quarantined: &mut bool,
    ) -> Result<Delivered> {
        let mut linked = if self.links.is_some() { keys.clone() } else { Vec::new() };
        for broken in batch.unreadable().into_iter().flat_map(|unreadable| unreadable.refused) {
            // What stands in place of its bytes may look like another record's key.
            if let Some(key) = linked.get_mut(broken.index) {
                *key = None;
            }
            unfit.retain(|refusal| refusal.index != broken.index);
            unfit.push(broken);
        }
        let mapped = self.map(batch, &unfit)?;
        let mut settlement = Settlement::of(batch.len());
        settlement.skipped(mapped.skipped);
        let refusal =
            |stage| move |r: Refusal| Refused { index: r.index, stage, error: r.error, attempts: 1 };
        let mut refused: Vec<Refused> = unfit.into_iter().map(refusal(Stage::Read)).collect();
        refused.extend(mapped.refused.into_iter().map(refusal(Stage::Map)));

        let records = mapped.batch.with_stream(self.plan.destination_stream.as_str());
        let mut counterparts = Counterparts::load(self.links.as_ref(), linked).await?;
        let same = |index: usize| match keys.get(index) {
            Some(Some(key)) => Some(key.as_str()),
            _ => Some(batch.get(index)?.raw()),
        };
        // Those that are refused as well: what is set aside of a record that is gone must not come back.
        let upsert = |index: &usize| batch.get(*index).is_some_and(|r| r.change() != Change::Delete);
        let listed = mapped.origins.iter().copied().chain(refused.iter().map(|refused| refused.index));
        counterparts.announce(listed.filter(upsert)).await?;
        for (index, mode, fate) in self.write(&records, &mapped.origins, &same, &mut counterparts).await? {
            match fate {
                Fate::Written(outcome) => {
                    settlement.written(&outcome);
                    if mode == WriteMode::Delete {
                        settlement.deleted(1);
                        settlement.merged(u64::from(self.is_merged(batch, index)));
                    }
                }
                Fate::Skipped => settlement.skipped(1),
                Fate::Refused { error, attempts } => {
                    refused.push(Refused { index, stage: Stage::Write, error, attempts });
                }
            }
        }
        counterparts.keep().await?;

        // Known only when they are needed: most batches have nobody refused.
        let ids = if refused.is_empty() && !*quarantined { Vec::new() } else { ids(self.key, batch, &keys) };
        // Of two versions of a record the later one counts, wherever they were refused.
        refused.sort_by_key(|refused| refused.index);
        if !refused.is_empty() {
            let aside = self.aside(batch, &ids, position, &refused);
            self.plan.quarantine.put(&aside).await?;
            settlement.quarantined(refused.len());
            *quarantined = true;
        }
        let refused: Vec<usize> = refused.into_iter().map(|refused| refused.index).collect();
        if *quarantined {
            // Of the others a newer version has arrived: replaying the one set aside would undo it.
            let aside: HashSet<usize> = refused.iter().copied().collect();
            let last: HashMap<String, usize> = ids.into_iter().zip(0..).collect();
            let settled = last.into_iter().filter(|(_, index)| !aside.contains(index));
            let settled: Vec<String> = settled.map(|(id, _)| id).collect();
            self.plan.quarantine.remove(&settled).await?;
        }
        Ok(Delivered { receipt: settlement.receipt()?, refused })
    }

    /// Whether a deleted record says that another one stands for it now.
    fn is_merged(&self, batch: &Batch, index: usize) -> bool {
        let successor =
            self.merged_into.zip(batch.get(index)).and_then(|(path, record)| record.get(path).ok());
        successor.is_some_and(|value| !value.is_missing() && !value.is_null() && value.raw() != "\"\"")
    }

    /// Maps the records that are not unfit, and gives the result in the indices of the whole batch.
    fn map(&self, batch: &Batch, unfit: &[Refusal]) -> Result<Mapped> {
        if unfit.is_empty() {
            return self.map_all(batch);
        }
        let unfit: HashSet<usize> = unfit.iter().map(|refusal| refusal.index).collect();
        let places: Vec<usize> = (0..batch.len()).filter(|index| !unfit.contains(index)).collect();
        let mut mapped = self.map_all(&batch.select(places.iter().copied()))?;
        for index in mapped.origins.iter_mut().chain(mapped.refused.iter_mut().map(|r| &mut r.index)) {
            *index = places.get(*index).copied().unwrap_or(*index);
        }
        Ok(mapped)
    }

    fn map_all(&self, batch: &Batch) -> Result<Mapped> {
        let mapped = match &self.plan.mapper {
            Some(mapper) => mapper.map(batch)?,
            None => Mapped::unchanged(batch),
        };
        check(batch, &mapped)?;
        Ok(mapped)
    }

    /// The refused records, of each the latest version.
    fn aside<'p>(
        &self,
        batch: &Batch,
        ids: &[String],
        position: impl Fn(usize) -> Position<'p>,
        refused: &[Refused],
    ) -> Vec<Quarantined> {
        let at = self.plan.clock.now();
        let mut seen = HashSet::new();
        refused
            .iter()
            .rev()
            .filter_map(|refused| {
                let (id, record) = (ids.get(refused.index)?, batch.get(refused.index)?);
                let position = position(refused.index);
                seen.insert(id).then(|| Quarantined {
                    id: id.clone(),
                    key: self.key.clone(),
                    run: position.run.to_owned(),
                    position: position.number,
                    stage: refused.stage,
                    error: refused.error.copy(),
                    record: record.raw().to_owned(),
                    deleted: record.change() == Change::Delete,
                    attempts: position.attempts.saturating_add(refused.attempts),
                    at,
                })
            })
            .collect()
    }
}

/// A mapper must account for every record, and for each once.
pub(crate) fn check(batch: &Batch, mapped: &Mapped) -> Result<()> {
    let mut seen = vec![false; batch.len()];
    let once = mapped
        .origins
        .iter()
        .chain(mapped.refused.iter().map(|refusal| &refusal.index))
        .all(|index| seen.get_mut(*index).is_some_and(|seen| !std::mem::replace(seen, true)));
    let whole = mapped.origins.len() == mapped.batch.len()
        && mapped.batch.len() + mapped.refused.len() + mapped.skipped == batch.len();
    if once && whole {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "the mapper was given {} records and accounts for {} passed, {} refused, {} skipped{}",
            batch.len(),
            mapped.batch.len(),
            mapped.refused.len(),
            mapped.skipped,
            if once { "" } else { ", some of them twice" }
        ),
    )
    .with_operation("map"))
}
