#![doc = include_str!("../README.md")]

mod config;
mod said;

use std::sync::Arc;

use acople_core::{
    Catalog, Connector, ConnectorInfo, Context, EventStream, Health, ReadRequest, Resources, Result, Stream,
    Vendor, config_schema, parse_vendor_config,
};
use acople_http::Limits;
use acople_odata::Service;
use async_trait::async_trait;

pub use acople_odata::{Compare, EntitySet, Key, Protocol, Records};
pub use config::{Auth, Config};

use said::Refusals;

const ID: &str = "sap";

/// The entry for a registry.
pub const VENDOR: Vendor = Vendor {
    id: ID,
    name: "SAP (OData)",
    summary: "S/4HANA, SAP Gateway, SuccessFactors, CAP and other OData 2.0 and 4.0 services",
    config_schema: config_schema::<Config>,
    connect: |config, resources| Ok(Arc::new(Sap::new(parse_vendor_config(config)?, &resources)?)),
};

/// One OData service of an SAP system. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sap {
    service: Service,
    info: Arc<ConnectorInfo>,
}

impl Sap {
    /// A connection to the service of a config. Does no I/O.
    ///
    /// # Errors
    /// `Config` with the field that is wrong.
    pub fn new(config: Config, resources: &Resources) -> Result<Self> {
        config.validate()?;
        // No limits are published; a dialog system suffers from more.
        let limits = Limits::new().slots("service", 4).class("default", &["service"]);
        let client = acople_odata::client(&config.base_url, resources)?
            .connector(VENDOR.id)
            .auth(Arc::new(config.auth.provider()?))
            .limits(limits)
            .classifier(Refusals)
            .build();
        let info = ConnectorInfo::new(ID, VENDOR.name).with_api_version(config.protocol.version());
        Ok(Self { service: Service::new(client, config.options()), info: Arc::new(info) })
    }

    /// One entity set, for reading its records as a host's own types.
    pub fn entity_set(&self, name: impl Into<String>) -> EntitySet {
        self.service.entity_set(name)
    }
}

#[async_trait]
impl Connector for Sap {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.service.check(cx).await
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        self.service.discover(cx).await
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        self.service.describe(cx, stream).await
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        self.service.read(cx, request)
    }
}
