//! Reads that may begin at one source or the next.

use std::sync::Arc;

use acople_core::{Context, Error, ErrorKind, Event, EventStream, ReadRequest, Result};
use async_stream::try_stream;
use futures_util::StreamExt;

use super::{Inner, Standby};

/// Events that say nothing of the records yet, which are held back until it is certain that there are some. More
/// than these are a listing that has begun.
const HELD: usize = 16;

impl Inner {
    /// The events of the first source whose listing begins.
    pub(super) fn read(this: &Arc<Self>, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let (pinned, request) = this.placed(request)?;
        let (first, after) = match pinned {
            Some(place) => (place, place + 1),
            None => (0, this.sources.len()),
        };
        // What is wrong at once is said at once.
        let mut opened = match this.open(first, cx, &request) {
            Err(error) if pinned.is_some() || !this.goes_on(first, &error) => return Err(error),
            opened => Some(opened),
        };
        let (this, cx) = (this.clone(), cx.clone());
        Ok(Box::pin(try_stream! {
            let mut failed: Option<Error> = None;
            for place in first..after {
                let opened = opened.take().unwrap_or_else(|| this.open(place, &cx, &request));
                let begun = match opened {
                    Ok(events) if pinned.is_some() => begin(events).await,
                    Ok(events) => this.in_time(place, begin(events)).await,
                    Err(error) => Err(error),
                };
                let (held, rest) = match begun {
                    Ok(begun) => begun,
                    Err(error) if pinned.is_none() && this.goes_on(place, &error) => {
                        failed.get_or_insert(error);
                        continue;
                    }
                    Err(error) => Err(error)?,
                };
                this.answered(place, failed.as_ref());
                let Some(source) = this.sources.get(place) else { return };
                if place > 0 {
                    yield Event::Warning(this.mark(source, request.stream(), failed.as_ref()));
                }
                let mut events = futures_util::stream::iter(held.into_iter().map(Ok)).chain(rest);
                while let Some(event) = events.next().await {
                    if let Some(event) = source.passed_on(event?, place == 0)? {
                        yield event;
                    }
                }
                return;
            }
            if let Some(error) = failed {
                Err(error)?;
            }
        }))
    }

    fn open(&self, place: usize, cx: &Context, request: &ReadRequest) -> Result<EventStream> {
        let source = self.sources.get(place).ok_or_else(super::none_left)?;
        if source.is_too_old(request.stream()) {
            let message = format!("the copy of {} at {} is too old", request.stream(), source.name);
            return Err(Error::new(ErrorKind::Transient, message));
        }
        source.connector.read(cx, request.clone())
    }

    /// What the host is told of a read that the primary does not answer.
    fn mark(&self, source: &Standby, stream: &str, instead: Option<&Error>) -> String {
        let (name, primary) = (&source.name, &self.primary);
        let why = match instead {
            Some(error) => format!("{stream}: {name} answers for {primary} ({})", error.kind()),
            None => format!("{stream}: read on at {name}, where the cursor belongs, and not at {primary}"),
        };
        match source.age_of(stream) {
            Some(age) => format!("{why}; its data is {} s old", age.as_secs()),
            None => why,
        }
    }
}

/// Waits until a listing says something of its records, and gives what it has said before, and the rest.
async fn begin(mut events: EventStream) -> Result<(Vec<Event>, EventStream)> {
    let mut held = Vec::new();
    while let Some(event) = events.next().await {
        let event = event?;
        let early = matches!(event, Event::SnapshotBegin | Event::Warning(_));
        held.push(event);
        if !early || held.len() >= HELD {
            break;
        }
    }
    Ok((held, events))
}
