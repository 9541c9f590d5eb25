//! The condition of a query, checked against the schema and ready to be asked of records.

use std::{cmp::Ordering, collections::HashSet};

use serde_json::Value;

use super::{
    id,
    schema::{Field, FieldKind},
    soql::{Expr, Literal, Op},
    stamp,
    store::{Row, Table, Tables},
    token::Glyph,
};

/// Why a query that reads well can not be run: the vendor's code and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Unfit {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A field that a query names: one of the record, or one of the record that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) hop: Option<Hop>,
    pub(crate) field: String,
    class: Class,
    filterable: bool,
}

/// The way to another record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) relationship: String,
    pub(crate) reference: String,
    pub(crate) target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Id,
    Number,
    Boolean,
    Day,
    Instant,
}

impl Column {
    /// Looks up a path such as `Name`, `Lead.Name` or `Account.Name`.
    pub(crate) fn resolve(tables: &Tables, table: &Table, path: &str) -> Result<Self, Unfit> {
        let object = table.object();
        let Some((prefix, name)) = path.split_once('.') else {
            return object
                .find(path)
                .map(|field| Self::of(field, None))
                .ok_or_else(|| no_column(path, &object.name));
        };
        if prefix.eq_ignore_ascii_case(&object.name) {
            return Self::resolve(tables, table, name);
        }
        let reference = object.find_relationship(prefix).ok_or_else(|| {
            Unfit::new(
                "INVALID_FIELD",
                format!("Didn't understand relationship '{prefix}' in field path '{path}'"),
            )
        })?;
        let FieldKind::Reference { to, relationship } = &reference.kind else {
            return Err(no_column(path, &object.name));
        };
        let field = tables
            .find(to)
            .and_then(|target| target.object().find(name))
            .ok_or_else(|| no_column(name, to))?;
        let hop =
            Hop { relationship: relationship.clone(), reference: reference.name.clone(), target: to.clone() };
        Ok(Self::of(field, Some(hop)))
    }

    fn of(field: &Field, hop: Option<Hop>) -> Self {
        let class = match field.kind {
            FieldKind::Id | FieldKind::Reference { .. } => Class::Id,
            FieldKind::Boolean => Class::Boolean,
            FieldKind::Date => Class::Day,
            FieldKind::DateTime => Class::Instant,
            _ if field.is_number() => Class::Number,
            _ => Class::Text,
        };
        Self { hop, field: field.name.clone(), class, filterable: field.is_filterable() }
    }

    /// The value in a record; `None` is null.
    pub(crate) fn value<'t>(&self, tables: &'t Tables, row: &'t Row) -> Option<&'t Value> {
        let row = match &self.hop {
            None => row,
            Some(hop) => {
                let id = row.fields.get(&hop.reference)?.as_str()?;
                tables.find(&hop.target)?.get(id).filter(|row| row.deleted_ms.is_none())?
            }
        };
        row.fields.get(&self.field)
    }

    /// The value as something to sort by.
    pub(crate) fn sort_key(&self, tables: &Tables, row: &Row) -> Option<SortKey> {
        Some(match self.value(tables, row)? {
            Value::Bool(value) => SortKey::Boolean(*value),
            Value::Number(number) => SortKey::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) if self.class == Class::Text => SortKey::Text(text.to_lowercase()),
            Value::String(text) => SortKey::Text(text.clone()),
            _ => return None,
        })
    }

    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.hop.is_none() && self.field == name
    }

    pub(crate) fn check_filterable(&self) -> Result<(), Unfit> {
        if self.filterable {
            return Ok(());
        }
        Err(Unfit::new(
            "INVALID_FIELD",
            format!("field '{}' can not be filtered in a query call", self.field),
        ))
    }
}

/// What records are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SortKey {
    Boolean(bool),
    Number(f64),
    Text(String),
}

impl SortKey {
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(one), Self::Boolean(two)) => one.cmp(two),
            (Self::Number(one), Self::Number(two)) => one.total_cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            _ => Ordering::Equal,
        }
    }
}

/// A condition with its fields looked up and its literals converted.
#[derive(Debug)]
pub(crate) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Test { column: Column, op: Op, operand: Operand },
    OneOf { column: Column, negated: bool, null: bool, texts: HashSet<String>, others: Vec<Operand> },
}

#[derive(Debug)]
pub(crate) enum Operand {
    Null,
    Boolean(bool),
    Number(f64),
    /// Lower case: the vendor compares texts without case.
    Text(String),
    Pattern(Vec<Glyph>),
    /// Ids, days and instants: these compare as they are written.
    Exact(String),
    Instant {
        ms: i64,
        text: String,
    },
}

impl Predicate {
    pub(crate) fn compile(tables: &Tables, table: &Table, expr: &Expr) -> Result<Self, Unfit> {
        let all = |parts: &[Expr]| {
            parts.iter().map(|part| Self::compile(tables, table, part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match expr {
            Expr::And(parts) => Self::All(all(parts)?),
            Expr::Or(parts) => Self::Any(all(parts)?),
            Expr::Not(part) => Self::Not(Box::new(Self::compile(tables, table, part)?)),
            Expr::Compare { field, op, value } => {
                let column = Column::resolve(tables, table, field)?;
                column.check_filterable()?;
                let operand = operand(&column, *op, value)?;
                Self::Test { column, op: *op, operand }
            }
            Expr::In { field, negated, values } => {
                let column = Column::resolve(tables, table, field)?;
                column.check_filterable()?;
                let (mut null, mut texts, mut others) = (false, HashSet::new(), Vec::new());
                for value in values {
                    match operand(&column, Op::Eq, value)? {
                        Operand::Null => null = true,
                        Operand::Text(text) | Operand::Exact(text) => {
                            texts.insert(text);
                        }
                        other => others.push(other),
                    }
                }
                Self::OneOf { column, negated: *negated, null, texts, others }
            }
        })
    }

    pub(crate) fn matches(&self, tables: &Tables, row: &Row) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(tables, row)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(tables, row)),
            Self::Not(part) => !part.matches(tables, row),
            Self::Test { column, op, operand } => compare(column.value(tables, row), *op, operand),
            Self::OneOf { column, negated, null, texts, others } => {
                let value = column.value(tables, row);
                let found = match value {
                    None => *null,
                    Some(Value::String(text)) if column.class == Class::Text => {
                        texts.contains(&text.to_lowercase())
                    }
                    Some(Value::String(text)) if texts.contains(text) => true,
                    _ => others.iter().any(|operand| compare(value, Op::Eq, operand)),
                };
                found != *negated
            }
        }
    }

    /// No matching record has a `SystemModstamp` before this.
    pub(crate) fn earliest(&self) -> Option<i64> {
        match self {
            Self::Test { column, op: Op::Eq | Op::Gt | Op::Ge, operand: Operand::Instant { ms, .. } } => {
                column.is_own("SystemModstamp").then_some(*ms)
            }
            Self::All(parts) => parts.iter().filter_map(Self::earliest).max(),
            Self::Any(parts) => {
                parts.iter().map(Self::earliest).collect::<Option<Vec<_>>>()?.into_iter().min()
            }
            _ => None,
        }
    }

    /// No matching record has an id before this.
    pub(crate) fn first_id(&self) -> Option<&str> {
        match self {
            Self::Test { column, op: Op::Eq | Op::Gt | Op::Ge, operand: Operand::Exact(id) } => {
                column.is_own("Id").then_some(id)
            }
            Self::All(parts) => parts.iter().filter_map(Self::first_id).max(),
            _ => None,
        }
    }
}

pub(crate) fn no_column(name: &str, object: &str) -> Unfit {
    Unfit::new("INVALID_FIELD", format!("No such column '{name}' on entity '{object}'"))
}

fn operand(column: &Column, op: Op, literal: &Literal) -> Result<Operand, Unfit> {
    let criterion = |wanted: &str| {
        let field = &column.field;
        Unfit::new(
            "INVALID_FIELD",
            format!("value of filter criterion for field '{field}' must be of type {wanted}"),
        )
    };
    if op == Op::Like && column.class != Class::Text {
        return Err(Unfit::new(
            "INVALID_QUERY_FILTER_OPERATOR",
            format!("invalid operator on field '{}'", column.field),
        ));
    }
    match (column.class, literal) {
        (_, Literal::Null) => Ok(Operand::Null),
        (Class::Text, Literal::Text { pattern, .. }) if op == Op::Like => {
            let lower = |glyph: &Glyph| match glyph {
                Glyph::Char(c) => c.to_lowercase().map(Glyph::Char).collect(),
                other => vec![*other],
            };
            Ok(Operand::Pattern(pattern.iter().flat_map(lower).collect()))
        }
        (Class::Text, Literal::Text { value, .. }) => Ok(Operand::Text(value.to_lowercase())),
        (Class::Id, Literal::Text { value, .. }) => id::to_18(value)
            .map(Operand::Exact)
            .ok_or_else(|| Unfit::new("INVALID_QUERY_FILTER_OPERATOR", format!("invalid ID field: {value}"))),
        (Class::Text | Class::Id, _) => Err(criterion("string and should be enclosed in quotes")),
        (Class::Number, Literal::Number(number)) => Ok(Operand::Number(*number)),
        (Class::Number, _) => Err(criterion("double and should not be enclosed in quotes")),
        (Class::Boolean, Literal::Bool(value)) => Ok(Operand::Boolean(*value)),
        (Class::Boolean, _) => Err(criterion("boolean and should not be enclosed in quotes")),
        (Class::Day, Literal::Day(day)) => Ok(Operand::Exact(day.clone())),
        (Class::Day, _) => Err(criterion("date and should not be enclosed in quotes")),
        (Class::Instant, Literal::Instant(ms)) => Ok(Operand::Instant { ms: *ms, text: stamp(*ms) }),
        (Class::Instant, _) => Err(criterion("dateTime and should not be enclosed in quotes")),
    }
}

fn compare(value: Option<&Value>, op: Op, operand: &Operand) -> bool {
    let Some(value) = value else {
        return match (op, operand) {
            (Op::Eq, Operand::Null) => true,
            (Op::Ne, Operand::Null) => false,
            // Null is unequal to every value, and neither less nor more than any.
            (op, _) => op == Op::Ne,
        };
    };
    let ordering = match (value, operand) {
        (Value::Bool(value), Operand::Boolean(other)) => value.cmp(other),
        (Value::Number(value), Operand::Number(other)) => value.as_f64().unwrap_or_default().total_cmp(other),
        (Value::String(text), Operand::Text(other)) => text.to_lowercase().cmp(other),
        (Value::String(text), Operand::Exact(other) | Operand::Instant { text: other, .. }) => {
            text.cmp(other)
        }
        (Value::String(text), Operand::Pattern(pattern)) => return like(pattern, text),
        _ => return op == Op::Ne,
    };
    match op {
        Op::Eq => ordering.is_eq(),
        Op::Ne => ordering.is_ne(),
        Op::Lt => ordering.is_lt(),
        Op::Le => ordering.is_le(),
        Op::Gt => ordering.is_gt(),
        Op::Ge => ordering.is_ge(),
        Op::Like => false,
    }
}

/// LIKE with a lower-case pattern. On a mismatch the last `%` takes one character more, which needs no recursion.
fn like(pattern: &[Glyph], text: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at) {
        match pattern.get(place) {
            Some(Glyph::Any) => {
                place += 1;
                retry = Some((place, at));
                continue;
            }
            Some(Glyph::One) => {}
            Some(Glyph::Char(wanted)) if wanted == c => {}
            _ => {
                let Some((after, taken)) = retry else {
                    return false;
                };
                retry = Some((after, taken + 1));
                (place, at) = (after, taken + 1);
                continue;
            }
        }
        at += 1;
        place += 1;
    }
    pattern.iter().skip(place).all(|glyph| *glyph == Glyph::Any)
}
