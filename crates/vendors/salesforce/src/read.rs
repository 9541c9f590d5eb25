//! Reading: which query, and where the next one goes on.
//!
//! Pages follow the vendor's locator; checkpoints are keysets (the last record's id, or time and id), so
//! that a read goes on where a locator has expired, in another process or a week later.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{Context, Cursors, Error, ErrorKind, EventStream, ReadMode, ReadRequest, Record, Result};
use acople_http::{
    Call, Carried, Changes, Fetched, Left, List, Pages, Paging, Portion, Position, Step, Walk, place_of,
};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::describe::{DELETED, MASTER, object_name};
use crate::error::LOCATOR_EXPIRED;
use crate::soql::{Condition, Literal, Name, Op, Query};
use crate::{Salesforce, VENDOR_ID};

const OPERATION: &str = "query records";

const CURSORS: Cursors = Cursors::new(VENDOR_ID, 1);

/// Bytes of a query's path and parameters: the vendor takes 16,384 for URL and headers together, and session
/// ids and proxies need their share.
const QUERY_LIMIT: usize = 13_000;

/// The rows of a typed query, pulled by the consumer.
pub type Rows<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// Where a read stands.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum State {
    /// A full listing after this id.
    Full(Option<String>),
    /// Changes after this time and id.
    Changes(Changes<(i64, String)>),
}

/// The page to fetch: one along the vendor's locator, or the first of a query for the rest.
type At = (Option<Position>, Carried<(State, Left)>);

/// One read: what to ask for.
struct Reading {
    sf: Salesforce,
    list: List,
    object: Name,
    fields: Vec<Name>,
    page_size: Option<u32>,
    /// The field that grows with every change, in incremental reads.
    at: Option<(Name, FieldPath)>,
    id: (Name, FieldPath),
    /// The field that marks deleted records, where they are read.
    deleted: Option<FieldPath>,
}

/// Starts a read.
pub(crate) fn events(sf: &Salesforce, cx: &Context, request: ReadRequest) -> Result<EventStream> {
    object_name(request.stream())?;
    let (full, changes) = match request.mode() {
        ReadMode::Full => (CURSORS.state(&request)?, None),
        ReadMode::Incremental => (None, CURSORS.state(&request)?),
        _ => return Err(Error::config("mode", "this way of reading is not known here")),
    };
    let (sf, cx, asked) = (sf.clone(), cx.clone(), request.clone());
    Ok(acople_http::events(CURSORS, request, async move {
        let object = sf.describe_object(&cx, asked.stream()).await?;
        let (cursor, state) = match (asked.mode(), object.cursor()) {
            (ReadMode::Full, _) => (None, State::Full(full)),
            (_, Some(cursor)) => {
                (Some(cursor), State::Changes(Changes::begin(changes, cursor, sf.0.client.clock().now())?))
            }
            (_, None) => {
                let message =
                    format!("{} has no field that grows with changes: read it in full", object.name);
                return Err(Error::config("mode", message));
            }
        };
        let deleted =
            cursor.and(Some(DELETED)).filter(|name| sf.0.config.deletions && object.field(name).is_some());
        let master = deleted.and(Some(MASTER)).filter(|name| object.field(name).is_some());
        let also: Vec<&str> = cursor.into_iter().chain(deleted).chain(master).collect();
        let named = |text: &str| Ok::<_, Error>((Name::new(text)?, FieldPath::parse(text)?));
        let reading = Arc::new(Reading {
            list: List::new(&sf.0.client, &cx, asked.stream(), &["records"], paging())?,
            object: Name::new(&object.name)?,
            fields: object.selection(asked.fields(), &also)?,
            page_size: asked.page_size(),
            at: cursor.map(named).transpose()?,
            id: named("Id")?,
            deleted: deleted.map(FieldPath::parse).transpose()?,
            sf,
        });
        let start = (None, Carried((state, Left::of(&asked))));
        Ok(Walk::new(start, move |at| reading.clone().fetch(at)))
    }))
}

impl Reading {
    async fn fetch(self: Arc<Self>, (locator, carried): At) -> Result<Step<Portion<State>, At>> {
        let Carried((mut state, mut left)) = carried;
        let fetch = |call: Call, at| self.list.fetch(sized(call, self.page_size), at);
        let page = match &locator {
            None => fetch(self.query(&state, left)?, None).await?,
            Some(_) => match fetch(Call::get(OPERATION), locator.as_ref()).await {
                // No reason to stop: the query for the rest begins behind the last record.
                Err(e) if e.code() == Some(LOCATOR_EXPIRED) => fetch(self.query(&state, left)?, None).await?,
                page => page?,
            },
        };
        let bytes = page.batch.bytes();
        let mut batch = left.take(page.batch);
        if let Some(last) = batch.last() {
            self.pass(&mut state, last)?;
        }
        let next = page.next.filter(|_| !left.is_spent());
        let complete = next.is_none() && !left.is_spent();
        if let (State::Changes(changes), true) = (&mut state, complete) {
            changes.finish(self.sf.0.config.look_back(), self.sf.0.client.clock().now());
        }
        if let Some(deleted) = &self.deleted {
            batch = batch.with_deletions_by(deleted);
        }
        let next = next.map(|locator| (Some(locator), Carried((state.clone(), left))));
        let state = Some(state).filter(|state| !matches!(state, State::Full(None)));
        Ok(Step { item: Portion { batch, state, complete, warning: None }, bytes, next })
    }

    /// The call for the rest.
    fn query(&self, state: &State, left: Left) -> Result<Call> {
        let id = &self.id.0;
        let behind = |last: &String| Condition::compare(id, Op::Greater, &Literal::text(last));
        let filter = match (state, &self.at) {
            (State::Full(after), _) => after.as_ref().map(behind),
            (State::Changes(changes), Some((field, _))) => match (changes.place(), changes.from()) {
                (Some((at, last)), _) => {
                    let at = Literal::instant(*at)?;
                    let tie = Condition::compare(field, Op::Equal, &at).and(behind(last));
                    Some(tie.or(Condition::compare(field, Op::Greater, &at)))
                }
                (None, Some(from)) => {
                    Some(Condition::compare(field, Op::GreaterOrEqual, &Literal::instant(*from)?))
                }
                (None, None) => None,
            },
            (State::Changes(_), None) => None,
        };
        let query = Query::new(self.object.clone(), self.fields.iter().cloned());
        let query = filter.into_iter().fold(query, Query::filter);
        let order = self.at.iter().chain([&self.id]).map(|(field, _)| field.clone());
        let query = left.get().into_iter().fold(order.fold(query, Query::order_by), Query::limit);
        query_call(&self.sf, &query, self.deleted.is_some())
    }

    /// Takes note of the last record of a batch.
    fn pass(&self, state: &mut State, last: Record<'_>) -> Result<()> {
        let id = place_of(last, &self.id.1, |id| Some(id.to_owned()))?;
        match (state, &self.at) {
            (State::Changes(changes), Some((_, path))) => {
                let at = place_of(last, path, |at| at.parse::<Timestamp>().ok())?.as_millisecond();
                changes.saw(at);
                changes.pass((at, id));
            }
            (state, _) => *state = State::Full(Some(id)),
        }
        Ok(())
    }
}

impl Salesforce {
    /// Runs a query, given as SOQL text or as a [`soql::Query`](crate::soql::Query), and gives its rows.
    ///
    /// A row that does not fit the type is an error of its own and the rows after it follow; any other
    /// error is the last item. Relations in sub-queries come with their first page only.
    pub fn query<T: DeserializeOwned + Send + 'static>(&self, cx: &Context, soql: impl Display) -> Rows<T> {
        let pages = query_call(self, &soql, false)
            .and_then(|call| Pages::new(&self.0.client, cx, call, "query", &["records"], paging()));
        let rows = |page: Result<Fetched>| match page {
            Ok(page) => stream::iter(page.batch.typed().collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        };
        match pages {
            Ok(pages) => Box::pin(pages.flat_map(rows)),
            Err(error) => Box::pin(rows(Err(error))),
        }
    }
}

fn paging() -> Paging {
    Paging::next_url(["nextRecordsUrl"])
}

/// The call of a query's first page.
fn query_call(sf: &Salesforce, query: &impl Display, deleted: bool) -> Result<Call> {
    let resource = if deleted { "queryAll" } else { "query" };
    let call = sf.data(Call::get(OPERATION), &[resource]).query("q", query);
    if call.encoded_len() > QUERY_LIMIT {
        let message =
            "the query is longer than the vendor's 16,384 bytes of URL and headers: choose fewer fields";
        return Err(Error::new(ErrorKind::TooLarge, message).with_field("fields"));
    }
    Ok(call)
}

/// Asks for a page size. It is a hint: the vendor takes 200 to 2,000 and may give less, see
/// [Query Options](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_queryoptions.htm).
fn sized(call: Call, size: Option<u32>) -> Call {
    let value = size.map(|size| HeaderValue::try_from(format!("batchSize={}", size.clamp(200, 2_000))));
    match value {
        Some(Ok(value)) => call.header(HeaderName::from_static("sforce-query-options"), value),
        _ => call,
    }
}
