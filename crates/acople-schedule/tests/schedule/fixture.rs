//! A clock that goes with tokio's, tasks that note their runs, an observer that keeps what it is told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acople_core::{Clock, Context, Error, ErrorKind, Result};
use acople_schedule::{Next, ScheduleEvent, ScheduleObserver, Scheduler, SchedulerBuilder, Task};
use async_trait::async_trait;
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z.
pub(crate) const START: u64 = 1_767_225_600;

/// Wall time that goes with tokio's paused clock.
#[derive(Debug)]
pub(crate) struct Together(Instant);

impl Together {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for Together {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START) + self.0.elapsed()
    }
}

/// Seconds since the start.
pub(crate) fn at(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH + Duration::from_secs(START)).unwrap().as_secs_f64()
}

/// Takes its time and notes when it began.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) takes: Duration,
    pub(crate) clock: Arc<Together>,
    pub(crate) began: Mutex<Vec<f64>>,
    pub(crate) answer: fn(&Context, SystemTime) -> Result<Next>,
}

impl Work {
    pub(crate) fn new(clock: &Arc<Together>, takes: u64) -> Arc<Self> {
        Self::with(clock, takes, |_, _| Ok(Next::AsScheduled))
    }

    pub(crate) fn with(
        clock: &Arc<Together>,
        takes: u64,
        answer: fn(&Context, SystemTime) -> Result<Next>,
    ) -> Arc<Self> {
        let (takes, clock) = (Duration::from_secs(takes), clock.clone());
        Arc::new(Self { takes, clock, began: Mutex::default(), answer })
    }

    pub(crate) fn began(&self) -> Vec<f64> {
        self.began.lock().unwrap().clone()
    }
}

#[async_trait]
impl Task for Work {
    async fn run(&self, cx: &Context) -> Result<Next> {
        self.began.lock().unwrap().push(at(self.clock.now()));
        tokio::time::sleep(self.takes).await;
        (self.answer)(cx, self.clock.now())
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<String>>);

impl ScheduleObserver for Heard {
    fn event(&self, tenant: &str, name: &str, event: &ScheduleEvent<'_>) {
        let what = match event {
            ScheduleEvent::Started { waited, .. } => format!("started after {}", waited.as_secs()),
            ScheduleEvent::Finished { .. } => "finished".to_owned(),
            ScheduleEvent::Failed { error, .. } => format!("failed: {}", error.message()),
            ScheduleEvent::Missed { runs } => format!("missed {runs}"),
            ScheduleEvent::NotRemembered { error } => format!("not remembered: {}", error.kind().as_str()),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(format!("{tenant}/{name} {what}"));
    }
}

impl Heard {
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

pub(crate) fn builder(clock: &Arc<Together>) -> SchedulerBuilder {
    Scheduler::builder().clock(clock.clone())
}

/// Lets the scheduler run for so many seconds, and ends it.
pub(crate) async fn run_for(scheduler: &Scheduler, seconds: u64) {
    let cx = Context::new();
    let work = scheduler.run(&cx);
    let ended = tokio::time::timeout(Duration::from_secs(seconds), work).await;
    assert!(ended.is_err(), "a scheduler runs until it is cancelled");
}

pub(crate) fn failure() -> Error {
    Error::new(ErrorKind::Transient, "the vendor is down")
}
