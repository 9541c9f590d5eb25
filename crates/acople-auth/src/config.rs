//! The credentials of connectors' configs: serde structs that name the field that is wrong, and turn into a
//! provider.
//!
//! A connector's own `Auth` enum has them as variants, with the vendor's words about each:
//!
//! ```
//! use acople_auth::config::{AuthServer, ClientCredentials, RefreshToken};
//! use acople_auth::{ClientStyle, OAuth2Builder};
//! use acople_core::{Resources, Result};
//!
//! #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(rename_all = "snake_case", deny_unknown_fields)]
//! enum Auth {
//!     /// A user of the account has approved the app.
//!     RefreshToken(RefreshToken),
//!     /// The app shows itself.
//!     ClientCredentials(ClientCredentials),
//! }
//!
//! fn provider(auth: &Auth, resources: &Resources) -> Result<OAuth2Builder> {
//!     let token_url = "https://login.example.com/oauth/token";
//!     let server = AuthServer { connector: "example", token_url, style: ClientStyle::Body, resources };
//!     match auth {
//!         Auth::RefreshToken(app) => app.oauth2("auth.refresh_token", &server),
//!         Auth::ClientCredentials(app) => app.oauth2("auth.client_credentials", &server),
//!     }
//! }
//! ```

mod chosen;

use acople_core::{Error, Resources, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::chosen::{AnyAuth, Chosen};
use crate::{ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuth2Builder, OAuthClient};

/// Where a connector's credentials are redeemed for access tokens, and how.
#[derive(Clone, Debug)]
pub struct AuthServer<'a> {
    /// The connector's id.
    pub connector: &'a str,
    /// The token endpoint.
    pub token_url: &'a str,
    /// How the client's own credentials are sent.
    pub style: ClientStyle,
    /// What the host lends.
    pub resources: &'a Resources,
}

/// A refresh token that the host got when a user approved its app.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RefreshToken {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret, where it has one.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// The refresh token.
    pub refresh_token: Secret,
}

impl RefreshToken {
    /// A refresh token of a public client.
    pub fn new(client_id: impl Into<String>, refresh_token: impl Into<Secret>) -> Self {
        Self { client_id: client_id.into(), client_secret: None, refresh_token: refresh_token.into() }
    }

    /// Sets the client's secret.
    pub fn with_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// The provider. `field` is where these credentials stand in the config: `auth.refresh_token`.
    ///
    /// # Errors
    /// `Config` with the path of the field that is wrong.
    pub fn oauth2(&self, field: &str, server: &AuthServer<'_>) -> Result<OAuth2Builder> {
        filled(field, "client_id", &self.client_id)?;
        filled(field, "refresh_token", self.refresh_token.expose())?;
        let secret = self.client_secret.clone().filter(|secret| !secret.is_empty());
        let grant = Grant::RefreshToken { refresh_token: self.refresh_token.clone() };
        server.builder(&self.client_id, secret, grant)
    }
}

/// An app that shows itself instead of a user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientCredentials {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: Secret,
}

impl ClientCredentials {
    /// The credentials of an app.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into() }
    }

    /// The provider, without a scope. `field` is where these credentials stand in the config.
    ///
    /// # Errors
    /// `Config` with the path of the field that is wrong.
    pub fn oauth2(&self, field: &str, server: &AuthServer<'_>) -> Result<OAuth2Builder> {
        filled(field, "client_id", &self.client_id)?;
        filled(field, "client_secret", self.client_secret.expose())?;
        let grant = Grant::ClientCredentials { scope: None };
        server.builder(&self.client_id, Some(self.client_secret.clone()), grant)
    }
}

/// An app that signs for a user who was approved beforehand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtBearer {
    /// The app's client id.
    pub client_id: String,
    /// The user.
    pub username: String,
    /// The app's key, PEM: RSA in PKCS#8 or PKCS#1, P-256 in PKCS#8.
    pub private_key: Secret,
    /// How assertions are signed; RS256 unless the vendor says otherwise.
    #[serde(default)]
    pub algorithm: JwtAlgorithm,
    /// The key's id, where the vendor wants it.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Whom the assertion is for; the vendor's login host unless told otherwise.
    #[serde(default)]
    pub audience: Option<String>,
}

impl JwtBearer {
    /// An app's key and the user for whom it signs.
    pub fn new(
        client_id: impl Into<String>,
        username: impl Into<String>,
        private_key: impl Into<Secret>,
    ) -> Self {
        let (client_id, username) = (client_id.into(), username.into());
        let (private_key, algorithm) = (private_key.into(), JwtAlgorithm::default());
        Self { client_id, username, private_key, algorithm, key_id: None, audience: None }
    }

    /// Sets how assertions are signed.
    pub fn with_algorithm(mut self, algorithm: JwtAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets the key's id.
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Sets whom the assertion is for.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The provider. `field` is where these credentials stand in the config, `audience` the vendor's login
    /// host.
    ///
    /// # Errors
    /// `Config` with the path of the field that is wrong.
    pub fn oauth2(&self, field: &str, audience: &str, server: &AuthServer<'_>) -> Result<OAuth2Builder> {
        let audience = self.audience.as_deref().unwrap_or(audience);
        filled(field, "client_id", &self.client_id)?;
        filled(field, "username", &self.username)?;
        filled(field, "private_key", self.private_key.expose())?;
        filled(field, "audience", audience)?;
        let grant = Grant::JwtBearer {
            issuer: self.client_id.clone(),
            subject: self.username.clone(),
            audience: audience.to_owned(),
            algorithm: self.algorithm,
            private_key_pem: self.private_key.clone(),
        };
        // The signer knows the key by the name that it has in the grant.
        let builder = server.builder(&self.client_id, None, grant).map_err(|error| match error.fields() {
            [key] if key == "private_key_pem" => {
                Error::config(format!("{field}.private_key"), error.message())
            }
            _ => error,
        })?;
        Ok(match &self.key_id {
            Some(key_id) => builder.key_id(key_id),
            None => builder,
        })
    }
}

/// An error that names `parent.field` when a text of the config is empty or blank.
///
/// # Errors
/// `Config`.
pub fn filled(parent: &str, field: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::config(format!("{parent}.{field}"), "must not be empty"));
    }
    Ok(())
}

impl AuthServer<'_> {
    fn builder(&self, client_id: &str, secret: Option<Secret>, grant: Grant) -> Result<OAuth2Builder> {
        // A public client has nothing to show itself by, whatever others do.
        let style = if secret.is_some() { self.style.clone() } else { ClientStyle::Body };
        let client = OAuthClient { id: client_id.to_owned(), secret, style };
        OAuth2::builder(self.connector, self.token_url, client, grant, self.resources)
    }
}
