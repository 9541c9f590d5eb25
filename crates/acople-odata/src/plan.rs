//! How one entity set is read: which request belongs to a place, and which place follows a page.
//!
//! Two ways lead through the changes. OData 4.0 services are asked for what lies behind the last record,
//! `(F gt x) or (F eq x and K gt k)`. OData 2.0 services often turn filters into ranges a field, which cannot
//! say that, and show times only to the millisecond; they are asked by conjunctions: everything from the last
//! change value on, where the last group of a page is left to the next one, and a group that fills a whole
//! page is read by key. Neither depends on skip tokens, which shift when data changes.

mod query;
mod turn;

use std::time::{Duration, SystemTime};

use acople_core::json::{FieldPath, Projection};
use acople_core::{Error, ErrorKind, ReadRequest, Result};
use acople_http::Changes;

use crate::abilities::{Abilities, abilities, look_back, select};
use crate::edm::{EntitySet, Model, Property};
use crate::literal::Primitive;
use crate::moment::Moment;
use crate::place::{Kept, Place, Spot, State};
use crate::{Options, Protocol};

pub(crate) use turn::Turn;

#[derive(Debug)]
struct Field {
    name: String,
    primitive: Primitive,
}

impl Field {
    fn of(property: &Property) -> Self {
        Self { name: property.name.clone(), primitive: property.primitive() }
    }

    fn compare(&self, protocol: Protocol, operator: &str, value: &str) -> Result<String> {
        let literal = self.primitive.literal(protocol, value).map_err(|e| e.with_field(&self.name))?;
        Ok(format!("{} {operator} {literal}", self.name))
    }
}

#[derive(Debug)]
struct Change {
    field: Field,
    nullable: bool,
    /// Whether `eq` finds what JSON showed.
    exact: bool,
}

/// How one entity set is read.
#[derive(Debug)]
pub(crate) struct Plan {
    protocol: Protocol,
    set: String,
    keys: Vec<Field>,
    keyset: bool,
    sorted: bool,
    topable: bool,
    change: Option<Change>,
    look_back: Duration,
    select: Option<String>,
    /// Conditions of the caller's that every page must meet.
    conditions: Vec<String>,
    page_size: u32,
    projection: Projection,
}

impl Plan {
    pub(crate) fn new(
        model: &Model,
        set: &EntitySet,
        options: &Options,
        request: &ReadRequest,
        conditions: Vec<String>,
    ) -> Result<Self> {
        let Abilities { keys, change, keyset, sorted } = abilities(model, set, options);
        let select = request.fields().map(|fields| select(model, set, fields, &keys, change)).transpose()?;
        let columns = change.into_iter().chain(keys.iter().copied());
        let projection = Projection::new(columns.map(|p| FieldPath::from_iter([p.name.as_str()])));
        Ok(Self {
            protocol: options.protocol,
            set: set.name.clone(),
            keys: keys.iter().map(|key| Field::of(key)).collect(),
            keyset,
            sorted,
            topable: set.topable,
            look_back: change.map_or(Duration::ZERO, |change| look_back(change, options)),
            change: change.map(|p| Change {
                field: Field::of(p),
                nullable: p.nullable,
                exact: p.is_exact(options.protocol),
            }),
            select,
            conditions,
            page_size: request.page_size().unwrap_or(options.page_size).max(1),
            projection,
        })
    }

    pub(crate) fn set(&self) -> &str {
        &self.set
    }

    pub(crate) fn look_back(&self) -> Duration {
        self.look_back
    }

    pub(crate) fn change_field(&self) -> Option<&str> {
        self.change.as_ref().map(|change| change.field.name.as_str())
    }

    /// Where a read starts: at the beginning, in the middle of a run, or behind a complete one.
    ///
    /// # Errors
    /// `Config` for an incremental read of a set without a change field, `CursorExpired` when the change field
    /// is another one now.
    pub(crate) fn start(&self, kept: Kept, now: SystemTime) -> Result<State> {
        let run = match kept {
            Kept::Full(spot) => return Ok(State::Full(spot.unwrap_or_else(|| Spot::at(Place::Start)))),
            Kept::Changes(run) => run,
        };
        let Some(change) = &self.change else {
            return Err(Error::config(
                format!("change_fields.{}", self.set),
                format!("{} has no field by which changes can be found: name one", self.set),
            ));
        };
        let mut run = Changes::begin(run, &change.field.name, now)?;
        if run.place().is_none() {
            // What changed at the first value itself comes again: services that count in seconds may have had
            // more of it.
            let place = match run.from() {
                Some(from) if from.primitive() != change.field.primitive => {
                    return Err(Error::new(
                        ErrorKind::CursorExpired,
                        "the change field is of another type now",
                    ));
                }
                Some(from) => Place::From { value: Some(from.value().to_owned()) },
                None if change.nullable => Place::Nulls { after: None },
                None => Place::From { value: None },
            };
            run.pass(Spot::at(place));
        }
        Ok(State::Changes(run))
    }

    /// Whether the next page is one of ours rather than a link of the service's.
    fn asks_for_pages(&self, place: &Place) -> bool {
        self.keyset || place.is_by_change()
    }

    fn is_exact(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.exact)
    }
}

fn lost_change_field() -> Error {
    Error::new(ErrorKind::Internal, "an incremental place without a change field")
}

fn next_milli(value: &str) -> Result<String> {
    let zone = if value.ends_with('Z') { "Z" } else { "" };
    Ok(Moment::parse(value)?.next_milli().to_text()? + zone)
}
