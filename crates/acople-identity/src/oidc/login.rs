//! Sends users to an identity provider and learns who they are when they come back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_auth::{ClientStyle, Connect, OAuthApp, OAuthClient, PendingConnect};
use acople_core::{Error, Resources, Result};
use acople_http::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::config::OidcConfig;
use super::discovery::{self, MAX_BYTES, Metadata, metadata_url};
use super::{id_token, userinfo};
use crate::jwks::{small_client, watching};
use crate::{Identity, Jwks, JwksConfig, JwtConfig, JwtVerifier};

/// How long metadata are used before they are fetched again.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The wait before the next fetch, after one that failed: while nobody can log in, and while the metadata at hand do.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
const WHILE_KNOWN: Duration = Duration::from_secs(60);

/// Lets users log in at an identity provider: authorization code with PKCE, state and nonce (OpenID Connect Core,
/// 3.1).
///
/// 1. [`begin`](Self::begin) gives the address to send the user to, and a value to keep in the user's session.
/// 2. The provider sends the user back to the redirect URL.
/// 3. [`complete`](Self::complete) checks what came back, redeems the code, verifies the id token and says who it is.
///
/// Endpoints come from the provider's metadata, whose `issuer` must be the configured one; keys from the set that they
/// name, as [`Jwks`] keeps it. No token is kept.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct OidcLogin(Arc<Inner>);

struct Inner {
    config: OidcConfig,
    tokens: JwtConfig,
    resources: Resources,
    metadata_url: Url,
    client: Client,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    provider: Option<(Arc<Provider>, Instant)>,
    failed: Option<(Error, Instant)>,
}

/// An identity provider whose metadata are known.
struct Provider {
    metadata: Metadata,
    connect: Connect,
    verifier: JwtVerifier,
    userinfo: Option<(Url, Client)>,
}

impl OidcLogin {
    /// A login. Does no I/O: the provider's metadata are fetched when the first user comes.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field.
    pub fn new(config: OidcConfig, resources: &Resources) -> Result<Self> {
        let tokens = config.tokens()?;
        let metadata_url = metadata_url(&config.issuer)?;
        let client = small_client(&metadata_url, MAX_BYTES, resources)?.breakers(watching()).build();
        let (resources, found) = (resources.clone(), Mutex::default());
        Ok(Self(Arc::new(Inner { config, tokens, resources, metadata_url, client, found })))
    }

    /// Begins a login: the address to send the user to, and what [`complete`](Self::complete) needs to know.
    ///
    /// `session` names the user's session at the host, such as the value of its cookie. The value belongs into the
    /// session, on the server's side or encrypted, and is taken out of it for the callback.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) for an empty session, and when the provider's metadata do not fit
    /// the config; what the request path says when they cannot be had.
    pub async fn begin(&self, session: &str) -> Result<(Url, PendingConnect)> {
        self.provider().await?.connect.begin(session)
    }

    /// Ends a login: who came. `callback` is the URL to which the user came back, or its query alone.
    ///
    /// # Errors
    /// - [`Invalid`](acople_core::ErrorKind::Invalid): the callback belongs to no login of this session, or was used,
    ///   or is from another server. Nothing was sent.
    /// - [`Permission`](acople_core::ErrorKind::Permission): the user or the provider said no.
    /// - [`Reauth`](acople_core::ErrorKind::Reauth): begin again. The code was over, or the id token is not accepted:
    ///   for the codes see [`JwtVerifier`]; besides, `nonce_refused`, `azp_refused`, `at_hash_refused`,
    ///   `userinfo_refused`.
    /// - Otherwise what the request path says.
    pub async fn complete(&self, session: &str, pending: PendingConnect, callback: &str) -> Result<Identity> {
        let provider = self.provider().await?;
        let tokens = provider.connect.redeem(session, pending, callback).await?;
        let mut token = provider.verifier.verify(&tokens.id_token).await?;
        id_token::check(&token, &self.0.config.client_id, &tokens.nonce, &tokens.access_token)?;
        if let Some((url, client)) = &provider.userinfo {
            let tenant = &self.0.resources.tenant;
            userinfo::complete(&mut token.claims, client, url, tenant, &tokens.access_token).await?;
        }
        provider.verifier.identity_of(token)
    }

    /// The provider by its metadata, fetched by one caller for all. Metadata at hand are used on when they cannot be
    /// fetched anew.
    async fn provider(&self) -> Result<Arc<Provider>> {
        let mut found = self.0.found.lock().await;
        if let Some((provider, at)) = &found.provider
            && at.elapsed() < FRESH
        {
            return Ok(provider.clone());
        }
        let known = found.provider.as_ref().map(|(provider, _)| provider.clone());
        let pause = if known.is_some() { WHILE_KNOWN } else { AFTER_FAILURE };
        if let Some((error, at)) = &found.failed
            && at.elapsed() < pause
        {
            return known.ok_or_else(|| error.copy());
        }
        let begun = Instant::now();
        match self.discover(known.as_ref()).await {
            Ok(provider) => {
                *found = Found { provider: Some((provider.clone(), begun)), failed: None };
                Ok(provider)
            }
            Err(error) => {
                found.failed = Some((error.copy(), Instant::now()));
                known.ok_or(error)
            }
        }
    }

    async fn discover(&self, known: Option<&Arc<Provider>>) -> Result<Arc<Provider>> {
        let Inner { config, resources, metadata_url, client, .. } = &*self.0;
        let metadata = discovery::fetch(client, metadata_url, &resources.tenant, config).await?;
        // Nothing changed: keys and the callbacks that were used are remembered.
        if let Some(known) = known.filter(|known| known.metadata == metadata) {
            return Ok(known.clone());
        }
        self.set_up(metadata).map(Arc::new)
    }

    fn set_up(&self, metadata: Metadata) -> Result<Provider> {
        let Inner { config, tokens, resources, .. } = &*self.0;
        let style = if metadata.secret_in_form { ClientStyle::Body } else { ClientStyle::Basic };
        let client =
            OAuthClient { id: config.client_id.clone(), secret: config.client_secret.clone(), style };
        let app = OAuthApp::new("identity", metadata.token.as_str(), client, resources)?
            .scope(config.scopes.join(" "))
            .issuer(&config.issuer);
        let mut connect = Connect::new(app, metadata.authorize.as_str(), &config.redirect_url)?.openid();
        for (name, value) in &config.params {
            connect = connect.param(name.clone(), value.clone())?;
        }
        if metadata.names_issuer {
            connect = connect.require_issuer()?;
        }
        let keys = Jwks::new(JwksConfig::new(metadata.keys.as_str()), resources)?;
        let verifier = JwtVerifier::new(tokens.clone(), keys)?.with_clock(resources.clock.clone());
        let userinfo = match &metadata.userinfo {
            Some(url) => Some((url.clone(), small_client(url, MAX_BYTES, resources)?.build())),
            None => None,
        };
        Ok(Provider { metadata, connect, verifier, userinfo })
    }
}

impl fmt::Debug for OidcLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcLogin")
            .field("issuer", &self.0.config.issuer)
            .field("client_id", &self.0.config.client_id)
            .finish_non_exhaustive()
    }
}
