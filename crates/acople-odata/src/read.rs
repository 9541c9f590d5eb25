//! Brings the pages of a read: what a plan asks for, and where the service's answer leads on.

use std::sync::Arc;

use acople_core::{Batch, Context, Error, ErrorKind, EventStream, ReadRequest, Result};
use acople_http::{Call, Left, List, Paging, Portion, Position, Step, Walk};
use http::header::{HeaderName, HeaderValue};

use crate::place::{Kept, Place, Spot, State};
use crate::plan::{Plan, Turn};
use crate::{Protocol, Service};

/// The page to fetch.
#[derive(Clone, Hash)]
struct At {
    state: State,
    left: Left,
}

struct Reading {
    service: Service,
    plan: Plan,
    list: List,
}

/// Starts a read; `conditions` are ready parts of `$filter`.
pub(crate) fn events(
    service: &Service,
    cx: &Context,
    request: ReadRequest,
    conditions: Vec<String>,
) -> Result<EventStream> {
    let kept = Kept::of(&request, service.cursors())?;
    let (service, cx, asked) = (service.clone(), cx.clone(), request.clone());
    Ok(acople_http::events(service.cursors(), request, async move {
        let plan = service.plan(&cx, &asked, conditions).await?;
        let state = plan.start(kept, service.client().clock().now())?;
        let (records, next): (&[&str], &str) = match service.protocol() {
            Protocol::V4 => (&["value"], "/@odata.nextLink"),
            // Services of the first days of OData 2.0 have the array where the others have an object.
            Protocol::V2 => (&["d.results", "d"], "d.__next"),
        };
        let list = List::new(service.client(), &cx, asked.stream(), records, Paging::next_url([next]))?;
        let reading = Arc::new(Reading { service, plan, list });
        Ok(Walk::new(At { state, left: Left::of(&asked) }, move |at| reading.clone().fetch(at)))
    }))
}

impl Reading {
    async fn fetch(self: Arc<Self>, at: At) -> Result<Step<Portion<State>, At>> {
        let Some(spot) = at.state.spot().filter(|spot| spot.place != Place::End).cloned() else {
            // A cursor behind the end of a listing: there is nothing more.
            return self.portion(at.state, None, true);
        };
        let fetched = match self.list.fetch(self.call(&spot, at.left)?, None).await {
            Ok(fetched) => fetched,
            Err(error) => return self.recover(at.state, at.left, &spot, error),
        };
        let At { mut state, mut left } = at;
        let warning = self.service.options().warning.and_then(|find| find(&fetched.headers));
        let link = match fetched.next {
            Some(Position::Link(link)) => Some(self.service.next_link(link)),
            _ => None,
        };
        let mut batch = fetched.batch;
        let bytes = batch.bytes();
        let Turn { keep, newest, next } = self.plan.turn(&spot, &batch, link)?;
        let skip = usize::try_from(spot.skip).unwrap_or(usize::MAX).min(keep);
        if (skip..keep) != (0..batch.len()) {
            batch = batch.select(skip..keep);
        }
        let batch = left.take(batch);
        if let (State::Changes(run), Some(newest)) = (&mut state, newest) {
            run.saw(newest);
        }
        // The page is longer than the limit: whoever goes on takes the rest of it.
        let cut = batch.len() < keep.saturating_sub(skip);
        let over = !cut && next.place == Place::End;
        match &mut state {
            State::Changes(run) if over => {
                run.finish(self.plan.look_back(), self.service.client().clock().now());
            }
            state if cut => state.pass(Spot { skip: skip.saturating_add(batch.len()) as u64, ..spot }),
            state => state.pass(next),
        }
        // A listing that was limited claims no completeness.
        let complete = over && (matches!(state, State::Changes(_)) || left.get().is_none());
        let next = (!over && !left.is_spent()).then(|| At { state: state.clone(), left });
        Ok(Step { item: Portion { batch, state: Some(state), complete, warning }, bytes, next })
    }

    fn call(&self, spot: &Spot, left: Left) -> Result<Call> {
        let call = self.service.dress(self.plan.call(spot, left)?, spot.link.as_deref());
        let prefer = format!("odata.maxpagesize={}", self.plan.wanted(spot, left));
        match (self.service.protocol(), HeaderValue::from_str(&prefer)) {
            (Protocol::V4, Ok(prefer)) => Ok(call.header(HeaderName::from_static("prefer"), prefer)),
            _ => Ok(call),
        }
    }

    /// Goes on where a refusal of the service leaves another way, and otherwise says what it means.
    fn recover(
        &self,
        mut state: State,
        left: Left,
        spot: &Spot,
        error: Error,
    ) -> Result<Step<Portion<State>, At>> {
        let refused = matches!(error.status(), Some(400 | 404 | 410));
        let (place, warning) = match (&spot.place, &spot.link) {
            (Place::Nulls { after: None }, None) if error.kind() == ErrorKind::Invalid => {
                let field = self.plan.change_field().unwrap_or_default();
                let warning =
                    format!("the service cannot search for records without {field}: they are not read");
                (Place::From { value: None }, warning)
            }
            (Place::Start, Some(_)) if refused => return Err(error.with_kind(ErrorKind::CursorExpired)),
            (place, Some(_)) if refused => {
                (place.clone(), "a next link has expired: its part is read again".to_owned())
            }
            _ => return Err(error),
        };
        state.pass(Spot::at(place));
        let step = self.portion(state.clone(), Some(warning), false)?;
        Ok(Step { next: Some(At { state, left }), ..step })
    }

    /// A page without records.
    fn portion(
        &self,
        state: State,
        warning: Option<String>,
        complete: bool,
    ) -> Result<Step<Portion<State>, At>> {
        let batch = Batch::from_records(self.plan.set(), std::iter::empty::<&str>())?;
        Ok(Step { item: Portion { batch, state: Some(state), complete, warning }, bytes: 0, next: None })
    }
}
