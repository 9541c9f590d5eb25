//! When the child dies.

use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_testkit::sandbox::{Phase, Seen, Then};
use acople_tests::job::{Hold, Point};

/// Requests that read leads.
const READS: [&str; 2] = ["query_all", "query_more"];

/// Requests that write contacts.
const WRITES: [&str; 2] = ["batch_upsert", "batch_archive"];

/// The requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Read,
    Write,
}

/// A moment of a child's life, and with it the end of that life.
#[derive(Clone, Copy, Debug)]
pub enum Kill {
    /// Exactly then: what the request has done so far stays, and it goes no further.
    At(Request, Phase, u32),
    /// Some time after the answer.
    After(Request, u32, Duration),
    /// The child stands still between two steps of the engine.
    Held(Hold),
}

impl Kill {
    pub fn held(point: Point, nth: u32) -> Self {
        Self::Held(Hold { point, nth })
    }

    pub fn hold(self) -> Option<Hold> {
        match self {
            Self::Held(hold) => Some(hold),
            _ => None,
        }
    }

    /// Any moment of a life, most of them early.
    pub fn random(random: &mut fastrand::Rng) -> Self {
        let request = if random.bool() { Request::Read } else { Request::Write };
        let nth = random.u32(1..=3);
        match random.u32(0..10) {
            0 => Self::At(request, Phase::Received, nth),
            1 => Self::At(request, Phase::Applied, nth),
            2 => Self::At(request, Phase::Answered, nth),
            3 => {
                let points = [
                    Point::BeforeQuarantine,
                    Point::AfterQuarantine,
                    Point::BeforeCheckpoint,
                    Point::AfterCheckpoint,
                ];
                Self::held(points[random.usize(..points.len())], nth)
            }
            _ => Self::After(request, nth, Duration::from_micros(random.u64(0..12_000))),
        }
    }
}

/// A running child and its death. The hooks of both vendors look at it.
#[derive(Debug)]
pub struct Victim {
    child: Mutex<Child>,
    kill: Option<Kill>,
    seen: AtomicU32,
}

impl Victim {
    pub fn new(child: Child, kill: Option<Kill>) -> Arc<Self> {
        Arc::new(Self { child: Mutex::new(child), kill, seen: AtomicU32::new(0) })
    }

    /// SIGKILL. Does nothing when the child is dead already.
    pub fn kill(&self) {
        self.child.lock().unwrap().kill().unwrap();
    }

    /// The exit status, once the child has closed its output.
    pub fn wait(&self) -> std::process::ExitStatus {
        self.child.lock().unwrap().wait().unwrap()
    }

    /// The hook of the vendors: kills when the moment has come.
    pub fn watch(self: &Arc<Self>, seen: &Seen) -> Then {
        let (request, phase, nth, delay) = match self.kill {
            Some(Kill::At(request, phase, nth)) => (request, phase, nth, None),
            Some(Kill::After(request, nth, delay)) => (request, Phase::Answered, nth, Some(delay)),
            Some(Kill::Held(_)) | None => return Then::Go,
        };
        let operations = match request {
            Request::Read => READS,
            Request::Write => WRITES,
        };
        if seen.phase != phase
            || !operations.contains(&seen.operation)
            || self.seen.fetch_add(1, Ordering::Relaxed) + 1 != nth
        {
            return Then::Go;
        }
        match delay {
            None => {
                self.kill();
                Then::Drop
            }
            Some(delay) => {
                let victim = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    victim.kill();
                });
                Then::Go
            }
        }
    }
}
