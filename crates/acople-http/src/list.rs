//! Single pages of a list.

use std::fmt;
use std::sync::Arc;

use acople_core::json::{Envelope, FieldPath};
use acople_core::{Batch, Context, Error, ErrorKind, Result};
use http::HeaderMap;

use crate::{Call, Client, Paging, Portion, Position, Step};

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

/// A vendor's list: where the records are in its answers, and how it goes on. Cheap to clone.
///
/// Fetches single pages, for connectors that compute their own requests within a [`Walk`](crate::Walk);
/// [`Pages`](crate::Pages) follows a whole list.
#[derive(Clone)]
pub struct List(Arc<Inner>);

struct Inner {
    client: Client,
    cx: Context,
    stream: Arc<str>,
    envelope: Envelope,
    paging: Paging,
}

impl List {
    /// A list. `records` says where an answer's records are: the first of the places that is there counts,
    /// and the empty path means that the answer is the array.
    ///
    /// # Errors
    /// `Internal` when a path does not parse.
    pub fn new(
        client: &Client,
        cx: &Context,
        stream: impl Into<Arc<str>>,
        records: &[&str],
        paging: Paging,
    ) -> Result<Self> {
        let records = records
            .iter()
            .map(|path| FieldPath::parse(path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::from(e).with_kind(ErrorKind::Internal))?;
        let envelope = paging.members().into_iter().fold(Envelope::new(&records), Envelope::with);
        let (client, cx) = (client.clone(), cx.clone());
        Ok(Self(Arc::new(Inner { client, cx, stream: stream.into(), envelope, paging })))
    }

    /// The page that a call asks for, turned to a position if there is one.
    ///
    /// # Errors
    /// `Protocol` when the answer has no records in their place, or something else in the place of the next
    /// position, beside what [`Client::send`] says.
    pub async fn fetch(&self, call: Call, at: Option<&Position>) -> Result<Fetched> {
        let list = &*self.0;
        let call = match at {
            Some(position) => list.paging.turn(call, position),
            None => call,
        };
        let answer = list.client.send(&list.cx, &call).await?;
        let headers = answer.headers().clone();
        let page = answer.into_marked_page()?;
        let split =
            list.envelope.split(&page).map_err(|e| Error::from(e).with_operation(call.operation()))?;
        let next = list.paging.next(at, &page, &split, &headers)?;
        Ok(Fetched { batch: Batch::new(list.stream.clone(), page, split.records), next, headers })
    }

    /// A page without records behind which nothing is left, for a connector that knows so without asking.
    ///
    /// # Errors
    /// None that is known: an empty batch always fits.
    pub fn ended<S, P>(&self, state: Option<S>) -> Result<Step<Portion<S>, P>> {
        let batch = Batch::from_records(self.0.stream.clone(), [""; 0])?;
        Ok(Step { item: Portion { batch, state, complete: true, warning: None }, bytes: 0, next: None })
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("stream", &self.0.stream).finish_non_exhaustive()
    }
}
