//! From the pages of a walk to the events of a read.

#![deny(clippy::arithmetic_side_effects)]

use std::future::Future;
use std::hash::{Hash, Hasher};

use acople_core::json::FieldPath;
use acople_core::{
    Batch, Cursors, Error, ErrorKind, Event, EventStream, ReadMode, ReadRequest, Record, Result,
};
use async_stream::try_stream;
use futures_util::StreamExt;
use serde::Serialize;

use crate::Walk;

/// Empty pages in a row that are taken for a list that goes on.
pub(crate) const EMPTY_PAGES: usize = 100;

/// One page on its way to becoming events, as a connector's [`Walk`] brings it.
#[derive(Debug)]
pub struct Portion<S> {
    /// The records that are handed out.
    pub batch: Batch,
    /// What a cursor behind these records keeps; `None` when there is nothing yet to go on from.
    pub state: Option<S>,
    /// Whether the listing, or the run, is complete with this page.
    pub complete: bool,
    /// What the host should know. The same warning is passed on once in a row.
    pub warning: Option<String>,
}

/// The events of a read whose pages a walk brings: the frame of the snapshot, batches, checkpoints.
///
/// - Nothing is asked for before the stream is pulled; `walk` is made then, and prefetches as the request says.
/// - A checkpoint follows every batch, and the end of a run that found nothing.
/// - A full read that no cursor resumed is framed as a snapshot; the frame is closed only when a page said
///   that it is complete.
/// - A hundred empty pages in a row end the read with an error.
/// - A limit of 0 asks for nothing. Other limits are the walk's to keep, which also knows from where the rest
///   of a page that was cut can be read: see [`Left`].
pub fn events<S, P>(
    cursors: Cursors,
    request: ReadRequest,
    walk: impl Future<Output = Result<Walk<Portion<S>, P>>> + Send + 'static,
) -> EventStream
where
    S: Serialize + Send + Sync + Unpin + 'static,
    P: Hash + Clone + Send + Unpin + 'static,
{
    Box::pin(try_stream! {
        if request.limit() == Some(0) {
            return;
        }
        let snapshot = request.mode() == ReadMode::Full && request.cursor().is_none();
        let mut walk = walk.await?.prefetch(request.prefetch());
        if snapshot {
            yield Event::SnapshotBegin;
        }
        let (mut empty, mut whole, mut said) = (0_usize, false, None);
        while let Some(step) = walk.next().await {
            let Portion { batch, state, complete, warning } = step?.item;
            if let Some(warning) = warning
                && said.as_ref() != Some(&warning)
            {
                said = Some(warning.clone());
                yield Event::Warning(warning);
            }
            empty = if batch.is_empty() { empty.saturating_add(1) } else { 0 };
            if empty > EMPTY_PAGES && !complete {
                let message = format!("more than {EMPTY_PAGES} empty pages in a row");
                Err(Error::new(ErrorKind::Protocol, message))?;
            }
            if empty == 0 {
                yield Event::Batch(batch);
            }
            if let Some(state) = state.filter(|_| empty == 0 || complete) {
                yield Event::Checkpoint(cursors.cursor(&request, &state)?);
            }
            whole = complete;
        }
        if snapshot && whole {
            yield Event::SnapshotEnd;
        }
    })
}

/// How many records of a read are still wanted: a part of a walk's positions, so that no page is asked for
/// that a limit makes useless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left(Option<u64>);

impl Left {
    /// What a request wants.
    pub fn of(request: &ReadRequest) -> Self {
        Self(request.limit())
    }

    /// The number; `None`: all there are.
    pub fn get(self) -> Option<u64> {
        self.0
    }

    /// Whether no more are wanted.
    pub fn is_spent(self) -> bool {
        self.0 == Some(0)
    }

    /// Cuts a batch to what is wanted, and counts it.
    pub fn take(&mut self, batch: Batch) -> Batch {
        let Some(left) = &mut self.0 else { return batch };
        let batch = match usize::try_from(*left) {
            Ok(most) if most < batch.len() => batch.select(0..most),
            _ => batch,
        };
        *left = left.saturating_sub(batch.len() as u64);
        batch
    }
}

/// A part of a walk's position that goes along from page to page and does not tell one page from another: what
/// was seen so far, how many records are [left](Left). Without it a list that runs in a circle would pass for
/// one that goes on, because the count changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried<T>(pub T);

impl<T> Hash for Carried<T> {
    /// Nothing.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What a field of a record says about where a list goes on: its id, or when it was changed. `read` is given the
/// text, or the digits of a number.
///
/// ```
/// use acople_core::{Batch, json::FieldPath};
/// use acople_http::place_of;
///
/// # fn main() -> acople_core::Result<()> {
/// let batch = Batch::from_records("orders", [r#"{"id":17}"#])?;
/// let last = batch.last().map(|last| place_of(last, &FieldPath::parse("id")?, |id| id.parse::<u64>().ok()));
/// assert_eq!(last.transpose()?, Some(17));
/// # Ok(()) }
/// ```
///
/// # Errors
/// `Protocol` with the field, when there is no text that `read` understands.
pub fn place_of<T>(record: Record<'_>, path: &FieldPath, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = record.get(path)?.scalar_text()?.filter(|text| !text.is_empty());
    text.and_then(|text| read(&text)).ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "a record does not say where to go on").with_field(path.to_string())
    })
}
