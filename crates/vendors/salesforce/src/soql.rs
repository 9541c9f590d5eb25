//! SOQL built from parts that cannot break out of their places.
//!
//! Names are checked against the grammar of API names, values are written as literals of their type: no
//! text of a user ever becomes syntax. See the
//! [SOQL reference](https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql.htm).
//!
//! ```
//! use acople_salesforce::soql::{Condition, Literal, Name, Op, Query};
//!
//! let query = Query::new(Name::new("Lead")?, [Name::new("Id")?, Name::new("Owner.Name")?])
//!     .filter(Condition::compare(&Name::new("LastName")?, Op::Equal, &Literal::text("O'Brien")))
//!     .order_by(Name::new("Id")?)
//!     .limit(10);
//! assert_eq!(
//!     query.to_string(),
//!     r"SELECT Id,Owner.Name FROM Lead WHERE LastName = 'O\'Brien' ORDER BY Id LIMIT 10",
//! );
//! # Ok::<(), acople_core::Error>(())
//! ```

use std::fmt::{self, Write as _};

use acople_core::{Decimal, Error, ErrorKind, Result};
use jiff::Timestamp;

use crate::model::SObject;

/// Longest name, relationships included; API names have at most 80 characters each.
const NAME_LIMIT: usize = 500;

/// The API name of an object or field, or a path through relationships (`Account.Owner.Name`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for anything but letters, digits and underscores, beginning with a letter, in
    /// segments joined by dots.
    pub fn new(text: &str) -> Result<Self> {
        let segment = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if text.len() > NAME_LIMIT || !text.split('.').all(segment) {
            return Err(Error::config(text, "not an API name of Salesforce"));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value as SOQL writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Literal(String);

impl Literal {
    /// `null`.
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    /// `true` or `false`.
    pub fn bool(truth: bool) -> Self {
        Self(truth.to_string())
    }

    /// A whole number.
    pub fn integer(number: i64) -> Self {
        Self(number.to_string())
    }

    /// A decimal number by its digits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything but a number in JSON's notation.
    pub fn decimal(digits: &str) -> Result<Self> {
        Ok(Self(Decimal::new(digits)?.to_string()))
    }

    /// A text or an id, quoted and escaped.
    pub fn text(text: &str) -> Self {
        let mut quoted = String::from('\'');
        for c in text.chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
                c => quoted.push(c),
            }
        }
        quoted.push('\'');
        Self(quoted)
    }

    /// An instant with milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] outside the years that a timestamp can hold.
    pub fn instant(unix_ms: i64) -> Result<Self> {
        let at = Timestamp::from_millisecond(unix_ms)
            .map_err(|_| Error::new(ErrorKind::Invalid, "an instant out of range"))?;
        Ok(Self(format!("{at:.3}")))
    }
}

macro_rules! operators {
    ($($op:ident = $sign:literal)*) => {
        /// How two values are compared.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Op {
            $(#[doc = concat!("`", $sign, "`")] $op,)*
        }

        impl fmt::Display for Op {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$op => $sign,)* })
            }
        }
    };
}

operators! { Equal = "=" NotEqual = "!=" Less = "<" LessOrEqual = "<=" Greater = ">" GreaterOrEqual = ">=" }

/// What records have to fulfil.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition(String);

impl Condition {
    /// A field compared with a value.
    pub fn compare(field: &Name, op: Op, value: &Literal) -> Self {
        Self(format!("{field} {op} {value}"))
    }

    /// A field that has one of some values. No values: no record.
    pub fn one_of(field: &Name, values: impl IntoIterator<Item = Literal>) -> Self {
        match join(values) {
            list if list.is_empty() => Self("Id = null".to_owned()),
            list => Self(format!("{field} IN ({list})")),
        }
    }

    /// Both conditions.
    pub fn and(self, other: Self) -> Self {
        Self(format!("({self} AND {other})"))
    }

    /// At least one of the conditions.
    pub fn or(self, other: Self) -> Self {
        Self(format!("({self} OR {other})"))
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Self(format!("(NOT ({self}))"))
    }
}

/// Texts that become part of a query. `Debug` shows none of them: values are the customer's data.
macro_rules! parts {
    ($($part:ident)*) => {$(
        impl fmt::Display for $part {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $part {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($part), "({} bytes)"), self.0.len())
            }
        }
    )*};
}

parts! { Literal Condition }

/// A query of one object. `Display` writes its SOQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    from: Name,
    fields: Vec<Name>,
    filter: Option<Condition>,
    order: Vec<Name>,
    limit: Option<u64>,
}

impl Query {
    /// All records of an object with these fields; `Id` alone when there are none.
    pub fn new(from: Name, fields: impl IntoIterator<Item = Name>) -> Self {
        Self { from, fields: fields.into_iter().collect(), filter: None, order: Vec::new(), limit: None }
    }

    /// All records of a typed object with the fields of its type.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the type's constants are no API names.
    pub fn of<T: SObject>() -> Result<Self> {
        let fields = T::FIELDS.iter().map(|field| Name::new(field)).collect::<Result<Vec<_>>>()?;
        Ok(Self::new(Name::new(T::NAME)?, fields))
    }

    /// Adds a condition to those that are there.
    pub fn filter(mut self, condition: Condition) -> Self {
        self.filter = Some(self.filter.into_iter().fold(condition, |new, old| old.and(new)));
        self
    }

    /// Adds a field to sort by, ascending.
    pub fn order_by(mut self, field: Name) -> Self {
        self.order.push(field);
        self
    }

    /// Sets the most records.
    pub fn limit(mut self, records: u64) -> Self {
        self.limit = Some(records);
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = if self.fields.is_empty() { "Id".to_owned() } else { join(&self.fields) };
        write!(f, "SELECT {fields} FROM {}", self.from)?;
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if !self.order.is_empty() {
            write!(f, " ORDER BY {}", join(&self.order))?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

fn join(parts: impl IntoIterator<Item = impl fmt::Display>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(",")
}
