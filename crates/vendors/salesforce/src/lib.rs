#![doc = include_str!("../README.md")]

mod config;
mod describe;
mod error;
pub mod model;
mod read;
mod records;
pub mod soql;
mod write;

use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    Action, ActionCall, ActionOutput, Catalog, Connector, ConnectorInfo, Context, Error, ErrorKind,
    EventStream, Health, ReadRequest, Resources, Result, Stream, Vendor, WriteReport, WriteRequest,
    config_schema, parse_config, parse_vendor_config,
};
use acople_http::{Answer, Call, Client, Timeouts};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

pub use acople_auth::config::{ClientCredentials, JwtBearer, RefreshToken};
pub use config::{Auth, Config};
pub use describe::{FieldDescription, ObjectDescription};
pub use read::Rows;
pub use records::Upserted;

use config::STANDARD_OBJECTS;

const VENDOR_ID: &str = "salesforce";

/// Most rows that the `query` action gives.
const ACTION_ROWS: usize = 10_000;

/// The entry of the registry.
pub const VENDOR: Vendor = Vendor {
    id: VENDOR_ID,
    name: "Salesforce",
    summary: "CRM: any object by SOQL, in full and by changes with tombstones; insert, update, upsert, delete in bulk",
    config_schema: config_schema::<Config>,
    connect: |config, resources| Ok(Arc::new(Salesforce::new(parse_vendor_config(config)?, &resources)?)),
};

/// One org: the uniform [`Connector`], and typed calls beside it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Salesforce(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    info: ConnectorInfo,
    client: Client,
    version: String,
    config: Config,
}

impl Salesforce {
    /// A connection. Does no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the field that is wrong.
    pub fn new(config: Config, resources: &Resources) -> Result<Self> {
        let version = config.version()?;
        for object in config.objects.iter().flatten() {
            describe::object_name(object)
                .map_err(|_| Error::config("objects", "not the API name of an object"))?;
        }
        let (auth, base) = config.provider(resources)?;
        // The vendor gives up on a query after two minutes, and says so.
        let timeouts = Timeouts::new(Duration::from_secs(130), Duration::from_secs(300));
        let client = Client::with_resources(&base, resources)?
            .connector(VENDOR.id)
            .auth(auth)
            .classifier(error::Refusals)
            .limits(error::limits())
            .timeouts(timeouts)
            .build();
        let info = ConnectorInfo::new(VENDOR_ID, VENDOR.name)
            .with_api_version(&version)
            .with_action(
                Action::new("query", "Rows of a SOQL query")
                    .with_input(config_schema::<QueryInput>())
                    .idempotent(),
            )
            .with_action(Action::new("limits", "The org's limits and what is left of them").idempotent());
        Ok(Self(Arc::new(Inner { info, client, version, config })))
    }

    /// Points a call at a resource of the REST API.
    fn data(&self, call: Call, resource: &[&str]) -> Call {
        call.path(["services", "data", &self.0.version]).path(resource)
    }

    async fn send(&self, cx: &Context, call: Call, resource: &[&str]) -> Result<Answer> {
        self.0.client.send(cx, &self.data(call, resource)).await
    }

    async fn query_rows(&self, cx: &Context, input: &Json) -> Result<Json> {
        let QueryInput { soql, limit } = parse_config(input.clone())?;
        let most = limit.map_or(1_000, usize::from);
        if !(1..=ACTION_ROWS).contains(&most) {
            return Err(Error::config("limit", format!("a number from 1 to {ACTION_ROWS}")));
        }
        let mut records: Vec<Json> = self.query(cx, soql).take(most + 1).try_collect().await?;
        let complete = records.len() <= most;
        records.truncate(most);
        Ok(json!({"records": records, "complete": complete}))
    }
}

/// What the `query` action takes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueryInput {
    /// The query; it can only read.
    soql: String,
    /// The most rows; 1,000 unless told otherwise.
    #[schemars(range(min = 1, max = ACTION_ROWS))]
    limit: Option<u16>,
}

#[async_trait]
impl Connector for Salesforce {
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        let limits = self.limits(cx).await?;
        let org = self.0.client.address(cx).await?;
        let host = org.host_str().unwrap_or_default();
        let calls = |what: &str| limits.pointer(&format!("/DailyApiRequests/{what}")).and_then(Json::as_u64);
        let (left, all) = (calls("Remaining"), calls("Max"));
        let mut health = Health::ok(match (left, all) {
            (Some(left), Some(all)) => format!("org at {host}, {left} of {all} API calls left today"),
            _ => format!("org at {host}"),
        });
        if left < all.map(|all| all / 10) {
            health = health.with_warning("less than a tenth of today's API calls is left");
        }
        let wanted = self.0.config.objects.as_deref().unwrap_or_default();
        let seen = if wanted.is_empty() { Vec::new() } else { self.objects(cx).await? };
        let missing = |wanted: &&String| {
            !seen.iter().any(|other| other.queryable && other.name.eq_ignore_ascii_case(wanted))
        };
        let warning = |name: &String| format!("{name} does not exist or is not visible to this user");
        Ok(wanted.iter().filter(missing).map(warning).fold(health, Health::with_warning))
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        let chosen = |name: &str| match &self.0.config.objects {
            Some(wanted) => wanted.iter().any(|other| other.eq_ignore_ascii_case(name)),
            None => STANDARD_OBJECTS.contains(&name),
        };
        let objects = self.objects(cx).await?;
        // Besides `__c` there are custom metadata, events, histories and shares: described on demand.
        let names = objects.into_iter().filter(|object| object.queryable).map(|object| object.name);
        let streams = stream::iter(names.filter(|name| name.ends_with("__c") || chosen(name)))
            .map(|name| async move { self.describe_object(cx, &name).await })
            .buffered(8)
            .map_ok(|object| object.stream(&self.0.config))
            .try_collect()
            .await?;
        Ok(Catalog { streams })
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        match self.describe_object(cx, stream).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("{stream} does not exist or is not visible to this user");
                Err(Error::config("stream", message))
            }
            object => Ok(object?.stream(&self.0.config)),
        }
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        read::events(self, cx, request)
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        write::write(self, cx, &request).await
    }

    async fn invoke(&self, cx: &Context, call: ActionCall) -> Result<ActionOutput> {
        Ok(ActionOutput::new(match call.name() {
            "query" => self.query_rows(cx, call.input()).await?,
            "limits" => self.limits(cx).await?,
            other => return Err(Error::config(other, "salesforce has no such action")),
        }))
    }
}
