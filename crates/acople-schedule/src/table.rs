//! All entries, and when each is due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::jitter;
use crate::queue::{Id, Queue};
use crate::{CatchUp, Entry, Next};

/// Missed runs that are counted, and made up for at most.
const MISSED: u32 = 1_000;

/// All entries, and when each is due.
#[derive(Debug)]
pub(crate) struct Table {
    names: BTreeMap<(Arc<str>, Arc<str>), Id>,
    entries: BTreeMap<Id, State>,
    waiting: BTreeSet<(SystemTime, Id)>,
    queue: Queue,
    last_id: Id,
}

#[derive(Debug)]
struct State {
    entry: Entry,
    phase: Phase,
    /// Triggered while it ran: runs once more.
    again: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For its time, or for ever.
    Waiting(Option<Due>),
    /// For a slot.
    Ready(Due),
    Running,
}

/// A run that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// As the schedule says.
    scheduled: SystemTime,
    /// With jitter, or when it was asked for.
    at: SystemTime,
}

/// A run that begins.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) id: Id,
    pub(crate) entry: Entry,
    pub(crate) scheduled: SystemTime,
    pub(crate) due: SystemTime,
}

/// What follows a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Follows {
    pub(crate) next: Option<SystemTime>,
    pub(crate) missed: u32,
}

impl Table {
    pub(crate) fn new(queue: Queue) -> Self {
        let (names, entries, waiting) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { names, entries, waiting, queue, last_id: 0 }
    }

    /// Adds an entry that ran last at `last`; in place of the one of its name, whose run goes on to its end.
    pub(crate) fn add(&mut self, entry: Entry, last: Option<SystemTime>, now: SystemTime) -> Follows {
        self.remove(&entry.tenant, &entry.name);
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let (due, missed) = match last {
            Some(last) => plan(&entry, last, now),
            None if entry.at_once => (Some(Due { scheduled: now, at: now }), 0),
            None => (entry.schedule.after(now).map(|scheduled| with_jitter(&entry, scheduled)), 0),
        };
        self.names.insert((entry.tenant.clone(), entry.name.clone()), id);
        self.entries.insert(id, State { entry, phase: Phase::Waiting(None), again: false });
        self.wait(id, due);
        Follows { next: due.map(|due| due.at), missed }
    }

    /// Whether there was one.
    pub(crate) fn remove(&mut self, tenant: &Arc<str>, name: &Arc<str>) -> bool {
        let Some(id) = self.names.remove(&(tenant.clone(), name.clone())) else { return false };
        match self.entries.get(&id).map(|state| state.phase) {
            // Forgotten when its run ends.
            Some(Phase::Running) => return true,
            Some(Phase::Waiting(Some(due))) => {
                self.waiting.remove(&(due.at, id));
            }
            Some(Phase::Ready(_)) => self.queue.remove(tenant, id),
            Some(Phase::Waiting(None)) | None => {}
        }
        self.entries.remove(&id);
        true
    }

    /// Makes an entry due now. Whether there is one.
    pub(crate) fn trigger(&mut self, tenant: &Arc<str>, name: &Arc<str>, now: SystemTime) -> bool {
        let Some(&id) = self.names.get(&(tenant.clone(), name.clone())) else { return false };
        let Some(state) = self.entries.get_mut(&id) else { return false };
        match state.phase {
            Phase::Running => state.again = true,
            Phase::Ready(_) => {}
            Phase::Waiting(due) => {
                if let Some(due) = due {
                    self.waiting.remove(&(due.at, id));
                }
                self.wait(id, Some(Due { scheduled: now, at: now }));
            }
        }
        true
    }

    /// When the next entry is due that still waits for its time.
    pub(crate) fn next(&self) -> Option<SystemTime> {
        self.waiting.first().map(|&(at, _)| at)
    }

    /// The run that goes next, of those that are due.
    pub(crate) fn start(&mut self, now: SystemTime) -> Option<Start> {
        while let Some(&(at, id)) = self.waiting.first().filter(|&&(at, _)| at <= now) {
            self.waiting.remove(&(at, id));
            let Some(state) = self.entries.get_mut(&id) else { continue };
            if let Phase::Waiting(Some(due)) = state.phase {
                state.phase = Phase::Ready(due);
                self.queue.push(&state.entry.tenant, id, due.at, state.entry.priority);
            }
        }
        let id = self.queue.pop()?;
        let state = self.entries.get_mut(&id)?;
        let Phase::Ready(due) = std::mem::replace(&mut state.phase, Phase::Running) else { return None };
        Some(Start { id, entry: state.entry.clone(), scheduled: due.scheduled, due: due.at })
    }

    /// A run has ended. `not_before` is what its error asked for.
    pub(crate) fn finished(
        &mut self,
        start: &Start,
        now: SystemTime,
        next: Next,
        not_before: Option<SystemTime>,
    ) -> Follows {
        let name = (start.entry.tenant.clone(), start.entry.name.clone());
        if self.names.get(&name) != Some(&start.id) {
            self.entries.remove(&start.id);
            return Follows::default();
        }
        let Some(state) = self.entries.get_mut(&start.id) else { return Follows::default() };
        let again = std::mem::take(&mut state.again);
        let (due, missed) = match next {
            _ if again => (Some(Due { scheduled: now, at: now }), 0),
            Next::Never => (None, 0),
            Next::At(at) => (Some(Due { scheduled: at.max(now), at: at.max(now) }), 0),
            Next::AsScheduled => plan(&state.entry, start.scheduled, now),
        };
        let due = due.map(|due| Due { at: due.at.max(not_before.unwrap_or(due.at)), ..due });
        self.wait(start.id, due);
        Follows { next: due.map(|due| due.at), missed }
    }

    /// The slot of a run is free.
    pub(crate) fn release(&mut self, tenant: &Arc<str>, took: Duration, weight: u32) {
        self.queue.finished(tenant, took, weight);
    }

    fn wait(&mut self, id: Id, due: Option<Due>) {
        let Some(state) = self.entries.get_mut(&id) else { return };
        state.phase = Phase::Waiting(due);
        if let Some(due) = due {
            self.waiting.insert((due.at, id));
        }
    }
}

/// The run after the one of `last`, and how many are dropped.
fn plan(entry: &Entry, last: SystemTime, now: SystemTime) -> (Option<Due>, u32) {
    let Some(first) = entry.schedule.after(last) else { return (None, 0) };
    if first > now {
        return (Some(with_jitter(entry, first)), 0);
    }
    let fresh = || entry.schedule.after(now).map(|scheduled| with_jitter(entry, scheduled));
    match entry.catch_up {
        CatchUp::Skip => (fresh(), missed(entry, first, now, 0).1),
        CatchUp::Once => (Some(Due { scheduled: now, at: now }), 0),
        CatchUp::Each(most) => match missed(entry, first, now, most.min(MISSED)) {
            (Some(oldest), dropped) => (Some(Due { scheduled: oldest, at: oldest }), dropped),
            (None, dropped) => (fresh(), dropped),
        },
    }
}

/// The oldest of the last `kept` times from `first` to `now`, and how many are before it.
fn missed(entry: &Entry, first: SystemTime, now: SystemTime, kept: u32) -> (Option<SystemTime>, u32) {
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    let mut last = VecDeque::new();
    let mut dropped = 0u32;
    let mut at = Some(first);
    while let Some(time) = at.filter(|&time| time <= now && dropped < MISSED) {
        last.push_back(time);
        if last.len() > kept {
            last.pop_front();
            dropped = dropped.saturating_add(1);
        }
        at = entry.schedule.after(time);
    }
    (last.front().copied(), dropped)
}

fn with_jitter(entry: &Entry, scheduled: SystemTime) -> Due {
    let delay = jitter::delay(&entry.name, scheduled, entry.jitter);
    Due { scheduled, at: scheduled.checked_add(delay).unwrap_or(scheduled) }
}
