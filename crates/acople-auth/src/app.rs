//! An app that accounts are connected to, and what becomes of the tokens of a new connection.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Resources, Result, Secret, TokenSet};
use acople_http::secure_url;
use tokio::time::Instant;
use url::Url;

use crate::answer::{TokenAnswer, Wanted};
use crate::cell::keeping::note_end;
use crate::grant::{Form, Grant, OAuthClient, Ready, Rotation};
use crate::oauth2::{OAuth2, OAuth2Builder};
use crate::redactor::Redactor;
use crate::token_endpoint::TokenEndpoint;
use crate::vault::Vault;

/// How often the tokens of a new connection are stored before the host gets the store's error.
const TRIES: u32 = 3;

/// The wait between two tries.
const BREATH: Duration = Duration::from_secs(1);

/// Parameters of token calls that the flows set themselves.
const RESERVED: [&str; 10] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "client_id",
    "client_secret",
    "refresh_token",
    "device_code",
    "client_assertion_type",
    "client_assertion",
];

/// The host's app at a vendor, for one connection: what [`Connect`](crate::Connect) and
/// [`DeviceFlow`](crate::DeviceFlow) have in common, and the way to a provider after a restart.
#[derive(Clone)]
pub struct OAuthApp {
    pub(crate) connector: String,
    pub(crate) token_url: Url,
    pub(crate) client: OAuthClient,
    pub(crate) scope: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) resources: Resources,
    revocation_url: Option<String>,
    wanted: Wanted,
    params: Form,
    scheme: &'static str,
    rotation: Rotation,
}

impl OAuthApp {
    /// Names the app. Does no I/O. With tenant and connection of `resources`, `connector` names the tokens in
    /// the host's store.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field: `token_url` is not https (plain http
    /// is for this machine only), an empty client id.
    pub fn new(connector: &str, token_url: &str, client: OAuthClient, resources: &Resources) -> Result<Self> {
        let token_url = secure_url(token_url)
            .map_err(|fault| Error::config("token_url", format!("the token URL {fault}")))?;
        if client.id.is_empty() {
            return Err(Error::config("client_id", "is empty"));
        }
        client.check()?;
        Ok(Self {
            connector: connector.to_owned(),
            token_url,
            client,
            scope: None,
            issuer: None,
            resources: resources.clone(),
            revocation_url: None,
            wanted: Wanted { endpoint: None, keep: vec!["scope"] },
            params: Form::new(),
            scheme: "Bearer",
            rotation: Rotation::default(),
        })
    }

    /// The scopes to ask for, separated as the vendor wants it: by spaces, says the standard. What was granted
    /// is `kept("scope")` of the provider, where the vendor says it.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The issuer of the vendor's authorization server. An id token must be from it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The vendor's revocation endpoint: see [`OAuth2::revoke`].
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) when credentials may not travel there.
    pub fn revocation_url(mut self, url: &str) -> Result<Self> {
        secure_url(url)
            .map_err(|fault| Error::config("revocation_url", format!("the revocation URL {fault}")))?;
        self.revocation_url = Some(url.to_owned());
        Ok(self)
    }

    /// As [`OAuth2Builder::endpoint_member`].
    pub fn endpoint_member(mut self, member: &'static str) -> Self {
        self.wanted.endpoint = Some(member);
        self
    }

    /// As [`OAuth2Builder::keep`].
    pub fn keep(mut self, members: &[&'static str]) -> Self {
        self.wanted.keep.extend_from_slice(members);
        self
    }

    /// Adds a parameter to the form of every token call. Its value is treated as a secret.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) for a parameter that the flows set themselves.
    pub fn token_param(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Secret>,
    ) -> Result<Self> {
        let name = name.into();
        if RESERVED.contains(&name.as_ref()) {
            return Err(Error::config(name, "is set by the flow itself"));
        }
        self.params.push((name, value.into()));
        Ok(self)
    }

    /// As [`OAuth2Builder::scheme`].
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }

    /// As [`OAuth2Builder::rotation`].
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// A provider on the tokens that an earlier connecting has left in the host's store. Does no I/O: whether
    /// there are any shows at the first request, which fails with [`Reauth`](ErrorKind::Reauth) otherwise.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the vendor's hosts cannot be called with these resources.
    pub fn provider(&self) -> Result<OAuth2> {
        Ok(self.builder()?.build())
    }

    fn builder(&self) -> Result<OAuth2Builder> {
        let (url, client) = (self.token_url.as_str(), self.client.clone());
        let mut builder = OAuth2::builder(&self.connector, url, client, Grant::Connected, &self.resources)?
            .scheme(self.scheme)
            .rotation(self.rotation);
        if let Some(url) = &self.revocation_url {
            builder = builder.revocation_url(url)?;
        }
        builder.endpoint.wanted = self.wanted.clone();
        builder.endpoint.params.clone_from(&self.params);
        Ok(builder)
    }

    /// The token endpoint for one call of a flow.
    pub(crate) fn endpoint(&self, grant: Ready) -> Result<TokenEndpoint> {
        let mut endpoint =
            TokenEndpoint::new(self.token_url.clone(), self.client.clone(), grant, &self.resources)?;
        endpoint.wanted = self.wanted.clone();
        endpoint.params.clone_from(&self.params);
        Ok(endpoint)
    }

    /// Knows the secrets that the vendor shares with the app.
    pub(crate) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        self.client
            .secret
            .iter()
            .chain(self.params.iter().map(|(_, value)| value))
            .for_each(|secret| redactor.add(secret));
        redactor
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::new(self.resources.tokens.clone(), self.resources.connection_key(&self.connector))
    }

    /// Stores the tokens of a new connection over those of the one before, and makes their provider.
    pub(crate) async fn settle(
        &self,
        answer: TokenAnswer,
        received: Instant,
        more: BTreeMap<String, String>,
    ) -> Result<OAuth2> {
        let endpoint = match (answer.endpoint_url(), self.wanted.endpoint) {
            (Err(fault), Some(member)) => return Err(unfit(member, fault)),
            (Ok(None), Some(member)) => return Err(unfit(member, "is not there")),
            (endpoint, _) => endpoint.ok().flatten(),
        };
        let now = self.resources.clock.now();
        let mut extra = answer.kept;
        extra.extend(more);
        note_end(&mut extra, answer.refresh_lifetime, now);
        let tokens = TokenSet {
            access: answer.access.unwrap_or_default(),
            refresh: answer.refresh,
            expires_at: answer.lifetime.and_then(|life| now.checked_add(life)),
            endpoint,
            extra,
        };
        let vault = self.vault();
        let mut left = TRIES;
        let generation = loop {
            left -= 1;
            match vault.replace(&tokens).await {
                Ok(generation) => break generation,
                Err(error) if left == 0 => {
                    let text = "the new tokens could not be stored: the account has to be connected again";
                    let error = Error::new(error.kind(), format!("{text}: {}", error.message()));
                    return Err(error.with_operation("store the tokens"));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        };
        let auth = self.builder()?.build();
        auth.prime(tokens, generation, answer.lifetime, received);
        Ok(auth)
    }
}

impl fmt::Debug for OAuthApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.token_url.host_str();
        f.debug_struct("OAuthApp")
            .field("connector", &self.connector)
            .field("host", &host)
            .finish_non_exhaustive()
    }
}

fn unfit(member: &str, fault: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the token answer's {member} {fault}"))
}

/// The work in a task of its own: a browser that gives up takes no tokens with it.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(Error::new(ErrorKind::Internal, "the connecting panicked")),
        Err(_) => Err(Error::new(ErrorKind::Transient, "the runtime shut down during the connecting")),
    }
}
