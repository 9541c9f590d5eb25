//! Searches: filters, order, and which part of what they find.

use acople_core::{Error, Result};
use acople_http::Call;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::HubSpot;
use crate::config::SEARCH;

/// Most groups, filters of a group, and filters in all, of which HubSpot's own descriptions agree.
const GROUPS: usize = 5;
const FILTERS: usize = 6;
const FILTERS_IN_ALL: usize = 18;

/// How a property is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Between two values, both included: [`Search::between`].
    Between,
    /// One of several values: [`Search::one_of`].
    In,
    /// None of several values.
    NotIn,
    /// Holds a word; `*` stands for any letters.
    ContainsToken,
    /// Does not hold a word.
    NotContainsToken,
    /// Has a value: [`Search::has`].
    HasProperty,
    /// Has no value: [`Search::has_not`].
    NotHasProperty,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A search: groups of filters, of which one must hold; in a group all filters must hold.
///
/// ```
/// use acople_hubspot::{Direction, Operator, Search};
///
/// let search = Search::new()
///     .filter("lifecyclestage", Operator::Eq, "customer")
///     .has("email")
///     .or()
///     .filter("hs_lead_status", Operator::Eq, "OPEN")
///     .sort("createdate", Direction::Descending)
///     .limit(50);
/// ```
///
/// HubSpot's index is eventually consistent: a record that was just written may be missing. To find out
/// whether a record exists before it is created, use an upsert instead.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filter_groups: Vec<Group>,
    /// The other members of the body.
    #[serde(flatten)]
    rest: Map<String, Json>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Group {
    filters: Vec<Json>,
}

impl Search {
    /// A search for everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a filter with one value. Times are in milliseconds since 1970.
    pub fn filter(self, property: &str, operator: Operator, value: impl ToString) -> Self {
        self.push(json!({ "propertyName": property, "operator": operator, "value": value.to_string() }))
    }

    /// Adds a filter for values between two, both included.
    pub fn between(self, property: &str, low: impl ToString, high: impl ToString) -> Self {
        let (low, high) = (low.to_string(), high.to_string());
        let operator = Operator::Between;
        self.push(json!({ "propertyName": property, "operator": operator, "value": low, "highValue": high }))
    }

    /// Adds a filter for one of several values. HubSpot compares them in lower case.
    pub fn one_of<S: Into<String>>(self, property: &str, values: impl IntoIterator<Item = S>) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        self.push(json!({ "propertyName": property, "operator": Operator::In, "values": values }))
    }

    /// Adds a filter for records that have a value.
    pub fn has(self, property: &str) -> Self {
        self.push(json!({ "propertyName": property, "operator": Operator::HasProperty }))
    }

    /// Adds a filter for records that have no value.
    pub fn has_not(self, property: &str) -> Self {
        self.push(json!({ "propertyName": property, "operator": Operator::NotHasProperty }))
    }

    /// Begins another group: what follows may hold instead of what came before.
    pub fn or(mut self) -> Self {
        self.filter_groups.push(Group::default());
        self
    }

    /// Searches for words in the properties that the object is searched by.
    pub fn query(self, words: impl Into<String>) -> Self {
        self.with("query", json!(words.into()))
    }

    /// Sets the order. HubSpot sorts by one property only.
    pub fn sort(self, property: &str, direction: Direction) -> Self {
        self.with("sorts", json!([{ "propertyName": property, "direction": direction }]))
    }

    /// Asks for these properties instead of those of the type that is searched for.
    pub fn select<S: AsRef<str>>(self, properties: &[S]) -> Self {
        self.with("properties", properties.iter().map(AsRef::as_ref).collect())
    }

    /// Sets how many records a page has, at most 200.
    pub fn limit(self, records: u32) -> Self {
        self.with("limit", json!(records.clamp(1, 200)))
    }

    /// Goes on after a page: [`Found::after`](crate::Found::after). HubSpot gives at most 10,000 results.
    pub fn after(self, after: Option<String>) -> Self {
        self.with("after", json!(after))
    }

    pub(crate) fn select_if_none(self, properties: &[&str]) -> Self {
        if self.rest.contains_key("properties") { self } else { self.select(properties) }
    }

    /// Sets a member of the body; one that says nothing is left out.
    fn with(mut self, member: &str, value: Json) -> Self {
        self.rest.remove(member);
        let says = !value.is_null() && value != json!([]);
        self.rest.extend(says.then(|| (member.to_owned(), value)));
        self
    }

    fn push(mut self, filter: Json) -> Self {
        match self.filter_groups.last_mut() {
            Some(group) => group.filters.push(filter),
            None => self.filter_groups.push(Group { filters: vec![filter] }),
        }
        self
    }

    /// # Errors
    /// `Config` for what HubSpot would refuse.
    pub(crate) fn check(&self) -> Result<()> {
        let sizes = || self.filter_groups.iter().map(|group| group.filters.len());
        let fits = sizes().len() <= GROUPS && sizes().sum::<usize>() <= FILTERS_IN_ALL;
        if !fits || sizes().any(|filters| !(1..=FILTERS).contains(&filters)) {
            let message =
                format!("at most {GROUPS} groups of 1 to {FILTERS} filters, {FILTERS_IN_ALL} in all");
            return Err(Error::config("filterGroups", message));
        }
        Ok(())
    }
}

impl HubSpot {
    /// The request of a search, which is not looked into.
    pub(crate) fn search_call(&self, object: &str, body: &impl Serialize) -> Result<Call> {
        let call = Call::post("search objects").path(self.path("objects", object)).path(["search"]);
        call.class(SEARCH).repeatable().json(body)
    }
}
