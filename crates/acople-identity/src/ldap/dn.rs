//! Distinguished names.

use std::fmt;
use std::str::FromStr;

use acople_core::{Error, Result};

use super::escape::dn_value;
use super::filter::Attribute;

/// The name of an entry (RFC 4514).
///
/// ```
/// use acople_identity::ldap::{Attribute, Dn};
///
/// # fn main() -> acople_core::Result<()> {
/// let people: Dn = "ou=people,dc=example,dc=com".parse()?;
/// let entry = people.child(&Attribute::new("cn")?, "Smith, John");
/// assert_eq!(entry.to_string(), r"cn=Smith\, John,ou=people,dc=example,dc=com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dn(String);

impl Dn {
    /// A name of the configuration, as a directory writes it.
    ///
    /// # Errors
    /// `Config` for what is none.
    pub fn new(text: &str) -> Result<Self> {
        for pair in pairs(text) {
            let fits = pair.split_once('=').is_some_and(|(attribute, value)| {
                Attribute::new(attribute.trim()).is_ok() && is_value(value)
            });
            if !fits {
                return Err(Error::config("dn", format!("{text:?} is no distinguished name")));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The entry below this one whose attribute has this value, whatever is in it.
    pub fn child(&self, attribute: &Attribute, value: &str) -> Self {
        Self(format!("{attribute}={},{}", dn_value(value), self.0))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Dn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Attributes and their values, cut where a comma or a plus stands for itself.
fn pairs(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let cuts = !escaped && (c == ',' || c == '+');
        escaped = !escaped && c == '\\';
        cuts
    })
    .collect()
}

/// Whether nothing in a value needs a backslash and has none.
fn is_value(value: &str) -> bool {
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        let fits = match c {
            '\\' => match rest.next() {
                Some(digit) if digit.is_ascii_hexdigit() => {
                    rest.next().is_some_and(|c| c.is_ascii_hexdigit())
                }
                Some(c) => matches!(c, ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\'),
                None => false,
            },
            '"' | ';' | '<' | '>' | '\0' => false,
            _ => true,
        };
        if !fits {
            return false;
        }
    }
    true
}
