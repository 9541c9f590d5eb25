//! Search: filters, one sort, a window of 10,000 results, and an index that lags behind.

use std::cmp::Ordering;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        Record,
        call::{Answer, Call},
        stats::Tally,
    },
    errors::Refusal,
    objects::json,
    portal::Portal,
    render::{shown, write_object},
    schema::{ObjectType, PropertyKind, instant},
    store::{Row, text},
};

const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 10;
/// No page reaches past this many results.
const WINDOW: usize = 10_000;
const MAX_GROUPS: usize = 5;
const MAX_FILTERS_PER_GROUP: usize = 6;
const MAX_FILTERS: usize = 18;

/// The results of the last search: its further pages need no second look.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    key: String,
    ids: Vec<u64>,
}

/// `POST /{type}/search`
pub(crate) fn search(
    portal: &mut Portal,
    call: &Call,
    kind: &str,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let body = json(call)?;
    let limit = match number(&body, "limit")? {
        None => DEFAULT_LIMIT,
        Some(limit @ 1..=MAX_LIMIT) => limit,
        Some(_) => {
            return Err(Refusal::validation(format!("limit must be from 1 to {MAX_LIMIT}")));
        }
    };
    let after = number(&body, "after")?.unwrap_or(0);
    if after.saturating_add(limit) > WINDOW {
        let message = format!("after and limit together may not pass {WINDOW}: narrow the search");
        return Err(Refusal::validation(message));
    }
    let shelf = portal.known_shelf(kind)?;
    let query = Query::read(&shelf.kind, &body)?;
    // Whatever the result depends on: the question, the data, and with a lag also the time.
    let time = if portal.search_lag_ms == 0 { 0 } else { portal.clock.now() };
    let question = json!([body.get("filterGroups"), body.get("sorts"), body.get("query")]);
    let key = format!("{} {} {time} {question}", shelf.kind.name, portal.version);
    let ids = if portal.search_cache.key == key {
        std::mem::take(&mut portal.search_cache.ids)
    } else {
        query.run(portal, kind)?
    };
    let wanted: Option<Vec<String>> = body
        .get("properties")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let answer = page(portal, kind, &ids, (after, limit), wanted.as_deref(), tally);
    portal.search_cache = Cache { key, ids };
    answer
}

fn page(
    portal: &Portal,
    kind: &str,
    ids: &[u64],
    (after, limit): (usize, usize),
    wanted: Option<&[String]>,
    tally: &mut Tally,
) -> Result<Answer, Refusal> {
    let shelf = portal.known_shelf(kind)?;
    let names = shown(&shelf.kind, wanted);
    let end = after.saturating_add(limit).min(ids.len());
    let mut out = format!(r#"{{"total":{},"results":["#, ids.len()).into_bytes();
    for (position, id) in ids.iter().take(end).skip(after).enumerate() {
        let Some((row, properties)) = shelf.get(*id).and_then(|row| Some((row, indexed(portal, row)?)))
        else {
            continue;
        };
        if position > 0 {
            out.push(b',');
        }
        write_object(&mut out, *id, row, properties, &names, b"");
        tally.records_out += 1;
    }
    out.push(b']');
    if end < ids.len() {
        out.extend_from_slice(format!(r#","paging":{{"next":{{"after":"{end}"}}}}"#).as_bytes());
    }
    out.push(b'}');
    Ok(Answer::json_bytes(StatusCode::OK, out))
}

/// The version of a record that the index holds, if it holds one.
fn indexed<'r>(portal: &Portal, row: &'r Row) -> Option<&'r Record> {
    if row.archived_ms.is_some() {
        return None;
    }
    let lag = portal.search_lag_ms;
    if lag == 0 || portal.clock.now().saturating_sub(row.modified_ms) >= lag {
        return Some(&row.properties);
    }
    row.indexed.as_ref().map(|(properties, _)| properties)
}

/// A search that has been checked against the type.
struct Query {
    groups: Vec<Vec<Filter>>,
    sort: Option<(String, Class, bool)>,
    words: Option<String>,
}

struct Filter {
    property: String,
    class: Class,
    test: Test,
}

/// How values of a property compare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Number,
    Instant,
}

enum Test {
    Compare(fn(Ordering) -> bool, Operand),
    Differs(Operand),
    Between(Operand, Operand),
    OneOf(Vec<Operand>, bool),
    Token(String, bool),
    Has(bool),
}

#[derive(PartialEq)]
enum Operand {
    Text(String),
    Number(f64),
    Instant(i64),
}

impl Query {
    fn read(kind: &ObjectType, body: &Value) -> Result<Self, Refusal> {
        let list = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let groups = list(body, "filterGroups");
        if groups.len() > MAX_GROUPS {
            return Err(Refusal::validation(format!("a search has at most {MAX_GROUPS} filterGroups")));
        }
        let mut read = Vec::with_capacity(groups.len());
        let mut total = 0;
        for group in &groups {
            let filters = list(group, "filters");
            total += filters.len();
            if filters.len() > MAX_FILTERS_PER_GROUP || total > MAX_FILTERS {
                let message = format!(
                    "a group has at most {MAX_FILTERS_PER_GROUP} filters, and a search at most {MAX_FILTERS}"
                );
                return Err(Refusal::validation(message));
            }
            read.push(
                filters.iter().map(|filter| Filter::read(kind, filter)).collect::<Result<Vec<_>, _>>()?,
            );
        }
        let sorts = list(body, "sorts");
        if sorts.len() > 1 {
            return Err(Refusal::validation("a search has at most one sort"));
        }
        let sort = match sorts.first() {
            None => None,
            Some(Value::String(name)) => Some((name.clone(), class_of(kind, name)?, false)),
            Some(sort) => {
                let name = sort.get("propertyName").and_then(Value::as_str).unwrap_or_default();
                let descending = sort.get("direction").and_then(Value::as_str) == Some("DESCENDING");
                Some((name.to_owned(), class_of(kind, name)?, descending))
            }
        };
        let words = body.get("query").and_then(Value::as_str).map(str::to_lowercase);
        Ok(Self { groups: read, sort, words })
    }

    fn run(&self, portal: &Portal, kind: &str) -> Result<Vec<u64>, Refusal> {
        let shelf = portal.known_shelf(kind)?;
        let found = shelf.ids(false).iter().filter_map(|id| {
            let properties = indexed(portal, shelf.get(*id)?)?;
            let fits = self.groups.is_empty()
                || self.groups.iter().any(|group| group.iter().all(|filter| filter.matches(properties)));
            let mentioned = self.words.as_ref().is_none_or(|words| {
                shelf.kind.defaults.iter().any(|name| {
                    text(properties, name).is_some_and(|value| value.to_lowercase().contains(words.as_str()))
                })
            });
            (fits && mentioned).then_some((*id, properties))
        });
        // Oldest first unless a sort says otherwise: ids count up.
        let Some((name, class, descending)) = &self.sort else {
            return Ok(found.map(|(id, _)| id).collect());
        };
        let mut keyed: Vec<(Option<Operand>, u64)> = found
            .map(|(id, properties)| (text(properties, name).and_then(|t| class.operand(t)), id))
            .collect();
        keyed.sort_by(|(one, _), (two, _)| {
            let ordering = match (one, two) {
                (Some(one), Some(two)) => one.compare(two).unwrap_or(Ordering::Equal),
                (one, two) => one.is_some().cmp(&two.is_some()),
            };
            if *descending { ordering.reverse() } else { ordering }
        });
        Ok(keyed.into_iter().map(|(_, id)| id).collect())
    }
}

impl Filter {
    fn read(kind: &ObjectType, filter: &Value) -> Result<Self, Refusal> {
        let property = filter.get("propertyName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let class = class_of(kind, &property)?;
        let operator = filter.get("operator").and_then(Value::as_str).unwrap_or_default();
        let value = |name: &str| {
            let text = match filter.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(flag)) => flag.to_string(),
                _ => {
                    return Err(Refusal::validation(format!("operator {operator} requires a {name}")));
                }
            };
            operand(class, &text)
        };
        let compare = |holds: fn(Ordering) -> bool| Ok::<_, Refusal>(Test::Compare(holds, value("value")?));
        let values = || -> Result<Vec<Operand>, Refusal> {
            let values = filter.get("values").and_then(Value::as_array);
            let values =
                values.ok_or_else(|| Refusal::validation(format!("operator {operator} requires values")))?;
            values.iter().filter_map(Value::as_str).map(|text| operand(class, text)).collect()
        };
        let token = || {
            let text = filter.get("value").and_then(Value::as_str).unwrap_or_default();
            if text.is_empty() {
                Err(Refusal::validation("operator requires a value"))
            } else {
                Ok(text.to_lowercase())
            }
        };
        let test = match operator {
            "EQ" => compare(Ordering::is_eq)?,
            "NEQ" => Test::Differs(value("value")?),
            "LT" => compare(Ordering::is_lt)?,
            "LTE" => compare(Ordering::is_le)?,
            "GT" => compare(Ordering::is_gt)?,
            "GTE" => compare(Ordering::is_ge)?,
            "BETWEEN" => Test::Between(value("value")?, value("highValue")?),
            "IN" => Test::OneOf(values()?, true),
            "NOT_IN" => Test::OneOf(values()?, false),
            "HAS_PROPERTY" => Test::Has(true),
            "NOT_HAS_PROPERTY" => Test::Has(false),
            "CONTAINS_TOKEN" => Test::Token(token()?, true),
            "NOT_CONTAINS_TOKEN" => Test::Token(token()?, false),
            other => return Err(Refusal::validation(format!("'{other}' is not an operator"))),
        };
        Ok(Self { property, class, test })
    }

    fn matches(&self, properties: &Record) -> bool {
        let value = text(properties, &self.property);
        let kept = value.and_then(|text| self.class.operand(text));
        let ordering = |operand: &Operand| kept.as_ref().and_then(|kept| kept.compare(operand));
        match &self.test {
            Test::Has(wanted) => value.is_some() == *wanted,
            Test::Compare(holds, operand) => ordering(operand).is_some_and(holds),
            Test::Differs(operand) => ordering(operand).is_none_or(Ordering::is_ne),
            Test::Between(low, high) => {
                ordering(low).is_some_and(Ordering::is_ge) && ordering(high).is_some_and(Ordering::is_le)
            }
            Test::OneOf(operands, wanted) => {
                operands.iter().any(|operand| ordering(operand).is_some_and(Ordering::is_eq)) == *wanted
            }
            Test::Token(token, wanted) => value.is_some_and(|value| has_token(value, token)) == *wanted,
        }
    }
}

impl Class {
    /// A value or an operand, ready to compare; `None` when the text is not of this class.
    fn operand(self, text: &str) -> Option<Operand> {
        match self {
            Self::Text => Some(Operand::Text(text.to_lowercase())),
            Self::Number => text.parse().ok().map(Operand::Number),
            Self::Instant => instant(text).map(Operand::Instant),
        }
    }
}

impl Operand {
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(two)) => Some(one.cmp(two)),
            (Self::Number(one), Self::Number(two)) => one.partial_cmp(two),
            (Self::Instant(one), Self::Instant(two)) => Some(one.cmp(two)),
            _ => None,
        }
    }
}

fn class_of(kind: &ObjectType, name: &str) -> Result<Class, Refusal> {
    match kind.properties.get(name).map(|property| &property.kind) {
        None => Err(Refusal::validation(format!("there is no property '{name}' to search by"))),
        Some(PropertyKind::Number) => Ok(Class::Number),
        Some(PropertyKind::Date | PropertyKind::DateTime) => Ok(Class::Instant),
        Some(PropertyKind::Text | PropertyKind::Boolean | PropertyKind::Enumeration(_)) => Ok(Class::Text),
    }
}

fn operand(class: Class, text: &str) -> Result<Operand, Refusal> {
    match class.operand(text) {
        // Known of the real service: it falls over the first instant of all.
        Some(Operand::Instant(0)) => {
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "internal error"))
        }
        Some(operand) => Ok(operand),
        None => Err(Refusal::validation(format!("'{text}' is not a value to compare with"))),
    }
}

/// Whether a word of the text is the token; `*` stands for any characters.
fn has_token(text: &str, token: &str) -> bool {
    let text = text.to_lowercase();
    if !token.contains('*') {
        return text == token || text.split(|c: char| !c.is_alphanumeric()).any(|word| word == token);
    }
    let bare = token.trim_matches('*');
    match (token.starts_with('*'), token.ends_with('*')) {
        (true, true) => text.contains(bare),
        (true, false) => text.ends_with(bare),
        (false, true) => text.starts_with(bare) || text.split_whitespace().any(|word| word.starts_with(bare)),
        (false, false) => {
            let (start, end) = token.split_once('*').unwrap_or((token, ""));
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

/// A count that clients send as a number or as a text.
fn number(body: &Value, name: &str) -> Result<Option<usize>, Refusal> {
    let number = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    number.map(Some).ok_or_else(|| Refusal::validation(format!("{name} must be a number")))
}
