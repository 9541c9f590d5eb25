//! The run: how it begins, and how it ends.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{
    CancelToken, Context, Error, ErrorKind, Generation, Listing, Meter, Pairing, ReadMode, Result, Side,
    StateKey, Stream, WriteMode,
};
use futures_util::future::FutureExt;
use tokio::time::Instant;

use crate::commit::Checkpoints;
use crate::counterparts::{Address, Links};
use crate::deliver::Delivery;
use crate::drift::Drift;
use crate::job::{Job, Plan};
use crate::keys::Keys;
use crate::pause::end_of;
use crate::pump::{Pump, Told};
use crate::state::State;
use crate::watch::{Refusals, Repeats};
use crate::{End, Observer, Progress, Report};

impl Job {
    /// Runs once: until everything is dealt with, an error pauses or stops it, or the context is cancelled.
    ///
    /// A run that an earlier process left unfinished is gone on with. Records that are refused go to
    /// quarantine and never stop the run. Nothing is checkpointed before it is stored, so the next run
    /// repeats at most the batches after the last checkpoint. Cancelling ends the run at its next good
    /// place: the batch at work is finished and committed.
    ///
    /// # Errors
    /// Only when the run could not begin: an unknown stream, a mode that a side does not have, a state
    /// that cannot be read. What paused it, or stopped it once begun, is in the report's [`End`].
    pub async fn run(&self, cx: &Context, observer: &dyn Observer) -> Result<Report> {
        let meter = Arc::new(Meter::default());
        let cancel = cx.cancel().cloned().unwrap_or_default();
        // Calls are not torn by a cancelled run: it ends between batches, or after the grace time.
        let cx = cx.clone().with_meter(meter.clone()).with_cancel(CancelToken::new());
        let started = Instant::now();
        let mut begun = contained(Begun::begin(&self.0, &cx)).await?;
        let mut told = Told::default();
        let end = match contained(self.0.streams(&cx)).await {
            Ok(streams) => {
                observer.on(&Progress::Started { run: begun.run.clone(), resumed: begun.resumed });
                let work = begun.work(&self.0, &streams, &cx, &cancel, observer, &mut told);
                match contained(work).await {
                    Ok(end) => end,
                    Err(error) if error.kind() == ErrorKind::Cancelled && cancel.is_cancelled() => {
                        told.warnings.push(error.message().to_owned());
                        End::Cancelled
                    }
                    Err(error) => end_of(error, self.0.clock.now()),
                }
            }
            // A side that is down before the run begins will be back as well as one that goes down later.
            Err(error) => match end_of(error, self.0.clock.now()) {
                End::Stopped { error } => return Err(error),
                end => end,
            },
        };
        let usage = meter.usage();
        Ok(Report {
            sync: self.0.name.clone(),
            run: begun.run,
            mode: self.0.mode,
            resumed: begun.resumed,
            end,
            totals: begun.checkpoints.totals(),
            tolerated: self.0.tolerated,
            expected: told.expected,
            deletions: told.deletions,
            schema_changes: told.changes,
            warnings: told.warnings,
            requests: usage.requests,
            retries: usage.retries,
            bytes: usage.bytes_received,
            duration: started.elapsed(),
        })
    }
}

/// A panic in a connector or mapper fails what was asked for, not the host. Its message may hold anything.
pub(crate) async fn contained<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let panicked = |_| Err(Error::new(ErrorKind::Internal, "a connector or mapper panicked"));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}

impl Plan {
    /// The key of this job's state.
    pub(crate) fn state_key(&self, cx: &Context) -> StateKey {
        StateKey::new(&self.name, &self.source_stream).with_tenant(cx.tenant().unwrap_or_default())
    }

    /// The two streams, checked to have what the job asks of them.
    pub(crate) async fn streams(&self, cx: &Context) -> Result<(Stream, Stream)> {
        let from = self.source.describe(cx, &self.source_stream).await?;
        let to = self.destination.describe(cx, &self.destination_stream).await?;
        if !from.can_read(self.mode) {
            let message = format!("stream {} cannot be read in mode {:?}", from.name, self.mode);
            return Err(Error::config("mode", message.to_lowercase()));
        }
        let by_link = self.by_link(&to)?;
        if !to.can_write(self.write) && !by_link {
            let message = format!("stream {} cannot be written in mode {:?}", to.name, self.write);
            return Err(Error::config("write", message.to_lowercase()));
        }
        self.can_delete_vanished(&from, &to)?;
        if let Some(key) = self.key.as_ref().filter(|_| self.write == WriteMode::Upsert && !by_link)
            && !to.upsert_keys.is_empty()
            && !to.upsert_keys.contains(key)
            && !to.key.contains(key)
        {
            let known: Vec<String> = to.upsert_keys.iter().map(ToString::to_string).collect();
            let message = format!("stream {} has no upsert key {key}; it has {}", to.name, known.join(", "));
            return Err(Error::config("key", message));
        }
        Ok((from, to))
    }

    /// Whether records are found at the destination by their links: it has no upsert, and an identity map makes
    /// one of insert and update.
    fn by_link(&self, to: &Stream) -> Result<bool> {
        let by_link = self.links.is_some()
            && self.write == WriteMode::Upsert
            && !to.can_write(WriteMode::Upsert)
            && to.can_write(WriteMode::Insert)
            && to.can_write(WriteMode::Update);
        if by_link {
            Address::of(to)?;
        }
        Ok(by_link)
    }

    /// The links of this job's records, for a run.
    pub(crate) fn links(&self, cx: &Context, to: &Stream, run: &str) -> Result<Option<Links<'_>>> {
        let Some(map) = &self.links else { return Ok(None) };
        let side = |connector: &Arc<dyn acople_core::Connector>, stream: &str| {
            Side::new(connector.info().id.as_ref(), stream)
        };
        let source = side(&self.source, &self.source_stream);
        let pairing = Pairing::new(&self.name, source, side(&self.destination, &self.destination_stream))
            .with_tenant(cx.tenant().unwrap_or_default());
        let address = if self.by_link(to)? { Some(Address::of(to)?) } else { None };
        let announce = self.vanished.is_some();
        Ok(Some(Links { map: map.as_ref(), pairing, run: run.to_owned(), announce, address }))
    }

    fn can_delete_vanished(&self, from: &Stream, to: &Stream) -> Result<()> {
        if self.vanished.is_none() {
            return Ok(());
        }
        let wrong = |message: String| Err(Error::config("delete_vanished", message));
        if from.key.is_empty() {
            return wrong(format!("stream {} has no key: what is gone cannot be told", from.name));
        }
        if from.listing == Listing::Shifting {
            return wrong(format!(
                "a listing of stream {} may leave out records while data changes: what is gone cannot be told",
                from.name
            ));
        }
        if !to.can_write(WriteMode::Delete) {
            return wrong(format!("stream {} cannot be deleted from", to.name));
        }
        if (self.scan || self.mode != ReadMode::Full) && !from.can_read(ReadMode::Full) {
            return wrong(format!("stream {} cannot be listed", from.name));
        }
        Ok(())
    }

    /// The source fields to ask for: those the mapper reads, and the key.
    pub(crate) fn wanted(&self, from: &Stream) -> Option<Vec<String>> {
        if let Some(fields) = &self.fields {
            return Some(fields.clone());
        }
        let read = self.mapper.as_ref()?.fields()?;
        let mut wanted: Vec<String> = Vec::new();
        for path in from.key.iter().chain(&read).map(FieldPath::to_string) {
            if !wanted.contains(&path) {
                wanted.push(path);
            }
        }
        Some(wanted)
    }
}

/// A run that has begun.
struct Begun {
    run: String,
    resumed: bool,
    checkpoints: Checkpoints,
    key: StateKey,
}

impl Begun {
    async fn begin(plan: &Plan, cx: &Context) -> Result<Self> {
        let key = plan.state_key(cx);
        let saved = plan.checkpoints.load(&key).await?;
        let (old, generation) = match saved {
            Some((bytes, generation)) => (Some(State::decode(&bytes)?), generation),
            None => (None, Generation::default()),
        };
        let (state, resumed) = match old {
            // Of a listing that was approved the deletions go on, whichever kind of run made it.
            Some(state) if plan.goes_on(&state) => (state, true),
            old if plan.scan => (State::scan(new_run(plan), old)?, false),
            old => (State::begin(new_run(plan), plan.mode, old), false),
        };
        let run = state.run.clone();
        let checkpoints = Checkpoints::new(plan.checkpoints.clone(), key.clone(), generation, state);
        Ok(Self { run, resumed, checkpoints, key })
    }

    async fn work(
        &mut self,
        plan: &Plan,
        (from, to): &(Stream, Stream),
        cx: &Context,
        cancel: &CancelToken,
        observer: &dyn Observer,
        told: &mut Told,
    ) -> Result<End> {
        let drift = plan.schema.map(|policy| Drift::new(policy, self.checkpoints.state.shape.clone()));
        let delivery = Delivery {
            plan,
            cx,
            key: &self.key,
            observer,
            deletes: to.can_write(WriteMode::Delete),
            merged_into: from.merged_into.as_ref(),
            keys: Keys::new(&from.key),
            links: plan.links(cx, to, &self.run)?,
        };
        let quarantined = plan.quarantine.count(Some(&plan.name)).await? > 0;
        let mut pump = Pump {
            plan,
            cx,
            cancel,
            observer,
            run: self.run.clone(),
            from,
            checkpoints: &mut self.checkpoints,
            delivery,
            told,
            open: None,
            quarantined,
            repeats: Repeats::new(plan.repeats),
            refusals: plan.stop.map(Refusals::new),
            drift,
            keyed: true,
        };
        // On the heap: what a run holds is too much for the stack of whoever awaits it.
        Box::pin(pump.work()).await
    }
}

impl Plan {
    /// Whether a run goes on with what an earlier process has left.
    fn goes_on(&self, state: &State) -> bool {
        match state.deletions {
            Some(deletions) => {
                deletions.approved && (self.scan || self.mode == ReadMode::Full || state.rescan)
            }
            None => !self.scan && !state.complete && state.mode == self.mode,
        }
    }
}

/// A run's id: the moment it began, and a number that tells two of the same moment apart.
fn new_run(plan: &Plan) -> String {
    let since = plan.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:011x}-{:08x}", since.as_millis(), fastrand::u32(..))
}
