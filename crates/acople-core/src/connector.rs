//! The trait that every vendor implements.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    Catalog, Context, Error, ErrorKind, EventStream, ReadRequest, Result, Stream, WriteReport, WriteRequest,
};

/// Reads, writes, calls and describes one connected system.
///
/// Implemented by every vendor crate and by hosts for systems of their own. A constructor does no
/// I/O; [`check`](Self::check) does. All methods take a [`Context`] and can be dropped at any await.
///
/// Only `info`, `check` and `discover` have to be written: a source adds [`read`](Self::read), a
/// destination [`write`](Self::write), a system with commands [`invoke`](Self::invoke). The rest
/// answers with a clear error.
///
/// ```
/// use acople_core::*;
/// use async_trait::async_trait;
///
/// #[derive(Debug)]
/// struct Echo(ConnectorInfo);
///
/// #[async_trait]
/// impl Connector for Echo {
///     fn info(&self) -> &ConnectorInfo {
///         &self.0
///     }
///     async fn check(&self, _: &Context) -> Result<Health> {
///         Ok(Health::ok("nothing to connect to"))
///     }
///     async fn discover(&self, _: &Context) -> Result<Catalog> {
///         Ok(Catalog::default())
///     }
///     async fn invoke(&self, _: &Context, call: ActionCall) -> Result<ActionOutput> {
///         Ok(ActionOutput::new(call.input().clone()))
///     }
/// }
/// ```
#[async_trait]
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// Who this is. Does no I/O.
    fn info(&self) -> &ConnectorInfo;

    /// Whether the system answers and the credentials are good.
    async fn check(&self, cx: &Context) -> Result<Health>;

    /// The streams, their fields and capabilities, as they are now.
    async fn discover(&self, cx: &Context) -> Result<Catalog>;

    /// One stream, as it is now. Override it where describing one stream is cheaper than all.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such stream.
    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        let catalog = self.discover(cx).await?;
        match catalog.streams.into_iter().find(|s| s.name == stream) {
            Some(stream) => Ok(stream),
            None => Err(Error::config("stream", format!("{} has no stream {stream:?}", self.info().id))),
        }
    }

    /// Starts a read. Nothing is sent until the stream is pulled.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what can be seen to be wrong at once (a mode that the connector does
    /// not have, a cursor from elsewhere); the rest comes through the stream.
    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        let _ = (cx, request);
        Err(unsupported(self.info(), "cannot be read"))
    }

    /// Writes a batch of any size and says what became of each record.
    ///
    /// # Errors
    /// `Err` means that no record was written. What happened to single records, and to a batch of
    /// which a part was written, is in the report.
    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        let _ = (cx, request);
        Err(unsupported(self.info(), "cannot be written"))
    }

    /// Calls a named action: send a message, run a report, create a campaign.
    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        let _ = cx;
        Err(unsupported(self.info(), "has no such action").with_field(call.name()))
    }
}

fn unsupported(info: &ConnectorInfo, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{} {what}", info.id))
}

/// Who a connector is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConnectorInfo {
    /// Lowercase ASCII, never changes: `hubspot`.
    pub id: Cow<'static, str>,
    /// The name for people: `HubSpot`.
    pub name: Cow<'static, str>,
    /// The vendor's API version in use, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The actions that [`Connector::invoke`] knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
}

impl ConnectorInfo {
    /// A connector with its id and its name for people.
    pub fn new(id: impl Into<Cow<'static, str>>, name: impl Into<Cow<'static, str>>) -> Self {
        Self { id: id.into(), name: name.into(), api_version: None, actions: Vec::new() }
    }

    /// Names the vendor's API version in use.
    pub fn with_api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Some(version.into());
        self
    }

    /// Adds an action.
    pub fn with_action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}

/// A named action of a connector.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// A verb: `send_message`.
    pub name: Cow<'static, str>,
    /// One line for people.
    pub summary: Cow<'static, str>,
    /// JSON Schema of the input.
    pub input: Json,
    /// Whether calling it twice does no more than calling it once.
    pub idempotent: bool,
}

impl Action {
    /// An action that takes anything and is not idempotent.
    pub fn new(name: impl Into<Cow<'static, str>>, summary: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), summary: summary.into(), input: Json::Bool(true), idempotent: false }
    }

    /// Sets the JSON Schema of the input.
    pub fn with_input(mut self, schema: Json) -> Self {
        self.input = schema;
        self
    }

    /// Says that calling it twice does no more than calling it once.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

/// A call of an action.
#[derive(Clone, Debug)]
pub struct ActionCall {
    name: String,
    input: Json,
}

impl ActionCall {
    /// Calls `name` with an input.
    pub fn new(name: impl Into<String>, input: Json) -> Self {
        Self { name: name.into(), input }
    }

    /// The action.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its input.
    pub fn input(&self) -> &Json {
        &self.input
    }
}

/// What an action answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionOutput(Json);

impl ActionOutput {
    /// An output.
    pub fn new(value: Json) -> Self {
        Self(value)
    }

    /// The output.
    pub fn value(&self) -> &Json {
        &self.0
    }
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// One line for people: which account answered.
    pub summary: String,
    /// What works but deserves a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Health {
    /// All is well.
    pub fn ok(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), warnings: Vec::new() }
    }

    /// Adds a warning.
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}
