//! Full reads of lists, from any record of any page on.

use std::future::Future;
use std::sync::Arc;

use acople_core::{Batch, Result};
use futures_util::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

use crate::{Call, Carried, Left, List, Portion, Position, Step, Walk};

/// Where a full read of a list stands: the state of its cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listed {
    /// The page; `None` is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Position>,
    /// Records of it that are done: a limit may end a read within a page.
    #[serde(default)]
    skip: usize,
    /// Nothing is left.
    #[serde(default)]
    done: bool,
}

/// A full read of a vendor's list, as the walk that [`events`](crate::events) wants.
///
/// `call` asks for the first page, `from` is where an earlier read stands, and `fill` makes of the records of a
/// page what is handed out: the same ones, or for lists that bring ids only, the records fetched by id. A limit
/// is kept before that, to the record: the next read goes on within the page. It claims no completeness.
///
/// ```
/// use acople_core::{Context, Cursors, EventStream, ReadRequest, Result};
/// use acople_http::{Call, Client, Left, List, Paging, events, walk_list};
///
/// const CURSORS: Cursors = Cursors::new("example", 1);
///
/// fn read(client: Client, cx: Context, request: ReadRequest) -> Result<EventStream> {
///     let from = CURSORS.state(&request)?.unwrap_or_default();
///     let call = Call::get("list records").path(["api", request.stream()]);
///     let list = List::new(&client, &cx, request.stream(), &["data"], Paging::token("next", "after"))?;
///     let left = Left::of(&request);
///     Ok(events(CURSORS, request, async move { Ok(walk_list(list, call, from, left, async |batch| Ok(batch))) }))
/// }
/// ```
pub fn walk_list<F, Fut>(
    list: List,
    call: Call,
    from: Listed,
    left: Left,
    fill: F,
) -> Walk<Portion<Listed>, (Listed, Carried<Left>)>
where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Batch>> + Send + 'static,
{
    let fill: Fill = Box::new(move |batch| fill(batch).boxed());
    let source = Arc::new(Source { list, call, fill });
    Walk::new((from, Carried(left)), move |at| source.clone().page(at))
}

type Fill = Box<dyn Fn(Batch) -> BoxFuture<'static, Result<Batch>> + Send + Sync>;

struct Source {
    list: List,
    call: Call,
    fill: Fill,
}

impl Source {
    async fn page(
        self: Arc<Self>,
        (from, Carried(mut left)): (Listed, Carried<Left>),
    ) -> Result<Step<Portion<Listed>, (Listed, Carried<Left>)>> {
        if from.done {
            return self.list.ended(None);
        }
        let page = self.list.fetch(self.call.clone(), from.after.as_ref()).await?;
        let (listed, bytes) = (page.batch.len(), page.batch.bytes());
        let unread = if from.skip == 0 { page.batch } else { page.batch.select(from.skip..listed) };
        let batch = left.take(unread);
        let skip = from.skip.saturating_add(batch.len());
        let listed = if skip < listed {
            Listed { skip, ..from }
        } else {
            Listed { done: page.next.is_none(), after: page.next, skip: 0 }
        };
        let over = listed.done || left.is_spent();
        let complete = listed.done && !left.is_spent();
        let next = (!over).then(|| (listed.clone(), Carried(left)));
        let batch = (self.fill)(batch).await?;
        Ok(Step { item: Portion { batch, state: Some(listed), complete, warning: None }, bytes, next })
    }
}
