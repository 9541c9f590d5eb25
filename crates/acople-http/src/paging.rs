//! The ways in which vendors cut a list into pages, as data.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt;

use acople_core::json::{self, FieldPath, Page, Split, Value};
use acople_core::{Error, ErrorKind, Result};
use http::HeaderMap;
use http::header::LINK;
use serde::{Deserialize, Serialize};

use crate::{Call, next_link};

/// How a vendor's list goes on after one page.
///
/// ```
/// use acople_http::Paging;
/// let hubspot = Paging::token("paging.next.after", "after");
/// let odata = Paging::next_url(["/@odata.nextLink"]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Paging {
    /// One page is all.
    Single,
    /// The answer holds a token that goes into a query parameter.
    Token {
        /// Where the token is.
        at: FieldPath,
        /// The parameter.
        param: Cow<'static, str>,
    },
    /// The answer holds the next page's URL, absolute or relative (OData, Salesforce). The first of the
    /// places that holds one counts.
    NextUrl {
        /// Where the URL may be.
        at: Vec<FieldPath>,
    },
    /// The `Link` header holds the next page's URL (RFC 8288).
    LinkHeader,
    /// A header holds a locator that goes into a query parameter.
    HeaderLocator {
        /// The header.
        header: Cow<'static, str>,
        /// The parameter.
        param: Cow<'static, str>,
        /// The text that means "no more".
        end: Cow<'static, str>,
    },
    /// A parameter counts the records before the page. The list ends with an empty page.
    ///
    /// A record that is deleted meanwhile pulls others forward over the edge of a page, where they are skipped, and
    /// a new one pushes others back to come twice: the stream says so with
    /// [`Listing::Shifting`](acople_core::Listing::Shifting).
    Offset {
        /// The parameter.
        param: Cow<'static, str>,
    },
    /// A parameter counts the pages. The list ends with an empty page. Shifts as offsets do.
    Number {
        /// The parameter.
        param: Cow<'static, str>,
        /// The first page's number.
        first: u64,
    },
    /// A parameter names the last record's key. The list ends with an empty page. Sorted by that key, which never
    /// changes, it brings every record that is there throughout, once.
    Keyset {
        /// The key, within the record.
        field: FieldPath,
        /// The parameter.
        param: Cow<'static, str>,
    },
}

impl Paging {
    /// A token in the body. A path that does not parse means that no token is ever found.
    pub fn token(at: &str, param: impl Into<Cow<'static, str>>) -> Self {
        match FieldPath::parse(at) {
            Ok(at) => Self::Token { at, param: param.into() },
            Err(_) => Self::Single,
        }
    }

    /// The next URL in the body, at one of several places. Paths that do not parse are left out.
    pub fn next_url<'a>(at: impl IntoIterator<Item = &'a str>) -> Self {
        Self::NextUrl { at: at.into_iter().filter_map(|p| FieldPath::parse(p).ok()).collect() }
    }

    /// Counts records.
    pub fn offset(param: impl Into<Cow<'static, str>>) -> Self {
        Self::Offset { param: param.into() }
    }

    /// Counts pages, from `first`.
    pub fn number(param: impl Into<Cow<'static, str>>, first: u64) -> Self {
        Self::Number { param: param.into(), first }
    }

    /// A locator in a header, until it says `end`.
    pub fn header_locator(
        header: impl Into<Cow<'static, str>>,
        param: impl Into<Cow<'static, str>>,
        end: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::HeaderLocator { header: header.into(), param: param.into(), end: end.into() }
    }

    /// Names the last record's key. A path that does not parse means that there is no second page.
    pub fn keyset(field: &str, param: impl Into<Cow<'static, str>>) -> Self {
        match FieldPath::parse(field) {
            Ok(field) => Self::Keyset { field, param: param.into() },
            Err(_) => Self::Single,
        }
    }

    /// The members of the envelope that [`next`](Self::next) wants to see.
    pub(crate) fn members(&self) -> Vec<FieldPath> {
        match self {
            Self::Token { at, .. } => vec![at.clone()],
            Self::NextUrl { at } => at.clone(),
            _ => Vec::new(),
        }
    }

    /// Points a call at a page.
    pub(crate) fn turn(&self, call: Call, position: &Position) -> Call {
        match (self, position) {
            (_, Position::Link(link)) => call.link(link.clone()),
            (
                Self::Token { param, .. }
                | Self::HeaderLocator { param, .. }
                | Self::Keyset { param, .. }
                | Self::Offset { param }
                | Self::Number { param, .. },
                p,
            ) => {
                let mut call = call;
                call.set_query(param.clone(), p);
                call
            }
            _ => call,
        }
    }

    /// The position after a page, `None` at the end.
    ///
    /// # Errors
    /// `Protocol` when the place of the token or link holds something else.
    pub(crate) fn next(
        &self,
        here: Option<&Position>,
        page: &Page,
        split: &Split,
        headers: &HeaderMap,
    ) -> Result<Option<Position>> {
        let records = split.records.len() as u64;
        Ok(match self {
            Self::Single => None,
            Self::Token { .. } => text(split.extra(page, 0))?.map(Position::Token),
            Self::NextUrl { at } => {
                let mut found = None;
                for index in 0..at.len() {
                    found = text(split.extra(page, index))?;
                    if found.is_some() {
                        break;
                    }
                }
                found.map(Position::Link)
            }
            Self::LinkHeader => headers
                .get_all(LINK)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .find_map(next_link)
                .map(|link| Position::Link(link.to_owned())),
            Self::HeaderLocator { header, end, .. } => headers
                .get(header.as_ref())
                .and_then(|value| value.to_str().ok())
                .filter(|locator| !locator.is_empty() && *locator != end.as_ref())
                .map(|locator| Position::Token(locator.to_owned())),
            _ if records == 0 => None,
            Self::Offset { .. } => {
                let before = if let Some(Position::Count(n)) = here { *n } else { 0 };
                Some(Position::Count(before.saturating_add(records)))
            }
            Self::Number { first, .. } => {
                let number = if let Some(Position::Count(n)) = here { *n } else { *first };
                Some(Position::Count(number.saturating_add(1)))
            }
            Self::Keyset { field, .. } => {
                let span = split.records.last().copied().unwrap_or_default();
                let key = text(json::get(page.text(span), field)?)?;
                // A key with bytes that are no text is none to go on from.
                let Some(key) = key.filter(|key| !(page.is_broken(span) && key.contains('?'))) else {
                    let message = "the last record has no key to go on from";
                    return Err(Error::new(ErrorKind::Protocol, message).with_field(field.to_string()));
                };
                Some(Position::Token(key))
            }
        })
    }
}

/// A token's or link's text; numbers keep their digits. Missing, null and empty mean "no more".
fn text(value: Value<'_>) -> Result<Option<String>> {
    match value {
        Value::Missing | Value::Null => Ok(None),
        Value::Text(_) | Value::Number(_) => {
            Ok(value.scalar_text()?.filter(|t| !t.is_empty()).map(Cow::into_owned))
        }
        _ => Err(Error::new(ErrorKind::Protocol, "the place of the next page holds no text")),
    }
}

/// Where a list goes on. Serializable, for a connector's cursor.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// A token or key of the vendor's.
    Token(String),
    /// A link of the vendor's.
    Link(String),
    /// Records or pages before this one.
    Count(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(text) | Self::Link(text) => f.write_str(text),
            Self::Count(n) => write!(f, "{n}"),
        }
    }
}

impl fmt::Debug for Position {
    /// A vendor's token may be signed into a URL that opens data: it is not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Link(_) => f.write_str("Link"),
            Self::Count(n) => write!(f, "Count({n})"),
        }
    }
}
