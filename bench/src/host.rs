//! What a host sets up once: transport, limiter, connectors, clients.

use std::sync::Arc;
use std::time::Duration;

use acople_auth::StaticAuth;
use acople_core::{Resources, Secret, Transport};
use acople_http::{Client, HttpTransport, Limits, LocalLimiter, TransportConfig};
use acople_hubspot::HubSpot;
use acople_monitor::Collector;
use acople_salesforce::Salesforce;

use crate::Failure;

const TOKEN: &str = "bench-token-0123456789abcdef0123456789";

/// A bucket that never makes anyone wait: its bookkeeping is what is measured.
fn limits(bucket: &'static str) -> Limits {
    Limits::new()
        .rate(bucket, 100_000_000, Duration::from_secs(1))
        .slots(bucket, 1_000)
        .class("default", &[bucket])
}

/// The server's address and the connections to it.
pub(crate) struct Host {
    base: String,
    transport: Arc<dyn Transport>,
}

impl Host {
    pub(crate) fn new(base: &str) -> Result<Self, Failure> {
        Ok(Self {
            base: base.to_owned(),
            transport: Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback())?),
        })
    }

    /// A Salesforce org, with the connector's own limits: they allow more than one reader asks for.
    pub(crate) fn salesforce(&self) -> Result<Salesforce, Failure> {
        let auth = acople_salesforce::Auth::AccessToken { token: Secret::from(TOKEN) };
        let config = acople_salesforce::Config::new(auth).with_base_url(&self.base).with_api_version("60.0");
        Ok(Salesforce::new(config, &Resources::new(self.transport.clone()))?)
    }

    /// A HubSpot account, with a limiter of the host's: HubSpot itself allows 25 requests a second.
    pub(crate) fn hubspot(&self) -> Result<HubSpot, Failure> {
        let config = acople_hubspot::Config::new(acople_hubspot::Auth::Token(Secret::from(TOKEN)))
            .with_base_url(&self.base)
            .with_api_version("v3");
        let resources =
            Resources::new(self.transport.clone()).with_limiter(Arc::new(LocalLimiter::new(limits("app"))));
        Ok(HubSpot::new(config, &resources)?)
    }

    /// A client for a vendor without a connector: bearer token, limiter, retries, breaker, and a monitor that counts.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::builder(&self.base, self.transport.clone())?
            .auth(Arc::new(StaticAuth::bearer(Secret::from(TOKEN))))
            .limits(limits("calls"))
            .connector("bench")
            .monitor(Arc::new(Collector::new()))
            .build())
    }
}
