//! Follows a list that [`Paging`] describes from page to page.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use acople_core::json::{Envelope, FieldPath};
use acople_core::{Batch, Context, Error, ErrorKind, Result};
use futures_util::Stream;
use http::HeaderMap;

use crate::{Call, Client, Paging, Position, Step, Walk};

/// Empty pages in a row that are taken for a list that goes on.
const EMPTY_PAGES: usize = 100;

/// One page of a list.
#[derive(Debug)]
pub struct Fetched {
    /// The records.
    pub batch: Batch,
    /// Where the list goes on; `None` at the end.
    pub next: Option<Position>,
    /// The answer's headers.
    pub headers: HeaderMap,
}

/// The pages of a list, as a stream: a [`Walk`] whose positions [`Paging`] finds.
///
/// The next page is asked for as soon as its position is known, while the consumer works on this one. A
/// position that comes twice, and too many empty pages in a row, end the stream with an error: a list that
/// runs in a circle never ends. An empty page with a next position is not the end.
#[must_use = "streams do nothing unless polled"]
pub struct Pages {
    source: Arc<Source>,
    walk: Walk<Fetched, Option<Position>>,
    empty: usize,
}

struct Source {
    client: Client,
    cx: Context,
    call: Call,
    stream: Arc<str>,
    envelope: Envelope,
    paging: Paging,
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
        let records = records
            .iter()
            .map(|path| FieldPath::parse(path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::from(e).with_kind(ErrorKind::Internal))?;
        let envelope = paging
            .members()
            .into_iter()
            .fold(Envelope::new(&records), Envelope::with);
        let source = Arc::new(Source {
            client: client.clone(),
            cx: cx.clone(),
            call,
            stream: stream.into(),
            envelope,
            paging,
        });
        Ok(Self {
            walk: source.walk(None),
            source,
            empty: 0,
        })
    }

    /// Starts at a position instead of the first page.
    pub fn from(mut self, position: Option<Position>) -> Self {
        self.walk = self.source.walk(position);
        self
    }

    /// Sets how many bytes of page may be held ready; 0 fetches on demand only.
    pub fn prefetch(mut self, bytes: usize) -> Self {
        self.walk = self.walk.prefetch(bytes);
        self
    }
}

impl Source {
    fn walk(self: &Arc<Self>, first: Option<Position>) -> Walk<Fetched, Option<Position>> {
        let source = self.clone();
        Walk::new(first, move |position| source.clone().fetch(position))
    }

    async fn fetch(self: Arc<Self>, position: Option<Position>) -> Result<Step<Fetched, Option<Position>>> {
        let call = match &position {
            Some(position) => self.paging.turn(self.call.clone(), position),
            None => self.call.clone(),
        };
        let answer = self.client.send(&self.cx, &call).await?;
        let headers = answer.headers().clone();
        let page = answer.into_page()?;
        let split = self
            .envelope
            .split(&page)
            .map_err(|e| Error::from(e).with_operation(call.operation()))?;
        let next = self.paging.next(position.as_ref(), &page, &split, &headers)?;
        let batch = Batch::new(self.stream.clone(), page, split.records);
        let (bytes, step) = (batch.bytes(), next.clone().map(Some));
        Ok(Step {
            item: Fetched { batch, next, headers },
            bytes,
            next: step,
        })
    }
}

impl Stream for Pages {
    type Item = Result<Fetched>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.empty > EMPTY_PAGES {
            return Poll::Ready(None);
        }
        let fetched = match ready!(Pin::new(&mut this.walk).poll_next(task)) {
            Some(Ok(step)) => step.item,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        this.empty = if fetched.batch.is_empty() {
            this.empty + 1
        } else {
            0
        };
        if this.empty > EMPTY_PAGES && fetched.next.is_some() {
            let message = format!("more than {EMPTY_PAGES} empty pages in a row");
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Protocol, message))));
        }
        Poll::Ready(Some(Ok(fetched)))
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("stream", &self.source.stream)
            .finish_non_exhaustive()
    }
}
