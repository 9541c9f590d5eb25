//! Reading one batch ahead while the destination works.

use std::collections::VecDeque;
use std::pin::pin;

use acople_core::{Event, EventStream, Result};
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};

/// Events that are read ahead: a source may have checkpoints without records.
const EVENTS_AHEAD: usize = 16;

/// The source's events, of which a few may be read ahead: at most one batch.
pub(crate) struct Ahead {
    events: stream::Fuse<EventStream>,
    ready: VecDeque<Result<Event>>,
}

impl Ahead {
    pub(crate) fn new(events: EventStream) -> Self {
        Self { events: events.fuse(), ready: VecDeque::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Event>> {
        match self.ready.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Does the work, and meanwhile reads until one batch is ready.
    pub(crate) async fn while_working<T>(&mut self, work: impl Future<Output = T>, ahead: bool) -> T {
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
