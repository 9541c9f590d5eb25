//! What an authorization server says of itself, and the connect flow through it.

use acople::auth::{ClientStyle, Connect, OAuthApp, OAuthClient};
use acople::http::{Call, Client};
use acople::{Context, Error, ErrorKind, Resources, Result};
use serde::Deserialize;
use url::Url;

use crate::settings::Settings;

/// The parts of a server's metadata that matter here (OpenID Connect Discovery, 3; RFC 8414, 2; RFC 9207, 3).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The host's app at one authorization server.
#[derive(Debug)]
pub(crate) struct Issuer {
    metadata: Metadata,
    client: OAuthClient,
    scope: String,
    redirect_url: String,
}

impl Issuer {
    pub(crate) async fn discover(
        settings: &Settings,
        redirect_url: String,
        resources: &Resources,
    ) -> Result<Self> {
        let address = Url::parse(&settings.issuer).map_err(|e| Error::config("issuer", e.to_string()))?;
        let client = Client::with_resources(&address.origin().ascii_serialization(), resources)?.build();
        let issuer = settings.issuer.trim_end_matches('/');
        let link = format!("{issuer}/.well-known/openid-configuration");
        let call = Call::get("read what the server says of itself").link(link);
        let metadata: Metadata = client.send(&Context::new(), &call).await?.json()?;
        // A server may speak for itself alone (RFC 8414, 3.3).
        if metadata.issuer.trim_end_matches('/') != issuer {
            return Err(Error::new(ErrorKind::Protocol, "the server says that it is another issuer"));
        }
        let style = ClientStyle::Basic;
        let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
        let client = OAuthClient { id, secret, style };
        Ok(Self { metadata, client, scope: settings.scope.clone(), redirect_url })
    }

    /// The flow for the customer to whom `resources` belong.
    pub(crate) fn connect(&self, connector: &str, resources: &Resources) -> Result<Connect> {
        let Metadata { issuer, authorization_endpoint, token_endpoint, revocation_endpoint, .. } =
            &self.metadata;
        let mut app = OAuthApp::new(connector, token_endpoint, self.client.clone(), resources)?
            .issuer(issuer)
            .scope(&self.scope);
        if let Some(url) = revocation_endpoint {
            app = app.revocation_url(url)?;
        }
        let mut connect = Connect::new(app, authorization_endpoint, &self.redirect_url)?;
        if self.metadata.authorization_response_iss_parameter_supported {
            connect = connect.require_issuer()?;
        }
        Ok(if self.scope.split_whitespace().any(|scope| scope == "openid") {
            connect.openid()
        } else {
            connect
        })
    }
}
