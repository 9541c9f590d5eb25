//! The two accounts, from the sandboxes or from the environment.

use std::env;
use std::error::Error;

use acople::Result;
use acople::http::{HttpTransport, TransportConfig};
use acople::{Connector, Resources};
use serde_json::{Value, json};
use std::sync::Arc;

/// How to reach both vendors: the same configs that the command line tool reads from files.
pub(crate) struct Accounts {
    pub(crate) salesforce: Value,
    pub(crate) hubspot: Value,
}

impl Accounts {
    /// Real accounts, if their variables are set:
    ///
    /// - `SALESFORCE_LOGIN_URL` (optional), `SALESFORCE_CLIENT_ID`, `SALESFORCE_CLIENT_SECRET` (optional) and
    ///   `SALESFORCE_REFRESH_TOKEN`; or `SALESFORCE_INSTANCE_URL` and `SALESFORCE_ACCESS_TOKEN`
    /// - `HUBSPOT_TOKEN`, a private app's token or a service key, and `HUBSPOT_BASE_URL` (optional)
    pub(crate) fn from_environment() -> std::result::Result<Option<Self>, Box<dyn Error>> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let salesforce = if let Some(token) = variable("SALESFORCE_ACCESS_TOKEN") {
            let url = variable("SALESFORCE_INSTANCE_URL").ok_or("SALESFORCE_INSTANCE_URL is not set")?;
            Some(json!({ "base_url": url, "auth": { "access_token": { "token": token } } }))
        } else if let Some(refresh_token) = variable("SALESFORCE_REFRESH_TOKEN") {
            let id = variable("SALESFORCE_CLIENT_ID").ok_or("SALESFORCE_CLIENT_ID is not set")?;
            let secret = variable("SALESFORCE_CLIENT_SECRET");
            let login_url = variable("SALESFORCE_LOGIN_URL").unwrap_or("https://login.salesforce.com".into());
            let grant = json!({ "client_id": id, "client_secret": secret, "refresh_token": refresh_token });
            Some(json!({ "login_url": login_url, "auth": { "refresh_token": grant } }))
        } else {
            None
        };
        let base_url = variable("HUBSPOT_BASE_URL").unwrap_or("https://api.hubapi.com".into());
        let hubspot = variable("HUBSPOT_TOKEN")
            .map(|token| json!({ "base_url": base_url, "auth": { "token": token } }));
        match (salesforce, hubspot) {
            (Some(salesforce), Some(hubspot)) => Ok(Some(Self { salesforce, hubspot })),
            (None, None) => Ok(None),
            _ => {
                Err("set the variables of both accounts or of none; see examples/quickstart/accounts.rs"
                    .into())
            }
        }
    }

    /// What the tour hands to its worker process.
    pub(crate) fn from_worker_environment() -> std::result::Result<Self, Box<dyn Error>> {
        let config = |name: &str| -> std::result::Result<Value, Box<dyn Error>> {
            Ok(serde_json::from_str(&env::var(name)?)?)
        };
        Ok(Self { salesforce: config("QUICKSTART_SALESFORCE")?, hubspot: config("QUICKSTART_HUBSPOT")? })
    }

    /// The connectors. Nothing is sent yet.
    pub(crate) fn connect(&self) -> Result<(Arc<dyn Connector>, Arc<dyn Connector>)> {
        // The sandboxes are on this machine, which is closed to requests unless opened.
        let config = TransportConfig::default().allow_loopback();
        let resources = Resources::new(Arc::new(HttpTransport::new(&config)?));
        let salesforce = acople::connect("salesforce", self.salesforce.clone(), resources.clone())?;
        let hubspot = acople::connect("hubspot", self.hubspot.clone(), resources)?;
        Ok((salesforce, hubspot))
    }
}
