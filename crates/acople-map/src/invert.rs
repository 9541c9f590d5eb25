//! Turning a table round.

use std::collections::BTreeMap;
use std::fmt;

use acople_core::Result;

use crate::check::Problems;
use crate::{Constant, Convert, Datetimes, Direction, Join, LookupIn, Nulls, Rule, Table, Values};

/// A table of the other direction and what it lacks.
#[derive(Clone, Debug)]
pub struct Inversion {
    /// The inverted table. Its rules stand in the order of the original; a rule that could not be
    /// turned round is kept with `direction: backward`, so that inverting again loses nothing.
    pub table: Table,
    /// The rules that could not be turned round.
    pub dropped: Vec<Dropped>,
}

/// A rule that has no inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its index in the table.
    pub rule: usize,
    /// Why it has none.
    pub reason: String,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rules[{}]: {}", self.rule, self.reason)
    }
}

pub(crate) fn strict(table: &Table) -> Result<Table> {
    let inversion = lossy(table);
    let mut problems = Problems::default();
    for dropped in &inversion.dropped {
        problems.add(
            format!("rules[{}]", dropped.rule),
            format!("cannot be inverted: {}; give it a direction", dropped.reason),
        );
    }
    problems.into_result()?;
    inversion.table.check()?;
    Ok(inversion.table)
}

pub(crate) fn lossy(table: &Table) -> Inversion {
    let mut dropped = Vec::new();
    let rules = table
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| match rule.direction {
            Direction::Both => turn(rule, table).unwrap_or_else(|reason| {
                dropped.push(Dropped { rule: index, reason });
                rule.clone().with_direction(Direction::Backward)
            }),
            one => rule.clone().with_direction(one.turned()),
        })
        .collect();
    let (empty_is_null, nulls) = turn_nulls(table.empty_is_null, table.nulls);
    let table = Table {
        name: if table.name.is_empty() { String::new() } else { turned_name(&table.name) },
        description: table.description.clone(),
        from_stream: table.to_stream.clone(),
        to_stream: table.from_stream.clone(),
        when: table.when_back.clone(),
        when_back: table.when.clone(),
        pass_through: table.pass_through,
        drop: table.drop_back.clone(),
        drop_back: table.drop.clone(),
        empty_is_null,
        nulls,
        lookups: table.lookups.clone(),
        rules,
    };
    Inversion { table, dropped }
}

fn turned_name(name: &str) -> String {
    match name.strip_suffix(" (inverted)") {
        Some(original) => original.to_owned(),
        None => format!("{name} (inverted)"),
    }
}

/// A rule turned round, or why it cannot be.
fn turn(rule: &Rule, table: &Table) -> Result<Rule, String> {
    if rule.constant.is_some() {
        return Err("a constant comes from no field".to_owned());
    }
    if rule.join.is_some() {
        return Err("where joined texts were separated is not known".to_owned());
    }
    if !rule.fallback.is_empty() {
        return Err("which of the fallback fields held the value is not known".to_owned());
    }
    if !rule.when.is_empty() {
        return Err("its condition reads the source".to_owned());
    }
    let mut convert = Vec::with_capacity(rule.convert.len());
    for step in rule.convert.iter().rev() {
        convert.push(turn_step(step, table)?);
    }
    let (empty_is_null, nulls) = if rule.empty_is_null.is_some() || rule.nulls.is_some() {
        let (empty_is_null, nulls) =
            turn_nulls(rule.empty_is_null.unwrap_or(table.empty_is_null), rule.nulls.unwrap_or(table.nulls));
        (Some(empty_is_null), Some(nulls))
    } else {
        (None, None)
    };
    let turned = Rule {
        convert,
        required: rule.required,
        key: rule.key,
        read_only: rule.read_only,
        empty_is_null,
        nulls,
        to: rule.from.clone(),
        // A default and a longest text are facts about the target alone.
        ..Rule::default()
    };
    Ok(match &rule.split {
        Some(split) => {
            Rule { join: Some(Join { from: split.to.clone(), separator: split.separator.clone() }), ..turned }
        }
        None => Rule { from: rule.to.clone(), ..turned },
    })
}

/// Reading an empty text as null and writing null as an empty text are each other's inverse.
fn turn_nulls(empty_is_null: bool, nulls: Nulls) -> (bool, Nulls) {
    let turned = match (nulls, empty_is_null) {
        (Nulls::Omit, _) => Nulls::Omit,
        (_, true) => Nulls::EmptyText,
        (_, false) => Nulls::Keep,
    };
    (nulls == Nulls::EmptyText, turned)
}

fn turn_step(step: &Convert, table: &Table) -> Result<Convert, String> {
    let lossy = |name: &str| Err(format!("`{name}` does not say what the value was before"));
    match step {
        Convert::String => lossy("string"),
        Convert::Integer => lossy("integer"),
        Convert::Decimal => lossy("decimal"),
        Convert::Boolean => lossy("boolean"),
        Convert::Lower => lossy("lower"),
        Convert::Upper => lossy("upper"),
        Convert::Trim => lossy("trim"),
        Convert::NumberToText => Ok(Convert::TextToNumber),
        Convert::TextToNumber => Ok(Convert::NumberToText),
        Convert::BooleanToText => Ok(Convert::TextToBoolean),
        Convert::TextToBoolean => Ok(Convert::BooleanToText),
        Convert::Datetime(times) => turn_times(times),
        Convert::Values(values) => turn_values(values),
        Convert::Lookup(lookup) => turn_lookup(lookup, table),
    }
}

fn turn_times(times: &Datetimes) -> Result<Convert, String> {
    let coarser = match (times.from.fineness(), times.to.fineness()) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    };
    if coarser {
        return Err("the target's notation of time is coarser than the source's".to_owned());
    }
    Ok(Convert::Datetime(Datetimes {
        from: times.to.clone(),
        to: times.from.clone(),
        zone: times.zone.clone(),
    }))
}

fn turn_values(values: &Values) -> Result<Convert, String> {
    let map = match &values.back {
        Some(back) => back.clone(),
        None => turned_round(&values.map)?,
    };
    let otherwise = match (&values.otherwise_back, &values.otherwise) {
        (Some(back), _) => back.clone(),
        (None, crate::Otherwise::Value(_)) => {
            return Err("`otherwise` gives a value of the target: add `otherwise_back`".to_owned());
        }
        (None, same) => same.clone(),
    };
    Ok(Convert::Values(Values {
        map,
        back: values.back.as_ref().map(|_| values.map.clone()),
        otherwise,
        otherwise_back: values.otherwise_back.as_ref().map(|_| values.otherwise.clone()),
    }))
}

fn turned_round(map: &BTreeMap<String, Constant>) -> Result<BTreeMap<String, Constant>, String> {
    let mut turned = BTreeMap::new();
    for (key, value) in map {
        let Constant::Text(value) = value else {
            return Err("its value table holds values that are not text: add `back`".to_owned());
        };
        if turned.insert(value.clone(), Constant::Text(key.clone())).is_some() {
            return Err("two entries of its value table have the same target: add `back`".to_owned());
        }
    }
    Ok(turned)
}

fn turn_lookup(lookup: &LookupIn, table: &Table) -> Result<Convert, String> {
    if let crate::Otherwise::Value(_) = lookup.otherwise {
        return Err("`otherwise` gives a value of the target".to_owned());
    }
    if let Some(entries) = table.lookups.get(&lookup.table) {
        let values: std::collections::BTreeSet<&String> = entries.values().collect();
        if values.len() != entries.len() {
            return Err("two entries of its look-up have the same value".to_owned());
        }
    }
    Ok(Convert::Lookup(LookupIn { reverse: !lookup.reverse, ..lookup.clone() }))
}
