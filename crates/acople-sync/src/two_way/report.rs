//! A run of a two-way sync, and what it did.

use std::sync::Arc;

use acople_core::{CancelToken, Context, Error, ErrorKind, Generation, Meter, Result};
use serde::Serialize;

use super::policy::Side;
use super::{Plan, Streams, TwoWay, tells_deletions};
use crate::pause::end_of;
use crate::run::contained;
use crate::{End, Observer, Progress};

/// What happened on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SideTotals {
    /// Changes that its feed told.
    pub read: u64,
    /// Of these, edits of somebody else.
    pub edits: u64,
    /// Of these, our own writes and what is as the other side has it.
    pub echoes: u64,
    /// Records created here.
    pub inserted: u64,
    /// Records changed here.
    pub updated: u64,
    /// Records deleted here.
    pub deleted: u64,
}

/// What one run of a [`TwoWay`] did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct TwoWayReport {
    /// The sync's name.
    pub sync: String,
    /// How it ended.
    #[serde(flatten)]
    pub end: End,
    /// Side A.
    pub a: SideTotals,
    /// Side B.
    pub b: SideTotals,
    /// Conflicts that a rule decided.
    pub decided: u64,
    /// Conflicts that wait for review.
    pub queued: u64,
    /// Records that a mapper or a side refused: in quarantine.
    pub refused: u64,
    /// Pairs that are tried again by the next run.
    pub deferred: u64,
    /// Pairs whose sides keep a value each in its own spelling: left to differ, and queued for review.
    pub bounced: u64,
    /// Requests that went to the wire.
    pub requests: u64,
    /// What the host should know.
    pub warnings: Vec<String>,
}

impl TwoWayReport {
    /// Whether the run came to its end and nothing was refused or put off.
    pub fn is_success(&self) -> bool {
        matches!(self.end, End::Complete) && self.refused == 0 && self.deferred == 0
    }

    /// How many writes the run made.
    pub fn writes(&self) -> u64 {
        let of = |side: &SideTotals| side.inserted + side.updated + side.deleted;
        of(&self.a) + of(&self.b)
    }
}

/// The counts of a run at work.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) a: SideTotals,
    pub(super) b: SideTotals,
    pub(super) decided: u64,
    pub(super) queued: u64,
    pub(super) refused: u64,
    pub(super) deferred: u64,
    pub(super) bounced: u64,
    pub(super) warnings: Vec<String>,
}

impl Counts {
    pub(super) fn side(&mut self, side: Side) -> &mut SideTotals {
        if side == Side::A { &mut self.a } else { &mut self.b }
    }
}

/// A run at work.
pub(super) struct Cycle<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cx: &'a Context,
    pub(super) cancel: &'a CancelToken,
    pub(super) observer: &'a dyn Observer,
    pub(super) run: String,
    pub(super) streams: Streams,
    pub(super) counts: &'a mut Counts,
    /// The fence of those who settle.
    pub(super) fence: Generation,
    /// Whether the sync has records in quarantine.
    pub(super) quarantined: bool,
}

impl TwoWay {
    /// Runs once: reads what changed on both sides, and settles it.
    ///
    /// # Errors
    /// Only when the run could not begin: an unknown stream, a side that lacks what a two-way sync needs. What paused
    /// it, or stopped it once begun, is in the report's [`End`].
    pub async fn run(&self, cx: &Context, observer: &dyn Observer) -> Result<TwoWayReport> {
        let meter = Arc::new(Meter::default());
        let cancel = cx.cancel().cloned().unwrap_or_default();
        let cx = cx.clone().with_meter(meter.clone()).with_cancel(CancelToken::new());
        let mut counts = Counts::default();
        let end = match contained(self.0.streams(&cx)).await {
            Ok(streams) => {
                let work = Box::pin(self.cycle(&cx, &cancel, observer, streams, &mut counts));
                contained(work).await.unwrap_or_else(|error| end_of(error, self.0.clock.now()))
            }
            Err(error) => match end_of(error, self.0.clock.now()) {
                End::Stopped { error } => return Err(error),
                end => end,
            },
        };
        Ok(TwoWayReport {
            sync: self.0.name.clone(),
            end,
            a: counts.a,
            b: counts.b,
            decided: counts.decided,
            queued: counts.queued,
            refused: counts.refused,
            deferred: counts.deferred,
            bounced: counts.bounced,
            requests: meter.usage().requests,
            warnings: counts.warnings,
        })
    }

    async fn cycle(
        &self,
        cx: &Context,
        cancel: &CancelToken,
        observer: &dyn Observer,
        streams: Streams,
        counts: &mut Counts,
    ) -> Result<End> {
        let plan = &*self.0;
        let since = plan.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:011x}-{:08x}", since.as_millis(), fastrand::u32(..));
        observer.on(&Progress::Started { run: run.clone(), resumed: false });
        // Whoever begins later takes over: the other one's next step is fenced.
        let key = plan.state_key(cx, None);
        let before = plan.checkpoints.load(&key).await?.map_or(Generation::default(), |(_, at)| at);
        let fence = plan.checkpoints.save(&key, before, run.as_bytes()).await?;
        let quarantined = plan.quarantine.count(Some(&plan.name)).await? > 0;
        let mut cycle = Cycle { plan, cx, cancel, observer, run, streams, counts, fence, quarantined };
        for (side, stream) in [(Side::A, &cycle.streams.a.0), (Side::B, &cycle.streams.b.0)] {
            if !tells_deletions(stream) {
                let text =
                    format!("side {side:?} does not tell what is deleted: that stays at the other side");
                cycle.counts.warnings.push(text);
            }
        }
        for side in [Side::A, Side::B] {
            if !cycle.pull(side).await? {
                return Ok(End::Cancelled);
            }
        }
        if !cycle.settle().await? {
            return Ok(End::Cancelled);
        }
        Ok(End::Complete)
    }
}

impl Cycle<'_> {
    /// Makes sure that nobody has taken over.
    ///
    /// # Errors
    /// `Fenced` when somebody has.
    pub(super) async fn hold(&mut self) -> Result<()> {
        let key = self.plan.state_key(self.cx, None);
        self.fence = self.plan.checkpoints.save(&key, self.fence, self.run.as_bytes()).await?;
        Ok(())
    }

    pub(super) fn warn(&mut self, text: String) {
        self.observer.on(&Progress::Warning { text: text.clone() });
        if self.counts.warnings.len() < 100 {
            self.counts.warnings.push(text);
        }
    }
}

/// One that a mapper or side refused for good.
pub(super) fn is_about_the_record(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Invalid
            | ErrorKind::Schema
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Permission
            | ErrorKind::Ambiguous
    )
}
