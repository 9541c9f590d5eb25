//! Reads: in full by an object's list, page after page; what changed by search.
//!
//! HubSpot's search gives at most 10,000 results to a query and pages by counting. Counting skips records
//! when one that was passed is changed meanwhile and moves away, and many records may share one
//! millisecond. So an incremental read walks a window of time by id: each page asks for the records of the
//! window with an id greater than the last one. An id never changes, so no record of the window is skipped,
//! the cap is never reached, and no record comes twice.
//!
//! The window ends at the latest change that the index knows when the read begins: HubSpot's time, not
//! ours. Records that are changed while the read goes on leave the window and belong to the next one.

use std::collections::HashSet;
use std::sync::Arc;

use acople_core::json::FieldPath;
use acople_core::{Batch, Context, Cursors, EventStream, ReadRequest, Result};
use acople_http::{
    Call, Carried, Changes, Fetched, Left, List, Paging, Portion, Step, Walk, events, place_of, walk_list,
};
use serde_json::json;

use crate::catalog::changed_property;
use crate::search::{Direction, Operator, Search};
use crate::{HubSpot, VENDOR};

const CURSORS: Cursors = Cursors::new(VENDOR.id, 1);

/// Records on a page of a list, and of a search.
const LISTED: u32 = 100;
const FOUND: u32 = 200;

/// Longest path with property names, in bytes. HubSpot answers 414 somewhere above 8 kB; with longer lists
/// a page brings ids only, and the records are fetched by a request with the names in its body.
const NAMES_IN_URL: usize = 6_000;

/// Where a read stands: in its window behind an id, and after an empty page at HubSpot's own position.
type Place = (Changes<u64>, Option<String>, Carried<Left>);

/// A window that is walked.
struct Window {
    hub: HubSpot,
    list: List,
    asked: ReadRequest,
    property: &'static str,
    names: Vec<String>,
}

impl HubSpot {
    /// Reads everything, from a cursor's place on.
    pub(crate) fn read_full(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let (from, left) = (CURSORS.state(&request)?.unwrap_or_default(), Left::of(&request));
        let (hub, cx, asked) = (self.clone(), cx.clone(), request.clone());
        Ok(events(CURSORS, request, async move {
            let names = hub.wanted(&cx, &asked).await?;
            let size = asked.page_size().unwrap_or(LISTED).clamp(1, LISTED);
            let call = Call::get("list objects").path(hub.path("objects", asked.stream()));
            let mut call = call.query("limit", size).query("properties", names.join(","));
            let by_body = call.encoded_len() > NAMES_IN_URL;
            if by_body {
                call.set_query("properties", "hs_object_id");
            }
            let list = hub.list(&cx, asked.stream())?;
            let source = Arc::new((hub, cx, names, FieldPath::parse("id")?));
            Ok(walk_list(list, call, from, left, move |batch| {
                let source = source.clone();
                async move {
                    let (hub, cx, names, id) = &*source;
                    if !by_body || batch.is_empty() {
                        return Ok(batch);
                    }
                    let input = |record| place_of(record, id, |id| Some(json!({ "id": id })));
                    let inputs = batch.iter().map(input).collect::<Result<Vec<_>>>()?;
                    let ask = json!({ "properties": names, "inputs": inputs });
                    Ok(hub.fetch(cx, batch.stream(), &ask).await?.0)
                }
            }))
        }))
    }

    /// Reads what changed, from a cursor's state on.
    pub(crate) fn read_changes(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let (property, now) = (changed_property(request.stream()), self.0.client.clock().now());
        let mut changes = Changes::begin(CURSORS.state(&request)?, property, now)?;
        let left = Left::of(&request);
        let (hub, cx, asked) = (self.clone(), cx.clone(), request.clone());
        let walk = async move {
            let list = hub.list(&cx, asked.stream())?;
            let mut window = Window { hub, list, asked, property, names: Vec::new() };
            if changes.high().is_none() {
                window.latest(&changes).await?.into_iter().for_each(|at| changes.saw(at));
            }
            if changes.high().is_some() {
                window.names = window.hub.wanted(&cx, &window.asked).await?;
            }
            let (window, left) = (Arc::new(window), Carried(left));
            Ok(Walk::new((changes, None, left), move |at| window.clone().page(at)))
        };
        Ok(events(CURSORS, request, walk))
    }

    /// An object's records in answers to lists and searches.
    pub(crate) fn list(&self, cx: &Context, object: &str) -> Result<List> {
        List::new(&self.0.client, cx, object, &["results"], Paging::token("paging.next.after", "after"))
    }

    /// The properties that a read asks for: those of the request and the one that says when the record was
    /// changed, or all that the object has.
    pub(crate) async fn wanted(&self, cx: &Context, request: &ReadRequest) -> Result<Vec<String>> {
        let object = request.stream();
        let mut names: Vec<String> = match request.fields() {
            Some(fields) => fields.iter().filter_map(|field| property_name(field)).collect(),
            None => self.properties(cx, object).await?.into_iter().map(|p| p.name).collect(),
        };
        names.push(changed_property(object).to_owned());
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}

impl Window {
    /// The latest change that the index knows, if there is one to read.
    async fn latest(&self, changes: &Changes<u64>) -> Result<Option<i64>> {
        let mut search = Search::new().sort(self.property, Direction::Descending);
        if let Some(low) = low(changes) {
            search = search.filter(self.property, Operator::Gte, low);
        }
        let found = self.find(search.limit(1).select(&[self.property])).await?.batch;
        let Some(record) = found.last() else { return Ok(None) };
        // ISO 8601, or milliseconds as the old API wrote them.
        let instant = |text: &str| text.parse().ok().map(jiff::Timestamp::as_millisecond);
        let time = ["properties", self.property].into_iter().collect();
        let high = place_of(record, &time, |text| text.parse().ok().or_else(|| instant(text)))?;
        Ok(Some(high).filter(|high| low(changes) <= Some(*high)))
    }

    async fn page(self: Arc<Self>, place: Place) -> Result<Step<Portion<Changes<u64>>, Place>> {
        let (mut changes, after, Carried(mut left)) = place;
        let (look_back, clock) = (self.hub.0.config.look_back(), self.hub.0.client.clock());
        let finish = |changes: &mut Changes<u64>| changes.finish(look_back, clock.now());
        let Some(search) = self.search(&changes) else {
            finish(&mut changes);
            return self.list.ended(Some(changes));
        };
        let wanted = left.get().map_or(FOUND, |left| u32::try_from(left).unwrap_or(FOUND));
        let size = self.asked.page_size().unwrap_or(FOUND).min(wanted);
        let page = self.find(search.limit(size).select(&self.names).after(after)).await?;
        let (listed, bytes) = (page.batch.len(), page.batch.bytes());
        let batch = left.take(page.batch);
        let complete = page.next.is_none() && batch.len() == listed;
        // Nothing to go on from but HubSpot's own position.
        let after = page.next.filter(|_| batch.is_empty()).map(|next| next.to_string());
        if let Some(last) = last_id(&batch, changes.place())? {
            changes.pass(last);
        }
        if complete {
            finish(&mut changes);
        }
        let next = (!complete && !left.is_spent()).then(|| (changes.clone(), after, Carried(left)));
        Ok(Step { item: Portion { batch, state: Some(changes), complete, warning: None }, bytes, next })
    }

    async fn find(&self, search: Search) -> Result<Fetched> {
        self.list.fetch(self.hub.search_call(self.asked.stream(), &search)?, None).await
    }

    /// The search for what is left of the window; `None` when nothing lies in it.
    fn search(&self, changes: &Changes<u64>) -> Option<Search> {
        let (high, search) = (changes.high()?, Search::new().sort("hs_object_id", Direction::Ascending));
        let search = match low(changes) {
            Some(low) => search.between(self.property, low, high),
            None => search.filter(self.property, Operator::Lte, high),
        };
        Some(match changes.place() {
            Some(last) => search.filter("hs_object_id", Operator::Gt, last),
            None => search,
        })
    }
}

/// The earliest change of the window; `None` is the beginning: a filter at 1970 itself makes HubSpot fail.
fn low(changes: &Changes<u64>) -> Option<i64> {
    let low = changes.from()?.saturating_add(i64::from(changes.is_settled()));
    (low > 0).then_some(low)
}

/// The largest id of a page, or of what came before it.
fn last_id(batch: &Batch, before: Option<&u64>) -> Result<Option<u64>> {
    let path = FieldPath::parse("id")?;
    batch.iter().try_fold(before.copied(), |last, record| {
        Ok(last.max(Some(place_of(record, &path, |id| id.parse().ok())?)))
    })
}

/// The property that a field of a record means: `email` and `properties.email` alike. What HubSpot sends
/// with every record is none.
fn property_name(field: &str) -> Option<String> {
    let sent = ["id", "createdAt", "updatedAt", "archived", "archivedAt", "properties", "url", ""];
    let name = field.strip_prefix("properties.").or((!sent.contains(&field)).then_some(field))?;
    (!name.is_empty()).then(|| name.to_owned())
}
