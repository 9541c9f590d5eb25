//! The typed API: one entity set, its records as a host's own types.

use std::pin::Pin;

use acople_core::{Context, Error, ErrorKind, Event, EventStream, ReadRequest, Result};
use acople_http::Call;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::header::{ACCEPT, HeaderValue};
use serde::de::DeserializeOwned;

use crate::edm::Property;
use crate::read::events;
use crate::{Protocol, Service};

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

impl Compare {
    fn operator(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

/// The key of one record: one value, or several by name. Values are texts as the service shows them;
/// leading zeros matter.
///
/// ```
/// use acople_odata::Key;
/// let one = Key::from("0000001000");
/// let two = Key::from([("SalesOrder", "17"), ("SalesOrderItem", "10")]);
/// # let _ = (one, two);
/// ```
#[derive(Clone, Debug)]
pub struct Key(Vec<(Option<String>, String)>);

impl From<&str> for Key {
    fn from(value: &str) -> Self {
        Self(vec![(None, value.to_owned())])
    }
}

impl From<String> for Key {
    fn from(value: String) -> Self {
        Self(vec![(None, value)])
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Key {
    fn from(parts: [(&str, &str); N]) -> Self {
        Self(parts.iter().map(|(name, value)| (Some((*name).to_owned()), (*value).to_owned())).collect())
    }
}

/// Records of one type, pulled page by page. An item may be an error of its own: the stream goes on.
pub type Records<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// One entity set of a service. Made by [`Service::entity_set`].
#[derive(Clone, Debug)]
pub struct EntitySet {
    service: Service,
    name: String,
    select: Option<Vec<String>>,
    conditions: Vec<(String, Compare, String)>,
    limit: Option<u64>,
}

impl EntitySet {
    pub(crate) fn new(service: Service, name: String) -> Self {
        Self { service, name, select: None, conditions: Vec::new(), limit: None }
    }

    /// Asks for these fields only; the key comes along.
    pub fn select<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.select = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// Keeps only records whose field compares so with a value. Several conditions must all be met.
    ///
    /// The value is a text that fits the field's type; it becomes a literal of that type.
    pub fn filter(mut self, field: impl Into<String>, compare: Compare, value: impl Into<String>) -> Self {
        self.conditions.push((field.into(), compare, value.into()));
        self
    }

    /// Ends after this many records.
    pub fn limit(mut self, records: u64) -> Self {
        self.limit = Some(records);
        self
    }

    /// All records that meet the conditions, as a host's own type.
    ///
    /// A record that does not fit its type is an error item; what the service or the wire refuse ends the
    /// stream.
    pub fn read<T: DeserializeOwned + Send + 'static>(&self, cx: &Context) -> Records<T> {
        let events = stream::once(self.clone().events(cx.clone())).try_flatten();
        Box::pin(events.flat_map(|event| {
            stream::iter(match event {
                Ok(Event::Batch(batch)) => batch.typed().collect(),
                Ok(_) => Vec::new(),
                Err(error) => vec![Err(error)],
            })
        }))
    }

    /// The record with a key.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Schema` when it does not fit its type.
    pub async fn get<T: DeserializeOwned>(&self, cx: &Context, key: impl Into<Key> + Send) -> Result<T> {
        let segment = format!("{}({})", self.name, self.predicate(cx, &key.into()).await?);
        let call = self.service.dress(Call::get("read entity").path([segment]), None);
        let page = self.service.client().send(cx, &call).await?.into_page()?;
        let whole = match self.service.protocol() {
            Protocol::V4 => acople_core::json::value(page.as_str())?,
            Protocol::V2 => acople_core::json::get(page.as_str(), &["d"].into_iter().collect())?,
        };
        whole.parse().map_err(|e| Error::from(e).with_kind(ErrorKind::Schema))
    }

    /// How many records meet the conditions.
    pub async fn count(&self, cx: &Context) -> Result<u64> {
        let conditions = self.conditions(cx).await?;
        let mut call = Call::get("count records").path([self.name.as_str(), "$count"]).any_content();
        if !conditions.is_empty() {
            call = call.query("$filter", conditions.join(" and "));
        }
        let call = self.service.dress(call, None).header(ACCEPT, HeaderValue::from_static("text/plain"));
        let answer = self.service.client().send(cx, &call).await?;
        let text = String::from_utf8_lossy(answer.body());
        text.trim_start_matches('\u{feff}')
            .trim()
            .parse()
            .map_err(|_| Error::new(ErrorKind::Protocol, "the service sent a count that is no number"))
    }

    async fn events(self, cx: Context) -> Result<EventStream> {
        let mut request = ReadRequest::full(&self.name);
        if let Some(fields) = &self.select {
            request = request.with_fields(fields.iter().cloned());
        }
        if let Some(limit) = self.limit {
            request = request.with_limit(limit);
        }
        let conditions = self.conditions(&cx).await?;
        events(&self.service, &cx, request, conditions)
    }

    /// The conditions as parts of `$filter`.
    async fn conditions(&self, cx: &Context) -> Result<Vec<String>> {
        if self.conditions.is_empty() {
            return Ok(Vec::new());
        }
        let model = self.service.model_with(cx, &self.name).await?;
        let properties =
            model.set(&self.name).map(|set| model.properties(&set.type_name)).unwrap_or_default();
        let mut parts = Vec::with_capacity(self.conditions.len());
        for (field, compare, value) in &self.conditions {
            let Some(property) = properties.iter().find(|p| p.name == *field) else {
                return Err(Error::config(field, format!("{} has no such field", self.name)));
            };
            parts.push(format!("{field} {} {}", compare.operator(), self.literal(property, value)?));
        }
        Ok(parts)
    }

    async fn predicate(&self, cx: &Context, key: &Key) -> Result<String> {
        let model = self.service.model_with(cx, &self.name).await?;
        let keys = model.set(&self.name).map(|set| model.keys(&set.type_name)).unwrap_or_default();
        if keys.len() != key.0.len() || keys.is_empty() {
            let message = format!("the key of {} has {} fields", self.name, keys.len());
            return Err(Error::config("key", message));
        }
        let mut parts = Vec::with_capacity(keys.len());
        for property in keys {
            let found =
                key.0.iter().find(|(name, _)| name.as_ref().is_none_or(|name| *name == property.name));
            let Some((_, value)) = found else {
                return Err(Error::config(
                    &property.name,
                    format!("the key of {} lacks this field", self.name),
                ));
            };
            parts.push((property.name.as_str(), self.literal(property, value)?));
        }
        Ok(match parts.as_slice() {
            [(_, one)] => one.clone(),
            many => many.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","),
        })
    }

    fn literal(&self, property: &Property, value: &str) -> Result<String> {
        property
            .primitive()
            .literal(self.service.protocol(), value)
            .map_err(|_| Error::config(&property.name, format!("not a value of type {}", property.type_name)))
    }
}
