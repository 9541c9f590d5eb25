//! Follows a list that [`Paging`] describes from page to page.

#![deny(clippy::arithmetic_side_effects)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use acople_core::{Batch, Context, Error, ErrorKind, Record, Result};
use futures_util::Stream;

use crate::reading::EMPTY_PAGES;
use crate::{Call, Client, Fetched, List, Paging, Position, Step, Walk};

/// The pages of a list, as a stream: a [`Walk`] whose positions [`Paging`] finds.
///
/// The next page is asked for as soon as its position is known, while the consumer works on this one. A
/// position or a counted page that comes twice, and too many empty pages in a row, end the stream with an
/// error: a list that runs in a circle never ends. An empty page with a next position is not the end.
#[must_use = "streams do nothing unless polled"]
pub struct Pages {
    list: List,
    call: Call,
    walk: Walk<Fetched, Option<Position>>,
    empty: usize,
    /// Of a list whose positions only count: what the page before began and ended with.
    before: u64,
}

impl Pages {
    /// The pages of a list. `call` asks for the first one; `records` says where an answer's records are:
    /// the first of the places that is there counts, and the empty path means that the answer is the
    /// array.
    ///
    /// # Errors
    /// `Internal` when a path does not parse.
    pub fn new(
        client: &Client,
        cx: &Context,
        call: Call,
        stream: impl Into<Arc<str>>,
        records: &[&str],
        paging: Paging,
    ) -> Result<Self> {
        let list = List::new(client, cx, stream, records, paging)?;
        Ok(Self { walk: walk(&list, &call, None), list, call, empty: 0, before: 0 })
    }

    /// Starts at a position instead of the first page.
    pub fn from(mut self, position: Option<Position>) -> Self {
        self.walk = walk(&self.list, &self.call, position);
        self
    }

    /// Sets how many bytes of page may be held ready; 0 fetches on demand only.
    pub fn prefetch(mut self, bytes: usize) -> Self {
        self.walk = self.walk.prefetch(bytes);
        self
    }
}

fn walk(list: &List, call: &Call, first: Option<Position>) -> Walk<Fetched, Option<Position>> {
    let (list, call) = (list.clone(), call.clone());
    Walk::new(first, move |at| {
        let (list, call) = (list.clone(), call.clone());
        async move {
            let fetched = list.fetch(call, at.as_ref()).await?;
            Ok(Step { bytes: fetched.batch.bytes(), next: fetched.next.clone().map(Some), item: fetched })
        }
    })
}

impl Stream for Pages {
    type Item = Result<Fetched>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.empty > EMPTY_PAGES {
            return Poll::Ready(None); // it has failed
        }
        let fetched = match ready!(Pin::new(&mut this.walk).poll_next(task)) {
            Some(Ok(step)) => step.item,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        this.empty = if fetched.batch.is_empty() { this.empty.saturating_add(1) } else { 0 };
        if this.empty > EMPTY_PAGES && fetched.next.is_some() {
            let message = format!("more than {EMPTY_PAGES} empty pages in a row");
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Protocol, message))));
        }
        if let Some(Position::Count(_)) = fetched.next {
            // Such a list has no positions that could come twice: a vendor that does not know the parameter
            // gives the first page for ever.
            let page = ends(&fetched.batch);
            if page == this.before {
                this.empty = EMPTY_PAGES + 1;
                let message = "the list does not go on: the same page came twice";
                return Poll::Ready(Some(Err(Error::new(ErrorKind::Protocol, message))));
            }
            this.before = page;
        }
        Poll::Ready(Some(Ok(fetched)))
    }
}

fn ends(batch: &Batch) -> u64 {
    let mut hasher = DefaultHasher::new();
    batch.len().hash(&mut hasher);
    for index in [0, batch.len().saturating_sub(1)] {
        batch.get(index).map(Record::raw).hash(&mut hasher);
    }
    hasher.finish()
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("list", &self.list).finish_non_exhaustive()
    }
}
