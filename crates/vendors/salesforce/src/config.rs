//! What a connection needs to know.

use std::sync::Arc;
use std::time::Duration;

use acople_auth::config::{AuthServer, ClientCredentials, JwtBearer, RefreshToken, filled};
use acople_auth::{ClientStyle, StaticAuth};
use acople_core::{AuthProvider, Error, Resources, Result, Secret};
use acople_http::base_url;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::VENDOR_ID;

/// The standard objects that [`discover`](acople_core::Connector::discover) describes unless told otherwise.
#[rustfmt::skip]
pub(crate) const STANDARD_OBJECTS: [&str; 15] = [
    "Account", "Campaign", "CampaignMember", "Case", "Contact", "Contract", "Event", "Lead", "Opportunity",
    "OpportunityLineItem", "Order", "Product2", "Quote", "Task", "User",
];

/// A connection to one org.
///
/// ```
/// let config: acople_salesforce::Config = acople_core::parse_config(serde_json::json!({
///     "auth": { "refresh_token": { "client_id": "3MVG9...", "refresh_token": "5Aep861..." } },
/// }))?;
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How to log in.
    pub auth: Auth,
    /// Where to log in: `https://login.salesforce.com`, `https://test.salesforce.com` for sandboxes, or the
    /// org's My Domain (`https://acme.my.salesforce.com`). A refresh token works only at the host that gave it.
    #[serde(default = "login_url")]
    pub login_url: String,
    /// The org's address. Needed with `access_token`; otherwise the login's answer names it.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The REST API version, `67.0` or `v67.0`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// The standard objects to describe; custom objects are described anyway. Reading and writing are not
    /// held to this list.
    #[serde(default)]
    pub objects: Option<Vec<String>>,
    /// Whether incremental reads bring tombstones of deleted records (`queryAll`).
    #[serde(default = "crate::describe::yes")]
    pub deletions: bool,
    /// How far an incremental read goes back behind the newest change it knows, to catch changes that became
    /// visible late.
    #[serde(default = "look_back_seconds")]
    pub look_back_seconds: u32,
}

/// How to log in. See the vendor's list of
/// [OAuth flows](https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flows.htm).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Auth {
    /// A refresh token from the web server flow. It may rotate: keep tokens in a store.
    RefreshToken(RefreshToken),
    /// The app logs in as its run-as user. Works at the org's My Domain only.
    ClientCredentials(ClientCredentials),
    /// The app signs, with the key whose certificate it holds, for a user who was approved beforehand.
    JwtBearer(JwtBearer),
    /// An access token that something else renews.
    AccessToken {
        /// The token.
        token: Secret,
    },
}

fn login_url() -> String {
    "https://login.salesforce.com".to_owned()
}

/// The version of Summer '26. 41.0 to 68.0 are supported by the vendor now, see
/// [API end-of-life](https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/api_rest_eol.htm).
fn api_version() -> String {
    "67.0".to_owned()
}

/// Late changes become visible within ten minutes.
fn look_back_seconds() -> u32 {
    600
}

impl Config {
    /// A config with the defaults.
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            login_url: login_url(),
            base_url: None,
            api_version: api_version(),
            objects: None,
            deletions: true,
            look_back_seconds: look_back_seconds(),
        }
    }

    /// Sets where to log in.
    pub fn with_login_url(self, url: impl Into<String>) -> Self {
        Self { login_url: url.into(), ..self }
    }

    /// Sets the org's address.
    pub fn with_base_url(self, url: impl Into<String>) -> Self {
        Self { base_url: Some(url.into()), ..self }
    }

    /// Sets the REST API version.
    pub fn with_api_version(self, version: impl Into<String>) -> Self {
        Self { api_version: version.into(), ..self }
    }

    /// Sets the standard objects to describe.
    pub fn with_objects<S: Into<String>>(self, objects: impl IntoIterator<Item = S>) -> Self {
        Self { objects: Some(objects.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets whether incremental reads bring tombstones.
    pub fn with_deletions(self, deletions: bool) -> Self {
        Self { deletions, ..self }
    }

    /// Sets how far incremental reads go back.
    pub fn with_look_back(self, seconds: u32) -> Self {
        Self { look_back_seconds: seconds, ..self }
    }

    pub(crate) fn look_back(&self) -> Duration {
        Duration::from_secs(self.look_back_seconds.into())
    }

    /// The version as paths have it: `v67.0`.
    pub(crate) fn version(&self) -> Result<String> {
        let number = self.api_version.trim();
        let number = number.strip_prefix('v').unwrap_or(number);
        match number.split_once('.') {
            Some((major, "0"))
                if (1..=3).contains(&major.len()) && major.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(format!("v{number}"))
            }
            _ => Err(Error::config("api_version", "an API version is written as 67.0 or v67.0")),
        }
    }

    /// The credentials, and the address to use until they name another.
    pub(crate) fn provider(&self, resources: &Resources) -> Result<(Arc<dyn AuthProvider>, String)> {
        let login = base_url("login_url", &self.login_url)?;
        let host = login.as_str().trim_end_matches('/');
        let token_url = format!("{host}/services/oauth2/token");
        let server = |style| AuthServer { connector: VENDOR_ID, token_url: &token_url, style, resources };
        let oauth = match &self.auth {
            Auth::AccessToken { token } => {
                filled("auth.access_token", "token", token.expose())?;
                let message = "an access token alone does not say which org it opens: give the address";
                let base = self.base_url.clone().ok_or_else(|| Error::config("base_url", message))?;
                return Ok((Arc::new(StaticAuth::bearer(token.clone())), base));
            }
            Auth::RefreshToken(app) => app.oauth2("auth.refresh_token", &server(ClientStyle::Body))?,
            Auth::ClientCredentials(app) => {
                if matches!(login.host_str(), Some("login.salesforce.com" | "test.salesforce.com")) {
                    let message = "client credentials work at the org's My Domain only (https://acme.my.salesforce.com)";
                    return Err(Error::config("login_url", message));
                }
                app.oauth2("auth.client_credentials", &server(ClientStyle::Basic))?
            }
            Auth::JwtBearer(app) => app.oauth2("auth.jwt_bearer", host, &server(ClientStyle::Body))?,
        };
        Ok(match &self.base_url {
            Some(base) => (Arc::new(oauth.build()), base.clone()),
            None => (Arc::new(oauth.endpoint_member("instance_url").build()), host.to_owned()),
        })
    }
}
