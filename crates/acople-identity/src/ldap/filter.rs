//! What to search for.

use std::fmt;
use std::str::FromStr;

use acople_core::{Error, Result};

use super::escape::filter_value;

/// The name of an attribute or of a matching rule: letters, digits and dashes, or a dotted number (RFC 4512, 1.4), for
/// attributes with options behind it (`;binary`).
///
/// ```
/// use acople_identity::ldap::Attribute;
///
/// assert!("uid".parse::<Attribute>().is_ok());
/// assert!("1.2.840.113556.1.4.803".parse::<Attribute>().is_ok());
/// assert!("uid=*)(cn".parse::<Attribute>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute(String);

impl Attribute {
    /// The name.
    ///
    /// # Errors
    /// `Config` for what is none.
    pub fn new(name: &str) -> Result<Self> {
        let (base, options) =
            name.split_once(';').map_or((name, None), |(base, options)| (base, Some(options)));
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_keyword = is_word(base) && base.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_number = |n: &str| {
            !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()) && (n == "0" || !n.starts_with('0'))
        };
        let is_oid = base.contains('.') && base.split('.').all(is_number);
        if (is_keyword || is_oid) && options.is_none_or(|options| options.split(';').all(is_word)) {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::config("attribute", format!("{name:?} is no attribute's name")))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Attribute {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What entries have to be like (RFC 4511, 4.5.1.7). Made by its constructors alone: whatever a value holds, it stays a
/// value.
///
/// ```
/// use acople_identity::ldap::{Attribute, Filter};
///
/// # fn main() -> acople_core::Result<()> {
/// let (uid, class) = (Attribute::new("uid")?, Attribute::new("objectClass")?);
/// let filter = Filter::and([Filter::eq(&class, "person"), Filter::eq(&uid, "*)(uid=*")]);
/// assert_eq!(filter.to_string(), r"(&(objectClass=person)(uid=\2a\29\28uid=\2a))");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(Attribute),
    /// Attribute, operator and value.
    Compare(Attribute, &'static str, Vec<u8>),
    /// Attribute, beginning, middle and end.
    Part(Attribute, Vec<u8>, Vec<u8>, Vec<u8>),
    /// Attribute, rule and value.
    Rule(Attribute, Attribute, Vec<u8>),
}

impl Filter {
    /// The attribute has this value.
    pub fn eq(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self(Node::Compare(attribute.clone(), "=", value.as_ref().to_vec()))
    }

    /// The attribute has a value of this or beyond it, in the order of its schema.
    pub fn at_least(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self(Node::Compare(attribute.clone(), ">=", value.as_ref().to_vec()))
    }

    /// The attribute has a value of this or before it, in the order of its schema.
    pub fn at_most(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self(Node::Compare(attribute.clone(), "<=", value.as_ref().to_vec()))
    }

    /// The attribute is there.
    pub fn present(attribute: &Attribute) -> Self {
        Self(Node::Present(attribute.clone()))
    }

    /// The attribute has a value that begins so; with nothing, any value.
    pub fn starts_with(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self::part(attribute, value.as_ref(), &[], &[])
    }

    /// The attribute has a value that ends so; with nothing, any value.
    pub fn ends_with(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self::part(attribute, &[], &[], value.as_ref())
    }

    /// The attribute has a value with this in it; with nothing, any value.
    pub fn contains(attribute: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self::part(attribute, &[], value.as_ref(), &[])
    }

    /// The attribute matches by a rule, such as `1.2.840.113556.1.4.1941` of Active Directory, which follows groups in
    /// groups.
    pub fn matching(attribute: &Attribute, rule: &Attribute, value: impl AsRef<[u8]>) -> Self {
        Self(Node::Rule(attribute.clone(), rule.clone(), value.as_ref().to_vec()))
    }

    /// All of them hold.
    pub fn and(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::And(filters.into_iter().collect()))
    }

    /// At least one of them holds.
    pub fn or(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::Or(filters.into_iter().collect()))
    }

    /// It does not hold.
    #[allow(clippy::should_implement_trait, reason = "a constructor like `and` and `or`")]
    pub fn not(filter: Self) -> Self {
        Self(Node::Not(Box::new(filter)))
    }

    fn part(attribute: &Attribute, begin: &[u8], middle: &[u8], end: &[u8]) -> Self {
        Self(Node::Part(attribute.clone(), begin.to_vec(), middle.to_vec(), end.to_vec()))
    }
}

impl fmt::Display for Filter {
    /// As text (RFC 4515).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, filters: &[Self]| {
            filters.iter().try_for_each(|inner| write!(f, "{inner}"))
        };
        f.write_str("(")?;
        match &self.0 {
            Node::And(filters) => {
                f.write_str("&")?;
                all(f, filters)?;
            }
            Node::Or(filters) => {
                f.write_str("|")?;
                all(f, filters)?;
            }
            Node::Not(filter) => write!(f, "!{filter}")?,
            Node::Present(attribute) => write!(f, "{attribute}=*")?,
            Node::Compare(attribute, operator, value) => {
                write!(f, "{attribute}{operator}{}", filter_value(value))?;
            }
            Node::Part(attribute, begin, middle, end) => {
                write!(f, "{attribute}={}*", filter_value(begin))?;
                if !middle.is_empty() {
                    write!(f, "{}*", filter_value(middle))?;
                }
                f.write_str(&filter_value(end))?;
            }
            Node::Rule(attribute, rule, value) => write!(f, "{attribute}:{rule}:={}", filter_value(value))?,
        }
        f.write_str(")")
    }
}
