//! The loop of a run: what the source says goes to the destination, and checkpoints follow.

use std::pin::pin;

use acople_core::{
    Batch, CancelToken, Context, Error, ErrorKind, Event, ReadMode, ReadRequest, Refusal, Result, Stream,
};
use futures_util::future::{Either, FutureExt, select};

use crate::ahead::Ahead;
use crate::commit::{Checkpoints, Receipt, Settlement};
use crate::deliver::{Delivery, Position};
use crate::drift::{Drift, SchemaChange};
use crate::job::Plan;
use crate::watch::{Pages, Refusals, Repeats};
use crate::{Deletions, End, Observer, Progress, Totals};

/// Warnings and changes that a report keeps.
const TOLD: usize = 100;

/// What a run has to say besides its counts.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) warnings: Vec<String>,
    pub(crate) changes: Vec<SchemaChange>,
    pub(crate) expected: Option<u64>,
    pub(crate) deletions: Option<Deletions>,
}

/// A run at work.
pub(crate) struct Pump<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cx: &'a Context,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) run: String,
    pub(crate) from: &'a Stream,
    pub(crate) checkpoints: &'a mut Checkpoints,
    pub(crate) delivery: Delivery<'a>,
    pub(crate) told: &'a mut Told,
    /// What is settled but not yet covered by a checkpoint.
    pub(crate) open: Option<Receipt>,
    /// Whether the sync has quarantined records.
    pub(crate) quarantined: bool,
    pub(crate) repeats: Repeats,
    pub(crate) refusals: Option<Refusals>,
    pub(crate) drift: Option<Drift>,
    /// Every record of the listing had a key.
    pub(crate) keyed: bool,
}

/// How a read ended that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It was a complete listing, and every record of it is known by its key.
    Proven,
    /// It was not, or nobody can say so.
    Partial,
}

/// What is done with the records of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Deliver,
    /// Only that they are there is noted.
    Touch,
}

impl Pump<'_> {
    /// Everything that the run has to do.
    pub(crate) async fn work(&mut self) -> Result<End> {
        if let Some(drift) = &mut self.drift {
            let missing = drift.declared(self.from)?;
            self.tell_changes(missing);
        }
        let deleting = self.checkpoints.state.deletions.is_some_and(|deletions| deletions.approved);
        let mut listing = Listing::Proven;
        if !deleting {
            let read = if self.plan.scan { self.scan().await? } else { self.read_all().await? };
            match read {
                Ok(ended) => listing = ended,
                Err(end) => return Ok(end),
            }
        }
        let full = self.plan.scan || self.plan.mode == ReadMode::Full;
        if self.checkpoints.state.rescan && !full && !deleting {
            match self.scan().await? {
                Ok(ended) => listing = ended,
                Err(end) => return Ok(end),
            }
        }
        let listed = full || self.checkpoints.state.rescan || deleting;
        if self.plan.vanished.is_some() && listed {
            if listing == Listing::Proven {
                if let Some(end) = self.delete_vanished().await? {
                    return Ok(end);
                }
            } else {
                self.warn(
                    "the listing is not proven to be complete: what is gone is deleted after the next one",
                );
            }
        }
        if let Some(drift) = &mut self.drift {
            drift.complete();
            self.checkpoints.state.shape = Some(drift.shape.clone());
        }
        self.checkpoints.state.deletions = None;
        self.checkpoints.state.rescan = false;
        let receipt = self.settled()?;
        self.checkpoints.finish(receipt).await?;
        self.observer.on(&Progress::Checkpointed { totals: self.checkpoints.totals() });
        self.compare();
        Ok(End::Complete)
    }

    /// Reads in the job's mode, anew when the cursor has expired.
    async fn read_all(&mut self) -> Result<Result<Listing, End>> {
        let request = self.request(self.plan.mode);
        let begun = self.checkpoints.state.cursor.clone();
        match self.read(request.with_cursor(begun.clone()), Purpose::Deliver).await {
            Err(error) if error.kind() == ErrorKind::CursorExpired && begun.is_some() => {}
            ended => return ended,
        }
        self.warn("the source does not know the cursor any longer: it is read anew from the start");
        self.checkpoints.state.cursor = None;
        if self.plan.mode != ReadMode::Full {
            self.checkpoints.state.rescan = self.plan.vanished.is_some();
            if !self.checkpoints.state.rescan {
                self.warn("deletions since the last run are not known: the job does not delete what is gone");
            }
        }
        let receipt = self.settled()?;
        self.checkpoints.save(receipt).await?;
        let request = self.request(self.plan.mode);
        self.read(request, Purpose::Deliver).await
    }

    /// Lists the keys of all records.
    async fn scan(&mut self) -> Result<Result<Listing, End>> {
        let keys = self.from.key.iter().map(ToString::to_string);
        let request = ReadRequest::full(&self.plan.source_stream).with_prefetch(0).with_fields(keys);
        self.keyed = true;
        self.read(request, Purpose::Touch).await
    }

    fn request(&self, mode: ReadMode) -> ReadRequest {
        // What is read ahead here is polled while the destination works; a page that the connector fetched
        // ahead would lie there unpolled, and its deadline would pass.
        let request = ReadRequest::new(&self.plan.source_stream, mode).with_prefetch(0);
        match self.plan.wanted(self.from) {
            Some(fields) => request.with_fields(fields),
            None => request,
        }
    }

    async fn read(&mut self, request: ReadRequest, purpose: Purpose) -> Result<Result<Listing, End>> {
        let mut source = Ahead::new(self.plan.source.read(self.cx, request)?);
        let mut pages = Pages::default();
        let (mut begun, mut ended) = (false, false);
        loop {
            let next = if self.cancel.is_cancelled() {
                // What is at hand already: the checkpoint that covers the batch just settled.
                match self.open.is_some().then(|| source.next().now_or_never()) {
                    Some(Some(Some(Ok(Event::Checkpoint(cursor))))) => Some(Ok(Event::Checkpoint(cursor))),
                    _ => return Ok(Err(End::Cancelled)),
                }
            } else {
                match select(pin!(source.next()), pin!(self.cancel.cancelled())).await {
                    Either::Left((next, _)) => next,
                    Either::Right(_) => continue,
                }
            };
            let Some(event) = next.transpose()? else { break };
            match event {
                Event::SnapshotBegin => begun = true,
                Event::SnapshotEnd => ended = begun,
                Event::Total(records) if purpose == Purpose::Deliver => self.told.expected = Some(records),
                Event::Batch(batch) if purpose == Purpose::Touch => self.touch(&batch).await?,
                Event::Batch(batch) => {
                    pages.batch(&batch);
                    self.batch(&batch, &mut source).await?;
                }
                Event::Checkpoint(cursor) if purpose == Purpose::Deliver => {
                    pages.checkpoint(&cursor)?;
                    let receipt = self.settled()?;
                    if let Some(drift) = &self.drift {
                        self.checkpoints.state.shape = Some(drift.shape.clone());
                    }
                    self.checkpoints.commit(cursor, receipt).await?;
                    self.observer.on(&Progress::Checkpointed { totals: self.checkpoints.totals() });
                    self.refusals.as_ref().map_or(Ok(()), Refusals::check)?;
                }
                Event::Warning(text) => self.warn(&text),
                _ => {}
            }
        }
        self.refusals.as_ref().map_or(Ok(()), Refusals::check)?;
        Ok(Ok(if begun && ended && self.keyed { Listing::Proven } else { Listing::Partial }))
    }

    async fn touch(&mut self, batch: &Batch) -> Result<()> {
        let keys = self.delivery.keys.texts(batch);
        if batch.unreadable().is_some() || keys.iter().any(Option::is_none) {
            self.keyed = false;
            return Ok(());
        }
        match &self.delivery.links {
            Some(links) => links.touch(keys).await,
            None => Ok(()),
        }
    }

    async fn batch(&mut self, batch: &Batch, source: &mut Ahead) -> Result<()> {
        let totals = sum(self.checkpoints.totals(), self.open.as_ref());
        let ahead = batch.bytes() <= self.plan.bytes_ahead;
        let unfit = self.unfit(batch)?;
        let keys = self.delivery.keys.texts(batch);
        self.keyed &= batch.unreadable().is_none() && keys.iter().all(Option::is_some);
        let fresh = if unfit.is_empty() { self.repeats.fresh(batch, &keys) } else { None };
        let part = fresh.as_ref().map(|fresh| batch.select(fresh.iter().copied()));
        let place = |index: usize| fresh.as_ref().map_or(Some(index), |fresh| fresh.get(index).copied());
        let position = |index| Position {
            run: self.run.as_str(),
            number: totals.processed + place(index).unwrap_or(index) as u64,
            attempts: 0,
        };
        let records = part.as_ref().unwrap_or(batch);
        let keys = match &fresh {
            Some(fresh) => fresh.iter().map(|index| keys.get(*index).cloned().flatten()).collect(),
            None => keys,
        };
        let work = self.delivery.deliver(records, keys, unfit, position, &mut self.quarantined);
        let delivered = within_grace(self.plan, self.cancel, source.while_working(work, ahead)).await?;
        if let Some(refusals) = &mut self.refusals {
            refusals.settled(records.len(), &delivered.refused);
        }
        let mut receipt = delivered.receipt;
        if records.len() < batch.len() {
            let mut repeated = Settlement::of(batch.len() - records.len());
            repeated.repeated(batch.len() - records.len());
            receipt = receipt.join(repeated.receipt()?);
        }
        let receipt = match self.open.take() {
            Some(open) => open.join(receipt),
            None => receipt,
        };
        let totals = sum(self.checkpoints.totals(), Some(&receipt));
        self.observer.on(&Progress::Advanced { totals });
        self.open = Some(receipt);
        Ok(())
    }

    /// The records of a batch whose shape must not pass.
    fn unfit(&mut self, batch: &Batch) -> Result<Vec<Refusal>> {
        let Some(drift) = &mut self.drift else { return Ok(Vec::new()) };
        let (changes, unfit) = drift.watch(batch)?;
        self.tell_changes(changes);
        Ok(unfit)
    }

    fn tell_changes(&mut self, changes: Vec<SchemaChange>) {
        let Some(drift) = self.drift.as_ref().filter(|_| !changes.is_empty()) else { return };
        let room = TOLD.saturating_sub(self.told.changes.len());
        self.told.changes.extend(changes.iter().take(room).cloned());
        self.observer.on(&Progress::SchemaChanged { version: drift.shape.version, changes });
    }

    pub(crate) fn warn(&mut self, text: &str) {
        if self.told.warnings.len() < TOLD {
            self.told.warnings.push(text.to_owned());
        }
        self.observer.on(&Progress::Warning { text: text.to_owned() });
    }

    /// The vendor's own count is compared and never believed.
    fn compare(&mut self) {
        let totals = self.checkpoints.totals();
        let read = totals.processed.saturating_sub(totals.repeated).saturating_sub(totals.deleted);
        if let Some(expected) = self.told.expected.filter(|expected| *expected != read) {
            self.warn(&format!("the source said that it has {expected} records, and {read} were read"));
        }
    }
}

fn sum(mut totals: Totals, open: Option<&Receipt>) -> Totals {
    if let Some(open) = open {
        open.add_to(&mut totals);
    }
    totals
}

/// Finishes the work, but not longer than the grace time once the run is cancelled.
async fn within_grace<T>(
    plan: &Plan,
    cancel: &CancelToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let patience = async {
        cancel.cancelled().await;
        tokio::time::sleep(plan.grace).await;
    };
    match select(pin!(work), pin!(patience)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => {
            Err(Error::new(ErrorKind::Cancelled, "cancelled; the batch at work was given up"))
        }
    }
}
