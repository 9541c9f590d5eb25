//! The loop that runs what is due.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use acople_core::{CheckpointStore, Clock, Context, Error, ErrorKind, Priority, Result, SystemClock};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::queue::Queue;
use crate::remembered::Remembered;
use crate::table::{Follows, Start, Table};
use crate::{Entry, Next, ScheduleEvent, ScheduleObserver};

/// How soon a clock that was set is noticed.
const LOOK: Duration = Duration::from_secs(60);

/// How much longer than its limit a run may take before it is dropped.
const GRACE: Duration = Duration::from_secs(60);

/// Runs entries when they are due. Cheap to clone; all clones are one scheduler.
///
/// It spawns nothing: the future of [`run`](Self::run) does all the work, so that a host decides on which task, and
/// tasks that need more than one processor spawn themselves. Nothing is missed while it is not running: see
/// [`CatchUp`](crate::CatchUp).
#[derive(Clone)]
pub struct Scheduler(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    changed: Notify,
    is_running: AtomicBool,
    clock: Arc<dyn Clock>,
    slots: usize,
    weight: Box<dyn Fn(&str) -> u32 + Send + Sync>,
    remembered: Option<Remembered>,
    observer: Option<Arc<dyn ScheduleObserver>>,
}

/// Options of a [`Scheduler`].
pub struct SchedulerBuilder {
    clock: Arc<dyn Clock>,
    slots: usize,
    per_tenant: usize,
    patience: Duration,
    weight: Box<dyn Fn(&str) -> u32 + Send + Sync>,
    store: Option<Arc<dyn CheckpointStore>>,
    observer: Option<Arc<dyn ScheduleObserver>>,
}

impl SchedulerBuilder {
    /// The clock that schedules go by. The machine's unless set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs at once. 16 unless set; at least 1.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// Runs at once of one tenant. 4 unless set; at least 1.
    pub fn per_tenant(mut self, runs: usize) -> Self {
        self.per_tenant = runs.max(1);
        self
    }

    /// How large a tenant's share is when slots are few: one of weight 2 gets twice the time of one of weight 1. Each 1
    /// unless set; at least 1.
    pub fn weight(mut self, weight: impl Fn(&str) -> u32 + Send + Sync + 'static) -> Self {
        self.weight = Box::new(weight);
        self
    }

    /// How long a run waits before it goes ahead of one with a priority one step higher that is due now. 15 minutes
    /// unless set.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Remembers when entries ran last, so that runs that were missed while no process was there are made up for.
    pub fn store(mut self, store: Arc<dyn CheckpointStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Is told what happens.
    pub fn observer(mut self, observer: Arc<dyn ScheduleObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The scheduler, without entries.
    pub fn build(self) -> Scheduler {
        Scheduler(Arc::new(Inner {
            table: Mutex::new(Table::new(Queue::new(self.per_tenant, self.patience))),
            changed: Notify::new(),
            is_running: AtomicBool::new(false),
            clock: self.clock,
            slots: self.slots,
            weight: self.weight,
            remembered: self.store.map(Remembered::new),
            observer: self.observer,
        }))
    }
}

impl Scheduler {
    /// Options.
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder {
            clock: Arc::new(SystemClock),
            slots: 16,
            per_tenant: 4,
            patience: Duration::from_secs(15 * 60),
            weight: Box::new(|_| 1),
            store: None,
            observer: None,
        }
    }

    /// Adds an entry, in place of the tenant's one of the same name, whose run goes on to its end. At any time, also
    /// while the scheduler runs.
    ///
    /// # Errors
    /// Of the store, when it cannot say when the entry ran last. Then it is not added.
    pub async fn add(&self, entry: Entry) -> Result<()> {
        let last = match &self.0.remembered {
            Some(remembered) => remembered.load(&entry).await?,
            None => None,
        };
        let (tenant, name) = (entry.tenant.clone(), entry.name.clone());
        let follows = self.0.table().add(entry, last, self.0.clock.now());
        self.0.tell_missed(&tenant, &name, follows);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Removes an entry; its run goes on to its end. Whether there was one.
    ///
    /// # Errors
    /// Of the store, when it cannot forget when the entry ran last. The entry is removed all the same.
    pub async fn remove(&self, tenant: &str, name: &str) -> Result<bool> {
        let was_there = self.0.table().remove(&tenant.into(), &name.into());
        if let Some(remembered) = &self.0.remembered {
            remembered.forget(tenant, name).await?;
        }
        Ok(was_there)
    }

    /// Makes an entry due now. When it is running, it runs once more afterwards. Whether there is one.
    pub fn trigger(&self, tenant: &str, name: &str) -> bool {
        let is_there = self.0.table().trigger(&tenant.into(), &name.into(), self.0.clock.now());
        self.0.changed.notify_one();
        is_there
    }

    /// When the next entry is due that is neither running nor waiting for a slot.
    pub fn next_due(&self) -> Option<SystemTime> {
        self.0.table().next()
    }

    /// Runs entries as they become due, until `cx` is cancelled: then it begins nothing more, and returns when the runs
    /// that were under way have ended. Dropping it drops them.
    ///
    /// # Errors
    /// `Config` when this scheduler is running already.
    pub async fn run(&self, cx: &Context) -> Result<()> {
        self.0.work(cx, false).await
    }

    /// Runs what is due now and what becomes due meanwhile, and returns when nothing is: for hosts with a scheduler of
    /// their own. When to call it again: see [`next_due`](Self::next_due).
    ///
    /// # Errors
    /// `Config` when this scheduler is running already.
    pub async fn run_due(&self, cx: &Context) -> Result<Option<SystemTime>> {
        self.0.work(cx, true).await?;
        Ok(self.next_due())
    }
}

impl Inner {
    async fn work(&self, cx: &Context, once: bool) -> Result<()> {
        if self.is_running.swap(true, Ordering::SeqCst) {
            return Err(Error::config("scheduler", "it is running already"));
        }
        let _running = Running(&self.is_running);
        let mut runs: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + '_>>> =
            FuturesUnordered::new();
        loop {
            while !cx.is_cancelled() && runs.len() < self.slots {
                let Some(start) = self.table().start(self.clock.now()) else { break };
                runs.push(Box::pin(self.perform(start, cx)));
            }
            if runs.is_empty() && (once || cx.is_cancelled()) {
                return Ok(());
            }
            let begins = !cx.is_cancelled() && runs.len() < self.slots;
            let until_due = if begins { self.until_due() } else { LOOK };
            tokio::select! {
                Some(()) = runs.next() => {}
                () = cx.cancelled(), if !cx.is_cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(until_due) => {}
            }
        }
    }

    /// How long until there is something to begin, as far as one can see.
    fn until_due(&self) -> Duration {
        let next = self.table().next();
        next.map_or(LOOK, |next| next.duration_since(self.clock.now()).unwrap_or_default().min(LOOK))
    }

    /// One run, from its start to what follows.
    async fn perform(&self, start: Start, cx: &Context) {
        let (tenant, name) = (&*start.entry.tenant, &*start.entry.name);
        // Also when the run is dropped: the entry would never run again.
        let mut slot = Slot { inner: self, start: &start, began: Instant::now(), ended: false };
        let waited = self.clock.now().duration_since(start.due).unwrap_or_default();
        self.tell(tenant, name, &ScheduleEvent::Started { due: start.due, waited });
        let result = limited(&start.entry, cx).await;
        let took = slot.began.elapsed();
        let (next, not_before) = match &result {
            Ok(next) => (*next, None),
            Err(error) => (Next::AsScheduled, error.retry_at().or_else(|| self.after(error.retry_after()))),
        };
        let saved = match &self.remembered {
            Some(remembered) => remembered.save(&start.entry, start.scheduled).await,
            None => Ok(()),
        };
        if let Err(error) = saved {
            self.tell(tenant, name, &ScheduleEvent::NotRemembered { error: &error });
        }
        let follows = slot.end(next, not_before);
        let next = follows.next;
        match &result {
            Ok(_) => self.tell(tenant, name, &ScheduleEvent::Finished { took, next }),
            Err(error) => self.tell(tenant, name, &ScheduleEvent::Failed { error, took, next }),
        }
        self.tell_missed(tenant, name, follows);
    }

    fn after(&self, wait: Option<Duration>) -> Option<SystemTime> {
        self.clock.now().checked_add(wait?)
    }

    fn tell(&self, tenant: &str, name: &str, event: &ScheduleEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.event(tenant, name, event);
        }
    }

    fn tell_missed(&self, tenant: &str, name: &str, follows: Follows) {
        if follows.missed > 0 {
            self.tell(tenant, name, &ScheduleEvent::Missed { runs: follows.missed });
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the task within its limit. A panic is a failure of this run, and of nothing else.
async fn limited(entry: &Entry, cx: &Context) -> Result<Next> {
    let deadline = Instant::now().checked_add(entry.limit);
    let mut own = cx.clone().with_priority(Priority::Batch);
    if !entry.tenant.is_empty() {
        own = own.with_tenant(entry.tenant.clone());
    }
    if let Some(deadline) = deadline {
        own = own.with_deadline(deadline.into_std());
    }
    let run = AssertUnwindSafe(async { entry.task.run(&own).await }).catch_unwind();
    match tokio::time::timeout(entry.limit.saturating_add(GRACE), run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::new(ErrorKind::Internal, "the task panicked")),
        Err(_) => Err(Error::new(ErrorKind::Timeout, "the task ran over its time limit and was dropped")),
    }
}

/// The place of a run, given back at its end.
struct Slot<'a> {
    inner: &'a Inner,
    start: &'a Start,
    began: Instant,
    ended: bool,
}

impl Slot<'_> {
    fn end(&mut self, next: Next, not_before: Option<SystemTime>) -> Follows {
        self.ended = true;
        let tenant = &self.start.entry.tenant;
        let weight = (self.inner.weight)(tenant);
        let mut table = self.inner.table();
        table.release(tenant, self.began.elapsed(), weight);
        table.finished(self.start, self.inner.clock.now(), next, not_before)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // It has not run to its end: it is due again.
            let now = self.inner.clock.now();
            self.end(Next::At(now), None);
        }
    }
}

struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("slots", &self.0.slots).finish_non_exhaustive()
    }
}

impl fmt::Debug for SchedulerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerBuilder").field("slots", &self.slots).finish_non_exhaustive()
    }
}
