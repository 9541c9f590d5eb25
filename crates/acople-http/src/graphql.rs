//! GraphQL over HTTP: a fixed text, values as variables, and answers that may be whole, partial or neither.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use acople_core::json::{self, Envelope, FieldPath, Page, Value, Writer};
use acople_core::{Batch, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Answer, Call, Classifier, StatusClassifier};

/// Most errors of an answer that are kept.
const ERRORS: usize = 100;

/// What errors beside data mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    Fail,
    Partial,
}

/// One operation of a GraphQL API.
///
/// The text is a constant of the program, so that no value can be pasted into it; values are variables, which
/// the vendor never reads as text of a query.
///
/// ```
/// use acople_http::GraphQl;
/// use serde_json::json;
///
/// const ORDERS: GraphQl = GraphQl::query(
///     "list orders",
///     "query($first: Int!, $after: String) { orders(first: $first, after: $after) { nodes { id } } }",
/// );
/// let call = ORDERS.call(&json!({ "first": 100, "after": null }))?.path(["graphql.json"]);
/// # Ok::<(), acople_core::Error>(())
/// ```
///
/// ```compile_fail
/// # let id = 7;
/// acople_http::GraphQl::query("read order", &format!("{{ order(id: {id}) {{ name }} }}"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GraphQl {
    operation: &'static str,
    text: &'static str,
    name: Option<&'static str>,
    repeatable: bool,
    errors: Errors,
}

impl GraphQl {
    /// A query, which may be repeated. `operation` says for people what it does, as in [`Call::new`].
    pub const fn query(operation: &'static str, text: &'static str) -> Self {
        Self { operation, text, name: None, repeatable: true, errors: Errors::Fail }
    }

    /// A mutation, which is not repeated once it may have been seen.
    pub const fn mutation(operation: &'static str, text: &'static str) -> Self {
        Self { operation, text, name: None, repeatable: false, errors: Errors::Fail }
    }

    /// Names which of several operations in the text is meant (`operationName`).
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Takes an answer that has errors beside its data: what is there is used, what is missing is reported.
    /// Without this, such an answer is an error.
    pub const fn partial(mut self) -> Self {
        self.errors = Errors::Partial;
        self
    }

    /// The call with these variables, by POST (GraphQL over HTTP, 5.4); the path is left to the caller.
    ///
    /// # Errors
    /// `Internal` when the variables cannot be written as JSON.
    pub fn call(&self, variables: &impl Serialize) -> Result<Call> {
        let variables = serde_json::to_string(variables)
            .map_err(|e| Error::new(ErrorKind::Internal, "the variables cannot be written").with_source(e))?;
        let mut body =
            Writer::with_capacity(self.text.len().saturating_add(variables.len()).saturating_add(64));
        body.begin_object();
        body.key("query");
        body.text(self.text);
        if let Some(name) = self.name {
            body.key("operationName");
            body.text(name);
        }
        body.key("variables");
        body.raw(&variables);
        body.end_object();
        let call = Call::post(self.operation).raw_json(body.into_string());
        Ok(if self.repeatable { call.repeatable() } else { call })
    }

    /// What an answer holds, by the operation's policy.
    ///
    /// # Errors
    /// The kind that the first error's code means, with all paths as fields, when there are errors and the
    /// operation did not say [`partial`](Self::partial), or when there is no data at all. `Protocol` for an
    /// answer that is not GraphQL's.
    pub fn read(&self, answer: Answer) -> Result<GraphQlAnswer> {
        let status = answer.status().as_u16();
        let read = || {
            let answer = GraphQlAnswer::parse(answer.into_page()?)?;
            match error_of(&answer.errors) {
                Some(error) if self.errors == Errors::Fail || !answer.has_data => Err(error),
                _ if !answer.has_data => {
                    Err(Error::new(ErrorKind::Protocol, "the answer has neither data nor errors"))
                }
                _ => Ok(answer),
            }
        };
        read().map_err(|error| error.with_status(status).with_operation(self.operation))
    }
}

/// One error of a GraphQL answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphQlError {
    /// What the vendor says.
    pub message: String,
    /// The field that failed, from the outside in; empty when the whole request failed.
    pub path: Vec<String>,
    /// `extensions.code`, such as `THROTTLED`.
    pub code: Option<String>,
}

impl GraphQlError {
    /// Whether something at, above or below this path of the data is missing because of the error.
    fn covers(&self, path: &[Box<str>]) -> bool {
        self.path.iter().zip(path).all(|(mine, theirs)| **mine == **theirs)
    }
}

/// The parts of a GraphQL answer: see [`GraphQl::read`].
#[derive(Clone)]
pub struct GraphQlAnswer {
    page: Page,
    has_data: bool,
    errors: Vec<GraphQlError>,
}

impl GraphQlAnswer {
    fn parse(page: Page) -> Result<Self> {
        let (mut has_data, mut errors, mut known) = (false, Vec::new(), false);
        for member in json::members(page.as_str()) {
            let (name, value) = member?;
            if name.eq_str("data") {
                known = true;
                has_data = match value {
                    Value::Object(_) => true,
                    Value::Null => false,
                    _ => return Err(Error::new(ErrorKind::Protocol, "the answer's data is no object")),
                };
            } else if name.eq_str("errors") {
                known = true;
                errors = parse_errors(value)?;
            }
        }
        if known {
            Ok(Self { page, has_data, errors })
        } else {
            Err(Error::new(ErrorKind::Protocol, "the answer has neither data nor errors"))
        }
    }

    /// The errors beside the data; the first hundred of them.
    pub fn errors(&self) -> &[GraphQlError] {
        &self.errors
    }

    /// A member of the data. [`Value::Missing`] when it is not there.
    pub fn get(&self, path: &FieldPath) -> Result<Value<'_>> {
        Ok(json::get(self.page.as_str(), &in_data(path))?)
    }

    /// The data as a `T`.
    ///
    /// # Errors
    /// `Protocol` when it does not fit.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        let data = self.get(&FieldPath::default())?;
        serde_json::from_str(data.raw()).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::new(ErrorKind::Protocol, format!("the data is not what it should be ({place})"))
        })
    }

    /// Says whether everything at a path of the data came: it is there, and no error's path lies on the way to
    /// it or below it. A walk asks this before it goes on behind the records at the path: what an error
    /// left out would never be read otherwise.
    ///
    /// # Errors
    /// The kind that the error's code means, with the paths of what is missing as fields; `Protocol` when
    /// nothing is there.
    pub fn ensure_complete(&self, path: &FieldPath) -> Result<()> {
        let missing = self.errors.iter().filter(|error| error.covers(path.segments()));
        if let Some(error) = error_of(missing) {
            return Err(error);
        }
        match self.get(path)? {
            Value::Missing | Value::Null => {
                let message = "the answer has no data where the records should be";
                Err(Error::new(ErrorKind::Protocol, message).with_field(path.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The records of a connection (`nodes` with `pageInfo`) at a path of the data, and the cursor behind
    /// them, `None` at the end.
    ///
    /// # Errors
    /// As [`ensure_complete`](Self::ensure_complete), so that no cursor passes missing data; `Protocol` when
    /// there is a next page and no cursor to it.
    pub fn connection(self, stream: impl Into<Arc<str>>, path: &str) -> Result<(Batch, Option<String>)> {
        let at = parse_path(path)?;
        self.ensure_complete(&at)?;
        let below = |names: &[&str]| {
            let mut path = at.clone();
            for name in names {
                path.push(*name);
            }
            path
        };
        let more = self.get(&below(&["pageInfo", "hasNextPage"]))?.as_bool() == Some(true);
        let cursor = self.get(&below(&["pageInfo", "endCursor"]))?.scalar_text()?;
        let next = match cursor.filter(|cursor| !cursor.is_empty()) {
            Some(cursor) if more => Some(Cow::into_owned(cursor)),
            None if more => {
                let message = "the answer has a next page and no cursor to it";
                return Err(Error::new(ErrorKind::Protocol, message).with_field(path));
            }
            _ => None,
        };
        let split = Envelope::new(&[in_data(&below(&["nodes"]))]).split(&self.page)?;
        Ok((Batch::new(stream, self.page, split.records), next))
    }
}

impl fmt::Debug for GraphQlAnswer {
    /// The errors, and the size of the rest: data is the customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphQlAnswer")
            .field("bytes", &self.page.len())
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

/// Reads the errors of GraphQL answers, those within a 200 too, so that a throttled or unauthorised request is
/// tried again or renewed as one that says so by its status. Errors beside data are the operation's business:
/// see [`GraphQl::read`].
///
/// Codes are those that Apollo and Shopify document: `THROTTLED`, `UNAUTHENTICATED`, `FORBIDDEN`,
/// `ACCESS_DENIED`, `INTERNAL_SERVER_ERROR`, `TIMEOUT`, `NOT_FOUND`; any other one means that the request is
/// at fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct GraphQlClassifier;

impl Classifier for GraphQlClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let verdict = StatusClassifier.classify(answer);
        let Some(errors) = page_of(answer).and_then(|page| GraphQlAnswer::parse(page).ok()) else {
            return verdict;
        };
        let said = errors.errors.first();
        match (verdict, said) {
            (Err(error), Some(said)) => {
                let error = error.with_message(&said.message);
                Err(match &said.code {
                    Some(code) => error.with_code(code),
                    None => error,
                })
            }
            (Ok(()), Some(_)) if !errors.has_data => {
                let error = error_of(&errors.errors).map(|e| e.with_status(answer.status().as_u16()));
                error.map_or(Ok(()), Err)
            }
            (verdict, _) => verdict,
        }
    }
}

/// A page of an answer that is not to be consumed.
fn page_of(answer: &Answer) -> Option<Page> {
    // Whole answers with data are parsed by whoever asked: here only what may be nothing but errors.
    let body = answer.body();
    let may_have_errors = memchr::memmem::find(body, b"\"errors\"").is_some();
    may_have_errors.then(|| Page::from_bytes(body.to_vec()).ok()).flatten()
}

/// One error for several: the first one's kind and words, the paths of all.
fn error_of<'e>(errors: impl IntoIterator<Item = &'e GraphQlError>) -> Option<Error> {
    let mut errors = errors.into_iter().peekable();
    let first = errors.peek()?;
    let mut error = Error::new(kind_of(first.code.as_deref().unwrap_or_default()), &first.message);
    if let Some(code) = &first.code {
        error = error.with_code(code);
    }
    for other in errors.filter(|other| !other.path.is_empty()) {
        error = error.with_field(other.path.join("."));
    }
    Some(error)
}

fn kind_of(code: &str) -> ErrorKind {
    match code {
        "THROTTLED" | "RATE_LIMITED" => ErrorKind::RateLimited,
        "UNAUTHENTICATED" => ErrorKind::Reauth,
        "FORBIDDEN" | "ACCESS_DENIED" => ErrorKind::Permission,
        "NOT_FOUND" => ErrorKind::NotFound,
        "INTERNAL_SERVER_ERROR" | "TIMEOUT" | "SERVICE_UNAVAILABLE" => ErrorKind::Transient,
        _ => ErrorKind::Invalid,
    }
}

fn parse_errors(value: Value<'_>) -> Result<Vec<GraphQlError>> {
    let not_a_list = || Error::new(ErrorKind::Protocol, "the answer's errors are no list");
    match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(_) => {}
        _ => return Err(not_a_list()),
    }
    json::elements(value.raw()).take(ERRORS).map(|element| parse_error(element?)).collect()
}

fn parse_error(value: Value<'_>) -> Result<GraphQlError> {
    let text = |path: &str| -> Result<Option<String>> {
        let member = json::get(value.raw(), &parse_path(path)?)?;
        Ok(member.scalar_text()?.map(Cow::into_owned))
    };
    let steps = json::get(value.raw(), &parse_path("path")?)?;
    let path = match steps {
        Value::Array(_) => json::elements(steps.raw())
            .map(|step| Ok(step?.scalar_text()?.unwrap_or_default().into_owned()))
            .collect::<Result<_>>()?,
        _ => Vec::new(),
    };
    let message = text("message")?.unwrap_or_else(|| "an error without a message".to_owned());
    Ok(GraphQlError { message, path, code: text("extensions.code")? })
}

fn parse_path(text: &str) -> Result<FieldPath> {
    FieldPath::parse(text).map_err(|e| Error::from(e).with_kind(ErrorKind::Internal))
}

/// A path below the data, from the answer's root.
fn in_data(path: &FieldPath) -> FieldPath {
    ["data"].into_iter().chain(path.segments().iter().map(|segment| &**segment)).collect()
}
