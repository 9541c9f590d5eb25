//! The run: read, deliver, commit, with the next batch on its way.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{
    CancelToken, Context, Cursor, Error, ErrorKind, Event, EventStream, Generation, Meter, ReadRequest,
    Result, StateKey, Stream, WriteMode,
};
use futures_util::future::{Either, FutureExt, select};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::commit::{Checkpoints, Receipt, Settlement};
use crate::deliver::{Delivery, identity};
use crate::job::{Job, Plan};
use crate::pause::end_of;
use crate::state::State;
use crate::{End, Observer, Progress, Report, Totals};

/// Events that are read ahead: a source may have checkpoints without records.
const EVENTS_AHEAD: usize = 16;

/// Warnings that a report keeps.
const WARNINGS: usize = 100;

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
        let mut warnings = Vec::new();
        let end = match contained(self.0.streams(&cx)).await {
            Ok(streams) => {
                observer.on(&Progress::Started { run: begun.run.clone(), resumed: begun.resumed });
                let work = begun.work(&self.0, streams, &cx, &cancel, observer, &mut warnings);
                match contained(work).await {
                    Ok(end) => end,
                    Err(error) if error.kind() == ErrorKind::Cancelled && cancel.is_cancelled() => {
                        warnings.push(error.message().to_owned());
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
            warnings,
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
        if !to.can_write(self.write) {
            let message = format!("stream {} cannot be written in mode {:?}", to.name, self.write);
            return Err(Error::config("write", message.to_lowercase()));
        }
        if let Some(key) = self.key.as_ref().filter(|_| self.write == WriteMode::Upsert)
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

    /// The source fields to ask for: those the mapper reads, and the key.
    fn wanted(&self, from: &Stream) -> Option<Vec<String>> {
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
    cursor: Option<Cursor>,
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
            Some(state) if !state.complete && state.mode == plan.mode => (state, true),
            old => (State::begin(new_run(plan), plan.mode, old), false),
        };
        let (run, cursor) = (state.run.clone(), state.cursor.clone());
        let checkpoints = Checkpoints::new(plan.checkpoints.clone(), key.clone(), generation, state);
        Ok(Self { run, resumed, checkpoints, key, cursor })
    }

    async fn work(
        &mut self,
        plan: &Plan,
        (from, to): (Stream, Stream),
        cx: &Context,
        cancel: &CancelToken,
        observer: &dyn Observer,
        warnings: &mut Vec<String>,
    ) -> Result<End> {
        // What is read ahead here is polled while the destination works; a page that the connector fetched
        // ahead would lie there unpolled, and its deadline would pass.
        let mut request =
            ReadRequest::new(&plan.source_stream, plan.mode).with_cursor(self.cursor.take()).with_prefetch(0);
        if let Some(fields) = plan.wanted(&from) {
            request = request.with_fields(fields);
        }
        let delivery = Delivery {
            plan,
            cx,
            key: &self.key,
            observer,
            deletes: to.can_write(WriteMode::Delete),
            identity: identity(&from.key),
        };
        let mut quarantined = plan.quarantine.count(Some(&plan.name)).await? > 0;
        let mut source = Ahead::new(plan.source.read(cx, request)?);
        // What is settled but not yet covered by a checkpoint.
        let mut open: Option<Receipt> = None;
        loop {
            let next = if cancel.is_cancelled() {
                // What is at hand already: the checkpoint that covers the batch just settled.
                match open.is_some().then(|| source.next().now_or_never()) {
                    Some(Some(Some(Ok(Event::Checkpoint(cursor))))) => Some(Ok(Event::Checkpoint(cursor))),
                    _ => return Ok(End::Cancelled),
                }
            } else {
                match select(pin!(source.next()), pin!(cancel.cancelled())).await {
                    Either::Left((next, _)) => next,
                    Either::Right(_) => continue,
                }
            };
            let Some(event) = next.transpose()? else { break };
            match event {
                Event::Batch(batch) => {
                    let totals = sum(self.checkpoints.totals(), open.as_ref());
                    let ahead = batch.bytes() <= plan.bytes_ahead;
                    let position = |index| (self.run.as_str(), totals.processed + index as u64);
                    let work = delivery.deliver(&batch, position, &mut quarantined);
                    let receipt = within_grace(plan, cancel, source.while_working(work, ahead)).await?;
                    let receipt = join(open.take(), receipt);
                    observer
                        .on(&Progress::Advanced { totals: sum(self.checkpoints.totals(), Some(&receipt)) });
                    open = Some(receipt);
                }
                Event::Checkpoint(cursor) => {
                    let receipt = open.take().map_or_else(|| Settlement::of(0).receipt(), Ok)?;
                    self.checkpoints.commit(cursor, receipt).await?;
                    observer.on(&Progress::Checkpointed { totals: self.checkpoints.totals() });
                }
                Event::Warning(text) => {
                    if warnings.len() < WARNINGS {
                        warnings.push(text.clone());
                    }
                    observer.on(&Progress::Warning { text });
                }
                _ => {}
            }
        }
        let receipt = open.take().map_or_else(|| Settlement::of(0).receipt(), Ok)?;
        self.checkpoints.finish(receipt).await?;
        observer.on(&Progress::Checkpointed { totals: self.checkpoints.totals() });
        Ok(End::Complete)
    }
}

/// A run's id: the moment it began, and a number that tells two of the same moment apart.
fn new_run(plan: &Plan) -> String {
    let since = plan.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:011x}-{:08x}", since.as_millis(), fastrand::u32(..))
}

fn join(open: Option<Receipt>, receipt: Receipt) -> Receipt {
    match open {
        Some(open) => open.join(receipt),
        None => receipt,
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

/// The source's events, of which a few may be read ahead: at most one batch.
struct Ahead {
    events: stream::Fuse<EventStream>,
    ready: VecDeque<Result<Event>>,
}

impl Ahead {
    fn new(events: EventStream) -> Self {
        Self { events: events.fuse(), ready: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<Result<Event>> {
        match self.ready.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Does the work, and meanwhile reads until one batch is ready.
    async fn while_working<T>(&mut self, work: impl Future<Output = T>, ahead: bool) -> T {
        let mut work = pin!(work);
        while ahead
            && self.ready.len() < EVENTS_AHEAD
            && !self.ready.iter().any(|e| matches!(e, Ok(Event::Batch(_)) | Err(_)))
        {
            match select(work.as_mut(), self.events.next()).await {
                Either::Left((done, _)) => return done,
                Either::Right((Some(event), _)) => self.ready.push_back(event),
                Either::Right((None, _)) => break,
            }
        }
        work.await
    }
}
