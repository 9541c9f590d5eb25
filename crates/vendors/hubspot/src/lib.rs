#![doc = include_str!("../README.md")]

mod batch;
mod catalog;
mod config;
mod error;
mod model;
mod read;
mod search;

use std::sync::Arc;

use acople_core::{
    Action, ActionCall, ActionOutput, Catalog, Connector, ConnectorInfo, Context, Error, ErrorKind,
    EventStream, Health, ReadMode, ReadRequest, Resources, Result, Stream, Vendor, WriteReport, WriteRequest,
    config_schema, parse_vendor_config,
};
use acople_http::{Answer, Call, Client, visible};
use async_trait::async_trait;
use serde_json::{Value as Json, json};

pub use acople_auth::config::RefreshToken;
pub use config::{Auth, Config, DEFAULT_API_VERSION, DEFAULT_BASE_URL, Tier};
pub use model::{Company, Contact, Deal, Found, Model, Object, Objects, Properties, Ticket};
pub use search::{Direction, Operator, Search};

use crate::config::check_object;
use crate::error::HubSpotClassifier;

/// The entry for the registry of vendors.
pub const VENDOR: Vendor = Vendor {
    id: "hubspot",
    name: "HubSpot",
    summary: "CRM: contacts, companies, deals, tickets and the account's own objects",
    config_schema: config_schema::<Config>,
    connect: |config, resources| Ok(Arc::new(HubSpot::new(parse_vendor_config(config)?, &resources)?)),
};

/// A connection to one HubSpot account: connector and typed API in one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HubSpot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    info: ConnectorInfo,
    config: Config,
}

impl HubSpot {
    /// A connection. Does no I/O.
    ///
    /// # Errors
    /// `Config`, with the field that is wrong.
    pub fn new(config: Config, resources: &Resources) -> Result<Self> {
        config.validate()?;
        let client = Client::with_resources(&config.base_url, resources)?
            .connector(VENDOR.id)
            .auth(config.provider(resources)?)
            .limits(config.tier.limits())
            .classifier(HubSpotClassifier(config.utc_offset_minutes))
            .build();
        let search = Action::new("search", "finds records by filters, one page at a time")
            .with_input(search_schema())
            .idempotent();
        let info = ConnectorInfo::new(VENDOR.id, VENDOR.name).with_api_version(&config.api_version);
        Ok(Self(Arc::new(Inner { client, info: info.with_action(search), config })))
    }

    pub(crate) async fn send(&self, cx: &Context, call: &Call) -> Result<Answer> {
        self.0.client.send(cx, call).await
    }

    /// The path of the `objects` (the records) or the `properties` of a type of objects.
    pub(crate) fn path<'a>(&'a self, area: &'a str, object: &'a str) -> [&'a str; 4] {
        match self.0.config.api_version.as_str() {
            "v3" => ["crm", "v3", area, object],
            release => ["crm", area, release, object],
        }
    }

    /// Calls `search`: the input is the body of HubSpot's own search with the object's name beside it.
    async fn search_action(&self, cx: &Context, input: &Json) -> Result<ActionOutput> {
        let mut body =
            input.as_object().cloned().ok_or_else(|| Error::config("input", "is not an object"))?;
        let Some(Json::String(object)) = body.remove("object") else {
            return Err(Error::config("object", "names the object to search: contacts, deals ..."));
        };
        if body.get("limit").is_some_and(|n| !n.as_u64().is_some_and(|n| (1..=200).contains(&n))) {
            return Err(Error::config("limit", "is a number from 1 to 200"));
        }
        let call = self.search_call(check_object("object", &object)?, &body)?;
        Ok(ActionOutput::new(self.send(cx, &call).await?.json()?))
    }
}

#[async_trait]
impl Connector for HubSpot {
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        let host = self.0.client.base().host_str().unwrap_or_default();
        let contacts = Call::get("check").path(self.path("objects", "contacts")).query("limit", 1);
        let mut health = match visible(self.send(cx, &contacts).await)? {
            Ok(_) => Health::ok(format!("{host} answers and contacts can be read")),
            Err(error) => Health::ok(format!("{host} answers and knows the credentials"))
                .with_warning(format!("contacts cannot be read: {}", error.message())),
        };
        if let Err(error) = visible(self.custom_objects(cx).await)? {
            health
                .warnings
                .push(format!("the account's own objects are not discovered: {}", error.message()));
        }
        if self.0.config.api_version == "v3" {
            health = health.with_warning("HubSpot does not support v3 after September 2027: set api_version");
        }
        Ok(health)
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        self.catalog(cx).await
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        let described = self.stream(cx, check_object("stream", stream)?, None).await;
        described.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error.with_kind(ErrorKind::Config).with_field("stream"),
            _ => error,
        })
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        check_object("stream", request.stream())?;
        match request.mode() {
            ReadMode::Full => self.read_full(cx, request),
            ReadMode::Incremental => self.read_changes(cx, request),
            _ => Err(Error::config("mode", "HubSpot cannot be read in this mode")),
        }
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        check_object("stream", request.stream())?;
        self.write_batch(cx, &request).await
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        match call.name() {
            "search" => self.search_action(cx, call.input()).await,
            other => Err(Error::config("action", format!("hubspot has no action {other}"))),
        }
    }
}

fn search_schema() -> Json {
    let list = |of: &str| json!({ "type": "array", "items": { "type": of } });
    json!({ "type": "object", "required": ["object"], "properties": {
        "object": { "type": "string", "description": "contacts, companies, 2-123456 ..." },
        "filterGroups": list("object"), "sorts": list("object"), "properties": list("string"),
        "query": { "type": "string" }, "after": { "type": "string" },
        "limit": { "type": "integer", "minimum": 1, "maximum": 200 },
    } })
}
